//! Begins or continues the trace that a request belongs to.

use crate::base::random::Random;
use crate::base::trace::{SpanId, TraceId};
use crate::config::telemetry::{Otlp, Parent};
use crate::link::trace::{Calling, Trace};
use crate::wire::known::{Known, Names};
use crate::wire::trace_context::{self, Context, Flags};

/// The trace of a request whose head has these values of `traceparent` and of `tracestate`. A
/// context that does not follow the recommendation is as if it were not there.
#[must_use]
pub fn begin<'b>(
    parents: impl Iterator<Item = &'b [u8]>,
    states: impl Iterator<Item = &'b [u8]>,
    otlp: &Otlp,
    random: &mut Random,
) -> Trace {
    let context = trace_context::read(parents, states);
    let span = SpanId::fresh(random.next_u64());
    match (context, otlp.parent) {
        (Some(context), Parent::Child) => continued(context, span, otlp),
        (Some(context), Parent::Link) => Trace {
            caller: Calling::Linked(context),
            ..begun(span, otlp, random)
        },
        (None, Parent::Child | Parent::Link) => begun(span, otlp, random),
    }
}

fn continued(context: Context, span: SpanId, otlp: &Otlp) -> Trace {
    let is_told = otlp
        .sampler
        .tells(context.trace, Some(context.flags.is_sampled()));
    Trace {
        id: context.trace,
        span,
        flags: context.flags.sampled(is_told),
        state: context.state,
        caller: Calling::Part(context.span),
    }
}

fn begun(span: SpanId, otlp: &Otlp, random: &mut Random) -> Trace {
    let id = TraceId::fresh([random.next_u64(), random.next_u64()]);
    Trace {
        id,
        span,
        flags: Flags::of_random(otlp.sampler.tells(id, None)),
        state: Box::default(),
        caller: Calling::Untold,
    }
}

/// Appends the headers that tell a provider its place in the trace: that it is called from `span`.
/// Those that the file sets for it stay as they are, as `is_set` says of a name.
pub fn write((trace, span): (&Trace, SpanId), is_set: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    if !is_set(b"traceparent") {
        out.extend_from_slice(b"traceparent: ");
        trace_context::write_parent(trace.id, span, trace.flags, out);
        out.extend_from_slice(b"\r\n");
    }
    if !trace.state.is_empty() && !is_set(b"tracestate") {
        out.extend_from_slice(b"tracestate: ");
        out.extend_from_slice(trace.state.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// These headers.
pub const HEADERS: Names = Names::of(&[Known::Traceparent, Known::Tracestate]);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decide::sampling::{Sampler, WHOLE};
    use crate::wire::head::{Arrival, Head};

    const TRACE: &str = "12345678901234567890123456789012";
    const SPAN: &str = "1234567890123456";

    fn otlp(share: u32, parent: Parent) -> Otlp {
        Otlp {
            endpoint: crate::config::url::parse("http://h").unwrap(),
            proxy: None,
            headers: Box::default(),
            sampler: Sampler::ratio(share).by_parent(),
            parent,
            gzip: false,
            timeout: Duration::ZERO,
            resource: Box::default(),
        }
    }

    fn trace(fields: &str, otlp: &Otlp) -> Trace {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = Head::default();
        assert_eq!(head.parse_request(text.as_bytes(), 0), Ok(Arrival::Whole));
        let values = |known| head.values_of(text.as_bytes(), known);
        let (parents, states) = (values(Known::Traceparent), values(Known::Tracestate));
        begin(parents, states, otlp, &mut Random::new(1))
    }

    fn parent(flags: &str) -> String {
        format!("TraceParent: 00-{TRACE}-{SPAN}-{flags}\r\nTracestate: a=1\r\ntracestate: b=2\r\n")
    }

    #[test]
    fn a_callers_trace_goes_on() {
        for flags in [0, 1] {
            let found = trace(&parent(&format!("0{flags}")), &otlp(WHOLE, Parent::Child));
            assert_eq!(&found.id.text(), TRACE.as_bytes());
            assert_eq!(&*found.state, "a=1,b=2");
            assert_eq!((found.is_told(), found.flags.bits()), (flags == 1, flags));
            let Calling::Part(caller) = found.caller else {
                panic!("{found:?}");
            };
            assert_eq!(&caller.text(), SPAN.as_bytes());
            assert_ne!(found.span, caller);
        }
    }

    #[test]
    fn or_another_one_begins_that_refers_to_it() {
        let found = trace(&parent("00"), &otlp(WHOLE, Parent::Link));
        assert_ne!(&found.id.text(), TRACE.as_bytes());
        // Its own decision does not go by the caller's.
        assert!(found.is_told() && found.state.is_empty());
        let Calling::Linked(context) = found.caller else {
            panic!("{found:?}");
        };
        assert_eq!(&context.trace.text(), TRACE.as_bytes());
        assert_eq!((&*context.state, context.flags.bits()), ("a=1,b=2", 0));
    }

    #[test]
    fn a_provider_is_told_the_attempts_span() {
        let found = trace(&parent("01"), &otlp(WHOLE, Parent::Child));
        for (set, expected) in [
            (
                "",
                format!("traceparent: 00-{TRACE}-00000000000000ab-01\r\ntracestate: a=1,b=2\r\n"),
            ),
            ("traceparent", "tracestate: a=1,b=2\r\n".to_owned()),
            (
                "tracestate",
                format!("traceparent: 00-{TRACE}-00000000000000ab-01\r\n"),
            ),
        ] {
            let mut out = Vec::new();
            let is_set = |name: &[u8]| name == set.as_bytes();
            write((&found, SpanId::fresh(0xab)), is_set, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_context_a_trace_begins() {
        let twice = format!("{}{}", parent("01"), parent("01"));
        for fields in [
            "",
            "traceparent: x\r\ntracestate: a=1\r\n",
            "tracestate: a=1\r\n",
            &twice,
        ] {
            for (share, is_told) in [(WHOLE, true), (0, false)] {
                for way in [Parent::Child, Parent::Link] {
                    let found = trace(fields, &otlp(share, way));
                    assert_eq!(
                        (found.is_told(), &found.caller),
                        (is_told, &Calling::Untold)
                    );
                    assert!(found.state.is_empty());
                }
            }
        }
    }
}
