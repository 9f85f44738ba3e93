//! What the Messages API insists on, for tests: bodies are held against it.

use std::collections::HashSet;

use serde_json::{Value, json};

/// One model of each class.
pub(in crate::dialect) const MODELS: [&str; 6] = [
    "MiniMax-M2",
    "claude-3-5-haiku-latest",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-opus-4-6",
    "claude-opus-4-8",
];

/// The blocks of a message; a string is one of them.
pub(in crate::dialect) fn blocks(message: &Value) -> Vec<Value> {
    match &message["content"] {
        Value::Array(blocks) => blocks.clone(),
        text => vec![json!({"type": "text", "text": text})],
    }
}

/// The strings of the members called `member`.
pub(in crate::dialect) fn ids<'b>(
    blocks: impl Iterator<Item = &'b Value>,
    member: &str,
) -> Vec<String> {
    let ids = blocks.filter_map(|block| block[member].as_str());
    ids.map(str::to_owned).collect()
}

/// What the API insists on.
pub(in crate::dialect) fn check_body(body: &Value) {
    assert!(body["max_tokens"].is_number(), "{body}");
    let messages = body["messages"].as_array().unwrap();
    assert!(!messages.is_empty(), "{body}");
    let mut called = HashSet::new();
    for pair in messages.windows(2) {
        assert_ne!(pair[0]["role"], pair[1]["role"], "{body}");
    }
    for message in messages {
        let blocks = blocks(message);
        assert!(!blocks.is_empty(), "{body}");
        let is_result = |block: &Value| block["type"] == "tool_result";
        let results = blocks.iter().take_while(|block| is_result(block)).count();
        assert!(
            !blocks[results..].iter().any(is_result),
            "results come first: {body}"
        );
        let allowed: &[&str] = match message["role"].as_str().unwrap() {
            "user" => &["text", "image", "document", "tool_result"],
            "assistant" => &["text", "image", "document", "thinking", "tool_use"],
            role => panic!("{role} is no role"),
        };
        for block in &blocks {
            let kind = block["type"].as_str().unwrap();
            assert!(
                kind != "thinking" || block["signature"].is_string(),
                "a thought without a signature in {body}"
            );
            assert!(allowed.contains(&kind), "{kind} in {body}");
            if let Some(text) = block["text"].as_str() {
                assert!(!text.trim().is_empty(), "blank text in {body}");
            }
            if let Some(id) = block["id"].as_str().or(block["tool_use_id"].as_str()) {
                let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                assert!(!id.is_empty() && id.chars().all(is_legal), "{id} in {body}");
            }
            if let Some(id) = block["id"].as_str() {
                assert!(called.insert(id.to_owned()), "{id} twice in {body}");
                assert!(block["input"].is_object(), "{body}");
            }
        }
    }
    let last = messages.last().unwrap();
    if last["role"] == "assistant"
        && let Some(text) = blocks(last)
            .iter()
            .rev()
            .find_map(|block| block["text"].as_str())
    {
        assert_eq!(text, text.trim_end(), "{body}");
    }
    check_parameters(body);
}

fn check_parameters(body: &Value) {
    let has_calls = body["messages"]
        .to_string()
        .contains(r#""type":"tool_use""#);
    assert!(
        !has_calls || body["tools"].is_array(),
        "calls without tools in {body}"
    );
    assert!(
        body["tool_choice"].is_null() || body["tools"].is_array(),
        "{body}"
    );
    let both = !body["temperature"].is_null() && !body["top_p"].is_null();
    assert!(!both, "{body}");
    let thinking = &body["thinking"];
    if thinking["type"] == "enabled" || thinking["type"] == "adaptive" {
        assert!(
            body["temperature"].is_null() && body["top_p"].is_null(),
            "{body}"
        );
    }
    for stop in body["stop_sequences"].as_array().into_iter().flatten() {
        assert!(!stop.as_str().unwrap().trim().is_empty(), "{body}");
    }
}
