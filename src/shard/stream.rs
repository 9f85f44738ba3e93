//! Streams: relayed read by read, held back until the first content.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::decide::failover::Attempts;
use crate::decide::outcome::{Failure, Outcome, Verdict, Waiting};
use crate::exchange::headers::{self, TRAILER_ANNOUNCEMENT, Totals};
use crate::exchange::inbound;
use crate::exchange::refusal::{LastWord, Refusal};
use crate::exchange::relay::{RelayPlan, StreamFault, StreamRelay};
use crate::exchange::request::Version;
use crate::shard::attempt::Attempt;
use crate::shard::caller::Caller;
use crate::shard::guarded;
use crate::shard::run::Shard;
use crate::shard::settle::{Record, Used};
use crate::shard::timers::Cut;
use crate::shard::upstream::Upstream;
use crate::sys::clock;
use crate::wire::body::Body;
use crate::wire::chunked::{Piece, write_chunk_head};

/// Relays the stream whose head has been read, and says how it ended.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &mut Attempts,
    mut up: Upstream,
) -> Outcome {
    let shard = attempt.job.shard;
    let mut relay = shard.relays.borrow_mut().pop().unwrap_or_default();
    relay.reset(&RelayPlan {
        caller_model: attempt.caller_model(),
        kind: attempt.provider.kind,
        endpoint: attempt.job.endpoint,
        usage: attempt.usage,
    });
    let mut stream = Stream { attempt, relay: &mut relay, body: Body::new(up.head.framing) };
    let outcome = stream.run(caller, record, attempts, &mut up).await;
    if stream.relay.is_committed() {
        record.tokens = Some(stream.used());
    }
    let body = stream.body;
    if outcome == Outcome::Answered {
        finish_upstream(shard, attempt.candidate().provider, up, body);
    }
    shard.relays.borrow_mut().push(relay);
    outcome
}

/// A stream on its way.
struct Stream<'s, 'j, 'a> {
    attempt: &'s Attempt<'j, 'a>,
    relay: &'s mut StreamRelay,
    body: Body,
}

/// What a read of the provider's bytes amounts to.
enum Fed {
    /// More is to come.
    More,
    /// The provider's body, or the stream in it, is complete.
    Complete,
}

impl<'a> Stream<'_, '_, 'a> {
    async fn run(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        attempts: &mut Attempts,
        up: &mut Upstream,
    ) -> Outcome {
        let head_at = clock::now();
        let content_by = head_at + self.attempt.provider.first_token_timeout;
        up.socket.deadline.set(content_by.min(self.attempt.overall), Cut::Both);
        // The head's fields are needed until the stream is committed; the payload behind it is not.
        let mut fresh = up.head.len;
        let mut payload = std::mem::take(&mut self.attempt.job.shard.scratch.borrow_mut().payload);
        payload.clear();
        let outcome = loop {
            let fed = self.feed(&up.bytes[fresh..], &mut payload);
            let fed = match fed {
                Ok(fed) => fed,
                Err(fault) => break self.break_off(caller, record, &mut payload, fault).await,
            };
            if self.relay.is_committed() && !payload.is_empty() {
                if record.first_byte.is_none() {
                    attempts.commit();
                    self.write_head(caller, record, up);
                }
                self.frame(caller, &mut payload);
            }
            if matches!(fed, Fed::Complete) {
                self.write_end(caller);
                break sent(caller.send_out(self.attempt.job.shard).await);
            }
            if let Err(outcome) = self.next_read(caller, up, &mut fresh).await {
                break match outcome {
                    Outcome::CallerGone => outcome,
                    _ => self.break_off(caller, record, &mut payload, outcome).await,
                };
            }
        };
        self.attempt.job.shard.scratch.borrow_mut().payload = payload;
        outcome
    }
}
