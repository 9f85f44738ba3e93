//! Which candidate a conversation stays with: weighted rendezvous hashing with bounded load.
//!
//! Each candidate has a rank for each conversation, which depends on the two of them alone. So no
//! table is kept, every shard and instance answers alike, and when a candidate leaves, only its
//! conversations move.

use crate::base::fingerprint::Fingerprint;
use crate::decide::eligible::Eligible;

/// How conversations are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Affinity {
    /// What tells conversations apart.
    pub by: By,
    /// A candidate takes requests while it has at most this many thousandths of the mean in flight;
    /// at least 1,000.
    pub spill_permille: u32,
}

/// What tells conversations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The session that the request names, or else its beginning.
    Auto,
    /// The session that the request names.
    Session,
    /// The request's beginning.
    Prefix,
}

impl By {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Session => "session",
            Self::Prefix => "prefix",
        }
    }

    /// Whether the session counts that a request names.
    #[must_use]
    pub const fn asks_for_session(self) -> bool {
        match self {
            Self::Auto | Self::Session => true,
            Self::Prefix => false,
        }
    }

    /// Whether a request's beginning counts.
    #[must_use]
    pub const fn asks_for_prefix(self) -> bool {
        match self {
            Self::Auto | Self::Prefix => true,
            Self::Session => false,
        }
    }
}

/// Where a request went, compared with where its conversation belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// To the candidate that comes first for its conversation.
    Kept,
    /// To another one: the first is out of service, busy, too small or has failed.
    Moved,
    /// Nothing tells which conversation it belongs to.
    None,
}

impl Stay {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kept, Self::Moved, Self::None];

    /// Its name in headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Moved => "moved",
            Self::None => "none",
        }
    }

    /// Its place among them.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Kept => 0,
            Self::Moved => 1,
            Self::None => 2,
        }
    }
}

/// A conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

/// A route's candidates, as conversations see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats(Box<[Seat]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    /// Hash of its name.
    name: u64,
    /// At least 1.
    weight: u32,
}

impl Seats {
    /// Candidates with these names and weights, by place; a weight of 0 counts as 1.
    #[must_use]
    pub fn new<'a>(candidates: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let seats = candidates.map(|(name, weight)| Seat {
            name: Fingerprint::of(name.as_bytes()),
            weight: weight.max(1),
        });
        Self(seats.collect())
    }

    /// The candidate `among` these that comes first for the conversation, however busy it is;
    /// `None` where there is nobody.
    #[must_use]
    pub fn first(&self, key: Key, among: &Eligible) -> Option<usize> {
        self.first_of(key, among.iter())
    }

    /// The candidate that takes a request of the conversation: among the `eligible`, the first one
    /// for the conversation that is not too busy. `in_flight` returns how many requests a candidate
    /// has in flight. Most that one may have are its share of all of them, by weight, times
    /// `spill_permille` thousandths, rounded up.
    #[must_use]
    pub fn choose(
        &self,
        key: Key,
        spill_permille: u32,
        eligible: &Eligible,
        in_flight: impl Fn(usize) -> u32,
    ) -> Option<usize> {
        let (mut requests, mut weights) = (0, 0);
        for (place, seat) in self.among(eligible) {
            requests += u128::from(in_flight(place));
            weights += u128::from(seat.weight);
        }
        let most = requests * u128::from(spill_permille.max(1_000));
        let has_room = |place: &usize| {
            let weight = self.0.get(*place).map_or(0, |seat| seat.weight);
            let most = (most * u128::from(weight)).div_ceil((weights * 1_000).max(1));
            u128::from(in_flight(*place)) <= most
        };
        let chosen = self.first_of(key, eligible.iter().filter(has_room));
        // Nobody has room only where requests have come in since they were added up.
        chosen.or_else(|| self.first(key, eligible))
    }

    fn among(&self, eligible: &Eligible) -> impl Iterator<Item = (usize, Seat)> {
        eligible
            .iter()
            .filter_map(|place| Some((place, *self.0.get(place)?)))
    }

    /// A candidate's time until its turn is its hash's, exponentially distributed, by its weight:
    /// so it is the first in proportion to its weight.
    fn first_of(&self, key: Key, places: impl Iterator<Item = usize>) -> Option<usize> {
        let mut first: Option<(usize, u64, u32)> = None;
        for place in places {
            let Some(seat) = self.0.get(place) else {
                continue;
            };
            let time = minus_log2(drawn(key, seat.name));
            let is_earlier = first.is_none_or(|(_, other, weight)| {
                // time / seat.weight < other / weight
                u128::from(time) * u128::from(weight) < u128::from(other) * u128::from(seat.weight)
            });
            if is_earlier {
                first = Some((place, time, seat.weight));
            }
        }
        first.map(|(place, ..)| place)
    }
}

/// 64 bits that look random and depend on the conversation and the candidate alone.
fn drawn(key: Key, name: u64) -> u64 {
    let mut hash = Fingerprint::default();
    hash.add_number(key.0);
    hash.add_number(name);
    hash.end()
}

/// The negative binary logarithm of `number` divided by 2^64, in parts of 2^32. It is computed with
/// whole numbers, because machines differ in the last bits of a floating-point one.
fn minus_log2(number: u64) -> u64 {
    let number = number.max(1);
    let zeros = number.leading_zeros();
    // Between 1 and 2, in parts of 2^63.
    let mut mantissa = number << zeros;
    let mut fraction = 0;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let is_two_or_more = square >> 64 != 0;
        fraction = fraction << 1 | u64::from(is_two_or_more);
        let halved = if is_two_or_more { square >> 1 } else { square };
        mantissa = u64::try_from(halved).unwrap_or(u64::MAX);
    }
    (u64::from(zeros + 1) << FRACTION_BITS) - fraction
}

const FRACTION_BITS: u32 = 32;

#[cfg(test)]
#[path = "affinity_tests.rs"]
mod tests;
