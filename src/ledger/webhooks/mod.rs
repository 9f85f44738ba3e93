//! What each webhook is told and when: at most once per subject and hour, in order, and again until
//! it has taken it.
//!
//! The thread of webhooks drives it, and carries out the attempts that it gives.

mod quiet;
mod retries;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::NOTICES_WAITING_MAX;
use crate::base::notice::{Dated, Event, Outcome};
use crate::base::time::Instant;
use crate::config::webhook::Webhook;
use crate::ledger::webhooks::quiet::{Quiet, Verdict};
use crate::ledger::webhooks::retries::Retries;

/// All webhooks, and what waits for them.
#[derive(Default)]
pub struct Webhooks {
    hooks: Vec<Hook>,
    /// The number of the next webhook.
    next: u64,
    news: Vec<News>,
    ending: bool,
}

struct Hook {
    /// Tells an outcome of an attempt whose webhook belongs to no configuration any more.
    number: u64,
    webhook: Arc<Webhook>,
    quiet: Quiet,
    /// In order; the first one comes next.
    waiting: VecDeque<Waiting>,
    /// What an attempt is under way for.
    under_way: Option<Waiting>,
    retries: Retries,
}

#[derive(Clone)]
struct Waiting {
    notice: Arc<Dated>,
    /// When it is given up.
    until: Instant,
}

/// One attempt to tell a webhook something.
pub struct Attempt {
    /// The webhook's number, for [`Webhooks::on_outcome`].
    pub number: u64,
    /// The webhook.
    pub webhook: Arc<Webhook>,
    /// What it is told.
    pub notice: Arc<Dated>,
}

/// What the log and the metrics are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A notice has been taken.
    Sent(Event),
    /// A notice has been given up.
    Failed(Event),
    /// There was no room for a notice, or its webhook is gone.
    Dropped(Event),
    /// A webhook that took notices does not take them now.
    Fails {
        /// What the log calls it.
        place: Box<str>,
        /// Why.
        why: String,
    },
    /// A webhook takes notices again.
    Recovered {
        /// What the log calls it.
        place: Box<str>,
    },
    /// Notices for a webhook are lost.
    Loses {
        /// What the log calls it.
        place: Box<str>,
    },
}

impl Webhooks {
    /// Goes by these webhooks from now on. Those with the same URL as before keep what waits.
    pub fn adopt(&mut self, webhooks: &[Arc<Webhook>]) {
        let mut former = std::mem::take(&mut self.hooks);
        for webhook in webhooks {
            let place = former.iter().position(|one| one.webhook.is_at(webhook));
            let mut hook = place.map_or_else(
                || {
                    self.next += 1;
                    Hook::new(self.next, webhook)
                },
                |place| former.swap_remove(place),
            );
            hook.webhook = Arc::clone(webhook);
            self.hooks.push(hook);
        }
        for hook in former {
            let waiting = hook.waiting.into_iter().chain(hook.under_way);
            let events = waiting.map(|one| one.notice.notice.event);
            self.news.extend(events.map(News::Dropped));
        }
    }

    /// Something is to be told.
    pub fn on_notice(&mut self, now: Instant, notice: &Arc<Dated>) {
        for hook in &mut self.hooks {
            if hook.webhook.wants(notice.notice.event) {
                let verdict = hook.quiet.on_notice(now, notice, hook.room());
                hook.follow(now, verdict, &mut self.news);
            }
        }
    }

    /// Tells what had to wait for its hour, and gives up what has waited for too long.
    pub fn on_time(&mut self, now: Instant) {
        for hook in &mut self.hooks {
            while let Some(notice) = hook.quiet.due(now, hook.room()) {
                hook.follow(now, Verdict::Tell(notice), &mut self.news);
            }
            hook.give_up(now, &mut self.news);
        }
    }

    /// The next attempt that is due.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        self.hooks.iter_mut().find_map(|hook| hook.next(now))
    }

    /// An attempt for the webhook with this number has ended; `random` spreads the next one.
    pub fn on_outcome(&mut self, now: Instant, number: u64, outcome: Outcome, random: u64) {
        let ending = self.ending;
        let mut hooks = self.hooks.iter_mut();
        let Some(hook) = hooks.find(|one| one.number == number) else {
            return;
        };
        let Some(one) = hook.under_way.take() else {
            return;
        };
        let event = one.notice.notice.event;
        let (why, pause, refused) = match outcome {
            Outcome::Taken => {
                self.news.push(News::Sent(event));
                if hook.retries.on_success() {
                    let place = hook.webhook.place().into();
                    self.news.push(News::Recovered { place });
                }
                return;
            }
            Outcome::Refused { why } => (why, None, true),
            Outcome::Failed { why, pause } => (why, pause, false),
        };
        if hook.retries.on_failure(now, pause, random) {
            let place = hook.webhook.place().into();
            self.news.push(News::Fails { place, why });
        }
        if ending {
            hook.retries.at_once();
            self.news.push(News::Failed(event));
        } else if refused {
            hook.let_others_pass(one);
        } else {
            hook.waiting.push_front(one);
        }
        hook.give_up(now, &mut self.news);
    }

    /// The process ends: what waits is tried once more, at once.
    pub fn end(&mut self) {
        self.ending = true;
        self.hooks
            .iter_mut()
            .for_each(|hook| hook.retries.at_once());
    }

    /// How many notices have not been taken.
    #[must_use]
    pub fn left(&self) -> usize {
        let left = |hook: &Hook| hook.waiting.len() + usize::from(hook.under_way.is_some());
        self.hooks.iter().map(left).sum()
    }

    /// When [`Self::on_time`] or [`Self::next`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let due = self.hooks.iter().map(Hook::deadline);
        due.min().unwrap_or(Instant::NEVER)
    }

    /// What the log and the metrics are told, since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }
}

impl Hook {
    fn new(number: u64, webhook: &Arc<Webhook>) -> Self {
        Self {
            number,
            webhook: Arc::clone(webhook),
            quiet: Quiet::default(),
            waiting: VecDeque::new(),
            under_way: None,
            retries: Retries::default(),
        }
    }

    /// For how many notices there is room.
    fn room(&self) -> usize {
        NOTICES_WAITING_MAX.saturating_sub(self.waiting.len())
    }

    fn follow(&mut self, now: Instant, verdict: Verdict, news: &mut Vec<News>) {
        match verdict {
            Verdict::Tell(notice) => {
                let until = now + GIVE_UP_AFTER;
                self.waiting.push_back(Waiting { notice, until });
            }
            Verdict::NoRoom(event) => {
                news.push(News::Dropped(event));
                self.lose(news);
            }
            Verdict::Silence => {}
        }
    }

    /// Puts a notice behind those about other things; those about the same thing stay behind it.
    fn let_others_pass(&mut self, one: Waiting) {
        let about = |one: &Waiting| (one.notice.notice.event, one.notice.notice.subject.clone());
        let what = about(&one);
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (later, others): (VecDeque<_>, VecDeque<_>) = all.partition(|two| about(two) == what);
        self.waiting = others;
        self.waiting.push_back(one);
        self.waiting.extend(later);
    }

    /// Gives up what has waited for an hour.
    fn give_up(&mut self, now: Instant, news: &mut Vec<News>) {
        let before = news.len();
        self.waiting.retain(|one| {
            let is_over = now >= one.until;
            if is_over {
                news.push(News::Failed(one.notice.notice.event));
            }
            !is_over
        });
        if news.len() > before {
            self.lose(news);
        }
    }

    fn lose(&mut self, news: &mut Vec<News>) {
        if self.retries.on_loss() {
            let place = self.webhook.place().into();
            news.push(News::Loses { place });
        }
    }

    fn next(&mut self, now: Instant) -> Option<Attempt> {
        if self.under_way.is_some() || now < self.retries.due() {
            return None;
        }
        let one = self.waiting.pop_front()?;
        let notice = Arc::clone(&one.notice);
        self.under_way = Some(one);
        Some(Attempt {
            number: self.number,
            webhook: Arc::clone(&self.webhook),
            notice,
        })
    }

    fn deadline(&self) -> Instant {
        let held = self.quiet.deadline(self.room());
        if self.under_way.is_some() {
            return held;
        }
        match self.waiting.iter().map(|one| one.until).min() {
            Some(until) => held.min(self.retries.due().min(until)),
            None => held,
        }
    }
}

/// How long it is tried to tell something.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
