//! The state file: read once, replaced whole, and held by one process at a time.
//!
//! At any moment there is a complete file under its name, unless none was ever written: a new
//! generation is written beside it and takes its name only when it is on the disk. The former
//! generation stays as `<name>.prev`, in case the disk damages the current one.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::base::limits::STATE_BYTES_MAX;
use crate::ledger::state::{State, StateFault};
use crate::sys::files;

/// The state file of this process.
#[derive(Debug)]
pub struct StateFile {
    /// Its path, with symbolic links resolved.
    path: PathBuf,
    folder: PathBuf,
    /// Held for the life of the process; the kernel releases it however the process ends.
    _lock: File,
}

/// The file at the start.
#[derive(Debug)]
pub struct Opened {
    /// The file, to be written to.
    pub file: StateFile,
    /// Its content; empty where there is no file.
    pub state: State,
    /// What an operator should know.
    pub warning: Option<String>,
}

/// Why the process cannot start with this file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another process holds it.
    #[error(
        "{}: another infermux uses this state file; stop it, or give each its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// Its folder cannot be made, or its lock cannot be written there.
    #[error("{}: {error}; the state file's folder must be writable", path.display())]
    Folder {
        /// What could not be made or written.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file exists and cannot be read.
    #[error("{}: {error}; it is left as it is: make it readable, or move it away to start \
             without what was spent", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file exists and is not a valid state.
    #[error("{}: {fault}; it is left as it is: {remedy}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: StateFault,
        /// What an operator can do.
        remedy: String,
    },
}

impl StateFile {
    /// Takes the lock and reads the file. A missing folder is made.
    ///
    /// # Errors
    ///
    /// Another process has the file, or it exists and cannot be read or understood; then it is not
    /// touched.
    pub fn open(path: &Path) -> Result<Opened, Fault> {
        // Two paths to one file share one lock.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        };
        fs::create_dir_all(&folder).map_err(|error| Fault::Folder {
            path: folder.clone(),
            error,
        })?;
        let file = Self {
            _lock: lock(&path)?,
            path,
            folder,
        };
        let (state, warning) = file.read()?;
        Ok(Opened {
            file,
            state,
            warning,
        })
    }

    /// Replaces the file by one with this text, and keeps the former one.
    ///
    /// # Errors
    ///
    /// The disk's error. The file is unchanged, or, where only the folder could not be synced,
    /// already the new one.
    pub fn write(&self, text: &str) -> io::Result<()> {
        let written = self
            .write_beside(text)
            .and_then(|()| self.keep_previous())
            .and_then(|()| self.put_in_place());
        if written.is_err() {
            // Best effort, so that a full disk is not kept full; the next write replaces it.
            let _ = fs::remove_file(self.beside());
        }
        written.and_then(|()| self.sync_folder())
    }

    fn read(&self) -> Result<(State, Option<String>), Fault> {
        let text = match files::read_text(&self.path, STATE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((State::default(), self.missing()));
            }
            Err(error) => {
                let path = self.path.clone();
                return Err(Fault::Unreadable { path, error });
            }
        };
        let state = State::parse(&text).map_err(|fault| Fault::Broken {
            path: self.path.clone(),
            remedy: self.remedy(&fault),
            fault,
        })?;
        Ok((state, None))
    }

    /// Only a person can have removed the file: a write never leaves its name free.
    fn missing(&self) -> Option<String> {
        let previous = self.previous();
        fs::exists(&previous).unwrap_or(false).then(|| {
            format!(
                "{}: there is no state file, so nothing is spent yet; {} has an older state",
                self.path.display(),
                previous.display()
            )
        })
    }

    fn remedy(&self, fault: &StateFault) -> String {
        let previous = self.previous();
        if let StateFault::Version(_) = fault {
            return "start the infermux that has written it, or move it away".to_owned();
        }
        let older = files::read_text(&previous, STATE_BYTES_MAX).ok();
        if older.is_some_and(|text| State::parse(&text).is_ok()) {
            let previous = previous.display();
            return format!("{previous} is complete, put it in its place, or move it away");
        }
        "repair it, or move it away to start without what was spent".to_owned()
    }

    /// Step 1: the new text is on the disk, under another name.
    fn write_beside(&self, text: &str) -> io::Result<()> {
        let mut file = File::create(self.beside())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Step 2: the current file has a second name. It is made under a third one, since a link
    /// does not replace what is there and a rename does.
    fn keep_previous(&self) -> io::Result<()> {
        let spare = with_end(&self.path, ".prev.tmp");
        remove_if_there(&spare)?;
        match fs::hard_link(&self.path, &spare) {
            Ok(()) => {}
            // This is the first generation.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // Some file systems have no links; a copy is as good, and only takes longer.
            Err(_) => {
                fs::copy(&self.path, &spare)?;
                File::open(&spare)?.sync_all()?;
            }
        }
        fs::rename(&spare, self.previous())?;
        // Where both names are one file already, a rename does nothing and leaves the third name.
        remove_if_there(&spare)
    }

    /// Step 3: the new file takes the name.
    fn put_in_place(&self) -> io::Result<()> {
        fs::rename(self.beside(), &self.path)
    }

    /// Step 4: the names are on the disk.
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn beside(&self) -> PathBuf {
        with_end(&self.path, ".tmp")
    }

    fn previous(&self) -> PathBuf {
        with_end(&self.path, ".prev")
    }
}

/// Takes the lock beside the file. The lock is a file of its own, since the state file is replaced.
/// It is never removed: a process that opened it before the removal would lock a file that no other
/// process sees.
fn lock(path: &Path) -> Result<File, Fault> {
    let lock = with_end(path, ".lock");
    let fault = |error| Fault::Folder {
        path: lock.clone(),
        error,
    };
    let opened = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock);
    let file = opened.map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "state_file_tests.rs"]
mod tests;
