//! Tests of Messages requests that become chat completions requests.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::*;
use crate::dialect::chat::lessons::{self, Keys};
use crate::dialect::chat::write_prompt::{ChatModel, Host, Stream, Written, write};
use crate::wire::json::respelt::respelt;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    messages_request: Box<RawValue>,
    upstream_model: String,
    provider_type: Option<String>,
    upstream_first: Option<UpstreamFirst>,
    openai_request: Option<Json>,
    reject: Option<Json>,
}

#[derive(serde::Deserialize)]
struct UpstreamFirst {
    status: u16,
    body: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages/request");
        let files = Path::new(folder).read_dir().unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    fn model(&self, left_out: Keys) -> ChatModel<'_> {
        let body: Json = serde_json::from_str(self.messages_request.get()).unwrap();
        let is_ollama = self.provider_type.as_deref() == Some("ollama");
        ChatModel {
            host: if is_ollama { Host::Ollama } else { Host::Other },
            // As the table of prices has it, which another room reads.
            max_output: self.upstream_model.starts_with("gpt-4o").then_some(16_384),
            left_out,
            stream: match body["stream"] == true {
                true => Stream::WithUsage,
                false => Stream::No,
            },
            ..model(&self.upstream_model)
        }
    }

    fn check(&self, body: &str) {
        let mut found = translated(body, &self.model(Keys::default()));
        if let Some(first) = &self.upstream_first {
            let sent = found.unwrap().1.sent;
            let left_out = lessons::refused(first.status, first.body.as_bytes(), sent);
            found = translated(body, &self.model(left_out));
        }
        match (&self.openai_request, &self.reject) {
            (Some(expected), None) => {
                let (found, _) = found.unwrap_or_else(|fault| panic!("{}: {fault}", self.id));
                let found: Json = serde_json::from_str(&found).unwrap();
                assert_eq!(
                    comparable(found),
                    comparable(expected.clone()),
                    "{}",
                    self.id
                );
            }
            (None, Some(reject)) => {
                let message = found.expect_err(&self.id).to_string();
                let names = reject["message_names"].as_str().unwrap();
                assert!(message.contains(names), "{}: {message}", self.id);
                assert_eq!(reject["status"], 400);
                assert_eq!(reject["error_code"], "invalid_request");
            }
            (_, _) => panic!("{} expects one thing", self.id),
        }
    }
}

/// Arguments compare as JSON.
fn comparable(mut request: Json) -> Json {
    for message in request["messages"].as_array_mut().unwrap() {
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            let arguments = &mut call["function"]["arguments"];
            *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
        let members = message.as_object_mut().unwrap();
        members.retain(|name, value| name == "content" || !value.is_null());
    }
    request
}

fn model(id: &str) -> ChatModel<'_> {
    ChatModel {
        id,
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::No,
    }
}

fn translated(body: &str, model: &ChatModel<'_>) -> Result<(String, Written), Unsupported> {
    let mut out = b"before".to_vec();
    let written = read(body.as_bytes()).and_then(|prompt| write(&prompt, model, &mut out));
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").unwrap();
    match written {
        Ok(written) => {
            serde_json::from_str::<&RawValue>(text).unwrap();
            Ok((text.to_owned(), written))
        }
        Err(fault) => {
            assert_eq!(text, "", "a refused request leaves nothing behind");
            Err(fault)
        }
    }
}

#[test]
fn the_vectors_hold() {
    let all = Vector::all();
    all.iter()
        .for_each(|vector| vector.check(vector.messages_request.get()));
    assert_eq!(all.len(), 56);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_vectors_hold_however_they_are_spelt(seed: u64) {
        for vector in Vector::all() {
            vector.check(&respelt(vector.messages_request.get(), seed));
        }
    }
}

/// `members` stand beside the model.
fn check_with(model: &ChatModel<'_>, members: &str, expected: &str) {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let found = translated(&body, model).map(|(found, _)| found);
    let found = found.map_err(|fault| fault.to_string());
    let expected = format!(r#"{{"model":"{}",{expected}}}"#, model.id);
    assert_eq!(found.as_deref(), Ok(&*expected), "{members}");
}

/// Messages alone, for a model of no known vendor and for one of OpenAI's.
fn check_messages(id: &str, messages: &str, expected: &str) {
    check_with(
        &model(id),
        &format!(r#""messages":[{messages}]"#),
        &format!(r#""messages":[{expected}]"#),
    );
}

fn check_refused(model: &ChatModel<'_>, members: &str, place: &str) {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let fault = translated(&body, model).expect_err(members);
    assert_eq!(fault.place, place, "{members}: {fault}");
}

const HI: &str = r#"{"role":"user","content":"hi"}"#;

/// A request that is refused: its members beside the model, and the place of its fault. The file
/// has more than a hundred: roles, blocks, images that are none, names twice, system in odd places.
#[derive(serde::Deserialize)]
struct Refused {
    provider_type: String,
    members: String,
    place: String,
}

#[test]
fn what_a_chat_provider_cannot_be_sent_is_named() {
    let rows = include_str!("../../../tests/golden/refused/messages.json");
    let rows: Vec<Refused> = serde_json::from_str(rows).unwrap();
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        let host = match &*row.provider_type {
            "ollama" => Host::Ollama,
            _ => Host::Other,
        };
        let model = ChatModel { host, ..model("x") };
        check_refused(&model, &row.members, &row.place);
    }
}

#[test]
fn what_the_provider_is_to_refuse_goes_to_it() {
    let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}"#;
    check_messages(
        "x",
        result,
        r#"{"role":"tool","tool_call_id":"a","content":""}"#,
    );
    check_messages(
        "x",
        r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":[1]}]}"#,
        concat!(
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","#,
            r#""function":{"name":"f","arguments":"[1]"}}]}"#
        ),
    );
    check_with(
        &model("x"),
        &format!(r#""messages":[{HI}],"max_tokens":-1.5,"temperature":99"#),
        &format!(r#""messages":[{HI}],"max_tokens":-1.5,"temperature":99"#),
    );
}

#[test]
fn the_system_speaks_where_the_model_can_hear_it() {
    let system = |text: &str| format!(r#"{{"role":"system","content":"{text}"}}"#);
    let results = concat!(
        r#"{"role":"user","content":[{"type":"text","text":"see"},"#,
        r#"{"type":"tool_result","tool_use_id":"a","content":"1"}]}"#
    );
    let tool = r#"{"role":"tool","tool_call_id":"a","content":"1"}"#;
    let messages = [HI, &system("s"), &system("t"), results].join(",");
    check_messages(
        "x",
        &messages,
        &format!(r#"{tool},{{"role":"user","content":"hi\n<system>\ns\nt\n</system>\nsee"}}"#),
    );
    check_messages(
        "gpt-4o",
        &messages,
        &[
            HI,
            &system(r"s\nt"),
            tool,
            r#"{"role":"user","content":"see"}"#,
        ]
        .join(","),
    );
    // The line that only Anthropic reads may stand in front of a text of its own.
    let line = "x-anthropic-billing-header: a=b;";
    for (text, expected) in [
        (format!(r"{line}\nBe\nkind."), Some(r"Be\nkind.")),
        (line.to_owned(), None),
        (format!(r"{line}\n"), None),
        (
            r"\u0078-anthropic-billing-header: a\nb".to_owned(),
            Some("b"),
        ),
    ] {
        let expected = expected.map(|text| system(text) + ",").unwrap_or_default();
        check_with(
            &model("x"),
            &format!(r#""system":"{text}","messages":[{HI}]"#),
            &format!(r#""messages":[{expected}{HI}]"#),
        );
    }
}

#[test]
fn results_with_pictures_keep_their_order() {
    let messages = concat!(
        r#"{"role":"user","content":[{"type":"text","text":"own"},"#,
        r#"{"type":"tool_result","tool_use_id":"a_ts_AQL-","is_error":true,"content":["#,
        r#"{"type":"document","title":"t","context":"c","#,
        r#""source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}},"#,
        r#"{"type":"text","text":"end"}]},"#,
        r#"{"type":"tool_result","tool_use_id":"b","content":[{"type":"document","title":"d","#,
        r#""source":{"type":"content","content":[{"type":"text","text":"p"},"#,
        r#"{"type":"image","source":{"type":"url","url":"https:\/\/x"}}]}}]}]}"#,
    );
    let expected = concat!(
        r#"{"role":"tool","tool_call_id":"a","content":"Error: [document]\nend"},"#,
        r#"{"role":"tool","tool_call_id":"b","content":"d\np\n[image]"},"#,
        r#"{"role":"user","content":[{"type":"text","text":"Result of tool call a:"},"#,
        r#"{"type":"text","text":"c"},{"type":"file","file":{"filename":"t.pdf","#,
        r#""file_data":"data:application/pdf;base64,JVBERi0="}},"#,
        r#"{"type":"text","text":"Result of tool call b:"},"#,
        r#"{"type":"image_url","image_url":{"url":"https:\/\/x"}},"#,
        r#"{"type":"text","text":"own"}]}"#,
    );
    check_messages("x", messages, expected);
}

#[test]
fn thoughts_go_where_the_model_wants_them() {
    let turn = |signature: &str| {
        format!(
            concat!(
                r#"{{"role":"assistant","content":[{{"type":"thinking","thinking":"a",{}}},"#,
                r#"{{"type":"text","text":"b"}}]}}"#
            ),
            signature
        )
    };
    let own = turn(r#""signature":"infermux.reasoning_content""#);
    let other = turn(r#""signature":"infermux.role""#);
    let none = turn(r#""signature":null"#);
    let with = r#"{"role":"assistant","content":"b","reasoning_content":"a"}"#;
    let without = r#"{"role":"assistant","content":"b"}"#;
    for (id, turn, expected) in [
        ("qwen3", &own, with),
        ("qwen3", &other, without),
        ("qwen3", &none, without),
        ("moonshotai/Kimi-K2", &other, with),
        ("deepseek-r1", &none, with),
        ("gpt-5", &own, without),
    ] {
        check_messages(id, turn, expected);
    }
    // Thoughts alone are no answer, wherever they stand.
    let thought = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"a"}]}"#;
    for messages in [[thought, HI], [HI, thought]] {
        check_messages("deepseek-r1", &messages.join(","), HI);
    }
}

#[test]
fn parameters_without_an_equivalent_are_left_out() {
    let tool = |more: &str| format!(r#""tools":[{{"name":"f","description":"d"{more}}}]"#);
    let plain = format!(r#""messages":[{HI}],{}"#, tool(""));
    for model in [model("gpt-5"), model("m")] {
        let (expected, _) = translated(&format!(r#"{{"model":"m",{plain}}}"#), &model).unwrap();
        for more in [
            r#""top_k":5"#,
            r#""service_tier":"auto""#,
            r#""speed":"fast""#,
            r#""cache_control":{"type":"ephemeral"}"#,
            r#""container":"c""#,
            r#""context_management":{"edits":[]}"#,
            r#""diagnostics":{}"#,
            r#""fallbacks":[{"model":"claude-x"}]"#,
            r#""output_config":{"task_budget":{"total":5}}"#,
            r#""betas":["a"]"#,
            r#""mcp_servers":[]"#,
            r#""inference_geo":"global""#,
            r#""new":{"a":[1]}"#,
        ] {
            let body = format!(r#"{{"model":"m",{plain},{more}}}"#);
            let (found, _) = translated(&body, &model).unwrap();
            assert_eq!(found, expected, "{more}");
        }
        for more in [
            r#""strict":true"#,
            r#""cache_control":{"type":"ephemeral"}"#,
            r#""allowed_callers":["direct"]"#,
            r#""input_examples":[{"a":1}]"#,
            r#""eager_input_streaming":true"#,
            r#""type":"custom""#,
            r#""type":null"#,
            r#""new":1"#,
        ] {
            let tools = tool(&format!(",{more}"));
            let body = format!(r#"{{"model":"m","messages":[{HI}],{tools}}}"#);
            let (found, _) = translated(&body, &model).unwrap();
            assert_eq!(found, expected, "{more}");
        }
    }
}

#[test]
fn the_last_word_on_a_tool_counts() {
    let change = |kind: &str, tool: &str| {
        format!(r#"{{"role":"system","content":[{{"type":"tool_{kind}","tool":{tool}}}]}}"#)
    };
    let named = r#"{"type":"tool_reference","name":"a"}"#;
    let defined = r#"{"type":"tool_definition","definition":{"name":"a","description":"new"}}"#;
    let elsewhere = r#"{"type":"mcp_tool_reference","name":"a","server_name":"s"}"#;
    let (old, new) = (r#"{"name":"a"}"#, r#"{"name":"a","description":"new"}"#);
    let deferred = r#"{"name":"a","defer_loading":true}"#;
    for (tool, changes, expected) in [
        (old, vec![change("removal", named)], None),
        (
            old,
            vec![change("removal", named), change("addition", named)],
            Some(old),
        ),
        (old, vec![change("addition", defined)], Some(new)),
        (
            old,
            vec![change("addition", defined), change("removal", named)],
            None,
        ),
        (
            deferred,
            vec![change("removal", named), change("addition", named)],
            Some(old),
        ),
        (deferred, vec![change("addition", named)], Some(old)),
        (deferred, vec![change("addition", elsewhere)], None),
        (deferred, vec![change("addition", defined)], Some(new)),
    ] {
        let messages = [HI, &changes.join(",")].join(",");
        let members =
            format!(r#""messages":[{messages}],"tools":[{tool}],"tool_choice":{{"type":"auto"}}"#);
        let function = |tool: &str| {
            let schema = r#","parameters":{"type":"object","properties":{}}}"#;
            format!(
                r#","tools":[{{"type":"function","function":{}{schema}}}],"tool_choice":"auto""#,
                tool.trim_end_matches('}')
            )
        };
        let tools = expected.map(function).unwrap_or_default();
        check_with(
            &model("x"),
            &members,
            &format!(r#""messages":[{HI}]{tools}"#),
        );
    }
}

/// The sampling of a caller who asks for what no Messages model takes is its own fault: nothing is
/// learned of the provider from the refusal.
#[test]
fn a_refused_value_that_is_none_teaches_nothing() {
    for (value, is_learned) in [("0.5", true), ("1", true), ("5", false), ("-1", false)] {
        let body =
            format!(r#"{{"model":"m","messages":[{HI}],"max_tokens":9,"temperature":{value}}}"#);
        let (found, written) = translated(&body, &model("gpt-4o")).unwrap();
        assert!(
            found.contains(&format!(r#""temperature":{value}"#)),
            "{found}"
        );
        let error = br#"{"error":{"message":"no","param":"temperature"}}"#;
        let left_out = lessons::refused(400, error, written.sent);
        assert_eq!(!left_out.is_empty(), is_learned, "{value}");
    }
}

#[test]
fn keys_that_were_refused_are_left_out() {
    let body = format!(
        concat!(
            r#"{{"model":"m","messages":[{}],"max_tokens":9,"temperature":1,"top_p":1,"#,
            r#""metadata":{{"user_id":"u"}},"tools":[{{"name":"a"}}],"#,
            r#""tool_choice":{{"type":"auto","disable_parallel_tool_use":true}},"#,
            r#""output_config":{{"effort":"low"}}}}"#
        ),
        HI
    );
    for (id, all) in [
        (
            "gpt-4o",
            "max_completion_tokens temperature top_p user parallel_tool_calls",
        ),
        (
            "gpt-oss-20b",
            "max_tokens temperature top_p reasoning_effort parallel_tool_calls",
        ),
    ] {
        for key in all.split(' ') {
            let (_, written) = translated(&body, &model(id)).unwrap();
            let error = format!(r#"{{"error":{{"param":"{key}"}}}}"#);
            let left_out = lessons::refused(400, error.as_bytes(), written.sent);
            assert!(!left_out.is_empty(), "{key}");
            let (found, _) = translated(
                &body,
                &ChatModel {
                    left_out,
                    ..model(id)
                },
            )
            .unwrap();
            let found: Json = serde_json::from_str(&found).unwrap();
            assert!(found.get(key).is_none(), "{key}");
            let others = ["max_tokens", "max_completion_tokens"];
            assert!(others.iter().any(|name| found.get(name).is_some()), "{key}");
        }
    }
}

#[test]
fn long_requests_are_read_once() {
    // Every system message is cleared, every tool deferred, and every call names one.
    let tools: Vec<_> = (0..2_000)
        .map(|index| format!(r#"{{"name":"t{index}","defer_loading":true}}"#))
        .collect();
    let turns: Vec<_> = (0..2_000)
        .map(|index| {
            format!(
                concat!(
                    r#"{{"role":"system","content":"s","clear_at":"next_user_message"}},"#,
                    r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"a","#,
                    r#""name":"t{}"}}]}},{}"#
                ),
                index, HI
            )
        })
        .collect();
    let body = format!(
        r#"{{"model":"m","tools":[{}],"messages":[{HI},{}]}}"#,
        tools.join(","),
        turns.join(",")
    );
    let (found, _) = translated(&body, &model("x")).unwrap();
    assert_eq!(found.matches(r#""parameters""#).count(), 2_000);
    assert_eq!(found.matches("<system>").count(), 0);
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let schema = format!(r#"{{"a":{deep}}}"#);
    let body = format!(
        concat!(
            r#"{{"model":"m","messages":[{},{{"role":"assistant","content":[{{"type":"tool_use","#,
            r#""id":"a","name":"f","input":{}}}]}}],"tools":[{{"name":"f","input_schema":{}}}],"#,
            r#""output_format":{{"type":"json_schema","schema":{{"items":{}}}}},"x":{}}}"#
        ),
        HI, schema, schema, deep, deep
    );
    let (found, _) = translated(&body, &model("x")).unwrap();
    assert!(!found.contains("strict"));
    check_refused(&model("x"), &format!(r#""messages":{deep}"#), "messages[0]");
}

/// A message with one text, which must not get lost.
fn message() -> impl Strategy<Value = (String, String)> {
    let shapes = prop::sample::select(vec![
        r#"{"role":"user","content":"@"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"@"},{"type":"text","text":" "}]}"#,
        r#"{"role":"user","content":[{"type":"hologram","text":"@"}]}"#,
        r#"{"role":"system","content":"@"}"#,
        r#"{"role":"system","content":[{"type":"text","text":"@"}]}"#,
        concat!(
            r#"{"role":"user","content":[{"type":"document","context":"c","#,
            r#""source":{"type":"text","data":"@"}}]}"#
        ),
        concat!(
            r#"{"role":"user","content":[{"type":"document","context":"@","title":"a\"","#,
            r#""source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}"#
        ),
        concat!(
            r#"{"role":"user","content":[{"type":"image","source":{"type":"base64","#,
            r#""media_type":"image/png","data":"@"}}]}"#
        ),
        r#"{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://@"}}]}"#,
        r#"{"role":"user","content":[{"type":"search_result","title":"@","source":"s"}]}"#,
        r#"{"role":"assistant","content":"@"}"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"@"},{"type":"x","y":1}]}"#,
        concat!(
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","#,
            r#""input":{"a": ["@\n"]}}]}"#
        ),
        r#"{"role":"assistant","content":[{"type":"tool_use","id":"@","name":"f"}]}"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"@"}]}"#,
        concat!(
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"#,
            r#""content":[{"type":"text","text":"@"}]}]}"#
        ),
        concat!(
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":["#,
            r#"{"type":"image","source":{"type":"url","url":"@"}}]}]}"#
        ),
    ]);
    (shapes, "[a-z]{8}").prop_map(|(shape, text)| (shape.replace('@', &text), text))
}

fn any_model() -> impl Strategy<Value = ChatModel<'static>> {
    let ids = [
        "x",
        "gpt-4o",
        "o3",
        "gpt-5",
        "gpt-5.6",
        "gpt-oss-20b",
        "deepseek",
        "gemini-3",
    ];
    (prop::sample::select(ids.to_vec()), any::<bool>()).prop_map(|(id, is_ollama)| ChatModel {
        host: if is_ollama { Host::Ollama } else { Host::Other },
        ..model(id)
    })
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
            r#""text""#,
            r#""image""#,
            r#""document""#,
            r#""base64""#,
            r#""url""#,
            r#""content""#,
            r#""image/png""#,
            r#""application/pdf""#,
            r#""tool_use""#,
            r#""tool_result""#,
            r#""thinking""#,
            r#""infermux.reasoning""#,
            r#""search_result""#,
            r#""tool_reference""#,
            r#""tool_definition""#,
            r#""json_schema""#,
            r#""a_ts_AQL-_w""#,
            r#""object""#,
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let names = prop::sample::select(vec![
        "type",
        "text",
        "source",
        "media_type",
        "data",
        "url",
        "content",
        "title",
        "context",
        "tool_use_id",
        "is_error",
        "id",
        "name",
        "input",
        "thinking",
        "signature",
        "tool",
        "tool_name",
        "definition",
        "input_schema",
        "description",
        "schema",
        "format",
        "effort",
        "properties",
        "required",
        "items",
        "$schema",
        "user_id",
        "x",
    ]);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|list| format!("[ {} ]", list.join(" , "))),
            prop::collection::btree_map(names.clone(), inner, 0..8).prop_map(|members| {
                let members = members.into_iter();
                let members: Vec<_> = members
                    .map(|(name, value)| format!(r#""{name}" : {value}"#))
                    .collect();
                format!("{{ {} }}", members.join(" , "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_gets_lost(messages in prop::collection::vec(message(), 0..8), to in any_model()) {
        let (messages, texts): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let body = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
        if let Ok((found, _)) = translated(&body, &to) {
            for text in texts {
                prop_assert!(found.contains(&text), "{text} is not in {found}");
            }
        }
    }

    #[test]
    fn any_json_is_translated_or_refused(
        content in arbitrary_json(),
        name in prop::sample::select(MEMBERS.to_vec()),
        to in any_model(),
    ) {
        let message = |role: &str| format!(r#"{{"role":"{role}","content":[{content}]}}"#);
        let call = r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"}]}"#;
        for body in [
            format!(r#"{{"model":"m","messages":[{HI}],"{name}":{content}}}"#),
            format!(r#"{{"messages":[{HI},{}]}}"#, message("user")),
            format!(r#"{{"messages":[{call},{}]}}"#, message("assistant")),
            format!(r#"{{"messages":[{HI},{}]}}"#, message("system")),
            format!(
                concat!(
                    r#"{{"messages":[{{"role":"user","content":[{{"type":"tool_result","#,
                    r#""tool_use_id":"a","content":[{}]}}]}}]}}"#
                ),
                content
            ),
            format!(r#"{{"messages":[{HI}],"tools":[{{"name":"f","input_schema":{content}}}]}}"#),
        ] {
            let _ = translated(&body, &to);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in any::<Vec<u8>>(),
        text in "[\\[\\]{}\":,a \\\\]{0,60}",
    ) {
        for body in [
            bytes,
            format!(r#"{{"messages":{text}"#).into_bytes(),
            format!(r#"{{"messages":[{{"role":"user","content":[{text}"#).into_bytes(),
        ] {
            let mut out = Vec::new();
            if let Ok(prompt) = read(&body) {
                let _ = write(&prompt, &model("x"), &mut out);
            }
        }
    }
}
