//! Spans as the JSON of OTLP, OpenTelemetry's protocol.
//!
//! The mapping is that of protobuf, with the protocol's own rules: ids are hexadecimal digits,
//! numbers of 64 bits are strings, enumerations are numbers, and fields with their default are left
//! out. <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use crate::base::money::NanoUsd;
use crate::base::trace::{SpanId, TraceId};
use crate::wire::json;
use crate::wire::trace_context::Flags;

/// A span.
pub struct Span<'a> {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The list of `tracestate`.
    pub state: &'a str,
    /// The span that it is part of.
    pub parent: Option<Parent>,
    /// What is known of the trace.
    pub flags: Flags,
    /// Its name, in pieces.
    pub name: [&'a str; 3],
    /// On which side of a call it stands.
    pub kind: Kind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ended, likewise.
    pub end: u64,
    /// The error that it ended with.
    pub error: Option<&'a str>,
    /// The caller's span, in another trace.
    pub link: Option<Link<'a>>,
    /// What happened on the way: its time in nanoseconds since the Unix epoch, and its name.
    pub event: Option<(u64, &'a str)>,
}

/// The span that another one is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: SpanId,
    /// Whether it is another process's.
    pub is_remote: bool,
}

/// A span of another trace, another process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The list of `tracestate` there.
    pub state: &'a str,
    /// What is known of that trace.
    pub flags: Flags,
}

/// On which side of a call a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

/// Writes the attributes of a span, or of the process.
pub struct Attributes<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

/// Appends `span` as JSON; `attributes` writes what is told of it.
pub fn span(out: &mut Vec<u8>, span: &Span<'_>, attributes: impl FnOnce(&mut Attributes<'_>)) {
    out.extend_from_slice(b"{\"traceId\":\"");
    out.extend_from_slice(&span.trace.text());
    out.extend_from_slice(b"\",\"spanId\":\"");
    out.extend_from_slice(&span.id.text());
    out.push(b'"');
    state(out, span.state);
    if let Some(parent) = span.parent {
        out.extend_from_slice(b",\"parentSpanId\":\"");
        out.extend_from_slice(&parent.id.text());
        out.push(b'"');
    }
    let is_remote = span.parent.is_some_and(|parent| parent.is_remote);
    flags(out, span.flags, is_remote);
    out.extend_from_slice(b",\"name\":");
    json::write_string(&span.name.concat(), out);
    out.extend_from_slice(b",\"kind\":");
    out.push(match span.kind {
        Kind::Server => b'2',
        Kind::Client => b'3',
    });
    time(out, b"startTimeUnixNano", span.start);
    time(out, b"endTimeUnixNano", span.end.max(span.start));
    out.extend_from_slice(b",\"attributes\":[");
    attributes(&mut Attributes::new(out));
    out.push(b']');
    if let Some((at, name)) = span.event {
        out.extend_from_slice(b",\"events\":[{\"name\":");
        json::write_string(name, out);
        time(out, b"timeUnixNano", at);
        out.extend_from_slice(b"}]");
    }
    if let Some(to) = &span.link {
        link(out, to);
    }
    if let Some(error) = span.error {
        out.extend_from_slice(b",\"status\":{\"message\":");
        json::write_string(error, out);
        out.extend_from_slice(b",\"code\":2}");
    }
    out.push(b'}');
}

fn link(out: &mut Vec<u8>, to: &Link<'_>) {
    out.extend_from_slice(b",\"links\":[{\"traceId\":\"");
    out.extend_from_slice(&to.trace.text());
    out.extend_from_slice(b"\",\"spanId\":\"");
    out.extend_from_slice(&to.id.text());
    out.push(b'"');
    state(out, to.state);
    flags(out, to.flags, true);
    out.extend_from_slice(b"}]");
}

fn state(out: &mut Vec<u8>, state: &str) {
    if !state.is_empty() {
        out.extend_from_slice(b",\"traceState\":");
        json::write_string(state, out);
    }
}

/// The flags of the trace, and whether the parent is remote, which is known of every span.
fn flags(out: &mut Vec<u8>, flags: Flags, is_remote: bool) {
    const IS_KNOWN: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    let remote = if is_remote { IS_REMOTE } else { 0 };
    out.extend_from_slice(b",\"flags\":");
    number(out, u64::from(u32::from(flags.bits()) | IS_KNOWN | remote));
}

fn time(out: &mut Vec<u8>, name: &[u8], nanos: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":\"");
    number(out, nanos);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

impl<'o> Attributes<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: true,
        }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"key\":");
        json::write_string(key, self.out);
        self.out.extend_from_slice(b",\"value\":{\"");
    }

    /// A text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(b"stringValue\":");
        json::write_string(value, self.out);
        self.out.extend_from_slice(b"}}");
    }

    /// A text, where there is one.
    pub fn text_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A whole number.
    pub fn whole(&mut self, key: &str, value: impl Into<u64>) {
        self.key(key);
        self.out.extend_from_slice(b"intValue\":\"");
        // The field is signed.
        number(self.out, value.into().min(i64::MAX.unsigned_abs()));
        self.out.extend_from_slice(b"\"}}");
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(b"boolValue\":");
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.out.extend_from_slice(word);
        self.out.extend_from_slice(b"}}");
    }

    /// Dollars, in all their places.
    pub fn dollars(&mut self, key: &str, value: NanoUsd) {
        self.key(key);
        self.out.extend_from_slice(b"doubleValue\":");
        value.write(self.out);
        self.out.extend_from_slice(b"}}");
    }
}

/// What stands before the spans of a request to a collector: `resource` is told of the process, by
/// name.
#[must_use]
pub fn begin(resource: &[(Box<str>, Box<str>)]) -> Vec<u8> {
    let mut out = Vec::from(b"{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    let mut attributes = Attributes::new(&mut out);
    for (key, value) in resource {
        attributes.text(key, value);
    }
    out.extend_from_slice(b"]},\"scopeSpans\":[{\"scope\":{\"name\":\"infermux\",\"version\":\"");
    out.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
    out.extend_from_slice(b"\"},\"spans\":[");
    out
}

/// What stands behind them.
pub const END: &[u8] = b"]}]}]}";

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
