//! The coordinator and others: the instances that share limits and budgets with this one, and
//! webhooks.

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Instant;
use crate::coordinator::fleet::Fleet;
use crate::coordinator::notices::Notices;
use crate::coordinator::quotas::Published;
use crate::coordinator::run::Coordinator;
use crate::link::orders::Order;
use crate::link::reports::{Inbox, Incoming, Message};
use crate::link::store::News;
use crate::sys::clock;

impl Coordinator {
    /// Tells webhooks through `notices`.
    #[must_use]
    pub fn with_notices(self, notices: Notices) -> Self {
        Self { notices, ..self }
    }

    /// Acts upon what the shares say that are held with other instances.
    pub(super) fn with_others(&mut self, act: impl FnOnce(&mut Fleet, Published<'_>)) {
        if let Some(fleet) = &mut self.fleet {
            let published = Published {
                gates: &self.gates,
                callers: self.callers.gates(),
                books: &self.books,
            };
            act(fleet, published);
        }
    }

    /// Has the shares go by the configuration.
    pub(super) fn share(&mut self, now: Instant) {
        let (plan, callers) = (Arc::clone(&self.plan), Arc::clone(&self.callers));
        self.with_others(|fleet, published| {
            fleet.adopt(now, (&plan, callers.accounts()), published);
        });
    }

    /// Does what is due towards other instances.
    pub(super) fn attend_others(&mut self, now: Instant) {
        if self.fleet.is_none() {
            return;
        }
        let (plan, callers) = (Arc::clone(&self.plan), Arc::clone(&self.callers));
        let mut asides = Vec::new();
        self.with_others(|fleet, published| {
            asides = fleet.on_time(now, (&plan, callers.accounts()), published);
        });
        for (provider, until) in asides {
            self.publisher.publish(Order::Cooldown { provider, until });
        }
        let fleet = self.fleet.as_mut();
        for (budget, spent) in fleet.map_or_else(Vec::new, |fleet| fleet.take_elsewhere()) {
            self.books.on_elsewhere(budget, spent);
        }
        for alert in self.books.take_alerts() {
            self.notices.budget(&alert);
            self.alerts.add(&alert);
        }
    }

    /// Tells the other instances that this one stops, and waits until the store has heard it.
    pub(super) fn leave(&mut self, inbox: &Inbox) {
        let now = clock::now();
        let mut number = None;
        self.with_others(|fleet, published| number = fleet.leave(now, published));
        let until = now + LEAVE_WITHIN;
        while let Some(awaited) = number {
            match inbox.next(until.since(clock::now())) {
                Incoming::Message(Message::Store(
                    News::Done { number, .. } | News::Lost { number },
                )) if number == awaited => return,
                Incoming::Message(_) => {}
                Incoming::Due | Incoming::Gone => return,
            }
        }
    }
}

/// How long the end waits until the store has heard of it.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
