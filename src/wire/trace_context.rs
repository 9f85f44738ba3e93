//! W3C Trace Context: `traceparent` and `tracestate`, read strictly and written.
//!
//! What does not follow the recommendation is no context: a trace begins anew, and no request fails
//! for it. <https://www.w3.org/TR/trace-context/>

use crate::base::trace::{SpanId, TraceId, pair_value};

/// What a caller says of the trace that its request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub span: SpanId,
    /// What is known of the trace.
    pub flags: Flags,
    /// The list of `tracestate`, one line; empty for none.
    pub state: Box<str>,
}

/// The flags of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Whether the trace is told.
    const SAMPLED: u8 = 1;
    /// Whether the lower half of its id is random.
    const RANDOM: u8 = 2;

    /// Those of a trace with a random id, told or not.
    #[must_use]
    pub const fn of_random(sampled: bool) -> Self {
        Self(Self::RANDOM).sampled(sampled)
    }

    /// The same flags of a trace that is told, or is not.
    #[must_use]
    pub const fn sampled(self, sampled: bool) -> Self {
        Self((self.0 & !Self::SAMPLED) | sampled as u8)
    }

    /// Whether the trace is told.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// The flags as a number.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What is known of the flags of any version; the others are not passed on.
    const fn of_bits(bits: u8) -> Self {
        Self(bits & (Self::SAMPLED | Self::RANDOM))
    }
}

/// Reads the values of `traceparent` and `tracestate`, in the order in which they stand in the
/// head; `None`: there is no context, or none that follows the recommendation.
#[must_use]
pub fn read<'a>(
    mut parents: impl Iterator<Item = &'a [u8]>,
    states: impl Iterator<Item = &'a [u8]>,
) -> Option<Context> {
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    let (trace, span, flags) = parent_of(parent)?;
    Some(Context {
        trace,
        span,
        flags,
        state: state_of(states).unwrap_or_default().into(),
    })
}

/// Reads one `traceparent`.
fn parent_of(text: &[u8]) -> Option<(TraceId, SpanId, Flags)> {
    let (fields, rest) = text.split_first_chunk::<PARENT_LEN>()?;
    let [version, trace, span, flags] = split(fields)?;
    let version = pair_value(version.try_into().ok()?)?;
    let fits = match version {
        0 => rest.is_empty(),
        0xff => false,
        // A later version may have more fields.
        1..=0xfe => matches!(rest, [] | [b'-', ..]),
    };
    if !fits {
        return None;
    }
    let flags = Flags::of_bits(pair_value(flags.try_into().ok()?)?);
    Some((TraceId::read(trace)?, SpanId::read(span)?, flags))
}

/// The four fields of version 00.
fn split(text: &[u8; PARENT_LEN]) -> Option<[&[u8]; 4]> {
    let dashes = [VERSION_LEN, SPAN_AT - 1, FLAGS_AT - 1];
    if dashes.iter().any(|at| text.get(*at) != Some(&b'-')) {
        return None;
    }
    Some([
        text.get(..VERSION_LEN)?,
        text.get(TRACE_AT..SPAN_AT - 1)?,
        text.get(SPAN_AT..FLAGS_AT - 1)?,
        text.get(FLAGS_AT..)?,
    ])
}

/// The list of all `tracestate` headers together; `None`: it does not follow the recommendation,
/// which makes all of it void.
fn state_of<'a>(states: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for text in states.flat_map(|list| list.split(|byte| *byte == b',')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(text).ok()?;
        let (key, value) = text.split_once('=')?;
        let is_known = members.iter().any(|(other, _)| *other == key);
        if !is_key(key) || !is_value(value) || is_known || members.len() == MEMBERS_MAX {
            return None;
        }
        members.push((key, value));
    }
    shorten(&mut members);
    let mut list = String::new();
    for (place, (key, value)) in members.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        list.extend([comma, key, "=", value]);
    }
    Some(list)
}

/// Drops whole members until the list has a length that everybody passes on: long ones first, then
/// those at the end.
fn shorten(members: &mut Vec<(&str, &str)>) {
    let length = |(key, value): &(&str, &str)| key.len() + 1 + value.len();
    let total = |members: &[(&str, &str)]| {
        members.iter().map(length).sum::<usize>() + members.len().saturating_sub(1)
    };
    while total(members) > STATE_BYTES_MAX {
        let long = members.iter().rposition(|one| length(one) > LONG_MEMBER);
        members.remove(long.unwrap_or(members.len() - 1));
    }
}

/// Whether it is a key of a member: of one system, or of a tenant of a system.
fn is_key(text: &str) -> bool {
    let is_begin = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_more = |byte: u8| is_begin(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/');
    let fits = |part: &str, most: usize| {
        let mut bytes = part.bytes();
        part.len() <= most && bytes.next().is_some_and(is_begin) && bytes.all(is_more)
    };
    match text.split_once('@') {
        None => fits(text, 256),
        Some((tenant, system)) => fits(tenant, 241) && fits(system, 14),
    }
}

/// Whether it is a value of a member: visible ASCII and blanks, without a blank at its end.
fn is_value(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    !text.is_empty() && text.len() <= 256 && text.bytes().all(fits)
}

/// Appends the value of `traceparent`.
pub fn write_parent(trace: TraceId, span: SpanId, flags: Flags, out: &mut Vec<u8>) {
    out.extend_from_slice(b"00-");
    out.extend_from_slice(&trace.text());
    out.push(b'-');
    out.extend_from_slice(&span.text());
    // Flags have one digit.
    out.extend_from_slice(&[b'-', b'0', b'0' + flags.bits()]);
}

/// Length of the four fields of version 00, with their dashes.
const PARENT_LEN: usize = FLAGS_AT + 2;
const VERSION_LEN: usize = 2;
const TRACE_AT: usize = VERSION_LEN + 1;
const SPAN_AT: usize = TRACE_AT + TraceId::TEXT_LEN + 1;
const FLAGS_AT: usize = SPAN_AT + SpanId::TEXT_LEN + 1;
/// Most members of `tracestate`, by the recommendation.
const MEMBERS_MAX: usize = 32;
/// Length of `tracestate` that everybody passes on, by the recommendation.
const STATE_BYTES_MAX: usize = 512;
/// Members longer than this go first, by the recommendation.
const LONG_MEMBER: usize = 128;

#[cfg(test)]
#[path = "trace_context_tests.rs"]
mod tests;
