//! Where usage records are written, and when another file is begun.

use std::time::Duration;

use crate::config::decimal::Decimal;
use crate::config::duration;

/// The file of usage records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its path.
    pub file: Box<str>,
    /// When another one is begun.
    pub rotate: Rotate,
    /// How many of those that were put aside are kept.
    pub keep: usize,
}

/// When a file is put aside and another one begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// Never.
    Never,
    /// At each multiple of this span since 1970, UTC.
    Every(Duration),
    /// Before it becomes larger than this, in bytes.
    Above(u64),
}

impl Rotate {
    /// Reads a duration such as `1h` or `1d`, a size such as `100MB`, or `never`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as the end of a sentence that starts with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic());
        let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
        let size = UNITS.iter().find(|(name, _)| *name == unit);
        if let Some((_, bytes)) = size {
            return size_of(number, *bytes);
        }
        let span = match unit {
            "d" => duration::parse(&format!("{number}h")).map(|span| span * 24),
            _ => duration::parse(text),
        };
        match span {
            Ok(span) if (SHORTEST..=LONGEST).contains(&span) => Ok(Self::Every(span)),
            Ok(_) => Err(String::from("is not between 1m and 366d")),
            Err(_) => Err(String::from(
                "is no time such as 1h or 1d, no size such as 100MB or 1GiB, and not `never`",
            )),
        }
    }
}

fn size_of(number: &str, unit: u32) -> Result<Rotate, String> {
    let number = Decimal::parse(number).map_err(|_| "is not a size such as 100MB or 1GiB")?;
    let bytes = number.times(unit).and_then(|one| u64::try_from(one).ok());
    match bytes {
        Some(bytes) if (SMALLEST..=LARGEST).contains(&bytes) => Ok(Rotate::Above(bytes)),
        Some(_) | None => Err(String::from("is not a size between 64KB and 1000GB")),
    }
}

/// Units of sizes, in bytes.
const UNITS: [(&str, u32); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// A file has a minute at least.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// A file has room for some dozen records at least.
const SMALLEST: u64 = 64_000;
const LARGEST: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_sizes() {
        let every = |seconds| Rotate::Every(Duration::from_secs(seconds));
        for (text, expected) in [
            ("never", Rotate::Never),
            ("1d", every(86_400)),
            ("7d", every(7 * 86_400)),
            ("0.5d", every(43_200)),
            ("1h", every(3_600)),
            ("90m", every(5_400)),
            ("100MB", Rotate::Above(100_000_000)),
            ("1.5GiB", Rotate::Above(3 << 29)),
            ("64000B", Rotate::Above(64_000)),
        ] {
            assert_eq!(Rotate::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_it_cannot_use() {
        for (text, problem) in [
            ("daily", "is no time such as"),
            ("1", "is no time such as"),
            ("", "is no time such as"),
            ("1w", "is no time such as"),
            ("-1d", "is no time such as"),
            ("1s", "is not between 1m and 366d"),
            ("367d", "is not between 1m and 366d"),
            ("1B", "is not a size between 64KB and 1000GB"),
            ("2000GB", "is not a size between 64KB and 1000GB"),
            ("99999999999999999999GB", "is not a size"),
            ("1TB", "is no time such as"),
            ("MB", "is not a size such as"),
        ] {
            let found = Rotate::parse(text).expect_err(text);
            assert!(found.starts_with(problem), "{text}: {found}");
        }
    }
}
