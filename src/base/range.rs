//! Which span of time a report covers, and how finely.

/// What a report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// How many hours, up to now.
    pub hours: u64,
    /// How long each span is, in minutes.
    pub step: u64,
}

/// Why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFault {
    /// The hours reach too far back, or are none.
    Hours,
    /// The span is no whole number of minutes.
    Bucket,
    /// Minutes are only known for a day.
    TooFine,
    /// One span would be longer than the range.
    TooLong,
}

impl RangeFault {
    /// What to ask for instead, as a sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Hours => "`hours` is a whole number from 1 to 744",
            Self::Bucket => {
                "`bucket` is a whole number of minutes, hours or days, like `5m`, `1h` or `1d`"
            }
            Self::TooFine => "beyond 24 hours, `bucket` is a whole number of hours",
            Self::TooLong => "`bucket` is longer than `hours`",
        }
    }
}

impl Range {
    /// Reads the two values of a query; the last day by the hour where they are missing.
    ///
    /// # Errors
    ///
    /// No report covers that range.
    pub fn read(hours: Option<&str>, bucket: Option<&str>) -> Result<Self, RangeFault> {
        let hours = match hours {
            None => 24,
            Some(hours) => hours.parse().map_err(|_| RangeFault::Hours)?,
        };
        if !(1..=HOURS_KEPT).contains(&hours) {
            return Err(RangeFault::Hours);
        }
        let step = minutes(bucket.unwrap_or("1h")).ok_or(RangeFault::Bucket)?;
        if step > hours * 60 {
            return Err(RangeFault::TooLong);
        }
        if hours > MINUTES_KEPT / 60 && !step.is_multiple_of(60) {
            return Err(RangeFault::TooFine);
        }
        Ok(Self { hours, step })
    }
}

/// `5m`, `1h` or `1d` in minutes; no longer than the time that books are kept for.
fn minutes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_plain)?;
    let minutes = number.checked_mul(unit)?;
    (1..=HOURS_KEPT * 60).contains(&minutes).then_some(minutes)
}

/// Minutes that are kept: a day.
pub const MINUTES_KEPT: u64 = 24 * 60;
/// Hours that are kept: a month.
pub const HOURS_KEPT: u64 = 31 * 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_makes_no_sense_is_refused() {
        for (hours, bucket, fault) in [
            ("0", "1h", RangeFault::Hours),
            ("745", "1h", RangeFault::Hours),
            ("-1", "1h", RangeFault::Hours),
            ("x", "1h", RangeFault::Hours),
            ("1", "", RangeFault::Bucket),
            ("1", "h", RangeFault::Bucket),
            ("1", "0m", RangeFault::Bucket),
            ("1", "+5m", RangeFault::Bucket),
            ("1", "30s", RangeFault::Bucket),
            ("1", "99999999999999999999d", RangeFault::Bucket),
            ("1", "é", RangeFault::Bucket),
            ("25", "5m", RangeFault::TooFine),
            ("1", "61m", RangeFault::TooLong),
        ] {
            let found = Range::read(Some(hours), Some(bucket));
            assert_eq!(found, Err(fault), "{hours} {bucket}");
        }
        assert_eq!(
            Range::read(None, None),
            Range::read(Some("24"), Some("60m"))
        );
    }
}
