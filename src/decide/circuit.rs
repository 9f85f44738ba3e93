//! What is said about a circuit: what it is, what ended, what changed and why.

use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::outcome::Signal;

/// What a circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In service.
    Closed,
    /// Out of service.
    Open {
        /// From when.
        since: Instant,
        /// When it becomes half-open.
        until: Instant,
    },
    /// One probe may be sent.
    HalfOpen {
        /// Tells this permit from the ones before.
        generation: u32,
        /// Whether it may still be taken.
        permit: Permit,
    },
}

/// Whether the permit for the one probe may still be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, for as long as nobody does.
    Free,
    /// A probe is on its way.
    Taken {
        /// When it counts as failed.
        until: Instant,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When the attempt was admitted.
    pub admitted: Instant,
    /// When it ended.
    pub at: Instant,
    /// What it says about the provider.
    pub signal: Signal,
    /// How long the provider took, where that says something.
    pub response_time: Option<ResponseTime>,
    /// The permit that it was sent with, if it was a probe.
    pub probe: Option<u32>,
    /// For a failure: how many successes of the provider had ended before it.
    pub successes_before: u64,
}

/// How long a provider took, by what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTime {
    /// The first content of a stream.
    FirstContent(Duration),
    /// The last byte of an answer that was not streamed.
    WholeAnswer(Duration),
}

/// A change that shards and the log are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What the circuit was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// Why a circuit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a share of failures over the window.
    ErrorRate,
    /// Too slow a p95 over the window.
    LatencyP95,
    /// The recovery window is over.
    RecoveryWindow,
    /// The provider answered its probe.
    ProbeSucceeded,
    /// It failed its probe.
    ProbeFailed,
    /// It was not heard of in time.
    ProbeTimeout,
    /// The probe ended without a word about the provider; another may be sent.
    ProbeNeutral,
    /// An operator said so.
    Manual,
    /// The configuration was reloaded while its probe was out.
    Reload,
}

impl State {
    /// Its name in reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

impl ResponseTime {
    /// How long it was.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self {
            Self::FirstContent(span) | Self::WholeAnswer(span) => span,
        }
    }
}

impl Reason {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::ErrorRate => "error_rate",
            Self::LatencyP95 => "latency_p95",
            Self::RecoveryWindow => "recovery_window",
            Self::ProbeSucceeded => "probe_succeeded",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeTimeout => "probe_timeout",
            Self::ProbeNeutral => "probe_neutral",
            Self::Manual => "manual",
            Self::Reload => "reload",
        }
    }
}
