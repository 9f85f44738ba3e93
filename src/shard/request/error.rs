//! Errors of providers, as callers get them.

use std::time::Duration;

use crate::exchange::answer_head::{EVENTS, JSON};
use crate::shard::request::words::Words;

/// An error of a provider as the caller is to get it.
#[derive(Default)]
pub struct Error {
    /// The status.
    pub status: u16,
    /// The body, in the shape of the caller's dialect.
    pub body: Vec<u8>,
    /// What the body is.
    pub form: Form,
}

/// What the body of an error is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    #[default]
    Object,
    /// The events of a stream that has failed.
    Events,
}

impl Form {
    /// The media type of such a body.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Object => JSON,
            Self::Events => EVENTS,
        }
    }
}

impl Error {
    /// An error that is one JSON object.
    #[must_use]
    pub const fn object(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            form: Form::Object,
        }
    }

    /// The events of a stream that has failed, whose answer has this status.
    #[must_use]
    pub const fn events(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            form: Form::Events,
        }
    }
}

/// An error that may be told later, when its provider's connection is used again.
pub struct KeptError {
    /// Place of its candidate on the route.
    pub place: usize,
    /// The error.
    pub error: Error,
    /// The provider's fields that cross.
    pub fields: Vec<u8>,
    /// The provider's own words.
    pub words: Words,
    /// How long the provider took.
    pub latency: Duration,
}
