//! The main thread while the shards run: it waits for a reason to stop, and stops the process.

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Instant;
use crate::cli::bells::Bells;
use crate::cli::exit::FAILED;
use crate::cli::kept_back::{self, KeptBack};
use crate::cli::threads;
use crate::link::events::{Event, EventReceiver};
use crate::link::gate::{Audience, Phase};
use crate::link::reports::{Message, Reporter};
use crate::link::watch::Watch;
use crate::link::webhooks::Teller;
use crate::shard::state::common::Common;
use crate::sys::bell::Ringer;
use crate::sys::clock;
use crate::sys::notify::Manager;

/// A process that serves.
pub struct Running {
    common: Arc<Common>,
    bells: Arc<Bells>,
    told: EventReceiver,
    /// Shards that have not ended.
    shards: usize,
    /// The way to the coordinator.
    reporter: Reporter,
    /// Threads that keep the books and have not ended: the coordinator, and those that write for
    /// it.
    bookkeepers: usize,
    /// Whether a thread ended that should not have.
    broken: bool,
    /// The service manager, where there is one.
    manager: Manager,
    /// The watchdog that the service manager asks for.
    watchdog: Option<Watchdog>,
    /// When the service manager last heard that all is well.
    told_at: Instant,
    /// Whether the event loops turn.
    watch: Watch,
    /// How often event loops lacked places, by audience, when they were last asked to close idle
    /// connections.
    places_lacked: [u64; 2],
    /// Warnings that are held back and must still be logged.
    kept_back: KeptBack,
    /// Tells the thread of webhooks, where there may be one, and has not ended.
    webhooks: Option<Teller>,
}

/// The service manager restarts the process unless it hears that all is well.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// How often it must hear so.
    pub every: Duration,
    /// How long an event loop may fail to turn before it hears so no more.
    pub stall_max: Duration,
}

/// Why the main thread woke.
enum Woken {
    /// The time is up.
    Over,
    /// The process is asked to stop, with this exit code.
    Asked(u8),
    /// A thread has ended.
    Ended,
}

impl Running {
    /// The running shards, each with its ringer; `events` come from them and from signals.
    #[must_use]
    pub fn new(
        common: Arc<Common>,
        bells: Arc<Bells>,
        told: EventReceiver,
        (reporter, bookkeepers): (Reporter, usize),
    ) -> Self {
        Self {
            reporter,
            bookkeepers,
            shards: bells.shards.len(),
            watch: Watch::new(Arc::clone(&common.progress)),
            common,
            bells,
            told,
            broken: false,
            manager: Manager::default(),
            watchdog: None,
            told_at: Instant::ZERO,
            kept_back: KeptBack::default(),
            places_lacked: [0; 2],
            webhooks: None,
        }
    }

    /// Adds what tells the thread of webhooks.
    #[must_use]
    pub fn with_webhooks(self, webhooks: Teller) -> Self {
        Self {
            webhooks: Some(webhooks),
            ..self
        }
    }

    /// Adds the service manager, which is told of everything.
    #[must_use]
    pub fn telling(self, manager: Manager, watchdog: Option<Watchdog>) -> Self {
        Self {
            manager,
            watchdog,
            ..self
        }
    }

    /// Waits until the process is to stop, and lets requests finish within `graceful`; returns the
    /// exit code.
    pub fn attend(mut self, graceful: Duration) -> u8 {
        match self.stages(graceful) {
            Ok(code) | Err(code) => code,
        }
    }

    /// Goes through the stages; an error is a code to exit with at once.
    fn stages(&mut self, graceful: Duration) -> Result<u8, u8> {
        self.manager.ready();
        let code = self.until_asked()?;
        tracing::info!("asked to stop");
        self.manager.stopping();
        self.enter(Phase::Leaving);
        self.delay(code)?;
        self.enter(Phase::Draining);
        if !self.finish(code, graceful)? {
            let connections = self.common.process.connections(Audience::Callers);
            tracing::warn!(
                connections,
                "the time to finish is over: connections are cut off"
            );
            self.enter(Phase::Stopping);
            if !self.finish(code, CUT_MAX)? {
                tracing::warn!(shards = self.shards, "shards did not end in time");
            }
        }
        self.close_books(code)?;
        self.finish_notices(code)?;
        self.tell_last(code)?;
        kept_back::tell(&self.common, Instant::NEVER, Duration::ZERO);
        tracing::info!("stopped");
        Ok(if self.broken { FAILED } else { code })
    }

    fn until_asked(&mut self) -> Result<u8, u8> {
        loop {
            match self.wait(Instant::NEVER) {
                Woken::Asked(code) => return Ok(code),
                // The process ends, and the service manager restarts it: without the ended part, it
                // would go on failing.
                Woken::Ended => return Err(FAILED),
                Woken::Over => {}
            }
        }
    }

    /// Waits for `server.drain_delay`: balancers may need a while to notice that the process stops.
    fn delay(&mut self, code: u8) -> Result<(), u8> {
        match self.wait(clock::now() + self.common.server.drain_delay) {
            Woken::Over => Ok(()),
            Woken::Asked(_) => Err(code),
            Woken::Ended => Err(FAILED),
        }
    }

    fn enter(&self, phase: Phase) {
        self.common.process.advance(phase);
        self.bells.shards.iter().for_each(Ringer::ring);
    }

    /// Lets the coordinator book the last facts of the shards, and those who record requests write
    /// the last records.
    fn close_books(&mut self, code: u8) -> Result<(), u8> {
        let until = clock::now() + BOOKS_MAX;
        let mut message = Some(Message::Stop);
        let recorders = Arc::clone(&self.common.process.recorders);
        recorders.stop();
        while self.bookkeepers + recorders.running() > 0 {
            if let Some(stop) = message.take() {
                message = self.reporter.send(stop).err();
            }
            let turn = if message.is_some() {
                clock::now() + RETRY
            } else {
                until
            };
            match self.wait(turn.min(until)) {
                Woken::Over if clock::now() >= until => {
                    tracing::warn!("the books are not closed in time");
                    return Ok(());
                }
                Woken::Asked(_) => return Err(code),
                Woken::Over | Woken::Ended => {}
            }
        }
        Ok(())
    }

    /// Lets webhooks be told once more what they have not taken.
    fn finish_notices(&mut self, code: u8) -> Result<(), u8> {
        let until = clock::now() + NOTICES_MAX;
        let webhooks = self.webhooks.as_ref();
        if !webhooks.is_some_and(|webhooks| webhooks.stop(LOOK_EVERY)) {
            return Ok(());
        }
        while self.webhooks.is_some() {
            match self.wait(until) {
                Woken::Over => return Ok(()),
                Woken::Asked(_) => return Err(code),
                Woken::Ended => {}
            }
        }
        Ok(())
    }

    /// Lets those who tell traces tell the last ones. They were told that nothing follows when the
    /// books were closed.
    fn tell_last(&mut self, code: u8) -> Result<(), u8> {
        let recorders = Arc::clone(&self.common.process.recorders);
        let until = clock::now() + TELLING_MAX;
        while recorders.telling() > 0 {
            match self.wait(until) {
                Woken::Over => {
                    tracing::warn!("the last traces are not sent in time");
                    return Ok(());
                }
                Woken::Asked(_) => return Err(code),
                Woken::Ended => {}
            }
        }
        Ok(())
    }

    /// Waits for the shards; returns whether all have ended within `span`. A second signal ends the
    /// process at once.
    fn finish(&mut self, code: u8, span: Duration) -> Result<bool, u8> {
        let until = clock::now() + span;
        while self.shards > 0 {
            match self.wait(until) {
                Woken::Over => return Ok(false),
                Woken::Asked(_) => return Err(code),
                Woken::Ended => {}
            }
        }
        Ok(true)
    }

    /// Looks whether the event loops turn, and tells the service manager while they do.
    fn look(&mut self, now: Instant) {
        let stall = self.watch.look(now);
        self.ask_for_places();
        self.kept_back.look(&self.common, now);
        let is_due = |watchdog: &&Watchdog| now >= self.told_at + watchdog.every;
        if let Some(watchdog) = self.watchdog.as_ref().filter(is_due)
            && stall < watchdog.stall_max
        {
            self.manager.alive();
            self.told_at = now;
        }
    }

    /// Has event loops close idle connections, where another one has no place for a new one.
    fn ask_for_places(&mut self) {
        let process = &self.common.process;
        let lacked = [Audience::Callers, Audience::Operators].map(|of| process.places_lacked(of));
        if std::mem::replace(&mut self.places_lacked, lacked) != lacked {
            self.bells.shards.iter().for_each(Ringer::ring);
        }
    }

    /// Waits for an event to act on.
    fn wait(&mut self, until: Instant) -> Woken {
        loop {
            let now = clock::now();
            self.look(now);
            let wait = until.since(now).min(LOOK_EVERY);
            let Some(event) = self.told.next_within(wait) else {
                if clock::now() < until {
                    continue;
                }
                return Woken::Over;
            };
            if let Some(woken) = self.take_note(event) {
                return woken;
            }
        }
    }

    /// The process must end.
    fn broke(&mut self, why: &str) -> Option<Woken> {
        self.broken = true;
        tracing::error!("{why}");
        Some(Woken::Ended)
    }

    /// A thread has ended that nobody waits for.
    fn ended(&mut self, (fault, what): (Option<String>, &str)) -> Option<Woken> {
        if !self.common.process.is_taking() && fault.is_none() {
            return None;
        }
        let fault = fault.as_deref().unwrap_or("without a reason");
        self.broke(&format!("{what} has ended: {fault}"))
    }

    fn webhooks_ended(&mut self, fault: Option<String>) -> Woken {
        self.webhooks = None;
        let ended = self.ended((fault, "the thread of webhooks"));
        ended.unwrap_or(Woken::Ended)
    }

    /// A thread that keeps the books has ended.
    fn bookkeeper_ended(&mut self, (fault, what): (Option<String>, &str)) -> Woken {
        self.bookkeepers = self.bookkeepers.saturating_sub(1);
        if self.common.process.is_taking() || fault.is_some() {
            self.broken = true;
            let fault = fault.as_deref().unwrap_or("without a reason");
            tracing::error!(fault, "{what} has ended");
        }
        Woken::Ended
    }

    /// A thread that records requests has ended: its file is not named any more, or the last
    /// records are written, which the books wait for.
    fn recorder_ended(&mut self, fault: Option<String>) -> Option<Woken> {
        match fault {
            Some(fault) => self.broke(&format!("a recorder of requests has ended: {fault}")),
            None => (!self.common.process.is_taking()).then_some(Woken::Ended),
        }
    }

    /// What `event` means for the stages; unexpected ends are logged.
    fn take_note(&mut self, event: Event) -> Option<Woken> {
        match event {
            Event::StopAsked(code) => return Some(Woken::Asked(code)),
            Event::NamesLookedUp
            | Event::HealthChecked
            | Event::StoreConnected
            | Event::StoreReady => {}
            Event::NameTaken => return self.broke(threads::NAME_TAKEN),
            Event::ControlEnded(fault) => {
                self.broken = true;
                let fault = fault.as_deref().unwrap_or("without a reason");
                tracing::error!(fault, "the event loop for operators has ended");
                return Some(Woken::Ended);
            }
            Event::WriterEnded(fault) => {
                return Some(self.bookkeeper_ended((fault, "the writer of the state file")));
            }
            Event::ReportsEnded(fault) => {
                return self.ended((fault, "the writer of reports"));
            }
            Event::CatalogueEnded(fault) => {
                return self.ended((fault, "the thread that builds the list of models"));
            }
            Event::StoreEnded(fault) => {
                return self.ended((fault, "the thread of the shared store"));
            }
            Event::WebhooksEnded(fault) => return Some(self.webhooks_ended(fault)),
            Event::RecorderEnded(fault) => return self.recorder_ended(fault),
            Event::CoordinatorEnded(fault) => {
                return Some(self.bookkeeper_ended((fault, "the coordinator")));
            }
            Event::ShardEnded(id, fault) => {
                self.shards = self.shards.saturating_sub(1);
                let serving = self.common.process.is_taking();
                if serving || fault.is_some() {
                    self.broken = true;
                    let fault = fault.as_deref().unwrap_or("without a reason");
                    tracing::error!(shard = id.0, fault, "a shard has ended");
                }
                return Some(Woken::Ended);
            }
            Event::Broke(what) => {
                self.broken = true;
                threads::tell_broken(what);
                return Some(Woken::Ended);
            }
        }
        None
    }
}

/// Pause between two looks at whether the event loops turn.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the coordinator may take to close the books.
const BOOKS_MAX: Duration = Duration::from_secs(2);
/// How long webhooks may take for the last notices: a little longer than they are given.
const NOTICES_MAX: Duration = Duration::from_millis(3_500);
/// How long the last traces may take. A collector may hang just then.
const TELLING_MAX: Duration = Duration::from_millis(3_000);
/// Pause before a full inbox is tried again.
const RETRY: Duration = Duration::from_millis(5);
/// How long shards may take to end once their connections are cut off.
const CUT_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::base::ids::ShardId;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::exchange::catalogue::Catalogue;
    use crate::exchange::remembered::Items;
    use crate::exchange::unsettled::AllUnsettled;
    use crate::ledger::terms::Terms;
    use crate::link::gate::ConnectionsMax;
    use crate::link::latest::Latest;
    use crate::link::progress::Progress;
    use crate::link::reports::{self, Incoming};
    use crate::link::retries::Retries;
    use crate::link::{addresses, buffered, events, helpers, queue, reloads};
    use crate::shard::state::era::{Era, TlsSettings};
    use crate::sys::{bell, tls};

    /// Only the phase and `server.drain_delay` matter here.
    fn common() -> Common {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        let text = "providers: [{name: a, type: ollama}]";
        let plan = config::load(text, &options).ok().unwrap().plan;
        let server = plan.server.clone();
        let catalogue = Catalogue::new(&plan, |_| None, None);
        let terms = Arc::new(Terms::first(Arc::new(plan), ConnectionsMax::default()));
        Common {
            server,
            process: Arc::clone(terms.gates.process()),
            era: Latest::new(Arc::new(Era::new(0, terms, TlsSettings::default(), None))),
            catalogue: Arc::new(Latest::new(Arc::new(catalogue))),
            callers: Arc::default(),
            lists: queue::queue(1).0,
            reloads: reloads::channel().0,
            progress: Arc::new(Progress::new(2)),
            management_token: None,
            retries: Retries::new(2),
            owners: Arc::default(),
            items: Arc::new(Items::new(1, 0, Arc::default())),
            unsettled: Arc::new(AllUnsettled::new(1, 0, Arc::default())),
            buffered: Arc::new(buffered::Pool::new(0, 2)),
            upstream_room: 1,
            helpers: helpers::channel().0,
            addresses: addresses::channel(1).0,
            tls_connect: tls::client().unwrap().0,
        }
    }

    const TERM: Event = Event::StopAsked(0);
    const INT: Event = Event::StopAsked(130);

    fn ended(shard: u16) -> Event {
        Event::ShardEnded(ShardId(shard), None)
    }

    fn broke(shard: u16) -> Event {
        Event::ShardEnded(ShardId(shard), Some("panicked".into()))
    }

    /// The exit code, and the phase at the end, with two shards: `before` are the events before the
    /// shards drain, `after` those that follow.
    fn attend(before: Vec<Event>, after: Vec<Event>, grace: Duration) -> (u8, Phase) {
        let (sender, receiver) = events::channel();
        let (ringers, mut bells): (Vec<_>, Vec<_>) = (0..2).map(|_| bell::pair().unwrap()).unzip();
        let common = Arc::new(common());
        common.process.advance(Phase::Serving);
        let control = bell::pair().unwrap().0;
        let bells_of = Arc::new(Bells {
            shards: ringers,
            control,
        });
        let (reporter, inbox) = reports::channel();
        let running = Running::new(Arc::clone(&common), bells_of, receiver, (reporter, 1));
        before.into_iter().for_each(|event| sender.send(event));
        bells[0].set_nonblocking(false).unwrap();
        let code = std::thread::scope(|scope| {
            scope.spawn(|| {
                // The bell rings twice before the shards drain; otherwise its sender is gone.
                let _ = bells[0].read_exact(&mut [0; 2]);
                after.into_iter().for_each(|event| sender.send(event));
                while let Incoming::Message(message) = inbox.next(Duration::from_secs(5)) {
                    if matches!(message, Message::Stop) {
                        sender.send(Event::CoordinatorEnded(None));
                    }
                }
            });
            running.attend(grace)
        });
        (code, common.process.phase())
    }

    #[test]
    fn it_ends_with_the_code_of_the_first_signal_or_of_what_broke() {
        use Phase::{Draining, Leaving, Serving, Starting, Stopping};
        for (before, after, expected) in [
            (vec![TERM], vec![ended(0), ended(1)], (0, Draining)),
            (vec![INT], vec![ended(0), ended(1)], (130, Draining)),
            // After the second signal, nothing is waited for.
            (vec![INT, TERM], vec![], (130, Leaving)),
            (vec![TERM], vec![ended(0), INT], (0, Draining)),
            // A thread ends that should not.
            (vec![ended(0)], vec![], (FAILED, Serving)),
            (vec![broke(1)], vec![], (FAILED, Serving)),
            (vec![Event::Broke("the log")], vec![], (FAILED, Serving)),
            (vec![TERM], vec![broke(0), ended(1)], (FAILED, Draining)),
            // A shard that does not end is waited for only for a limited time.
            (
                vec![Event::NamesLookedUp, TERM],
                vec![ended(0)],
                (0, Stopping),
            ),
        ] {
            // The time is short only where it must run out: test machines may be busy.
            let grace = match expected.1 {
                Stopping => Duration::from_millis(50),
                Starting | Serving | Leaving | Draining => Duration::from_secs(20),
            };
            assert_eq!(attend(before, after, grace), expected);
        }
    }
}
