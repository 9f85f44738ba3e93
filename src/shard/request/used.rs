//! What a request has used.

use crate::base::money::NanoUsd;
use crate::base::spent::Spent;
use crate::base::tokens::{Counts, Tokens};
use crate::exchange::headers::Totals;
use crate::link::meters::Priced;
use crate::report::access_line::Counted;
use crate::wire::usage::Usage;

/// Tokens of a request.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Of the prompt.
    pub prompt: Tokens,
    /// Of the answer.
    pub completion: Tokens,
    /// Who counted.
    pub counted: Counted,
    /// What they cost.
    pub cost: NanoUsd,
    /// The tokens as they are billed.
    pub counts: Counts,
    /// Tokens of the answer that were thought, where the provider tells.
    pub thinking: Option<Tokens>,
    /// Whether their price is known.
    pub priced: Priced,
}

impl Used {
    /// The tokens that the provider tells; where it tells none, a quarter of the characters. Their
    /// cost is 0 until it is set.
    #[must_use]
    pub fn new(usage: Option<Usage>, prompt_bytes: usize, text_bytes: usize) -> Self {
        let estimated = || Usage {
            prompt: Tokens::estimated(prompt_bytes),
            completion: Tokens::estimated(text_bytes),
            ..Usage::default()
        };
        let counted = if usage.is_some() {
            Counted::ByProvider
        } else {
            Counted::ByEstimate
        };
        let usage = usage.unwrap_or_else(estimated);
        Self {
            prompt: usage.prompt,
            completion: usage.completion,
            counted,
            cost: NanoUsd::ZERO,
            counts: usage.counts(),
            thinking: usage.thinking,
            priced: Priced::No,
        }
    }

    /// Whether nobody has told the tokens.
    #[must_use]
    pub fn is_estimated(&self) -> bool {
        self.counted == Counted::ByEstimate
    }

    /// As it is booked.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            cost: self.cost,
            requests: 1,
            prompt_tokens: self.prompt.get(),
            completion_tokens: self.completion.get(),
        }
    }

    /// Prompt and answer together.
    #[must_use]
    pub fn sum(&self) -> Tokens {
        self.prompt.saturating_add(self.completion)
    }

    /// As headers or trailers.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            prompt: Some(self.prompt),
            completion: Some(self.completion),
            cost: Some(self.cost),
        }
    }
}
