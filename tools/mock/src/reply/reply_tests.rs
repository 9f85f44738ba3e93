//! Tests of the bodies and streams a provider would send.

use serde_json::{Value, json};

use super::*;

fn answer(source: Value) -> Answer {
    serde_json::from_value(source).unwrap()
}

fn route(endpoint: Endpoint, flavour: Flavour) -> Route {
    Route {
        endpoint,
        flavour,
        deployment: None,
    }
}

fn ask(last_user: &str) -> Ask {
    Ask {
        model: "m".to_owned(),
        stream: true,
        include_usage: true,
        characters: last_user.len(),
        last_user: last_user.to_owned(),
        inputs: 2,
        ..Ask::default()
    }
}

fn with_voice<T>(
    route: &Route,
    ask: &Ask,
    script: Value,
    use_it: impl FnOnce(Voice<'_>) -> T,
) -> T {
    let answer = answer(script);
    use_it(Voice {
        route,
        ask,
        answer: &answer,
        name: "a",
        number: 1_000,
    })
}

fn body(route: &Route, ask: &Ask, script: Value) -> Value {
    serde_json::from_str(&with_voice(route, ask, script, |voice| voice.body())).unwrap()
}

/// All data of a stream, with its content events rendered.
fn events(route: &Route, ask: &Ask, script: Value) -> Vec<Value> {
    let stream = with_voice(route, ask, script, |voice| voice.stream().unwrap());
    let content = (0..stream.pieces.events).map(|index| {
        let piece = quoted(&stream.pieces.piece(index));
        format!("{}{piece}{}}}", stream.content.before, stream.content.after)
    });
    let opening = stream.opening.iter().map(|event| event.data.clone());
    let closing = stream.closing.iter().map(|event| event.data.clone());
    opening
        .chain(content)
        .chain(closing)
        .map(|data| serde_json::from_str(&data).unwrap_or(Value::String(data)))
        .collect()
}

#[test]
fn a_chat_answer_repeats_the_question_and_counts() {
    let route = route(Endpoint::Chat, Flavour::OpenAi);
    let body = body(
        &route,
        &ask("hello you"),
        json!({ "answer_model": "-2024-08-06" }),
    );
    assert_eq!(
        body["choices"][0]["message"]["content"],
        "mock a: hello you"
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["model"], "m-2024-08-06");
    assert_eq!(body["usage"]["prompt_tokens"], 3);
    assert_eq!(body["usage"]["completion_tokens"], 4);
    assert_eq!(body["usage"]["total_tokens"], 7);
}

#[test]
fn max_tokens_cuts_an_answer_short() {
    let route = route(Endpoint::Chat, Flavour::OpenAi);
    let ask = Ask {
        max_tokens: Some(3),
        ..ask("one two three")
    };
    let body = body(&route, &ask, json!({}));
    assert_eq!(body["choices"][0]["message"]["content"], "mock a: one");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[test]
fn words_repeat_up_to_the_scripted_count() {
    let route = route(Endpoint::Completions, Flavour::OpenAi);
    let script = json!({ "completion_tokens": 5, "events": 2 });
    let events = events(&route, &ask("x"), script);
    assert_eq!(events[0]["choices"][0]["text"], "mock a:");
    assert_eq!(events[1]["choices"][0]["text"], " x mock a:");
    assert_eq!(events[3]["usage"]["completion_tokens"], 5);
}

#[test]
fn a_stream_has_role_words_finish_usage_and_done() {
    let route = route(Endpoint::Chat, Flavour::OpenAi);
    let events = events(&route, &ask("hi"), json!({}));
    assert_eq!(events.len(), 7);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[0]["usage"], Value::Null);
    assert!(events[0].as_object().unwrap().contains_key("usage"));
    assert_eq!(events[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[5]["choices"], json!([]));
    assert_eq!(events[5]["usage"]["completion_tokens"], 3);
    assert_eq!(events[6], "[DONE]");
}

#[test]
fn usage_follows_its_policy() {
    let route = route(Endpoint::Chat, Flavour::OpenAi);
    let quiet = Ask {
        include_usage: false,
        ..ask("hi")
    };
    let count = |ask: &Ask, policy: &str| {
        let events = events(&route, ask, json!({ "usage": policy }));
        events
            .iter()
            .filter(|event| event["usage"].is_object())
            .count()
    };
    assert_eq!(count(&quiet, "asked"), 0);
    assert_eq!(count(&quiet, "always"), 1);
    assert_eq!(count(&ask("hi"), "never"), 0);
    let events = events(&route, &quiet, json!({ "usage": "on_finish_chunk" }));
    assert!(events[4]["usage"].is_object());
}

#[test]
fn azure_starts_with_a_prompt_filter_chunk() {
    let route = route(Endpoint::Chat, Flavour::Azure);
    let events = events(&route, &ask("hi"), json!({}));
    assert_eq!(events[0]["choices"], json!([]));
    assert_eq!(events[0]["id"], "");
    assert!(events[0]["prompt_filter_results"].is_array());
    assert!(events[2]["choices"][0]["content_filter_results"].is_object());
}

#[test]
fn ollama_has_its_own_ids_and_no_null_usage() {
    let route = route(Endpoint::Chat, Flavour::Ollama);
    let events = events(&route, &ask("hi"), json!({}));
    assert_eq!(events[0]["id"], "chatcmpl-1");
    assert_eq!(events[0]["system_fingerprint"], "fp_ollama");
    assert!(!events[0].as_object().unwrap().contains_key("usage"));
}

#[test]
fn anthropic_streams_are_complete() {
    let route = route(Endpoint::Messages, Flavour::Anthropic);
    let events = events(&route, &ask("hi"), json!({ "cached_tokens": 1 }));
    let types: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 1);
    assert_eq!(events[7]["usage"]["output_tokens"], 3);
}

#[test]
fn a_tool_call_joins_to_valid_arguments_in_both_dialects() {
    let ask = Ask {
        tool: Some("f".to_owned()),
        ..ask("say \"a, b\": c")
    };
    let expected = json!({ "input": "say \"a, b\": c" });
    let joined = |events: &[Value], pointer: &str| -> Value {
        let text: String = events
            .iter()
            .filter_map(|event| event.pointer(pointer)?.as_str())
            .collect();
        serde_json::from_str(&text).unwrap()
    };
    let openai = route(Endpoint::Chat, Flavour::OpenAi);
    let pointer = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(joined(&events(&openai, &ask, json!({})), pointer), expected);
    let ollama = route(Endpoint::Chat, Flavour::Ollama);
    assert_eq!(joined(&events(&ollama, &ask, json!({})), pointer), expected);
    let anthropic = route(Endpoint::Messages, Flavour::Anthropic);
    assert_eq!(
        joined(&events(&anthropic, &ask, json!({})), "/delta/partial_json"),
        expected
    );
    assert_eq!(
        body(&anthropic, &ask, json!({}))["content"][0]["input"],
        expected
    );
    let message = &body(&openai, &ask, json!({}))["choices"][0];
    assert_eq!(message["finish_reason"], "tool_calls");
}

#[test]
fn embeddings_are_the_same_as_floats_and_as_base64() {
    let route = route(Endpoint::Embeddings, Flavour::OpenAi);
    let floats = body(&route, &ask("hi"), json!({}));
    assert_eq!(floats["data"].as_array().unwrap().len(), 2);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 8);
    let coded = body(
        &route,
        &Ask {
            base64: true,
            ..ask("hi")
        },
        json!({}),
    );
    assert_eq!(coded["data"][1]["embedding"].as_str().unwrap().len(), 44);
}

#[test]
fn scripted_calls_follow_each_other_and_end_in_text() {
    let script = json!({
        "calls": [{ "name": "f", "input": { "a": 1 } },
            [{ "name": "f", "input": { "a": 2 } }, { "name": "g", "input": { "b, c": "d" } }]],
        "text": "all done",
    });
    let turn = |call_turns| Ask {
        call_turns,
        offered: vec!["f".to_owned(), "g".to_owned()],
        ..ask("hi")
    };
    let anthropic = route(Endpoint::Messages, Flavour::Anthropic);
    let whole = |turns| body(&anthropic, &turn(turns), script.clone());
    assert_eq!(whole(0)["content"][0]["input"], json!({ "a": 1 }));
    assert_eq!(whole(1)["content"][1]["name"], "g");
    assert_eq!(whole(1)["stop_reason"], "tool_use");
    assert_eq!(whole(2)["content"][0]["text"], "all done");
    let unoffered = body(&anthropic, &ask("hi"), script.clone());
    assert_eq!(unoffered["content"][0]["type"], "text");

    let events = events(&anthropic, &turn(1), script.clone());
    let arguments = |index: u64| -> String {
        let pieces = events.iter().filter(|event| event["index"] == index);
        pieces
            .filter_map(|event| event["delta"]["partial_json"].as_str())
            .collect()
    };
    assert_eq!(arguments(0), "{\"a\":2}");
    assert_eq!(arguments(1), "{\"b, c\":\"d\"}");
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(last["usage"]["input_tokens"], 1);
}

#[test]
fn parallel_calls_are_told_apart_in_every_flavour_of_chat() {
    let script = json!({ "calls": [[{ "name": "f", "input": { "a": 1 } },
        { "name": "f", "input": { "b, c": "d" } }]] });
    let asked = Ask {
        offered: vec!["f".to_owned()],
        ..ask("hi")
    };
    for flavour in [Flavour::OpenAi, Flavour::Azure, Flavour::Ollama] {
        let route = route(Endpoint::Chat, flavour);
        let events = events(&route, &asked, script.clone());
        let mut arguments = [String::new(), String::new()];
        for event in &events {
            let calls = event.pointer("/choices/0/delta/tool_calls");
            for call in calls.and_then(Value::as_array).into_iter().flatten() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                arguments[index] += call["function"]["arguments"].as_str().unwrap();
            }
        }
        assert_eq!(arguments, ["{\"a\":1}", "{\"b, c\":\"d\"}"], "{flavour:?}");
        let whole = body(&route, &asked, script.clone());
        let calls = &whole["choices"][0]["message"]["tool_calls"];
        assert_eq!(calls[1]["function"]["arguments"], "{\"b, c\":\"d\"}");
        assert_ne!(calls[0]["id"], calls[1]["id"]);
    }
}

#[test]
fn a_count_is_only_a_number() {
    let route = route(Endpoint::CountTokens, Flavour::Anthropic);
    let body = body(&route, &ask("hello you"), json!({}));
    assert_eq!(body, json!({ "input_tokens": 3 }));
}
