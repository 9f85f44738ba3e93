//! The end of a stream that broke after its first content: what its caller is told.

use std::time::Duration;

use crate::decide::outcome::Outcome;
use crate::dialect::shell::part::BrokenEnd;
use crate::exchange::refusal::{LastWord, Refusal};
use crate::shard::http::caller::Caller;
use crate::shard::request::record::Record;
use crate::shard::request::stream::Stream;
use crate::shard::request::stream::broken::{Broken, CallerKnows};

impl<'a> Stream<'_, '_, 'a> {
    /// Ends what is for the caller with an error. That of a provider has come whole, however it was
    /// cut on its way: no key is in two payloads.
    pub(super) fn end_broken(&mut self, broken: Broken) {
        match broken.caller_knows {
            CallerKnows::Yes => self.mask(),
            CallerKnows::No => self.tell_broken(broken),
            CallerKnows::Never => {}
        }
    }

    fn tell_broken(&mut self, broken: Broken) {
        let (attempt, outcome) = (self.attempt, broken.told());
        let last = LastWord {
            provider: &attempt.provider.name,
            model: &attempt.job.ask.model,
            outcome,
            retry: Duration::ZERO,
        };
        let refusal = match outcome {
            Outcome::CallerGone => Some(Refusal::ShuttingDown),
            outcome => Refusal::of_verdict(outcome.verdict(), &last),
        };
        let Some(refusal) = refusal else { return };
        if self.spare.stream().ends_broken_bodies() {
            let reason = match broken {
                Broken::CUT => "upstream closed the stream before completion".to_owned(),
                Broken::STALLED => {
                    let silence = attempt.provider.stream_idle_timeout.as_secs_f64();
                    format!("upstream sent nothing for {silence} s")
                }
                _ => refusal.to_string(),
            };
            if self.spare.break_off(&reason) == BrokenEnd::Told {
                return self.mask();
            }
        }
        let request = attempt.job.request;
        let (dialect, id) = (request.dialect, request.id.as_str());
        refusal.write_frame(dialect, id, self.spare.payload());
    }

    pub(super) fn mask(&mut self) {
        self.attempt.job.shard.era.masks.mask(self.spare.payload());
    }

    /// Ends a stream that broke after its first content.
    pub(super) async fn break_off(
        &mut self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        broken: Broken,
    ) -> Outcome {
        note(record, broken.after);
        self.settle(record, broken.after);
        if self.spare.stream().ends_broken_bodies() {
            self.write_end(caller);
            record.has_end = true;
        }
        // Whoever reads the error frame can rely on its consequences.
        self.attempt.job.shard.reports.enforce().await;
        let sent = caller.send_out().await;
        sent.map_or(Outcome::CallerGone, |()| broken.after)
    }
}

/// Says in the log how a stream broke.
fn note(record: &mut Record<'_>, outcome: Outcome) {
    if outcome == Outcome::CallerGone {
        record.cut_off();
    } else if outcome == Outcome::StreamStalled {
        record.error = Some("upstream_timeout");
    } else {
        record.error = Some("upstream_error");
    }
}
