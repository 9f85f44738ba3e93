//! How long a provider asks to be left alone, as its answer tells.

use std::time::{Duration, UNIX_EPOCH};

use crate::base::month::Month;
use crate::base::time::WallTime;
use crate::wire::json;
use crate::wire::known::{Known, Names};
use crate::wire::provider_error::ProviderError;

/// The headers of an answer: the value of the first one with this name.
pub type Headers<'h, 'a> = &'h dyn Fn(Known) -> Option<&'a [u8]>;

/// How long a provider that is at its limit (429) asks to be left alone; `None`: its answer does
/// not say.
///
/// An explicit delay comes first; after that the times at which its limits start over, those of
/// used-up limits before the others.
#[must_use]
pub fn asked(headers: Headers<'_, '_>, body: &[u8], wall: WallTime) -> Option<Duration> {
    outright(headers, body, wall)
        .or_else(|| longest_reset(headers, wall, Which::UsedUp))
        .or_else(|| longest_reset(headers, wall, Which::All))
}

/// How long a provider that has refused (429, 503, 529) explicitly asks to be left alone: in its
/// headers, else in its body.
#[must_use]
pub fn outright(headers: Headers<'_, '_>, body: &[u8], wall: WallTime) -> Option<Duration> {
    let text = |name| text(headers, name);
    let millis = text(Known::RetryAfterMs).and_then(|value| spans(value, "ms"));
    millis
        .or_else(|| text(Known::RetryAfter).and_then(|value| seconds_or_date(value, wall)))
        .or_else(|| in_body(body))
}

/// The delay that an error's body names: in Google's details, else in its message.
fn in_body(body: &[u8]) -> Option<Duration> {
    let error = ProviderError::read(body);
    let details = json::elements(error.details.unwrap_or_default());
    let mut details = details.map_while(Result::ok);
    let told = details.find_map(|detail| {
        let delay = json::member(detail.text, b"retryDelay")?.value.string()?;
        spans(&delay, "s")
    });
    told.or_else(|| in_sentence(&error.message?))
}

/// The delay of a sentence like "Please try again in 1m2.5s." or "Retry after 20 seconds.".
fn in_sentence(sentence: &str) -> Option<Duration> {
    let sentence = sentence.to_ascii_lowercase();
    let behind = |words: &&str| Some(sentence.split_once(*words)?.1);
    let mut words = DELAY_WORDS.iter().find_map(behind)?.split_whitespace();
    let mut next = || {
        words
            .next()
            .map(|word| word.trim_end_matches(|c: char| !c.is_alphanumeric()))
    };
    let first = next()?;
    // A number without a unit attached has its unit in the next word.
    spans(first, "").or_else(|| {
        let unit = next()?;
        let known = UNITS.iter().find(|(start, _)| unit.starts_with(start))?;
        span(first, known.1)
    })
}

/// The words before a delay, in lower case.
const DELAY_WORDS: [&str; 3] = ["try again in ", "retry in ", "retry after "];
/// How units begin in sentences, and what headers call them.
const UNITS: [(&str, &str); 6] = [
    ("sec", "s"),
    ("min", "m"),
    ("hour", "h"),
    ("day", "d"),
    ("ms", "ms"),
    ("milli", "ms"),
];

/// How long a provider whose answer says that a limit is used up wants no further request; `None`:
/// no limit is, or the answer does not say when that limit starts over.
#[must_use]
pub fn used_up(headers: Headers<'_, '_>, wall: WallTime) -> Option<Duration> {
    longest_reset(headers, wall, Which::UsedUp).filter(|span| *span > Duration::ZERO)
}

/// Which limits are asked for the time at which they start over.
#[derive(Clone, Copy)]
enum Which {
    /// Those with nothing left.
    UsedUp,
    /// All of them.
    All,
}

/// For each limit that providers tell of, the headers with what is left of it and when it starts
/// over.
const LIMITS: [(Known, Known); 7] = [
    (Known::RatelimitRemaining, Known::RatelimitReset),
    (Known::RequestsRemaining, Known::RequestsReset),
    (Known::TokensRemaining, Known::TokensReset),
    (Known::AnthropicRequests, Known::AnthropicRequestsReset),
    (Known::AnthropicTokens, Known::AnthropicTokensReset),
    (Known::AnthropicInputs, Known::AnthropicInputReset),
    (Known::AnthropicOutputs, Known::AnthropicOutputReset),
];

/// The headers that say what is left of a limit.
pub const LEFT: Names = {
    let (mut left, mut at) = (Names::NONE, 0);
    while at < LIMITS.len() {
        left.add(LIMITS[at].0);
        at += 1;
    }
    left
};

fn longest_reset(headers: Headers<'_, '_>, wall: WallTime, which: Which) -> Option<Duration> {
    let wanted = |left| match which {
        // Azure sends -1 where it does not know; that is not zero.
        Which::UsedUp => headers(left).is_some_and(|value| value.trim_ascii() == b"0"),
        Which::All => true,
    };
    let resets = LIMITS.iter().filter(|(left, _)| wanted(*left));
    resets
        .filter_map(|(_, reset)| reset_in(text(headers, *reset)?, wall))
        .max()
}

fn text<'a>(headers: Headers<'_, 'a>, name: Known) -> Option<&'a str> {
    let value = std::str::from_utf8(headers(name)?).ok()?.trim();
    (!value.is_empty()).then_some(value)
}

/// `Retry-After`: seconds, or a date.
fn seconds_or_date(value: &str, wall: WallTime) -> Option<Duration> {
    if let Some(seconds) = span_or_moment(value, wall) {
        return Some(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(since_epoch.saturating_sub(Duration::from_millis(wall.unix_millis())))
}

/// When a limit starts over: a span (`6m0s`, `12ms`, `30`: seconds) or a moment (RFC 3339).
fn reset_in(value: &str, wall: WallTime) -> Option<Duration> {
    if let Some(span) = span_or_moment(value, wall) {
        return Some(span);
    }
    let millis = rfc_3339(value)?.unix_millis();
    Some(Duration::from_millis(
        millis.saturating_sub(wall.unix_millis()),
    ))
}

/// A span, or a moment that is given as a number since 1970: no provider asks for thirty years.
fn span_or_moment(value: &str, wall: WallTime) -> Option<Duration> {
    let span = spans(value, "s")?;
    if value.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(span);
    }
    let as_millis = spans(value, "ms")?;
    let since_1970 = match as_millis {
        _ if as_millis > MILLIS_FROM => as_millis,
        _ if as_millis > SECONDS_FROM => span,
        _ => return Some(span),
    };
    Some(since_1970.saturating_sub(Duration::from_millis(wall.unix_millis())))
}

/// Numbers above 1e9 are moments in seconds, above 1e12 in milliseconds; both bounds are compared
/// with the number taken as milliseconds.
const SECONDS_FROM: Duration = Duration::from_millis(1_000_000_000);
const MILLIS_FROM: Duration = Duration::from_millis(1_000_000_000_000);

/// The sum of spans like `1h2m3.5s`; a number without a unit counts as `bare`.
fn spans(value: &str, bare: &str) -> Option<Duration> {
    let mut rest = value;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(end)?;
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let is_bare = unit.is_empty() && number.len() == value.len();
        sum = sum.saturating_add(span(number, if is_bare { bare } else { unit })?);
        rest = after;
    }
    (!value.is_empty()).then_some(sum)
}

/// `number` of a unit, cut off at whole nanoseconds.
fn span(number: &str, unit: &str) -> Option<Duration> {
    let nanos_per_unit: u64 = match unit {
        "d" => 86_400_000_000_000,
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // Digits only, so that a number that does not fit is too large and nothing else.
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u64>().unwrap_or(u64::MAX),
    };
    let mut nanos = whole.saturating_mul(nanos_per_unit);
    let mut place = nanos_per_unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.saturating_add(place * u64::from(digit - b'0'));
    }
    Some(Duration::from_nanos(nanos))
}

/// A moment like `2026-11-23T09:24:05.5Z` or `2026-11-23T10:24:05+01:00`.
#[must_use]
pub fn rfc_3339(value: &str) -> Option<WallTime> {
    let number = |from: usize, count: usize| {
        let digits = value.get(from..from + count)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let is = |at: usize, marks: &[u8]| value.as_bytes().get(at).is_some_and(|b| marks.contains(b));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let month = Month::new(number(0, 4)?, number(5, 2)?)?;
    let (day, hour) = (number(8, 2)?, number(11, 2)?);
    let (minute, second) = (number(14, 2)?, number(17, 2)?);
    // 60: a leap second, which Unix time counts as the one after it.
    if !(1..=month.days()).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((day - 1) * 24 + hour) * 3_600 + minute * 60 + second;
    let local = month.start().unix_millis() + seconds * 1_000;
    let rest = value.get(19..)?;
    let (fraction, zone) = rest.split_at_checked(rest.find(['Z', 'z', '+', '-'])?)?;
    let millis = match fraction {
        "" => Duration::ZERO,
        _ if fraction.starts_with('.') => span(fraction, "s").filter(|_| {
            fraction.len() > 1 && fraction.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        })?,
        _ => return None,
    };
    let local = Duration::from_millis(local).saturating_add(millis);
    let utc = match zone.as_bytes().first()? {
        b'+' => local.saturating_sub(offset(zone)?),
        b'-' => local.saturating_add(offset(zone)?),
        _ => (zone.len() == 1).then_some(local)?,
    };
    u64::try_from(utc.as_millis())
        .ok()
        .map(WallTime::from_unix_millis)
}

/// The `01:00` of `+01:00`.
fn offset(zone: &str) -> Option<Duration> {
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |digits: &str| {
        let both = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        both.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| Duration::from_secs(hours * 3_600 + minutes * 60))
}

#[cfg(test)]
#[path = "retry_after_tests.rs"]
mod tests;
