//! The headers that infermux adds to an answer, and which headers are passed on.

use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::decide::affinity::Stay;
use crate::decide::outcome::KeyOwner;
use crate::decide::strategy::Strategy;
use crate::wire::known::{Known, Names};
use crate::wire::plain::are_all;

/// What infermux's headers say about an answer.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// The request's id.
    pub request_id: &'a [u8],
    /// The line that names the provider which served it.
    pub provider_line: &'a [u8],
    /// The provider's own name for the model.
    pub model: &'a str,
    /// How the provider was chosen.
    pub strategy: Strategy,
    /// The matching group.
    pub group: Option<&'a str>,
    /// The provider's response time.
    pub latency: Duration,
    /// Providers tried; said when more than one.
    pub attempts: u32,
    /// The model that a budget put in place of the requested one.
    pub model_override: Option<&'a str>,
    /// Tokens and cost; when a stream begins, they are not known yet.
    pub totals: Totals,
}

/// Figures of a complete answer. A figure that is `None` is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tokens of the prompt.
    pub prompt: Option<Tokens>,
    /// Tokens of the answer.
    pub completion: Option<Tokens>,
    /// What it cost.
    pub cost: Option<NanoUsd>,
}

/// Announces the trailers of a stream.
pub const TRAILER_ANNOUNCEMENT: &[u8] =
    b"Trailer: X-Infermux-Prompt-Tokens, X-Infermux-Completion-Tokens, X-Infermux-Cost\r\n";

/// Tells proxies on the way to pass a stream on as it comes.
pub const STREAM_LINES: &[u8] = b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";

/// Headers that pages of other origins may read, besides those that browsers always allow.
pub const EXPOSED: &str = "X-Infermux-Provider, X-Infermux-Model, X-Infermux-Strategy, \
    X-Infermux-Route-Group, X-Infermux-Latency-Ms, X-Infermux-Attempts, \
    X-Infermux-Model-Override, X-Infermux-Affinity, X-Infermux-Prompt-Tokens, \
    X-Infermux-Completion-Tokens, X-Infermux-Cost, X-Infermux-Error, \
    X-Infermux-Upstream-Request-Id, X-Infermux-Token-Count, X-Infermux-Budget-Remaining, \
    x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
    x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, \
    anthropic-ratelimit-requests-limit, anthropic-ratelimit-requests-remaining, \
    anthropic-ratelimit-requests-reset, anthropic-ratelimit-tokens-limit, \
    anthropic-ratelimit-tokens-remaining, anthropic-ratelimit-tokens-reset, X-Request-Id, \
    request-id, Retry-After, retry-after-ms, x-should-retry";

/// Appends the header lines.
pub fn add(out: &mut Vec<u8>, added: &Added<'_>) {
    name(out, REQUEST_ID, added.request_id);
    out.extend_from_slice(added.provider_line);
    name(out, b"X-Infermux-Model: ", added.model.as_bytes());
    out.extend_from_slice(b"X-Infermux-Strategy: ");
    out.extend_from_slice(added.strategy.name().as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(group) = added.group {
        name(out, b"X-Infermux-Route-Group: ", group.as_bytes());
    }
    number(out, b"X-Infermux-Latency-Ms: ", added.latency.as_millis());
    attempts(out, added.attempts);
    if let Some(model) = added.model_override {
        name(out, b"X-Infermux-Model-Override: ", model.as_bytes());
    }
    totals(out, &added.totals);
}

/// Appends the lines that are headers of an answer with a length, and trailers of a stream.
pub fn totals(out: &mut Vec<u8>, totals: &Totals) {
    if let Some(tokens) = totals.prompt {
        number(out, b"X-Infermux-Prompt-Tokens: ", tokens.get());
    }
    if let Some(tokens) = totals.completion {
        number(out, b"X-Infermux-Completion-Tokens: ", tokens.get());
    }
    if let Some(cost) = totals.cost {
        out.extend_from_slice(b"X-Infermux-Cost: ");
        cost.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends how many providers were tried, when more than one.
pub(super) fn attempts(out: &mut Vec<u8>, count: u32) {
    if count > 1 {
        number(out, b"X-Infermux-Attempts: ", count);
    }
}

/// Appends whether the request went to the provider of its conversation.
pub(super) fn affinity(out: &mut Vec<u8>, stay: Stay) {
    out.extend_from_slice(b"X-Infermux-Affinity: ");
    out.extend_from_slice(stay.name().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends which provider has served the request.
pub fn provider(out: &mut Vec<u8>, provider: &str) {
    name(out, PROVIDER, provider.as_bytes());
}

/// The line that says which provider has served a request.
#[must_use]
pub fn provider_line(name: &str) -> Box<[u8]> {
    let mut line = Vec::new();
    provider(&mut line, name);
    line.into()
}

/// Appends the request's id.
pub fn request_id(out: &mut Vec<u8>, id: &[u8]) {
    name(out, REQUEST_ID, id);
}

/// Appends the request's id under the name that Anthropic's clients know and show.
pub(super) fn anthropics_request_id(out: &mut Vec<u8>, id: &[u8]) {
    name(out, b"request-id: ", id);
}

/// The callers' headers that are passed on to every provider, whatever its dialect.
pub const TO_ANY_PROVIDER: Names = Names::of(&[
    Known::Accept,
    Known::XTitle,
    Known::UserAgent,
    Known::Tracestate,
    Known::Traceparent,
    Known::HttpReferer,
    Known::IdempotencyKey,
]);

/// The callers' headers that are passed on to providers of OpenAI's dialect, besides the usual
/// ones. Organization and project belong to an account: they are passed on only with its key.
#[must_use]
pub const fn to_openai(key: KeyOwner) -> Names {
    const WHOEVER_PAYS: Names = Names::of(&[Known::OpenaiBeta]);
    const OF_ACCOUNT: Names = Names::of(&[Known::OpenaiProject, Known::OpenaiOrganization]);
    match key {
        KeyOwner::Caller => WHOEVER_PAYS.and(OF_ACCOUNT),
        KeyOwner::Infermux => WHOEVER_PAYS,
    }
}

/// As [`to_openai`], for callers of Responses whose request is translated: what they say of that
/// API is not for others.
#[must_use]
pub const fn over_the_bridge(key: KeyOwner) -> Names {
    to_openai(key).without(Names::of(&[Known::OpenaiBeta]))
}

/// As [`to_openai`], for providers that are asked for a response: with the caller's key the account
/// goes, too, that this key belongs to.
#[must_use]
pub const fn to_responses(key: KeyOwner) -> Names {
    match key {
        KeyOwner::Caller => to_openai(key).and(Names::of(&[Known::ChatgptAccountId])),
        KeyOwner::Infermux => to_openai(key),
    }
}

/// The providers' headers that are passed on to the caller. The type of the body is stated by the
/// function that writes the body. The limits of an account are passed on only to its owner.
#[must_use]
pub const fn to_caller(key: KeyOwner) -> Names {
    const WHOEVER_PAYS: Names = Names::of(&[
        Known::RetryAfter,
        Known::RetryAfterMs,
        Known::XShouldRetry,
        Known::OpenaiVersion,
        Known::OpenaiProcessingMs,
    ]);
    match key {
        KeyOwner::Caller => WHOEVER_PAYS.and(Names::LIMITS),
        KeyOwner::Infermux => WHOEVER_PAYS,
    }
}

/// Whether `connection`, the values of a message's `Connection` headers, names a header: then it is
/// not passed on.
pub fn is_named<'a>(name: &[u8], connection: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut tokens = connection
        .into_iter()
        .flat_map(|value| value.split(|&byte| byte == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name))
}

/// Appends a line whose value may come from a caller: all bytes but visible ASCII, and the percent
/// sign, are percent-encoded, so that no value can end the line.
fn name<const N: usize>(out: &mut Vec<u8>, start: &[u8; N], value: &[u8]) {
    out.extend_from_slice(start);
    if are_all(value, (b'!', b'~'), [b'%']) {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
        return;
    }
    for &byte in value {
        if is_plain(byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 0xf)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether the byte stands for itself in the value of a header: visible ASCII, and not the percent
/// sign.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

/// Appends the code of infermux's own error.
pub fn error(out: &mut Vec<u8>, code: &str) {
    out.extend_from_slice(b"X-Infermux-Error: ");
    out.extend_from_slice(code.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends when to try again, in whole seconds and in the milliseconds that the official clients
/// read.
pub fn retry_after(out: &mut Vec<u8>, millis: u64) {
    number(out, b"Retry-After: ", millis.div_ceil(1_000));
    number(out, b"retry-after-ms: ", millis);
}

#[inline]
fn number<const N: usize>(out: &mut Vec<u8>, start: &[u8; N], value: impl itoa::Integer) {
    out.extend_from_slice(start);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

const PROVIDER: &[u8; 21] = b"X-Infermux-Provider: ";
const REQUEST_ID: &[u8; 14] = b"X-Request-Id: ";

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
