//! A circuit's states, the attempts that it is told of, and its transitions with their reasons.

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
        /// Distinguishes this permit from earlier ones.
        generation: u32,
        /// Whether the permit may still be taken.
        permit: Permit,
    },
}

/// Whether the permit for the one probe may still be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, without a time limit.
    Free,
    /// A probe is on its way.
    Taken {
        /// When the probe counts as failed.
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
    /// What the end says about the provider.
    pub signal: Signal,
    /// How long the provider took, where that says something.
    pub response_time: Option<ResponseTime>,
    /// The permit that it was sent with, if it was a probe.
    pub probe: Option<u32>,
    /// For a failure: how many successes of the provider had ended before it.
    pub successes_before: u64,
}

/// How long a provider took, and to do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTime {
    /// The first content of a stream.
    FirstContent(Duration),
    /// The last byte of an answer that was not streamed.
    WholeAnswer(Duration),
}

/// A change of state that shards and the log are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
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
    /// The provider failed its probe.
    ProbeFailed,
    /// The probe did not end in time.
    ProbeTimeout,
    /// The probe ended without saying anything about the provider; another may be sent.
    ProbeNeutral,
    /// An operator changed it.
    Manual,
    /// The configuration was reloaded while a probe was under way.
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
    /// The length of the response time.
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
