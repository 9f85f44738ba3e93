//! Writes usage records, on a thread of its own because it blocks.

use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::{USAGE_AT_ONCE_BYTES_MAX, USAGE_HELD_BYTES_MAX};
use crate::base::time::Instant;
use crate::config::usage::Usage;
use crate::coordinator::usage_file::UsageFile;
use crate::coordinator::usage_lines;
use crate::link::journal::Entry;
use crate::link::latest::Latest;
use crate::link::recorder::{Entries, Next, RecorderCounts, Told};
use crate::sys::clock;

/// Writes usage records to one file, until nobody is left who could have any.
pub struct UsageWriter {
    file: UsageFile,
    /// How the file is to be kept, as the configuration has it.
    usage: Arc<Latest<Usage>>,
    entries: Entries,
    /// Lines that are not in the file yet.
    held: Vec<u8>,
    /// How many entries these lines are of.
    held_entries: usize,
    /// When everything is tried again; `None`: nothing has failed the last time.
    again: Option<Instant>,
    /// When the file is synced.
    sync_at: Instant,
    /// When it is looked at whether the file still has its name.
    look_at: Instant,
}

impl UsageWriter {
    /// The writer of `file`, which is kept as `usage` says.
    #[must_use]
    pub fn new(file: UsageFile, usage: Arc<Latest<Usage>>, entries: Entries) -> Self {
        Self {
            file,
            usage,
            entries,
            held: Vec::new(),
            held_entries: 0,
            again: None,
            sync_at: Instant::NEVER,
            look_at: Instant::ZERO,
        }
    }

    /// Writes all entries that come. A failing disk is reported once, and once more when it has
    /// recovered; meanwhile lines are held, and tried again each second.
    pub fn run(mut self) {
        loop {
            let next = self.entries.within(self.until_due());
            let is_over = match next {
                Next::Told(Told::Entries(batch)) => {
                    self.take(&batch);
                    false
                }
                Next::Told(Told::Reloaded) => {
                    self.reload();
                    false
                }
                Next::Nothing => false,
                Next::Told(Told::Stop) | Next::Gone => true,
            };
            if is_over {
                return self.close();
            }
            self.look();
        }
    }

    /// How long nothing has to be done unless something is told.
    fn until_due(&self) -> Duration {
        let now = clock::now();
        let again = self.again.unwrap_or(Instant::NEVER);
        let due = self.sync_at.min(again).min(now + LOOK_EVERY);
        due.since(now)
    }

    /// Takes in entries, and further ones that are there already, and writes them.
    fn take(&mut self, batch: &[Entry]) {
        self.hold(batch);
        while self.held.len() < USAGE_AT_ONCE_BYTES_MAX
            && let Some(batch) = self.entries.ready()
        {
            self.hold(&batch);
        }
        if self.again.is_none() {
            let written = self.write();
            self.note(written);
        }
    }

    fn hold(&mut self, batch: &[Entry]) {
        for (place, entry) in batch.iter().enumerate() {
            if self.held.len() >= USAGE_HELD_BYTES_MAX {
                let rest = batch.len() - place;
                self.counts().dropped.add(rest);
                return;
            }
            usage_lines::write(entry, &mut self.held);
            self.held_entries += 1;
        }
    }

    /// Does what is due. After a failure everything is due, once the pause is over.
    fn look(&mut self) {
        let now = clock::now();
        let is_again = self.again.is_some();
        if self.again.is_some_and(|at| at > now) {
            return;
        }
        let attended = self.attend(now, is_again);
        self.note(attended);
    }

    fn attend(&mut self, now: Instant, is_again: bool) -> Result<(), String> {
        if is_again {
            self.write()?;
        }
        if is_again || self.sync_at <= now {
            self.sync_at = Instant::NEVER;
            self.file.sync().map_err(|error| error.to_string())?;
        }
        if is_again || self.look_at <= now {
            self.look_at = now + LOOK_EVERY;
            let followed = self.file.follow(clock::wall());
            followed.map_err(|error| error.to_string())?;
        }
        let rotated = self.file.rotate(clock::wall());
        rotated.map_err(|error| format!("the file cannot be put aside: {error}"))
    }

    /// Writes what is held.
    fn write(&mut self) -> Result<(), String> {
        let mut written = 0;
        let result = loop {
            let Some(rest) = self.held.get(written..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match self.file.append(rest, clock::wall()) {
                Ok(count) => written += count,
                Err(error) => break Err(error.to_string()),
            }
        };
        let entries = match &result {
            Ok(()) => self.held_entries,
            Err(_) => usage_lines::entries_in(self.held.get(..written).unwrap_or_default()),
        };
        self.held.drain(..written);
        self.held_entries -= entries.min(self.held_entries);
        self.counts().written.add(entries);
        if self.held.is_empty() {
            self.held.shrink_to(USAGE_AT_ONCE_BYTES_MAX);
        }
        if self.file.is_dirty() && self.sync_at == Instant::NEVER {
            self.sync_at = clock::now() + SYNC_EVERY;
        }
        result
    }

    /// Takes note of how everything that was due has ended.
    fn note(&mut self, result: Result<(), String>) {
        let path = self.file.path().display();
        let was_failing = self.again.is_some();
        match result {
            Ok(()) if was_failing => {
                self.again = None;
                tracing::info!(file = %path, "usage records are written again");
            }
            Ok(()) => return,
            Err(fault) => {
                if !was_failing {
                    tracing::error!(
                        file = %path,
                        fault,
                        "usage records cannot be written: they are held, and tried again each \
                         second"
                    );
                }
                self.counts().failures.add(1);
                self.again = Some(clock::now() + RETRY);
            }
        }
        self.counts().set_failing(self.again.is_some());
    }

    fn reload(&mut self) {
        let usage = self.usage.load();
        let reloaded = self.file.reload(&usage, clock::wall());
        let reloaded = reloaded.map_err(|error| error.to_string());
        // What could not be written before may be now.
        let written = reloaded.and_then(|()| self.write());
        self.note(written);
    }

    /// Writes and syncs the rest.
    fn close(mut self) {
        while let Some(batch) = self.entries.ready() {
            self.hold(&batch);
        }
        let written = self.write();
        let synced = self.file.sync().map_err(|error| error.to_string());
        self.note(written.and(synced));
        if self.held_entries > 0 {
            let (path, lost) = (self.file.path().display(), self.held_entries);
            self.counts().dropped.add(lost);
            tracing::error!(file = %path, lost, "the last usage records are lost");
        }
        self.counts().set_failing(false);
    }

    fn counts(&self) -> &RecorderCounts {
        self.entries.counts()
    }
}

/// Longest time between a line and its being safe on the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Pause before lines that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked at whether the file is to be put aside, and still has its name.
const LOOK_EVERY: Duration = Duration::from_secs(1);
