//! What a stream has used.

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::dialect::tariff::Tariff;
use crate::wire::usage::Usage;

/// What a stream has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// What the provider told last.
    pub told: Option<Usage>,
    /// The part of the output that the model has thought, where that is told.
    pub thinking: Option<Tokens>,
    /// Whether `told` counts all of the answer, and not only its beginning.
    pub is_total: bool,
    /// Length of the text that was passed on or held back, for an estimate.
    pub text_bytes: usize,
    /// What the cost is computed from, where the caller wants the cost in the usage.
    pub tariff: Option<Tariff>,
}

impl Books {
    /// The usage; `None`: the provider has not told it, and it must be estimated. Where it told
    /// only that of the beginning, at least the text that was seen counts.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let seen = if self.is_total {
            Tokens::ZERO
        } else {
            Tokens::estimated(self.text_bytes)
        };
        self.told.map(|told| Usage {
            completion: told.completion.max(seen),
            ..told
        })
    }

    /// What the stream has cost so far, where the caller wants to know.
    #[must_use]
    pub fn cost(&self) -> Option<NanoUsd> {
        let tariff = self.tariff.as_ref()?;
        Some(tariff.cost(self.usage(), self.text_bytes))
    }

    /// Takes in usage that counts all that has come so far.
    pub const fn tell(&mut self, usage: Option<Usage>) {
        self.told = usage;
        self.is_total = true;
    }

    pub(super) const fn take(&mut self, usage: Usage, thinking: Option<Tokens>, is_total: bool) {
        self.told = Some(usage);
        self.thinking = thinking;
        self.is_total = is_total;
    }

    /// Counts text that is passed on or held back.
    pub const fn count_text(&mut self, bytes: usize) {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
    }
}
