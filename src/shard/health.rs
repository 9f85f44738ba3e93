//! Health checks: the cheapest request that proves endpoint and key, and bills nothing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::exchange::admit::Credential;
use crate::link::orders::Health;
use crate::link::reports::{Message, Question};
use crate::shard::connect;
use crate::shard::guarded;
use crate::shard::manage;
use crate::shard::nudge::Nudge;
use crate::shard::part::Part;
use crate::shard::run::{Current, Shard};
use crate::shard::timers::Cut;
use crate::sys::clock;
use crate::wire::head::{Arrival, Asked, Head};

/// Who is being checked: by provider, the number of the task that does so.
#[derive(Default)]
pub struct Checks {
    running: RefCell<HashMap<ProviderId, u64>>,
    started: Cell<u64>,
}

impl Checks {
    /// A task for `provider` begins; one that was there ends when it finds out.
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

/// Checks every provider that is to be checked, each at its own pace; `checked` is called once all
/// have been checked for the first time.
pub async fn check_all(current: Rc<Current>, checks: Rc<Checks>, checked: Box<dyn Fn() + Send>) {
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
    // The coordinator answers after it has published what came before: whoever is told that all
    // are checked finds it in the gates.
    let shard = current.shard();
    if manage::ask(&shard, Question::Providers).await.is_err() {
        tracing::warn!("what the first health checks found is not in force yet");
    }
    checked();
}

/// The configuration is another one than `before`: who is new, has another key, or is checked by
/// other rules is checked at once. Until then, who is new is taken for healthy.
pub fn check_changed(current: &Rc<Current>, checks: &Rc<Checks>, before: &Plan) {
    let shard = current.shard();
    let is_gone = |id: &ProviderId| shard.plan.find_provider(*id).is_none();
    checks.running.borrow_mut().retain(|id, _| !is_gone(id));
    for provider in &shard.plan.providers {
        let id = provider.id;
        let former = before.find_provider(id);
        let is_fresh = shard.era.terms.fresh.providers.contains(&id);
        let is_same = former.is_some_and(|former| {
            former.health_check == provider.health_check && former.api_key == provider.api_key
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
    guarded::spawn(keep_checking(current, checks, (id, number), first));
}

/// Checks one provider now and then, until another task does or nobody is to.
async fn keep_checking(
    current: Rc<Current>,
    checks: Rc<Checks>,
    (id, number): (ProviderId, u64),
    first: impl FnOnce(),
) {
    let (mut before, mut first) = (None, Some(first));
    while checks.is_current(id, number) {
        let shard = current.shard();
        let Some(provider) = shard.plan.find_provider(id) else {
            break;
        };
        let check = provider.health_check;
        let found = check_once(&shard, id, clock::now() + check.timeout).await;
        if !checks.is_current(id, number) {
            break;
        }
        tell(&shard, id, before, &found);
        let state = if found.is_ok() {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        // The coordinator publishes it; where its inbox is full, the next check says it again.
        let sent = shard.reports.ask(Message::Health {
            provider: id,
            state,
            at: clock::wall(),
        });
        before = sent.is_ok().then_some(state);
        if let Some(first) = first.take() {
            first();
        }
        let pause = jittered(&shard, check.interval);
        // Nobody else needs this era by then.
        drop(shard);
        monoio::time::sleep(pause).await;
    }
    if let Some(first) = first {
        first();
    }
}

/// What a check found: why the provider is not healthy.
async fn check_once(shard: &Shard, id: ProviderId, deadline: Instant) -> Result<(), String> {
    let mut up = connect::connect(shard, id, deadline)
        .await
        .map_err(|fault| format!("no connection: {fault:?}"))?;
    up.socket.deadline.set(deadline, Cut::Both);
    let provider = shard.plan.provider(id);
    let key = provider
        .api_key
        .as_ref()
        .map_or(Credential::None, Credential::Own);
    let mut out = Vec::new();
    shard.era.prefixes(id).write_check(key, &mut out);
    let sent = up.socket.writer.write(Part::own(out)).await.0;
    let mut head = Head::default();
    let mut bytes = Vec::new();
    loop {
        match head.parse_answer(&bytes, 0, Asked::Other) {
            Ok(Arrival::Whole) if head.status >= 200 => break,
            // What it announces may be there already.
            Ok(Arrival::Whole) => {
                bytes = bytes.split_off(head.len);
                continue;
            }
            Ok(Arrival::Partial) => {}
            Err(_) => return Err("a malformed answer".into()),
        }
        let (result, arrived) = up.socket.reader.collect().await;
        bytes.extend_from_slice(&arrived);
        match (result, &sent) {
            (Ok(count), _) if count > 0 => up.post_read(),
            _ if up.socket.deadline.is_overdue() => return Err("no answer in time".into()),
            (Err(fault), _) => return Err(fault.to_string()),
            (_, Err(fault)) => return Err(fault.to_string()),
            (Ok(_), Ok(())) => return Err("the connection was closed without an answer".into()),
        }
    }
    // Without a key of our own, any answer shows that somebody is there.
    let healthy = match provider.api_key {
        Some(_) => matches!(head.status, 200..=299),
        None => head.status < 500,
    };
    if healthy {
        Ok(())
    } else {
        Err(format!("status {}", head.status))
    }
}

/// A check that fails or recovers is logged once.
fn tell(shard: &Shard, id: ProviderId, before: Option<Health>, found: &Result<(), String>) {
    let provider = &*shard.plan.provider(id).name;
    match (before, found) {
        (Some(Health::Unhealthy), Err(_)) | (Some(Health::Healthy) | None, Ok(())) => {}
        (Some(Health::Healthy) | None, Err(why)) => {
            tracing::warn!(provider, why, "the health check failed");
        }
        (Some(Health::Unhealthy), Ok(())) => {
            tracing::info!(provider, "the health check succeeds again");
        }
    }
}

/// The interval, a tenth more or less: many instances must not check at the same moment.
fn jittered(shard: &Shard, interval: Duration) -> Duration {
    let part = shard.random.borrow_mut().below(201);
    interval * (900 + part) / 1_000
}
