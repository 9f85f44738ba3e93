//! A whole answer in no dialect's words: readers make it, writers send it.
//!
//! A *string* here is the text of a JSON string with its quotes, escapes as the provider wrote
//! them. All text is valid JSON.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use crate::base::tokens::Tokens;
use crate::decide::outcome::{Failure, Outcome};
use crate::dialect::event::Stop;
use crate::dialect::prompt::Input;
use crate::wire::usage::Usage;

/// A whole answer.
#[derive(Default)]
pub struct Answer<'a> {
    /// A string.
    pub id: Option<&'a [u8]>,
    /// What is said, in order: strings.
    pub texts: SmallVec<[&'a [u8]; 1]>,
    /// What the model has thought, in order: strings.
    pub thoughts: SmallVec<[&'a [u8]; 1]>,
    /// What proves to the provider that the thoughts are its own, when the caller sends them back:
    /// the inside of a JSON string.
    pub signature: Option<&'a [u8]>,
    /// How likely the pieces of the texts were: the inside of a JSON list.
    pub logprobs: Option<Vec<u8>>,
    /// The provider's word for how it has served the request, a string.
    pub tier: Option<&'a [u8]>,
    /// The calls of tools, in order.
    pub calls: Vec<Call<'a>>,
    /// Why the model has stopped; `None`: it does not say.
    pub stop: Option<Stop>,
    /// The stop sequence that was met, the inside of a JSON string.
    pub sequence: Option<&'a [u8]>,
    /// Why the model does not answer, a string.
    pub refusal: Option<&'a [u8]>,
    /// The usage that the provider states, which may count nothing.
    pub usage: Option<Usage>,
    /// The part of the output that the model has thought, where that is told.
    pub thinking: Option<Tokens>,
    /// Length of everything that was generated, thoughts and arguments included, for an estimate.
    pub text_bytes: usize,
}

/// A call of a tool.
pub struct Call<'a> {
    /// A string.
    pub id: Option<&'a [u8]>,
    /// A string.
    pub name: Cow<'a, [u8]>,
    /// Its arguments.
    pub input: Input<'a>,
    /// Its arguments as they were written, where that was in a string.
    pub written: Option<&'a [u8]>,
    /// What proves to the provider that the call is its own, when the caller sends it back: a
    /// string.
    pub signature: Option<&'a [u8]>,
}

/// What is known about an answer besides its text, once it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The usage that the provider states; `None`: it must be estimated.
    pub usage: Option<Usage>,
    /// Length of everything that was generated, thoughts and arguments included, for an estimate.
    pub text_bytes: usize,
    /// Of a response: where the items of its output stand in what was written.
    pub items: SmallVec<[ItemPlace; 1]>,
}

/// Where an item of a response stands in what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// All of it.
    pub item: Range<usize>,
    /// Its id, without quotes, which has no escapes.
    pub id: Range<usize>,
}

impl Answer<'_> {
    /// What is known about it besides its text, before it is written.
    #[must_use]
    pub fn known(&self) -> Known {
        let counts_some = |usage: &Usage| usage.prompt.saturating_add(usage.completion).get() > 0;
        Known {
            usage: self.usage.filter(counts_some),
            text_bytes: self.text_bytes,
            items: SmallVec::new(),
        }
    }
}

/// Why a body with a success status is no answer: another provider may give one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// The body is not one JSON object, or not an answer of the dialect.
    #[error("the provider's answer is not one of its dialect")]
    Malformed,
    /// An `error` in an answer of status 200.
    #[error("the provider's answer is an error")]
    Error,
    /// The error says that there were too many requests.
    #[error("the provider's answer says that it is at its rate limit")]
    RateLimit,
    /// The error says that infermux's own account has no credit.
    #[error("the provider's answer says that the account has no credit")]
    Account,
    /// No list of contents, or of choices.
    #[error("the provider's answer has no content")]
    NoContent,
}

impl AnswerFault {
    /// The outcome of the attempt.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Malformed => Outcome::Failed(Failure::Malformed),
            Self::Error => Outcome::Failed(Failure::ErrorObject),
            Self::RateLimit => Outcome::RateLimited,
            Self::Account => Outcome::OwnKeyRefused(429),
            Self::NoContent => Outcome::Failed(Failure::NoChoices),
        }
    }
}
