//! Errors of infermux's own, on their way to the caller.

use crate::base::time::Instant;
use crate::decide::failover::Blamed;
use crate::decide::outcome::Verdict;
use crate::exchange::refusal::LastWord;
use crate::exchange::refusal::{Connection, Refusal};
use crate::exchange::request::Request;
use crate::exchange::route::Survey;
use crate::shard::http::caller::Caller;
use crate::shard::request::after::After;
use crate::shard::request::answer_head::head_end;
use crate::shard::request::choose;
use crate::shard::request::early;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::shard::request::words::Words;
use crate::shard::state::shard::Shard;

/// Answers a request of which there is no record with an error of infermux's own; `connection` is
/// what the connection is for afterwards, as far as the request decides.
pub async fn refuse(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    connection: Connection,
    refusal: &Refusal<'_>,
) -> After {
    let mut record = Record::new(shard, request);
    record.connection = connection;
    tell(caller, &mut record, refusal).await
}

/// Answers that no candidate could take the request in the first place, and why.
pub async fn tell_nobody<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    (survey, now): (&Survey, Instant),
) -> After {
    let down = choose::down(job, now);
    let name_of = |id| &*job.shard.plan.provider(id).name;
    let refusal = survey.refusal(name_of, job.model, &down, now);
    tell(caller, record, &refusal).await
}

/// Answers with what the failed attempt `blamed` means.
pub async fn tell_verdict<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    verdict: Verdict,
    blamed: Blamed,
) -> After {
    let asked = job.asked(blamed.candidate);
    let before = record.asked.replace(asked);
    if before.is_some_and(|before| before.id != asked.id) {
        // They are another provider's.
        record.words = Words::default();
    }
    let last = LastWord {
        provider: asked.provider,
        model: &job.ask.model,
        outcome: blamed.outcome,
        retry: choose::retry_in(job, record.retry_after),
    };
    let why = record.inexpressible.take();
    let refusal = match (verdict, &why) {
        (Verdict::InvalidRequest, Some(why)) => Some(Refusal::InvalidRequest(why)),
        _ => Refusal::of_verdict(verdict, &last),
    };
    match refusal {
        Some(refusal) => tell(caller, record, &refusal).await,
        None => After::Close,
    }
}

/// Writes a refusal to the caller.
pub async fn tell(caller: &mut Caller, record: &mut Record<'_>, refusal: &Refusal<'_>) -> After {
    let (_, request) = record.of();
    caller.make_room();
    caller.out.clear();
    record.error = Some(refusal.row().code);
    let after = if record.has_early_head {
        let event = early::refusal(record, refusal);
        early::end(record, &event, &mut caller.out)
    } else {
        record.status = Some(refusal.row().status_in(request.dialect));
        let end = head_end(record, record.connection);
        let mut envelope = request.envelope(record.attempts, end);
        if let Some(used) = &record.tokens {
            envelope.totals = used.totals();
        }
        refusal.write_answer(&mut caller.out, &envelope);
        record.count();
        match (refusal.connection(), end.connection()) {
            (Connection::KeepAlive, Connection::KeepAlive) => After::KeepAlive,
            (Connection::KeepAlive | Connection::Close, _) => After::Close,
        }
    };
    if caller.send_out().await.is_err() {
        record.caller_gone();
        return After::Close;
    }
    after
}
