//! What operators are told at once, wherever they are: that something is wrong, or right again.

use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::time::WallTime;

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A budget has reached 80 % or 100 %, or has refused a request before that.
    Budget,
    /// A provider's circuit is open, or closed again.
    Circuit,
    /// A provider fails its health check, or passes it again.
    ProviderDown,
    /// The state file cannot be written, or is written again.
    StateNotWritten,
    /// A model is used whose price is not known.
    Unpriced,
    /// The shared store is out of reach or without data, or grants again.
    SharedState,
    /// Nothing has happened: somebody tries whether notices arrive.
    Test,
}

impl Event {
    /// Those that happen by themselves, with their names in the file.
    pub const ALL: [(&'static str, Self); 6] = [
        ("budget", Self::Budget),
        ("circuit", Self::Circuit),
        ("provider_down", Self::ProviderDown),
        ("state_not_written", Self::StateNotWritten),
        ("unpriced", Self::Unpriced),
        ("shared_state", Self::SharedState),
    ];

    /// Its name, in the file and everywhere else.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, event)| *event == self);
        found.map_or("test", |(name, _)| name)
    }
}

/// How bad it is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It is over, or nothing is wrong.
    Info,
    /// Requests are still served.
    Warning,
    /// Requests are refused, or money may be lost.
    Critical,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Whether what a notice tells has an end that is told, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It lasts until a notice of severity [`Severity::Info`] about the same subject.
    Lasting,
    /// It is a moment.
    Moment,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub event: Event,
    /// Which one of its kind: two notices with the same event and subject are about the same thing.
    pub subject: Box<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it has an end that is told, too.
    pub course: Course,
    /// A sentence for people, without a full stop.
    pub message: String,
    /// The same for programs: names and values.
    pub details: Vec<(&'static str, Detail)>,
}

/// The value of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A text.
    Text(Box<str>),
    /// A whole number.
    Whole(u64),
    /// US dollars.
    Usd(NanoUsd),
    /// Yes or no.
    Flag(bool),
}

impl Detail {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }
}

/// A notice as it is told: the same however often that is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// Tells it from all others, those of other instances included.
    pub id: Box<str>,
    /// When it happened.
    pub at: WallTime,
    /// What.
    pub notice: Notice,
}

/// How an attempt to tell a webhook something has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The webhook has taken it.
    Taken,
    /// The webhook does not want this notice (400 to 499): others may be better off.
    Refused {
        /// Why, for the log.
        why: String,
    },
    /// It cannot take any now.
    Failed {
        /// Why, for the log.
        why: String,
        /// How long it asks to be left alone.
        pause: Option<Duration>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_names_of_their_own() {
        for (name, event) in Event::ALL {
            assert_eq!(event.name(), name);
        }
        assert_eq!(Event::Test.name(), "test");
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    }
}
