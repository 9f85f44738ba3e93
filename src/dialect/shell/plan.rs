//! What the machine of a stream must know.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::tokens::Tokens;
use crate::decide::outcome::KeyOwner;
use crate::dialect::names::Names;
use crate::dialect::responses::echo::Echo;
use crate::dialect::tariff::Tariff;

/// What the machine of a stream must know.
#[derive(Clone, Copy, Debug)]
pub struct StreamPlan<'a> {
    /// The dialect that the caller reads.
    pub caller: Dialect,
    /// The dialect that the provider writes.
    pub provider: Dialect,
    /// The endpoint that the provider answers.
    pub endpoint: Endpoint,
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// Whether infermux or the caller asked for the usage chunk.
    pub usage: UsageChunk,
    /// Whether the caller asked for the usage chunk.
    pub include_usage: IncludeUsage,
    /// Whether the provider sends its notes about the content in chunks of their own.
    pub notes_apart: bool,
    /// What the request and its attempt say of the answer.
    pub wanted: Wanted<'a>,
    /// What its cost is computed from, where the caller wants the cost in the usage.
    pub tariff: Option<Tariff>,
    /// When the answer began, in Unix seconds.
    pub created: u64,
    /// Longest event, in bytes: no less than one read, since events that fit a form are not
    /// measured.
    pub event_bytes_max: usize,
}

/// What a request and its attempt say of the answer, where a dialect must know.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Whether the caller has asked for what the model thinks.
    pub thoughts: Thoughts,
    /// The names of tools that were made shorter for the provider.
    pub names: Option<&'a Names>,
    /// The texts at which the caller wants the answer to end.
    pub stops: &'a [Box<str>],
    /// How many tokens the prompt has, as far as is known before the provider tells.
    pub prompt: Tokens,
    /// The id of the request, which some dialects name in their errors.
    pub request_id: &'a str,
    /// What fresh ids are made of: random numbers.
    pub seed: [u64; 2],
    /// What a response repeats of its request; `None`: the caller speaks another dialect.
    pub echo: Option<&'a Echo>,
    /// Whose key the provider was asked with.
    pub key: KeyOwner,
}

impl<'a> Wanted<'a> {
    /// Nothing but an answer.
    pub const NOTHING: Self = Self {
        thoughts: Thoughts::Shown,
        names: None,
        stops: &[],
        prompt: Tokens::ZERO,
        request_id: "",
        seed: [0; 2],
        echo: None,
        key: KeyOwner::Infermux,
    };

    /// Whether the caller is told all that a provider says of its answer.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.echo.is_some()
    }

    /// The names that the reader of an answer restores. In a response a tool is more than its name,
    /// and the writer restores it.
    #[must_use]
    pub fn read_names(&self) -> Option<&'a Names> {
        self.names.filter(|_| !self.is_response())
    }
}

/// Whether a caller has asked for what the model thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thoughts {
    /// It gets what there is.
    #[default]
    Shown,
    /// It gets none: programs take the first block of an answer for its text.
    Hidden,
}

/// Who asked for the usage chunk of a stream that is relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageChunk {
    /// infermux asked: the chunk, and what else the request for it caused, is removed.
    Injected,
    /// The caller asked, or nobody did: everything is relayed.
    #[default]
    Untouched,
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
