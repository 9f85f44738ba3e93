//! Tells webhooks what they want to know, on a thread of its own: it has attempts carried out, and
//! decides nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::base::notice::{Dated, Notice, Outcome};
use crate::base::random::Random;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::ledger::terms::Terms;
use crate::ledger::webhooks::{Attempt, News, Webhooks};
use crate::link::latest::Latest;
use crate::link::webhooks::{Fate, Inbox, Incoming};
use crate::sys::{clock, entropy};

/// Begins an attempt, which blocks and so must have a thread of its own.
pub type Begin<'a> = &'a dyn Fn(Attempt) -> io::Result<()>;

/// Tells the webhooks of the configuration in `terms` what comes, until the process ends.
pub fn run(inbox: &Inbox, terms: &Latest<Terms>, begin: Begin<'_>) {
    let (mut webhooks, mut plan) = (Webhooks::default(), None);
    let mut random = Random::new(entropy::seed());
    let mut end = None;
    loop {
        adopt(&mut webhooks, &mut plan, terms);
        let now = clock::now();
        webhooks.on_time(now);
        while let Some(attempt) = webhooks.next(now) {
            let number = attempt.number;
            if let Err(fault) = begin(attempt) {
                let (why, pause) = (format!("no thread can be started: {fault}"), None);
                let outcome = Outcome::Failed { why, pause };
                webhooks.on_outcome(now, number, outcome, random.next_u64());
            }
        }
        webhooks
            .take_news()
            .into_iter()
            .for_each(|news| tell(inbox, news));
        if end.is_some_and(|end| now >= end || webhooks.left() == 0) {
            if webhooks.left() > 0 {
                let notices = webhooks.left();
                tracing::warn!(notices, "webhooks have not taken all notices in time");
            }
            return;
        }
        let due = webhooks.deadline().min(end.unwrap_or(Instant::NEVER));
        match inbox.next_within(due.since(clock::now())) {
            Some(Incoming::Notice(notice)) => {
                // The configuration may have changed while nothing was to be told.
                adopt(&mut webhooks, &mut plan, terms);
                webhooks.on_notice(clock::now(), &Arc::new(dated(notice)));
            }
            Some(Incoming::Ended(number, outcome)) => {
                webhooks.on_outcome(clock::now(), number, outcome, random.next_u64());
            }
            Some(Incoming::Stop) => {
                webhooks.end();
                end = Some(clock::now() + LAST_ATTEMPTS_MAX);
            }
            None => {}
        }
    }
}

/// Goes by the configuration that counts now.
fn adopt(webhooks: &mut Webhooks, plan: &mut Option<Arc<Plan>>, terms: &Latest<Terms>) {
    let next = Arc::clone(&terms.load().plan);
    if !plan.as_ref().is_some_and(|plan| Arc::ptr_eq(plan, &next)) {
        webhooks.adopt(&next.webhooks);
        *plan = Some(next);
    }
}

/// The notice with its name and time.
#[must_use]
pub fn dated(notice: Notice) -> Dated {
    Dated {
        id: format!("{:016x}{:016x}", entropy::seed(), entropy::seed()).into(),
        at: clock::wall(),
        notice,
    }
}

fn tell(inbox: &Inbox, news: News) {
    match news {
        News::Sent(event) => inbox.count(event, Fate::Sent),
        News::Failed(event) => inbox.count(event, Fate::Failed),
        News::Dropped(event) => inbox.count(event, Fate::Dropped),
        News::Fails { place, why } => tracing::warn!(
            webhook = &*place,
            why,
            "a webhook does not take a notice: it is tried again for an hour"
        ),
        News::Recovered { place } => {
            tracing::info!(webhook = &*place, "the webhook takes notices again");
        }
        News::Loses { place } => tracing::error!(
            webhook = &*place,
            "notices for a webhook are lost: it takes none for an hour, or not as many as there are"
        ),
    }
}

/// How long the last attempts may take when the process ends.
const LAST_ATTEMPTS_MAX: Duration = Duration::from_secs(3);
