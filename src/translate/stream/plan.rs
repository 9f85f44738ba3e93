//! What a stream's translation has to know.

use crate::translate::tariff::Tariff;

/// What a stream's translation has to know.
#[derive(Clone, Copy, Debug)]
pub struct StreamPlan<'a> {
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// Whether the caller asked for the usage chunk.
    pub include_usage: IncludeUsage,
    /// What its cost is made of, where the caller wants it in its usage.
    pub tariff: Option<Tariff>,
    /// When the answer began, in Unix seconds.
    pub created: u64,
    /// Longest event, in bytes: no less than one read, since what looks alike is not measured.
    pub event_bytes_max: usize,
}

/// Whether the caller asked for the usage chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeUsage {
    /// It did.
    Yes,
    /// It gets none.
    #[default]
    No,
}
