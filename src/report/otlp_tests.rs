//! Spans as JSON.

use super::*;

fn one() -> Span<'static> {
    Span {
        trace: TraceId::fresh([0x5b8e_fff7_9803_8103, 0xd269_b633_813f_c60c]),
        id: SpanId::fresh(0xeee1_9b7e_c3c1_b174),
        state: "",
        parent: None,
        flags: Flags::of_random(true),
        name: ["chat", " ", "gpt-4o"],
        kind: Kind::Server,
        start: 1_544_712_660_000_000_000,
        end: 1_544_712_661_000_000_000,
        error: None,
        link: None,
        event: None,
    }
}

fn written(one: &Span<'_>, attributes: impl FnOnce(&mut Attributes<'_>)) -> String {
    let mut out = Vec::new();
    span(&mut out, one, attributes);
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    text
}

#[test]
fn a_span_has_what_it_needs_and_nothing_else() {
    assert_eq!(
        written(&one(), |_| {}),
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":259,"#
            .to_owned()
            + r#""name":"chat gpt-4o","kind":2,"startTimeUnixNano":"1544712660000000000","#
            + r#""endTimeUnixNano":"1544712661000000000","attributes":[]}"#
    );
}

#[test]
fn everything_that_a_span_can_have_is_written() {
    let span = Span {
        state: "a=1,b=2",
        parent: Some(Parent {
            id: SpanId::fresh(0xab),
            is_remote: true,
        }),
        kind: Kind::Client,
        // A clock that was set back makes no span that ends before it begins.
        end: 5,
        error: Some("provider_\"error\""),
        link: Some(Link {
            trace: TraceId::fresh([1, 2]),
            id: SpanId::fresh(3),
            state: "c=3",
            flags: Flags::default().sampled(true),
        }),
        event: Some((7, "first content")),
        ..one()
    };
    let text = written(&span, |attributes| {
        attributes.text("t", "a\"b\n\u{7f}\u{2028}");
        attributes.text_if("none", None);
        attributes.whole("n", u64::MAX);
        attributes.flag("f", true);
        attributes.dollars("d", NanoUsd::new(1_500_000));
    });
    let expected = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","#
        .to_owned()
        + r#""traceState":"a=1,b=2","parentSpanId":"00000000000000ab","flags":771,"#
        + r#""name":"chat gpt-4o","kind":3,"startTimeUnixNano":"1544712660000000000","#
        + r#""endTimeUnixNano":"1544712660000000000","attributes":["#
        + "{\"key\":\"t\",\"value\":{\"stringValue\":\"a\\\"b\\n\u{7f}\u{2028}\"}},"
        + r#"{"key":"n","value":{"intValue":"9223372036854775807"}},"#
        + r#"{"key":"f","value":{"boolValue":true}},{"key":"d","value":{"doubleValue":0.0015}}],"#
        + r#""events":[{"name":"first content","timeUnixNano":"7"}],"#
        + r#""links":[{"traceId":"00000000000000010000000000000002","spanId":"0000000000000003","#
        + r#""traceState":"c=3","flags":769}],"#
        + r#""status":{"message":"provider_\"error\"","code":2}}"#;
    assert_eq!(text, expected);
}

#[test]
fn a_request_has_the_process_and_the_spans() {
    let resource: Vec<(Box<str>, Box<str>)> = vec![("service.name".into(), "in\"x".into())];
    let mut out = begin(&resource);
    out.extend_from_slice(b"{}");
    out.extend_from_slice(END);
    let expected = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"#
        .to_owned()
        + r#""stringValue":"in\"x"}}]},"scopeSpans":[{"scope":{"name":"infermux","version":""#
        + env!("CARGO_PKG_VERSION") + r#""},"spans":[{}]}]}]}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
