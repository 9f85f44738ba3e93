//! Token counts.

/// A number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(u64);

impl Tokens {
    /// None.
    pub const ZERO: Self = Self(0);

    /// `count` tokens.
    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// An estimate for `bytes` of text that nobody has counted: a quarter of the characters,
    /// rounded up. Bytes stand in for characters, which overstates non-ASCII text and never
    /// understates it.
    #[must_use]
    pub const fn estimated(bytes: usize) -> Self {
        Self((bytes as u64).div_ceil(4))
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, capped.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::fmt::Display for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The disjoint counts, each of which has a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Prompt tokens that no cache had a part in.
    pub input: Tokens,
    /// Prompt tokens read from a cache.
    pub cache_read: Tokens,
    /// Prompt tokens written to a cache.
    pub cache_write: Tokens,
    /// Prompt tokens written to a cache that keeps them for an hour.
    pub cache_write_1h: Tokens,
    /// Everything that was generated.
    pub output: Tokens,
}

impl Counts {
    /// All of them together, capped.
    #[must_use]
    pub const fn sum(&self) -> Tokens {
        let prompt = self.input.saturating_add(self.cache_read);
        let prompt = prompt.saturating_add(self.written());
        prompt.saturating_add(self.output)
    }

    /// Prompt tokens written to any cache.
    #[must_use]
    pub const fn written(&self) -> Tokens {
        self.cache_write.saturating_add(self.cache_write_1h)
    }
}
