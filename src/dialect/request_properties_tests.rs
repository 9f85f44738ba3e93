//! What holds for every request of chat completions that is written as Messages, and back.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::base::endpoint::Dialect;
use crate::dialect::ask::read_ask;
use crate::dialect::chat::lessons::Keys;
use crate::dialect::chat::write_prompt::{ChatModel, Host, Stream};
use crate::dialect::messages::strict::{MODELS, blocks, check_body, ids};
use crate::dialect::unsupported::Unsupported;
use crate::dialect::{chat, messages};

fn translated(body: &str, model: &str) -> Result<String, Unsupported> {
    let stream = read_ask(Dialect::Chat, body.as_bytes()).unwrap().stream;
    let to = super::Destination {
        dialect: Dialect::Messages,
        model,
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: if stream { Stream::Plain } else { Stream::No },
    };
    let mut out = Vec::new();
    let result = super::write(super::tests::chat(body.as_bytes()), &to, &mut out);
    let out = String::from_utf8(out).unwrap();
    match result {
        Ok(_) => Ok(out),
        Err(fault) => {
            assert_eq!(out, "", "a refused request leaves nothing behind");
            Err(fault)
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "",
            " ",
            "\n\t",
            "a",
            "b \n",
            " c",
            "\"\\",
            "\u{e9}\u{1f600}"
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,8}",
        any::<String>(),
    ]
}

fn id() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "a.b", "a_b", "", "functions.f:0"])
}

fn marked(part: Value, cache: Option<()>) -> Value {
    let mut part = part;
    if cache.is_some() {
        part["cache_control"] = json!({"type": "ephemeral"});
    }
    part
}

fn part() -> impl Strategy<Value = Value> {
    let images = select(vec![
        "data:image/png;base64,QUJD",
        "data:image/jpg;base64,QUJD",
        "data:image/heic;base64,QUJD",
        "data:application/pdf;base64,QUJD",
        "https://example.com/a.png",
    ]);
    let files = select(vec![
        "data:application/pdf;base64,QUJD",
        "data:text/plain;base64,QUJD",
        "data:application/msword;base64,QUJD",
        "QUJD",
    ]);
    let shapes = prop_oneof![
        4 => text().prop_map(|text| json!({"type": "text", "text": text})),
        1 => text().prop_map(|text| json!({"type": "refusal", "refusal": text})),
        1 => images.prop_map(|url| json!({"type": "image_url", "image_url": {"url": url}})),
        1 => (files, text()).prop_map(|(data, name)| {
            json!({"type": "file", "file": {"file_data": data, "filename": name}})
        }),
    ];
    (shapes, of(Just(()))).prop_map(|(part, cache)| marked(part, cache))
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        4 => text().prop_map(Value::from),
        3 => prop::collection::vec(part(), 0..4).prop_map(Value::from),
    ]
}

fn arguments() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(""),
        json!("{}"),
        json!(" {\"a\": 1.50} "),
        json!("[1]"),
        json!("no json"),
        json!({"a": "b"}),
    ])
}

fn call() -> impl Strategy<Value = Value> {
    (id(), "[a-c]", arguments()).prop_map(|(id, name, arguments)| {
        json!({
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        })
    })
}

fn message() -> impl Strategy<Value = Value> {
    let calls = prop::collection::vec(call(), 0..3);
    let function = of(("[a-c]", arguments()));
    let shapes = prop_oneof![
        2 => (select(vec!["system", "developer"]), text())
            .prop_map(|(role, text)| json!({"role": role, "content": text})),
        4 => content().prop_map(|content| json!({"role": "user", "content": content})),
        4 => (content(), of(text()), calls, function).prop_map(
            |(content, refusal, calls, function)| {
                let function = function.map(|(name, arguments)| {
                    json!({"name": name, "arguments": arguments})
                });
                json!({
                    "role": "assistant",
                    "content": content,
                    "refusal": refusal,
                    "tool_calls": calls,
                    "function_call": function,
                })
            }
        ),
        3 => (id(), content()).prop_map(|(id, content)| {
            json!({"role": "tool", "tool_call_id": id, "content": content})
        }),
        1 => ("[a-c]", content()).prop_map(|(name, content)| {
            json!({"role": "function", "name": name, "content": content})
        }),
    ];
    (shapes, of(Just(()))).prop_map(|(message, cache)| marked(message, cache))
}

/// Parameters of which each may be given or not.
fn parameters() -> impl Strategy<Value = Map<String, Value>> {
    let tool = "[a-c]".prop_map(|name| {
        let parameters = json!({"type": "object", "properties": {"a": {"minLength": 1}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    });
    let schema = json!({"properties": {"a": {"type": "string"}}, "maxProperties": 1});
    let any = prop_oneof![
        select(vec![0, 1, 1_025, 4_096, 64_000]).prop_map(|count| ("max_tokens", json!(count))),
        select(vec![json!(0), json!(1), json!(1.5)]).prop_map(|value| ("temperature", value)),
        select(vec![json!(0.5), json!(1)]).prop_map(|value| ("top_p", value)),
        Just(("top_k", json!(40))),
        prop::collection::vec(text(), 0..3).prop_map(|texts| ("stop", json!(texts))),
        text().prop_map(|text| ("stop", json!(text))),
        text().prop_map(|text| ("user", json!(text))),
        select(vec!["none", "minimal", "low", "high", "max"])
            .prop_map(|effort| ("reasoning_effort", json!(effort))),
        Just((
            "thinking",
            json!({"type": "enabled", "budget_tokens": 2_000})
        )),
        prop::collection::vec(tool, 0..3).prop_map(|tools| ("tools", json!(tools))),
        select(vec![
            json!("auto"),
            json!("required"),
            json!("none"),
            json!({"type": "function", "function": {"name": "a"}}),
            json!({"type": "allowed_tools", "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "a"}}],
            }}),
        ])
        .prop_map(|choice| ("tool_choice", choice)),
        any::<bool>().prop_map(|is_parallel| ("parallel_tool_calls", json!(is_parallel))),
        select(vec![
            json!({"type": "text"}),
            json!({"type": "json_object"}),
            json!({"type": "json_schema", "json_schema": {"name": "n"}}),
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}),
        ])
        .prop_map(|format| ("response_format", format)),
        Just(("seed", json!(7))),
    ];
    prop::collection::vec(any, 0..6).prop_map(|list| {
        list.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn request() -> impl Strategy<Value = Value> {
    (prop::collection::vec(message(), 0..10), parameters()).prop_map(|(messages, mut request)| {
        request.insert("model".to_owned(), json!("m"));
        request.insert("messages".to_owned(), json!(messages));
        Value::Object(request)
    })
}

/// A conversation of a client that does everything right: all calls are answered at once, in any
/// order, and others may speak in between.
fn history() -> impl Strategy<Value = Vec<Value>> {
    let say = |role: &'static str| {
        "[a-z]{1,6}".prop_map(move |text| vec![json!({"role": role, "content": text})])
    };
    let aside = of(select(vec!["user", "system"]));
    let calls = prop::collection::vec((id(), "[a-z]{1,6}", aside), 1..4).prop_shuffle();
    let work = (of("[a-z]{1,6}"), calls).prop_flat_map(|(text, calls)| {
        let asked: Vec<_> = calls
            .iter()
            .map(|(id, _, _)| {
                json!({
                    "id": id,
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                })
            })
            .collect();
        let asked = json!({"role": "assistant", "content": text, "tool_calls": asked});
        Just(calls).prop_shuffle().prop_map(move |answered| {
            let mut messages = vec![asked.clone()];
            for (id, result, aside) in answered {
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
                messages.extend(aside.map(|role| json!({"role": role, "content": "aside"})));
            }
            messages
        })
    });
    let step = prop_oneof![2 => say("user"), 1 => say("system"), 1 => say("assistant"), 3 => work];
    prop::collection::vec(step, 1..6).prop_map(|steps| steps.concat())
}

/// What a conversation of chat completions says, however it is cut into messages.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Letters of the system, the user and the assistant.
    letters: [String; 3],
    /// Names and arguments of the calls, in order.
    calls: Vec<(Value, Value)>,
    /// The place of its call and the text of each result, in order.
    results: Vec<(usize, String)>,
}

impl Said {
    fn of(messages: &[Value]) -> Self {
        let mut said = Self::default();
        // A result belongs to the first call with its id that has none.
        let mut open: Vec<(usize, &Value)> = Vec::new();
        for message in messages {
            let letters = letters(&message["content"]);
            match message["role"].as_str().unwrap() {
                "system" => said.letters[0] += &letters,
                "user" => said.letters[1] += &letters,
                "assistant" => said.letters[2] += &letters,
                "tool" => {
                    let id = &message["tool_call_id"];
                    let place = open.iter().position(|(_, called)| *called == id);
                    let (call, _) = open.remove(place.expect("a result has a call"));
                    said.results.push((call, letters));
                }
                role => panic!("{role} is not expected"),
            }
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                open.push((said.calls.len(), &call["id"]));
                let function = &call["function"];
                let arguments = function["arguments"].as_str().unwrap();
                let arguments = serde_json::from_str(arguments).unwrap();
                said.calls.push((function["name"].clone(), arguments));
            }
        }
        said
    }
}

/// All that is no white space in a message's content.
fn letters(content: &Value) -> String {
    let texts = match content {
        Value::Array(parts) => ids(parts.iter(), "text").concat(),
        content => content.as_str().unwrap_or_default().to_owned(),
    };
    texts.split_whitespace().collect()
}

/// The request of chat completions for a Messages `body`.
fn back(body: &str) -> Result<String, Unsupported> {
    let model = ChatModel {
        id: "llama-4",
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::No,
    };
    let prompt = messages::read_prompt::read(body.as_bytes())?;
    let mut out = Vec::new();
    chat::write_prompt::write(&prompt, &model, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

proptest! {
    #[test]
    fn every_body_is_one_that_the_api_takes(request in request(), model in select(&MODELS)) {
        match translated(&request.to_string(), model) {
            Ok(body) => check_body(&serde_json::from_str(&body).unwrap()),
            Err(fault) => {
                let place = fault.place.split(['.', '[']).next().unwrap_or_default();
                prop_assert!(request.get(place).is_some(), "{fault} in {request}");
            }
        }
    }

    #[test]
    fn every_result_stands_right_behind_its_call(messages in history(), model in select(&MODELS)) {
        let request = json!({"model": "m", "messages": messages});
        // Where the system alone speaks, there is nothing to answer.
        let Ok(body) = translated(&request.to_string(), model) else {
            let is_said = |message: &Value| message["role"] != "system";
            prop_assert!(!messages.iter().any(is_said), "{request}");
            return Ok(());
        };
        let body: Value = serde_json::from_str(&body).unwrap();
        check_body(&body);
        let sent = body["messages"].as_array().unwrap();
        let mut answers = 0;
        for (index, message) in sent.iter().enumerate() {
            let mut called = ids(blocks(message).iter(), "id");
            if called.is_empty() {
                continue;
            }
            let mut answered = ids(blocks(&sent[index + 1]).iter(), "tool_use_id");
            answers += answered.len();
            called.sort_unstable();
            answered.sort_unstable();
            prop_assert_eq!(called, answered, "{}", body);
        }
        let tools = messages.iter().filter(|message| message["role"] == "tool");
        prop_assert_eq!(answers, tools.count());
    }
    #[test]
    fn a_conversation_goes_there_and_back(messages in history(), model in select(&MODELS)) {
        let request = json!({"model": "m", "messages": messages});
        let Ok(there) = translated(&request.to_string(), model) else {
            return Ok(());
        };
        let back_again = back(&there).unwrap();
        let returned: Value = serde_json::from_str(&back_again).unwrap();
        let said = Said::of(returned["messages"].as_array().unwrap());
        prop_assert_eq!(said, Said::of(&messages), "{} and {}", there, back_again);
        // What has been there once stays as it is.
        let there_again = translated(&back_again, model).unwrap();
        prop_assert_eq!(back(&there_again).unwrap(), back_again);
    }

    #[test]
    fn every_body_can_be_read_again(request in request(), model in select(&MODELS)) {
        let Ok(there) = translated(&request.to_string(), model) else {
            return Ok(());
        };
        // Such a request only fills a cache.
        if request["max_tokens"] == 0 {
            return Ok(());
        }
        match back(&there) {
            Ok(body) => {
                let returned: Value = serde_json::from_str(&body).unwrap();
                prop_assert!(returned["messages"].is_array());
            }
            // What the model has said may be a picture alone, which no other model is shown.
            Err(fault) => prop_assert_eq!(fault.place, "messages"),
        }
    }
}
