//! `infermux key list`: the keys and teams of a running router, with what is most used of each.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Number;

use crate::cli::exit::DONE;
use crate::cli::flags::ServerFlags;
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::report::table::{self, Cell, Paint, Side, Tone};

#[derive(Deserialize)]
struct Report {
    keys: Vec<Key>,
    #[serde(default)]
    teams: Vec<Team>,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    team: Option<String>,
    caller: String,
    state: String,
    expires: Option<String>,
    #[serde(flatten)]
    allowance: Allowance,
    #[serde(default)]
    per_model: Vec<Models>,
}

#[derive(Deserialize)]
struct Team {
    name: String,
    keys: usize,
    #[serde(flatten)]
    allowance: Allowance,
}

#[derive(Deserialize)]
struct Models {
    models: String,
    #[serde(flatten)]
    allowance: Allowance,
}

#[derive(Default, Deserialize)]
struct Allowance {
    limits: Option<Limits>,
    #[serde(default)]
    budgets: Vec<Budget>,
}

#[derive(Deserialize)]
struct Limits {
    requests_per_minute: Option<Limit>,
    tokens_per_minute: Option<Limit>,
    requests_per_day: Option<Limit>,
    tokens_per_day: Option<Limit>,
    max_in_flight: Option<Limit>,
    enforce: bool,
}

#[derive(Clone, Copy, Deserialize)]
struct Limit {
    limit: u64,
    left: u64,
}

#[derive(Deserialize)]
struct Budget {
    per: String,
    usd: Number,
    spent_usd: Number,
    lost_usd: Option<Number>,
    enforce: bool,
}

/// What is used of a limit or a budget.
struct Use {
    /// Of one.
    part: f64,
    text: String,
}

/// Shows the keys of a running router; returns the exit code.
#[must_use]
pub(super) fn run(flags: &ServerFlags, path: &str) -> u8 {
    let asked = Server::new(flags).and_then(|server| {
        let body = server.report(path, server.deadline())?;
        server.read::<Report>(&body)
    });
    match asked {
        Ok(report) => {
            terminal::say(text(&report, terminal::paint()).trim_end());
            DONE
        }
        Err(problem) => watch::unreachable(&problem),
    }
}

fn text(report: &Report, paint: Paint) -> String {
    let keys = report.keys.iter().map(|key| {
        let all = || {
            let own = std::iter::once(("", &key.allowance));
            let per_model = key.per_model.iter();
            own.chain(per_model.map(|one| (&*one.models, &one.allowance)))
        };
        let caller = Some(&*key.caller).filter(|caller| *caller != key.name);
        // A day is enough: what is left of the moment is in the report.
        let expires = key.expires.as_deref();
        let expires = expires.map(|at| at.split('T').next().unwrap_or(at));
        vec![
            Cell::plain(&key.name),
            or_nothing(key.team.as_deref()),
            or_nothing(caller),
            Cell::plain(&key.state),
            or_nothing(expires),
            most(all().flat_map(|(models, one)| limits(models, one))),
            most(all().flat_map(|(models, one)| budgets(models, one))),
        ]
    });
    let titles = ["KEY", "TEAM", "CALLER", "STATE", "EXPIRES", LIMIT, BUDGET];
    let keys: Vec<Vec<Cell>> = keys.collect();
    let mut text = narrow(&titles, &keys, paint);
    let teams = report.teams.iter().map(|team| {
        vec![
            Cell::plain(&team.name),
            Cell::plain(team.keys.to_string()),
            most(limits("", &team.allowance)),
            most(budgets("", &team.allowance)),
        ]
    });
    let teams: Vec<Vec<Cell>> = teams.collect();
    if !teams.is_empty() {
        text.push('\n');
        text.push_str(&narrow(&["TEAM", "KEYS", LIMIT, BUDGET], &teams, paint));
    }
    text
}

/// A table without the columns in which nothing stands: it is to fit into a narrow terminal.
fn narrow(titles: &[&str], rows: &[Vec<Cell>], paint: Paint) -> String {
    let is_used = |column: usize| rows.iter().any(|row| !row[column].is_nothing());
    let used: Vec<usize> = (0..titles.len()).filter(|one| is_used(*one)).collect();
    let columns: Vec<_> = used.iter().map(|one| (titles[*one], Side::Left)).collect();
    let cells = |row: &Vec<Cell>| used.iter().map(|one| row[*one].clone()).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    table::table(&columns, &rows, paint)
}

fn or_nothing(text: Option<&str>) -> Cell {
    text.map_or_else(Cell::nothing, Cell::plain)
}

/// The one of which the greatest part is used.
fn most(all: impl IntoIterator<Item = Use>) -> Cell {
    let most = all.into_iter().max_by(|a, b| a.part.total_cmp(&b.part));
    most.map_or_else(Cell::nothing, |one| {
        let tone = match one.part {
            part if part >= 1.0 => Tone::Bad,
            part if part >= 0.8 => Tone::Doubtful,
            _ => Tone::Neutral,
        };
        Cell::new(one.text, tone)
    })
}

fn limits(models: &str, allowance: &Allowance) -> Vec<Use> {
    let Some(limits) = &allowance.limits else {
        return Vec::new();
    };
    let all = [
        (limits.requests_per_minute, "requests/min"),
        (limits.tokens_per_minute, "tokens/min"),
        (limits.requests_per_day, "requests/day"),
        (limits.tokens_per_day, "tokens/day"),
        (limits.max_in_flight, "in flight"),
    ];
    let there = all
        .into_iter()
        .filter_map(|(limit, unit)| Some((limit?, unit)));
    let used = there.map(|(Limit { limit, left }, unit)| {
        let used = limit.saturating_sub(left);
        Use {
            part: part(&used.into(), &limit.into()),
            text: format!("{used} of {limit} {unit}") + &more(models, limits.enforce),
        }
    });
    used.collect()
}

fn budgets(models: &str, allowance: &Allowance) -> Vec<Use> {
    let used = allowance.budgets.iter().map(|one| Use {
        part: part(&one.spent_usd, &one.usd),
        text: format!("${} of ${}/{}", one.spent_usd, one.usd, one.per)
            + &more(models, one.enforce)
            + &lost(one.lost_usd.as_ref()),
    });
    used.collect()
}

/// What of it instances had leased that have died.
fn lost(usd: Option<&Number>) -> String {
    usd.map_or_else(String::new, |usd| format!(", ${usd} (lost)"))
}

fn more(models: &str, is_enforced: bool) -> String {
    let mut text = String::new();
    if !models.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, " for {models}");
    }
    if !is_enforced {
        text.push_str(", not enforced");
    }
    text
}

fn part(used: &Number, of: &Number) -> f64 {
    match (used.as_f64(), of.as_f64()) {
        (Some(used), Some(of)) if of > 0.0 => used / of,
        // A budget of nothing is used up from the beginning.
        _ => 1.0,
    }
}

const LIMIT: &str = "MOST USED LIMIT";
const BUDGET: &str = "MOST USED BUDGET";
