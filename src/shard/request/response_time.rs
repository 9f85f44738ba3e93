//! How long a provider took to answer.

use std::time::Duration;

use crate::link::noted::Form;

/// A provider's response time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTime {
    /// To the end of its answer.
    Whole(Duration),
    /// To the first content of its stream.
    FirstContent(Duration),
}

impl ResponseTime {
    /// The form of the answer.
    #[must_use]
    pub const fn form(self) -> Form {
        match self {
            Self::Whole(_) => Form::Whole,
            Self::FirstContent(_) => Form::Stream,
        }
    }

    /// How long the first content of a stream took.
    #[must_use]
    pub const fn first_content(self) -> Option<Duration> {
        match self {
            Self::FirstContent(span) => Some(span),
            Self::Whole(_) => None,
        }
    }
}
