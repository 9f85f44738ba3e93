//! `infermux key`: makes keys for callers, and shows and switches those of a running router.

use std::io::{IsTerminal, Read};
use std::path::Path;

use serde::Deserialize;

use crate::base::caller_key;
use crate::base::digest::Digest;
use crate::cli::environment;
use crate::cli::exit::{DONE, FAULTY, UNUSABLE};
use crate::cli::file;
use crate::cli::flags::{self, KeyCommand, NamedKeyFlags, NewKeyFlags, ServerFlags};
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::check::keys::Known;
use crate::config::faults::printable;
use crate::config::plan::{Auth, Plan};
use crate::config::{self, Environment, Options, Strictness};
use crate::report::table::{self, Cell, Side};
use crate::sys::{entropy, files};

/// Carries out the command; returns the exit code.
#[must_use]
pub fn run(command: &KeyCommand) -> u8 {
    match command {
        KeyCommand::New(flags) => new(flags),
        KeyCommand::Hash => hash(),
        KeyCommand::List(flags) => list(flags),
        KeyCommand::Disable(flags) => act(flags, "disable"),
        KeyCommand::Enable(flags) => act(flags, "enable"),
    }
}

/// Makes a key. It is printed once, and only its digest is kept.
fn new(flags: &NewKeyFlags) -> u8 {
    let random = match entropy::secret() {
        Ok(random) => random,
        Err(fault) => return failed(format_args!("the system gives no random bytes: {fault}")),
    };
    let key = caller_key::of_random(random);
    let entry = entry(flags, &Digest::of(key.as_bytes()));
    if let Err(problem) = check(&entry) {
        return failed(problem);
    }
    if flags.write {
        let path = match append(&entry, flags) {
            Ok(path) => path,
            Err(problem) => return failed(problem),
        };
        terminal::say(key);
        terminal::note(format_args!(
            "the key's digest is written to {path}; the key itself is kept nowhere"
        ));
    } else {
        terminal::say(key);
        terminal::note(
            "the key itself is kept nowhere; its entry of auth.keys or of the file of keys:",
        );
        terminal::say(entry.trim_end());
    }
    DONE
}

/// The key's entry of a list of keys.
fn entry(flags: &NewKeyFlags, digest: &Digest) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut entry = format!(
        "- name: {}\n  hash: \"sha256:{digest}\"\n",
        quoted(&flags.name)
    );
    let fields = [
        ("team", &flags.team),
        ("caller", &flags.caller),
        ("expires", &flags.expires),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            entry.push_str(&format!("  {field}: {}\n", quoted(value)));
        }
    }
    if !flags.models.is_empty() {
        let models: Vec<String> = flags.models.iter().map(|model| quoted(model)).collect();
        entry.push_str(&format!("  models: [{}]\n", models.join(", ")));
    }
    entry
}

/// Checks the entry as the router would, as far as no configuration is needed.
fn check(entry: &str) -> Result<(), String> {
    match config::load_keys(entry, &Known::default(), &options()) {
        Ok(_) => Ok(()),
        Err(faults) => Err(faults.first().map(ToString::to_string).unwrap_or_default()),
    }
}

/// Appends the entry to the file that the configuration names, in one step; returns its path.
fn append(entry: &str, flags: &NewKeyFlags) -> Result<String, String> {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    let loaded = file::read(&path, &options);
    let plan = loaded
        .map_err(|unusable| unusable.faults().join("; "))?
        .plan;
    let path = keys_file(&plan).ok_or("--write needs auth.keys_file in the configuration")?;
    let former = match files::read_text(Path::new(&path), crate::base::limits::KEYS_FILE_BYTES_MAX)
    {
        Ok(text) => text,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(fault) => return Err(format!("{path}: {fault}")),
    };
    let former = former.trim_end();
    let text = if former.is_empty() {
        entry.to_owned()
    } else {
        format!("{former}\n{entry}")
    };
    let checked = config::load_keys(&text, &Known::of(&plan), &self::options());
    let keys = checked.map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        format!("{path}: {first}")
    })?;
    let mut names = keys.iter().filter(|key| *key.name == *flags.name);
    if names.next().is_some() && names.next().is_some() {
        return Err(format!(
            "{path}: there is a key called {} already",
            flags.name
        ));
    }
    files::replace(Path::new(&path), &text).map_err(|fault| format!("{path}: {fault}"))?;
    Ok(path)
}

fn keys_file(plan: &Plan) -> Option<String> {
    match &plan.auth {
        Auth::Keys(listed) => listed.file.as_deref().map(str::to_owned),
        Auth::Passthrough | Auth::StaticKey(_) => None,
    }
}

fn options() -> Options<'static> {
    Options {
        environment: Environment::Lookup(environment::HERE),
        strict: Strictness::Strict,
    }
}

/// Prints the digest of the key on the standard input.
fn hash() -> u8 {
    let mut text = String::new();
    let mut input = std::io::stdin();
    if input.is_terminal() {
        terminal::note("type the key, then Enter and Ctrl-D");
    }
    if let Err(fault) = input.by_ref().take(KEY_BYTES_MAX).read_to_string(&mut text) {
        return failed(format_args!("the key cannot be read: {fault}"));
    }
    let key = text.trim();
    if key.is_empty() {
        return failed("there is no key on the standard input");
    }
    if key.len() < SHORT_KEY_BYTES {
        terminal::warning(format_args!(
            "a key of fewer than {SHORT_KEY_BYTES} characters may be guessed from its digest"
        ));
    }
    if caller_key::form(key.as_bytes()) == caller_key::KeyForm::Mistyped {
        return failed(
            "the key is mistyped or cut: its check sum is wrong, and it would be refused",
        );
    }
    terminal::say(format_args!("sha256:{}", Digest::of(key.as_bytes())));
    DONE
}

#[derive(Deserialize)]
struct Report {
    keys: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    team: Option<String>,
    caller: String,
    state: String,
    expires: Option<String>,
}

/// Shows the keys of a running router.
fn list(flags: &ServerFlags) -> u8 {
    let asked = Server::new(flags).and_then(|server| {
        let body = server.report(PATH, server.deadline())?;
        server.read::<Report>(&body)
    });
    let report = match asked {
        Ok(report) => report,
        Err(problem) => return watch::unreachable(&problem),
    };
    let titles = ["NAME", "TEAM", "CALLER", "STATE", "EXPIRES"].map(|title| (title, Side::Left));
    let cell = |text: Option<&str>| text.map_or_else(Cell::nothing, Cell::plain);
    let rows = report.keys.iter().map(|row| {
        let texts = [
            Some(&*row.name),
            row.team.as_deref(),
            Some(&*row.caller),
            Some(&*row.state),
            row.expires.as_deref(),
        ];
        texts.map(cell).to_vec()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    terminal::say(table::table(&titles, &rows, terminal::paint()).trim_end());
    DONE
}

/// Switches a key of a running router on or off, until it reads its files again.
fn act(flags: &NamedKeyFlags, act: &str) -> u8 {
    let path = format!("{PATH}/{}/{act}", percent_encoded(&flags.name));
    let asked = Server::new(&flags.server).and_then(|server| {
        let answer = server.ask("POST", &path, server.deadline())?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(server.refused(&path, &answer)),
        }
    });
    match asked {
        Ok(true) => {
            terminal::say(format_args!(
                "{} is {act}d until the files are read again",
                flags.name
            ));
            DONE
        }
        Ok(false) => {
            terminal::error(format_args!("no key is called {}", printable(&flags.name)));
            FAULTY
        }
        Err(problem) => watch::unreachable(&problem),
    }
}

/// A name as a segment of a path.
fn percent_encoded(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

fn failed(problem: impl std::fmt::Display) -> u8 {
    terminal::error(problem);
    UNUSABLE
}

/// Where the router tells of its keys.
const PATH: &str = "/_infermux/keys";
/// Longest key that is read.
const KEY_BYTES_MAX: u64 = 4_096;
/// Keys that are shorter than this can be guessed.
const SHORT_KEY_BYTES: usize = 24;
