//! `infermux key`: makes keys for callers, and shows and switches those of a running router.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use crate::base::caller_key;
use crate::base::digest::Digest;
use crate::base::time::WallTime;
use crate::cli::exit::{DONE, FAULTY, UNUSABLE};
use crate::cli::key_entry::{self, Entry, Use};
use crate::cli::key_flags::{KeyCommand, KeysFileFlags, NamedKeyFlags, NewKeyFlags, RotateFlags};
use crate::cli::key_list;
use crate::cli::keys_edit::{self, KeysFile};
use crate::cli::server::{Server, percent_encoded};
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::faults::printable;
use crate::config::keyring::CallerKey;
use crate::sys::{clock, entropy};

/// Carries out the command; returns the exit code.
#[must_use]
pub fn run(command: &KeyCommand) -> u8 {
    match command {
        KeyCommand::New(flags) => new(flags),
        KeyCommand::Hash => hash(),
        KeyCommand::List(flags) => key_list::run(flags, PATH),
        KeyCommand::Disable(flags) => switch(flags, Use::Disabled),
        KeyCommand::Enable(flags) => switch(flags, Use::Enabled),
        KeyCommand::Rotate(flags) => rotate(flags),
    }
}

/// Makes a key. It is printed once, and only its digest is kept.
fn new(flags: &NewKeyFlags) -> u8 {
    let made = secret().and_then(|(key, digest)| {
        let entry = Entry::new(flags, &digest);
        keys_edit::read_entry(&entry.block(0))?;
        let written = flags.file.writes().then(|| append(&entry, flags));
        Ok((key, entry, written.transpose()?))
    });
    let (key, entry, written) = match made {
        Ok(made) => made,
        Err(problem) => return failed(problem),
    };
    terminal::say(key);
    if let Some(path) = written {
        let path = path.display();
        terminal::note(format_args!(
            "the key's hash is written to {path}; the key itself is kept nowhere"
        ));
    } else {
        terminal::note(
            "the key itself is kept nowhere; its entry for the file of keys, or for auth.keys:",
        );
        terminal::say(entry.block(0).trim_end());
    }
    DONE
}

/// A new secret, and what it is known by.
fn secret() -> Result<(String, Digest), String> {
    let random = entropy::secret();
    let random = random.map_err(|fault| format!("the system gives no random bytes: {fault}"))?;
    let key = caller_key::of_random(random);
    let digest = Digest::of(key.as_bytes());
    Ok((key, digest))
}

/// Appends the entry to the file of keys, in one step; returns its path.
fn append(entry: &Entry, flags: &NewKeyFlags) -> Result<PathBuf, String> {
    let file = KeysFile::open(&flags.file)?;
    let path = file.path().to_path_buf();
    if file.place(&flags.name).is_some() || file.is_in_configuration(&flags.name) {
        let (path, name) = (path.display(), printable(&flags.name));
        return Err(format!("{path}: there is a key called {name} already"));
    }
    let keys = file.read_entry(&entry.block(0))?;
    let expected = [file.keys().to_vec(), keys].concat();
    file.replace(&entry.appended(file.text()), &expected)?;
    Ok(path)
}

/// Makes another secret for a key. It is printed once.
fn rotate(flags: &RotateFlags) -> u8 {
    let until = clock::wall().unix_millis() / 1_000 * 1_000;
    let until = WallTime::from_unix_millis(until).after(flags.overlap);
    let rotated = secret().and_then(|(key, digest)| {
        if flags.file.writes() {
            let rotated = write_rotated(flags, digest, until)?;
            return Ok(rotated.map(|told| (key, told, None)));
        }
        let found = keys_edit::find(&flags.file, &flags.name)?;
        Ok(found.map(|found| {
            let secrets = key_entry::rotated_secrets(&found, digest, until);
            let entry = format!("  hashes:\n{}", key_entry::hashes(&secrets, 4));
            let told = "the key itself is kept nowhere; what its entry has in place of its `hash` \
                        or `hashes`:";
            (key, told.to_owned(), Some(entry))
        }))
    });
    match rotated {
        Ok(Some((key, told, entry))) => {
            terminal::say(key);
            terminal::note(told);
            if let Some(entry) = entry {
                terminal::say(entry.trim_end());
            }
            DONE
        }
        Ok(None) => FAULTY,
        Err(problem) => failed(problem),
    }
}

/// Writes the secrets of a key with one more; returns what the operator is told. `None`: no key has
/// the name, which is told already.
fn write_rotated(
    flags: &RotateFlags,
    new: Digest,
    until: WallTime,
) -> Result<Option<String>, String> {
    let path = change(&flags.file, &flags.name, |text, place, key| {
        let secrets = key_entry::rotated_secrets(key, new, until);
        let text = key_entry::rotated(text, place, key, &secrets)?;
        key.secrets = secrets.into();
        Some(text)
    })?;
    let told = |path: PathBuf| {
        format!(
            "the new secret's hash is written to {}, and the former ones end at {until}",
            path.display()
        )
    };
    Ok(path.map(told))
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
            "a key of fewer than {SHORT_KEY_BYTES} characters may be guessed from its hash"
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

/// Switches a key on or off: in a file, or at a running router until it reads its files again.
fn switch(flags: &NamedKeyFlags, to: Use) -> u8 {
    let act = match to {
        Use::Enabled => "enable",
        Use::Disabled => "disable",
    };
    if !flags.file.writes() {
        return ask_to(flags, act);
    }
    let changed = change(&flags.file, &flags.name, |text, place, key| {
        key.is_disabled = to == Use::Disabled;
        key_entry::switched(text, place, to)
    });
    match changed {
        Ok(Some(path)) => {
            let path = path.display();
            terminal::say(format_args!("{} is {act}d in {path}", flags.name));
            DONE
        }
        Ok(None) => FAULTY,
        Err(problem) => failed(problem),
    }
}

/// Changes the entry of the key called `name` in the file of keys: `edit` is given the text and the
/// key's place, changes the key, and returns the text that says so. Returns the file's path;
/// `None`: no key has the name, which is told already.
fn change(
    flags: &KeysFileFlags,
    name: &str,
    edit: impl FnOnce(&str, usize, &mut CallerKey) -> Option<String>,
) -> Result<Option<PathBuf>, String> {
    let file = KeysFile::open(flags)?;
    let mut keys = file.keys().to_vec();
    let place = file.place(name);
    let Some((place, key)) = place.and_then(|place| Some((place, keys.get_mut(place)?))) else {
        terminal::error(keys_edit::unknown(name, &file));
        return Ok(None);
    };
    let text = edit(file.text(), place, key);
    // A text that is empty is judged like one that cannot be changed.
    file.replace(&text.unwrap_or_default(), &keys)?;
    Ok(Some(file.path().to_path_buf()))
}

/// Has a running router switch a key, until it reads its files again.
fn ask_to(flags: &NamedKeyFlags, act: &str) -> u8 {
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
