//! Responses in the background: booked by an estimate when they begin, and by their usage when a
//! caller first asks for it (rule M3 of reference/responses-inbound.md).

use crate::base::endpoint::Dialect;
use crate::base::money::NanoUsd;
use crate::base::period::Period;
use crate::base::tokens::Tokens;
use crate::dialect::shell::Shell;
use crate::exchange::attribution::Label;
use crate::exchange::callers::SharedCallers;
use crate::exchange::principal::{Owner, Principal};
use crate::exchange::unsettled::{Difference, Paying, Unsettled};
use crate::link::facts::Fact;
use crate::link::journal::{Correction, Entry, Moment, Names, Spend};
use crate::link::meters::{Kept, Priced};
use crate::shard::request::attempt::Attempt;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::shard::request::spend;
use crate::shard::state::meters::SeriesKey;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::json;
use crate::wire::usage::Usage;

/// Remembers the response `body` of a provider, if its usage is still to come.
pub(super) fn remember(
    attempt: &Attempt<'_, '_>,
    record: &Record<'_>,
    (usage, text_bytes): (Option<Usage>, usize),
    body: &[u8],
) {
    if usage.is_some() || attempt.dialect() != Dialect::Responses {
        return;
    }
    let member = |name: &[u8]| json::member(body, name).map(|member| member.value);
    let goes_on = |status: &[u8]| matches!(status, b"queued" | b"in_progress");
    let status = member(b"status").map(|status| status.word());
    let Some(id) = member(b"id").filter(|_| status.is_some_and(|status| goes_on(&status))) else {
        return;
    };
    note(attempt, record, (usage, text_bytes), &id.word());
}

/// Remembers the response of a stream that has ended before its usage came: one in the background
/// goes on without its caller.
pub(super) fn remember_stream(attempt: &Attempt<'_, '_>, record: &Record<'_>, stream: &Shell) {
    if let (None, Some(id)) = (stream.usage(), stream.response_id()) {
        note(attempt, record, (None, stream.text_bytes()), id);
    }
}

fn note(
    attempt: &Attempt<'_, '_>,
    record: &Record<'_>,
    (usage, text_bytes): (Option<Usage>, usize),
    id: &[u8],
) {
    let (job, used) = (attempt.job, attempt.used(usage, text_bytes));
    let owner = job.request.principal.as_ref().map(Principal::owner);
    let recorded = record.journal.as_ref();
    let unsettled = Unsettled {
        recorded: recorded.map(|_| job.request.id.as_str().into()),
        month: record.month(),
        attribution: job.request.attribution.clone(),
        owner: owner.map(Owner::to_owned),
        provider: attempt.candidate().provider,
        model: attempt.upstream_model().into(),
        row: spend::row(job, attempt.place),
        budgets: budgets(job, record),
        booked: used.spent(),
        counts: used.counts,
    };
    let owner = unsettled.owner.as_ref().map_or(0, Owner::bytes);
    let names = unsettled.model.len() + owner + unsettled.attribution.own_bytes();
    let budgets = size_of_val(&*unsettled.budgets);
    let bytes = size_of::<Unsettled>() + names + budgets;
    job.shard.unsettled.remember(id, unsettled, bytes);
}

/// Books what the response `id` has used, if its `body` tells that for the first time.
pub(super) fn settle(shard: &Shard, id: &str, body: &[u8]) {
    if shard.unsettled.bytes() == 0 {
        return;
    }
    let told = json::member(body, b"usage").map(|usage| usage.value);
    let Some(usage) = told.as_ref().and_then(Usage::of_response) else {
        return;
    };
    let Some(taken) = shard.unsettled.take(id.as_bytes()) else {
        return;
    };
    let unsettled = &taken.thing;
    if let Some(difference) = unsettled.difference(&usage, shard.gates.month()) {
        book(shard, unsettled, &difference);
        record_difference(shard, id, unsettled, &difference);
    }
}

/// As [`settle`], where the response stands in the `data` of an event.
pub(super) fn settle_by_event(shard: &Shard, id: &str, data: &[u8]) {
    if shard.unsettled.bytes() > 0
        && let Some(response) = json::member(data, b"response")
    {
        settle(shard, id, response.value.text);
    }
}

/// Books a difference where the estimate was booked.
fn book(shard: &Shard, unsettled: &Unsettled, difference: &Difference) {
    let spent = difference.spent;
    let callers = shard.held_callers.current(&shard.callers);
    for paying in &unsettled.budgets {
        pay(shard, &callers, paying, spent.cost);
    }
    let (attribution, owner) = (&unsettled.attribution, unsettled.owner.as_ref());
    let (meters, owner) = (&shard.meters, owner.map(Owner::borrowed));
    meters.book(unsettled.month, spent, attribution, owner, |party, name| {
        callers.kept(party, name)
    });
    let Some(provider) = shard.plan.find_provider(unsettled.provider) else {
        return;
    };
    let key = SeriesKey {
        provider: provider.id,
        name: &provider.name,
        model: &unsettled.model,
        kept: Kept::WhileRoom,
        priced: unsettled.row.map_or(Priced::No, |_| Priced::Yes),
    };
    shard.meters.series(Some(key), |series| {
        let counts = &difference.counts;
        series.input_tokens.add(counts.input.get());
        series.cache_read_tokens.add(counts.cache_read.get());
        series.cache_write_tokens.add(counts.written().get());
        series.output_tokens.add(counts.output.get());
        series.account.book(unsettled.month, spent);
    });
}

/// Records a difference where the request that began the response was recorded.
fn record_difference(shard: &Shard, id: &str, unsettled: &Unsettled, difference: &Difference) {
    let (Some(recorders), Some(request_id)) = (&shard.era.recorders, &unsettled.recorded) else {
        return;
    };
    let provider = shard.plan.find_provider(unsettled.provider);
    let label = |label: &Option<Label>| label.as_ref().map(|label| label.as_str().into());
    let (attribution, owner) = (&unsettled.attribution, unsettled.owner.as_ref());
    let spent = &difference.spent;
    let correction = Correction {
        at: Moment {
            at: clock::now(),
            unix_nanos: clock::wall_nanos(),
        },
        request_id: request_id.clone(),
        response_id: id.into(),
        principal: Names {
            key: owner.map(|owner| owner.key.clone()),
            team: owner.and_then(|owner| owner.team.clone()),
            caller: label(&attribution.caller),
            project: label(&attribution.project),
            env: label(&attribution.env),
        },
        provider: provider.map(|one| one.name.clone()).unwrap_or_default(),
        model: unsettled.model.clone(),
        month: unsettled.month,
        spend: Spend {
            prompt: Tokens::new(spent.prompt_tokens),
            completion: Tokens::new(spent.completion_tokens),
            counts: difference.counts,
            thinking: None,
            cost: spent.cost,
            priced: unsettled.row.map_or(Priced::No, |_| Priced::Yes),
            is_estimated: false,
        },
    };
    let entry = Entry::Correction(Box::new(correction));
    shard.journals.add(recorders, entry);
}

/// The budgets that pay for a request.
fn budgets(job: &Job<'_>, record: &Record<'_>) -> Box<[Paying]> {
    let passed = record.pass.as_ref().zip(job.request.scopes());
    let Some((pass, scopes)) = passed else {
        return Box::default();
    };
    let (gates, wall) = (pass.callers().gates(), clock::wall());
    let accounts = scopes.of_model(Some(job.model));
    let budgets = accounts.iter().flat_map(|account| &account.budgets);
    let budgets: Vec<_> = budgets.collect();
    let paying = pass.reserved().filter_map(|(id, reserved)| {
        let (_, rules) = budgets.iter().find(|(own, _)| *own == id)?;
        Some(Paying {
            id,
            gate: gates.budgets.get(id.index())?.clone(),
            period: Period::of(rules.per, wall).last_with_tag(reserved.period),
        })
    });
    paying.collect()
}

/// Books what a response has cost beyond what a budget has paid for it.
fn pay(shard: &Shard, callers: &SharedCallers, paying: &Paying, cost: NanoUsd) {
    let gate = callers.gates().budgets.get(paying.id.index());
    let Some(gate) = gate.filter(|gate| gate.is(&paying.gate)) else {
        return;
    };
    if !paying.is_open(clock::wall()) {
        return;
    }
    let period = paying.period.tag();
    gate.spend(period, cost);
    shard.reports.report(Fact::Settled {
        budget: paying.id,
        period,
        cost,
        first: cost,
    });
}
