//! Tests of reading and editing requests.

use proptest::prelude::*;

use super::*;
use crate::wire::json::respelt::respelt;

const INJECT: RequestEdits<'_> = RequestEdits {
    model: None,
    inject_usage: true,
    copy_max_tokens: false,
};
const COPY: RequestEdits<'_> = RequestEdits {
    model: None,
    inject_usage: false,
    copy_max_tokens: true,
};

/// The body after `edits`; `Splice`'s ways of writing it are compared.
fn edited(body: &str, edits: &RequestEdits<'_>) -> String {
    let ask = read_ask(Dialect::Chat, body.as_bytes()).unwrap();
    let mut out = Vec::new();
    let splice = edit_request(body.as_bytes(), &ask, edits);
    splice.write(&mut out);
    assert_eq!(splice.len(), out.len());
    let pieces: Vec<_> = splice.pieces().collect();
    assert_eq!(pieces.concat(), out);
    serde_json::from_slice::<serde_json::Value>(&out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn reads_what_the_router_must_know() {
    let body = br#" {"messages":[{"role":"user","content":"hi"}],"model":"a\/b","stream":true,
        "stream_options":{"include_obfuscation":false,"include_usage":true},"max_tokens":7,
        "max_completion_tokens":8,"n":3,"user":"u","unknown":[{"model":1}]} "#;
    let ask = read_ask(Dialect::Chat, body).unwrap();
    assert_eq!(ask.model, "a/b");
    assert_eq!(&body[ask.model_span.clone()], br#""a\/b""#);
    assert!(ask.stream && ask.include_usage && !ask.lacks_usage());
    assert_eq!(
        (ask.max_tokens, ask.max_completion_tokens, ask.n),
        (Some(7), Some(8), 3)
    );
    assert_eq!(ask.user.as_deref(), Some("u"));
    assert_eq!(
        ask.prompt_bytes,
        r#"[{"role":"user","content":"hi"}]"#.len()
    );
    let options = r#"{"include_obfuscation":false,"include_usage":true}"#;
    assert_eq!(
        &body[ask.stream_options.clone().unwrap()],
        options.as_bytes()
    );
}

#[test]
fn reads_what_the_router_must_know_of_a_request_for_a_response() {
    let body = br#"{"model":"m","instructions":"abc","input":[{"role":"user","content":"hi"}],
        "tools":[{"type":"web_search"}],"stream":true,"max_output_tokens":9,"max_tokens":1,
        "stream_options":{"include_obfuscation":false,"Include_usage":7},"n":"x","messages":4,
        "max_completion_tokens":2,"prompt":{"id":"pmpt_1"},"user":"u","safety_identifier":"s"}"#;
    let ask = read_ask(Dialect::Responses, body).unwrap();
    assert!(ask.stream && !ask.include_usage && ask.stream_options.is_none());
    assert_eq!((ask.max_tokens, ask.n), (Some(9), 1));
    assert_eq!(ask.max_completion_tokens, None);
    assert_eq!(ask.user.as_deref(), Some("s"));
    let input = r#"[{"role":"user","content":"hi"}]"#;
    let prompt = ["\"abc\"", input, r#"[{"type":"web_search"}]"#].concat();
    assert_eq!(ask.prompt_bytes, prompt.len());
    assert_eq!(ask.expected(Tokens::new(50)).output, Tokens::new(9));
    let edits = RequestEdits {
        model: Some(b"\"there\""),
        ..COPY
    };
    let splice = edit_request(body, &ask, &edits);
    let pieces: Vec<_> = splice.pieces().collect();
    let text = std::str::from_utf8(body).unwrap();
    let expected = text.replace("\"m\"", "\"there\"");
    assert_eq!(String::from_utf8(pieces.concat()).unwrap(), expected);
}

#[test]
fn a_response_may_be_asked_for_without_input() {
    for (rest, user) in [
        (r#""previous_response_id":"resp_1""#, None),
        (r#""safety_identifier":null,"user":"u""#, Some("u")),
        (r#""conversation":{"id":"conv_1"},"input":null"#, None),
    ] {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        let ask = read_ask(Dialect::Responses, body.as_bytes()).unwrap();
        assert_eq!(ask.user.as_deref(), user, "{body}");
    }
    for (body, fault) in [
        (r#"{"input":"x"}"#, AskFault::NoModel),
        (
            r#"{"model":"m","input":1,"input":2}"#,
            AskFault::Twice("input"),
        ),
        (
            r#"{"model":"m","Max_output_tokens":1}"#,
            AskFault::OtherCase("max_output_tokens"),
        ),
        (r#"{"model":"m","stream":1}"#, AskFault::StreamNotABoolean),
    ] {
        assert_eq!(read_ask(Dialect::Responses, body.as_bytes()), Err(fault));
    }
}

#[test]
fn absent_and_null_are_the_same() {
    for body in [
        r#"{"model":"m"}"#,
        concat!(
            r#"{"model":"m","stream":null,"stream_options":null,"#,
            r#""max_tokens":null,"n":null,"user":null}"#,
        ),
        r#"{"model":"m","max_tokens":-1,"max_completion_tokens":1.5,"n":"2","user":7}"#,
    ] {
        let ask = read_ask(Dialect::Chat, body.as_bytes()).unwrap();
        assert!(!ask.stream && !ask.include_usage && !ask.lacks_usage());
        assert_eq!(
            (ask.max_tokens, ask.max_completion_tokens, ask.n),
            (None, None, 1)
        );
        assert_eq!(ask.user, None);
    }
}

#[test]
fn no_spelling_turns_metering_off() {
    for options in [
        r#"{"include\u005fusage":false}"#,
        r#"{"\u0069nclude_usag\u0065":false,"x":1}"#,
    ] {
        let body = format!(r#"{{"model":"m","stream":true,"stream_options":{options}}}"#);
        let sent: serde_json::Value = serde_json::from_str(&edited(&body, &INJECT)).unwrap();
        assert_eq!(sent["stream_options"]["include_usage"], true, "{body}");
    }
    for options in [
        r#"{"include_usage":true,"include\u005fusage":false}"#,
        r#"{"include\u005fusage":false,"include_usage":true}"#,
    ] {
        let body = format!(r#"{{"model":"m","stream":true,"stream_options":{options}}}"#);
        let fault = read_ask(Dialect::Chat, body.as_bytes()).unwrap_err();
        assert_eq!(fault, AskFault::Twice("stream_options.include_usage"));
    }
}

#[test]
fn a_name_that_some_readers_take_for_another_is_refused() {
    for (member, name) in [
        (r#""Model":"dear""#, "model"),
        (r#""Stream":true"#, "stream"),
        (
            r#""\u017ftream_Option\u017f":{"include_usage":false}"#,
            "stream_options",
        ),
        (
            r#""stream_options":{"Include_Usage":false}"#,
            "stream_options.include_usage",
        ),
    ] {
        let body = format!(r#"{{"model":"m",{member}}}"#);
        let fault = read_ask(Dialect::Chat, body.as_bytes()).unwrap_err();
        assert_eq!(fault, AskFault::OtherCase(name), "{body}");
    }
    assert!(
        read_ask(
            Dialect::Chat,
            br#"{"model":"m","topK":1,"Seed":2,"stream_options":{"X":1}}"#
        )
        .is_ok()
    );
}

#[test]
fn a_key_written_with_escapes_is_the_same_key() {
    assert_eq!(
        read_ask(Dialect::Chat, br#"{"mod\u0065l":"m"}"#)
            .unwrap()
            .model,
        "m"
    );
    let twice = read_ask(Dialect::Chat, br#"{"model":"a","mod\u0065l":"b"}"#);
    assert_eq!(twice, Err(AskFault::Twice("model")));
}

#[test]
fn says_what_is_wrong_with_a_body() {
    let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(MODEL_NAME_BYTES_MAX + 1));
    for (body, fault) in [
        ("", AskFault::Incomplete),
        ("{\"model\":\"m\"", AskFault::Incomplete),
        ("x", AskFault::NotJson { line: 1, column: 1 }),
        (
            "{\"model\":\"m\",}",
            AskFault::NotJson {
                line: 1,
                column: 14,
            },
        ),
        (
            "{\"model\":\"m\"} x",
            AskFault::NotJson {
                line: 1,
                column: 15,
            },
        ),
        (
            "{\"model\":\"m\",\"a\":[1,]}",
            AskFault::NotJson {
                line: 1,
                column: 21,
            },
        ),
        (
            "{\"model\":\"m\",\n\"a\":\"\\x\"}",
            AskFault::NotJson { line: 2, column: 7 },
        ),
        ("[]", AskFault::NotAnObject),
        ("\"model\"", AskFault::NotAnObject),
        ("null", AskFault::NotAnObject),
        ("{}", AskFault::NoModel),
        (r#"{"model":null}"#, AskFault::ModelNotAString),
        (r#"{"model":["m"]}"#, AskFault::ModelNotAString),
        (r#"{"model":""}"#, AskFault::ModelEmpty),
        (&long, AskFault::ModelTooLong),
        (r#"{"model":"m\r\nx: y"}"#, AskFault::ModelHasControl),
        (r#"{"model":"."}"#, AskFault::ModelIsDots),
        (r#"{"model":"\u002e."}"#, AskFault::ModelIsDots),
        (r#"{"model":"m","model":"m"}"#, AskFault::Twice("model")),
        (
            r#"{"model":"m","stream":true,"stream":false}"#,
            AskFault::Twice("stream"),
        ),
        (
            r#"{"model":"m","stream_options":{},"stream_options":{}}"#,
            AskFault::Twice("stream_options"),
        ),
        (
            r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}"#,
            AskFault::Twice("stream_options.include_usage"),
        ),
        (r#"{"model":"m","stream":1}"#, AskFault::StreamNotABoolean),
        (
            r#"{"model":"m","stream":"true"}"#,
            AskFault::StreamNotABoolean,
        ),
        (
            r#"{"model":"m","stream_options":[]}"#,
            AskFault::StreamOptionsNotAnObject,
        ),
        (
            r#"{"model":"m","stream_options":{"include_usage":1}}"#,
            AskFault::IncludeUsageNotABoolean,
        ),
    ] {
        assert_eq!(
            read_ask(Dialect::Chat, body.as_bytes()),
            Err(fault),
            "{body}"
        );
    }
    let body = b"{\"model\":\"m\",\"a\":\"\xFF\"}";
    assert_eq!(
        read_ask(Dialect::Chat, body),
        Err(AskFault::NotUtf8 { at: 18 })
    );
    assert_eq!(
        AskFault::Twice("model").to_string(),
        "`model` is given twice"
    );
}

#[test]
fn deep_nesting_does_not_recurse() {
    for opening in ["[", "{\"a\":"] {
        let deep = opening.repeat(1 << 20);
        assert!(read_ask(Dialect::Chat, deep.as_bytes()).is_err());
        assert!(
            read_ask(
                Dialect::Chat,
                format!("{{\"model\":\"m\",\"a\":{deep}").as_bytes()
            )
            .is_err()
        );
        assert!(read_ask(Dialect::Chat, format!("{{\"model\":{deep}").as_bytes()).is_err());
    }
    let closed = format!(
        "{{\"model\":\"m\",\"a\":{}{}}}",
        "[".repeat(1 << 20),
        "]".repeat(1 << 20)
    );
    assert_eq!(
        read_ask(Dialect::Chat, closed.as_bytes()).unwrap().model,
        "m"
    );
}

#[test]
fn messages_are_read_by_their_own_keys() {
    let body = concat!(
        r#"{"system":[{"text":"be brief"}],"model":"claude-x","max_tokens":9,"stream":true,"#,
        r#""messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f"}],"n":3,"user":"u","#,
        r#""stream_options":7,"prompt":"x","input":"y","N":1,"thinking":{"type":"adaptive"}}"#,
    );
    let ask = read_ask(Dialect::Messages, body.as_bytes()).unwrap();
    assert_eq!((&*ask.model, ask.stream), ("claude-x", true));
    assert_eq!(&body[ask.model_span.clone()], "\"claude-x\"");
    assert_eq!((ask.max_tokens, ask.max_completion_tokens), (Some(9), None));
    assert_eq!((ask.n, &ask.user, ask.include_usage), (1, &None, false));
    let read = r#"[{"text":"be brief"}][{"role":"user","content":"hi"}][{"name":"f"}]"#;
    assert_eq!(ask.prompt_bytes, read.len());
    // In chat, the same names mean nothing to the router.
    let body = br#"{"model":"m","system":1,"system":2,"Tools":[],"messages":null}"#;
    assert_eq!(read_ask(Dialect::Chat, body).unwrap().prompt_bytes, 4);
}

#[test]
fn says_what_is_wrong_with_a_body_of_messages() {
    for (members, fault) in [
        (r#""x":1"#, AskFault::NoMessages),
        (r#""messages":null"#, AskFault::MessagesNotAList),
        (r#""messages":"hi""#, AskFault::MessagesNotAList),
        (r#""messages":{"role":"user"}"#, AskFault::MessagesNotAList),
        (r#""messages":[]"#, AskFault::MessagesEmpty),
        ("\"messages\": [ \n ] ", AskFault::MessagesEmpty),
        (
            r#""messages":[1],"m\u0065ssages":[2]"#,
            AskFault::Twice("messages"),
        ),
        (
            r#""messages":[1],"system":"a","system":"b""#,
            AskFault::Twice("system"),
        ),
        (r#""messages":[1],"Tools":[]"#, AskFault::OtherCase("tools")),
        (
            r#""messages":[1],"stream":"yes""#,
            AskFault::StreamNotABoolean,
        ),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let read = read_ask(Dialect::Messages, body.as_bytes());
        assert_eq!(read, Err(fault), "{body}");
    }
    for (body, fault) in [
        (r#"{"messages":[1]}"#, AskFault::NoModel),
        (r#"{"model":7,"messages":[1]}"#, AskFault::ModelNotAString),
        (r#"[]"#, AskFault::NotAnObject),
        (r#"{"model":"m","messages":[1]"#, AskFault::Incomplete),
    ] {
        assert_eq!(read_ask(Dialect::Messages, body.as_bytes()), Err(fault));
    }
}

#[test]
fn a_picture_in_messages_counts_for_little_and_a_text_for_what_it_is() {
    let bytes = |data: &str, between: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"content":{{"source":{{"data"{between}"{data}"}}}}}}]}}"#
        );
        let ask = read_ask(Dialect::Messages, body.as_bytes()).unwrap();
        ask.prompt_bytes - 100.min(ask.prompt_bytes)
    };
    let (large, limit) = ("A".repeat(1 << 20), attachment_bytes(Dialect::Messages));
    assert!(bytes(&large, ":") < limit);
    assert!(bytes(&large, " \n: ") < limit);
    assert!(bytes("A", ":") < limit);
    assert!(bytes(&"ab\\n".repeat(1 << 18), ":") < limit);
    assert!(bytes(&"some words ".repeat(1 << 18), ":") > 1 << 20);
    assert!(bytes(&"é".repeat(1 << 20), ":") > 1 << 20);
    // Nobody writes it so, and it is not looked for so far.
    assert!(bytes(&large, &format!("{:99}:", "")) > 1 << 20);
}

#[test]
fn an_attachment_counts_for_little() {
    let picture = "A".repeat(1 << 20);
    let body = format!(
        r#"{{"model":"m","messages":[{{"image_url":{{"url":"data:image/png;base64,{picture}"}}}},
            {{"image_url":{{"url":"data:image/png;base64,AAAA"}}}}]}}"#
    );
    let bytes = read_ask(Dialect::Chat, body.as_bytes())
        .unwrap()
        .prompt_bytes;
    assert!((4_096..4_396).contains(&bytes), "{bytes}");
}

#[test]
fn without_an_edit_the_body_is_the_callers() {
    for body in [
        r#"{"model":"m"}"#,
        r#" {"stream" : false, "model" : "m", "stream_options":{}, "x":1E+30} "#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    ] {
        assert_eq!(edited(body, &INJECT), body);
        assert_eq!(edited(body, &COPY), body);
        assert_eq!(
            edited(
                body,
                &RequestEdits {
                    model: Some(b"\"m\""),
                    ..COPY
                }
            ),
            body
        );
    }
}

#[test]
fn the_model_alone_is_replaced() {
    let edits = RequestEdits {
        model: Some(b"\"gpt-4o-2024\""),
        ..RequestEdits::default()
    };
    assert_eq!(
        edited(r#"{"a":"gpt", "model" : "gpt" ,"b":[1.0]}"#, &edits),
        r#"{"a":"gpt", "model" : "gpt-4o-2024" ,"b":[1.0]}"#
    );
}

#[test]
fn usage_is_asked_for_in_streams_that_lack_it() {
    for (body, expected) in [
        (
            r#" { "model":"m","stream":true}"#,
            r#" {"stream_options":{"include_usage":true}, "model":"m","stream":true}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":null}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":{ }}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false},"model":"m","stream":true}"#,
            concat!(
                r#"{"stream_options":{"include_usage":true,"#,
                r#""include_obfuscation":false},"model":"m","stream":true}"#,
            ),
        ),
        (
            r#"{"stream_options":{"include_usage": false, "x":1},"model":"m","stream":true}"#,
            r#"{"stream_options":{"include_usage": true, "x":1},"model":"m","stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null},"model":"m","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        ),
    ] {
        assert_eq!(edited(body, &INJECT), expected);
        assert_eq!(edited(body, &RequestEdits::default()), body);
    }
}

#[test]
fn max_completion_tokens_is_copied_where_max_tokens_is_missing() {
    for (body, expected) in [
        (
            r#"{"model":"m","max_completion_tokens":9}"#,
            r#"{"max_tokens":9,"model":"m","max_completion_tokens":9}"#,
        ),
        (
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":9}"#,
            r#"{"model":"m","max_tokens":9,"max_completion_tokens":9}"#,
        ),
        (
            r#"{"model":"m","max_tokens":5,"max_completion_tokens":9}"#,
            r#"{"model":"m","max_tokens":5,"max_completion_tokens":9}"#,
        ),
        (
            r#"{"model":"m","max_completion_tokens":null}"#,
            r#"{"model":"m","max_completion_tokens":null}"#,
        ),
    ] {
        assert_eq!(edited(body, &COPY), expected);
    }
}

#[test]
fn all_edits_go_together() {
    let edits = RequestEdits {
        model: Some(b"\"b\""),
        inject_usage: true,
        copy_max_tokens: true,
    };
    assert_eq!(
        edited(
            r#"{"max_completion_tokens":9,"stream":true,"model":"a"}"#,
            &edits
        ),
        concat!(
            r#"{"stream_options":{"include_usage":true},"max_tokens":9,"#,
            r#""max_completion_tokens":9,"stream":true,"model":"b"}"#,
        )
    );
}

proptest! {
    #[test]
    fn edits_change_what_they_name_and_nothing_else(
        model in "\\PC{1,40}".prop_filter("dots", |model| !matches!(&**model, "." | "..")),
        stream in prop_oneof![Just("null"), Just("true"), Just("false")],
        options in prop_oneof![
            Just("null"), Just("{}"), Just(r#"{"x":[{}]}"#), Just(r#"{"include_usage":false}"#),
            Just(r#"{"x":1, "include_usage": true }"#),
        ],
        order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let name = String::from_utf8(json::quoted(&model)).unwrap();
        let members = [
            format!(r#""model":{name}"#),
            format!(r#""stream": {stream}"#),
            format!(r#""stream_options" :{options}"#),
            r#""max_completion_tokens":3"#.to_owned(),
            r#""messages":[{"content":"\"model\":\"x\""}]"#.to_owned(),
        ];
        let members: Vec<&str> = order.iter().map(|at: &usize| members[*at].as_str()).collect();
        let body = format!("{{{}}}", members.join(" ,"));
        let ask = read_ask(Dialect::Chat, body.as_bytes()).unwrap();
        prop_assert_eq!(ask.model.as_ref(), model.as_str());
        let edits =
            RequestEdits { model: Some(b"\"new\""), inject_usage: true, copy_max_tokens: true };
        let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
        expected["model"] = "new".into();
        expected["max_tokens"] = 3.into();
        if stream == "true" {
            if expected["stream_options"].is_null() {
                expected["stream_options"] = serde_json::json!({});
            }
            expected["stream_options"]["include_usage"] = true.into();
        }
        let found: serde_json::Value = serde_json::from_str(&edited(&body, &edits)).unwrap();
        prop_assert_eq!(found, expected);
    }

    /// A request is read alike however it is spelled, and has the same meaning upstream.
    #[test]
    fn no_spelling_makes_a_difference(
        model in "m[ -~é\u{1f600}]{1,20}",
        rest in prop_oneof![
            Just(r#""stream":true,"stream_options":{"include_usage":false}"#),
            Just(r#""stream":true,"stream_options":{"include_usage":true,"x":[]}"#),
            Just(r#""stream":true,"stream_options":{"x":"include_usage"}"#),
            Just(r#""stream":true,"max_completion_tokens":5,"n":2,"user":"u\/\"v""#),
            Just(r#""max_tokens":7,"max_completion_tokens":5,"input":["a"],"prompt":"b""#),
        ],
        seed: u64,
    ) {
        let name = String::from_utf8(json::quoted(&model)).unwrap();
        let plain = format!(r#"{{"model":{name},{rest},"messages":[{{"role":"user"}}]}}"#);
        let other = respelt(&plain, seed);
        let asked = |body: &str| read_ask(Dialect::Chat, body.as_bytes()).map(Ask::into_owned);
        let (one, two) = (asked(&plain).unwrap(), asked(&other).unwrap());
        let read = |ask: &Ask<'_>| {
            let counts = (ask.max_tokens, ask.max_completion_tokens, ask.n);
            let user = ask.user.as_deref().map(str::to_owned);
            (ask.model.to_string(), ask.stream, ask.include_usage, counts, user)
        };
        prop_assert_eq!(read(&one), read(&two));
        let edits = RequestEdits { model: None, inject_usage: true, copy_max_tokens: true };
        let said = |body: &str| -> serde_json::Value {
            serde_json::from_str(&edited(body, &edits)).unwrap()
        };
        prop_assert_eq!(said(&plain), said(&other));
        if one.stream {
            prop_assert_eq!(&said(&other)["stream_options"]["include_usage"], true);
        }
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            r#"(\{|\}|"model"|:|"m"|,|"stream_options"|true|null|\[|\]| |"){0,24}"#
                .prop_map(String::into_bytes),
        ]
    ) {
        if let Ok(ask) = read_ask(Dialect::Chat, &body) {
            let mut out = Vec::new();
            edit_request(&body, &ask, &INJECT).write(&mut out);
            edit_request(&body, &ask, &COPY).write(&mut out);
        }
    }
}
