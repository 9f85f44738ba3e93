//! The moving average of a provider's response time.

use std::time::Duration;

/// An exponentially weighted moving average: each older sample weighs geometrically less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ewma {
    nanos: u64,
    samples: u32,
}

/// What is known of a provider's response time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyView {
    /// The average.
    pub average: Duration,
    /// How many samples it was made of.
    pub samples: u32,
}

impl Ewma {
    /// Takes a sample in: `ewma += decay · (sample − ewma)`, rounded to the nearest nanosecond. The
    /// first sample becomes the average: an average that starts at zero would make every provider
    /// look fast.
    pub fn add(&mut self, sample: Duration, decay_permille: u32) {
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let share = u64::from(decay_permille.min(1_000));
        self.nanos = if self.samples == 0 {
            sample
        } else if self.nanos.max(sample) <= SMALL {
            (self.nanos * (1_000 - share) + sample * share + 500) / 1_000
        } else {
            let [old, new] = [(self.nanos, 1_000 - share), (sample, share)]
                .map(|(nanos, part)| u128::from(nanos) * u128::from(part));
            u64::try_from((old + new + 500) / 1_000).unwrap_or(u64::MAX)
        };
        self.samples = self.samples.saturating_add(1);
    }

    /// The average and its weight.
    #[must_use]
    pub fn view(&self) -> LatencyView {
        LatencyView {
            average: Duration::from_nanos(self.nanos),
            samples: self.samples,
        }
    }
}

/// Nanoseconds, half a year: the sums of an average of no more than that fit into 64 bits, where a
/// division takes a few cycles.
const SMALL: u64 = u64::MAX / 1_001;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn average(samples: &[u64], decay_permille: u32) -> u64 {
        let mut ewma = Ewma::default();
        for &sample in samples {
            ewma.add(Duration::from_nanos(sample), decay_permille);
        }
        u64::try_from(ewma.view().average.as_nanos()).unwrap()
    }

    #[test]
    fn moves_towards_each_sample_by_its_share() {
        for (samples, decay, expected) in [
            (&[][..], 100, 0),
            (&[500], 100, 500),
            (&[1_000, 2_000], 100, 1_100),
            (&[1_000, 2_000, 2_000], 100, 1_190),
            (&[1_000, 0], 100, 900),
            (&[1_000, 2_000], 1_000, 2_000),
            (&[1_000, 2_000], 0, 1_000),
            (&[u64::MAX, u64::MAX], 100, u64::MAX),
        ] {
            assert_eq!(average(samples, decay), expected, "{samples:?} at {decay}");
        }
    }

    proptest! {
        #[test]
        fn stays_between_the_samples(
            samples in prop::collection::vec(any::<u64>(), 1..20),
            decay in 0..=1_000_u32,
        ) {
            let average = average(&samples, decay);
            prop_assert!(average >= *samples.iter().min().unwrap());
            prop_assert!(average <= *samples.iter().max().unwrap());
        }
    }
}
