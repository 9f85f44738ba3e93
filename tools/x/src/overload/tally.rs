//! Rows of the table, and sums that must agree.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::Value;

use crate::chaos::books;

/// One figure, and whether it is as promised.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) value: String,
    judged: Judged,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Shown,
    Held,
    Broken,
}

impl Row {
    /// A figure that is not judged.
    pub(super) fn shown(what: &str, value: impl Display) -> Self {
        Self {
            what: what.to_owned(),
            value: value.to_string(),
            judged: Judged::Shown,
        }
    }

    /// A ratio, which a quick run does not judge.
    pub(super) fn ratio_unless(is_quick: bool, what: &str, ratio: f64, holds: bool) -> Self {
        let value = format!("{ratio:.2}");
        if is_quick {
            return Self::shown(what, value);
        }
        Self::judged(what, value, holds)
    }

    /// A figure that is judged.
    pub(super) fn judged(what: &str, value: impl Display, holds: bool) -> Self {
        Self {
            judged: if holds { Judged::Held } else { Judged::Broken },
            ..Self::shown(what, value)
        }
    }

    /// A count that must be exactly what was expected.
    pub(super) fn equal(what: &str, found: u64, expected: u64) -> Self {
        let value = match found == expected {
            true => found.to_string(),
            false => format!("{found}, not {expected}"),
        };
        Self::judged(what, value, found == expected)
    }

    /// The word in the table.
    pub(super) fn verdict(&self) -> &'static str {
        match self.judged {
            Judged::Shown => "",
            Judged::Held => "holds",
            Judged::Broken => "**broken**",
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.judged == Judged::Broken
    }
}

/// The series of one scrape, added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(Vec<(String, String, f64)>);

impl Metrics {
    /// Reads a scrape.
    pub(super) fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let series = books::series(&text);
        Self(
            series
                .map(|(name, labels, value)| (name.to_owned(), labels.to_owned(), value))
                .collect(),
        )
    }

    /// By how much that sum has grown since.
    pub(super) fn gained(&self, before: &Self, name: &str, parts: &[&str]) -> u64 {
        self.sum(name, parts)
            .saturating_sub(before.sum(name, parts))
    }

    /// The sum of the series with this name whose labels hold all of `parts`.
    pub(super) fn sum(&self, name: &str, parts: &[&str]) -> u64 {
        let is_meant = |(own, labels, _): &&(String, String, f64)| {
            own == name && parts.iter().all(|part| labels.contains(part))
        };
        let sum: f64 = self
            .0
            .iter()
            .filter(is_meant)
            .map(|(_, _, value)| value)
            .sum();
        whole(sum)
    }
}

/// A count that came as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are positive and far below 2^53"
)]
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Ends of requests by status, as their callers saw them; 0 stands for no answer.
pub(super) type Statuses = BTreeMap<u16, u64>;

/// A count in an answer in JSON.
pub(super) fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_the_series_that_are_meant() {
        let before = Metrics::read(b"# HELP a\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 9\n");
        assert_eq!(before.sum("a", &[]), 5);
        assert_eq!(before.sum("a", &["x=\"2\""]), 3);
        let after = Metrics::read(b"a{x=\"2\"} 7\n");
        assert_eq!(after.gained(&before, "a", &["x=\"2\""]), 4);
        assert!(Row::equal("a", 1, 2).is_broken() && !Row::equal("a", 1, 1).is_broken());
        assert!(!Row::shown("a", 1).is_broken());
    }
}
