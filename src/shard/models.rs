//! `GET /v1/models` and `GET /v1/models/{id}`: answered from the Plan, and by providers that are
//! open.

use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::config::plan::{Provider, ProviderKind};
use crate::decide::outcome::{ConnectFault, Failure, Outcome};
use crate::exchange::admit;
use crate::exchange::catalogue;
use crate::exchange::outbound::Outbound;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::shard::attempt;
use crate::shard::caller::Caller;
use crate::shard::connect;
use crate::shard::drive::After;
use crate::shard::local::{self, Answer};
use crate::shard::refuse;
use crate::shard::run::Shard;
use crate::shard::settle::Record;
use crate::shard::timers::Cut;
use crate::shard::whole;
use crate::sys::clock;
use crate::translate::models as anthropic;

/// Answers a request about models.
pub async fn answer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    target: &Target,
) -> After {
    let mut record = Record::new(shard, request);
    let mut body = Vec::new();
    let found = match target {
        Target::Model(id) => one(shard, caller, request, id, &mut body).await,
        Target::Models | Target::Infer(_) | Target::Manage(_) => {
            all(shard, caller, request, &mut body).await
        }
    };
    if caller.is_gone() {
        record.leave();
        return After::Close;
    }
    if let Err(refusal) = found {
        return refuse::tell(shard, caller, request, &mut record, &refusal).await;
    }
    let answer = Answer::json(200, body);
    local::answer(shard, caller, request, &mut record, answer).await
}

async fn all(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    body: &mut Vec<u8>,
) -> Result<(), Refusal<'static>> {
    let mut list = shard.era.catalogue.list();
    let mut failed = None;
    for id in shard.era.catalogue.open() {
        let asked = ask(shard, caller, request, *id).await;
        let added = asked.and_then(|answer| {
            list.add(&answer)
                .map(drop)
                .ok_or(Outcome::Failed(Failure::Malformed))
        });
        if caller.is_gone() {
            break;
        }
        if let Err(outcome) = added {
            tracing::warn!(
                provider = &*shard.plan.provider(*id).name,
                "no models: the provider {outcome}"
            );
            failed = Some((*id, outcome));
        }
    }
    match failed {
        // Part of a list is of use; nothing at all would look like a router without models.
        Some((_, outcome)) if list.is_empty() => Err(Refusal::UpstreamError {
            provider: "asked for its models",
            outcome,
        }),
        Some(_) | None => {
            *body = list.into_body();
            Ok(())
        }
    }
}

async fn one<'a>(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    id: &'a str,
    body: &mut Vec<u8>,
) -> Result<(), Refusal<'a>> {
    if shard.era.catalogue.write_claimed(id, body) {
        return Ok(());
    }
    for provider in shard.era.catalogue.open() {
        if let Ok(answer) = ask(shard, caller, request, *provider).await
            && catalogue::write_found(&answer, id, body)
        {
            return Ok(());
        }
        if caller.is_gone() {
            break;
        }
    }
    Err(Refusal::ModelNotFound { model: id })
}

/// The list of models of one provider.
async fn ask(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    id: ProviderId,
) -> Result<Vec<u8>, Outcome> {
    let provider = shard.plan.provider(id);
    let now = clock::now();
    let deadline = now + provider.timeout.min(LIST_TIMEOUT);
    for fresh in [false, true] {
        let pooled = if fresh {
            None
        } else {
            shard.pool.take(id, now)
        };
        let mut up = match pooled {
            Some(up) => up,
            None => caller
                .unless_gone(connect::connect(shard, id, deadline))
                .await
                .ok_or(Outcome::CallerGone)?
                .map_err(Outcome::ConnectFailed)?,
        };
        up.socket.deadline.set(deadline, Cut::Both);
        write_request(shard, caller, request, id);
        let part = std::mem::take(&mut caller.out);
        let _ = attempt::send_part(caller, &mut up, crate::shard::part::Part::own(part)).await;
        match up.read_head(caller).await {
            Err(Outcome::StaleConnection) => continue,
            Err(outcome) => return Err(outcome),
            Ok(()) => {}
        }
        match whole::read(caller, &mut up).await {
            Ok(()) => {}
            Err(whole::Stop::Outcome(outcome)) => return Err(outcome),
            Err(whole::Stop::Overloaded) => return Err(Outcome::Failed(Failure::Malformed)),
        }
        if up.head.status != 200 {
            return Err(Outcome::Failed(Failure::Status(up.head.status)));
        }
        let answer = list_of(provider, up.body());
        up.park(shard, id);
        return answer.ok_or(Outcome::Failed(Failure::Malformed));
    }
    Err(Outcome::ConnectFailed(ConnectFault::Refused))
}

/// The list in OpenAI's shape, of what the provider is asked for; `None`: it is no list.
fn list_of(provider: &Provider, body: &[u8]) -> Option<Vec<u8>> {
    match provider.kind {
        ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::AzureOpenAi => {
            Some(body.to_vec())
        }
        ProviderKind::Anthropic => {
            let mut list = Vec::with_capacity(body.len());
            anthropic::write(body, &provider.name, &mut list).then_some(list)
        }
    }
}

fn write_request(shard: &Shard, caller: &mut Caller, request: &Request, id: ProviderId) {
    let provider = shard.plan.provider(id);
    let Caller {
        head, bytes, out, ..
    } = caller;
    let authorization = head.value(bytes, "authorization");
    let credential = admit::credential(provider, &shard.plan.auth, authorization);
    let outbound = Outbound {
        model: "",
        key: credential.owner(provider),
        credential,
        request_id: request.id.as_str(),
        caller: (head, bytes),
    };
    out.clear();
    shard.era.prefixes(id).write_models(&outbound, out);
}

/// A list of models is quick to make.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
