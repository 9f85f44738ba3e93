//! How long a circuit stays open: longer after each failed probe, up to a cap.

use std::time::Duration;

use crate::decide::policy::BreakerPolicy;

/// The recovery window of one circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    permille: u32,
    span: Duration,
}

impl Backoff {
    /// The recovery window before any probe has failed.
    #[must_use]
    pub fn new(policy: &BreakerPolicy) -> Self {
        Self {
            base: policy.recovery_window,
            // A cap below the window itself would shorten the window after a failure.
            max: policy.backoff_max.max(policy.recovery_window),
            permille: policy.backoff_permille,
            span: policy.recovery_window,
        }
    }

    /// Takes over a new policy: a window that has grown stays as long as the policy allows.
    pub fn adopt(&mut self, policy: &BreakerPolicy) {
        let new = Self::new(policy);
        if (new.base, new.max, new.permille) != (self.base, self.max, self.permille) {
            let grown = self.span > self.base;
            let span = if grown { self.span } else { new.base };
            *self = Self {
                span: span.clamp(new.base, new.max),
                ..new
            };
        }
    }

    /// How long the circuit stays open.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span
    }

    /// Called when a probe has failed: the window grows.
    pub fn grow(&mut self) {
        let nanos = self.span.as_nanos().saturating_mul(self.permille.into()) / 1_000;
        let grown = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.span = grown.clamp(self.base, self.max);
    }

    /// Called when the circuit has closed: the window starts over.
    pub fn reset(&mut self) {
        self.span = self.base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(recovery_ms: u64, permille: u32, max_ms: u64) -> [u64; 5] {
        let mut backoff = Backoff::new(&BreakerPolicy {
            recovery_window: Duration::from_millis(recovery_ms),
            backoff_permille: permille,
            backoff_max: Duration::from_millis(max_ms),
            ..BreakerPolicy::default()
        });
        let spans = std::array::from_fn(|_| {
            let span = backoff.span();
            backoff.grow();
            u64::try_from(span.as_millis()).unwrap()
        });
        backoff.reset();
        assert_eq!(backoff.span(), Duration::from_millis(recovery_ms));
        spans
    }

    #[test]
    fn grows_by_its_factor_up_to_the_cap() {
        for (recovery_ms, permille, max_ms, expected) in [
            (
                20_000,
                2_000,
                90_000,
                [20_000, 40_000, 80_000, 90_000, 90_000],
            ),
            (30_000, 1_000, 600_000, [30_000; 5]),
            (1_000, 1_500, 600_000, [1_000, 1_500, 2_250, 3_375, 5_062]),
            (20_000, 2_000, 10_000, [20_000; 5]),
            (20_000, 500, 90_000, [20_000; 5]),
        ] {
            assert_eq!(spans(recovery_ms, permille, max_ms), expected);
        }
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new(&BreakerPolicy {
            backoff_permille: u32::MAX,
            backoff_max: Duration::MAX,
            ..BreakerPolicy::default()
        });
        (0..50).for_each(|_| backoff.grow());
        assert_eq!(backoff.span(), Duration::from_nanos(u64::MAX));
    }
}
