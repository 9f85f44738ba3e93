//! Errors of providers, as callers get them.

use std::time::Duration;

use crate::shard::request::words::Words;

/// An error of a provider as the caller is to get it.
#[derive(Default)]
pub struct Error {
    /// The status.
    pub status: u16,
    /// The body, in the shape of the caller's dialect.
    pub body: Vec<u8>,
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
