//! The 95th percentile of response times over a sliding window.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::base::time::Instant;
use crate::decide::slices::Slices;

/// Response times over a sliding window, in slices of a tenth of its length (see [`Slices`]).
///
/// A slice with samples costs 12 KiB whatever the rate; one without costs nothing.
#[derive(Clone, Debug)]
pub struct Percentile {
    slices: Slices<Option<Histogram<u32>>, SLICES>,
}

impl Percentile {
    /// An empty window of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            slices: Slices::new(length),
        }
    }

    /// Takes in a sample taken at `at`, unless that moment has left the window; a sample above ten
    /// minutes counts as ten minutes.
    pub fn add(&mut self, at: Instant, sample: Duration) {
        self.add_all(at, std::iter::once(sample));
    }

    /// Takes in samples taken at `at`, likewise.
    pub fn add_all(&mut self, at: Instant, samples: impl Iterator<Item = Duration>) {
        let Some(slice) = self.slices.at(at, drop) else {
            return;
        };
        if slice.is_none() {
            *slice = histogram();
        }
        if let Some(histogram) = slice {
            for sample in samples {
                let nanos = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
                histogram.saturating_record((nanos / 1_000).clamp(1, MICROS_MAX));
            }
        }
    }

    /// The p95 (nearest rank) of the window that ends at `now`, to within 1 %; `None` where it
    /// holds no sample.
    ///
    /// The slices are merged in this call, which takes some 30 µs: reports pay for it, samples do
    /// not.
    pub fn p95(&mut self, now: Instant) -> Option<Duration> {
        self.slices.go_on(now, drop);
        let mut slices = self.slices.iter().flatten();
        let mut all = slices.next()?.clone();
        for slice in slices {
            // All slices have the same bounds, so that adding them cannot fail.
            all.add(slice).ok()?;
        }
        Some(Duration::from_micros(all.value_at_quantile(0.95)))
    }

    /// Forgets samples that have left the window that ends at `now`.
    pub fn age(&mut self, now: Instant) {
        self.slices.go_on(now, drop);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slices.clear();
    }
}

/// An empty slice; the constants are valid bounds, so that the result is never `None`.
fn histogram() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).ok()
}

const SLICES: usize = 10;
/// Ten minutes.
const MICROS_MAX: u64 = 600_000_000;
/// Significant decimal digits that are kept.
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_window_has_none() {
        let mut times = Percentile::new(Duration::from_secs(60));
        assert_eq!(times.p95(Instant::ZERO), None);
        times.add(Instant::ZERO, Duration::from_secs(1));
        assert!(times.p95(Instant::from_millis(59_999)).is_some());
        assert_eq!(times.p95(Instant::from_millis(60_000)), None);
        times.add(Instant::from_millis(60_000), Duration::ZERO);
        times.clear();
        assert_eq!(times.p95(Instant::from_millis(60_000)), None);
    }

    #[test]
    fn what_has_left_the_window_costs_nothing() {
        let mut times = Percentile::new(Duration::from_secs(60));
        times.add(Instant::ZERO, Duration::from_secs(1));
        times.age(Instant::from_millis(59_999));
        assert_eq!(times.slices.iter().flatten().count(), 1);
        times.age(Instant::from_millis(60_000));
        assert_eq!(times.slices.iter().flatten().count(), 0);
    }

    #[test]
    fn a_slice_costs_what_the_page_says() {
        assert!(histogram().unwrap().distinct_values() * size_of::<u32>() <= 12 << 10);
    }

    proptest! {
        #[test]
        fn is_near_the_exact_one(
            mut times in prop::collection::vec(0..2_000_000_000_u64, 1..200),
        ) {
            let mut window = Percentile::new(Duration::from_secs(60));
            for (i, &micros) in times.iter().enumerate() {
                let now = Instant::from_millis(i as u64 * 200);
                window.add(now, Duration::from_micros(micros));
            }
            times.iter_mut().for_each(|time| *time = (*time).clamp(1, MICROS_MAX));
            times.sort_unstable();
            let exact = times[(times.len() * 95).div_ceil(100) - 1];
            let p95 = window.p95(Instant::from_millis(40_000)).unwrap();
            let p95 = u64::try_from(p95.as_micros()).unwrap();
            prop_assert!(p95.abs_diff(exact) <= exact / 100 + 1, "{} for {}", p95, exact);
        }
    }
}
