//! The event loops: one for each shard, and one for operators and health checks.

use std::net::TcpListener;
use std::sync::Arc;

use crate::base::ids::ShardId;
use crate::cli::bells::Bells;
use crate::cli::listeners::Listeners;
use crate::cli::log::Log;
use crate::cli::not_started::{NotStarted, failed};
use crate::cli::{terminal, threads};
use crate::config::plan::Provider;
use crate::exchange::door::Door;
use crate::ledger::terms::Terms;
use crate::link::events::{Event, EventReceiver, EventSender};
use crate::link::gate::Phase;
use crate::link::latest::Latest;
use crate::link::meters::MeterSender;
use crate::link::reports::Reporter;
use crate::shard::run::{Duty, Own};
use crate::shard::state::common::Common;
use crate::shard::state::event_loop::Outlets;
use crate::sys::bell::{self, Ringer};

/// Whether providers are checked, and the start waits for the first checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChecks {
    /// They are.
    On,
    /// No provider is checked.
    Off,
}

/// What is needed to start event loops.
pub struct Starter<'a> {
    /// What all of them share.
    pub common: Arc<Common>,
    /// Where they log.
    pub log: &'a Log,
    /// The way to the coordinator.
    pub reporter: Reporter,
    /// Takes the counters that they begin.
    pub meters: MeterSender,
    /// Takes the events of their ends.
    pub events: EventSender,
    /// Whether providers are checked.
    pub health: HealthChecks,
}

impl Starter<'_> {
    /// Starts all event loops on their `listeners`: first the one for operators and health checks.
    ///
    /// # Errors
    ///
    /// A loop cannot be started, or an event of `told` asks the process to stop.
    pub fn start(
        &self,
        listeners: Listeners,
        terms: &Latest<Terms>,
        told: &EventReceiver,
    ) -> Result<Bells, NotStarted> {
        let Listeners {
            callers,
            operators,
            places,
        } = listeners;
        let door = if operators.is_some() {
            Door::Callers
        } else {
            Door::Both
        };
        let count = callers.len();
        let control = self.control(count, operators)?;
        // Operators are answered from now on; callers wait until start-up has ended.
        let mut shards = Vec::new();
        for (id, listener) in (0..).map(ShardId).zip(callers) {
            shards.push(self.shard(id, (listener, door))?);
        }
        if self.health == HealthChecks::On {
            threads::wait_for_health(&terms.load().plan, told)?;
        }
        let providers = providers(&terms.load(), self.health);
        terminal::say(format_args!("providers: {providers}"));
        self.common.process.advance(Phase::Serving);
        terminal::say(format_args!("page: {}", places.page));
        terminal::say(format_args!("listening on {places}"));
        tracing::info!(listen = %places, shards = count, "serving");
        Ok(Bells { shards, control })
    }

    /// Starts the event loop for operators and health checks.
    fn control(&self, count: usize, listener: Option<TcpListener>) -> Result<Ringer, NotStarted> {
        let events = self.events.clone();
        let tell = move || events.send(Event::HealthChecked);
        let checked: Option<Box<dyn Fn() + Send>> = match self.health {
            HealthChecks::On => Some(Box::new(tell)),
            HealthChecks::Off => None,
        };
        let id = ShardId(u16::try_from(count).unwrap_or(u16::MAX));
        let listener = listener.map(|listener| (listener, Door::Operators));
        let (ringer, own) = self.own(id, listener, Duty::Control { checked })?;
        threads::start_control(&self.common, own, &self.events)?;
        Ok(ringer)
    }

    fn shard(&self, id: ShardId, door: (TcpListener, Door)) -> Result<Ringer, NotStarted> {
        let (ringer, own) = self.own(id, Some(door), Duty::Callers)?;
        threads::start_shard(&self.common, own, &self.events)?;
        Ok(ringer)
    }

    fn own(
        &self,
        id: ShardId,
        listener: Option<(TcpListener, Door)>,
        duty: Duty,
    ) -> Result<(Ringer, Own), NotStarted> {
        let (ringer, bell) = bell::pair().map_err(failed("cannot make a bell"))?;
        let (log, lines) = (self.log.sender(), self.log.access_lines());
        let reporter = self.reporter.clone();
        Ok((
            ringer,
            Own {
                id,
                listener,
                duty,
                bell,
                outlets: Outlets {
                    reporter,
                    meters: self.meters.clone(),
                    log,
                    lines,
                },
            },
        ))
    }
}

/// The sentence about the providers and the results of their first checks.
fn providers(terms: &Terms, health: HealthChecks) -> String {
    let one = |provider: &Provider| {
        let gate = &terms.gates.providers[provider.id.index()];
        let is_checked = !provider.health_check.disabled;
        let state = match (health, is_checked, gate.is_healthy()) {
            (HealthChecks::On, true, true) => " (healthy)",
            (HealthChecks::On, true, false) => " (unhealthy)",
            (HealthChecks::On | HealthChecks::Off, _, _) => "",
        };
        format!("{}{state}", provider.name)
    };
    let all = terms.plan.providers.iter();
    all.map(one).collect::<Vec<_>>().join(", ")
}
