//! Answers that are passed on as they come, whatever is in them: sound, text, events.

use std::ops::Range;
use std::time::Duration;

use crate::base::limits::STREAM_READ_BYTES;
use crate::decide::outcome::{Failure, Outcome, Waiting};
use crate::decide::units::Units;
use crate::dialect::passed_on;
use crate::exchange::answer_head::{self, AnswerHead};
use crate::exchange::course::Course;
use crate::exchange::headers;
use crate::exchange::media::Media;
use crate::exchange::refusal::{LastWord, Refusal};
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::timers::Cut;
use crate::shard::request::answer_head as heads;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::record::Record;
use crate::shard::request::response_time::ResponseTime;
use crate::shard::request::used::Used;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::{Piece, write_chunk_head};
use crate::wire::head::Framing;
use crate::wire::inflate::Inflate;
use crate::wire::known::Known;
use crate::wire::seen::Seen;
use crate::wire::usage::Usage;

/// Whether the answer whose head has been read is passed on as it comes: what is no JSON, and what
/// answers a request without a model.
#[must_use]
pub fn is_due(attempt: &Attempt<'_, '_>, up: &Upstream) -> bool {
    let endpoint = attempt.job.endpoint;
    endpoint.is_passed_on()
        && (200..=299).contains(&up.head.status)
        && (!endpoint.has_model() || media(up) != Media::Json)
}

fn media(up: &Upstream) -> Media {
    Media::of(up.head.value_of(&up.bytes, Known::ContentType))
}

fn label(up: &Upstream) -> &[u8] {
    let label = up.head.value_of(&up.bytes, Known::ContentType);
    label.unwrap_or(BYTES.as_bytes())
}

/// Passes the answer on, and says how it ended.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    mut up: Box<Upstream>,
) -> Outcome {
    let Some(coding) = up.coding() else {
        let outcome = Outcome::Failed(Failure::Malformed);
        return attempt.abandoned(record, Some(Seen::default()), outcome);
    };
    let mut passing = Passing {
        attempt,
        body: BodyDecoder::new(up.head.framing),
        inflate: Inflate::new(coding),
        payload: 0..0,
        ready: Vec::new(),
        tail: Vec::new(),
        text_bytes: 0,
        media: media(&up),
        is_text: label(&up).starts_with(b"text/") && media(&up) != Media::Events,
        stage: Stage::Replaceable,
        framing: Framing::Close,
        used: None,
    };
    let outcome = passing.run(caller, record, course, &mut up).await;
    passing.close(record, outcome);
    if outcome == Outcome::Answered {
        let id = attempt.candidate().provider;
        attempt.job.shard.park(id, up);
    }
    outcome
}

/// An answer on its way.
struct Passing<'p, 'j, 'a> {
    attempt: &'p Attempt<'j, 'a>,
    body: BodyDecoder,
    /// Where the provider has compressed it.
    inflate: Option<Inflate>,
    /// Payload in what was read that has not been decoded yet.
    payload: Range<usize>,
    /// What can be sent.
    ready: Vec<u8>,
    /// The last bytes of events: the last event may tell the usage.
    tail: Vec<u8>,
    /// Bytes of text so far.
    text_bytes: usize,
    media: Media,
    /// Whether all of it is text.
    is_text: bool,
    stage: Stage,
    /// How the caller's answer is delimited.
    framing: Framing,
    /// What it has used, where its head has told so.
    used: Option<Used>,
}

/// What becomes of the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// They are used up.
    More,
    /// There is enough to be sent; not all of them are used up.
    Enough,
    /// The body has ended.
    End,
}

/// Whether another provider can still take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The caller has nothing of the answer.
    Replaceable,
    /// The answer has begun.
    Committed,
}

/// The body is not what its head says.
struct Malformed;

impl<'a> Passing<'_, '_, 'a> {
    async fn run(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        course: &mut Course,
        up: &mut Upstream,
    ) -> Outcome {
        let content_by = clock::now() + self.attempt.provider.first_token_timeout;
        let deadline = content_by.min(self.attempt.overall);
        up.socket.deadline.set(deadline, Cut::Both);
        let mut at = up.head.len;
        loop {
            let fed = self.feed(&up.bytes, &mut at);
            let is_begun = !self.ready.is_empty() || matches!(fed, Ok(Fed::End));
            if self.stage == Stage::Replaceable && is_begun {
                self.commit(caller, record, course, up).await;
            }
            self.note();
            let goes_on = match fed {
                Ok(Fed::End) => return self.complete(caller, record, up).await,
                Ok(fed) => self.go_on(caller, up, &mut at, fed).await,
                Err(Malformed) => Err(match self.stage {
                    Stage::Replaceable => Outcome::Failed(Failure::Malformed),
                    Stage::Committed => Outcome::StreamCut,
                }),
            };
            if let Err(outcome) = goes_on {
                return match outcome {
                    Outcome::StreamCut | Outcome::StreamStalled => {
                        self.break_off(caller, record, outcome).await
                    }
                    _ => outcome,
                };
            }
        }
    }

    /// Sends what is ready, and reads more where all is used up.
    async fn go_on(
        &mut self,
        caller: &mut Caller,
        up: &mut Upstream,
        at: &mut usize,
        fed: Fed,
    ) -> Result<(), Outcome> {
        let is_committed = self.stage == Stage::Committed;
        let needs_more = fed == Fed::More;
        if is_committed {
            self.write_ready(caller, fed);
            if needs_more {
                let buffers = &self.attempt.job.shard.io.buffers;
                up.watch(buffers, STREAM_READ_BYTES);
                *at = 0;
            }
            // A caller that reads slowly is no fault of the provider's.
            up.socket.deadline.clear();
            if !caller.out.is_empty() {
                caller.send_out().await.map_err(|_| Outcome::CallerGone)?;
            }
            let until = clock::now() + self.attempt.provider.stream_idle_timeout;
            up.socket.deadline.set(until, Cut::Both);
        } else {
            // The head's fields, which stand in front, are needed until the answer begins.
            up.bytes.truncate(up.head.len);
            *at = up.head.len;
        }
        if !needs_more {
            return Ok(());
        }
        match up.read_more(caller).await {
            _ if caller.is_gone() => Err(Outcome::CallerGone),
            Ok(count) if count > 0 => Ok(()),
            Ok(_) | Err(_) if up.socket.deadline.is_overdue() => Err(match self.stage {
                Stage::Committed => Outcome::StreamStalled,
                Stage::Replaceable => Outcome::TimedOut(Waiting::Content),
            }),
            Ok(_) if self.body.may_end() => {
                self.body = BodyDecoder::Length(0);
                Ok(())
            }
            Ok(_) | Err(_) if is_committed => Err(Outcome::StreamCut),
            Ok(_) | Err(_) => Err(Outcome::Failed(Failure::Cut)),
        }
    }

    /// Decodes some of the `bytes` from `at` on.
    fn feed(&mut self, bytes: &[u8], at: &mut usize) -> Result<Fed, Malformed> {
        while self.ready.len() < STREAM_READ_BYTES {
            if self.payload.is_empty() {
                self.payload = match self.body.next(bytes, at).map_err(|_| Malformed)? {
                    Piece::Payload(payload) => payload,
                    Piece::More => return Ok(Fed::More),
                    Piece::End(_) => {
                        if let Some(inflate) = &mut self.inflate {
                            inflate.finish(&mut self.ready).map_err(|_| Malformed)?;
                        }
                        return Ok(Fed::End);
                    }
                };
            }
            let payload = bytes.get(self.payload.clone()).unwrap_or_default();
            match &mut self.inflate {
                None => {
                    self.ready.extend_from_slice(payload);
                    self.payload = 0..0;
                }
                Some(inflate) => {
                    let taken = inflate.step(payload, &mut self.ready);
                    self.payload.start += taken.map_err(|_| Malformed)?;
                    if self.payload.is_empty() {
                        inflate.flush(&mut self.ready).map_err(|_| Malformed)?;
                    }
                }
            }
        }
        Ok(Fed::Enough)
    }

    /// The first bytes are there: from here on nobody can take over.
    async fn commit(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        course: &mut Course,
        up: &Upstream,
    ) {
        let (attempt, job, now) = (self.attempt, self.attempt.job, clock::now());
        self.stage = Stage::Committed;
        job.let_go(caller, course.commit());
        job.with_permit(|permit| permit.answered());
        attempt.enforce_probe().await;
        let latency = now.since(attempt.sent_at);
        record.response_time = Some(ResponseTime::FirstContent(latency));
        record.waited += now.since(attempt.started);
        record.first_byte = Some(now);
        self.framing = match up.head.framing {
            Framing::None => Framing::None,
            Framing::Length(length) if self.inflate.is_none() => Framing::Length(length),
            Framing::Length(_) | Framing::Chunked | Framing::Close => {
                answer_head::framing_of_stream(job.request.version)
            }
        };
        let mut totals = headers::Totals::default();
        // What events have used, the last of them tells.
        if let Framing::Length(length) = self.framing
            && self.media != Media::Events
        {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let used = attempt.used(None, if self.is_text { length } else { 0 });
            totals = used.totals();
            self.used = Some(used);
        }
        let mut label = label(up).to_vec();
        attempt.crossing().masks.mask_value(&mut label);
        let head = AnswerHead {
            status: up.head.status,
            media_type: std::str::from_utf8(&label).unwrap_or(BYTES),
            framing: self.framing,
            passed_on: attempt.passed_on(up),
        };
        let added = job.added(attempt.place, record, latency, totals);
        heads::write_passed(caller, record, &head, &added);
    }

    /// Ends a complete answer.
    async fn complete(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        up: &mut Upstream,
    ) -> Outcome {
        self.settle(record, Outcome::Answered);
        self.write_ready(caller, Fed::End);
        if self.framing == Framing::Chunked {
            caller.out.extend_from_slice(b"0\r\n");
            headers::totals(&mut caller.out, &self.used().totals());
            caller.out.extend_from_slice(b"\r\n");
        }
        up.end = up.bytes.len();
        up.socket.deadline.clear();
        if caller.out.is_empty() {
            return Outcome::Answered;
        }
        let sent = caller.send_out().await;
        sent.map_or(Outcome::CallerGone, |()| Outcome::Answered)
    }

    /// Ends an answer that broke on its way. Events end with one that says so.
    async fn break_off(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        outcome: Outcome,
    ) -> Outcome {
        let attempt = self.attempt;
        record.error = Some(match outcome {
            Outcome::StreamStalled => "upstream_timeout",
            _ => "upstream_error",
        });
        self.settle(record, outcome);
        let last = LastWord {
            provider: &attempt.provider.name,
            model: &attempt.job.ask.model,
            outcome,
            retry: Duration::ZERO,
        };
        if self.media == Media::Events
            && let Some(refusal) = Refusal::of_verdict(outcome.verdict(), &last)
        {
            let request = attempt.job.request;
            refusal.write_frame(request.dialect, request.id.as_str(), &mut self.ready);
        }
        self.write_ready(caller, Fed::End);
        attempt.job.shard.reports.enforce().await;
        if caller.out.is_empty() {
            return outcome;
        }
        let sent = caller.send_out().await;
        sent.map_or(Outcome::CallerGone, |()| outcome)
    }

    /// Settles an answer that has ended, if it has not been.
    fn close(&self, record: &mut Record<'a>, outcome: Outcome) {
        match self.stage {
            Stage::Committed => self.settle(record, outcome),
            Stage::Replaceable => {
                let seen = Some(Seen::default());
                self.attempt.abandoned(record, seen, outcome);
            }
        }
    }

    /// Says how the answer ended, before its last bytes leave.
    fn settle(&self, record: &mut Record<'a>, outcome: Outcome) {
        if outcome == Outcome::CallerGone {
            record.caller_gone();
        }
        let used = self.used();
        record.settle(used);
        record.count();
        let latency = record
            .first_byte
            .map(|at| at.since(self.attempt.sent_at))
            .unwrap_or_default();
        // Nothing is known of how long the first byte should take: as with a whole answer.
        let sample = Sample {
            latency,
            kind: SampleKind::WholeAnswer,
        };
        self.attempt
            .settle(clock::now(), outcome, Some(sample), used.sum());
    }

    fn used(&self) -> Used {
        let told = || {
            let usage = match self.media {
                Media::Events => self.told(),
                Media::Json | Media::Unsaid | Media::Form | Media::Parts | Media::Foreign => None,
            };
            self.attempt.used(usage, self.text_bytes)
        };
        self.used.unwrap_or_else(told)
    }

    /// The usage that the last events tell; the request's units learn of it, too.
    fn told(&self) -> Option<Usage> {
        let (usage, tokens) = passed_on::usage_in(&self.tail)?;
        if let Some(parcel) = self.attempt.job.parcel {
            parcel.tell(Units {
                tokens,
                ..Units::default()
            });
        }
        Some(usage)
    }

    /// Takes note of what is ready.
    fn note(&mut self) {
        if self.is_text {
            self.text_bytes = self.text_bytes.saturating_add(self.ready.len());
        }
        if self.media == Media::Events {
            self.tail.extend_from_slice(&self.ready);
            let beyond = self.tail.len().saturating_sub(TAIL_BYTES);
            self.tail.drain(..beyond);
        }
    }

    /// Moves what is ready into the caller's buffer, as one chunk. The end of JSON that goes on
    /// stays: a key of infermux's may begin there.
    fn write_ready(&mut self, caller: &mut Caller, fed: Fed) {
        caller.make_room();
        let mut end = self.ready.len();
        if self.media == Media::Json {
            let masks = self.attempt.crossing().masks;
            masks.mask_answer(&mut self.ready);
            if fed != Fed::End {
                end = end.saturating_sub(masks.undecided());
            }
        }
        if end == 0 {
            return;
        }
        let is_chunk = self.framing == Framing::Chunked;
        if is_chunk {
            write_chunk_head(end, &mut caller.out);
        }
        caller.out.extend_from_slice(&self.ready[..end]);
        self.ready.drain(..end);
        if is_chunk {
            caller.out.extend_from_slice(b"\r\n");
        }
    }
}

/// What is not labelled.
const BYTES: &str = "application/octet-stream";
/// How much of the end of a stream of events is searched for its usage.
const TAIL_BYTES: usize = 8 << 10;
