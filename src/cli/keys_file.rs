//! Callers' keys: those of the configuration, and those of the file that it names. The file is
//! watched, and comes into force by itself; one that cannot be used changes nothing.

use std::path::Path;
use std::time::Duration;

use crate::base::limits::KEYS_FILE_BYTES_MAX;
use crate::cli::environment;
use crate::config::check::keys::Known;
use crate::config::faults::Findings;
use crate::config::keyring::{CallerKey, Keyring};
use crate::config::plan::{Auth, Plan};
use crate::config::{self, Environment, Options, Strictness};
use crate::ledger::terms::Terms;
use crate::link::gate::{Phase, Process};
use crate::link::latest::Latest;
use crate::link::reloads::{ReloadSender, Wished};
use crate::sys::files::{self, Stamp};

/// Reads the keys of `plan`: none, where `auth.mode` is not `keys`.
///
/// # Errors
///
/// The file of keys cannot be used: all faults, a sentence each.
pub fn read(plan: &Plan) -> Result<Keyring, Vec<String>> {
    let Auth::Keys(listed) = &plan.auth else {
        return Ok(Keyring::default());
    };
    let mut keys = listed.keys.to_vec();
    if let Some(path) = &listed.file {
        keys.extend(read_file(path, plan)?);
    }
    ring(keys).map_err(|fault| vec![fault])
}

/// Checks the file of keys that `plan` names, where it is there.
///
/// # Errors
///
/// It cannot be used: all faults, a sentence each.
pub fn check(plan: &Plan) -> Result<(), Vec<String>> {
    if file(plan).is_some_and(|file| files::exists(Path::new(&*file))) {
        read(plan)?;
    }
    Ok(())
}

/// The keys of the file at `path`.
fn read_file(path: &str, plan: &Plan) -> Result<Vec<CallerKey>, Vec<String>> {
    let named = |problem: &dyn std::fmt::Display| format!("auth.keys_file: {path}: {problem}");
    let text = files::read_regular_text(Path::new(path), KEYS_FILE_BYTES_MAX);
    let text = text.map_err(|fault| {
        vec![match fault.kind() {
            std::io::ErrorKind::NotFound => named(&format_args!("{fault}: {HOW_MADE}")),
            _ => named(&fault),
        }]
    })?;
    let options = Options {
        environment: Environment::Lookup(environment::HERE),
        strict: Strictness::Strict,
    };
    let keys = config::load_keys(&text, &Known::of(plan), &options);
    keys.map_err(|faults| faults.iter().map(|fault| named(fault)).collect())
}

/// What makes a file of keys that is not there.
pub const HOW_MADE: &str = "`infermux key new --name NAME --write` begins it";

/// Puts the keys of all lists together.
fn ring(keys: Vec<CallerKey>) -> Result<Keyring, String> {
    if keys.is_empty() {
        return Err(String::from(
            "auth: no key is configured, so that nobody could call",
        ));
    }
    let findings = Findings::new(Strictness::Strict);
    let ring = config::check::keys::ring(&findings, keys);
    let (faults, _) = findings.into_parts();
    match faults.first() {
        None => Ok(ring),
        Some(fault) => Err(fault.to_string()),
    }
}

/// A file of keys as it was at some moment; `None`: there was none to look at.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen(Option<(Box<str>, Option<Stamp>)>);

impl Seen {
    /// The file that `plan` names, as it is now.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self(file(plan).map(|path| {
            let stamp = Stamp::of(Path::new(&*path));
            (path, stamp)
        }))
    }
}

/// Watches the file of keys that the configuration in force names, and wishes for it to be read
/// again when it is not as it was `seen` before it was read, as long as the process takes traffic.
/// It does not end: the end of a thread would end the process.
pub fn watch(
    terms: &Latest<Terms>,
    process: &Process,
    (reloads, mut seen): (&ReloadSender, Seen),
) -> ! {
    loop {
        std::thread::park_timeout(LOOK_EVERY);
        if process.phase() > Phase::Serving {
            continue;
        }
        let now = Seen::of(&terms.load().plan);
        // A full queue is tried again.
        if now == seen || now.0.is_some() && reloads.wish(Wished::Keys).is_none() {
            continue;
        }
        seen = now;
    }
}

/// The file of keys that `plan` names.
fn file(plan: &Plan) -> Option<Box<str>> {
    match &plan.auth {
        Auth::Keys(listed) => listed.file.clone(),
        Auth::Passthrough | Auth::StaticKey(_) => None,
    }
}

/// Pause between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_millis(300);
