//! The flags of `infermux key`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::base::period::Per;
use crate::cli::server_flags::ServerFlags;
use crate::config::decimal::Decimal;
use crate::config::duration;

/// What is done with keys.
#[derive(Args, Debug)]
pub struct KeyFlags {
    /// What is done.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and print it once, with its entry of auth.keys.
    New(NewKeyFlags),
    /// Print the hash of a key of another system, which is read from the standard input.
    Hash,
    /// Show the keys of a running router.
    List(ServerFlags),
    /// Take a key out of use: at a running router until it reads its files again, or in the file.
    Disable(NamedKeyFlags),
    /// Put a key back in use: at a running router until it reads its files again, or in the file.
    Enable(NamedKeyFlags),
    /// Make another secret for a key, and print it once; the former ones end after a while.
    Rotate(RotateFlags),
}

/// The file of keys that a command changes.
#[derive(Args, Debug, Default)]
pub struct KeysFileFlags {
    /// Write to auth.keys_file of the configuration
    #[arg(long)]
    pub write: bool,
    /// Write to this file of keys
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Configuration file [default: infermux.yml] [env: INFERMUX_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl KeysFileFlags {
    /// Whether a file is written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.write || self.file.is_some()
    }
}

/// The flags of `key new`.
#[derive(Args, Debug)]
pub struct NewKeyFlags {
    /// The key's name in logs and reports
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// The team that it belongs to
    #[arg(long, value_name = "TEAM")]
    pub team: Option<String>,
    /// The caller that its requests are counted for [default: the key's name]
    #[arg(long, value_name = "CALLER")]
    pub caller: Option<String>,
    /// A model that it may ask for, with * for any text; repeat for several [default: all]
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// Until when it is good, such as 2027-01-31
    #[arg(long, value_name = "DATE")]
    pub expires: Option<String>,
    /// Its limits.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// What may be spent, such as 50/month, or 5/day/alert to be told only; the period is day,
    /// week, month or total; repeat for several
    #[arg(long = "budget", value_name = "USD/PERIOD", value_parser = budget)]
    pub budgets: Vec<BudgetFlag>,
    /// Count and report what exceeds these limits and budgets, and refuse nothing
    #[arg(long)]
    pub no_enforce: bool,
    /// Where it is written.
    #[command(flatten)]
    pub file: KeysFileFlags,
}

/// The limits of a key.
#[derive(Args, Debug, Default)]
pub struct LimitFlags {
    /// Requests in any 60 seconds
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u64>,
    /// Tokens in any 60 seconds
    #[arg(long, value_name = "N")]
    pub tokens_per_minute: Option<u64>,
    /// Requests in a day, UTC
    #[arg(long, value_name = "N")]
    pub requests_per_day: Option<u64>,
    /// Tokens in a day, UTC
    #[arg(long, value_name = "N")]
    pub tokens_per_day: Option<u64>,
    /// Requests under way at once
    #[arg(long, value_name = "N")]
    pub max_in_flight: Option<u64>,
}

/// A budget of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetFlag {
    /// The amount, as it was written.
    pub usd: String,
    /// The period.
    pub per: Per,
    /// What happens when it is used up; `None`: requests are refused.
    pub action: Option<&'static str>,
}

/// The flags of `key disable` and `key enable`.
#[derive(Args, Debug)]
pub struct NamedKeyFlags {
    /// The key's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The router.
    #[command(flatten)]
    pub server: ServerFlags,
    /// Where it is written.
    #[command(flatten)]
    pub file: KeysFileFlags,
}

/// The flags of `key rotate`.
#[derive(Args, Debug)]
pub struct RotateFlags {
    /// The key's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long its former secrets stay good, such as 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = overlap)]
    pub overlap: Duration,
    /// Where it is written.
    #[command(flatten)]
    pub file: KeysFileFlags,
}

fn budget(text: &str) -> Result<BudgetFlag, String> {
    let wrong = || String::from("is not like 50/month or 5/day/alert");
    let mut parts = text.split('/');
    let (usd, per) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
    Decimal::parse(usd)?;
    let per = Per::ALL.into_iter().find(|one| one.name() == per);
    let per = per.ok_or("has another period than day, week, month or total")?;
    let action = match parts.next() {
        None => None,
        Some(word) => {
            let known = ["hard_stop", "alert"].into_iter().find(|one| *one == word);
            Some(known.ok_or("has another action than hard_stop or alert")?)
        }
    };
    let usd = usd.to_owned();
    match parts.next() {
        None => Ok(BudgetFlag { usd, per, action }),
        Some(_) => Err(wrong()),
    }
}

/// A duration, also in days.
fn overlap(text: &str) -> Result<Duration, String> {
    let span = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => Duration::from_secs(u64::from(days) * 86_400),
        Some(Err(_)) | None => duration::parse(text)?,
    };
    if span > OVERLAP_MAX {
        return Err(String::from("is more than 3650d"));
    }
    Ok(span)
}

/// Longest overlap of two secrets.
const OVERLAP_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// The help that stands behind the flags.
pub const HELP: &str = "\
A key is `imx_` and 49 letters and digits. infermux knows only its SHA-256: whoever loses it needs \
a new one. With --write or --file, a file of keys is changed, its order and comments stay, and a \
running router goes by it within a second.

Environment:
  INFERMUX_CONFIG            Instead of --config. An empty variable is an unset one.
  INFERMUX_SERVER            Instead of --server.
  INFERMUX_MANAGEMENT_TOKEN  The router's management token, where it has one.

Exit codes:
  0  It is done.
  1  The arguments or the configuration cannot be used, or a file cannot be written.
  2  The router cannot be reached, as where --server is no URL, or does not tell.
  3  No key has this name.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_an_amount_a_period_and_an_action() {
        for (text, usd, per, action) in [
            ("50/month", "50", Per::Month, None),
            ("0.5/day/alert", "0.5", Per::Day, Some("alert")),
            ("1e3/total/hard_stop", "1e3", Per::Total, Some("hard_stop")),
        ] {
            let usd = usd.to_owned();
            assert_eq!(budget(text), Ok(BudgetFlag { usd, per, action }), "{text}");
        }
        for (text, problem) in [
            ("50", "is not like 50/month or 5/day/alert"),
            ("$50/month", "is not a number"),
            ("-1/month", "is below 0"),
            (
                "50/year",
                "has another period than day, week, month or total",
            ),
            ("50/day/warn", "has another action than hard_stop or alert"),
            ("50/day/alert/x", "is not like 50/month or 5/day/alert"),
        ] {
            assert_eq!(budget(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn secrets_overlap_for_days_or_less() {
        for (text, seconds) in [
            ("7d", 604_800),
            ("12h", 43_200),
            ("0s", 0),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(overlap(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["7", "d", "-1d", "1.5d", "3651d", "87601h"] {
            assert!(overlap(text).is_err(), "{text}");
        }
    }
}
