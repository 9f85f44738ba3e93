//! Dates as people write them: `2027-01-31`, or a moment of RFC 3339.

use crate::base::time::WallTime;

/// The first moment at which something is over that is good until `text`: a date is good through
/// its last moment, UTC, and a moment until it comes.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn parse_end(text: &str) -> Result<WallTime, String> {
    let wrong = || String::from("is neither a date such as 2027-01-31 nor a moment of RFC 3339");
    let (date, time) = text.split_at_checked(DATE_LENGTH).ok_or_else(wrong)?;
    let days = days_of(date).ok_or_else(wrong)?;
    let seconds = if time.is_empty() {
        (days + 1) * DAY
    } else {
        days * DAY + seconds_of(time).ok_or_else(wrong)?
    };
    let millis = u64::try_from(seconds * 1_000).map_err(|_| wrong())?;
    Ok(WallTime::from_unix_millis(millis))
}

/// Days from the Unix epoch to a date such as `2027-01-31`.
fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [year.len(), month.len(), day.len()] != [4, 2, 2] {
        return None;
    }
    let [year, month, day] = [number(year)?, number(month)?, number(day)?];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is their last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - EPOCH)
}

/// Seconds from the begin of a day, UTC, to a time such as `T12:30:00Z` or `T12:30:00.5+02:00`.
fn seconds_of(time: &str) -> Option<i64> {
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = time.split_at_checked(8)?;
    let fraction = rest.strip_prefix('.');
    let zone = fraction.map_or(rest, |rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    });
    if fraction.is_some_and(|rest| rest.len() == zone.len()) {
        return None;
    }
    let mut parts = clock.split(':');
    let mut part = |below| two_digits(parts.next()?).filter(|value| *value < below);
    let (hour, minute, second) = (part(24)?, part(60)?, part(60)?);
    let offset = if matches!(zone, "Z" | "z") {
        0
    } else {
        let (sign, zone) = match zone.split_at_checked(1)? {
            ("+", zone) => (1, zone),
            ("-", zone) => (-1, zone),
            _ => return None,
        };
        let (hours, minutes) = zone.split_once(':')?;
        let hours = two_digits(hours).filter(|hours| *hours < 24)?;
        let minutes = two_digits(minutes).filter(|minutes| *minutes < 60)?;
        sign * (hours * 3_600 + minutes * 60)
    };
    Some(hour * 3_600 + minute * 60 + second - offset)
}

fn two_digits(text: &str) -> Option<i64> {
    number(text).filter(|_| text.len() == 2)
}

fn number(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Length of a date.
const DATE_LENGTH: usize = 10;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to the Unix epoch.
const EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_is_good_through_its_last_moment() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-02T00:00:00.000Z"),
            ("2027-01-31", "2027-02-01T00:00:00.000Z"),
            ("2028-02-28", "2028-02-29T00:00:00.000Z"),
            ("2028-02-29", "2028-03-01T00:00:00.000Z"),
            ("2026-12-31", "2027-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(
                parse_end(text).map(|end| end.to_string()).as_deref(),
                Ok(expected)
            );
        }
    }

    #[test]
    fn a_moment_is_good_until_it_comes() {
        for (text, expected) in [
            ("2027-01-31T12:30:00Z", "2027-01-31T12:30:00.000Z"),
            ("2027-01-31t12:30:00.25z", "2027-01-31T12:30:00.000Z"),
            ("2027-01-31 00:30:00+02:00", "2027-01-30T22:30:00.000Z"),
            ("2026-12-31T23:30:00-01:30", "2027-01-01T01:00:00.000Z"),
        ] {
            assert_eq!(
                parse_end(text).map(|end| end.to_string()).as_deref(),
                Ok(expected)
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "soon",
            "2027",
            "2027-1-31",
            "2027-13-01",
            "2027-00-01",
            "2027-02-29",
            "2027-04-31",
            "2027-01-00",
            "1969-12-31",
            "2027-01-31T",
            "2027-01-31T25:00:00Z",
            "+027-01-31",
            "2027-01-31T12:30Z",
            "2027-01-31T12:30:00",
            "2027-01-31T12:30:00.Z",
            "2027-01-31x",
            "2027-01-31T12:30:00+2:00",
            "2027-01-31T12:30:00*02:00",
            "1970-01-01T00:00:00+01:00",
            "2027-01-311",
            "２０２７-01-31",
        ] {
            assert!(parse_end(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(millis in 0_u64..4_102_444_800_000) {
            let whole = WallTime::from_unix_millis(millis / 1_000 * 1_000);
            prop_assert_eq!(parse_end(&whole.to_string()), Ok(whole));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", date in "[0-9T:Z+. -]{0,30}") {
            let _ = (parse_end(&text), parse_end(&date));
        }
    }
}
