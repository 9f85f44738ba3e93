//! A file of keys that a command changes: read, changed in its text, judged by reading the result,
//! and replaced in one step.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::base::limits::KEYS_FILE_BYTES_MAX;
use crate::cli::environment;
use crate::cli::file;
use crate::cli::flags;
use crate::cli::key_flags::KeysFileFlags;
use crate::config::check::keys::Known;
use crate::config::faults::{Fault, printable};
use crate::config::keyring::CallerKey;
use crate::config::plan::{Auth, Plan};
use crate::config::{self, Environment, Options, Strictness};
use crate::sys::files::{self, Stamp};

/// A file of keys, and the configuration that names it.
pub struct KeysFile {
    path: PathBuf,
    /// Tells whether somebody else has changed the file since it was read.
    stamp: Option<Stamp>,
    text: String,
    keys: Vec<CallerKey>,
    /// `None`: the file was named without a configuration.
    plan: Option<Plan>,
    /// Keeps other commands from changing the file until this one has: what they wrote would be
    /// lost.
    _folder: Option<File>,
}

impl KeysFile {
    /// Reads the file that `flags` name; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// Neither the flags nor the configuration name a file, or one cannot be read; a sentence.
    pub fn open(flags: &KeysFileFlags) -> Result<Self, String> {
        let needs_plan = flags.file.is_none() || flags.config.is_some() || flags.write;
        let plan = needs_plan.then(|| plan(flags)).transpose()?;
        let named = plan.as_ref().and_then(named_file);
        let path = flags.file.clone().or(named);
        let path = path.ok_or("--write needs auth.keys_file in the configuration, or --file")?;
        let folder = files::hold_folder(&path);
        let stamp = Stamp::of(&path);
        let text = match files::read_regular_text(&path, KEYS_FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(fault) => return Err(format!("{}: {fault}", path.display())),
        };
        let keys = read(&text, plan.as_ref());
        let named = |faults: Vec<Fault>| format!("{}: {}", path.display(), first(&faults));
        let keys = keys.map_err(named)?;
        Ok(Self {
            path,
            stamp,
            text,
            keys,
            plan,
            _folder: folder,
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[CallerKey] {
        &self.keys
    }

    /// The place of the key called `name`.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|key| *key.name == *name)
    }

    /// Whether the configuration itself has a key called `name`.
    #[must_use]
    pub fn is_in_configuration(&self, name: &str) -> bool {
        let listed = self.plan.as_ref().map(listed).unwrap_or_default();
        listed.iter().any(|key| *key.name == *name)
    }

    /// Checks an entry as the router would; returns its keys.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read_entry(&self, text: &str) -> Result<Vec<CallerKey>, String> {
        read(text, self.plan.as_ref()).map_err(of_entry)
    }

    /// Puts `text` in the file's place, if it says just what is `expected`.
    ///
    /// # Errors
    ///
    /// It says something else, the file has changed meanwhile, or it cannot be written; a sentence.
    pub fn replace(&self, text: &str, expected: &[CallerKey]) -> Result<(), String> {
        let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", self.path.display());
        let keys = read(text, self.plan.as_ref());
        if !keys.is_ok_and(|keys| keys == expected) {
            return Err(named(
                &"its text has a form that infermux does not change: change it by hand",
            ));
        }
        if Stamp::of(&self.path) != self.stamp {
            return Err(named(&"has changed meanwhile: try again"));
        }
        files::replace(&self.path, text).map_err(|fault| named(&fault))
    }
}

/// The key called `name`, wherever the configuration and its file of keys have it.
///
/// # Errors
///
/// They cannot be read; a sentence.
pub fn find(flags: &KeysFileFlags, name: &str) -> Result<Option<CallerKey>, String> {
    let plan = plan(flags)?;
    let listed = listed(&plan).iter().find(|key| *key.name == *name);
    if listed.is_some() || named_file(&plan).is_none() {
        return Ok(listed.cloned());
    }
    let file = KeysFile::open(flags)?;
    let place = file.place(name);
    Ok(place.and_then(|place| file.keys.into_iter().nth(place)))
}

/// Checks an entry as the router would, as far as no configuration is needed; returns its keys.
///
/// # Errors
///
/// What is wrong with it.
pub fn read_entry(text: &str) -> Result<Vec<CallerKey>, String> {
    read(text, None).map_err(of_entry)
}

fn read(text: &str, plan: Option<&Plan>) -> Result<Vec<CallerKey>, Vec<Fault>> {
    let options = Options {
        environment: Environment::Lookup(environment::HERE),
        strict: Strictness::Strict,
    };
    let known = plan.map(Known::of).unwrap_or_default();
    config::load_keys(text, &known, &options)
}

/// The first fault of a file, with its place.
fn first(faults: &[Fault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

/// The first fault of an entry that the operator has given as flags: there is no line to look at,
/// so that the field alone is named.
fn of_entry(faults: Vec<Fault>) -> String {
    let Some(fault) = faults.into_iter().next() else {
        return String::new();
    };
    let field = fault.path.split_once('.').map_or("", |(_, field)| field);
    match field {
        "" => fault.message,
        field => format!("{field}: {}", fault.message),
    }
}

/// The configuration; its variables may be unset here.
fn plan(flags: &KeysFileFlags) -> Result<Plan, String> {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    let loaded = file::read(&path, &options);
    Ok(loaded
        .map_err(|unusable| unusable.faults().join("; "))?
        .plan)
}

/// The keys that stand in the configuration.
fn listed(plan: &Plan) -> &[CallerKey] {
    match &plan.auth {
        Auth::Keys(listed) => &listed.keys,
        Auth::Passthrough | Auth::StaticKey(_) => &[],
    }
}

fn named_file(plan: &Plan) -> Option<PathBuf> {
    match &plan.auth {
        Auth::Keys(listed) => listed.file.as_deref().map(PathBuf::from),
        Auth::Passthrough | Auth::StaticKey(_) => None,
    }
}

/// The sentence for a name that no key has.
#[must_use]
pub fn unknown(name: &str, file: &KeysFile) -> String {
    let is_in_configuration = file.is_in_configuration(name);
    let (name, path) = (printable(name), file.path.display());
    if is_in_configuration {
        return format!(
            "{name} is in auth.keys of the configuration, which infermux does not change"
        );
    }
    format!("{path}: no key is called {name}")
}
