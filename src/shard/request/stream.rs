//! Streams: relayed read by read, held back until the first content.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::time::Instant;
use crate::decide::outcome::{Failure, Outcome};
use crate::exchange::course::Course;
use crate::exchange::headers;
use crate::exchange::version::Version;
use crate::link::buffered::Held;
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::guarded;
use crate::shard::net::timers::Cut;
use crate::shard::request::answer_head;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::bridged;
use crate::shard::request::early;
use crate::shard::request::error::Error;
use crate::shard::request::kept;
use crate::shard::request::made::{IsComplete, Made};
use crate::shard::request::record::Record;
use crate::shard::request::response_time::ResponseTime;
use crate::shard::request::unsettled;
use crate::shard::request::used::Used;
use crate::shard::state::relay::Spare;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::inflate::Inflate;
use crate::wire::seen::Seen;
use crate::wire::stream_fault::StreamFault;

use broken::Broken;

mod broken;
mod ending;
mod feed;

/// Relays the stream whose head has been read, and says how it ended.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    mut up: Box<Upstream>,
) -> Outcome {
    let shard = attempt.job.shard;
    let mut spare = shard.take_relay();
    attempt.begin_stream(&mut spare, record);
    let body = BodyDecoder::new(up.head.framing);
    let content_by = clock::now() + attempt.provider.first_token_timeout;
    let mut stream = Stream {
        attempt,
        spare,
        body,
        provider_end: ProviderEnd::Open,
        inflate: up.coding().and_then(Inflate::new),
        decoded: Vec::new(),
        held: shard.io.lease.hold(),
        silent_until: content_by,
        made: attempt.made(),
    };
    let outcome = stream.run(caller, record, course, &mut up).await;
    stream.close(record, outcome);
    // Behind content, the stream itself has told the caller.
    let told = stream
        .spare
        .told(outcome)
        .filter(|_| !stream.is_committed());
    let told = told.map(|(status, body)| match attempt.dialect() {
        Dialect::Chat | Dialect::Messages => Error::object(status, body),
        Dialect::Responses => Error::events(up.head.status, body),
    });
    let Stream {
        spare,
        body,
        provider_end,
        ..
    } = stream;
    shard.keep_relay(spare);
    if let Some(told) = told {
        if matches!(outcome, Outcome::AccessRefused | Outcome::Overflowed) {
            kept::keep(attempt, record, &up, told);
            return outcome;
        }
        attempt.job.let_go(caller, course.commit());
        attempt.settle(clock::now(), outcome, None, record.take_lost());
        let ended = kept::pass_through(attempt, caller, record, up, told).await;
        return ended.unwrap_or(outcome);
    }
    if outcome == Outcome::RateLimited {
        attempt.put_aside(None);
    }
    if outcome == Outcome::Answered {
        park(attempt, up, provider_end, body);
    }
    outcome
}

/// Keeps the connection of a complete stream, as far as it can be used again.
fn park(
    attempt: &Attempt<'_, '_>,
    mut up: Box<Upstream>,
    provider_end: ProviderEnd,
    body: BodyDecoder,
) {
    let (shard, id) = (attempt.job.shard, attempt.candidate().provider);
    match provider_end {
        ProviderEnd::Clean => {
            up.end = up.bytes.len();
            shard.park(id, up);
        }
        ProviderEnd::Open => {
            let shard = Rc::clone(shard);
            guarded::spawn_for_one(async move {
                if let Some(up) = up.read_out(body).await {
                    shard.park(id, up);
                }
            });
        }
        ProviderEnd::Surplus => {}
    }
}

/// A stream on its way.
struct Stream<'s, 'j, 'a> {
    attempt: &'s Attempt<'j, 'a>,
    spare: Box<Spare>,
    body: BodyDecoder,
    provider_end: ProviderEnd,
    /// Where the provider has compressed the stream.
    inflate: Option<Inflate>,
    /// Decoded bytes that the relay has not taken in yet.
    decoded: Vec<u8>,
    /// Memory of an event that is longer than one read, as it counts against the process's bound.
    held: Held,
    /// When the provider has been silent for too long; comments do not put it off.
    silent_until: Instant,
    /// What is kept of it for later requests.
    made: Made,
}

/// Whether the provider's body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProviderEnd {
    /// Not yet.
    Open,
    /// With the last byte that was read.
    Clean,
    /// And something follows that does not belong to it.
    Surplus,
}

/// What a read of the provider's bytes amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    More,
    Complete,
}

impl<'a> Stream<'_, '_, 'a> {
    async fn run(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        course: &mut Course,
        up: &mut Upstream,
    ) -> Outcome {
        up.socket
            .deadline
            .set(self.silent_until.min(self.attempt.overall), Cut::Both);
        caller.out.clear();
        let mut fresh = up.head.len;
        let mut fed = self.feed(&up.bytes[fresh..]);
        loop {
            if let Err(broken) = fed
                && self.is_committed()
            {
                self.end_broken(broken);
            }
            if self.is_committed() {
                if record.first_byte.is_none() {
                    self.commit(caller, record, course, up).await;
                }
                self.note_made(fed);
                self.write_payload(caller);
            }
            match fed {
                Ok(Fed::More) if self.spare.stream().awaits_end() => {
                    // Before the last event leaves, as at the end of the body.
                    self.settle(record, Outcome::Answered);
                }
                Ok(Fed::More) => {}
                Ok(Fed::Complete) => return self.complete(caller, record, up).await,
                Err(broken) if self.is_committed() => {
                    return self.break_off(caller, record, broken).await;
                }
                Err(broken) => return broken.before,
            }
            fed = match self.read(caller, up, &mut fresh).await {
                Ok(Fed::More) => self.feed(&up.bytes[fresh..]),
                // The connection's end is the body's.
                Ok(Fed::Complete) => self.finish(),
                // A caller who has the last event needs no end of the body.
                Err(Broken::GONE) if self.spare.stream().awaits_end() => {
                    return Outcome::Answered;
                }
                Err(Broken::GONE) => {
                    self.await_usage(up).await;
                    return Outcome::CallerGone;
                }
                Err(broken) => Err(broken),
            };
        }
    }

    /// Keeps what later requests may refer to of the events that are about to leave.
    fn note_made(&mut self, fed: Result<Fed, Broken>) {
        if self.made.is_kept() {
            let is_complete = match fed {
                Ok(Fed::Complete) => IsComplete::Yes,
                Ok(Fed::More) | Err(_) => IsComplete::No,
            };
            self.made.take_events(self.spare.payload(), is_complete);
        }
    }

    /// The first content is there: from here on nobody can take over.
    async fn commit(
        &self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        course: &mut Course,
        up: &Upstream,
    ) {
        let job = self.attempt.job;
        let release = course.commit();
        self.attempt.learn_asked_for(&self.made);
        bridged::learn(self.attempt);
        job.let_go(caller, release);
        job.with_permit(|permit| permit.answered());
        self.attempt.enforce_probe().await;
        self.write_head(caller, record, up);
    }

    /// Ends a complete stream.
    async fn complete(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        up: &Upstream,
    ) -> Outcome {
        self.settle(record, Outcome::Answered);
        self.write_end(caller);
        // The provider has done its part, however slowly the caller reads.
        up.socket.deadline.clear();
        let sent = caller.send_out().await;
        sent.map_or(Outcome::CallerGone, |()| Outcome::Answered)
    }

    /// Settles a stream that has ended, if it has not been: one that the caller has had content of,
    /// or has left, is billed; any other is infermux's own loss.
    fn close(&mut self, record: &mut Record<'a>, outcome: Outcome) {
        let id = self.spare.stream().answer_id();
        if let Some((journal, id)) = record.journal.as_mut().zip(id) {
            journal.answered(self.attempt.crossing().masks, id);
        }
        // The caller who does not wait for the first content is billed what came before it, too.
        if self.is_committed() || outcome == Outcome::CallerGone {
            self.settle(record, outcome);
            unsettled::remember_stream(self.attempt, record, self.spare.stream());
        } else {
            self.lose(record, outcome);
        }
        if self.is_committed() {
            let job = self.attempt.job;
            job.shard.note_answer(job.routed.id, self.used().completion);
        }
        if let Some(event) = self.spare.stream().error() {
            self.attempt.note_error(record, event);
        }
    }

    /// Sends what is ready and reads more; the read is in the ring while the caller is served.
    async fn read(
        &mut self,
        caller: &mut Caller,
        up: &mut Upstream,
        fresh: &mut usize,
    ) -> Result<Fed, Broken> {
        if self.is_committed() {
            let shard = self.attempt.job.shard;
            *fresh = 0;
            up.watch(&shard.io.buffers, self.room());
            // What only shows that the provider is alive puts nothing off.
            let began = (!self.spare.stream().has_moved()).then(clock::now);
            let is_sent = !caller.out.is_empty();
            if is_sent {
                // A caller that reads slowly is no fault of the provider's.
                up.socket.deadline.clear();
                caller.send_out().await.map_err(|_| Broken::GONE)?;
            }
            caller.give_room_back();
            let now = clock::now();
            if is_sent {
                caller.signs.note_sent(now);
            }
            self.silent_until = match began {
                None => now + self.attempt.provider.stream_idle_timeout,
                Some(began) => self.silent_until + now.since(began),
            };
            if self.spare.stream().awaits_end() {
                self.silent_until = self.silent_until.min(now + END_WAIT);
            }
            up.socket.deadline.set(self.silent_until, Cut::Both);
        } else {
            // The head's fields, which stand in front, are needed until the stream is committed.
            up.bytes.truncate(up.head.len);
            *fresh = up.head.len;
            if self.spare.stream().works_unseen() {
                self.silent_until = clock::now() + self.attempt.provider.first_token_timeout;
                let until = self.silent_until.min(self.attempt.overall);
                up.socket.deadline.set(until, Cut::Both);
            }
        }
        let read = self.read_up(caller, up).await;
        let Some(read) = read else {
            return Err(Broken::by(caller));
        };
        match read {
            _ if caller.is_gone() => Err(Broken::by(caller)),
            Ok(count) if count > 0 => Ok(Fed::More),
            Ok(_) | Err(_) if up.socket.deadline.is_overdue() => {
                if self.spare.stream().may_end_in_silence() {
                    return Ok(Fed::Complete);
                }
                Err(Broken::STALLED)
            }
            Ok(_) if self.body.may_end() => Ok(Fed::Complete),
            Ok(_) | Err(_) if self.spare.stream().awaits_end() => Ok(Fed::Complete),
            Ok(_) | Err(_) => Err(Broken::CUT),
        }
    }

    /// Reads more of the provider's bytes while the caller is shown signs of life; `None`: it has
    /// left, or was cut off.
    async fn read_up(
        &mut self,
        caller: &mut Caller,
        up: &mut Upstream,
    ) -> Option<io::Result<usize>> {
        if self.is_committed() {
            caller.signs.next = self.spare.stream().sign();
        }
        let read = if self.spare.stream().awaits_usage() {
            // All of the content is there: nothing is saved when the provider is cut at once.
            caller.unless_gone(up.read_on()).await
        } else {
            Some(up.read_more(caller).await)
        };
        if self.is_committed() {
            self.spare.note_signs(caller.signs.next);
        }
        read
    }

    /// The caller has left. Where the content is complete, reads on for what it has used, which the
    /// provider bills in any case (promise `hangup.pays-as-told`).
    async fn await_usage(&mut self, up: &mut Upstream) {
        let attempt = self.attempt;
        let buffers = &attempt.job.shard.io.buffers;
        let until = clock::now() + USAGE_WAIT;
        up.socket.deadline.set(until, Cut::Both);
        while self.spare.stream().awaits_usage() {
            self.spare.drop_payload(buffers);
            up.watch(buffers, self.room());
            let read = up.read_on().await;
            if !matches!(read, Ok(count) if count > 0)
                || !matches!(self.feed(&up.bytes), Ok(Fed::More))
            {
                return;
            }
        }
    }

    /// Says how the stream ended, before its last bytes leave.
    fn settle(&self, record: &mut Record<'_>, outcome: Outcome) {
        if outcome == Outcome::CallerGone {
            record.caller_gone();
        }
        record.settle(self.used());
        record.count();
        let latency = record.first_byte.map(|at| at.since(self.attempt.sent_at));
        let sample = latency.map(|latency| Sample {
            latency,
            kind: SampleKind::FirstContent,
        });
        let used = self.used().sum();
        self.attempt.settle(clock::now(), outcome, sample, used);
    }

    /// Books the cost of a stream that the caller does not get. A provider that refuses in place of
    /// an answer bills what it has told, and nothing else.
    fn lose(&self, record: &mut Record<'_>, outcome: Outcome) {
        let seen = Seen {
            usage: self.spare.stream().usage(),
            text_bytes: self.spare.stream().text_bytes(),
        };
        let is_refusal = match outcome {
            Outcome::Failed(Failure::ErrorObject)
            | Outcome::RateLimited
            | Outcome::OwnKeyRefused(_)
            | Outcome::AccessRefused
            | Outcome::Overflowed
            | Outcome::CallerKeyRefused(_)
            | Outcome::RequestRefused(_) => seen == Seen::default(),
            Outcome::Answered
            | Outcome::StaleConnection
            | Outcome::ConnectFailed(_)
            | Outcome::TimedOut(_)
            | Outcome::Failed(_)
            | Outcome::NotMine
            | Outcome::Untranslatable
            | Outcome::TooLarge
            | Outcome::StreamCut
            | Outcome::StreamStalled
            | Outcome::CallerGone => false,
        };
        let seen = (!is_refusal).then_some(seen);
        self.attempt.abandoned(record, seen, outcome);
    }

    /// What a fault means; an error that the provider sent may mean more than that it failed.
    fn broken(&self, fault: StreamFault) -> Broken {
        let mut broken = Broken::of(fault);
        let told = self.spare.told_error(self.attempt.key);
        match (fault, told) {
            (StreamFault::Error, Some(told)) => broken.before = told,
            // What the request itself has caused says nothing about the provider.
            (
                StreamFault::ErrorRelayed,
                Some(told @ (Outcome::RequestRefused(_) | Outcome::Overflowed)),
            ) if self.attempt.dialect() == Dialect::Responses => {
                broken.after = told;
            }
            (_, _) => {}
        }
        broken
    }

    fn is_committed(&self) -> bool {
        self.spare.stream().is_committed()
    }

    fn used(&self) -> Used {
        self.attempt.used(
            self.spare.stream().usage(),
            self.spare.stream().text_bytes(),
        )
    }

    /// Starts the answer: nothing but its totals is unknown now.
    fn write_head(&self, caller: &mut Caller, record: &mut Record<'a>, up: &Upstream) {
        let now = clock::now();
        let latency = now.since(self.attempt.sent_at);
        let sign = self.spare.stream().sign();
        early::show_signs(self.attempt.job, caller, sign, now);
        record.response_time = Some(ResponseTime::FirstContent(latency));
        record.waited += now.since(self.attempt.started);
        answer_head::write_streamed(self.attempt, caller, record, up, now);
    }

    /// Moves what is for the caller into its buffer, as one chunk.
    fn write_payload(&mut self, caller: &mut Caller) {
        if self.spare.stream().has_error() {
            self.mask();
        }
        let job = self.attempt.job;
        self.spare
            .write_payload(job.request.version, caller, &job.shard.io.buffers);
    }

    /// Ends a complete answer: the last chunk, and what is known only now.
    fn write_end(&self, caller: &mut Caller) {
        if self.attempt.job.request.version == Version::Http11 {
            caller.out.extend_from_slice(b"0\r\n");
            headers::totals(&mut caller.out, &self.used().totals());
            caller.out.extend_from_slice(b"\r\n");
        }
    }
}

/// How long a provider may take to tell what a complete answer has used, once its caller has left.
const USAGE_WAIT: Duration = Duration::from_secs(1);
/// How long the end of a body is awaited once all events have come.
const END_WAIT: Duration = Duration::from_secs(1);
