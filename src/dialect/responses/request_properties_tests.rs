//! What holds for every request for a response that is written in another dialect.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::messages::strict::{MODELS, check_body};
use crate::dialect::responses::remembered::Nothing;

fn write_as(body: &str, to: &Destination<'_>) -> Result<String, Unsupported> {
    let received = Received {
        dialect: Dialect::Responses,
        body: body.as_bytes(),
        remembered: &Nothing,
    };
    let mut out = Vec::new();
    let result = write(received, to, &mut out);
    let out = String::from_utf8(out).unwrap();
    match result {
        Ok(_) => Ok(out),
        Err(fault) => {
            assert_eq!(out, "", "a refused request leaves nothing behind");
            assert_ne!(fault.place, "", "{fault}");
            assert!(!fault.place.starts_with("messages"), "{fault}");
            Err(fault)
        }
    }
}

fn to(dialect: Dialect, host: Host, model: &str) -> Destination<'_> {
    Destination {
        dialect,
        model,
        host,
        max_output: Some(100),
        left_out: Keys::default(),
        stream: Stream::WithUsage,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,8}",
        1 => select(vec!["", " \n", "\"\\", "\u{e9}\u{1f600}", "{\"a\":1}"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn id() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "a.b", "a_b", "", "a_ts_QUJD"])
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["f", "g", "n.f", "n__f", "\u{e9}", ""])
}

fn namespace() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, None, Some("n"), Some("mcp__x__"), Some("")])
}

fn part() -> impl Strategy<Value = Value> {
    let url = select(vec![
        "https://a",
        "data:image/png;base64,QUJD",
        "gs://a",
        "",
    ]);
    prop_oneof![
        4 => (select(vec!["input_text", "output_text", "text"]), text())
            .prop_map(|(kind, text)| json!({"type": kind, "text": text})),
        1 => (url, select(vec![None, Some("low"), Some("original")])).prop_map(|(url, detail)| {
            json!({"type": "input_image", "image_url": url, "detail": detail})
        }),
        1 => (text(), of(text())).prop_map(|(data, name)| {
            json!({"type": "input_file", "file_data": data, "filename": name})
        }),
        1 => Just(json!({"type": "input_audio", "input_audio": {"data": "QUJD"}})),
        1 => text().prop_map(|text| json!({"type": "refusal", "refusal": text})),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        prop::collection::vec(part(), 0..4).prop_map(Value::from),
    ]
}

fn texts() -> impl Strategy<Value = Value> {
    prop::collection::vec(text(), 0..3).prop_map(|texts| {
        let part = |text| json!({"type": "summary_text", "text": text});
        texts.into_iter().map(part).collect()
    })
}

fn item() -> impl Strategy<Value = Value> {
    let role = select(vec!["user", "assistant", "developer", "system"]);
    let marks = select(vec![
        None,
        Some("infermux.reasoning"),
        Some("gAAA"),
        Some(""),
    ]);
    prop_oneof![
        4 => (role, content())
            .prop_map(|(role, content)| json!({"role": role, "content": content})),
        3 => (id(), name(), namespace(), text()).prop_map(|(id, name, namespace, text)| {
            json!({"type": "function_call", "call_id": id, "name": name,
                   "namespace": namespace, "arguments": text})
        }),
        1 => (id(), name(), text()).prop_map(|(id, name, text)| {
            json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": text})
        }),
        3 => (id(), content()).prop_map(|(id, output)| {
            json!({"type": "function_call_output", "call_id": id, "output": output})
        }),
        2 => (texts(), texts(), marks).prop_map(|(summary, content, mark)| {
            json!({"type": "reasoning", "summary": summary, "content": content,
                   "encrypted_content": mark})
        }),
        1 => select(vec![
            json!({"type": "web_search_call", "id": "ws_1"}),
            json!({"type": "item_reference", "id": "rs_1"}),
            json!({"type": "additional_tools", "tools": [{"type": "function", "name": "g"}]}),
        ]),
    ]
}

fn tool() -> impl Strategy<Value = Value> {
    let function = (select(vec!["function", "custom"]), name(), of(text()));
    let function = function.prop_map(|(kind, name, description)| {
        json!({"type": kind, "name": name, "description": description,
               "parameters": {"$schema": "x"}, "strict": true})
    });
    let function = function.boxed();
    let group = (select(vec!["n", "mcp__x__", ""]), function.clone());
    prop_oneof![
        4 => function,
        2 => group.prop_map(|(name, tool)| {
            json!({"type": "namespace", "name": name, "tools": [tool]})
        }),
        1 => Just(json!({"type": "web_search"})),
    ]
}

fn parameters() -> impl Strategy<Value = Map<String, Value>> {
    let any = prop_oneof![
        text().prop_map(|text| ("instructions", json!(text))),
        prop::collection::vec(tool(), 0..5).prop_map(|tools| ("tools", json!(tools))),
        select(vec![
            json!("auto"),
            json!("required"),
            json!({"type": "function", "name": "f"}),
            json!({"type": "allowed_tools", "mode": "auto",
                   "tools": [{"type": "function", "name": "f"}]}),
        ])
        .prop_map(|choice| ("tool_choice", choice)),
        select(vec!["none", "low", "max"])
            .prop_map(|effort| ("reasoning", json!({"effort": effort, "summary": "auto"}))),
        select(vec![
            json!({"type": "json_object"}),
            json!({"type": "json_schema", "name": "s", "schema": {"type": "object"}}),
        ])
        .prop_map(|format| ("text", json!({"format": format}))),
        Just(("include", json!(["message.output_text.logprobs"]))),
        Just(("temperature", json!(0.5))),
        Just(("max_output_tokens", json!(2_000))),
        Just(("parallel_tool_calls", json!(false))),
        Just(("user", json!("u"))),
        Just(("x_new", json!([1]))),
    ];
    prop::collection::vec(any, 0..8).prop_map(|list| {
        let list = list.into_iter();
        list.map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

fn request() -> impl Strategy<Value = String> {
    (prop::collection::vec(item(), 0..10), parameters()).prop_map(|(input, mut request)| {
        request.insert("model".to_owned(), json!("m"));
        request.insert("input".to_owned(), json!(input));
        Value::Object(request).to_string()
    })
}

/// Whether each result of a tool stands behind the turn of the model, or behind another result.
fn check_chat(body: &Value) {
    let messages = body["messages"].as_array().unwrap();
    assert!(!messages.is_empty());
    let mut before = "";
    for (place, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap();
        let is_alone = role == "tool" || role == "system" || role != before;
        assert!(is_alone, "{body}");
        assert!(before != "user" || role != "tool", "{body}");
        assert!(
            message["content"].is_string() || message["content"].is_array() || role == "assistant"
        );
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["function"]["arguments"].is_string(), "{place}: {body}");
        }
        before = role;
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        let name = tool["function"]["name"].as_str().unwrap();
        assert!(name.len() <= 64 && name.is_ascii(), "{name}");
        assert_eq!(tool["function"]["parameters"]["type"], "object");
    }
}

proptest! {
    #[test]
    fn every_request_becomes_one_of_chat_completions(
        body in request(),
        model in select(vec!["m", "gpt-4o", "gpt-5.6", "o3", "gpt-oss-20b", "x-gemini"]),
        host in select(vec![Host::Other, Host::Ollama]),
    ) {
        if let Ok(out) = write_as(&body, &to(Dialect::Chat, host, model)) {
            check_chat(&serde_json::from_str(&out).unwrap());
            prop_assert!(out.len() <= 4 * body.len() + 4_096, "{} {}", out.len(), body.len());
        }
    }

    #[test]
    fn every_request_becomes_one_of_messages(body in request(), model in select(&MODELS)) {
        if let Ok(out) = write_as(&body, &to(Dialect::Messages, Host::Other, model)) {
            check_body(&serde_json::from_str(&out).unwrap());
            prop_assert!(!out.contains("infermux."), "{}", out);
        }
    }

    #[test]
    fn no_json_makes_the_reader_panic(
        input in "[\\[\\]{}\",:a-z0-9 ]{0,40}", name in select(vec!["input", "tools", "text"]),
    ) {
        let body = format!("{{\"input\":\"x\",\"{name}\":{input}}}");
        if crate::wire::json::check::is_json(body.as_bytes()) {
            let _ = write_as(&body, &to(Dialect::Chat, Host::Other, "m"));
        }
    }
}

#[test]
fn a_large_request_is_read_once() {
    // Quadratic work would take minutes.
    let call = |index: usize| {
        let id = index % 3;
        [
            json!({"type": "function_call", "call_id": id, "name": format!("f.{index}"),
                   "arguments": "{}"}),
            json!({"role": "user", "content": "x"}),
            json!({"role": "assistant", "content": "y"}),
            json!({"type": "function_call_output", "call_id": id, "output": "z"}),
        ]
    };
    let calls = |count: usize| {
        let mut items: Vec<Value> = (0..count).flat_map(call).collect();
        for item in &mut items {
            if let Some(id) = item.get_mut("call_id") {
                *id = json!(format!("call_{id}"));
            }
        }
        items
    };
    let joined: Vec<Value> = (0..10_000)
        .map(|_| json!({"role": "assistant", "content": "y"}))
        .chain([json!({"role": "user", "content": "x"})])
        .collect();
    let tools = |spell: fn(usize) -> String| -> Vec<Value> {
        let tool = |index| json!({"type": "function", "name": spell(index)});
        let group = |index: usize| {
            let inner: Vec<Value> = (0..10).map(|inner| tool(index * 10 + inner)).collect();
            json!({"type": "namespace", "name": format!("n{}", index % 7), "tools": inner})
        };
        (0..10_000).map(tool).chain((0..100).map(group)).collect()
    };
    let alike = tools(|index| format!("{}.{}", ".".repeat(index % 9), ".".repeat(index / 9 % 60)));
    let large = "x\\\"".repeat(1_000_000);
    let bodies = [
        json!({"input": calls(2_500)}),
        json!({"input": joined}),
        json!({"input": "x", "tools": tools(|index| format!("f{index}"))}),
        json!({"input": "x", "tools": alike}),
        json!({"input": large}),
    ];
    for body in bodies {
        let body = body.to_string();
        for dialect in [Dialect::Chat, Dialect::Messages] {
            write_as(&body, &to(dialect, Host::Other, "claude-opus-4-5")).unwrap();
        }
    }
}
