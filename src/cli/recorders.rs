//! Those who record requests: their files are opened at the start and at each reload, before
//! anything changes, and each has a thread as long as a configuration names it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cli::not_started::NotStarted;
use crate::cli::tellers::{self, Tellers};
use crate::cli::thread_start::start_thread;
use crate::config::plan::Plan;
use crate::config::usage::Usage;
use crate::coordinator::usage::UsageWriter;
use crate::coordinator::usage_file::{self, Fault, UsageFile};
use crate::ledger::terms::Terms;
use crate::link::events::{Event, EventSender};
use crate::link::latest::Latest;
use crate::link::recorder::{self, AllRecorders, Former, Recorder, Recorders};
use crate::sys::{clock, cores};

/// Starts those who record the requests of the first configuration; returns what starts later ones,
/// too.
///
/// # Errors
///
/// A file cannot be used, or a thread cannot be started.
pub fn start(first: &Terms, events: &EventSender) -> Result<(Starter, Recorders), NotStarted> {
    let all = Arc::clone(&first.gates.process().recorders);
    let mut starter = Starter {
        all,
        events: events.clone(),
        writers: Vec::new(),
        tellers: Tellers::new(),
    };
    let prepared = starter.prepare(&first.plan).map_err(NotStarted::Failed)?;
    let recorders = starter.adopt(prepared)?;
    Ok((starter, recorders))
}

/// Starts those who record requests.
pub struct Starter {
    all: Arc<AllRecorders>,
    events: EventSender,
    /// Those that may still write usage records, each with its file.
    writers: Vec<Writer>,
    tellers: Tellers,
}

struct Writer {
    path: PathBuf,
    usage: Arc<Latest<Usage>>,
    recorder: Former,
    /// Held by its thread, which has the file open until it ends.
    thread: Weak<()>,
}

impl Writer {
    fn has_the_file(&self) -> bool {
        self.thread.strong_count() > 0
    }
}

/// Those who record the requests of the next configuration.
pub struct Prepared {
    usage: Option<(Usage, Next)>,
    traces: Option<tellers::Prepared>,
}

enum Next {
    /// One that writes to the same file already.
    Same(Recorder),
    /// One that is still to be started.
    New(UsageFile),
}

impl Starter {
    /// Opens what `plan` names.
    ///
    /// # Errors
    ///
    /// A file cannot be used; a sentence that says why.
    pub fn prepare(&self, plan: &Plan) -> Result<Prepared, String> {
        Ok(Prepared {
            usage: plan
                .usage
                .as_ref()
                .map(|usage| self.prepare_usage(usage))
                .transpose()?,
            traces: self.tellers.prepare(plan)?,
        })
    }

    fn prepare_usage(&self, usage: &Usage) -> Result<(Usage, Next), String> {
        let path = usage_file::resolved(Path::new(&*usage.file));
        let same = self.writers.iter().filter(|one| one.path == path);
        let next = match same.filter_map(|one| one.recorder.recorder()).next_back() {
            Some(recorder) => Next::Same(recorder),
            None => Next::New(self.open(usage, &path)?),
        };
        Ok((usage.clone(), next))
    }

    /// Opens the file. A thread of this process may be about to leave it.
    fn open(&self, usage: &Usage, path: &Path) -> Result<UsageFile, String> {
        let until = clock::now() + LEFT_WITHIN;
        let was_ours = self.writers.iter().any(|one| one.path == path);
        loop {
            match UsageFile::open(usage, clock::wall()) {
                Err(Fault::InUse(_)) if was_ours && clock::now() < until => {
                    std::thread::park_timeout(LOOK_EVERY);
                }
                opened => return opened.map_err(|fault| format!("usage.file: {fault}")),
            }
        }
    }

    /// Has those record who were prepared; starts those that do not run yet.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub fn adopt(&mut self, prepared: Prepared) -> Result<Recorders, NotStarted> {
        let usage = match prepared.usage {
            None => None,
            Some((usage, Next::New(file))) => Some(self.start(usage, file)?),
            Some((usage, Next::Same(recorder))) => {
                let path = usage_file::resolved(Path::new(&*usage.file));
                let known = self.writers.iter().rfind(|one| one.path == path);
                if let Some(writer) = known {
                    writer.usage.publish(Arc::new(usage));
                }
                recorder.reloaded();
                Some(recorder)
            }
        };
        self.writers.retain(Writer::has_the_file);
        let traces = self
            .tellers
            .adopt(prepared.traces, (&self.all, &self.events))?;
        Ok(Recorders { usage, traces })
    }

    fn start(&mut self, usage: Usage, file: UsageFile) -> Result<Recorder, NotStarted> {
        let (recorder, entries) = recorder::channel(Arc::clone(&self.all.usage));
        let usage = Arc::new(Latest::new(Arc::new(usage)));
        let thread = Arc::new(());
        self.writers.push(Writer {
            path: file.path().to_path_buf(),
            usage: Arc::clone(&usage),
            recorder: recorder.former(),
            thread: Arc::downgrade(&thread),
        });
        let running = self.all.add(&recorder);
        let writer = UsageWriter::new(file, usage, entries);
        let body = move || {
            cores::step_aside();
            writer.run();
            drop((running, thread));
            Ok(())
        };
        start_thread("usage".into(), &self.events, Event::RecorderEnded, body)?;
        Ok(recorder)
    }
}

/// How long a file is waited for that a thread of this process is about to leave.
const LEFT_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
