//! Callers: most of them behave badly, each in a way of its own.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use serde_json::{Value, json};

use super::dice::Dice;
use super::doors::{self, Doors};
use super::ends::{self, End, How, Place, Sent, Then};
use super::hostile;
use super::secrets::CALLERS;
use crate::client;
use crate::clock::{Stopwatch, pause};

/// A request that drips for longer than this may be told that it takes too long.
const FAST_ENOUGH: Duration = Duration::from_millis(1_500);
/// When a caller has not been given the processor for so long, its connection may have been closed
/// for its silence.
const LATE: Duration = Duration::from_millis(1_200);

/// Somebody who sends requests, one thing after another.
pub(super) struct Caller<'a> {
    pub(super) doors: &'a Doors,
    pub(super) dice: Dice,
    /// The beginning of its requests' ids.
    pub(super) name: String,
    pub(super) ends: Sender<End>,
    pub(super) clock: Stopwatch,
    pub(super) count: u64,
    pub(super) kept: Option<BufReader<TcpStream>>,
}

/// What a caller does next.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    HangUp,
    HalfClose,
    Drip,
    Stall,
    Pipeline,
    Deaf,
    Wrong,
    Large,
    Hostile,
}

/// How often each.
const KINDS: [(u64, Kind); 10] = [
    (50, Kind::Plain),
    (14, Kind::HangUp),
    (3, Kind::HalfClose),
    (4, Kind::Drip),
    (2, Kind::Stall),
    (8, Kind::Pipeline),
    (3, Kind::Deaf),
    (10, Kind::Wrong),
    (2, Kind::Large),
    (4, Kind::Hostile),
];

/// A request that is ready to be sent.
struct Ready {
    sent: Sent,
    bytes: Vec<u8>,
    /// Where its body begins.
    body: usize,
}

impl Caller<'_> {
    /// Goes on until it is over.
    pub(super) fn run(mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            match self.dice.weighted(&KINDS) {
                Kind::Plain => self.plain(),
                Kind::HangUp => self.hang_up(),
                Kind::HalfClose => self.half_close(),
                Kind::Drip => self.drip(),
                Kind::Stall => self.stall(),
                Kind::Pipeline => self.pipeline(),
                Kind::Deaf => self.deaf(),
                Kind::Wrong => self.wrong(),
                Kind::Large => self.large(),
                Kind::Hostile => hostile::act(&mut self.dice, self.doors),
            }
        }
    }

    /// One request, and its whole answer.
    fn plain(&mut self) {
        let ready = self.ready("plain");
        self.ask(ready);
    }

    fn ask(&mut self, ready: Ready) {
        let (mut stream, place) = match self.kept.take() {
            Some(kept) => (kept, Place::Behind),
            None => match self.connect() {
                Some(stream) => (BufReader::new(stream), Place::First),
                None => return,
            },
        };
        // An answer may have come before all was written.
        let connected = self.clock.elapsed();
        let written = stream.get_mut().write_all(&ready.bytes);
        let is_late = self.clock.elapsed() > connected + LATE;
        let place = if is_late { Place::Behind } else { place };
        let (mut end, then) = ends::read(&mut stream, (ready.sent, place), self.clock);
        if let (How::Unanswered(why), Err(error)) = (&mut end.how, written) {
            why.push_str(&format!(" (while it was written: {error})"));
        }
        if then == Then::Open && self.dice.chance(80) {
            self.kept = Some(stream);
        }
        self.tell(end);
    }

    /// Leaves at any point of a request.
    fn hang_up(&mut self) {
        let phase = self.dice.below(7);
        let kind = ["connected", "in its head", "behind its head", "in its body"];
        let later = ["all sent", "behind the answer's head", "in the answer"];
        let name = kind
            .iter()
            .chain(&later)
            .nth(usize::try_from(phase).unwrap_or(0));
        let ready = self.ready(name.unwrap_or(&"left"));
        let Some(stream) = self.connect() else { return };
        let length = match phase {
            0 => 0,
            1 => self.within(1, ready.body),
            2 => ready.body,
            3 => self.within(ready.body, ready.bytes.len()),
            _ => ready.bytes.len(),
        };
        let is_sent = length == ready.bytes.len();
        let mut stream = BufReader::new(stream);
        let mut status = 0;
        if stream.get_mut().write_all(&ready.bytes[..length]).is_ok() && phase > 4 {
            let head = client::receive_head(&mut stream);
            status = head.map_or(0, |head| head.status());
            if phase == 6 {
                let _ = stream.read(&mut [0; 100]);
            }
        }
        pause(Duration::from_millis(self.dice.below(20)));
        drop(stream);
        let mut end = ready.sent.end(How::Left { is_sent }, self.clock);
        end.status = status;
        self.tell(end);
    }

    /// Ends its side of the connection behind the request, and goes on reading.
    fn half_close(&mut self) {
        let ready = self.ready("half closed");
        let Some(mut stream) = self.connect() else {
            return;
        };
        if stream.write_all(&ready.bytes).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        drop(stream);
        self.tell(ready.sent.end(How::Left { is_sent: true }, self.clock));
    }

    /// Sends its request a few bytes at a time, but fast enough.
    fn drip(&mut self) {
        let ready = self.ready("dripped");
        let Some(mut stream) = self.connect() else {
            return;
        };
        let size = ready.bytes.len().div_ceil(40);
        let began = self.clock.elapsed();
        for piece in ready.bytes.chunks(size) {
            pause(Duration::from_millis(self.dice.below(25)));
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        // On a machine that is busy, each pause takes longer.
        let is_late = self.clock.elapsed() - began > FAST_ENOUGH;
        let mut stream = BufReader::new(stream);
        let (mut end, _) = ends::read(&mut stream, (ready.sent, Place::First), self.clock);
        if is_late && end.status == 408 {
            // Its head was perhaps not there, and nobody knew its name.
            end.how = How::Left { is_sent: false };
        }
        self.tell(end);
    }

    /// Stops in the middle of its request, until it is sent away.
    fn stall(&mut self) {
        let ready = self.ready("stalled");
        let Some(mut stream) = self.connect() else {
            return;
        };
        let length = self.within(1, ready.bytes.len() - 1);
        let _ = stream.write_all(&ready.bytes[..length]);
        let _ = stream.read_to_end(&mut Vec::new());
        self.tell(ready.sent.end(How::Left { is_sent: false }, self.clock));
    }

    /// Sends several requests before it reads the first answer.
    fn pipeline(&mut self) {
        let Some(mut stream) = self.connect() else {
            return;
        };
        let count = self.dice.between(2, 6);
        let all: Vec<Ready> = (0..count).map(|_| self.ready("pipelined")).collect();
        let bytes: Vec<u8> = all.iter().flat_map(|ready| ready.bytes.clone()).collect();
        let _ = stream.write_all(&bytes);
        let mut stream = BufReader::new(stream);
        let mut is_open = true;
        for (place, ready) in all.into_iter().enumerate() {
            if !is_open {
                self.tell(ready.sent.end(How::Unread, self.clock));
                continue;
            }
            let place = if place == 0 {
                Place::First
            } else {
                Place::Behind
            };
            let (end, then) = ends::read(&mut stream, (ready.sent, place), self.clock);
            is_open = then == Then::Open;
            self.tell(end);
        }
    }

    /// Does not read its answer for a while, or never.
    fn deaf(&mut self) {
        let ready = self.ready("deaf");
        let Some(mut stream) = self.connect() else {
            return;
        };
        let _ = stream.write_all(&ready.bytes);
        pause(Duration::from_millis(self.dice.between(500, 4_000)));
        if self.dice.chance(50) {
            drop(stream);
            self.tell(ready.sent.end(How::Left { is_sent: true }, self.clock));
            return;
        }
        let mut stream = BufReader::new(stream);
        let (end, _) = ends::read(&mut stream, (ready.sent, Place::First), self.clock);
        self.tell(end);
    }

    /// Asks for what there is not, or not like this.
    fn wrong(&mut self) {
        let ready = match self.dice.below(6) {
            0 => self.written("wrong", "POST /v1/chat/completions", "{\"model\": \"cha"),
            1 => self.written("wrong", "POST /v1/chat/completions", "[1, 2]"),
            2 => self.written(
                "wrong",
                "POST /v1/chat/completions",
                "{\"model\": \"none\"}",
            ),
            3 => self.written("wrong", "POST /v1/nothing", "{}"),
            4 => self.written("wrong", "DELETE /v1/chat/completions", ""),
            _ => self.written("list", "GET /v1/models", ""),
        };
        self.ask(ready);
    }

    /// Sends a large prompt, sometimes one that is too large.
    fn large(&mut self) {
        let size = *self.dice.one(&[200_000, 900_000, 2_000_000, 5_000_000]);
        let text = "word ".repeat(size / 5);
        let body = json!({"model": "chat", "messages": [{"role": "user", "content": text}]});
        let ready = self.written("large", "POST /v1/chat/completions", &body.to_string());
        self.ask(ready);
    }

    /// A request that is as it should be.
    fn ready(&mut self, kind: &'static str) -> Ready {
        let is_stream = self.dice.chance(50);
        let model = self
            .dice
            .weighted(&[(60, "chat"), (20, "limited"), (20, "paid")]);
        let mut body = json!({
            "model": model, "stream": is_stream, "max_tokens": 64,
            "messages": [{"role": "user", "content": "The quick brown fox jumps over the dog."}],
        });
        let line = match self.dice.below(5) {
            0 => "POST /v1/messages",
            1 => {
                let text = body["messages"].take();
                body = json!({
                    "model": model, "stream": is_stream, "max_output_tokens": 64, "input": text,
                });
                "POST /v1/responses"
            }
            2 if model == "chat" => {
                body = json!({"model": "embed", "input": "The quick brown fox"});
                "POST /v1/embeddings"
            }
            _ => "POST /v1/chat/completions",
        };
        if is_stream && line.ends_with("completions") && self.dice.chance(50) {
            body["stream_options"] = json!({"include_usage": true});
        }
        self.written(kind, line, &Value::to_string(&body))
    }

    fn written(&mut self, kind: &'static str, line: &str, body: &str) -> Ready {
        self.count += 1;
        let id = format!("{}-{}", self.name, self.count);
        // Whoever asks for the model with a budget is the one who has the budget.
        let caller = if body.contains("\"paid\"") {
            "spender"
        } else {
            "anybody"
        };
        let length = body.len();
        let (_, key) = self.dice.one(&CALLERS);
        let mut bytes = format!(
            "{line} HTTP/1.1\r\nHost: chaos\r\n\
             X-Request-Id: {id}\r\nX-Infermux-Caller: {caller}\r\n\
             anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {key}\r\nTE: trailers\r\nContent-Length: {length}\r\n\r\n"
        );
        if kind == "list" {
            // Anthropic's version would change the list's form, and nothing else.
            bytes = bytes.replace("anthropic-version: 2023-06-01\r\n", "");
        }
        let head = bytes.len();
        bytes.push_str(body);
        let began = self.clock.elapsed();
        Ready {
            sent: Sent { id, kind, began },
            bytes: bytes.into_bytes(),
            body: head,
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        let found = doors::connect(self.doors.callers);
        if found.is_none() {
            pause(Duration::from_millis(50));
        }
        found
    }

    fn within(&mut self, low: usize, high: usize) -> usize {
        let span = high.saturating_sub(low) as u64;
        low + usize::try_from(self.dice.below(span)).unwrap_or_default()
    }

    fn tell(&self, end: End) {
        // Nobody listens any more once a run has failed.
        let _ = self.ends.send(end);
    }
}
