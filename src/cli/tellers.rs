//! Those who tell traces: each has a thread as long as a configuration names its collector.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::cli::not_started::NotStarted;
use crate::cli::thread_start::start_thread;
use crate::config::plan::Plan;
use crate::config::telemetry::Otlp;
use crate::coordinator::collector::Collector;
use crate::coordinator::traces::{self, Teller};
use crate::link::events::{Event, EventSender};
use crate::link::recorder::{self, AllRecorders, Former, Recorder};
use crate::sys::{cores, entropy, tls};

/// Starts those who tell traces.
pub struct Tellers {
    /// Tells this process from others.
    instance: String,
    /// What the last one goes by.
    last: Option<(Otlp, Former)>,
}

/// Who tells the traces of the next configuration.
pub enum Prepared {
    /// The one that does already.
    Same(Recorder),
    /// One that is still to be started, with the roots that it trusts.
    New(Box<Otlp>, Option<Arc<ClientConfig>>),
}

impl Tellers {
    /// None runs yet.
    #[must_use]
    pub fn new() -> Self {
        let (high, low) = (entropy::seed(), entropy::seed());
        Self {
            instance: format!("{high:016x}{low:016x}"),
            last: None,
        }
    }

    /// Prepares what `plan` names.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up; a sentence that says why.
    pub fn prepare(&self, plan: &Plan) -> Result<Option<Prepared>, String> {
        let Some(otlp) = &plan.otlp else {
            return Ok(None);
        };
        let last = self.last.as_ref().filter(|(last, _)| last == otlp);
        if let Some(recorder) = last.and_then(|(_, former)| former.recorder()) {
            return Ok(Some(Prepared::Same(recorder)));
        }
        let roots = otlp.endpoint.tls.then(tls::client).transpose();
        let roots = roots.map_err(|fault| format!("telemetry.otlp: {fault}"))?;
        let roots = roots.map(|(config, _)| config);
        Ok(Some(Prepared::New(Box::new(otlp.clone()), roots)))
    }

    /// Has traces told as was prepared.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub fn adopt(
        &mut self,
        prepared: Option<Prepared>,
        (all, events): (&Arc<AllRecorders>, &EventSender),
    ) -> Result<Option<Recorder>, NotStarted> {
        let (otlp, roots) = match prepared {
            None => return Ok(None),
            Some(Prepared::Same(recorder)) => return Ok(Some(recorder)),
            Some(Prepared::New(otlp, roots)) => (*otlp, roots),
        };
        let counts = Arc::clone(&all.traces);
        let (recorder, entries) = recorder::weighing_channel(counts, traces::spans_of);
        self.last = Some((otlp.clone(), recorder.former()));
        let running = all.add_telling(&recorder);
        let teller = Teller::new(Collector::new(otlp, roots, &self.instance), entries);
        let body = move || {
            cores::step_aside();
            teller.run();
            drop(running);
            Ok(())
        };
        start_thread("traces".into(), events, Event::RecorderEnded, body)?;
        Ok(Some(recorder))
    }
}

impl Default for Tellers {
    fn default() -> Self {
        Self::new()
    }
}
