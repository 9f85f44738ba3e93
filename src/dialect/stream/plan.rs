//! What the translation of a stream must know.

use crate::dialect::tariff::Tariff;

/// What the translation of a stream must know.
#[derive(Clone, Copy, Debug)]
pub struct StreamPlan<'a> {
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// Whether the caller asked for the usage chunk.
    pub include_usage: IncludeUsage,
    /// What its cost is computed from, where the caller wants the cost in the usage.
    pub tariff: Option<Tariff>,
    /// When the answer began, in Unix seconds.
    pub created: u64,
    /// Longest event, in bytes: no less than one read, since events that fit a form are not
    /// measured.
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
