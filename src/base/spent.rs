//! What requests have used: their number, tokens and money.

use crate::base::money::NanoUsd;

/// Requests, and the tokens and money that they used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// What they cost.
    pub cost: NanoUsd,
    /// How many.
    pub requests: u64,
    /// Tokens of their prompts, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub completion_tokens: u64,
}

impl Spent {
    /// The sum of both, capped.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cost: self.cost.saturating_add(other.cost),
            requests: self.requests.saturating_add(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self
                .completion_tokens
                .saturating_add(other.completion_tokens),
        }
    }

    /// The difference to `other`, not below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            cost: self.cost.saturating_sub(other.cost),
            requests: self.requests.saturating_sub(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_sub(other.prompt_tokens),
            completion_tokens: self
                .completion_tokens
                .saturating_sub(other.completion_tokens),
        }
    }

    /// Tokens of both kinds.
    #[must_use]
    pub const fn tokens(self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Whether there was nothing at all.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl std::iter::Sum for Spent {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::plus)
    }
}
