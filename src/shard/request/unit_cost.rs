//! What requests cost that are passed on: as their answers tell tokens, by the units of their
//! model's price, or as `passthrough.assume_usd` has it.

use crate::base::money::NanoUsd;
use crate::base::tokens::{Counts, Tokens};
use crate::config::scope::{BudgetAction, Enforce};
use crate::decide::pricing;
use crate::decide::units::{UnitPrice, Units};
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::exchange::scopes::Scopes;
use crate::link::meters::Priced;
use crate::report::access_line::Counted;
use crate::shard::request::job::Job;
use crate::shard::request::used::Used;
use crate::shard::state::shard::Shard;
use crate::wire::usage::Usage;

/// What a request has used at the candidate `place`, as its answer tells it; else by `estimate`.
#[must_use]
pub fn used(job: &Job<'_>, place: usize, units: &Units, estimate: Used) -> Used {
    if job.is_free() {
        return Used {
            priced: Priced::Yes,
            ..Used::new(Some(Usage::default()), 0, 0)
        };
    }
    let cost = cost(job, place, (&estimate.counts, estimate.counted), units);
    Used {
        cost: cost.unwrap_or_default(),
        priced: if cost.is_some() {
            Priced::Yes
        } else {
            Priced::No
        },
        ..estimate
    }
}

/// What the request is expected to cost at the candidate `place`; `None`: nobody knows the price.
#[must_use]
pub fn expected(job: &Job<'_>, place: usize, counts: &Counts, units: &Units) -> Option<NanoUsd> {
    if job.is_free() {
        return Some(NanoUsd::ZERO);
    }
    let by_prompt = || price(job, place)?.of_prompt(counts.input);
    cost(job, place, (counts, Counted::ByEstimate), units).or_else(by_prompt)
}

/// What the model of the candidate `place` costs that is not billed by its tokens.
#[must_use]
pub fn price<'a>(job: &Job<'a>, place: usize) -> Option<&'a UnitPrice> {
    let shard: &'a Shard = job.shard;
    let provider = job.provider_at(place);
    let purse = &shard.era.purse;
    purse.unit_price(&shard.plan, provider, job.model_at(place))
}

/// The cost of these tokens, or of these units; `None`: nobody knows the price.
fn cost(
    job: &Job<'_>,
    place: usize,
    (counts, counted): (&Counts, Counted),
    units: &Units,
) -> Option<NanoUsd> {
    let (plan, purse) = (&job.shard.plan, &job.shard.era.purse);
    let row = purse.row(plan, job.routed.id, place, job.model);
    let by_tokens = || row.map(|row| pricing::cost(counts, &row));
    if counted == Counted::ByProvider && row.is_some() {
        return by_tokens();
    }
    let by_units = price(job, place).and_then(|price| price.of(units));
    by_units.or_else(by_tokens).or(plan.passthrough.assume_usd)
}

/// Refuses a request that cannot be priced, where it passes a budget that must not be exceeded.
///
/// # Errors
/// It passes one.
pub fn check_priced<'a>(job: &Job<'a>) -> Result<(), Refusal<'a>> {
    if job.parcel.is_none() {
        return Ok(());
    }
    let request: &'a Request = job.request;
    match request.scopes() {
        Some(scopes) => check_priced_for(job, &scopes),
        None => Ok(()),
    }
}

/// As [`check_priced`], for a request that passes these scopes.
///
/// # Errors
/// It passes such a budget.
pub fn check_priced_for<'a>(job: &Job<'a>, scopes: &Scopes<'_>) -> Result<(), Refusal<'a>> {
    let Some(parcel) = job.parcel.filter(|_| !job.is_free()) else {
        return Ok(());
    };
    let mut budgets = scopes
        .of_model(Some(job.model))
        .into_iter()
        .flat_map(|account| &account.budgets);
    let is_hard = budgets.any(|(_, budget)| {
        budget.enforce == Enforce::Yes && budget.action == BudgetAction::HardStop
    });
    if !is_hard {
        return Ok(());
    }
    let counts = Counts {
        input: Tokens::estimated(job.ask.prompt_bytes),
        ..Counts::default()
    };
    let mut places = 0..job.routed.route.candidates.len();
    let is_unpriced = |place: usize| {
        let is_known = || expected(job, place, &counts, &parcel.asked).is_some();
        job.routed.is_candidate(place) && !is_known()
    };
    if places.any(is_unpriced) {
        return Err(Refusal::UnpricedEndpoint {
            path: job.endpoint.path(),
            model: job.model,
        });
    }
    Ok(())
}
