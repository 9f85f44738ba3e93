//! Health checks: the cheapest request that proves endpoint and key, and costs nothing. The answer
//! of an open provider is its list of models, too.

pub mod fetch;
pub mod lists;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::WallTime;
use crate::config::plan::Provider;
use crate::exchange::checkup::{self, Finding};
use crate::link::complaint::Complaint;
use crate::link::orders::Health;
use crate::link::reports::{Message, Question};
use crate::shard::net::guarded;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::sleep::sleep;
use crate::shard::request::manage;
use crate::shard::state::current::Current;
use crate::shard::state::era::Era;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use fetch::Answer;

/// By provider, the number of the task that checks it.
#[derive(Default)]
pub struct Checks {
    running: RefCell<HashMap<ProviderId, u64>>,
    started: Cell<u64>,
}

impl Checks {
    /// Begins a task for `provider`; a former task ends when it sees the new number.
    fn begin(&self, provider: ProviderId) -> u64 {
        let number = self.started.get() + 1;
        self.started.set(number);
        self.running.borrow_mut().insert(provider, number);
        number
    }

    fn is_current(&self, provider: ProviderId, number: u64) -> bool {
        self.running.borrow().get(&provider) == Some(&number)
    }

    fn end(&self, provider: ProviderId) {
        self.running.borrow_mut().remove(&provider);
    }
}

/// Begins to check every provider that is to be checked, each at its own pace; `checked` is called
/// once all have been checked for the first time.
pub fn begin(current: &Rc<Current>, checked: Box<dyn Fn() + Send>) -> Rc<Checks> {
    let checks = Rc::<Checks>::default();
    let checking = check_all(Rc::clone(current), Rc::clone(&checks), checked);
    guarded::spawn_for_all("health", checking);
    checks
}

async fn check_all(current: Rc<Current>, checks: Rc<Checks>, checked: Box<dyn Fn() + Send>) {
    let first = Rc::new(Nudge::default());
    let waiting = Rc::new(Cell::new(0_usize));
    for provider in &current.shard().plan.providers {
        if provider.health_check.disabled {
            continue;
        }
        waiting.set(waiting.get() + 1);
        let (waiting, first) = (Rc::clone(&waiting), Rc::clone(&first));
        start(&current, &checks, provider.id, move || {
            waiting.set(waiting.get() - 1);
            first.give();
        });
    }
    while waiting.get() > 0 {
        first.wait().await;
    }
    // The coordinator answers after it has published earlier messages: so the gates are up to date
    // before `checked` is called.
    let shard = current.shard();
    if manage::ask(&shard, Question::Providers).await.is_err() {
        tracing::warn!("what the first health checks found is not in force yet");
    }
    checked();
}

/// Called when the configuration has replaced `before`. Providers that are new, have another key,
/// are reached in another way, are checked by other rules, or list their models for the first time
/// are checked at once. Until then, new providers count as healthy.
pub fn check_changed(current: &Rc<Current>, checks: &Rc<Checks>, before: &Era) {
    let shard = current.shard();
    let is_gone = |id: &ProviderId| shard.plan.find_provider(*id).is_none();
    checks.running.borrow_mut().retain(|id, _| !is_gone(id));
    for provider in &shard.plan.providers {
        let id = provider.id;
        let former = before.terms.plan.find_provider(id);
        let is_fresh = shard.era.terms.fresh.providers.contains(&id);
        let is_same = former.is_some_and(|former| {
            let opens = provider.has_unnamed() && !former.has_unnamed();
            former.health_check == provider.health_check
                && former.api_key == provider.api_key
                && former.proxy == provider.proxy
                && shard.era.trusts_as(before, id)
                && !opens
        });
        if provider.health_check.disabled {
            checks.end(id);
        } else if is_fresh || !is_same {
            start(current, checks, id, || {});
        }
    }
}

fn start(
    current: &Rc<Current>,
    checks: &Rc<Checks>,
    id: ProviderId,
    first: impl FnOnce() + 'static,
) {
    let number = checks.begin(id);
    let (current, checks) = (Rc::clone(current), Rc::clone(checks));
    let checking = keep_checking(current, checks, (id, number), first);
    guarded::spawn_for_all("health", checking);
}

/// Checks one provider repeatedly, until another task does so or the provider is not checked any
/// more.
async fn keep_checking(
    current: Rc<Current>,
    checks: Rc<Checks>,
    (id, number): (ProviderId, u64),
    first: impl FnOnce(),
) {
    let (mut history, mut first) = (History::default(), Some(first));
    while checks.is_current(id, number) {
        let shard = current.shard();
        let Some(provider) = shard.plan.find_provider(id) else {
            break;
        };
        let (finding, answer) = check_once(&shard, provider).await;
        if !checks.is_current(id, number) {
            break;
        }
        history.tell(provider, &finding);
        let message = history.message(id, finding);
        // The coordinator publishes the result; if its inbox is full, the next check repeats it.
        if shard.reports.ask(message).is_err() {
            history = History::default();
        }
        if let Some(answer) = answer {
            lists::learn(&shard, id, answer).await;
        }
        if let Some(first) = first.take() {
            first();
        }
        let pause = jittered(&shard, provider.health_check.interval);
        // A sleeping task must not keep an era alive.
        drop(shard);
        sleep(pause).await;
    }
    if let Some(first) = first {
        first();
    }
}

/// Asks once; returns the finding, and the answer where it is a good one.
async fn check_once(shard: &Shard, provider: &Provider) -> (Finding, Option<Answer>) {
    let target = checkup::target(provider);
    let deadline = clock::now() + provider.health_check.timeout;
    match fetch::get(shard, provider.id, &target, deadline).await {
        Ok(answer) => {
            let finding = checkup::judge(provider, answer.status());
            let is_well = finding == Finding::Well;
            (finding, is_well.then_some(answer))
        }
        Err(why) => (Finding::Ill(why), None),
    }
}

/// The results of one provider's checks so far.
#[derive(Default)]
struct History {
    /// The last finding.
    last: Option<Finding>,
    /// The time since which no check has succeeded.
    since: Option<WallTime>,
}

impl History {
    /// Logs a finding if it differs from the one before.
    fn tell(&self, provider: &Provider, found: &Finding) {
        let (name, url) = (&*provider.name, checkup::url(provider));
        match (&self.last, found) {
            (Some(Finding::Ill(_)), Finding::Ill(_))
            | (Some(Finding::Unsaid(_)), Finding::Unsaid(_))
            | (Some(Finding::Well | Finding::Unsaid(_)) | None, Finding::Well) => {}
            (_, Finding::Ill(why)) => {
                tracing::warn!(provider = name, url, why, "the health check failed");
            }
            (_, Finding::Unsaid(why)) => {
                tracing::warn!(
                    provider = name,
                    url,
                    why,
                    "the health check says nothing of the provider's health: it stays in service"
                );
            }
            (Some(Finding::Ill(_)), Finding::Well) => {
                tracing::info!(provider = name, "the health check succeeds again");
            }
        }
    }

    /// The message to the coordinator about a finding.
    fn message(&mut self, provider: ProviderId, found: Finding) -> Message {
        let at = clock::wall();
        let (state, why) = match &found {
            Finding::Well => (Health::Healthy, None),
            Finding::Unsaid(why) => (Health::Healthy, Some(why)),
            Finding::Ill(why) => (Health::Unhealthy, Some(why)),
        };
        let since = why.map(|_| self.since.unwrap_or(at));
        let complaint = why.zip(since).map(|(why, since)| {
            let why = why.as_str().into();
            Arc::new(Complaint { why, at, since })
        });
        (self.last, self.since) = (Some(found), since);
        Message::Health {
            provider,
            state,
            at,
            complaint,
        }
    }
}

/// The interval, a tenth more or less: many instances should not check at the same moment.
fn jittered(shard: &Shard, interval: Duration) -> Duration {
    let part = shard.random.borrow_mut().below(201);
    interval * (900 + part) / 1_000
}
