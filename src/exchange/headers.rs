//! The headers that infermux adds to an answer, and which headers cross it.

use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::decide::outcome::KeyOwner;
use crate::decide::strategy::Strategy;

/// What an answer's headers say about how it came about.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// Who served it.
    pub provider: &'a str,
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
    /// The model that a budget put in place of the one asked for.
    pub model_override: Option<&'a str>,
    /// Tokens and cost; of a stream they are not known yet.
    pub totals: Totals,
}

/// What is known when an answer is complete. What is `None` is left out.
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

/// Appends the header lines.
pub fn add(out: &mut Vec<u8>, added: &Added<'_>) {
    name(out, REQUEST_ID, added.request_id);
    name(out, b"X-Infermux-Provider: ", added.provider);
    name(out, b"X-Infermux-Model: ", added.model);
    name(out, b"X-Infermux-Strategy: ", added.strategy.name());
    if let Some(group) = added.group {
        name(out, b"X-Infermux-Route-Group: ", group);
    }
    number(out, b"X-Infermux-Latency-Ms: ", added.latency.as_millis());
    attempts(out, added.attempts);
    if let Some(model) = added.model_override {
        name(out, b"X-Infermux-Model-Override: ", model);
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

/// Appends the request's id.
pub(super) fn request_id(out: &mut Vec<u8>, id: &str) {
    name(out, REQUEST_ID, id);
}

/// Whether a caller's header goes to the provider. `connection` are the values of the request's
/// `Connection` headers, which may name further ones that end here.
pub fn crosses_to_provider<'a>(
    name: &[u8],
    key: KeyOwner,
    connection: impl IntoIterator<Item = &'a [u8]>,
) -> bool {
    if is_hop_by_hop(name)
        || starts_with(name, b"x-infermux-")
        || starts_with(name, b"x-forwarded-")
    {
        return false;
    }
    let stays = match name.len() {
        3 => is_one_of(name, &[b"via"]),
        4 => is_one_of(name, &[b"host"]),
        6 => is_one_of(name, &[b"cookie", b"expect"]),
        7 => is_one_of(name, &[b"api-key"]),
        9 => is_one_of(name, &[b"x-api-key", b"forwarded", b"x-real-ip"]),
        12 => is_one_of(name, &[b"x-request-id"]),
        13 => is_one_of(name, &[b"authorization"]),
        14 => is_one_of(name, &[b"x-goog-api-key", b"true-client-ip"]) || is_foreign(name, key),
        15 => is_one_of(name, &[b"accept-encoding"]),
        16 => is_one_of(name, &[b"cf-connecting-ip", b"content-encoding"]),
        19 => is_foreign(name, key),
        _ => false,
    };
    !stays && !is_named(name, connection)
}

/// Whether a provider's header goes to the caller. `connection` are the values of the answer's
/// `Connection` headers.
pub fn crosses_to_caller<'a>(name: &[u8], connection: impl IntoIterator<Item = &'a [u8]>) -> bool {
    if is_hop_by_hop(name) || starts_with(name, b"x-infermux-") {
        return false;
    }
    let stays = match name.len() {
        6 => is_one_of(name, &[b"server"]),
        7 => is_one_of(name, &[b"alt-svc"]),
        10 => is_one_of(name, &[b"set-cookie"]),
        12 => is_one_of(name, &[b"x-request-id"]),
        25 => is_one_of(name, &[b"strict-transport-security"]),
        _ => false,
    };
    !stays && !is_named(name, connection)
}

/// Headers that are about one connection (RFC 9110, section 7.6.1), and the length, which whoever
/// writes the next head states anew.
fn is_hop_by_hop(name: &[u8]) -> bool {
    match name.len() {
        2 => is_one_of(name, &[b"te"]),
        7 => is_one_of(name, &[b"upgrade", b"trailer"]),
        10 => is_one_of(name, &[b"connection", b"keep-alive"]),
        14 => is_one_of(name, &[b"content-length"]),
        16 => is_one_of(name, &[b"proxy-connection"]),
        17 => is_one_of(name, &[b"transfer-encoding"]),
        18 => is_one_of(name, &[b"proxy-authenticate"]),
        19 => is_one_of(name, &[b"proxy-authorization"]),
        _ => false,
    }
}

/// Whether a header names an account that does not belong to the key it would be sent with.
fn is_foreign(name: &[u8], key: KeyOwner) -> bool {
    match key {
        KeyOwner::Infermux => is_one_of(name, &[b"openai-project", b"openai-organization"]),
        KeyOwner::Caller => false,
    }
}

fn is_named<'a>(name: &[u8], connection: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut tokens = connection
        .into_iter()
        .flat_map(|value| value.split(|&byte| byte == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name))
}

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Appends a line whose value may come from a caller: whatever is not visible ASCII, and the
/// percent sign, is percent-encoded, so that no value can end the line.
fn name(out: &mut Vec<u8>, start: &[u8], value: &str) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    out.extend_from_slice(start);
    if value.bytes().all(is_plain) {
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
        return;
    }
    for &byte in value.as_bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 0xf)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn number(out: &mut Vec<u8>, start: &[u8], value: impl itoa::Integer) {
    out.extend_from_slice(start);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

const REQUEST_ID: &[u8] = b"X-Request-Id: ";

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
