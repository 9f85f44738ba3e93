//! An answer as a list of steps, which a connection takes one after the other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Deed, Quirk, SCRIPTED};
use crate::ask::Flavour;
use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::errors;
use crate::http::{self, Persistence};
use crate::instance::{Goals, Waiting};
use crate::reply::{Event, Stream, Voice};
use crate::sse::Sse;
use crate::step_end::{Cut, StepEnd};

/// The steps with which a connection answers one request.
#[derive(Debug)]
pub(crate) struct Program {
    steps: VecDeque<Step>,
    pub(crate) persistence: Persistence,
    /// The size of one write and the pause after it, where the script cuts the answer up.
    pub(crate) pieces: Option<(usize, Duration)>,
    /// When the pause that is the first step ends.
    until: Option<Instant>,
}

/// One step of an answer.
#[derive(Debug)]
enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
    Content(Box<Content>),
    /// Nothing more, until the peer gives up.
    Silence,
    Cut(Cut),
    /// The answer follows when the goals are met, or at the deadline.
    Await(Box<Wait>),
}

/// A control request that waits.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) goals: Goals,
    pub(crate) deadline: Instant,
    pub(crate) waiting: Waiting,
    pub(crate) render: fn(&Waiting, &Goals) -> Vec<u8>,
}

impl Program {
    /// An answer that is written at once.
    pub(crate) fn of_bytes(bytes: Vec<u8>, persistence: Persistence) -> Self {
        Self::of_steps([Step::Bytes(bytes)], persistence)
    }

    /// An answer to a control request that waits for something.
    pub(crate) fn of_wait(wait: Wait, persistence: Persistence) -> Self {
        Self::of_steps([Step::Await(Box::new(wait))], persistence)
    }

    fn of_steps(steps: impl Into<VecDeque<Step>>, persistence: Persistence) -> Self {
        Self {
            steps: steps.into(),
            persistence,
            pieces: None,
            until: None,
        }
    }

    /// The answer for the script; `body` makes the body of a plain answer.
    pub(crate) fn of_voice(
        voice: &Voice<'_>,
        body: impl FnOnce() -> String,
        persistence: Persistence,
    ) -> Self {
        let answer = voice.answer;
        let mut maker = Maker {
            voice,
            persistence,
            steps: VecDeque::new(),
        };
        maker.pause(answer.latency());
        if answer.has(Quirk::CloseDelimited) || answer.has(Quirk::LengthTooLong) {
            maker.persistence = Persistence::Close;
        }
        maker.answer_with(body);
        if answer.has(Quirk::TwoAnswers) {
            let surplus = http::json_answer(200, SURPLUS, Persistence::KeepAlive);
            maker.steps.push_back(Step::Bytes(surplus));
        }
        let pieces = answer
            .chunk_bytes
            .map(|size| (size, answer.chunk_interval()));
        Self {
            steps: maker.steps,
            persistence: maker.persistence,
            pieces,
            until: None,
        }
    }

    /// Events that are written at once.
    pub(crate) fn of_events(events: &[Event], persistence: Persistence) -> Self {
        let sse = Sse::of(&Answer::default());
        let mut bytes = Vec::new();
        http::status_line(&mut bytes, 200);
        http::header_line(
            &mut bytes,
            "content-type",
            "text/event-stream; charset=utf-8",
        );
        http::header_line(&mut bytes, "transfer-encoding", "chunked");
        bytes.extend_from_slice(b"\r\n");
        for (number, event) in events.iter().enumerate() {
            sse.event(
                number,
                event.name,
                &event.numbered(Some(number)),
                &mut bytes,
            );
        }
        sse.end(&mut bytes);
        Self::of_bytes(bytes, persistence)
    }

    /// All bytes of an answer that has no pauses, as they would be written.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.step(Instant::now(), &mut out) == StepEnd::Go {}
        out
    }

    /// Takes the next step and appends to `out` what it writes.
    pub(crate) fn step(&mut self, now: Instant, out: &mut Vec<u8>) -> StepEnd {
        match self.steps.front_mut() {
            None => return StepEnd::Done,
            Some(Step::Bytes(bytes)) => out.append(bytes),
            Some(Step::Pause(pause)) => {
                let until = *self.until.get_or_insert(now + *pause);
                if now < until {
                    return StepEnd::Until(until);
                }
                self.until = None;
            }
            Some(Step::Content(content)) => {
                if content.is_left() {
                    return content.emit(now, out);
                }
            }
            Some(Step::Silence) => return StepEnd::Silence,
            Some(Step::Cut(cut)) => return StepEnd::Cut(*cut),
            Some(Step::Await(wait)) => {
                if !wait.waiting.met(&wait.goals) && now < wait.deadline {
                    return StepEnd::Parked(wait.deadline);
                }
                out.append(&mut (wait.render)(&wait.waiting, &wait.goals));
            }
        }
        self.steps.pop_front();
        StepEnd::Go
    }
}

/// The event with which an answer fails.
fn failure(voice: &Voice<'_>) -> Event {
    if voice.route.endpoint == Endpoint::Responses {
        return voice.failure_event();
    }
    let (name, data) = errors::event(voice.route.flavour, SCRIPTED);
    Event { name, data }
}

/// The body of an answer that says it failed.
fn failed_body(voice: &Voice<'_>) -> String {
    if voice.route.endpoint == Endpoint::Responses {
        return voice.failed_response();
    }
    error_body(voice)
}

fn error_body(voice: &Voice<'_>) -> String {
    errors::event(voice.route.flavour, SCRIPTED).1
}

/// Puts the steps of one answer together.
struct Maker<'a> {
    voice: &'a Voice<'a>,
    persistence: Persistence,
    steps: VecDeque<Step>,
}

impl Maker<'_> {
    /// Chooses between the kinds of answer; a deed that cuts or stalls before the head needs no
    /// answer.
    fn answer_with(&mut self, body: impl FnOnce() -> String) {
        let answer = self.answer();
        let spelled_out = answer.status.is_some() || answer.body.is_some();
        let streams = self.voice.ask.stream && self.voice.stream().is_some();
        match answer.deed {
            Deed::StallBeforeHead => self.steps.push_back(Step::Silence),
            Deed::CutBeforeHead => self.cut(),
            Deed::Garbage => {
                self.steps.push_back(Step::Bytes(GARBAGE.to_vec()));
                self.persistence = Persistence::Close;
            }
            Deed::Error200 => self.plain(&error_body(self.voice)),
            Deed::Ok
            | Deed::StallBeforeContent
            | Deed::StallMidStream
            | Deed::CutMidStream
            | Deed::ErrorEventBeforeContent
            | Deed::ErrorEventMidStream
            | Deed::FailedBeforeContent
            | Deed::FailedMidStream
            | Deed::NoChoices
            | Deed::GarbageJson => {
                if spelled_out {
                    self.spelled_out();
                } else if streams {
                    self.stream();
                } else {
                    self.whole(body);
                }
            }
        }
    }

    /// An answer that is not streamed.
    fn whole(&mut self, body: impl FnOnce() -> String) {
        let body = match self.answer().deed {
            Deed::ErrorEventBeforeContent | Deed::ErrorEventMidStream => error_body(self.voice),
            Deed::FailedBeforeContent | Deed::FailedMidStream => failed_body(self.voice),
            Deed::NoChoices => self.voice.empty_body(),
            Deed::GarbageJson => HALF_JSON.to_owned(),
            Deed::Ok
            | Deed::StallBeforeHead
            | Deed::StallBeforeContent
            | Deed::StallMidStream
            | Deed::CutBeforeHead
            | Deed::CutMidStream
            | Deed::Error200
            | Deed::Garbage => body(),
        };
        self.plain(&body);
    }

    fn answer(&self) -> &Answer {
        self.voice.answer
    }

    fn pause(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.steps.push_back(Step::Pause(pause));
        }
    }

    fn cut(&mut self) {
        let cut = if self.answer().reset {
            Cut::Reset
        } else {
            Cut::Close
        };
        self.steps.push_back(Step::Cut(cut));
    }

    /// A status or body that the script spells out.
    fn spelled_out(&mut self) {
        let status = self.answer().status.unwrap_or(200);
        let body = match &self.answer().body {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(json) => json.to_string(),
            None => errors::body(self.voice.route.flavour, status, SCRIPTED),
        };
        let mut bytes = self.head(status, BodyKind::Plain { length: body.len() });
        bytes.extend_from_slice(body.as_bytes());
        self.steps.push_back(Step::Bytes(bytes));
    }

    fn plain(&mut self, body: &str) {
        let body = padded(body, self.answer().body_bytes);
        let mut length = body.len();
        if self.answer().has(Quirk::LengthTooLong) {
            length += LENGTH_ERROR;
        } else if self.answer().has(Quirk::LengthTooShort) {
            length = length.saturating_sub(LENGTH_ERROR);
        }
        let head = self.head(200, BodyKind::Plain { length });
        self.steps.push_back(Step::Bytes(head));
        self.pause(self.answer().ttft());
        let half = body
            .as_bytes()
            .get(..body.len() / 2)
            .unwrap_or_default()
            .to_vec();
        match self.answer().deed {
            Deed::StallBeforeContent => self.steps.push_back(Step::Silence),
            Deed::StallMidStream => {
                self.steps.extend([Step::Bytes(half), Step::Silence]);
            }
            Deed::CutMidStream => {
                self.steps.push_back(Step::Bytes(half));
                self.cut();
            }
            Deed::Ok
            | Deed::StallBeforeHead
            | Deed::CutBeforeHead
            | Deed::ErrorEventBeforeContent
            | Deed::ErrorEventMidStream
            | Deed::FailedBeforeContent
            | Deed::FailedMidStream
            | Deed::Error200
            | Deed::NoChoices
            | Deed::Garbage
            | Deed::GarbageJson => self.steps.push_back(Step::Bytes(body.into_bytes())),
        }
    }

    fn stream(&mut self) {
        let deed = self.answer().deed;
        let mut stream = match (deed, self.voice.stream()) {
            (Deed::NoChoices, _) | (_, None) => self.voice.empty_stream(),
            (_, Some(stream)) => stream,
        };
        let (count, closing) = self.ending(&mut stream);
        let sse = Sse::of(self.answer());
        let mut bytes = self.head(200, BodyKind::Events);
        sse.start(&mut bytes);
        for (number, event) in stream.opening.iter().enumerate() {
            sse.event(
                number,
                event.name,
                &event.numbered(stream.numbered.then_some(number)),
                &mut bytes,
            );
        }
        self.steps.push_back(Step::Bytes(bytes));
        let numbered = stream.numbered;
        let first = stream.opening.len() + count;
        if count > 0 {
            self.pause(self.answer().ttft());
            let content = Content::new(self.answer(), stream, sse, count);
            self.steps.push_back(Step::Content(Box::new(content)));
        }
        if deed == Deed::CutMidStream {
            return self.cut();
        }
        if deed == Deed::StallBeforeContent || deed == Deed::StallMidStream {
            return self.steps.push_back(Step::Silence);
        }
        let mut bytes = Vec::new();
        for (number, event) in closing.iter().enumerate() {
            let data = event.numbered(numbered.then_some(first + number));
            sse.event(first + number, event.name, &data, &mut bytes);
            if number == 0 && !self.answer().finish_pause().is_zero() {
                self.steps
                    .push_back(Step::Bytes(std::mem::take(&mut bytes)));
                self.pause(self.answer().finish_pause());
            }
        }
        sse.end(&mut bytes);
        self.steps.push_back(Step::Bytes(bytes));
    }

    /// How many content events a stream has, and the events behind them.
    fn ending(&self, stream: &mut Stream) -> (usize, Vec<Event>) {
        let events = stream.pieces.events;
        let after = self.answer().after_events.unwrap_or(1).min(events);
        if self.answer().has(Quirk::NoDone) {
            stream.closing.pop();
        }
        let error = || vec![failure(self.voice)];
        match self.answer().deed {
            Deed::StallBeforeContent => (0, Vec::new()),
            Deed::StallMidStream | Deed::CutMidStream => (after, Vec::new()),
            Deed::ErrorEventBeforeContent | Deed::FailedBeforeContent => (0, error()),
            Deed::ErrorEventMidStream | Deed::FailedMidStream => (after, error()),
            Deed::GarbageJson => (
                after,
                vec![Event {
                    name: None,
                    data: HALF_JSON.to_owned(),
                }],
            ),
            Deed::Ok
            | Deed::NoChoices
            | Deed::StallBeforeHead
            | Deed::CutBeforeHead
            | Deed::Error200
            | Deed::Garbage => (events, std::mem::take(&mut stream.closing)),
        }
    }

    fn head(&self, status: u16, kind: BodyKind) -> Vec<u8> {
        let answer = self.answer();
        let mut out = Vec::with_capacity(512 + answer.head_bytes);
        if answer.has(Quirk::Early1xx) {
            out.extend_from_slice(EARLY_HINTS);
        }
        http::status_line(&mut out, status);
        if !answer
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("content-type"))
        {
            http::header_line(
                &mut out,
                "content-type",
                match kind {
                    BodyKind::Plain { .. } => "application/json",
                    BodyKind::Events => "text/event-stream; charset=utf-8",
                },
            );
        }
        if !answer.has(Quirk::CloseDelimited) {
            match kind {
                BodyKind::Plain { length } => {
                    http::header_line(&mut out, "content-length", length);
                }
                BodyKind::Events => http::header_line(&mut out, "transfer-encoding", "chunked"),
            }
        }
        let id = match self.voice.route.flavour {
            Flavour::Anthropic => "request-id",
            Flavour::Azure => "apim-request-id",
            Flavour::OpenAi | Flavour::Ollama => "x-request-id",
        };
        http::header_line(
            &mut out,
            id,
            format_args!("req_{}_{}", self.voice.name, self.voice.number),
        );
        match &answer.retry_after {
            Some(serde_json::Value::String(text)) => {
                http::header_line(&mut out, "retry-after", text);
            }
            Some(value) => http::header_line(&mut out, "retry-after", value),
            None => {}
        }
        for (name, value) in &answer.headers {
            http::header_line(&mut out, name, value);
        }
        if answer.head_bytes > 0 {
            http::header_line(&mut out, "x-mock-pad", "x".repeat(answer.head_bytes));
        }
        if self.persistence == Persistence::Close {
            http::header_line(&mut out, "connection", "close");
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

#[derive(Debug, Clone, Copy)]
enum BodyKind {
    Plain { length: usize },
    Events,
}

/// Makes a JSON object `size` bytes long, where it is shorter.
fn padded(body: &str, size: usize) -> String {
    const FIELD: usize = ",\"mock_pad\":\"\"".len();
    let missing = size.saturating_sub(body.len());
    let Some(open) = body.strip_suffix('}') else {
        return body.to_owned();
    };
    match missing.checked_sub(FIELD) {
        Some(count) => format!("{open},\"mock_pad\":\"{}\"}}", "x".repeat(count)),
        None => format!("{open}{}}}", " ".repeat(missing)),
    }
}

/// By how much a wrong `content-length` is wrong.
const LENGTH_ERROR: usize = 10;
const HALF_JSON: &str = "{\"id\":\"mock\",\"choices\":[{\"index\":";
const SURPLUS: &[u8] = b"{\"surplus\":\"nobody asked for this answer\"}";
const GARBAGE: &[u8] = b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n";
const EARLY_HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </early>; rel=preload\r\n\r\n";

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
