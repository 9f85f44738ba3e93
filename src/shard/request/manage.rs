//! `/_infermux/*`: what operators see and do.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::exchange::target::Manage;
use crate::link::gate::Phase;
use crate::link::reloads::{ReloadResult, Wished};
use crate::link::reports::{Ask, Message, Question, Reply};
use crate::report::{page, reloaded};
use crate::shard::http::caller::Caller;
use crate::shard::net::sleep::{sleep, sleep_apart};
use crate::shard::request::explain;
use crate::shard::request::local::{self, Answer, Text};
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::sys::{clock, entropy};

/// The answer to an operator's request, whose body stands `at` there in the caller's bytes.
///
/// # Errors
///
/// What is asked for is not there, or cannot be done.
pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (manage, at): (&'a Manage, Range<usize>),
) -> Result<Answer, Unserved<'a>> {
    Ok(match manage {
        Manage::Page => page(),
        Manage::PageElsewhere => page_elsewhere(),
        Manage::Health => Answer::json(200, OK.to_vec()),
        Manage::Ready => match shard.process.phase() {
            Phase::Starting => not_ready(STARTING),
            Phase::Serving => Answer::json(200, OK.to_vec()),
            Phase::Leaving | Phase::Draining | Phase::Stopping => not_ready(DRAINING),
        },
        Manage::Reload => reload(shard).await?,
        Manage::Explain(asked) => explain::answer(shard, caller, request, (asked, at)).await?,
        Manage::Report(question) => {
            let mut answer = Answer::json(200, ask(shard, question.clone()).await?);
            if *question == Question::Metrics {
                answer.kind = local::PROMETHEUS;
            }
            answer
        }
        Manage::Key(name) => key(shard, name).await?,
        Manage::SwitchKey(name, act) => {
            if !shard.callers.look(|keys| keys.act(name, *act)) {
                return Err(Refusal::UnknownKey { name }.into());
            }
            key(shard, name).await?
        }
        Manage::ByHand(name, act) => {
            let unknown = Refusal::UnknownProvider { name };
            let id = provider_called(shard, name).ok_or(unknown)?;
            match ask(shard, Question::ByHand(id, *act)).await? {
                // A configuration without it came in between.
                body if body.is_empty() => return Err(unknown.into()),
                body => Answer::json(200, body),
            }
        }
    })
}

/// The report on the key called `name`.
async fn key<'a>(shard: &Shard, name: &'a str) -> Result<Answer, Refusal<'a>> {
    match ask(shard, Question::Key(name.into())).await? {
        body if body.is_empty() => Err(Refusal::UnknownKey { name }),
        body => Ok(Answer::json(200, body)),
    }
}

/// The page for browsers.
fn page() -> Answer {
    let page = page::page([entropy::seed(), entropy::seed()]);
    Answer {
        status: 200,
        kind: local::HTML,
        fields: page.fields,
        body: Text::Own(page.html.into_bytes()),
    }
}

/// Leads to the page; relative, for whoever comes through a proxy that serves it below a path.
fn page_elsewhere() -> Answer {
    Answer {
        status: 308,
        kind: local::HTML,
        fields: "Location: _infermux/\r\n".to_owned(),
        body: Text::Own(Vec::new()),
    }
}

/// The answer that no traffic is taken. Like every 503, it says when to ask again.
fn not_ready(body: &[u8]) -> Answer {
    let mut answer = Answer::json(503, body.to_vec());
    answer
        .fields
        .push_str("Retry-After: 1\r\nretry-after-ms: 1000\r\n");
    answer
}

/// Asks the coordinator, and waits for what it says. What this shard has sent before is in force
/// then.
///
/// # Errors
///
/// It has too much to do, or does not answer.
pub async fn ask<'a>(shard: &Shard, question: Question) -> Result<Vec<u8>, Refusal<'a>> {
    let reply = Arc::new(Reply::default());
    // What this shard has seen is in the answer, too.
    shard.reports.flush();
    let ask = Ask {
        question,
        reply: Arc::clone(&reply),
    };
    shard
        .reports
        .ask(Message::Ask(ask))
        .map_err(|_| Refusal::BooksBusy)?;
    let until = clock::now() + PATIENCE;
    while clock::now() < until {
        if let Some(body) = reply.taken() {
            return Ok(body);
        }
        sleep_apart(Duration::from_millis(1)).await;
    }
    tracing::error!("the coordinator does not answer");
    Err(Refusal::BooksBusy)
}

/// Has the configuration reloaded; the answer is there once every shard goes by it.
async fn reload(shard: &Shard) -> Result<Answer, Unserved<'static>> {
    let wish = shard.reloads.wish(Wished::Configuration);
    let until = clock::now() + RELOAD_PATIENCE;
    let result = loop {
        match wish.as_ref().map(|wish| wish.result()) {
            Some(None) if clock::now() < until => {
                sleep(Duration::from_millis(2)).await;
            }
            result => break result,
        }
    };
    Err(match result.as_ref().map(Option::as_deref) {
        Some(Some(ReloadResult::Done { changes, stalled })) => {
            let body = reloaded::body(&changes.changed, &changes.needs_restart, stalled);
            return Ok(Answer::json(200, body));
        }
        Some(Some(ReloadResult::Refused(faults))) => Unserved::Faults(faults.clone()),
        Some(Some(ReloadResult::Stopping)) => Refusal::ShuttingDown.into(),
        // It goes on, but its caller need not wait for ever.
        Some(None) | None => Refusal::BooksBusy.into(),
    })
}

fn provider_called(shard: &Shard, name: &str) -> Option<ProviderId> {
    let mut providers = shard.plan.providers.iter();
    let found = providers.find(|provider| *provider.name == *name);
    found.map(|provider| provider.id)
}

const OK: &[u8] = b"{\"status\":\"ok\"}";
const STARTING: &[u8] = b"{\"status\":\"starting\"}";
const DRAINING: &[u8] = b"{\"status\":\"draining\"}";
/// How long the coordinator may take; it needs about 10 ms.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a reload may take to be answered; names that nobody answers for take 5 s.
const RELOAD_PATIENCE: Duration = Duration::from_secs(30);
