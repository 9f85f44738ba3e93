//! What is recorded of a request that has ended, for those who write usage records or send traces.
//! It holds names, numbers and times: nothing of what was asked and answered, and no key.

use std::sync::Arc;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::{Counts, Tokens};
use crate::base::trace::SpanId;
use crate::decide::affinity::Stay;
use crate::decide::outcome::{KeyOwner, Outcome};
use crate::decide::strategy::Strategy;
use crate::link::facts::MonthTag;
use crate::link::meters::Priced;
use crate::link::trace::Trace;

/// Something that is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A request that has ended, with its attempts.
    Request(Box<RequestEntry>),
    /// What a response in the background has used beyond what was recorded of its request.
    Correction(Box<Correction>),
}

/// A request that has ended. Its status, cost and tokens are those of the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEntry {
    /// Its id, of visible ASCII.
    pub id: Box<str>,
    /// The trace that it belongs to, where that is told.
    pub trace: Option<Arc<Trace>>,
    /// When its head was complete.
    pub started: Moment,
    /// When all of it had arrived.
    pub ready: Instant,
    /// When it ended: its answer had left, or there is none.
    pub ended: Instant,
    /// When the first byte of its answer left; `None`: none did.
    pub first_byte: Option<Instant>,
    /// The method.
    pub method: Option<Box<str>>,
    /// The beginning of the path, without the query.
    pub path: Option<Box<str>>,
    /// The name of the endpoint, or of what else it asks for.
    pub endpoint: Option<&'static str>,
    /// The dialect of its caller, at an endpoint that dialects have.
    pub dialect: Option<Dialect>,
    /// Whether a stream was asked for; `None`: its body was not read that far.
    pub stream: Option<bool>,
    /// Whose it is.
    pub principal: Names,
    /// The model that was asked for.
    pub model: Option<Box<str>>,
    /// The model that a budget put in place of that one.
    pub model_override: Option<Box<str>>,
    /// How its provider was chosen.
    pub strategy: Option<Strategy>,
    /// The group that its model is in.
    pub group: Option<Box<str>>,
    /// Whether it went to the provider of its conversation; `None`: conversations are not kept
    /// together.
    pub stay: Option<Stay>,
    /// The month in which its cost is booked.
    pub month: MonthTag,
    /// The status that its caller was told; 499 for one that left.
    pub status: u16,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// What is billed; `None`: nothing was used.
    pub spend: Option<Spend>,
    /// What attempts have cost that failed after their provider had begun to answer.
    pub failed_cost: Option<NanoUsd>,
    /// Providers that it was sent to, as its access line counts them.
    pub attempts_sent: u32,
    /// Its attempts, in their order.
    pub attempts: Vec<AttemptEntry>,
}

/// Whom a request is counted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The name of the caller's key.
    pub key: Option<Box<str>>,
    /// The team of that key.
    pub team: Option<Box<str>>,
    /// The caller.
    pub caller: Option<Box<str>>,
    /// The project.
    pub project: Option<Box<str>>,
    /// The environment.
    pub env: Option<Box<str>>,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the process's clock.
    pub at: Instant,
    /// In nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
}

/// An attempt at one provider, which may have been sent a request more than once: over a fresh
/// connection, or without what it refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptEntry {
    /// The provider's name.
    pub provider: Box<str>,
    /// The provider's type, as the file has it.
    pub provider_type: &'static str,
    /// The provider's host, without brackets.
    pub host: Box<str>,
    /// The provider's port.
    pub port: u16,
    /// The dialect in which it was asked.
    pub dialect: Dialect,
    /// The provider's name for the model; empty where the request has none.
    pub model: Box<str>,
    /// Whether it tests an open circuit.
    pub is_probe: bool,
    /// How the attempt before ended, at another provider; `None`: it is the first.
    pub after: Option<Outcome>,
    /// When it began.
    pub started: Instant,
    /// When its request was sent, the last time; `None`: no connection came about.
    pub sent: Option<Instant>,
    /// How often the request was sent.
    pub sends: u32,
    /// Whose key the request was sent with.
    pub key: Option<KeyOwner>,
    /// When the head of the answer was there; `None`: there was none.
    pub head: Option<Instant>,
    /// When the first content of a stream was there; `None`: the caller got no stream from it.
    pub first_content: Option<Instant>,
    /// When it ended.
    pub ended: Instant,
    /// The status of the provider's answer; `None`: there was none.
    pub status: Option<u16>,
    /// How it ended; `None`: infermux itself has ended it.
    pub outcome: Option<Outcome>,
    /// What it has used; `None`: nothing.
    pub spend: Option<Spend>,
    /// Whether that is a loss, for which nobody is billed.
    pub is_lost: bool,
    /// Its span, which the provider was sent; `None`: none was sent.
    pub span: Option<SpanId>,
    /// The provider's own id for the request.
    pub provider_request_id: Option<Box<str>>,
    /// The provider's id of its answer.
    pub answer_id: Option<Box<str>>,
}

/// What was used, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spend {
    /// Tokens of the prompt, the cached ones included.
    pub prompt: Tokens,
    /// Tokens of the answer.
    pub completion: Tokens,
    /// The tokens as they are billed, by kind.
    pub counts: Counts,
    /// Tokens of the answer that were thought; `None`: the provider told none.
    pub thinking: Option<Tokens>,
    /// What they cost.
    pub cost: NanoUsd,
    /// Whether their price is known.
    pub priced: Priced,
    /// Whether the tokens are estimated from the length of the text, since the provider told none.
    pub is_estimated: bool,
}

/// What a response in the background has used beyond what was recorded of its request, of which
/// only an estimate was known. Its cost counts in the month of that request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// When it was learned.
    pub at: Moment,
    /// The id of the request that began the response.
    pub request_id: Box<str>,
    /// The id of the response.
    pub response_id: Box<str>,
    /// Whom it is counted for.
    pub principal: Names,
    /// The provider's name.
    pub provider: Box<str>,
    /// The provider's name for the model.
    pub model: Box<str>,
    /// The month in which its cost is booked.
    pub month: MonthTag,
    /// What it has used beyond what was recorded.
    pub spend: Spend,
}

impl Entry {
    /// The request, where it is one.
    #[must_use]
    pub fn request(&self) -> Option<&RequestEntry> {
        match self {
            Self::Request(request) => Some(request),
            Self::Correction(_) => None,
        }
    }
}

impl Moment {
    /// Another moment of the process's clock, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn unix_nanos_of(&self, other: Instant) -> u64 {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (later, earlier) = (other.since(self.at), self.at.since(other));
        let later = self.unix_nanos.saturating_add(nanos(later));
        later.saturating_sub(nanos(earlier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_tells_the_calendar_time_of_others() {
        let moment = Moment {
            at: Instant::from_nanos(500),
            unix_nanos: 1_000_000,
        };
        for (nanos, expected) in [(500, 1_000_000), (501, 1_000_001), (400, 999_900)] {
            let told = moment.unix_nanos_of(Instant::from_nanos(nanos));
            assert_eq!(told, expected, "{nanos}");
        }
    }
}
