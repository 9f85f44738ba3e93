//! Starts the thread that tells webhooks, as soon as there are any.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crate::base::notice::Outcome;
use crate::cli::courier::Courier;
use crate::cli::not_started::NotStarted;
use crate::cli::thread_start::start_thread;
use crate::coordinator::webhooks;
use crate::ledger::terms::Terms;
use crate::ledger::webhooks::Attempt;
use crate::link::events::{Event, EventSender};
use crate::link::latest::Latest;
use crate::link::webhooks::{self as channel, Inbox, Teller};

/// What it takes to start that thread.
pub struct Starter {
    /// Until it is started.
    inbox: Option<Inbox>,
    teller: Teller,
    terms: Arc<Latest<Terms>>,
    events: EventSender,
}

impl Starter {
    /// Starts the thread, if the configuration in `terms` has webhooks; it goes by that place.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn begin(terms: &Arc<Latest<Terms>>, events: &EventSender) -> Result<Self, NotStarted> {
        let (teller, inbox) = channel::channel();
        let mut starter = Self {
            inbox: Some(inbox),
            teller,
            terms: Arc::clone(terms),
            events: events.clone(),
        };
        starter.start_where_needed()?;
        Ok(starter)
    }

    /// What tells that thread.
    #[must_use]
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Starts the thread, if the configuration has webhooks and it does not run yet.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start_where_needed(&mut self) -> Result<(), NotStarted> {
        let plan = Arc::clone(&self.terms.load().plan);
        if plan.webhooks.is_empty() {
            return Ok(());
        }
        if self.inbox.is_none() {
            return Ok(());
        }
        // The inbox stays for the next try where this fails.
        let courier = Courier::of(&plan);
        let (courier, faults) = courier.map_err(NotStarted::Failed)?;
        for fault in &faults {
            tracing::warn!(
                fault,
                "not all trusted root certificates of the host can be used"
            );
        }
        let Some(inbox) = self.inbox.take() else {
            return Ok(());
        };
        let (courier, teller) = (Arc::new(courier), self.teller.clone());
        let terms = Arc::clone(&self.terms);
        inbox.begin();
        let body = move || {
            webhooks::run(&inbox, &terms, &|attempt| {
                begin(attempt, Arc::clone(&courier), teller.clone())
            });
            Ok(())
        };
        start_thread("webhooks".into(), &self.events, Event::WebhooksEnded, body)
    }
}

/// Carries out one attempt on a thread of its own.
fn begin(attempt: Attempt, courier: Arc<Courier>, teller: Teller) -> std::io::Result<()> {
    let whole = move || {
        let carry = || courier.carry(&attempt.webhook, &attempt.notice);
        let outcome = catch_unwind(AssertUnwindSafe(carry));
        let outcome = outcome.unwrap_or_else(|_| Outcome::Failed {
            why: String::from("the attempt has panicked"),
            pause: None,
        });
        teller.ended(attempt.number, outcome);
    };
    let thread = thread::Builder::new().name("webhook".into());
    thread.spawn(whole).map(drop)
}
