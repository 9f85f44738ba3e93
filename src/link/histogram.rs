//! Counts of durations, in buckets fine enough for percentiles right to 2 %.
//!
//! A bucket is a twentieth of an octave wide (3.5 %), so that its middle is at most 1.8 % off, and
//! every tenth bound is a power of √2, so that the buckets for Prometheus are exact, too. An octave
//! takes 160 bytes once something falls into it, and nothing before.

use std::sync::OnceLock;
use std::time::Duration;

use crate::link::counter::Counter;

/// Durations, counted by one thread and read by any.
#[derive(Debug)]
pub struct Histogram {
    octaves: [OnceLock<Box<[Counter; STEPS]>>; OCTAVES],
    nanos: Counter,
}

/// The sum of several histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    counts: Vec<u64>,
    nanos: u64,
}

/// What a histogram has gained: the buckets that have gained anything, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    counts: Box<[(u16, u64)]>,
    nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            octaves: [const { OnceLock::new() }; OCTAVES],
            nanos: Counter::default(),
        }
    }
}

impl Histogram {
    /// Counts a duration; only the thread that owns the histogram may call this.
    pub fn observe(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (octave, step) = place(nanos);
        self.nanos.add(nanos);
        let steps = self.octaves[octave].get_or_init(Box::default);
        steps[step].add(1);
    }

    /// Adds this histogram to `sum`.
    pub fn add_to(&self, sum: &mut HistogramSum) {
        let octaves = self.octaves.iter().zip(sum.counts.chunks_exact_mut(STEPS));
        for (octave, counts) in octaves {
            let Some(octave) = octave.get() else { continue };
            for (sum, count) in counts.iter_mut().zip(octave.iter()) {
                *sum += count.get();
            }
        }
        sum.nanos = sum.nanos.wrapping_add(self.nanos.get());
    }
}

impl Default for HistogramSum {
    fn default() -> Self {
        Self {
            counts: vec![0; OCTAVES * STEPS],
            nanos: 0,
        }
    }
}

impl HistogramSum {
    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all durations.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// What this sum has gained since it was `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Part {
        let counts = self.counts.iter().zip(&earlier.counts);
        let gains = counts.map(|(count, before)| count.saturating_sub(*before));
        let gains = (0..).zip(gains).filter(|(_, gain)| *gain > 0);
        Part {
            counts: gains.collect(),
            nanos: self.nanos.wrapping_sub(earlier.nanos),
        }
    }

    /// Adds what another one has gained.
    pub fn add(&mut self, part: &Part) {
        for (place, gain) in &part.counts {
            self.counts[usize::from(*place)] += gain;
        }
        self.nanos = self.nanos.wrapping_add(part.nanos);
    }

    /// The buckets that are not empty, each with its upper bound in milliseconds.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.counts.iter().enumerate();
        let filled = counts.filter(|(_, count)| **count > 0);
        filled.map(|(place, count)| (bound(place + 1), *count))
    }

    /// How many durations are below each of `count` powers of √2 in milliseconds, `least` being the
    /// exponent of the first.
    pub fn coarse(&self, least: i32, count: usize) -> impl Iterator<Item = (f64, u64)> {
        // The bucket in front of this place ends at a millisecond.
        let first = (ONE_MILLI + least * HALF_OCTAVE).clamp(0, i32::MAX);
        let first = usize::try_from(first).unwrap_or_default();
        let (mut below, mut from) = (0, 0);
        (0..count).map(move |number| {
            let to = (first + number * HALF_OCTAVE_STEPS).min(self.counts.len());
            below += self.counts[from..to].iter().sum::<u64>();
            from = to;
            (bound(to), below)
        })
    }

    /// The duration that `percent` of a hundred do not exceed (nearest rank), in milliseconds and
    /// right to 1.8 %; `None`: there are no durations.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<f64> {
        let counts = self.counts.iter().copied().enumerate();
        percentile(percent, self.count(), counts)
    }
}

impl Part {
    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// As [`HistogramSum::percentile`].
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<f64> {
        let counts = self.counts.iter();
        let counts = counts.map(|(place, count)| (usize::from(*place), *count));
        percentile(percent, self.count(), counts)
    }
}

fn percentile(percent: u64, total: u64, counts: impl Iterator<Item = (usize, u64)>) -> Option<f64> {
    let rank = (u128::from(total) * u128::from(percent)).div_ceil(100);
    let mut below = 0;
    for (place, count) in counts {
        below += u128::from(count);
        if count > 0 && below >= rank {
            // The middle of the bucket: the error is at most half of its width.
            return Some((bound(place) * bound(place + 1)).sqrt());
        }
    }
    None
}

/// The bucket of a duration: its octave, and the step in it.
fn place(nanos: u64) -> (usize, usize) {
    // A millisecond becomes 2^20, so that bounds are powers of √2 milliseconds.
    let scaled = u128::from(nanos) * (1 << 14) / 15_625;
    let scaled = u64::try_from(scaled).unwrap_or(u64::MAX).max(LEAST);
    let octave = scaled.ilog2() - LEAST.ilog2();
    if octave as usize >= OCTAVES {
        return (OCTAVES - 1, STEPS - 1);
    }
    // The bits behind the first one, as a fraction of 2^32.
    let fraction = (scaled << scaled.leading_zeros() << 1) >> 32;
    let step = BOUNDS.partition_point(|bound| u64::from(*bound) <= fraction);
    (octave as usize, step)
}

/// The bound in front of this bucket, in milliseconds.
fn bound(place: usize) -> f64 {
    let steps = i32::try_from(place).unwrap_or(i32::MAX) - ONE_MILLI;
    (f64::from(steps) / f64::from(2 * HALF_OCTAVE)).exp2()
}

/// Buckets of an octave.
const STEPS: usize = 20;
/// Octaves, from a microsecond (2^-10 ms) to 17 minutes (2^20 ms); longer durations count in the
/// last one.
const OCTAVES: usize = 30;
/// 2^-10 ms.
const LEAST: u64 = 1 << 10;
/// The place of the bucket that begins at a millisecond.
const ONE_MILLI: i32 = 200;
/// Buckets from one power of √2 to the next.
const HALF_OCTAVE: i32 = 10;
const HALF_OCTAVE_STEPS: usize = STEPS / 2;

/// `2^(n/20) - 1` for `n` from 1 to 19, as fractions of 2^32.
static BOUNDS: [u32; STEPS - 1] = [
    0x09071f3e, 0x125fbee2, 0x1c0cbeb3, 0x2611186b, 0x306fe0a3, 0x3b2c47bf, 0x46499af3, 0x51cb453b,
    0x5db4d073, 0x6a09e667, 0x76ce51f6, 0x8406003b, 0x91b501c2, 0x9fdf8bcc, 0xae89f995, 0xbdb8cdad,
    0xcd70b35c, 0xddb68011, 0xee8f34dd,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(spans: impl IntoIterator<Item = Duration>) -> HistogramSum {
        let (histogram, mut sum) = (Histogram::default(), HistogramSum::default());
        spans.into_iter().for_each(|span| histogram.observe(span));
        histogram.add_to(&mut sum);
        sum
    }

    #[test]
    fn every_tenth_bound_is_a_power_of_the_root_of_two() {
        let sum = sum([1, 2, 3, 4].map(Duration::from_millis));
        let coarse: Vec<(f64, u64)> = sum
            .coarse(-1, 7)
            .map(|(bound, count)| ((bound * 1_000.0).round(), count))
            .collect();
        let expected = [
            (707.0, 0),
            (1_000.0, 0),
            (1_414.0, 1),
            (2_000.0, 1),
            (2_828.0, 2),
            (4_000.0, 3),
            (5_657.0, 4),
        ];
        assert_eq!(coarse, expected);
        assert_eq!(sum.total(), Duration::from_millis(10));
        assert_eq!(sum.count(), 4);
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_bucket() {
        let sum = sum([Duration::ZERO, Duration::from_nanos(1), Duration::MAX]);
        let buckets: Vec<(f64, u64)> = sum.buckets().collect();
        assert_eq!(buckets.len(), 2);
        assert_eq!((buckets[0].1, buckets[1].1), (2, 1));
        assert!(HistogramSum::default().percentile(50).is_none());
    }

    #[test]
    fn percentiles_are_right_to_two_percent() {
        for millis in [50, 52, 98, 1_000] {
            let same = sum([Duration::from_millis(millis); 100]);
            let spread = sum((1..=1_000).map(|part| Duration::from_millis(millis) * part / 1_000));
            for percent in [50, 95, 99] {
                let of = |sum: &HistogramSum, exact: u64| {
                    let told = sum.percentile(percent).unwrap() / exact as f64 * 1_000.0;
                    assert!((told - 1.0).abs() < 0.02, "{millis} {percent}: {told}");
                };
                of(&same, millis * 1_000);
                of(&spread, millis * percent * 10);
            }
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_between_its_bounds(nanos in 1_000_u64..1_000_000_000_000) {
            let (octave, step) = place(nanos);
            let at = octave * STEPS + step;
            let millis = nanos as f64 / 1e6;
            prop_assert!(bound(at) <= millis * 1.000_01 || at == 0, "{nanos}: {at}");
            prop_assert!(millis <= bound(at + 1) * 1.000_01, "{nanos}: {at}");
        }
    }
}
