//! Calendar months, UTC.

use crate::base::time::WallTime;

/// A calendar month, UTC, as months since January 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

impl Month {
    /// The month with this number (1 to 12) of this year; `None` before 1970, after 9999, or for a
    /// number that no month has.
    #[must_use]
    pub fn new(year: u64, number: u64) -> Option<Self> {
        if !(1_970..=9_999).contains(&year) || !(1..=12).contains(&number) {
            return None;
        }
        u32::try_from((year - 1_970) * 12 + number - 1)
            .ok()
            .map(Self)
    }

    /// The month that `wall` is in; after the year 9999, that year's last month.
    #[must_use]
    pub fn of(wall: WallTime) -> Self {
        let date = wall.civil();
        Self::new(date.year, date.month).unwrap_or(LAST)
    }

    /// Months since January 1970.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month with this number; December 9999 where it would be a later one.
    #[must_use]
    pub fn of_number(number: u32) -> Self {
        Self(number).min(LAST)
    }

    /// The month after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1).min(LAST)
    }

    /// The month that was this many months earlier; not before 1970.
    #[must_use]
    pub fn minus(self, months: u32) -> Self {
        Self(self.0.saturating_sub(months))
    }

    /// The month's first moment.
    #[must_use]
    pub fn start(self) -> WallTime {
        WallTime::from_unix_millis(self.first_day() * DAY_MS)
    }

    /// How many days the month has.
    #[must_use]
    pub fn days(self) -> u64 {
        Self(self.0 + 1).first_day() - self.first_day()
    }

    /// The month's number modulo 32: a published word has room for no more.
    #[must_use]
    pub fn tag(self) -> u8 {
        u8::try_from(self.0 % TAGS).unwrap_or(0)
    }

    /// The last month with this tag that is not after this one.
    #[must_use]
    pub fn last_with_tag(self, tag: u8) -> Self {
        let back = (self.0 % TAGS + TAGS - u32::from(tag) % TAGS) % TAGS;
        self.minus(back)
    }

    /// Reads `2026-03`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.split_once('-')?;
        let digits = |part: &str, count| {
            part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(number, 2) {
            return None;
        }
        Self::new(year.parse().ok()?, number.parse().ok()?)
    }

    /// Days from the Unix epoch to the month's first day. Every fourth year is a leap year, except
    /// those that end a century, unless they are divisible by 400.
    fn first_day(self) -> u64 {
        let (years, month) = (u64::from(self.0 / 12), self.0 % 12);
        let before = years + 1_969;
        let leap_days = before / 4 - before / 100 + before / 400 - LEAP_DAYS_BEFORE_1970;
        let year = before + 1;
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days_before = DAYS_BEFORE_MONTH
            .get(month as usize)
            .copied()
            .unwrap_or_default();
        years * 365 + leap_days + days_before + u64::from(is_leap && month >= 2)
    }
}

/// `2026-03`
impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12 + 1_970, self.0 % 12 + 1)
    }
}

/// December 9999.
const LAST: Month = Month((9_999 - 1_970) * 12 + 11);
/// Months that have a tag of their own.
const TAGS: u32 = 32;
const DAY_MS: u64 = 86_400_000;
/// Leap days of the years 1 to 1969.
const LEAP_DAYS_BEFORE_1970: u64 = 1_969 / 4 - 1_969 / 100 + 1_969 / 400;
/// Days of a common year before each of its months.
const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_starts_where_the_one_before_ended() {
        let mut month = Month::default();
        assert_eq!(month.start(), WallTime::from_unix_millis(0));
        while month != LAST {
            let next = month.next();
            let start = next.start().unix_millis();
            assert_eq!(month.start().unix_millis() + month.days() * DAY_MS, start);
            assert_eq!(Month::of(WallTime::from_unix_millis(start)), next);
            assert_eq!(Month::of(WallTime::from_unix_millis(start - 1)), month);
            assert_eq!(Month::parse(&next.to_string()), Some(next));
            month = next;
        }
        assert_eq!(Month::of(WallTime::from_unix_millis(u64::MAX)), LAST);
        assert_eq!(LAST.next(), LAST);
    }

    #[test]
    fn february_is_as_long_as_the_calendar_says() {
        for (year, days) in [(1970, 28), (2000, 29), (2024, 29), (2026, 28), (2100, 28)] {
            assert_eq!(Month::new(year, 2).map(Month::days), Some(days), "{year}");
        }
    }

    #[test]
    fn reads_only_what_it_writes() {
        assert_eq!(Month::parse("2026-11"), Month::new(2026, 11));
        for text in [
            "", "2026", "2026-1", "2026-13", "2026-00", "1969-12", "2026-+1", "26-11",
        ] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_stands_for_the_last_month_that_has_it() {
        let now = Month::new(2026, 11).unwrap();
        let mut month = now;
        for back in 0..32 {
            assert_eq!(now.last_with_tag(month.tag()), month, "{back} months back");
            month = month.minus(1);
        }
        assert_eq!(month.tag(), now.tag());
    }
}
