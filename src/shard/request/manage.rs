//! `/_infermux/*`: what operators see and do.

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
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::net::sleep::{sleep, sleep_apart};
use crate::shard::request::after::After;
use crate::shard::request::explain;
use crate::shard::request::local::{self, Answer, Text};
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;
use crate::sys::{clock, entropy};

/// Answers an operator's request, which has this `body`.
pub async fn answer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    manage: &Manage,
    body: Body,
) -> After {
    let mut record = Record::new(shard, request);
    let answered = match manage {
        Manage::Page => Ok(page()),
        Manage::PageElsewhere => Ok(page_elsewhere()),
        Manage::Health => Ok(Answer::json(200, OK.to_vec())),
        Manage::Ready => Ok(match shard.process.phase() {
            Phase::Starting => not_ready(STARTING),
            Phase::Serving => Answer::json(200, OK.to_vec()),
            Phase::Leaving | Phase::Draining | Phase::Stopping => not_ready(DRAINING),
        }),
        Manage::Reload => return reload(shard, caller, request, &mut record).await,
        Manage::Explain(asked) => {
            return explain::answer(shard, caller, &mut record, asked, body).await;
        }
        Manage::Report(question) => ask(shard, question.clone()).await.map(|body| {
            let mut answer = Answer::json(200, body);
            if *question == Question::Metrics {
                answer.kind = local::PROMETHEUS;
            }
            answer
        }),
        Manage::Key(name) => key(shard, name).await,
        Manage::SwitchKey(name, act) => match shard.callers.look(|keys| keys.act(name, *act)) {
            true => key(shard, name).await,
            false => Err(Refusal::UnknownKey { name }),
        },
        Manage::ByHand(name, act) => match provider_called(shard, name) {
            Some(id) => match ask(shard, Question::ByHand(id, *act)).await {
                // A configuration without it came in between.
                Ok(body) if body.is_empty() => Err(Refusal::UnknownProvider { name }),
                answered => answered.map(|body| Answer::json(200, body)),
            },
            None => Err(Refusal::UnknownProvider { name }),
        },
    };
    match answered {
        Ok(answer) => local::answer(shard, caller, request, &mut record, answer).await,
        Err(refusal) => refuse::tell(shard, caller, request, &mut record, &refusal).await,
    }
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

/// Has the configuration reloaded, and answers once every shard goes by it.
async fn reload(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    record: &mut Record<'_>,
) -> After {
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
    let refusal = match result.as_ref().map(Option::as_deref) {
        Some(Some(ReloadResult::Done { changes, stalled })) => {
            let body = reloaded::body(&changes.changed, &changes.needs_restart, stalled);
            let answer = Answer::json(200, body);
            return local::answer(shard, caller, request, record, answer).await;
        }
        Some(Some(ReloadResult::Refused(faults))) => Refusal::InvalidConfiguration { faults },
        Some(Some(ReloadResult::Stopping)) => Refusal::ShuttingDown,
        // It goes on, but its caller need not wait for ever.
        Some(None) | None => Refusal::BooksBusy,
    };
    refuse::tell(shard, caller, request, record, &refusal).await
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
