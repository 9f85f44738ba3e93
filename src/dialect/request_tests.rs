//! Tests of the translation of requests.

use std::path::Path;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::base::limits::DROPPED_NAMES_MAX;
use crate::dialect::ask::read_ask;
use crate::dialect::responses::remembered::Nothing;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    openai_request: Box<RawValue>,
    upstream_model: String,
    anthropic_request: Option<serde_json::Value>,
    reject: Option<serde_json::Value>,
}

fn claude(model: &str, stream: Stream) -> Destination<'_> {
    Destination {
        dialect: Dialect::Messages,
        model,
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream,
    }
}

/// A request for a chat completion.
pub(super) fn chat(body: &[u8]) -> Received<'_> {
    Received {
        dialect: Dialect::Chat,
        body,
        remembered: &Nothing,
    }
}

fn translated(body: &str, model: &str) -> Result<String, Unsupported> {
    let mut out = b"before".to_vec();
    let stream = read_ask(Dialect::Chat, body.as_bytes()).unwrap().stream;
    let to = claude(model, if stream { Stream::Plain } else { Stream::No });
    let result = write(chat(body.as_bytes()), &to, &mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").unwrap();
    match result {
        Ok(_) => {
            serde_json::from_str::<&RawValue>(text).unwrap();
            Ok(text.to_owned())
        }
        Err(fault) => {
            assert_eq!(text, "", "a refused request leaves nothing behind");
            Err(fault)
        }
    }
}

/// `fields` are the request's members beside the model.
fn check_with(model: &str, fields: &str, expected: &str) {
    let body = format!(r#"{{"model":"m","max_tokens":9,{fields}}}"#);
    let expected = format!(r#"{{"model":"{model}","max_tokens":9,{expected}}}"#);
    let found = translated(&body, model).map_err(|fault| fault.to_string());
    assert_eq!(found.as_deref(), Ok(&*expected), "{fields}");
}

fn check(fields: &str, expected: &str) {
    check_with("claude-haiku-4-5", fields, expected);
}

/// Messages alone.
fn check_messages(messages: &str, expected: &str) {
    check(
        &format!(r#""messages":[{messages}]"#),
        &format!(r#""messages":[{expected}]"#),
    );
}

/// Members beside one message.
fn check_beside(model: &str, fields: &str, expected: &str) {
    let messages = r#""messages":[{"role":"user","content":"x"}]"#;
    check_with(
        model,
        &format!("{messages}{fields}"),
        &format!("{messages}{expected}"),
    );
}

fn check_refused(fields: &str, place: &str) {
    let body = format!(r#"{{"model":"m",{fields}}}"#);
    let fault = translated(&body, "claude-haiku-4-5").expect_err(fields);
    assert_eq!(fault.place, place, "{fields}: {fault}");
}

#[test]
fn the_vectors_hold() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/anthropic/request"
    );
    let mut count = 0;
    for entry in Path::new(folder).read_dir().unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let vector: Vector = serde_json::from_str(&text).unwrap();
        let found = translated(vector.openai_request.get(), &vector.upstream_model);
        match (vector.anthropic_request, vector.reject) {
            (Some(expected), None) => {
                let found = found.unwrap_or_else(|fault| panic!("{}: {fault}", vector.id));
                let found: serde_json::Value = serde_json::from_str(&found).unwrap();
                assert_eq!(found, expected, "{}", vector.id);
            }
            (None, Some(reject)) => {
                let message = found.expect_err(&vector.id).to_string();
                let names = reject["message_names"].as_str().unwrap();
                assert!(message.contains(names), "{}: {message}", vector.id);
            }
            (_, _) => panic!("{} expects one thing", vector.id),
        }
        count += 1;
    }
    assert_eq!(count, 117);
}

#[test]
fn strings_and_numbers_are_copied_as_they_are_written() {
    check_messages(
        r#"{"role":"user","content":"\u00e9 \/ é \ud83d\ude00"}"#,
        r#"{"role":"user","content":"\u00e9 \/ é \ud83d\ude00"}"#,
    );
    check_beside(
        "claude-haiku-4-5",
        r#","top_p":0.10,"top_k":40"#,
        r#","top_p":0.10,"top_k":40"#,
    );
    check(
        concat!(
            r#""messages":[{"role":"user","content":"x"},"#,
            r#"{"role":"assistant","tool_calls":[{"id":"a","function":"#,
            r#"{"name":"f","arguments":" {\"n\": 9007199254740993.10}"}}]}],"#,
            r#""tools":[{"function":{"name":"f","parameters":"#,
            r#"{"type":"object","properties":{"a":{"maximum":1e400}}}}}]"#,
        ),
        concat!(
            r#""messages":[{"role":"user","content":"x"},"#,
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","#,
            r#""input":{"n": 9007199254740993.10}}]}],"#,
            r#""tools":[{"name":"f","input_schema":"#,
            r#"{"type":"object","properties":{"a":{"maximum":1e400}}}}]"#,
        ),
    );
}

#[test]
fn escaped_names_are_names() {
    check_messages(
        r#"{"r\u006fle":"user","c\u006fntent":"x"}"#,
        r#"{"role":"user","content":"x"}"#,
    );
}

#[test]
fn files_and_pictures_in_every_form() {
    let part = |part: &str| format!(r#"{{"role":"user","content":[{part}]}}"#);
    let base64 = |kind: &str, media_type: &str| {
        part(&format!(
            concat!(
                r#"{{"type":"{}","source":{{"type":"base64","media_type":"{}","#,
                r#""data":"QUJD"}}}}"#
            ),
            kind, media_type
        ))
    };
    for (url, kind, media_type) in [
        (r"data:image\/png;base64,QUJD", "image", "image/png"),
        ("DATA:IMAGE/GIF;x=y;BASE64,QUJD", "image", "image/gif"),
        (
            "data:application/pdf;base64,QUJD",
            "document",
            "application/pdf",
        ),
    ] {
        let image = format!(r#"{{"type":"image_url","image_url":"{url}"}}"#);
        check_messages(&part(&image), &base64(kind, media_type));
    }
    check_messages(
        &part(r#"{"type":"file","file":{"file_data":"QUJD"}}"#),
        &base64("document", "application/pdf"),
    );
    check_messages(
        &part(r#"{"type":"file","file":{"file_data":"QUI=","filename":"a.TXT"}}"#),
        &part(concat!(
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","#,
            r#""data":"AB"},"title":"a.TXT"}"#,
        )),
    );
}

#[test]
fn a_message_carries_its_cache_marker_on_its_last_block() {
    check(
        concat!(
            r#""messages":[{"role":"user","content":"x"},"#,
            r#"{"role":"assistant","content":"y","cache_control":{"ttl":"5m"},"#,
            r#""tool_calls":[{"id":"a","function":{"name":"f","arguments":null}}]},"#,
            r#"{"role":"tool","tool_call_id":"a","content":[],"cache_control":{"ttl":"1h"}}]"#,
        ),
        concat!(
            r#""messages":[{"role":"user","content":"x"},"#,
            r#"{"role":"assistant","content":[{"type":"text","text":"y"},"#,
            r#"{"type":"tool_use","id":"a","name":"f","input":{},"cache_control":{"ttl":"5m"}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"","#,
            r#""cache_control":{"ttl":"1h"}}]}],"#,
            r#""tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}],"#,
            r#""tool_choice":{"type":"none"}"#,
        ),
    );
}

#[test]
fn thinking_that_the_caller_asks_for_himself_goes_through() {
    check_beside(
        "claude-opus-4-5",
        concat!(
            r#","thinking":{"type":"enabled","budget_tokens":5},"#,
            r#""reasoning_effort":"low","temperature":0.5"#
        ),
        r#","thinking":{"type":"enabled","budget_tokens":5}"#,
    );
    check_beside(
        "claude-opus-4-5",
        r#","thinking":{"type":"disabled"},"temperature":0.5"#,
        r#","temperature":0.5,"thinking":{"type":"disabled"}"#,
    );
    check_beside("glm", r#","reasoning_effort":"high""#, "");
    check_beside(
        "claude-opus-4-8",
        r#","reasoning_effort":"minimal""#,
        concat!(
            r#","thinking":{"type":"adaptive","display":"summarized"},"#,
            r#""output_config":{"effort":"low"}"#
        ),
    );
}

#[test]
fn a_schema_loses_what_the_api_refuses_and_nothing_else() {
    let asked = |schema: &str| {
        format!(
            r#","response_format":{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}"#
        )
    };
    let sent = |schema: &str| {
        format!(r#","output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#)
    };
    for (schema, expected) in [
        ("{}", "{}"),
        (r#"{"not":{}, "const": 1.0 }"#, r#"{"const":1.0}"#),
        (
            concat!(
                r#"{"properties":{"not":{"minItems":1},"if":{"minItems":2}}"#,
                r#","additionalProperties":true}"#
            ),
            r#"{"properties":{"not":{"minItems":1},"if":{}},"additionalProperties":false}"#,
        ),
        (
            r#"{"items":[{"type":["object","null"]},true],"additionalProperties":{}}"#,
            concat!(
                r#"{"items":[{"type":["object","null"],"additionalProperties":false}"#,
                r#",true],"additionalProperties":{}}"#
            ),
        ),
        (
            r#"{"anyOf":[{"not":{}}],"oneOf":[{}],"$defs":{"a":{"type":"object"}}}"#,
            r#"{"anyOf":[{}],"$defs":{"a":{"type":"object","additionalProperties":false}}}"#,
        ),
    ] {
        check_beside("claude-opus-4-5", &asked(schema), &sent(expected));
    }
    let deep = |levels: usize| {
        format!(
            "{}{}",
            r#"{"items":"#.repeat(levels),
            "{}".to_owned() + &"}".repeat(levels)
        )
    };
    check_beside("claude-opus-4-5", &asked(&deep(60)), &sent(&deep(60)));
    check_refused(
        &format!(
            r#""messages":[{{"role":"user","content":"x"}}]{}"#,
            asked(&deep(100_000))
        ),
        "response_format.json_schema.schema",
    );
}

#[test]
fn every_keyword_that_the_api_refuses_is_left_out() {
    let format = |keywords: &str| {
        format!(
            r#","response_format":{{"type":"json_schema","json_schema":{{"schema":{{
            "type":"object"{keywords}}}}}}}"#
        )
    };
    let expected = |kept: &str| {
        let schema = format!(r#"{{"type":"object"{kept},"additionalProperties":false}}"#);
        format!(r#","output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#)
    };
    let refused = "maxItems uniqueItems contains minContains maxContains prefixItems minimum \
                   maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength \
                   minProperties maxProperties patternProperties propertyNames \
                   dependentRequired dependentSchemas unevaluatedProperties if then else not";
    for name in refused.split_ascii_whitespace() {
        let asked = format(&format!(r#","{name}":1"#));
        check_beside("claude-opus-4-5", &asked, &expected(""));
    }
    for (value, kept) in [("0", true), ("1", true), ("2", false)] {
        let keyword = format!(r#","minItems":{value}"#);
        let kept = if kept { &keyword } else { "" };
        check_beside("claude-opus-4-5", &format(&keyword), &expected(kept));
    }
    for kept in [
        r#","title":"t""#,
        r#","description":"d""#,
        r#","enum":[1]"#,
        r#","format":"date""#,
        r#","pattern":"a""#,
        r#","required":["a"]"#,
        r#","new":1"#,
    ] {
        check_beside("claude-opus-4-5", &format(kept), &expected(kept));
    }
}

#[test]
fn what_cannot_be_expressed_is_named() {
    let call = |call: &str| {
        let user = r#"{"role":"user","content":"x"}"#;
        format!(r#""messages":[{user},{{"role":"assistant","tool_calls":[{call}]}}]"#)
    };
    check_refused(
        &call(r#"{"id":"a","type":"custom"}"#),
        "messages[1].tool_calls[0].type",
    );
    check_refused(
        &call(r#"{"function":{"name":"f"}}"#),
        "messages[1].tool_calls[0].id",
    );
    check_refused(&call(r#"{"id":"a"}"#), "messages[1].tool_calls[0].function");
    let message = |message: &str| format!(r#""messages":[{{{message}}}]"#);
    for (inner, place) in [
        (r#""role":"user","content":7"#, "content"),
        (r#""role":"user","content":["x"]"#, "content[0]"),
        (r#""role":"user","content":"a","content":"b""#, "content"),
        (
            r#""role":"user","content":[{"type":"text"}]"#,
            "content[0].text",
        ),
        (
            r#""role":"user","content":[{"type":"thinking"}]"#,
            "content[0]",
        ),
        (
            r#""role":"user","content":[{"type":"file","file":{"file_id":"f"}}]"#,
            "content[0].file",
        ),
        (
            r#""role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://a"}}]"#,
            "content[0].image_url",
        ),
        (
            r#""role":"user","content":[{"type":"image_url","image_url":"data:image/png,a"}]"#,
            "content[0].image_url",
        ),
        (r#""role":"assistant","audio":{"id":"a"}"#, "audio"),
        (r#""role":"function","name":"f","content":"x""#, "name"),
        (r#""role":"tool","content":"x""#, "tool_call_id"),
        (r#""role":"critic","content":"x""#, "role"),
        (r#""content":"x""#, "role"),
        (
            r#""role":"system","content":[{"type":"image_url","image_url":"http://a"}]"#,
            "content",
        ),
    ] {
        check_refused(&message(inner), &format!("messages[0].{place}"));
    }
    let beside = |fields: &str| format!(r#""messages":[{{"role":"user","content":"x"}}],{fields}"#);
    for (fields, place) in [
        (r#""temperature":"hot""#, "temperature"),
        (r#""max_tokens":"9""#, "max_tokens"),
        (r#""reasoning_effort":"huge""#, "reasoning_effort"),
        (r#""stop":["a",1]"#, "stop[1]"),
        (
            r#""tools":[{"type":"custom","custom":{}}]"#,
            "tools[0].type",
        ),
        (r#""tools":[{"function":{}}]"#, "tools[0].function.name"),
        (
            r#""response_format":{"type":"grammar"}"#,
            "response_format.type",
        ),
        (
            r#""functions":[{"name":"f"}],"tool_choice":{"type":"custom"}"#,
            "tool_choice.type",
        ),
        (
            concat!(
                r#""functions":[{"name":"f"}],"tool_choice":{"type":"allowed_tools","#,
                r#""allowed_tools":{"tools":[{"function":{"name":"g"}}]}}"#
            ),
            "tool_choice.allowed_tools.tools",
        ),
    ] {
        check_refused(&beside(fields), place);
    }
    check_refused(r#""messages":[]"#, "messages");
    check_refused(r#""messages":{}"#, "messages");
    check_refused(r#""x":0"#, "messages");
}

#[test]
fn left_out_parameters_are_told() {
    let mut body =
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"seed":1,"store":null,
        "temperature":0,"stream_options":{},"user":"a@b.c""#
            .to_owned();
    for index in 0..40 {
        body += &format!(r#","x{index}":0"#);
    }
    body += "}";
    let to = claude("claude-opus-4-7", Stream::No);
    let written = write(chat(body.as_bytes()), &to, &mut Vec::new()).unwrap();
    let dropped = written.dropped;
    assert_eq!(dropped.names.len(), DROPPED_NAMES_MAX);
    assert_eq!(dropped.names[..2], ["seed", "x0"]);
    assert_eq!(dropped.more, 43 - DROPPED_NAMES_MAX);
}

#[test]
fn users_are_told_by_ids_alone() {
    for (user, is_sent) in [
        ("user-1", true),
        ("12345678901234567890", true),
        ("", false),
        ("a@b", false),
        ("+49 (30) 123-4567", false),
        ("5551234567", false),
        ("@handle", true),
    ] {
        let expected = format!(r#","metadata":{{"user_id":"{user}"}}"#);
        let expected = if is_sent { &*expected } else { "" };
        check_beside(
            "claude-haiku-4-5",
            &format!(r#","user":"{user}""#),
            expected,
        );
    }
    let long = format!(r#","safety_identifier":"{}","user":"u""#, "x".repeat(257));
    check_beside("claude-haiku-4-5", &long, "");
}

#[test]
fn a_long_conversation_is_read_once() {
    let mut messages = String::new();
    for index in 0..20_000 {
        let comma = if index == 0 { "" } else { "," };
        messages += &format!(
            concat!(
                r#"{}{{"role":"assistant","content":null,"function_call":"#,
                r#"{{"name":"f{}","arguments":"{{}}"}}}},"#,
                r#"{{"role":"function","name":"f{}","content":"x"}}"#
            ),
            comma, index, index
        );
    }
    let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    let out = translated(&body, "claude-haiku-4-5").unwrap();
    assert_eq!(out.matches("tool_result").count(), 20_000);
    assert!(out.contains("call_fn_19999"));
}

/// A message with one text, which must not get lost.
fn message() -> impl Strategy<Value = (String, String)> {
    let shapes = prop::sample::select(vec![
        r#"{"role":"user","content":"@"}"#,
        r#"{"role":"system","content":"@"}"#,
        r#"{"role":"developer","content":[{"type":"text","text":"@"}]}"#,
        concat!(
            r#"{"role":"user","content":[{"type":"text","text":"@","cache_control":{}},"#,
            r#"{"type":"text","text":""}]}"#
        ),
        r#"{"role":"user","content":[{"type":"file","file":{"file_data":"@"}}]}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":"http://@"}]}"#,
        r#"{"role":"user","content":[{"type":"input_audio","input_audio":"@"}]}"#,
        r#"{"role":"assistant","content":"@ "}"#,
        r#"{"role":"assistant","content":"","refusal":"@"}"#,
        r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"@","arguments":"["}}]}"#,
        concat!(
            r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f""#,
            r#","arguments":"[\"@\"]"}}]}"#
        ),
        r#"{"role":"assistant","function_call":{"name":"f","arguments":{"a":"@"}}}"#,
        r#"{"role":"tool","tool_call_id":"a","content":"@"}"#,
        r#"{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"@"}]}"#,
        r#"{"role":"function","name":"f","content":"@"}"#,
    ]);
    (shapes, "[a-z]{8}").prop_map(|(shape, text)| (shape.replace('@', &text), text))
}

proptest! {
    #[test]
    fn no_text_gets_lost(messages in prop::collection::vec(message(), 0..8)) {
        let (messages, texts): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let body = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
        if let Ok(out) = translated(&body, "claude-opus-4-7") {
            for text in texts {
                prop_assert!(out.contains(&text), "{text} is not in {out}");
            }
        }
    }

    #[test]
    fn any_json_is_translated_or_refused(
        content in arbitrary_json(),
        name in prop::sample::select(vec![
            "content", "refusal", "tool_calls", "function_call", "tools", "functions", "stop",
            "tool_choice", "response_format", "thinking", "temperature", "user", "messages",
        ]),
    ) {
        let messages = r#""messages":[{"role":"assistant","content":"x"}]"#;
        for body in [
            format!(r#"{{"model":"m",{messages},"{name}":{content}}}"#),
            format!(r#"{{"model":"m","messages":[{{"role":"assistant","{name}":{content}}}]}}"#),
            format!(r#"{{"model":"m","messages":[{{"role":"tool","{name}":{content}}}]}}"#),
        ] {
            if read_ask(Dialect::Chat, body.as_bytes()).is_ok() {
                let _ = translated(&body, "claude-opus-4-5");
            }
        }
    }
}

/// Random JSON that resembles requests.
fn arbitrary_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "-1.50e3",
            "0",
            r#""""#,
            r#"" \n""#,
            r#""\ud800""#,
            r#""function""#,
            r#""text""#,
            r#""image_url""#,
            r#""file""#,
            r#""json_schema""#,
            r#""object""#,
            r#""data:image/png;base64,é""#,
            r#""data:text/plain;base64,w6k=""#,
            r#""allowed_tools""#,
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let names = prop::sample::select(vec![
        "type",
        "text",
        "refusal",
        "id",
        "function",
        "name",
        "arguments",
        "parameters",
        "image_url",
        "url",
        "file",
        "file_data",
        "filename",
        "cache_control",
        "json_schema",
        "schema",
        "items",
        "oneOf",
        "anyOf",
        "properties",
        "allowed_tools",
        "tools",
        "mode",
        "role",
        r"t\u0079pe",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|list| format!("[{}]", list.join(" ,"))),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|list| {
                let list = list
                    .iter()
                    .map(|(name, value)| format!(r#""{name}": {value}"#));
                format!("{{{}}}", list.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}
