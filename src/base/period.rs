//! Stretches of the calendar in which money and requests are counted, UTC.

use std::fmt;
use std::time::Duration;

use crate::base::month::Month;
use crate::base::time::WallTime;

/// How long each of these stretches is: what an amount is meant per.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// All time.
    Total,
}

/// One of these stretches: a certain day, week or month, or all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    per: Per,
    /// Days, weeks or months since January 1970; 0 for all time.
    number: u32,
}

/// A period in the form that a gate's word has room for: its number modulo 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodTag(pub u8);

impl Per {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// Its name in the configuration and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

impl Period {
    /// The period that `wall` is in.
    #[must_use]
    pub fn of(per: Per, wall: WallTime) -> Self {
        let days = wall.unix_millis() / DAY_MS;
        let number = match per {
            Per::Day => days,
            // The first day of 1970 was a Thursday.
            Per::Week => (days + 3) / 7,
            Per::Month => u64::from(Month::of(wall).number()),
            Per::Total => 0,
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Self { per, number }
    }

    /// How long it is.
    #[must_use]
    pub const fn per(self) -> Per {
        self.per
    }

    /// Its first moment; the epoch for all time.
    #[must_use]
    pub fn start(self) -> WallTime {
        let number = u64::from(self.number);
        let day = match self.per {
            Per::Day => number,
            Per::Week => (number * 7).saturating_sub(3),
            Per::Month => return Month::of_number(self.number).start(),
            Per::Total => 0,
        };
        WallTime::from_unix_millis(day * DAY_MS)
    }

    /// The first moment after it; `None`: it does not end.
    #[must_use]
    pub fn end(self) -> Option<WallTime> {
        let number = self.number.saturating_add(1);
        (self.per != Per::Total).then(|| Self { number, ..self }.start())
    }

    /// How long it still is at `wall`; `None`: it does not end.
    #[must_use]
    pub fn left(self, wall: WallTime) -> Option<Duration> {
        let end = self.end()?.unix_millis();
        let left = end.saturating_sub(wall.unix_millis());
        Some(Duration::from_millis(left))
    }

    /// The period that was this many periods earlier; not before 1970.
    #[must_use]
    pub fn minus(self, count: u32) -> Self {
        let number = self.number.saturating_sub(count);
        Self { number, ..self }
    }

    /// Its tag.
    #[must_use]
    pub fn tag(self) -> PeriodTag {
        PeriodTag(u8::try_from(self.number % TAGS).unwrap_or(0))
    }

    /// The last period with this tag that is not after this one.
    #[must_use]
    pub fn last_with_tag(self, tag: PeriodTag) -> Self {
        let back = (self.number % TAGS + TAGS - u32::from(tag.0) % TAGS) % TAGS;
        self.minus(back)
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == TOTAL {
            let (per, number) = (Per::Total, 0);
            return Some(Self { per, number });
        }
        if let Some(month) = Month::parse(text) {
            let (per, number) = (Per::Month, month.number());
            return Some(Self { per, number });
        }
        let (per, date) = match text.strip_prefix(WEEK) {
            Some(date) => (Per::Week, date),
            None => (Per::Day, text),
        };
        let (month, day) = date.rsplit_once('-')?;
        if day.len() != 2 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (month, day) = (Month::parse(month)?, day.parse::<u64>().ok()?);
        if day == 0 || day > month.days() {
            return None;
        }
        let millis = month.start().unix_millis() + (day - 1) * DAY_MS;
        let period = Self::of(per, WallTime::from_unix_millis(millis));
        // A week is named by its Monday.
        (period.to_string() == text).then_some(period)
    }
}

/// `2026-11-30`, `week-2026-11-30` (its Monday), `2026-11`, `total`
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.per {
            Per::Total => return f.write_str(TOTAL),
            Per::Month => return Month::of_number(self.number).fmt(f),
            Per::Week => WEEK,
            Per::Day => "",
        };
        let date = self.start().civil();
        let (year, month, day) = (date.year, date.month, date.day);
        write!(f, "{prefix}{year:04}-{month:02}-{day:02}")
    }
}

/// Periods that have a tag of their own.
const TAGS: u32 = 32;
const DAY_MS: u64 = 86_400_000;
const TOTAL: &str = "total";
const WEEK: &str = "week-";

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> WallTime {
        let day = Period::parse(text).expect("a day");
        assert_eq!(day.per(), Per::Day, "{text}");
        day.start()
    }

    #[test]
    fn a_moment_is_in_one_period_of_each_length() {
        for (day, expected) in [
            (
                "1970-01-01",
                ["1970-01-01", "week-1970-01-01", "1970-01", "total"],
            ),
            (
                "2026-11-29",
                ["2026-11-29", "week-2026-11-23", "2026-11", "total"],
            ),
            (
                "2026-11-30",
                ["2026-11-30", "week-2026-11-30", "2026-11", "total"],
            ),
            (
                "2027-01-02",
                ["2027-01-02", "week-2026-12-28", "2027-01", "total"],
            ),
            (
                "2028-02-29",
                ["2028-02-29", "week-2028-02-28", "2028-02", "total"],
            ),
        ] {
            let found = Per::ALL.map(|per| Period::of(per, wall(day)).to_string());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn each_period_begins_where_the_one_before_ended() {
        for per in [Per::Day, Per::Week, Per::Month] {
            let mut period = Period::of(per, wall("2026-01-15"));
            for _ in 0..500 {
                let end = period.end().expect("it ends");
                let next = Period::of(per, end);
                assert_eq!((next.minus(1), next.start()), (period, end));
                let last = WallTime::from_unix_millis(end.unix_millis() - 1);
                assert_eq!(Period::of(per, last), period);
                assert_eq!(period.left(last), Some(Duration::from_millis(1)));
                assert_eq!(Period::parse(&period.to_string()), Some(period));
                period = next;
            }
        }
        let all = Period::of(Per::Total, wall("2026-01-15"));
        assert_eq!((all.end(), Period::parse("total")), (None, Some(all)));
    }

    #[test]
    fn a_tag_stands_for_the_last_period_that_has_it() {
        for per in Per::ALL {
            let now = Period::of(per, wall("2026-11-30"));
            for back in 0..32 {
                let period = now.minus(back);
                assert_eq!(now.last_with_tag(period.tag()), period, "{back} back");
            }
        }
    }

    #[test]
    fn reads_only_what_it_writes() {
        for text in [
            "",
            "totals",
            "2026-11-00",
            "2026-11-31",
            "2026-11-1",
            "2026-11-+1",
            "week-2026-11-29",
            "week-2026-11",
            "1969-12-31",
            "2026-11-30 ",
        ] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
