//! Frequent warnings: one a second is logged, with the number of those that were held back.

use crate::link::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::outcome::Outcome;

/// The pause between two warnings of one kind, over all threads.
#[derive(Debug, Default)]
pub struct Pause {
    /// When the next warning may be logged.
    until: AtomicU64,
    kept_back: AtomicU64,
}

/// The pauses between warnings about one provider.
#[derive(Debug, Default)]
pub struct Pauses {
    outcomes: [Pause; Outcome::LABELS.len()],
    /// Between two warnings that say why a TLS handshake failed.
    pub handshakes: Pause,
}

/// The pauses between warnings about callers' connections, which concern the whole process.
#[derive(Debug, Default)]
pub struct ConnectionPauses {
    /// Between two warnings that connections wait to be accepted.
    pub accepting: Pause,
    /// Between two warnings that requests wait for a caller's place.
    pub requests: Pause,
    /// Between two warnings that connections cannot be accepted.
    pub faults: Pause,
}

impl Pauses {
    /// The pause between warnings about attempts with this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> &Pause {
        &self.outcomes[outcome.place()]
    }

    /// All of them, with what the warnings are about.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Pause)> {
        let outcomes = Outcome::LABELS.into_iter().zip(&self.outcomes);
        outcomes.chain([("tls_handshake", &self.handshakes)])
    }
}

impl ConnectionPauses {
    /// All of them, with what the warnings are about.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Pause)> {
        let waiting = [("accepting", &self.accepting), ("requests", &self.requests)];
        waiting.into_iter().chain([("faults", &self.faults)])
    }
}

impl Pause {
    /// Whether a warning may be logged `now`: returns how many were held back since the last logged
    /// one, or `None`, and then counts this one as held back.
    #[must_use]
    pub fn end(&self, now: Instant) -> Option<u64> {
        self.end_after(now, LENGTH)
    }

    /// The same for a pause of this length.
    #[must_use]
    pub fn end_after(&self, now: Instant, length: Duration) -> Option<u64> {
        let told = self.begin_next(now, (Duration::ZERO, length));
        if told.is_none() {
            self.kept_back.fetch_add(1, Ordering::Relaxed);
        }
        told
    }

    /// How many were kept back that nothing has told of: no further warning came for as long as
    /// this after the pause. Whoever asks tells of them.
    #[must_use]
    pub fn left(&self, now: Instant, after: Duration) -> Option<u64> {
        told(self.kept_back.load(Ordering::Relaxed))?;
        self.begin_next(now, (after, LENGTH)).and_then(told)
    }

    /// How many were kept back, if the pause has been over for as long as this: another one begins.
    fn begin_next(&self, now: Instant, (after, length): (Duration, Duration)) -> Option<u64> {
        let until = self.until.load(Ordering::Relaxed);
        let next = (now + length).as_nanos();
        let is_over = Instant::from_nanos(until) + after <= now;
        let relaxed = Ordering::Relaxed;
        let is_first = || self.until.compare_exchange(until, next, relaxed, relaxed);
        (is_over && is_first().is_ok()).then(|| self.kept_back.swap(0, Ordering::Relaxed))
    }
}

/// The number of held-back warnings that a warning mentions; `None` where there were none.
#[must_use]
pub fn told(kept_back: u64) -> Option<u64> {
    (kept_back > 0).then_some(kept_back)
}

/// How long a pause is.
pub const LENGTH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_then_one_a_second() {
        let pause = Pause::default();
        for (millis, told) in [
            (0, Some(0)),
            (0, None),
            (999, None),
            (1_000, Some(2)),
            (1_001, None),
            (90_000, Some(1)),
            (91_000, Some(0)),
            // A thread that read its clock earlier.
            (90_999, None),
        ] {
            assert_eq!(pause.end(Instant::from_millis(millis)), told, "{millis}");
        }
    }

    #[test]
    fn what_no_warning_tells_of_is_left() {
        let pause = Pause::default();
        let left = |millis| pause.left(Instant::from_millis(millis), LENGTH);
        assert_eq!(left(5_000), None);
        assert_eq!(pause.end(Instant::from_millis(5_000)), Some(0));
        assert_eq!(left(8_000), None);
        assert_eq!(pause.end(Instant::from_millis(9_000)), Some(0));
        assert_eq!(pause.end(Instant::from_millis(9_001)), None);
        assert_eq!(left(10_999), None);
        assert_eq!(left(11_000), Some(1));
        assert_eq!(left(15_000), None);
        // That was a warning, too.
        assert_eq!(pause.end(Instant::from_millis(11_500)), None);
        assert_eq!(
            pause.left(Instant::from_millis(12_000), Duration::ZERO),
            Some(1)
        );
    }

    #[test]
    fn none_is_lost_and_none_told_twice() {
        let pause = Pause::default();
        let told = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for millis in 0..10_000 {
                        if let Some(kept_back) = pause.end(Instant::from_millis(millis)) {
                            told.fetch_add(1 + kept_back, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let left = pause.kept_back.load(Ordering::Relaxed);
        assert_eq!(told.load(Ordering::Relaxed) + left, 40_000);
    }
}
