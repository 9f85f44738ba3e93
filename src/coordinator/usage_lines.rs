//! Entries as lines of usage records.

use crate::base::endpoint::Dialect;
use crate::base::money::NanoUsd;
use crate::base::time::{Instant, WallTime};
use crate::base::tokens::Tokens;
use crate::decide::affinity::Stay;
use crate::decide::outcome::{KeyOwner, Outcome};
use crate::decide::strategy::Strategy;
use crate::link::facts::MonthTag;
use crate::link::journal::{AttemptEntry, Correction, Entry, Moment, Names, RequestEntry, Spend};
use crate::link::meters::Priced;
use crate::report::usage_record::{Field, KINDS, UsageRecord, Value};

/// Appends the lines of an entry: a request's own, and before it one for each of its attempts.
pub fn write(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Request(request) => {
            for (number, attempt) in (1..).zip(&request.attempts) {
                let mut record = common(KINDS[1], request);
                of_attempt(&mut record, request, (number, attempt));
                record.write(out);
            }
            let mut record = common(KINDS[0], request);
            of_request(&mut record, request);
            record.write(out);
        }
        Entry::Correction(correction) => of_correction(correction).write(out),
    }
}

/// How many entries these whole lines are of: the last line of each is not that of an attempt.
#[must_use]
pub fn entries_in(lines: &[u8]) -> usize {
    let ends = |line: &&[u8]| !line.starts_with(ATTEMPT) && line.ends_with(b"\n");
    lines
        .split_inclusive(|byte| *byte == b'\n')
        .filter(ends)
        .count()
}

/// What the records of a request and of its attempts have in common.
fn common<'a>(kind: &'static str, request: &'a RequestEntry) -> UsageRecord<'a> {
    let mut record = UsageRecord::new(kind);
    record.text(Field::RequestId, Some(&request.id));
    names(&mut record, &request.principal);
    record.text(Field::Endpoint, request.endpoint);
    record.text(Field::Dialect, request.dialect.map(Dialect::name));
    record.set(Field::Stream, flag(request.stream));
    record.text(Field::Model, request.model.as_deref());
    record.text(Field::ModelOverride, request.model_override.as_deref());
    record.text(Field::Strategy, request.strategy.map(Strategy::name));
    record.text(Field::Group, request.group.as_deref());
    record.set(
        Field::Month,
        month(request.month, request.started.unix_nanos_of(request.ended)),
    );
    record
}

fn of_request<'a>(record: &mut UsageRecord<'a>, request: &'a RequestEntry) {
    let started = request.started;
    times(record, started, (started.at, request.ended));
    let since = |at: Instant| Value::Millis(at.since(started.at));
    let last = request.attempts.last();
    record.set(Field::Attempts, Value::Number(request.attempts_sent.into()));
    record.text(Field::Affinity, request.stay.map(Stay::name));
    record.text(Field::Provider, last.map(|one| &*one.provider));
    record.text(
        Field::ModelSent,
        last.map(|one| &*one.model).filter(|name| !name.is_empty()),
    );
    record.set(Field::Status, Value::Number(request.status.into()));
    record.text(Field::Error, request.error);
    record.set(
        Field::FirstByteMs,
        request.first_byte.map_or(Value::Null, since),
    );
    spend(record, request.spend.as_ref());
    let failed = request.failed_cost;
    record.set(Field::FailedCostNanoUsd, number(failed.map(NanoUsd::get)));
}

fn of_attempt<'a>(
    record: &mut UsageRecord<'a>,
    request: &RequestEntry,
    (number, attempt): (u64, &'a AttemptEntry),
) {
    times(record, request.started, (attempt.started, attempt.ended));
    let since =
        |at: Option<Instant>| at.map_or(Value::Null, |at| Value::Millis(at.since(attempt.started)));
    record.set(Field::Attempt, Value::Number(number));
    record.text(
        Field::ModelSent,
        Some(&*attempt.model).filter(|name| !name.is_empty()),
    );
    record.text(Field::Provider, Some(&attempt.provider));
    record.text(Field::ProviderType, Some(attempt.provider_type));
    record.text(Field::ProviderDialect, Some(attempt.dialect.name()));
    record.text(
        Field::ProviderRequestId,
        attempt.provider_request_id.as_deref(),
    );
    record.text(Field::ResponseId, attempt.answer_id.as_deref());
    record.text(Field::ProviderKey, attempt.key.map(key_owner));
    record.set(Field::Probe, Value::Flag(attempt.is_probe));
    record.set(Field::Sends, Value::Number(attempt.sends.into()));
    record.text(Field::After, attempt.after.map(Outcome::label));
    let outcome = attempt
        .outcome
        .map_or(Outcome::LABELS[Outcome::NONE], Outcome::label);
    record.text(Field::Outcome, Some(outcome));
    record.set(Field::Status, self::number(attempt.status.map(u64::from)));
    record.set(Field::SentMs, since(attempt.sent));
    record.set(Field::HeadMs, since(attempt.head));
    record.set(Field::FirstContentMs, since(attempt.first_content));
    spend(record, attempt.spend.as_ref());
    record.set(Field::Billed, flag(attempt.spend.map(|_| !attempt.is_lost)));
}

fn of_correction(correction: &Correction) -> UsageRecord<'_> {
    let mut record = UsageRecord::new(KINDS[2]);
    let (moment, at) = (correction.at, correction.at.at);
    let nanos = moment.unix_nanos_of(at);
    record.set(Field::Time, Value::Time(nanos));
    record.set(Field::Started, Value::Time(nanos));
    record.text(Field::RequestId, Some(&correction.request_id));
    names(&mut record, &correction.principal);
    record.text(Field::ModelSent, Some(&correction.model));
    record.text(Field::Provider, Some(&correction.provider));
    record.text(Field::ResponseId, Some(&correction.response_id));
    spend(&mut record, Some(&correction.spend));
    record.set(Field::Month, month(correction.month, nanos));
    record
}

fn names<'a>(record: &mut UsageRecord<'a>, names: &'a Names) {
    record.text(Field::Key, names.key.as_deref());
    record.text(Field::Team, names.team.as_deref());
    record.text(Field::Caller, names.caller.as_deref());
    record.text(Field::Project, names.project.as_deref());
    record.text(Field::Env, names.env.as_deref());
}

fn times(record: &mut UsageRecord<'_>, moment: Moment, (from, to): (Instant, Instant)) {
    record.set(Field::Started, Value::Time(moment.unix_nanos_of(from)));
    record.set(Field::Time, Value::Time(moment.unix_nanos_of(to)));
    record.set(Field::DurationMs, Value::Millis(to.since(from)));
}

fn spend(record: &mut UsageRecord<'_>, spend: Option<&Spend>) {
    let Some(spend) = spend else { return };
    let counts = &spend.counts;
    for (field, count) in [
        (Field::InputTokens, counts.input),
        (Field::CacheReadTokens, counts.cache_read),
        (Field::CacheWriteTokens, counts.written()),
        (Field::CacheWrite1hTokens, counts.cache_write_1h),
        (Field::OutputTokens, counts.output),
    ] {
        record.set(field, Value::Number(count.get()));
    }
    record.set(
        Field::ReasoningTokens,
        number(spend.thinking.map(Tokens::get)),
    );
    record.set(Field::Estimated, Value::Flag(spend.is_estimated));
    record.set(Field::Priced, Value::Flag(spend.priced == Priced::Yes));
    record.set(Field::CostNanoUsd, Value::Number(spend.cost.get()));
}

/// The month of this tag that is the latest one at `nanos`.
fn month(tag: MonthTag, nanos: u64) -> Value<'static> {
    let civil = WallTime::from_unix_millis(nanos / 1_000_000).civil();
    let now = (civil.year - 1_970) * 12 + civil.month - 1;
    let back = (now + MONTH_TAGS - u64::from(tag.0)) % MONTH_TAGS;
    // A clock that was set back leaves the tag of a month to come.
    let months = if back == MONTH_TAGS - 1 {
        now + 1
    } else {
        now.saturating_sub(back)
    };
    Value::Month(1_970 + months / 12, months % 12 + 1)
}

const fn key_owner(owner: KeyOwner) -> &'static str {
    match owner {
        KeyOwner::Infermux => "infermux",
        KeyOwner::Caller => "caller",
    }
}

fn number(value: Option<u64>) -> Value<'static> {
    value.map_or(Value::Null, Value::Number)
}

fn flag(value: Option<bool>) -> Value<'static> {
    value.map_or(Value::Null, Value::Flag)
}

/// How the line of an attempt begins.
const ATTEMPT: &[u8] = b"{\"schema\":1,\"kind\":\"attempt\"";
/// The tags of months repeat after this number.
const MONTH_TAGS: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_their_last_lines() {
        let mut lines = Vec::new();
        for kind in [1, 1, 0, 2, 1, 0] {
            UsageRecord::new(KINDS[kind]).write(&mut lines);
        }
        assert_eq!(entries_in(&lines), 3);
        assert_eq!(entries_in(&lines[..lines.len() - 1]), 2);
        assert_eq!(entries_in(b""), 0);
    }

    #[test]
    fn a_tag_is_that_of_the_latest_month_that_has_it() {
        // 2026-11-30 and 2026-12-01, a millisecond before and after midnight.
        let (before, after) = (1_796_083_199_999_000_000, 1_796_083_200_001_000_000);
        let tag = |months: u64| MonthTag(u8::try_from(months % 32).expect("small"));
        let november = (2_026 - 1_970) * 12 + 10;
        for (months, nanos, expected) in [
            (november, before, (2026, 11)),
            (november, after, (2026, 11)),
            (november + 1, after, (2026, 12)),
            (november + 1, before, (2026, 12)),
            (november - 1, after, (2026, 10)),
        ] {
            let (year, number) = expected;
            assert_eq!(month(tag(months), nanos), Value::Month(year, number));
        }
    }
}
