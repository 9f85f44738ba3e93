//! `infermux shared`: which instances share limits and budgets, as their store knows them.

use std::time::Duration;

use crate::cli::environment;
use crate::cli::exit::{DONE, UNREACHABLE, UNUSABLE};
use crate::cli::flags;
use crate::cli::fleet;
use crate::cli::reload::Source;
use crate::cli::shared_flags::{ForgetFlags, SharedCommand, StoreFlags};
use crate::cli::terminal;
use crate::config::duration;
use crate::config::faults::printable;
use crate::config::shared::Shared;
use crate::coordinator::store::Store;
use crate::ledger::shares::message::namespace_key;
use crate::ledger::shares::scripts;
use crate::link::store::{Call, Said};
use crate::report::table::{Cell, Side, table};

/// Carries out the command; returns the exit code.
#[must_use]
pub fn run(command: &SharedCommand) -> u8 {
    let done = match command {
        SharedCommand::Status(flags) => status(flags),
        SharedCommand::Forget(flags) => forget(flags),
    };
    match done {
        Ok(()) => DONE,
        Err((code, problem)) => {
            terminal::error(problem);
            code
        }
    }
}

/// An exit code, and the problem.
type Failed = (u8, String);

/// The store of a configuration, and what instances have in common there.
struct Namespace {
    store: Store,
    key: String,
    shared: Shared,
}

/// An instance, as the store knows it.
struct Member {
    id: String,
    /// How long it is still waited for; zero: it counts as dead.
    left: Duration,
}

fn status(flags: &StoreFlags) -> Result<(), Failed> {
    let mut namespace = Namespace::open(flags)?;
    let members = namespace.members()?;
    let rows = members.iter().map(|member| {
        let state = if member.left.is_zero() {
            "dead"
        } else {
            "alive"
        };
        let left = duration::text(Duration::from_secs(member.left.as_secs()));
        vec![
            Cell::plain(&member.id),
            Cell::plain(state),
            Cell::plain(left),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        terminal::note("no instance has been here");
        return Ok(());
    }
    let columns = [
        ("INSTANCE", Side::Left),
        ("STATE", Side::Left),
        ("WAITED FOR", Side::Left),
    ];
    terminal::say(table(&columns, &rows, terminal::paint()).trim_end());
    Ok(())
}

fn forget(flags: &ForgetFlags) -> Result<(), Failed> {
    let id = &flags.id;
    let mut namespace = Namespace::open(&flags.store)?;
    let members = namespace.members()?;
    let refused = |problem: &str| Err((UNUSABLE, format!("{}: {problem}", printable(id))));
    let Some(member) = members.iter().find(|member| member.id == *id) else {
        return refused("no instance with this name is known");
    };
    // Whoever lives says so each second.
    if member.left + HEARD_WITHIN > namespace.shared.member_ttl {
        return refused("the instance lives: stop it first");
    }
    let quotas = namespace.store.keys(&format!("{}:", namespace.key));
    let quotas = quotas.map_err(|problem| (UNREACHABLE, problem))?;
    let mut calls: Vec<Call> = Vec::new();
    for quota in &quotas {
        calls.push(namespace.call(scripts::FORGET, Some(quota), id));
    }
    // The member itself comes last: until then, it can be forgotten again.
    calls.push(namespace.call(scripts::FORGET, None, id));
    let mut count = 0;
    for some in calls.chunks(CALLS_MAX) {
        let said = namespace.ask(some)?;
        count += said.iter().filter(|one| **one == Said::Number(1)).count();
    }
    let quotas = count.saturating_sub(1);
    terminal::say(format_args!(
        "{}: forgotten, with its parts of {quotas} limits and budgets",
        printable(id)
    ));
    Ok(())
}

impl Namespace {
    fn open(flags: &StoreFlags) -> Result<Self, Failed> {
        let path = flags::config_path(flags.config.as_deref(), &environment::setting);
        let loaded = Source::load(&path).map_err(|unusable| {
            let faults = unusable.faults();
            (UNUSABLE, faults.join("; "))
        })?;
        let Some(shared) = loaded.plan.shared else {
            let path = printable(&path.display().to_string());
            return Err((UNUSABLE, format!("{path}: it has no `shared`")));
        };
        let tls = fleet::tls_of(&shared).map_err(|problem| (UNUSABLE, problem))?;
        Ok(Self {
            store: Store::new(&shared, tls),
            key: namespace_key(&shared.namespace),
            shared,
        })
    }

    fn ask(&mut self, calls: &[Call]) -> Result<Vec<Said>, Failed> {
        let said = self.store.ask(calls);
        said.map_err(|problem| (UNREACHABLE, problem))
    }

    fn call(&self, script: &'static str, quota: Option<&String>, id: &str) -> Call {
        let keys = std::iter::once(&self.key).chain(quota);
        Call {
            script,
            keys: keys.cloned().collect(),
            args: vec![id.to_owned()],
        }
    }

    fn members(&mut self) -> Result<Vec<Member>, Failed> {
        let call = Call {
            script: scripts::STATUS,
            keys: vec![self.key.clone()],
            args: Vec::new(),
        };
        let said = self.ask(&[call])?;
        let Some(Said::List(parts)) = said.first() else {
            let problem = "the store's answer is not that of the script".to_owned();
            return Err((UNREACHABLE, problem));
        };
        let text = |said: &Said| match said {
            Said::Text(text) => text.to_string(),
            Said::Nothing | Said::Number(_) | Said::List(_) | Said::Fault(_) => String::new(),
        };
        let parts: Vec<String> = parts.iter().map(text).collect();
        // The epoch, the time, and how long the store learns come first.
        let members = parts.get(3..).unwrap_or_default().chunks(3);
        let member = |member: &[String]| match member {
            [id, _, left] => Some(Member {
                id: printable(id),
                left: Duration::from_millis(left.parse().unwrap_or(0)),
            }),
            _ => None,
        };
        Ok(members.filter_map(member).collect())
    }
}

/// Most calls that are sent together.
const CALLS_MAX: usize = 500;
/// Who was heard of within this time counts as living.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
