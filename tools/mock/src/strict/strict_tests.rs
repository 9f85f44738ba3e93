//! Tests of what a provider refuses, and of what it must not refuse.

use serde_json::{Value, json};

use super::*;
use crate::http::Persistence;

/// What the provider objects to in a body; nothing where it takes it.
fn objection(script: Value, endpoint: Endpoint, headers: &[(&str, &str)], body: &Value) -> String {
    let script = Script::parse(script, None).unwrap();
    let headers: Vec<httparse::Header<'_>> = headers
        .iter()
        .map(|(name, value)| httparse::Header {
            name,
            value: value.as_bytes(),
        })
        .collect();
    let route = Route {
        endpoint,
        flavour: crate::ask::manners(script.dialect),
        deployment: None,
    };
    let request = Request {
        method: "POST",
        target: "/",
        headers: &headers,
        body: &[],
        persistence: Persistence::KeepAlive,
    };
    match check(&script, &route, &request, body) {
        Ok(()) => String::new(),
        Err(objection) => {
            assert_eq!(objection.status, 400, "{body}");
            objection.message
        }
    }
}

const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const BETA: (&str, &str) = ("anthropic-beta", "context-management-2025-06-27");

/// A question whose parameters are laid over with `over`.
fn asked(over: &Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 2_000,
        "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(over.as_object().unwrap().clone());
    body
}

fn messages(over: &Value) -> String {
    let script = json!({"dialect": "anthropic"});
    objection(script, Endpoint::Messages, &[VERSION], &asked(over))
}

fn turns(turns: &Value) -> String {
    messages(&json!({"messages": turns}))
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "r"})
}

#[test]
fn a_whole_conversation_is_taken() {
    let said = messages(&json!({
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1_024},
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}},
            {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "metadata": {"user_id": "u"}, "stream": true, "temperature": 1,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
            {"role": "system", "content": "b"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "c", "signature": "c2ln"},
                {"type": "text", "text": "d"}, call("1"), call("2")]},
            {"role": "user", "content": [result("2"), result("1"), {"type": "text", "text": "e"}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "f"},
        ],
    }));
    assert_eq!(said, "");
}

#[test]
fn parameters_that_are_none_are_refused() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let thinking = json!({"type": "adaptive"});
    for (over, part) in [
        (json!({"seed": 1}), "seed: Extra inputs"),
        (
            json!({"context_management": {}}),
            "context_management: Extra",
        ),
        (json!({"max_tokens": null}), "max_tokens"),
        (json!({"temperature": 2}), "temperature: range"),
        (
            json!({"model": "claude-x", "temperature": 1, "top_p": 1}),
            "both",
        ),
        (
            json!({"thinking": thinking, "temperature": 0.5}),
            "thinking is enabled",
        ),
        (
            json!({"thinking": thinking, "top_k": 5}),
            "thinking is enabled",
        ),
        (json!({"thinking": {"type": "enabled"}}), "budget_tokens"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
            "greater than",
        ),
        (
            json!({"thinking": thinking, "tools": tools, "tool_choice": {"type": "any"}}),
            "forces",
        ),
        (
            json!({"system": [{"type": "text", "text": " "}]}),
            "system.0",
        ),
        (json!({"stop_sequences": ["\n"]}), "stop_sequences.0"),
        (json!({"metadata": {"user": "u"}}), "metadata"),
        (
            json!({"tool_choice": {"type": "auto"}}),
            "while providing tools",
        ),
        (
            json!({"tools": tools, "tool_choice": {"type": "tool", "name": "g"}}),
            "not found",
        ),
        (
            json!({"tools": tools, "tool_choice": {"type": "required"}}),
            "required",
        ),
        (
            json!({"tools": [{"name": "f"}]}),
            "tools.0.custom.input_schema",
        ),
        (
            json!({"tools": [{"name": "f.g", "input_schema": {"type": "object"}}]}),
            "pattern",
        ),
        (json!({"tools": [tools[0], tools[0]]}), "unique"),
        (
            json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "function": {}}]}),
            "tools.0.custom.function",
        ),
    ] {
        let said = messages(&over);
        assert!(said.contains(part), "{over}: {said:?}");
    }
}

#[test]
fn turns_in_a_wrong_order_are_refused() {
    let user = json!({"role": "user", "content": "a"});
    let calls = json!({"role": "assistant", "content": [call("1"), call("2")]});
    let text = json!({"type": "text", "text": "b"});
    let answers = |blocks: Value| json!({"role": "user", "content": blocks});
    for (list, part) in [
        (
            json!([{"role": "system", "content": "a"}, user]),
            "follows a user's",
        ),
        (json!([{"role": "tool", "content": "a"}]), "messages.0"),
        (
            json!([{"role": "user", "content": "a", "name": "n"}]),
            "messages.0.name",
        ),
        (json!([user, calls]), "without `tool_result`"),
        (json!([user, calls, user]), "without `tool_result`"),
        (
            json!([user, calls, answers(json!([result("1")]))]),
            "without `tool_result`",
        ),
        (
            json!([user, calls, answers(json!([result("1"), result("3")]))]),
            "unexpected",
        ),
        (
            json!([user, calls, answers(json!([result("1"), result("1")]))]),
            "unexpected",
        ),
        (
            json!([
                user,
                calls,
                answers(json!([result("1"), text, result("2")]))
            ]),
            "in front",
        ),
        (json!([answers(json!([result("1")]))]), "unexpected"),
        (
            json!([user, {"role": "assistant", "content": "so "}]),
            "trailing whitespace",
        ),
    ] {
        let said = turns(&list);
        assert!(said.contains(part), "{list}: {said:?}");
    }
    let again = json!([user, {"role": "assistant", "content": [call("1")]},
        answers(json!([result("1")])), {"role": "assistant", "content": [call("1")]},
        answers(json!([result("1")]))]);
    assert!(turns(&again).contains("unique"));
}

#[test]
fn blocks_of_another_role_and_blank_ones_are_refused() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/bmp",
        "data": "aGk="}});
    for (role, block, part) in [
        ("user", json!({"type": "text", "text": ""}), "non-empty"),
        ("user", call("1"), "tool_use"),
        ("user", json!({"type": "video"}), "video"),
        ("user", image.clone(), "image.source"),
        ("assistant", image, "'image'"),
        (
            "assistant",
            json!({"type": "tool_use", "id": "a.b", "name": "f", "input": {}}),
            "id:",
        ),
        (
            "assistant",
            json!({"type": "tool_use", "id": "1", "name": "f", "input": "{}"}),
            "input",
        ),
        (
            "assistant",
            json!({"type": "thinking", "thinking": "a", "signature": "b.c"}),
            "signature",
        ),
    ] {
        let mut list = vec![json!({"role": "user", "content": "a"})];
        if role == "user" {
            list.clear();
        }
        list.push(json!({"role": role, "content": [block]}));
        let said = turns(&json!(list));
        assert!(said.contains(part), "{block}: {said:?}");
    }
    assert!(turns(&json!([{"role": "user", "content": ""}])).contains("non-empty"));
    let marked: Vec<Value> = (0..5)
        .map(|_| json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}))
        .collect();
    let said = turns(&json!([{"role": "user", "content": marked}]));
    assert!(said.contains("maximum of 4"), "{said}");
}

#[test]
fn keys_belong_to_versions_betas_and_endpoints() {
    let script = || json!({"dialect": "anthropic"});
    let warm = asked(&json!({"temperature": 1}));
    let newer = [("anthropic-version", "2026-10-21")];
    let said = objection(script(), Endpoint::Messages, &newer, &warm);
    assert!(said.contains("temperature: Extra inputs"), "{said}");
    let beta = asked(&json!({"context_management": {"edits": []}, "messages": [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "b", "output_config": {"effort": "low"}}]}));
    assert_eq!(
        objection(script(), Endpoint::Messages, &[VERSION, BETA], &beta),
        ""
    );
    let said = objection(
        script(),
        Endpoint::CountTokens,
        &[VERSION],
        &asked(&json!({})),
    );
    assert!(said.contains("max_tokens: Extra inputs"), "{said}");
    let counted =
        json!({"model": "m", "tools": [], "messages": [{"role": "user", "content": "a"}]});
    assert_eq!(
        objection(script(), Endpoint::CountTokens, &[VERSION], &counted),
        ""
    );
}

#[test]
fn neighbours_are_one_turn_unless_the_script_has_them_alternate() {
    let user = json!({"role": "user", "content": "a"});
    let said = json!({"role": "assistant", "content": "a"});
    let check = |turns: Value, alternate: bool| {
        let script = json!({"dialect": "anthropic", "alternate": alternate});
        let body = asked(&json!({"messages": turns}));
        objection(script, Endpoint::Messages, &[VERSION], &body)
    };
    assert_eq!(check(json!([said, said, user, user]), false), "");
    assert!(check(json!([said, user]), true).contains("first message"));
    assert!(check(json!([user, user]), true).contains("must alternate"));
    let answers = [result("1"), result("2")].map(|one| json!({"role": "user", "content": [one]}));
    let calls = [call("1"), call("2")].map(|one| json!({"role": "assistant", "content": [one]}));
    let [first, second] = &answers;
    let whole = json!([user, calls[0], calls[1], first, second, user]);
    assert_eq!(check(whole, false), "");
    let late = check(
        json!([user, calls[0], calls[1], first, user, second]),
        false,
    );
    assert!(late.contains("in front"), "{late}");
}

#[test]
fn chat_calls_and_results_must_meet() {
    let chat = |turns: Value| {
        objection(
            json!({}),
            Endpoint::Chat,
            &[],
            &json!({"model": "m", "messages": turns}),
        )
    };
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let answer = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    assert_eq!(
        chat(json!([calls, answer("2"), answer("1"), {"role": "user", "content": "a"}])),
        ""
    );
    for (list, part) in [
        (json!([calls]), "respond"),
        (
            json!([calls, answer("1"), {"role": "user", "content": "a"}]),
            "messages: 2",
        ),
        (json!([calls, answer("1"), answer("1")]), "preceeding"),
        (json!([answer("1")]), "preceeding"),
        (json!([{"role": "human", "content": "a"}]), "human"),
        (json!([{"role": "user", "content": null}]), "content"),
        (
            json!([{"role": "assistant", "content": "a", "tool_calls": []}]),
            "too short",
        ),
        (
            json!([calls, answer("1"), {"role": "tool", "tool_call_id": "2", "content": [
            {"type": "image_url"}]}]),
            "text alone",
        ),
        (json!([]), "at least one"),
    ] {
        let said = chat(list.clone());
        assert!(said.contains(part), "{list}: {said:?}");
    }
}

#[test]
fn a_script_may_refuse_parameters_and_unknown_keys() {
    let body = |over: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut()
            .unwrap()
            .extend(over.as_object().unwrap().clone());
        body
    };
    let chat = |script: &Value, over| objection(script.clone(), Endpoint::Chat, &[], &body(over));
    let reasons = json!({"unsupported": ["max_tokens", "temperature"]});
    assert_eq!(chat(&reasons, json!({"max_completion_tokens": 5})), "");
    assert!(chat(&reasons, json!({"max_tokens": 5})).contains("'max_completion_tokens'"));
    assert!(chat(&reasons, json!({"temperature": 1})).contains("'temperature'"));
    let strict = json!({"strict": true});
    assert_eq!(chat(&strict, json!({"seed": 1})), "");
    assert_eq!(chat(&json!({}), json!({"top_k": 1})), "");
    let tools = json!([{"type": "function", "function": {"name": "f".repeat(65)}}]);
    for (over, part) in [
        (json!({"top_k": 1}), "top_k"),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (json!({"tools": []}), "too short"),
        (json!({"tools": tools}), "tools[0]"),
    ] {
        let said = chat(&strict, over.clone());
        assert!(said.contains(part), "{over}: {said:?}");
    }
    let options = json!({"stream_options": {"include_usage": true}});
    assert!(chat(&json!({}), options).contains("stream_options"));
}

#[test]
fn a_body_is_an_object() {
    let said = objection(json!({}), Endpoint::Chat, &[], &json!([]));
    assert!(said.contains("object"), "{said}");
}

#[test]
fn a_responses_request_is_looked_at_item_by_item() {
    let said = |over: &Value| {
        let mut body = json!({"model": "m", "input": "hi"});
        let over = over.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(over);
        objection(json!({}), Endpoint::Responses, &[], &body)
    };
    let item = |item: Value| said(&json!({"input": [item]}));
    for (over, part) in [
        (json!({"n": 1}), "Unknown parameter: 'n'."),
        (json!({"messages": []}), "Unknown parameter: 'messages'."),
        (
            json!({"input": null}),
            "Missing required parameter: 'input'.",
        ),
        (json!({"background": true, "store": false}), "store=true"),
        (json!({"stream_options": {}}), "only allowed when 'stream'"),
        (
            json!({"previous_response_id": "a", "conversation": "b"}),
            "Mutually exclusive",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            "tools[0].name",
        ),
        (
            json!({"tools": [{"type": "wizard"}]}),
            "Invalid value: 'wizard'",
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n"}}}),
            "text.format.schema",
        ),
    ] {
        let message = said(&over);
        assert!(message.contains(part), "{over}: {message:?}");
    }
    for (bad, part) in [
        (json!({"type": "wish"}), "Invalid value: 'wish'"),
        (json!({"role": "user"}), "'input[0].content'"),
        (
            json!({"role": "tool", "content": "a"}),
            "Invalid value: 'tool'",
        ),
        (
            json!({"role": "user", "content": "a", "name": "n"}),
            "'input[0].name'",
        ),
        (
            json!({"role": "user", "content": [{"type": "text", "text": "a"}]}),
            "Invalid value: 'text'",
        ),
        (
            json!({"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}),
            "Invalid value: 'input_text'",
        ),
        (
            json!({"type": "function_call", "call_id": "a", "name": "f"}),
            "arguments",
        ),
        (
            json!({"type": "reasoning", "id": "msg_1", "summary": []}),
            "begins with 'rs'",
        ),
    ] {
        let message = item(bad.clone());
        assert!(message.contains(part), "{bad}: {message:?}");
    }
    for good in [
        json!({"role": "user", "content": "a"}),
        json!({"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]}),
        json!({"type": "item_reference", "id": "rs_1"}),
        json!({"id": "rs_1"}),
        json!({"type": "web_search_call", "anything": 1}),
    ] {
        assert_eq!(item(good.clone()), "", "{good}");
    }
}
