//! The counts as tables.

use std::fmt::Write as _;

use super::profile::Profile;
use super::rows::Row;
use crate::baseline::Counts;

/// A row with what one unit of it takes.
pub(crate) struct Counted {
    /// The row.
    pub(crate) row: Row,
    /// Its counts.
    pub(crate) profile: Profile,
}

impl Counted {
    /// Whole instructions.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count is neither negative nor near the largest number"
    )]
    pub(crate) fn count(&self) -> u64 {
        self.profile.total.round().max(0.0) as u64
    }
}

/// The counts by name.
pub(crate) fn counts(counted: &[Counted]) -> Counts {
    let pair = |one: &Counted| (one.row.name.to_owned(), one.count());
    counted.iter().map(pair).collect()
}

/// A line for each row, in the form of the table in docs/performance.md. Where the base of a ratio
/// was not counted, the baseline's count is used.
pub(crate) fn rows(counted: &[Counted], baseline: &Counts) -> String {
    let now = counts(counted);
    let mut text = "| row | what it is | instructions | ratio | aim | since the baseline |\n\
        |---|---|---:|---:|---:|---:|\n"
        .to_owned();
    for one in counted {
        let (row, count) = (&one.row, one.count());
        let base = now.get(row.base).or_else(|| baseline.get(row.base));
        let ratio = base.map(|base| count as f64 / *base as f64);
        let shown = ratio.map_or("?".to_owned(), |ratio| format!("{ratio:.2}"));
        let aim = match (row.aim, ratio) {
            (Some(aim), Some(ratio)) if ratio > aim => format!("≤ {aim}, **missed**"),
            (Some(aim), _) => format!("≤ {aim}"),
            (None, _) => String::new(),
        };
        let was = baseline.get(row.name).map(|was| *was as f64);
        let change = was.map_or("new".to_owned(), |was| {
            format!("{:+.1} %", (count as f64 / was - 1.0) * 100.0)
        });
        let (name, title) = (row.name, row.title);
        let count = grouped(count);
        let _ = writeln!(
            text,
            "| `{name}` | {title} | {count} | {shown} | {aim} | {change} |"
        );
    }
    text
}

/// The dearest functions of each row, with what they call and by themselves.
pub(crate) fn functions(counted: &[Counted], top: usize) -> String {
    let mut text = String::new();
    for one in counted {
        let (name, profile) = (one.row.name, &one.profile);
        for (what, list) in [
            ("with what they call", profile.top_inclusive(top)),
            ("by themselves", profile.top_own(top)),
        ] {
            let _ = writeln!(text, "\n{name}: functions {what}");
            for (function, count) in list {
                let share = count / profile.total * 100.0;
                let _ = writeln!(text, "{count:>12.0} {share:5.1} %  {function}");
            }
        }
    }
    text
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::rows::chosen;
    use super::*;

    fn counted(name: &str, total: f64) -> Counted {
        let all = chosen(&[name.to_owned()]).expect("a row");
        let profile = Profile {
            total,
            ..Profile::default()
        };
        Counted {
            row: all[0],
            profile,
        }
    }

    #[test]
    fn a_row_shows_its_ratio_its_aim_and_its_change() {
        let all = [counted("small", 40_000.0), counted("responses", 48_000.4)];
        let baseline = Counts::from([("responses".to_owned(), 50_000)]);
        let text = rows(&all, &baseline);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start));
        let small = line("| `small`").expect("a line");
        assert!(small.ends_with("| 40,000 | 1.00 |  | new |"), "{small}");
        let other = line("| `responses`").expect("a line");
        let end = "| 48,000 | 1.20 | ≤ 1.1, **missed** | -4.0 % |";
        assert!(other.ends_with(end), "{other}");
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            [1, 999, 1_000, 1_234_567].map(grouped),
            ["1", "999", "1,000", "1,234,567"]
        );
    }
}
