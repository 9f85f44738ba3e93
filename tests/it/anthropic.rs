//! Anthropic behind the OpenAI API.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider, seen_header};

fn config(mocks: &[&infermux_mock::Mock]) -> String {
    let providers: Vec<String> = mocks
        .iter()
        .map(|mock| {
            let base = format!("base_url: \"http://{}\"", mock.address());
            let models = "models: [claude-sonnet-4-5]";
            let aliases = "model_aliases: {m: claude-sonnet-4-5}";
            provider(mock, &["type: anthropic", &base, models, aliases])
        })
        .collect();
    config_of(&providers, "routing: {strategy: priority}\n")
}

fn claude(name: &str) -> infermux_mock::Mock {
    mock(json!({"name": name, "dialect": "anthropic"}))
}

fn ask(more: &Value) -> String {
    let mut body = json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello there"},
    ]});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body.to_string()
}

#[test]
fn an_openai_request_gets_claudes_answer_in_its_own_shape() {
    let alpha = claude("alpha");
    let router = Router::start(&config(&[&alpha]));
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/chat/completions",
        "Authorization: Bearer caller\r\nOpenAI-Organization: o\r\nX-Stainless-Lang: python\r\n\
         anthropic-beta: some\r\n",
        &ask(&json!({"seed": 7, "max_tokens": 50})),
    );
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "m");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(
        body["choices"][0]["message"]["content"]
            .as_str()
            .expect("text")
            .contains("hello")
    );
    let (prompt, completion) = (
        body["usage"]["prompt_tokens"].to_string(),
        body["usage"]["completion_tokens"].to_string(),
    );
    assert_eq!(answer.header("x-infermux-prompt-tokens"), Some(&*prompt));
    assert_eq!(
        answer.header("x-infermux-completion-tokens"),
        Some(&*completion)
    );
    assert_eq!(answer.header("x-infermux-model"), Some("claude-sonnet-4-5"));
    let cost: f64 = answer
        .header("x-infermux-cost")
        .expect("a cost")
        .parse()
        .expect("a number");
    assert!(cost > 0.0);

    let seen = last_seen(&alpha);
    assert_eq!(seen["path"], "/v1/messages");
    assert_eq!(seen["body"]["model"], "claude-sonnet-4-5");
    assert_eq!(seen["body"]["system"], "Be brief.");
    assert_eq!(seen["body"]["max_tokens"], 50);
    assert!(seen["body"].get("seed").is_none());
    assert_eq!(seen_header(&seen, "x-api-key").as_deref(), Some("sk-alpha"));
    assert_eq!(
        seen_header(&seen, "anthropic-version").as_deref(),
        Some("2023-06-01")
    );
    assert_eq!(
        seen_header(&seen, "anthropic-beta").as_deref(),
        Some("some")
    );
    for name in ["authorization", "openai-organization", "x-stainless-lang"] {
        assert_eq!(seen_header(&seen, name), None, "{name}");
    }
}

#[test]
fn a_stream_is_translated_event_by_event() {
    let alpha = claude("alpha");
    let router = Router::start(&config(&[&alpha]));
    let mut client = Client::connect(router.addr());
    for asked in [true, false] {
        let options = json!({"stream": true, "stream_options": {"include_usage": asked}});
        let answer = client.chat(&ask(&options));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.complete);
        let events = answer.events();
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
        let chunks: Vec<Value> = events[..events.len() - 1]
            .iter()
            .map(|event| serde_json::from_str(event).expect("JSON"))
            .collect();
        assert!(chunks.iter().all(|chunk| chunk["model"] == "m"));
        let deltas = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert!(deltas.collect::<String>().contains("hello there"));
        let last = chunks.last().expect("chunks");
        assert_eq!(last.get("usage").is_some_and(Value::is_object), asked);
        assert!(answer.trailer("x-infermux-cost").is_some());
    }
    assert_eq!(
        alpha.stats().connections_opened,
        1,
        "the connection is used again"
    );
}

#[test]
fn tools_are_called_and_answered_over_two_turns() {
    let alpha = claude("alpha");
    let router = Router::start(&config(&[&alpha]));
    let mut client = Client::connect(router.addr());
    let tools = json!([{"type": "function", "function": {
        "name": "look", "parameters": {"type": "object", "properties": {}},
    }}]);
    let answer = client.chat(&ask(&json!({"tools": tools, "tool_choice": "required"})));
    let message = answer.json()["choices"][0]["message"].clone();
    assert_eq!(
        answer.json()["choices"][0]["finish_reason"],
        "tool_calls",
        "{}",
        answer.text()
    );
    let call = &message["tool_calls"][0];
    assert_eq!(call["function"]["name"], "look");
    let messages = json!([
        {"role": "user", "content": "hello"}, message,
        {"role": "tool", "tool_call_id": call["id"], "content": "found it"},
    ]);
    let answer = client.chat(&ask(&json!({"tools": tools, "messages": messages})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = last_seen(&alpha);
    assert_eq!(
        seen["body"]["messages"][1]["content"][0]["type"],
        "tool_use"
    );
    assert_eq!(
        seen["body"]["messages"][2]["content"][0]["type"],
        "tool_result"
    );
}

#[test]
fn what_cannot_be_expressed_goes_to_another_provider_or_is_refused_with_its_place() {
    let audio = json!({"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]}]});
    let (alpha, beta) = (claude("alpha"), mock(json!({"name": "beta"})));
    let alone = Router::start(&config(&[&alpha]));
    let answer = Client::connect(alone.addr()).chat(&ask(&audio));
    assert_eq!(
        (answer.status, answer.code()),
        (400, "invalid_request".into())
    );
    assert!(
        answer.text().contains("messages[0].content[0]"),
        "{}",
        answer.text()
    );
    assert_eq!(alpha.stats().requests, 0);

    let both = config(&[&alpha]).replace("routing:", &format!("{}routing:", provider(&beta, &[])));
    let both = Router::start(&both);
    let answer = Client::connect(both.addr()).chat(&ask(&audio));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn errors_are_told_in_openais_shape_or_made_good() {
    for (status, told, code) in [
        (400, 400, Value::Null),
        (404, 404, json!("not_found")),
        (413, 413, json!("request_too_large")),
        (429, 429, json!("rate_limit")),
        (529, 502, json!("upstream_error")),
        (401, 502, json!("upstream_error")),
    ] {
        let alpha = claude("alpha");
        alpha
            .set_script(json!({"answers": [status]}))
            .expect("a script");
        let router = Router::start(&config(&[&alpha]));
        let answer = Client::connect(router.addr()).chat(&ask(&json!({})));
        assert_eq!(answer.status, told, "{status}: {}", answer.text());
        assert_eq!(
            answer.json()["error"]["code"],
            code,
            "{status}: {}",
            answer.text()
        );
        assert!(answer.json()["error"].as_object().expect("an object").len() >= 4);
    }
}

/// A stream that fails with an error of this type; before it comes what `before` says.
fn failing_stream(before: &str, kind: &str, message: &str) -> Value {
    let error = json!({"type": "error", "error": {"type": kind, "message": message}});
    json!({
        "headers": {"content-type": "text/event-stream; charset=utf-8"},
        "body": format!("{BEGINNING}{before}event: error\ndata: {error}\n\n"),
    })
}

const BEGINNING: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",",
    "\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],",
    "\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
);
const CONTENT: &str = concat!(
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"seen\"}}\n\n",
);

/// Types and messages of errors: what a lone provider's caller is told instead of the stream, and
/// the type and code of the frame that ends one.
const EVENTS: [(&str, &str, u16, &str, [&str; 2]); 13] = [
    (
        "overloaded_error",
        "Overloaded",
        502,
        "upstream_error",
        ["service_unavailable_error", "server_is_overloaded"],
    ),
    (
        "api_error",
        "no",
        502,
        "upstream_error",
        ["server_error", ""],
    ),
    (
        "timeout_error",
        "no",
        502,
        "upstream_error",
        ["server_error", "timeout"],
    ),
    (
        "rate_limit_error",
        "no",
        429,
        "rate_limit",
        ["rate_limit_error", "rate_limit_exceeded"],
    ),
    (
        "authentication_error",
        "no",
        502,
        "upstream_error",
        ["invalid_request_error", "invalid_api_key"],
    ),
    (
        "permission_error",
        "no",
        403,
        "permission_denied",
        ["invalid_request_error", "permission_denied"],
    ),
    (
        "billing_error",
        "no",
        502,
        "upstream_error",
        ["insufficient_quota", "insufficient_quota"],
    ),
    (
        "invalid_request_error",
        "Your credit balance is too low",
        502,
        "upstream_error",
        ["insufficient_quota", "insufficient_quota"],
    ),
    (
        "of_tomorrow",
        "no",
        502,
        "upstream_error",
        ["server_error", ""],
    ),
    (
        "invalid_request_error",
        "no",
        400,
        "",
        ["invalid_request_error", ""],
    ),
    (
        "invalid_request_error",
        "prompt is too long: 9",
        400,
        "context_length_exceeded",
        ["invalid_request_error", "context_length_exceeded"],
    ),
    (
        "not_found_error",
        "model: claude-x",
        404,
        "model_not_found",
        ["invalid_request_error", "model_not_found"],
    ),
    (
        "request_too_large",
        "no",
        413,
        "request_too_large",
        ["invalid_request_error", "request_too_large"],
    ),
];

#[test]
fn an_error_event_before_content_is_another_providers_to_make_good() {
    let (alpha, beta) = (claude("alpha"), claude("beta"));
    let alone = Router::start(&config(&[&alpha]));
    let streamed = ask(&json!({"stream": true}));
    for (kind, message, status, ..) in EVENTS {
        alpha
            .set_script(failing_stream("", kind, message))
            .expect("a script");
        // What is told of one error must not hang on the one before: a limit puts it aside.
        let both = Router::start(&config(&[&alpha, &beta]));
        let answer = Client::connect(both.addr()).chat(&streamed);
        let is_about_the_request = matches!(status, 400 | 404 | 413);
        let expected = if is_about_the_request { status } else { 200 };
        assert_eq!(answer.status, expected, "{kind}: {}", answer.text());
        if !is_about_the_request {
            assert_eq!(answer.header("x-infermux-provider"), Some("beta"), "{kind}");
            assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
            assert!(
                !answer.text().contains("msg_1"),
                "{kind}: {}",
                answer.text()
            );
        }
    }
    let limited = |kind: &str| kind == "rate_limit_error";
    let mut events = EVENTS;
    events.sort_by_key(|(kind, ..)| limited(kind));
    for (kind, message, status, code, _) in events {
        alpha
            .set_script(failing_stream("", kind, message))
            .expect("a script");
        let mut client = Client::connect(alone.addr());
        let answer = client.chat(&streamed);
        assert_eq!(answer.status, status, "{kind}: {}", answer.text());
        assert_eq!(answer.code(), code, "{kind}: {}", answer.text());
        assert!(answer.complete, "{kind}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json()["error"].as_object().expect("an object").len() >= 4);
        assert_eq!(
            answer.header("retry-after").is_some(),
            limited(kind),
            "{kind}"
        );
    }
}

#[test]
fn an_error_event_after_content_is_the_streams_last() {
    let (alpha, beta) = (claude("alpha"), claude("beta"));
    let router = Router::start(&config(&[&alpha, &beta]));
    for (kind, message, _, _, [told, code]) in EVENTS {
        alpha
            .set_script(failing_stream(CONTENT, kind, message))
            .expect("a script");
        let mut client = Client::connect(router.addr());
        let answer = client.chat(&ask(&json!({"stream": true})));
        assert_eq!((answer.status, answer.complete), (200, false), "{kind}");
        assert!(client.is_closed(), "{kind}");
        assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
        let events = answer.events();
        let [role, content, error] = events.as_slice() else {
            panic!("{kind}: {events:?}");
        };
        assert!(role.contains("assistant") && content.contains("seen"));
        assert!(!answer.text().contains("[DONE]") && !answer.text().contains("stop"));
        let code = if code.is_empty() {
            Value::Null
        } else {
            code.into()
        };
        let expected = json!({"error": {
            "message": message, "type": told, "param": null, "code": code,
        }});
        let error: Value = serde_json::from_str(error).expect("JSON");
        assert_eq!(error, expected, "{kind}");
    }
    assert_eq!(beta.stats().requests, 0, "nobody takes over what was begun");
}

#[test]
fn what_an_open_provider_serves_is_listed() {
    let models = json!(["claude-opus-4-5", "claude-haiku-4-5", "glm-5"]);
    let alpha = mock(json!({"name": "alpha", "dialect": "anthropic", "models": models}));
    let beta = mock(json!({"name": "beta"}));
    let base = format!("base_url: \"http://{}\"", alpha.address());
    let check = "health_check: {interval: 1h, timeout: 5s}";
    let open = provider(&alpha, &["type: anthropic", &base, "-models", check]);
    let listing = provider(&beta, &["models: [n]"]);
    let router = Router::start(&config_of(&[listing, open], ""));
    let mut client = Client::connect(router.addr());
    client.get("/v1/models");
    let answer = client.answer_to("GET");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let of_claude = |id: &str| {
        let created = 1_729_987_200;
        json!({"id": id, "object": "model", "created": created, "owned_by": "alpha"})
    };
    let expected = json!({"object": "list", "data": [
        {"id": "n", "object": "model", "created": 0, "owned_by": "beta"},
        of_claude("claude-opus-4-5"), of_claude("claude-haiku-4-5"),
    ]});
    assert_eq!(answer.json(), expected);
    let seen = last_seen(&alpha);
    assert_eq!(seen["path"], "/v1/models?limit=1000");
    assert_eq!(seen_header(&seen, "x-api-key").as_deref(), Some("sk-alpha"));
    let version = seen_header(&seen, "anthropic-version");
    assert_eq!(version.as_deref(), Some("2023-06-01"));

    client.get("/v1/models/claude-haiku-4-5");
    assert_eq!(
        client.answer_to("GET").json(),
        of_claude("claude-haiku-4-5")
    );
    // Whatever is listed can be asked for, and nothing else.
    for (model, status) in [("claude-haiku-4-5", 200), ("glm-5", 404)] {
        let answer = client.chat(&ask(&json!({"model": model})));
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
}

#[test]
fn what_is_not_sent_stands_in_the_access_line_at_debug() {
    let (alpha, beta) = (claude("alpha"), mock(json!({"name": "beta"})));
    let asked = ask(&json!({"seed": 7, "n": 2, "user": "a@b.example", "stop": "\n"}));
    let of_request = |log: String| {
        let line = log.lines().find(|line| line.contains("request_id="));
        line.map(str::to_owned)
    };
    for (level, expected) in [("debug", Some("dropped=n,seed,user,stop")), ("info", None)] {
        let log = format!("log: {{level: {level}}}\n");
        let router = Router::start(&(config(&[&alpha]) + &log));
        assert_eq!(Client::connect(router.addr()).chat(&asked).status, 200);
        router.wait_for_log("attempts=1");
        let line = of_request(router.log()).expect("an access line");
        match expected {
            Some(expected) => assert!(line.contains(expected), "{line}"),
            None => assert!(!line.contains("dropped"), "{line}"),
        }
    }
    // Where another provider takes over in the caller's own dialect, nothing is left out.
    alpha
        .set_script(json!({"answers": [500]}))
        .expect("a script");
    let beside = format!("{}routing:", provider(&beta, &[]));
    let both = config(&[&alpha]).replace("routing:", &beside);
    let router = Router::start(&(both + "log: {level: debug}\n"));
    assert_eq!(Client::connect(router.addr()).chat(&asked).status, 200);
    router.wait_for_log("attempts=2");
    let line = of_request(router.log()).expect("an access line");
    assert!(!line.contains("dropped"), "{line}");
}

#[test]
fn its_health_is_checked_and_it_has_no_embeddings() {
    let alpha = claude("alpha");
    let checked = config(&[&alpha]).replace("health_check: {disabled: true}", "timeout: 5s");
    let router = Router::start(&checked);
    let seen = last_seen(&alpha);
    assert_eq!(
        (seen["method"].as_str(), seen["path"].as_str()),
        (Some("GET"), Some("/v1/models?limit=1000"))
    );
    assert_eq!(
        seen_header(&seen, "anthropic-version").as_deref(),
        Some("2023-06-01")
    );
    let mut client = Client::connect(router.addr());
    client.post(
        "/v1/embeddings",
        &json!({"model": "m", "input": "x"}).to_string(),
    );
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.chat(&ask(&json!({}))).status, 200);
}
