//! A request passes the limits and budgets of its scopes.

use crate::base::period::Period;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::budget::Admission;
use crate::exchange::refusal::{BudgetWait, Refusal};
use crate::exchange::request::Request;
use crate::link::scope_gate::ScopeRefusal;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::pass::{By, Pass, Stopped, Wanted};
use crate::shard::request::record::Record;
use crate::shard::request::spend;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::json;

/// Takes a request through its scopes. Where a budget has another model for it, whatever stands in
/// the way, routing starts over with that one, and so does this.
///
/// # Errors
///
/// A limit or a budget refuses the request, or nobody serves the other model.
pub(super) fn admit<'a>(job: &mut Job<'a>, record: &mut Record<'a>) -> Result<(), Refusal<'a>> {
    let request: &'a Request = job.request;
    let Some((callers, scopes)) = request.callers.as_ref().zip(request.scopes()) else {
        return Ok(());
    };
    // Each turn adds one of the budgets that the request meets, so that there is a last one.
    let mut sent_on = Vec::new();
    loop {
        let mut accounts = scopes.of_model(Some(job.model)).peekable();
        if accounts.peek().is_none() {
            return Ok(());
        }
        let expected = spend::expected(job);
        let wanted = Wanted {
            now: clock::now(),
            model: job.model,
            tokens: expected.sum(),
            ask: Some(spend::estimate(job, &expected)),
            sent_on: &sent_on,
        };
        let stopped = match Pass::take(&job.shard.desk, callers, accounts, &wanted) {
            Ok(pass) => {
                record.pass = Some(pass);
                return Ok(());
            }
            Err(stopped) => stopped,
        };
        // No model takes the place of none.
        let instead = stopped.instead().filter(|_| job.endpoint.has_model());
        let Some((id, model)) = instead else {
            return Err(refusal(&stopped, wanted.now));
        };
        sent_on.push(id);
        record.model_override = Some(model);
        serve_with(job, model)?;
    }
}

/// Takes a request that costs nothing through the limits of its scopes: it is one request, and
/// uses no tokens. `model` is what it asks about.
///
/// # Errors
///
/// A limit refuses the request.
pub(super) fn admit_free<'a>(
    shard: &Shard,
    request: &'a Request,
    record: &mut Record<'a>,
    model: Option<&'a str>,
) -> Result<(), Refusal<'a>> {
    let Some((callers, scopes)) = request.callers.as_ref().zip(request.scopes()) else {
        return Ok(());
    };
    let wanted = Wanted {
        now: clock::now(),
        model: model.unwrap_or_default(),
        tokens: Tokens::ZERO,
        ask: None,
        sent_on: &[],
    };
    let pass = Pass::take(&shard.desk, callers, scopes.of_model(model), &wanted);
    record.pass = Some(pass.map_err(|stopped| refusal(&stopped, wanted.now))?);
    Ok(())
}

/// Starts routing over with the model that a budget puts in place of another.
pub(super) fn serve_with<'a>(job: &mut Job<'a>, model: &'a str) -> Result<(), Refusal<'a>> {
    let shard: &'a Shard = job.shard;
    let routed = choose::route(shard, job.endpoint, model);
    job.routed = routed.ok_or(Refusal::ModelNotFound { model })?;
    (job.model, job.model_override) = (model, Some(model));
    job.asked_in.set(None);
    job.model_json = Some(json::quoted(model));
    Ok(())
}

/// What the caller is told.
pub(super) fn refusal<'a>(stopped: &Stopped<'a>, now: Instant) -> Refusal<'a> {
    let scope = &stopped.account.scope;
    match stopped.by {
        By::Limit(ScopeRefusal { limit, until }) => Refusal::LimitExceeded {
            scope,
            limit,
            retry: until.since(now),
        },
        By::Budget { rules, refused, .. } => Refusal::BudgetExceeded {
            scope,
            per: rules.per,
            budget: rules.amount,
            spent: refused.spent,
            wait: match refused.admission {
                Admission::RefuseInFlight => BudgetWait::InFlight,
                Admission::RefuseForGood | Admission::Reserve(_) => {
                    let wall = clock::wall();
                    BudgetWait::Period(Period::of(rules.per, wall).left(wall))
                }
            },
        },
    }
}
