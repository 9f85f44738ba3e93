//! `infermux check`: asks every provider of a file once, and tells what was found; or tries the
//! file's webhooks.

use std::thread;

use serde::Serialize;

use crate::cli::ask_provider::{self, Found, Health};
use crate::cli::check_webhooks;
use crate::cli::environment;
use crate::cli::exit::{DONE, NOT_WELL, UNREACHABLE, UNUSABLE};
use crate::cli::file;
use crate::cli::flags;
use crate::cli::setup_flags::CheckFlags;
use crate::cli::terminal;
use crate::config::faults::printable;
use crate::config::plan::{Plan, Provider};
use crate::config::{Environment, Options, Strictness};
use crate::report::table::{self, Cell, Paint, Side, Tone};
use crate::sys::tls;

/// Asks the providers, and prints what was found; returns the exit code.
#[must_use]
pub fn run(flags: &CheckFlags) -> u8 {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let options = Options {
        environment: Environment::Lookup(environment::HERE),
        strict: Strictness::Lenient,
    };
    let loaded = match file::read(&path, &options) {
        Ok(loaded) => loaded,
        Err(unusable) => {
            unusable.print();
            return UNUSABLE;
        }
    };
    loaded.warnings.iter().for_each(terminal::warning);
    if flags.webhooks {
        return check_webhooks::run(&loaded.plan, flags.json).unwrap_or_else(|problem| {
            terminal::error(problem);
            UNUSABLE
        });
    }
    let asked = chosen(&loaded.plan, &flags.providers);
    let found = asked.and_then(|providers| ask_all(&providers));
    let found = match found {
        Ok(found) => found,
        Err(problem) => {
            terminal::error(problem);
            return UNUSABLE;
        }
    };
    if flags.json {
        let found = Checked { providers: &found };
        // Strings and numbers can always be written.
        terminal::say(serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        terminal::say(text(&found, terminal::paint()).trim_end());
    }
    code(&found)
}

/// What `--json` prints.
#[derive(Serialize)]
struct Checked<'a> {
    providers: &'a [Found],
}

fn code(found: &[Found]) -> u8 {
    let is = |health| found.iter().any(|one| one.health == health);
    if is(Health::Unreachable) {
        UNREACHABLE
    } else if is(Health::Refused) || found.iter().any(|one| !one.missing.is_empty()) {
        NOT_WELL
    } else {
        DONE
    }
}

/// The providers that are asked.
fn chosen<'p>(plan: &'p Plan, names: &[String]) -> Result<Vec<&'p Provider>, String> {
    let providers = &plan.providers;
    let is_known = |name: &&String| providers.iter().any(|one| *one.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return Err(format!("no provider is called {}", printable(unknown)));
    }
    let is_meant =
        |one: &&Provider| names.is_empty() || names.iter().any(|name| *one.name == **name);
    Ok(providers.iter().filter(is_meant).collect())
}

/// Asks them, some at a time; what was found is in their order.
fn ask_all(providers: &[&Provider]) -> Result<Vec<Found>, String> {
    let (tls, faults) = tls::client()?;
    faults.iter().for_each(terminal::warning);
    let (tls, mut found) = (&tls, Vec::new());
    for some in providers.chunks(AT_ONCE) {
        let asked = thread::scope(|scope| {
            let ask = |provider| scope.spawn(move || ask_provider::ask(provider, tls));
            let running: Vec<_> = some.iter().copied().map(ask).collect();
            let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
            ended.collect::<Result<Vec<Found>, _>>()
        });
        found.extend(asked.map_err(|_| "asking a provider has panicked")?);
    }
    Ok(found)
}

fn text(found: &[Found], paint: Paint) -> String {
    let columns = [
        ("PROVIDER", Side::Left),
        ("FOUND", Side::Left),
        ("TIME", Side::Right),
        ("MODELS", Side::Right),
        ("URL", Side::Left),
    ];
    let row = |one: &Found| {
        let (word, tone) = match one.health {
            Health::Well if one.missing.is_empty() => ("well", Tone::Good),
            Health::Well => ("models missing", Tone::Doubtful),
            Health::Refused => ("refused", Tone::Bad),
            Health::Unreachable => ("unreachable", Tone::Bad),
        };
        vec![
            Cell::plain(&one.provider),
            Cell::new(word, tone),
            Cell::plain(format!("{} ms", one.latency_ms)),
            Cell::number(one.models.and_then(|count| u64::try_from(count).ok())),
            Cell::plain(&one.url),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    let mut notes = Vec::new();
    for one in found {
        if let Some(why) = &one.why {
            notes.push((&*one.provider, Cell::plain(why)));
        }
        if !one.missing.is_empty() {
            let missing = one.missing.join(", ");
            let text = format!("it does not list {missing}, which the file names");
            notes.push((&*one.provider, Cell::new(text, Tone::Doubtful)));
        }
    }
    let table = table::table(&columns, &rows, paint);
    if notes.is_empty() {
        return table;
    }
    format!("{table}\n{}", table::pairs(&notes, paint))
}

/// Providers that are asked at once.
const AT_ONCE: usize = 16;
