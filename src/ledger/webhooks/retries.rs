//! When a webhook is tried again, and whether the log knows that it must be.

use std::time::Duration;

use crate::base::time::Instant;

/// How one webhook is doing.
#[derive(Debug, Default)]
pub struct Retries {
    /// Attempts that have failed since the last one that has not.
    failures: u32,
    /// When the next attempt may begin.
    due: Instant,
    /// Whether the log has been told since then that notices are lost.
    loss_is_told: bool,
}

impl Retries {
    /// When the next attempt may begin.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// An attempt has succeeded; returns whether the one before has not.
    pub fn on_success(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }

    /// An attempt has failed, and the webhook may have asked for a pause; returns whether it is the
    /// first one in a row. `random` makes the pause shorter by up to a half, so that several
    /// instances do not come together.
    pub fn on_failure(&mut self, now: Instant, asked: Option<Duration>, random: u64) -> bool {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        let pause = pause.min(LONGEST_PAUSE);
        let half = pause / 2;
        let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
        let pause = half + Duration::from_millis(random % (millis + 1));
        let pause = pause.max(asked.unwrap_or_default().min(LONGEST_ASKED_PAUSE));
        self.due = now + pause;
        self.failures += 1;
        self.failures == 1
    }

    /// The next attempt need not wait.
    pub fn at_once(&mut self) {
        self.due = Instant::ZERO;
    }

    /// Notices are lost; returns whether the log is to be told.
    pub fn on_loss(&mut self) -> bool {
        !std::mem::replace(&mut self.loss_is_told, true)
    }
}

/// The longest pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after any number of failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause that a webhook may ask for.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_spread() {
        let at = Instant::from_millis(5_000);
        let pauses = |random: u64| {
            let mut retries = Retries::default();
            let pauses = (0..12).map(|count| {
                assert_eq!(retries.on_failure(at, None, random), count == 0);
                retries.due().since(at).as_millis()
            });
            pauses.collect::<Vec<_>>()
        };
        let shortest = [
            500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000,
            150_000,
        ];
        assert_eq!(pauses(0), shortest);
        let drawn = pauses(u64::MAX);
        assert!(
            drawn
                .iter()
                .zip(shortest)
                .all(|(one, least)| (least..=2 * least).contains(one))
        );
        assert_ne!(drawn, shortest);
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_bounds() {
        let mut retries = Retries::default();
        for (asked, kept) in [(30, 30), (86_400, 900)] {
            retries.on_failure(Instant::ZERO, Some(Duration::from_secs(asked)), 0);
            assert_eq!(retries.due().as_secs(), kept);
        }
        assert!(retries.on_loss() && !retries.on_loss());
        assert!(retries.on_success() && !retries.on_success());
        assert_eq!(retries.due(), Instant::ZERO);
    }
}
