//! The file of usage records: lines are appended, and from time to time the file is put aside under
//! a name that sorts by time.
//!
//! A line stands in the file whole or not at all, as long as the process lives: what a full disk
//! has taken of it is cut off again. A process that is killed may leave the beginning of one, which
//! the next one cuts off.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::time::WallTime;
use crate::config::usage::{Rotate, Usage};

/// The file of usage records of this process.
#[derive(Debug)]
pub struct UsageFile {
    path: PathBuf,
    file: File,
    /// Its length, up to the end of its last whole line; `None`: it is no regular file.
    length: Option<u64>,
    rotate: Rotate,
    keep: usize,
    /// The span of `rotate` that its last line is from.
    span: u64,
    /// Whether lines may not be on the disk yet.
    is_dirty: bool,
    /// Why it could not be put aside when lines were appended: they stand in the file as it is.
    stuck: Option<io::Error>,
    /// Held as long as the file is used; the kernel releases it however the process ends.
    _lock: Option<File>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another process holds it.
    #[error("{}: another infermux writes its usage records there; give each its own", .0.display())]
    InUse(PathBuf),
    /// It is a file of something else.
    #[error("{}: {reason}; it is left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// The disk's error.
    #[error("{}: {error}", path.display())]
    Io {
        /// What could not be made, read or written.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl UsageFile {
    /// Opens the file, takes its lock, and cuts off the line that a killed process has left
    /// unfinished. A missing folder is made.
    ///
    /// # Errors
    ///
    /// It cannot be opened, another process has it, or it has other content.
    pub fn open(usage: &Usage, now: WallTime) -> Result<Self, Fault> {
        let named = Path::new(&*usage.file);
        if let Some(folder) = named.parent() {
            fs::create_dir_all(folder).map_err(io_fault(folder))?;
        }
        let path = resolved(named);
        let file = open(&path).map_err(io_fault(&path))?;
        let meta = file.metadata().map_err(io_fault(&path))?;
        let kind = meta.file_type();
        let mut opened = Self {
            _lock: kind.is_file().then(|| lock(&path)).transpose()?,
            length: None,
            rotate: usage.rotate,
            keep: usage.keep,
            span: span_of(usage.rotate, now),
            is_dirty: false,
            stuck: None,
            path,
            file,
        };
        if kind.is_file() {
            let changed = changed(&meta);
            opened.length = Some(whole_lines(&opened.path, &opened.file)?);
            if opened.length > Some(0) {
                opened.span = span_of(usage.rotate, changed);
            }
        } else if !kind.is_char_device() && !kind.is_fifo() {
            let (path, reason) = (opened.path, "it is no file that can be appended to");
            return Err(Fault::Foreign { path, reason });
        }
        Ok(opened)
    }

    /// Where it is, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes by other settings, and opens the file anew under its name, where something else may
    /// stand by now.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or has other content: lines go on into the file as it was.
    pub fn reload(&mut self, usage: &Usage, now: WallTime) -> Result<(), Fault> {
        (self.rotate, self.keep) = (usage.rotate, usage.keep);
        let same = self.file.metadata().map_err(io_fault(&self.path))?;
        if self.length.is_some() {
            self.span = span_of(self.rotate, changed(&same));
        }
        self.open_anew(now)
    }

    /// Opens the file anew where something else stands under its name, or nothing: somebody has
    /// removed it, or put it aside.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or has other content: lines go on into the file as it was.
    pub fn follow(&mut self, now: WallTime) -> Result<(), Fault> {
        if self.length.is_none() || self.has_name().map_err(io_fault(&self.path))? {
            return Ok(());
        }
        self.open_anew(now)
    }

    /// Whether its name still leads to it.
    fn has_name(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn open_anew(&mut self, now: WallTime) -> Result<(), Fault> {
        let file = open(&self.path).map_err(io_fault(&self.path))?;
        let meta = file.metadata().map_err(io_fault(&self.path))?;
        if self.has_name().map_err(io_fault(&self.path))? {
            return Ok(());
        }
        let length = match meta.file_type().is_file() {
            true => Some(whole_lines(&self.path, &file)?),
            false => None,
        };
        self.sync().map_err(io_fault(&self.path))?;
        (self.file, self.length) = (file, length);
        self.span = span_of(self.rotate, now);
        Ok(())
    }

    /// Appends as many of these whole lines as the file has room for, one at least; returns how
    /// many bytes these are. Before that, puts the file aside where it is time; where it cannot be,
    /// the lines go into it as it is, and [`Self::rotate`] says why.
    ///
    /// # Errors
    ///
    /// The disk's error; none of the lines is in the file then, if it is a regular one.
    pub fn append(&mut self, lines: &[u8], now: WallTime) -> io::Result<usize> {
        let first = lines.iter().position(|byte| *byte == b'\n');
        let bytes = first.map_or(lines.len(), |end| end + 1);
        if self.stuck.is_none() && self.is_due(bytes, now) {
            self.stuck = self.put_aside(now).err();
        }
        let before = self.measured()?;
        let lines = self.fitting(lines);
        let mut written = 0;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return self.taken_back(before, ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Of a pipe, nothing can be taken back.
                Err(_) if before.is_none() && written > 0 => return Ok(written),
                Err(error) => return self.taken_back(before, error),
            }
        }
        self.is_dirty = true;
        let count = u64::try_from(written).unwrap_or_default();
        self.length = before.map(|length| length + count);
        Ok(written)
    }

    /// Has what was appended on the disk.
    ///
    /// # Errors
    ///
    /// The disk's error.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty && self.length.is_some() {
            self.file.sync_data()?;
        }
        self.is_dirty = false;
        Ok(())
    }

    /// Whether lines were appended since it was synced.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Puts the file aside if its time has come.
    ///
    /// # Errors
    ///
    /// The disk's error, now or when lines were appended.
    pub fn rotate(&mut self, now: WallTime) -> io::Result<()> {
        let stuck = self.stuck.take();
        if self.is_due(0, now) {
            return self.put_aside(now);
        }
        stuck.map_or(Ok(()), Err)
    }

    fn is_due(&self, bytes: usize, now: WallTime) -> bool {
        let Some(length) = self.length.filter(|length| *length > 0) else {
            return false;
        };
        match self.rotate {
            Rotate::Never => false,
            Rotate::Every(_) => span_of(self.rotate, now) > self.span,
            Rotate::Above(most) => length + u64::try_from(bytes).unwrap_or(u64::MAX) > most,
        }
    }

    /// The lines that the file has room for, one at least.
    fn fitting<'l>(&self, lines: &'l [u8]) -> &'l [u8] {
        let (Some(length), Rotate::Above(most)) = (self.length, self.rotate) else {
            return lines;
        };
        let room = usize::try_from(most.saturating_sub(length)).unwrap_or(usize::MAX);
        let is_end = |byte: &u8| *byte == b'\n';
        let end = match lines.get(..room) {
            None => return lines,
            Some(fitting) => fitting.iter().rposition(is_end),
        };
        let end = end.or_else(|| lines.iter().position(is_end));
        end.and_then(|end| lines.get(..=end)).unwrap_or(lines)
    }

    /// Gives the file the name of the moment, begins another one, and deletes those that are too
    /// many.
    fn put_aside(&mut self, now: WallTime) -> io::Result<()> {
        self.is_dirty = true;
        self.sync()?;
        let names = Names::of(&self.path);
        let mut at = now;
        while names.aside(at).try_exists()? {
            at = at.after(Duration::from_millis(1));
        }
        // An operator may have moved it away.
        match fs::rename(&self.path, names.aside(at)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.file = open(&self.path)?;
        (self.length, self.span) = (Some(self.file.metadata()?.len()), span_of(self.rotate, now));
        File::open(&names.folder)?.sync_all()?;
        names.delete_all_but(self.keep)
    }

    /// The length of a regular file; somebody may have cut it.
    fn measured(&self) -> io::Result<Option<u64>> {
        match self.length {
            Some(_) => Ok(Some(self.file.metadata()?.len())),
            None => Ok(None),
        }
    }

    /// Takes back what was written beyond `before`, since the rest cannot be.
    fn taken_back(&mut self, before: Option<u64>, error: io::Error) -> io::Result<usize> {
        if let Some(length) = before {
            self.file.set_len(length)?;
        }
        Err(error)
    }
}

/// Cuts off the unfinished line at the end of the file at `path`, if there is one; returns its
/// length.
fn whole_lines(path: &Path, file: &File) -> Result<u64, Fault> {
    let (length, end) = ends(path).map_err(io_fault(path))?;
    let Some(end) = end else {
        let (path, reason) = (
            path.to_path_buf(),
            "it has something else than usage records in it",
        );
        return Err(Fault::Foreign { path, reason });
    };
    if end < length {
        file.set_len(end).map_err(io_fault(path))?;
    }
    Ok(end)
}

/// The length of the file at `path`, and the end of its last whole line; `None` in place of that
/// where it does not have usage records in it.
fn ends(path: &Path) -> io::Result<(u64, Option<u64>)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut begin = Vec::new();
    Read::by_ref(&mut file)
        .take(BEGIN.len() as u64)
        .read_to_end(&mut begin)?;
    if !BEGIN.starts_with(&begin) {
        return Ok((length, None));
    }
    let from = length.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(LINE_BYTES_MAX).read_to_end(&mut tail)?;
    let last = tail.iter().rposition(|byte| *byte == b'\n');
    let end = match last {
        Some(place) => Some(from + u64::try_from(place).unwrap_or_default() + 1),
        // All of it is one unfinished line.
        None if from == 0 => Some(0),
        None => None,
    };
    Ok((length, end))
}

/// The names of files that were put aside.
struct Names {
    folder: PathBuf,
    /// What stands before the time, and behind it.
    begin: OsString,
    end: OsString,
}

impl Names {
    fn of(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let mut begin = path.file_stem().unwrap_or_default().to_owned();
        begin.push("-");
        let mut end = OsString::new();
        if let Some(extension) = path.extension() {
            end.push(".");
            end.push(extension);
        }
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_path_buf(),
            begin,
            end,
        }
    }

    /// Where a file is put that ends at `at`.
    fn aside(&self, at: WallTime) -> PathBuf {
        let civil = at.civil();
        let digits = civil.to_string().replace(['-', ':'], "");
        let mut name = self.begin.clone();
        name.push(format!("{digits}.{:03}Z", civil.milli));
        name.push(&self.end);
        self.folder.join(name)
    }

    /// Whether a file of this name was put aside.
    fn is_aside(&self, name: &[u8]) -> bool {
        let (begin, end) = (self.begin.as_encoded_bytes(), self.end.as_encoded_bytes());
        let rest = name.strip_prefix(begin);
        let Some(time) = rest.and_then(|rest| rest.strip_suffix(end)) else {
            return false;
        };
        let fits = |(byte, like): (&u8, &u8)| match like {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        time.len() == TIME.len() && time.iter().zip(TIME).all(fits)
    }

    fn delete_all_but(&self, keep: usize) -> io::Result<()> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if self.is_aside(name.as_encoded_bytes()) {
                all.push(name);
            }
        }
        all.sort();
        let too_many = all.len().saturating_sub(keep);
        let mut result = Ok(());
        for name in all.iter().take(too_many) {
            // One that cannot be deleted keeps no other one.
            result = result.and(fs::remove_file(self.folder.join(name)));
        }
        result
    }
}

/// The path with its links resolved, so that two paths to one file share a lock; the file need not
/// be there.
#[must_use]
pub fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    let beside = folder
        .ok()
        .zip(path.file_name())
        .map(|(folder, name)| folder.join(name));
    fs::canonicalize(path)
        .ok()
        .or(beside)
        .unwrap_or_else(|| path.to_path_buf())
}

/// Opens the file for lines to be appended. A pipe that nobody reads is an error, and no wait.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true).mode(0o640);
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    Ok(file)
}

/// Takes the lock beside the file, which is never removed: a process that opened it before the
/// removal would lock a file that no other process sees.
fn lock(path: &Path) -> Result<File, Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let mut options = File::options();
    let options = options.create(true).write(true).truncate(false).mode(0o640);
    let file = options.open(&lock).map_err(io_fault(&lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(Fault::Io { path: lock, error }),
    }
}

fn io_fault(path: &Path) -> impl Fn(io::Error) -> Fault {
    let path = path.to_path_buf();
    move |error| Fault::Io {
        path: path.clone(),
        error,
    }
}

/// When a file was changed.
fn changed(meta: &Metadata) -> WallTime {
    WallTime::from_unix_millis(u64::try_from(meta.mtime()).unwrap_or_default() * 1_000)
}

/// The number of the span that `now` is in, since 1970.
fn span_of(rotate: Rotate, now: WallTime) -> u64 {
    match rotate {
        Rotate::Every(span) => {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            now.unix_millis() / millis.max(1)
        }
        Rotate::Never | Rotate::Above(_) => 0,
    }
}

/// How each file of usage records begins.
const BEGIN: &[u8] = b"{\"schema\":";
/// The times in names, each digit as 0.
const TIME: &[u8] = b"00000000T000000.000Z";
/// More than a line has: its names and models are bounded.
const LINE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
#[path = "usage_file_tests.rs"]
mod tests;
