//! From when on a request counts as slow.

use std::time::Duration;

/// The time from which on a request is slow, where the answers of the last five minutes, of which
/// there were `answers`, took `median`: four times that, and a second at least. With too few
/// answers to know what is usual, it is ten seconds.
///
/// The median and not a high percentile: that one follows as soon as a few answers in a hundred are
/// slow, and would then call them usual.
#[must_use]
pub fn slow_from(answers: u64, median: Option<Duration>) -> Duration {
    match median {
        Some(median) if answers >= ENOUGH => median.saturating_mul(TIMES).max(LEAST),
        Some(_) | None => UNKNOWN,
    }
}

/// From when on a request is slow while nothing is known.
pub const UNKNOWN: Duration = Duration::from_secs(10);
/// No request is slow that takes less: it does not keep a person waiting.
pub const LEAST: Duration = Duration::from_secs(1);
/// Answers from which on their median says what is usual.
const ENOUGH: u64 = 20;
/// A slow request takes so many times the median.
const TIMES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_four_times_as_long_as_is_usual_is_slow() {
        let millis = Duration::from_millis;
        for (answers, median, expected) in [
            (0, None, UNKNOWN),
            (19, Some(millis(5)), UNKNOWN),
            (20, Some(millis(5)), LEAST),
            (20, Some(millis(250)), LEAST),
            (20, Some(millis(251)), millis(1_004)),
            (1_000, Some(millis(6_000)), millis(24_000)),
            (1_000, Some(Duration::MAX), Duration::MAX),
        ] {
            assert_eq!(slow_from(answers, median), expected, "{answers} {median:?}");
        }
    }
}
