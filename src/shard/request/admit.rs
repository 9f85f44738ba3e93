//! A request passes the limits and budgets of its scopes.

use std::time::Duration;

use crate::base::period::Period;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::budget::Admission;
use crate::exchange::overrides::Overrides;
use crate::exchange::refusal::{BudgetWait, Refusal, Whose};
use crate::exchange::request::Request;
use crate::link::scope_gate::{Missing, ScopeRefusal};
use crate::shard::net::sleep::sleep_apart;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::pass::{By, Pass, Stopped, Wanted};
use crate::shard::request::record::Record;
use crate::shard::request::spend;
use crate::shard::request::unit_cost;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::json;

/// Why a request is not admitted.
pub(super) enum Halt<'a> {
    /// A scope stops it at this moment; whether it may wait for a part of a shared quota.
    Stopped(Stopped<'a>, Instant, bool),
    /// Nobody serves the model that a budget puts in place of another.
    Nobody(Refusal<'a>),
}

/// Whether the coordinator is told what a request lacks of shared quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacks {
    /// It is.
    Told,
    /// It knows.
    Known,
    /// The request waits no longer: another model may serve it.
    Over,
}

/// Takes a request through its scopes.
///
/// # Errors
///
/// It is not admitted now; [`later`] says whether it is in the end.
pub(super) fn pass<'a>(job: &mut Job<'a>, record: &mut Record<'a>) -> Result<(), Halt<'a>> {
    if job.is_free() {
        return pass_free((job.shard, job.request), record, Some(job.model));
    }
    unit_cost::check_priced(job).map_err(Halt::Nobody)?;
    admit(job, record, Lacks::Told)?;
    unit_cost::check_priced(job).map_err(Halt::Nobody)
}

/// Waits for parts of what several instances share, where a request may, and tries again.
///
/// # Errors
///
/// The request is refused.
pub(super) async fn later<'a>(
    job: &mut Job<'a>,
    record: &mut Record<'a>,
    halt: Halt<'a>,
) -> Result<(), Refusal<'a>> {
    let asked: (&Shard, &'a Request) = (job.shard, job.request);
    if job.is_free() {
        return later_free(asked, record, (Some(job.model), halt)).await;
    }
    wait(asked, halt, |lacks| admit(job, record, lacks)).await?;
    unit_cost::check_priced(job)
}

/// Takes a request that costs nothing through its scopes: it is one request, and uses no tokens.
/// `model` is what it asks about.
///
/// # Errors
///
/// It is not admitted now; [`later_free`] says whether it is in the end.
pub(super) fn pass_free<'a>(
    (shard, request): (&Shard, &'a Request),
    record: &mut Record<'a>,
    model: Option<&'a str>,
) -> Result<(), Halt<'a>> {
    admit_free(shard, request, record, (model, Lacks::Told))
}

/// As [`later`], for a request that costs nothing.
///
/// # Errors
///
/// The request is refused.
pub(super) async fn later_free<'a>(
    (shard, request): (&Shard, &'a Request),
    record: &mut Record<'a>,
    (model, halt): (Option<&'a str>, Halt<'a>),
) -> Result<(), Refusal<'a>> {
    let again = |lacks| admit_free(shard, request, record, (model, lacks));
    wait((shard, request), halt, again).await
}

/// Takes a request through its scopes. Where a budget has another model for it, whatever stands in
/// the way, routing starts over with that one, and so does this.
///
/// # Errors
///
/// A limit or a budget refuses the request, or nobody serves the other model.
fn admit<'a>(job: &mut Job<'a>, record: &mut Record<'a>, lacks: Lacks) -> Result<(), Halt<'a>> {
    let request: &'a Request = job.request;
    let Some((callers, scopes)) = request.callers.as_ref().zip(request.scopes()) else {
        return Ok(());
    };
    let mut overrides = Overrides::default();
    loop {
        let model = job.model;
        let accounts = scopes.of_model(Some(model));
        if accounts.is_empty() {
            return Ok(());
        }
        let expected = spend::expected(job);
        let now = clock::now();
        let wanted = Wanted {
            now,
            model: job.model,
            tokens: expected.sum(),
            ask: Some(spend::estimate(job, &expected)),
            overrides: &overrides,
        };
        let who = (&job.shard.desk, callers);
        let Err(stopped) = Pass::take(&mut record.pass, who, &accounts, &wanted) else {
            return Ok(());
        };
        let may_wait = stopped.lacks_part()
            && match lacks {
                Lacks::Told => Pass::tell_lacks(who.0, callers, &accounts, &wanted),
                Lacks::Known => true,
                Lacks::Over => false,
            };
        // What may come soon is no reason for another model, and no model takes the place of none.
        let may_change = !may_wait && job.endpoint.has_model();
        let budget = stopped.budget().filter(|_| may_change);
        let Some(model) = budget.and_then(|budget| overrides.start_over(budget)) else {
            return Err(Halt::Stopped(stopped, now, may_wait));
        };
        record.model_override = Some(model);
        serve_with(job, model).map_err(Halt::Nobody)?;
    }
}

/// Takes a request that costs nothing through the limits of its scopes: it is one request, and
/// uses no tokens. `model` is what it asks about.
///
/// # Errors
///
/// A limit refuses the request.
fn admit_free<'a>(
    shard: &Shard,
    request: &'a Request,
    record: &mut Record<'a>,
    (model, lacks): (Option<&'a str>, Lacks),
) -> Result<(), Halt<'a>> {
    let Some((callers, scopes)) = request.callers.as_ref().zip(request.scopes()) else {
        return Ok(());
    };
    let wanted = Wanted {
        now: clock::now(),
        model: model.unwrap_or_default(),
        tokens: Tokens::ZERO,
        ask: None,
        overrides: &Overrides::default(),
    };
    let accounts = scopes.of_model(model);
    let who = (&shard.desk, callers);
    let Err(stopped) = Pass::take(&mut record.pass, who, &accounts, &wanted) else {
        return Ok(());
    };
    let may_wait = stopped.lacks_part()
        && match lacks {
            Lacks::Told => Pass::tell_lacks(who.0, callers, &accounts, &wanted),
            Lacks::Known => true,
            Lacks::Over => false,
        };
    Err(Halt::Stopped(stopped, wanted.now, may_wait))
}

/// Waits, for `shared.wait` at most, until a request that was not admitted can be: `again` tries.
///
/// # Errors
///
/// It is refused.
async fn wait<'a>(
    (shard, request): (&Shard, &'a Request),
    mut halt: Halt<'a>,
    mut again: impl FnMut(Lacks) -> Result<(), Halt<'a>>,
) -> Result<(), Refusal<'a>> {
    let shared = shard.plan.shared.as_ref();
    let (longest, sync) = shared.map_or_else(Default::default, |one| (one.wait, one.sync));
    let began = clock::now();
    let mut told = began;
    while let Halt::Stopped(_, _, true) = halt
        && clock::now() < began + longest
    {
        sleep_apart(TURN).await;
        let now = clock::now();
        let lacks = if now >= told + sync {
            told = now;
            Lacks::Told
        } else {
            Lacks::Known
        };
        match again(lacks) {
            Ok(()) => return Ok(()),
            Err(other) => halt = other,
        }
    }
    if let Halt::Stopped(_, _, true) = halt {
        halt = match again(Lacks::Over) {
            Ok(()) => return Ok(()),
            Err(halt) => halt,
        };
    }
    Err(end(&halt, request))
}

/// Starts routing over with the model that a budget puts in place of another.
pub(super) fn serve_with<'a>(job: &mut Job<'a>, model: &'a str) -> Result<(), Refusal<'a>> {
    let shard: &'a Shard = job.shard;
    let routed = choose::route(shard, job.endpoint, model);
    job.routed = routed.ok_or(Refusal::ModelNotFound { model })?;
    job.is_steered |= job.routed.route.affinity.is_some();
    (job.model, job.model_override) = (model, Some(model));
    job.asked_in.set(None);
    job.model_json = Some(json::quoted(model));
    Ok(())
}

/// What the caller is told. A limit of which a part was missing counts the refusal now: the request
/// might have been served in the end.
fn end<'a>(halt: &Halt<'a>, request: &Request) -> Refusal<'a> {
    let (stopped, now) = match *halt {
        Halt::Nobody(refusal) => return refusal,
        Halt::Stopped(stopped, now, _) => (stopped, now),
    };
    if let (By::Limit(by), Some((id, _))) = (stopped.by, stopped.account.limits)
        && by.missing != Missing::Limit
        && let Some(callers) = &request.callers
        && let Some(gate) = callers.gates().scopes.get(id.index())
    {
        gate.count_refusal(by.limit);
    }
    refusal(&stopped, now)
}

/// What the caller is told.
pub(super) fn refusal<'a>(stopped: &Stopped<'a>, now: Instant) -> Refusal<'a> {
    let scope = &stopped.account.scope;
    if stopped.missing() == Missing::Lease {
        let whose = Whose::Scope(scope);
        return Refusal::SharedState { whose };
    }
    match stopped.by {
        By::Limit(ScopeRefusal { limit, until, .. }) => Refusal::LimitExceeded {
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

/// Pause between two looks at whether a part has come.
const TURN: Duration = Duration::from_millis(2);
