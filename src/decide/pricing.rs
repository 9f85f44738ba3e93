//! What a request costs.

use crate::base::money::{NanoUsd, Price};
use crate::base::tokens::{Counts, Tokens};

/// A model's prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The usual prices.
    pub rates: Rates,
    /// The prices of long prompts.
    pub tier: Option<Tier>,
}

/// A price for each kind of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens that no cache had a part in.
    pub input: Price,
    /// Prompt tokens read from a cache.
    pub cache_read: Price,
    /// Prompt tokens written to a cache.
    pub cache_write: Price,
    /// Prompt tokens written to a cache that keeps them for an hour.
    pub cache_write_1h: Price,
    /// Everything that was generated.
    pub output: Price,
}

/// The prices of a request whose prompt is longer than usual; they hold for all of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// They hold for prompts longer than this.
    pub above: Tokens,
    /// The prices.
    pub rates: Rates,
}

impl Row {
    /// The prices of a model that costs nothing.
    pub const FREE: Self = Self {
        rates: Rates::flat(Price::per_million(0), Price::per_million(0)),
        tier: None,
    };

    /// Prices without regard to caches and long prompts.
    #[must_use]
    pub const fn flat(input: Price, output: Price) -> Self {
        Self {
            rates: Rates::flat(input, output),
            tier: None,
        }
    }

    /// The prices that hold for a prompt of this length, cached tokens included.
    #[must_use]
    pub fn rates(&self, prompt: Tokens) -> &Rates {
        match &self.tier {
            Some(tier) if prompt > tier.above => &tier.rates,
            Some(_) | None => &self.rates,
        }
    }
}

impl Rates {
    /// Prices without regard to caches: cached prompt tokens cost the same as others.
    #[must_use]
    pub const fn flat(input: Price, output: Price) -> Self {
        Self {
            input,
            cache_read: input,
            cache_write: input,
            cache_write_1h: input,
            output,
        }
    }
}

/// What these tokens cost.
#[must_use]
pub fn cost(counts: &Counts, row: &Row) -> NanoUsd {
    let prompt = counts.input.saturating_add(counts.cache_read);
    let rates = row.rates(prompt.saturating_add(counts.written()));
    [
        (rates.input, counts.input),
        (rates.cache_read, counts.cache_read),
        (rates.cache_write, counts.cache_write),
        (rates.cache_write_1h, counts.cache_write_1h),
        (rates.output, counts.output),
    ]
    .iter()
    .fold(NanoUsd::ZERO, |sum, (price, count)| {
        sum.saturating_add(price.of(*count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(micro_per_million: u64) -> Price {
        Price::per_million(micro_per_million * 1_000)
    }

    fn counts([input, cache_read, cache_write, cache_write_1h, output]: [u64; 5]) -> Counts {
        Counts {
            input: Tokens::new(input),
            cache_read: Tokens::new(cache_read),
            cache_write: Tokens::new(cache_write),
            cache_write_1h: Tokens::new(cache_write_1h),
            output: Tokens::new(output),
        }
    }

    #[test]
    fn each_count_has_its_own_price() {
        let rates = Rates {
            input: usd(3_000_000),
            cache_read: usd(300_000),
            cache_write: usd(3_750_000),
            cache_write_1h: usd(6_000_000),
            output: usd(15_000_000),
        };
        let long = Rates::flat(usd(6_000_000), usd(22_500_000));
        let tier = Some(Tier {
            above: Tokens::new(1_000),
            rates: long,
        });
        for (row, tokens, nano) in [
            (
                Row::flat(usd(2_500_000), usd(10_000_000)),
                [1_000, 0, 0, 0, 500],
                7_500_000,
            ),
            (
                Row::flat(usd(2_500_000), usd(10_000_000)),
                [10, 20, 30, 40, 0],
                250_000,
            ),
            (
                Row { rates, tier },
                [100, 200, 300, 50, 10],
                300_000 + 60_000 + 1_125_000 + 300_000 + 150_000,
            ),
            (
                Row { rates, tier },
                [1_000, 0, 0, 0, 1_000_000],
                3_000_000 + 15_000_000_000,
            ),
            (
                Row { rates, tier },
                [1, 900, 50, 50, 10],
                6_006_000 + 225_000,
            ),
            (Row::FREE, [u64::MAX; 5], 0),
            (
                Row::flat(usd(u64::MAX / 1_000), usd(1)),
                [u64::MAX; 5],
                u64::MAX,
            ),
        ] {
            assert_eq!(cost(&counts(tokens), &row).get(), nano, "{tokens:?}");
        }
    }
}
