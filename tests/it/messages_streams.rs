//! Streams, answers and errors for callers of Messages, whatever the provider speaks.

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider};

/// A provider of this type that calls the model `m` `claude-sonnet-4-5` or `gpt-4o`.
fn of_type(mock: &infermux_mock::Mock, kind: &str) -> String {
    let own = if kind == "anthropic" {
        "claude-sonnet-4-5"
    } else {
        "gpt-4o"
    };
    let lines = [
        format!("type: {kind}"),
        format!("base_url: \"http://{}\"", mock.address()),
        format!("models: [{own}]"),
        format!("model_aliases: {{m: {own}}}"),
    ];
    let lines: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| kind == "anthropic" || !line.starts_with("base_url"))
        .collect();
    provider(mock, &lines)
}

/// A mock that speaks what providers of this type do.
fn speaking(kind: &str, name: &str) -> infermux_mock::Mock {
    mock(json!({"name": name, "dialect": kind}))
}

/// A request for the model `m`, with these members besides.
fn ask(more: &Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 64, "messages": [
        {"role": "user", "content": "hello there"},
    ]});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body.to_string()
}

fn post(client: &mut Client, body: &str) -> Answer {
    client.post_with("/v1/messages", "anthropic-version: 2023-06-01\r\n", body);
    client.answer()
}

/// The events of a stream, pings aside.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let data: Value = serde_json::from_str(data).expect("JSON");
        let kind = data["type"].as_str().expect("a type");
        assert_eq!(name, format!("event: {kind}"));
        data
    });
    events.filter(|event| event["type"] != "ping").collect()
}

/// The text of a stream that is whole.
fn whole_text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete, "{}", answer.text());
    let events = events(answer);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(kinds.first(), Some(&"message_start"));
    assert_eq!(kinds.last(), Some(&"message_stop"));
    assert_eq!(events[0]["message"]["model"], "m");
    let texts = events
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str());
    texts.collect()
}

#[test]
fn a_stream_of_claude_crosses_as_it_came() {
    let (alpha, twin) = (
        speaking("anthropic", "alpha"),
        speaking("anthropic", "alpha"),
    );
    let providers = [of_type(&alpha, "anthropic")];
    let router = Router::start(&config_of(&providers, "server: {shards: 2}\n"));
    let body = ask(&json!({"stream": true}));
    let answer = post(&mut Client::connect(router.addr()), &body);
    whole_text(&answer);
    let own = body.replacen("\"m\"", "\"claude-sonnet-4-5\"", 1);
    let mut client = Client::connect(twin.address());
    client.post_with(
        "/v1/messages",
        "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
        &own,
    );
    let expected = client.answer();
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let expected = expected.text().replace(ping, "");
    let expected = expected.replace("\"claude-sonnet-4-5\"", "\"m\"");
    assert_eq!(answer.text().replace(ping, ""), expected);
    assert!(answer.trailer("x-infermux-cost").is_some());
}

#[test]
fn chat_providers_answer_callers_of_messages() {
    for kind in ["openai", "ollama"] {
        let alpha = speaking(kind, "alpha");
        let router = Router::start(&config_of(&[of_type(&alpha, kind)], ""));
        let mut client = Client::connect(router.addr());
        let answer = post(&mut client, &ask(&json!({})));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let message = answer.json();
        assert_eq!(message["type"], "message");
        assert_eq!(message["model"], "m");
        assert_eq!(message["stop_reason"], "end_turn");
        let text = message["content"][0]["text"].as_str().expect("text");
        assert!(text.contains("hello there"), "{text}");
        let streamed = post(&mut client, &ask(&json!({"stream": true})));
        assert_eq!(whole_text(&streamed), text);
        let last = events(&streamed);
        let usage = &last[last.len() - 2]["usage"];
        assert_eq!(usage["input_tokens"], message["usage"]["input_tokens"]);
        assert_eq!(
            streamed.trailer("x-infermux-prompt-tokens"),
            Some(&*usage["input_tokens"].to_string())
        );
        assert_eq!(last_seen(&alpha)["path"], "/v1/chat/completions");
    }
}

#[test]
fn calls_of_tools_go_there_and_back() {
    let alpha = speaking("openai", "alpha");
    let long = "a_tool_whose_name_is_longer_than_what_chat_completions_take_at_most_";
    let script = json!({"calls": [[
        {"name": "Read", "input": {"file_path": "/tmp/\"a\""}}, {"name": "Read", "input": {}},
    ]]});
    alpha.set_script(script).expect("a script");
    let router = Router::start(&config_of(&[of_type(&alpha, "openai")], ""));
    let mut client = Client::connect(router.addr());
    let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
    let tools = json!([tool("Read"), tool(long)]);
    let answer = post(&mut client, &ask(&json!({"tools": tools})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let message = answer.json();
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(message["content"][0]["input"]["file_path"], "/tmp/\"a\"");
    let streamed = post(&mut client, &ask(&json!({"tools": tools, "stream": true})));
    assert!(streamed.complete, "{}", streamed.text());
    let events = events(&streamed);
    let arguments = |index: usize| -> String {
        let own = events.iter().filter(|event| event["index"] == index);
        let parts = own.filter_map(|event| event["delta"]["partial_json"].as_str());
        parts.collect()
    };
    assert_eq!(
        arguments(0).replace(' ', ""),
        r#"{"file_path":"/tmp/\"a\""}"#
    );
    assert_eq!(arguments(1), "{}");
    let stop = &events[events.len() - 2]["delta"]["stop_reason"];
    assert_eq!(stop, "tool_use");
}

#[test]
fn a_provider_of_another_dialect_takes_over() {
    for (first, second) in [("anthropic", "openai"), ("openai", "anthropic")] {
        let (alpha, beta) = (speaking(first, "alpha"), speaking(second, "beta"));
        let script = json!({"do": "error_event_before_content"});
        alpha.set_script(script).expect("a script");
        let providers = [of_type(&alpha, first), of_type(&beta, second)];
        let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
        let mut client = Client::connect(router.addr());
        for stream in [false, true] {
            let answer = post(&mut client, &ask(&json!({"stream": stream})));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
            if stream {
                whole_text(&answer);
            }
        }
    }
}

#[test]
fn a_stream_that_breaks_says_so_in_its_last_event() {
    for kind in ["anthropic", "openai"] {
        for (script, error) in [
            (json!({"do": "cut_mid_stream"}), "api_error"),
            (json!({"do": "error_event_mid_stream"}), ""),
        ] {
            let alpha = speaking(kind, "alpha");
            alpha.set_script(script.clone()).expect("a script");
            let router = Router::start(&config_of(&[of_type(&alpha, kind)], ""));
            let answer = post(
                &mut Client::connect(router.addr()),
                &ask(&json!({"stream": true})),
            );
            assert!(!answer.complete, "no final chunk");
            let events = events(&answer);
            let last = events.last().expect("events");
            assert_eq!(last["type"], "error", "{kind} {script}");
            let told = last["error"]["type"].as_str().expect("a type");
            assert!(told == error || error.is_empty(), "{last}");
            let errors = events.iter().filter(|event| event["type"] == "error");
            assert_eq!(errors.count(), 1);
            assert!(events.iter().all(|event| event["type"] != "message_stop"));
        }
    }
}

#[test]
fn errors_of_chat_providers_get_anthropics_shape_and_words() {
    let alpha = speaking("openai", "alpha");
    let router = Router::start(&config_of(&[of_type(&alpha, "openai")], ""));
    let mut client = Client::connect(router.addr());
    for (status, error, expected) in [
        (
            400,
            json!({"message": "maximum context length is 100 tokens, resulted in 120 tokens",
                "code": "context_length_exceeded"}),
            json!({"type": "invalid_request_error",
                "message": "prompt is too long: 120 tokens > 100 maximum"}),
        ),
        (
            422,
            json!({"message": "no sk-alpha here"}),
            json!({"type": "invalid_request_error", "message": "no ******** here"}),
        ),
        (
            404,
            json!({"message": "no such model"}),
            json!({"type": "not_found_error", "message": "no such model"}),
        ),
    ] {
        let script = json!({"status": status, "body": {"error": error}});
        alpha.set_script(script).expect("a script");
        for stream in [false, true] {
            let answer = post(&mut client, &ask(&json!({"stream": stream})));
            assert_eq!(answer.status, status, "{}", answer.text());
            let body = answer.json();
            assert_eq!(
                (&body["type"], &body["error"]),
                (&json!("error"), &expected)
            );
            assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
        }
    }
}

#[test]
fn a_whole_answer_is_told_as_a_stream() {
    for (kind, body) in [
        (
            "openai",
            json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2}}),
        ),
        (
            "anthropic",
            json!({"type": "message", "model": "x", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "Hi"}, {"type": "new", "x": 1}],
                "usage": {"input_tokens": 9, "output_tokens": 2}}),
        ),
    ] {
        let alpha = speaking(kind, "alpha");
        let script = json!({"status": 200, "body": body});
        alpha.set_script(script).expect("a script");
        let router = Router::start(&config_of(&[of_type(&alpha, kind)], ""));
        let answer = post(
            &mut Client::connect(router.addr()),
            &ask(&json!({"stream": true})),
        );
        assert_eq!(whole_text(&answer), "Hi", "{kind}");
        let told = answer.trailer("x-infermux-completion-tokens");
        let told = told.or_else(|| answer.header("x-infermux-completion-tokens"));
        assert_eq!(told, Some("2"), "{kind}");
    }
}
