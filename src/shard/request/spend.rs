//! Money of one request: what it may cost, and what it cost in the end.

use crate::base::endpoint::Dialect;
use crate::base::money::NanoUsd;
use crate::base::tokens::{Counts, Tokens};

use crate::decide::budget::Ask;
use crate::decide::pricing::{self, Row};
use crate::dialect::tariff::Tariff;
use crate::link::meters::Priced;
use crate::shard::request::job::Job;
use crate::shard::request::unit_cost;
use crate::shard::request::used::Used;
use crate::wire::usage::Usage;

/// The prices at a candidate; `None`: nobody knows them.
#[must_use]
pub fn row(job: &Job<'_>, place: usize) -> Option<Row> {
    let shard = job.shard;
    shard
        .era
        .purse
        .row(&shard.plan, job.routed.id, place, job.model)
}

/// What a request to a candidate has used, and what that costs: as the provider says, else a
/// quarter of the characters.
#[must_use]
pub fn used(job: &Job<'_>, place: usize, usage: Option<Usage>, text_bytes: usize) -> Used {
    let mut used = Used::new(usage, job.ask.prompt_bytes, text_bytes);
    if let Some(parcel) = job.parcel {
        return unit_cost::used(job, place, &parcel.billed(), used);
    }
    if let Some(row) = row(job, place) {
        used.cost = pricing::cost(&used.counts, &row);
        used.priced = Priced::Yes;
    }
    used
}

/// What the cost of a stream from a candidate is made of, where the caller wants it in its usage.
#[must_use]
pub fn tariff(job: &Job<'_>, place: usize) -> Option<Tariff> {
    let tells_usage = match job.endpoint.dialect() {
        Dialect::Chat | Dialect::Messages => job.ask.include_usage,
        // Their streams tell it unasked.
        Dialect::Responses => true,
    };
    let is_wanted = job.request.wants_stream_cost && tells_usage;
    is_wanted.then(|| Tariff {
        row: row(job, place).unwrap_or(Row::FREE),
        prompt_bytes: job.ask.prompt_bytes,
    })
}

/// What the request is expected to cost at a candidate with these tokens; `None`: nobody knows the
/// price.
#[must_use]
pub fn cost(job: &Job<'_>, place: usize, counts: &Counts) -> Option<NanoUsd> {
    if let Some(parcel) = job.parcel {
        return unit_cost::expected(job, place, counts, &parcel.asked);
    }
    row(job, place).map(|row| pricing::cost(counts, &row))
}

/// What a prompt of `tokens` would cost at each candidate, in their order.
#[must_use]
pub fn prompt_costs(job: &Job<'_>, tokens: Tokens) -> Vec<NanoUsd> {
    let counts = Counts {
        input: tokens,
        ..Counts::default()
    };
    let places = 0..job.routed.route.candidates.len();
    places
        .map(|place| cost(job, place, &counts).unwrap_or_default())
        .collect()
}

/// What the request is expected to use; where it sets no bound to its answer, one as long as the
/// latest ones of the route.
#[must_use]
pub fn expected(job: &Job<'_>) -> Counts {
    let usual_answer = if job.endpoint.is_written() {
        job.shard.usual_answer(job.routed.id)
    } else if job.is_free() {
        return Counts::default();
    } else {
        Tokens::ZERO
    };
    job.ask.expected(usual_answer)
}

/// What these tokens cost at most, at the dearest of the request's candidates; those without a
/// price cost nothing.
#[must_use]
pub fn estimate(job: &Job<'_>, expected: &Counts) -> Ask {
    let prompt = Counts {
        output: Tokens::ZERO,
        ..*expected
    };
    let mut dearest = Ask {
        prompt: NanoUsd::ZERO,
        whole: NanoUsd::ZERO,
    };
    let places = 0..job.routed.route.candidates.len();
    for place in places.filter(|place| job.routed.is_candidate(*place)) {
        let costs = match job.parcel {
            Some(_) => {
                Some([&prompt, expected].map(|counts| cost(job, place, counts).unwrap_or_default()))
            }
            None => row(job, place)
                .map(|row| [&prompt, expected].map(|counts| pricing::cost(counts, &row))),
        };
        if let Some([prompt, whole]) = costs {
            dearest.prompt = dearest.prompt.max(prompt);
            dearest.whole = dearest.whole.max(whole);
        }
    }
    dearest
}
