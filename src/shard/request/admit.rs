//! A request passes the limits and budgets of its scopes.

use crate::base::period::Period;
use crate::decide::budget::Admission;
use crate::exchange::refusal::{BudgetWait, Refusal};
use crate::exchange::request::Request;
use crate::exchange::scopes::Scopes;
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
    let Some((callers, scopes)) = request.callers.as_ref().zip(Scopes::of(request)) else {
        return Ok(());
    };
    // Each turn adds one of the budgets that the request meets, so that there is a last one.
    let mut sent_on = Vec::new();
    loop {
        let wanted = Wanted {
            model: job.model,
            ask: Some(spend::estimate(job)),
            sent_on: &sent_on,
        };
        let accounts = scopes.of_model(Some(job.model));
        let stopped = match Pass::take(&job.shard.desk, callers, accounts, &wanted) {
            Ok(pass) => {
                record.pass = Some(pass);
                return Ok(());
            }
            Err(stopped) => stopped,
        };
        let By::Budget { id, rules, .. } = stopped.by;
        let Some(model) = rules.model_override.as_deref() else {
            return Err(refusal(&stopped));
        };
        sent_on.push(id);
        serve_with(job, model)?;
    }
}

/// Starts routing over with the model that a budget puts in place of another.
fn serve_with<'a>(job: &mut Job<'a>, model: &'a str) -> Result<(), Refusal<'a>> {
    let shard: &'a Shard = job.shard;
    let routed = choose::route(shard, job.endpoint, model);
    job.routed = routed.ok_or(Refusal::ModelNotFound { model })?;
    (job.model, job.model_override) = (model, Some(model));
    job.asked_in.set(None);
    job.model_json = Some(json::quoted(model));
    Ok(())
}

/// What the caller is told.
fn refusal<'a>(stopped: &Stopped<'a>) -> Refusal<'a> {
    let scope = &stopped.account.scope;
    match stopped.by {
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
