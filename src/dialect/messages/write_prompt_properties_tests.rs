//! What holds for every body that is written of a prompt with all that Messages can say.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::messages::read_prompt;
use crate::dialect::messages::strict::{MODELS, blocks, check_body};

/// A text that is found again; some are blank.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{8}", 1 => "[a-z]{8} \n", 1 => Just(" \n".to_owned())]
}

fn text_block() -> impl Strategy<Value = Value> {
    (text(), of(Just(()))).prop_map(|(text, cache)| {
        let cache = cache.map(|()| json!({"type": "ephemeral"}));
        json!({"type": "text", "text": text, "cache_control": cache})
    })
}

fn image() -> impl Strategy<Value = Value> {
    let sources = select(vec![
        json!({"type": "base64", "media_type": "image/png", "data": "QUJD"}),
        json!({"type": "url", "url": "https://example.com/a.png"}),
    ]);
    sources.prop_map(|source| json!({"type": "image", "source": source}))
}

fn document() -> impl Strategy<Value = Value> {
    let sources = prop_oneof![
        Just(json!({"type": "base64", "media_type": "application/pdf", "data": "QUJD"})),
        Just(json!({"type": "url", "url": "https://example.com/a.pdf"})),
        text().prop_map(|text| json!({"type": "text", "media_type": "text/plain", "data": text})),
        prop::collection::vec(prop_oneof![text_block(), image()], 0..3)
            .prop_map(|content| json!({"type": "content", "content": content})),
    ];
    (sources, of(text()), of(text())).prop_map(|(source, title, context)| {
        json!({"type": "document", "source": source, "title": title, "context": context})
    })
}

fn result() -> impl Strategy<Value = Value> {
    let said = prop_oneof![
        1 => Just(Value::Null),
        2 => text().prop_map(Value::from),
        2 => prop::collection::vec(prop_oneof![text_block(), image(), document()], 0..3)
            .prop_map(Value::from),
    ];
    (select(vec!["t0", "t1", "x"]), said, any::<bool>()).prop_map(|(id, said, is_error)| {
        json!({"type": "tool_result", "tool_use_id": id, "content": said, "is_error": is_error})
    })
}

fn answer_block() -> impl Strategy<Value = Value> {
    let signature = select(vec![None, Some("EqQB"), Some("infermux.reasoning")]);
    prop_oneof![
        3 => text_block(),
        2 => (text(), signature).prop_map(|(text, signature)| {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }),
        2 => "[a-c]".prop_map(|name| {
            json!({"type": "tool_use", "id": "", "name": name, "input": {"a": 1}})
        }),
        1 => Just(json!({"type": "redacted_thinking", "data": "x"})),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let user = prop_oneof![text_block(), image(), document(), result()];
    prop_oneof![
        3 => prop::collection::vec(user, 0..4)
            .prop_map(|content| json!({"role": "user", "content": content})),
        3 => prop::collection::vec(answer_block(), 0..4)
            .prop_map(|content| json!({"role": "assistant", "content": content})),
        2 => (select(vec!["user", "assistant", "system"]), text())
            .prop_map(|(role, text)| json!({"role": role, "content": text})),
    ]
}

/// Parameters of which each may be given or not.
fn parameters() -> impl Strategy<Value = Map<String, Value>> {
    let tools = prop::collection::vec("[a-c]", 0..3).prop_map(|names| {
        let tool = |name| json!({"name": name, "input_schema": {"type": "object"}});
        json!(names.into_iter().map(tool).collect::<Vec<_>>())
    });
    let any = prop_oneof![
        select(vec![1_024, 1_025, 32_000]).prop_map(|count| ("max_tokens", json!(count))),
        text().prop_map(|text| ("system", json!(text))),
        Just(("temperature", json!(0.5))),
        Just(("top_p", json!(0.9))),
        select(vec![
            json!({"type": "enabled", "budget_tokens": 2_000}),
            json!({"type": "adaptive"}),
            json!({"type": "disabled"}),
        ])
        .prop_map(|thinking| ("thinking", thinking)),
        select(vec!["low", "high", "max"])
            .prop_map(|effort| ("output_config", json!({"effort": effort}))),
        tools.prop_map(|tools| ("tools", tools)),
        select(vec!["auto", "any", "none"])
            .prop_map(|choice| ("tool_choice", json!({"type": choice}))),
    ];
    prop::collection::vec(any, 0..6).prop_map(|list| {
        let list = list.into_iter();
        list.map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

/// A Messages request in which each call has an id of its own.
fn request() -> impl Strategy<Value = Value> {
    (prop::collection::vec(message(), 1..8), parameters()).prop_map(|(messages, mut request)| {
        let mut messages = messages;
        let blocks = messages
            .iter_mut()
            .filter_map(|message| message["content"].as_array_mut())
            .flatten();
        let calls = blocks.filter(|block| block["type"] == "tool_use");
        for (index, call) in calls.enumerate() {
            call["id"] = json!(format!("t{index}"));
        }
        request.insert("messages".to_owned(), json!(messages));
        Value::Object(request)
    })
}

fn all_blocks(request: &Value) -> Vec<Value> {
    let messages = request["messages"].as_array().unwrap();
    messages.iter().flat_map(blocks).collect()
}

/// How many of `blocks` are of this type and have this value of `member`.
fn count(blocks: &[Value], kind: &str, member: &str, value: &Value) -> usize {
    let alike = |block: &&Value| block["type"] == kind && block[member] == *value;
    blocks.iter().filter(alike).count()
}

proptest! {
    #[test]
    fn every_prompt_becomes_a_body_that_the_api_takes(
        request in request(), model in select(&MODELS),
    ) {
        let asked = request.to_string();
        let prompt = match read_prompt::read(asked.as_bytes()) {
            Ok(prompt) => prompt,
            // Neither a user nor a model says anything.
            Err(fault) => {
                prop_assert_eq!(fault.place, "messages");
                return Ok(());
            }
        };
        let upstream = Upstream { model, is_streamed: true };
        let mut out = Vec::new();
        write(prompt, upstream, &mut out).unwrap();
        let body: Value = serde_json::from_slice(&out).unwrap();
        check_body(&body);
        let (asked, sent) = (all_blocks(&request), all_blocks(&body));
        for is_error in [true, false].map(Value::from) {
            let asked = count(&asked, "tool_result", "is_error", &is_error);
            let is_error = if is_error == true { is_error } else { Value::Null };
            prop_assert_eq!(count(&sent, "tool_result", "is_error", &is_error), asked, "{}", body);
        }
        let text = String::from_utf8(out).unwrap();
        prop_assert!(!text.contains("infermux."), "{}", text);
        for block in asked.iter().filter(|block| block["type"] == "text") {
            let said = block["text"].as_str().unwrap_or_default().trim();
            prop_assert!(text.contains(said), "{said} is not in {text}");
        }
    }
}
