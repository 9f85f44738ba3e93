//! Files, read whole and bounded.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The text of the file at `path`.
///
/// # Errors
///
/// It cannot be opened or read, is larger than `limit` bytes (`FileTooLarge`), or is not UTF-8
/// (`InvalidData`).
pub fn read_text(path: &Path, limit: u64) -> std::io::Result<String> {
    text(std::fs::File::open(path)?, limit)
}

fn text(file: std::fs::File, limit: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let taken = file.take(limit + 1).read_to_end(&mut bytes)?;
    // Checked before the encoding: the limit may cut a character in two.
    if taken as u64 > limit {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// As [`read_text`], of a file that is read again and again: something that may never end, or that
/// waits for somebody to write, as a pipe does, would hold up whoever reads it.
///
/// # Errors
///
/// As those of [`read_text`]; also, `path` leads to something else than a regular file.
pub fn read_regular_text(path: &Path, limit: u64) -> std::io::Result<String> {
    // Without the flag, a pipe that nobody writes to would not even open.
    let mut options = std::fs::File::options();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(std::io::Error::other("is not a regular file"));
    }
    text(file, limit)
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    place: (u64, u64),
    bytes: u64,
    changed: [(i64, i64); 2],
}

impl Stamp {
    /// That of the file at `path`, links followed; `None`: there is none that can be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self {
            place: (meta.dev(), meta.ino()),
            bytes: meta.len(),
            changed: [
                (meta.mtime(), meta.mtime_nsec()),
                (meta.ctime(), meta.ctime_nsec()),
            ],
        })
    }
}

/// Puts `text` in place of the file at `path`, all at once, with the permissions that it has; a new
/// file is for its owner alone. A link stays one: what it leads to is replaced.
///
/// # Errors
///
/// It cannot be written; the file is as it was.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let written = write_beside(&path, Path::new(&beside), text);
    if written.is_err() {
        // What is left of it is of no use.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn write_beside(path: &Path, beside: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(former) = std::fs::metadata(path) {
        file.set_permissions(former.permissions())?;
        // Only the superuser can give a file away, and whoever writes their own need not.
        let _ = std::os::unix::fs::fchown(&file, Some(former.uid()), Some(former.gid()));
    }
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Waits until no other process holds the folder of the file at `path`, links followed, and holds
/// it until the result is dropped: whoever reads a file to replace it must be alone with it.
/// `None`: the system cannot do so.
#[must_use]
pub fn hold_folder(path: &Path) -> Option<std::fs::File> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let named = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = std::fs::File::open(named.unwrap_or(Path::new("."))).ok()?;
    folder.lock().ok().map(|()| folder)
}

/// Whether there is something at `path`; if that cannot be found out, it counts as there.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(read_text(&path, 1 << 20).is_ok());
        let fault = read_text(&path, 10).map_err(|error| error.kind());
        assert_eq!(fault, Err(std::io::ErrorKind::FileTooLarge));
        assert!(read_text(Path::new("/nowhere"), 10).is_err());
        assert!(exists(&path) && !exists(Path::new("/nowhere")));
    }

    #[test]
    fn a_file_that_is_read_again_is_a_regular_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("Cargo.toml");
        let text = read_regular_text(&path, 1 << 20).expect("a text");
        assert_eq!(text, read_text(&path, 1 << 20).expect("a text"));
        let kind = |path| read_regular_text(path, 10).map_err(|fault| fault.kind());
        assert_eq!(kind(&path), Err(std::io::ErrorKind::FileTooLarge));
        assert_eq!(kind(root), Err(std::io::ErrorKind::IsADirectory));
        assert_eq!(kind(Path::new("/dev/zero")), Err(std::io::ErrorKind::Other));
    }
}
