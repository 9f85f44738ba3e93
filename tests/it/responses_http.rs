//! What callers of Responses ask for, and what reaches providers of each kind.

use serde_json::{Value, json};

use crate::support::canned::{Recorder, halves};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::router::Router;

/// A file with one provider of this type, which claims the model `m`; with these other settings.
fn file(kind: &str, provider: &Recorder, settings: &Value, shards: u32) -> String {
    let rest = format!("server: {{shards: {shards}}}\n");
    config_of(&[entry("h", kind, provider, settings)], &rest)
}

/// The entry of a provider, which claims the model `m`.
fn entry(name: &str, kind: &str, provider: &Recorder, settings: &Value) -> String {
    let base = match kind {
        "openai" => "/v1",
        _ => "",
    };
    let mut entry = json!({
        "name": name,
        "type": kind,
        "api_key": format!("sk-kit-{name}"),
        "base_url": format!("http://{}{base}", provider.addr()),
        "health_check": {"disabled": true},
        "models": ["m"],
    });
    let settings = settings.as_object().expect("settings");
    for (key, value) in settings {
        entry[key] = value.clone();
    }
    // JSON is YAML.
    format!("  - {entry}\n")
}

/// An answer with this status and body, as JSON.
fn answered(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
         {body}"
    )
    .into_bytes()
}

fn post(router: &Router, path: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post(path, body);
    client.answer()
}

/// Target and model of a request that a provider has seen.
fn seen(request: &[u8]) -> String {
    let (head, body) = halves(request);
    let target = head.lines().next().and_then(|line| line.split(' ').nth(1));
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    format!(
        "{} {}",
        target.unwrap_or_default(),
        body["model"].as_str().unwrap_or_default()
    )
}

const REQUEST: &str = r#"{"model":"m","input":"hi"}"#;

#[test]
fn responses_reach_a_provider_as_the_file_says() {
    let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21 m";
    for (kind, settings, expected) in [
        ("openai", json!({}), "/v1/responses m"),
        ("openai", json!({"responses": "native"}), "/v1/responses m"),
        (
            "openai",
            json!({"responses": "bridge"}),
            "/v1/chat/completions m",
        ),
        ("ollama", json!({}), "/v1/chat/completions m"),
        ("ollama", json!({"responses": "native"}), "/v1/responses m"),
        ("anthropic", json!({}), "/v1/messages m"),
        (
            "openai",
            json!({"model_aliases": {"m": "own"}}),
            "/v1/responses own",
        ),
        (
            "azure_openai",
            json!({"azure_deployment": "d"}),
            "/openai/v1/responses d",
        ),
        (
            "azure_openai",
            json!({"model_aliases": {"m": "own"}}),
            "/openai/v1/responses own",
        ),
        (
            "azure_openai",
            json!({"azure_deployment": "d", "responses": "bridge"}),
            azure,
        ),
    ] {
        let provider = Recorder::start(answered(500, "{}"));
        for shards in [1, 2] {
            let router = Router::start(&file(kind, &provider, &settings, shards));
            let answer = post(&router, "/v1/responses", REQUEST);
            assert_eq!(answer.status, 502, "{kind} {settings}");
            let how = match expected.contains("/responses") {
                true => "native",
                false => "bridge",
            };
            router.wait_for_log(&format!(
                "endpoint=responses dialect=responses responses={how} stream=false"
            ));
            let last = provider.seen().pop().expect("a request");
            assert_eq!(seen(&last), expected, "{kind} {settings}");
        }
        assert_eq!(provider.seen().len(), 2, "{kind} {settings}");
    }
}

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m",
    "choices":[{"index":0,"message":{"role":"assistant","content":"No."},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":2,"completion_tokens":7,"total_tokens":9}}"#;

#[test]
fn a_provider_without_the_path_is_asked_in_its_own_dialect_from_then_on() {
    for (status, missing) in [
        (404, r#"{"detail":"Not Found"}"#),
        (405, r#"{"detail":"Method Not Allowed"}"#),
        (404, "404 page not found"),
    ] {
        let provider =
            Recorder::in_turn(vec![answered(status, missing), answered(200, COMPLETION)]);
        let settings = json!({"circuit_breaker": {"consecutive_failures": 1}});
        let router = Router::start(&file("openai", &provider, &settings, 1));
        for _ in 0..3 {
            let answer = post(&router, "/v1/responses", REQUEST);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-infermux-attempts"), None, "it is free");
            assert_eq!(answer.header("x-infermux-prompt-tokens"), Some("2"));
        }
        let targets: Vec<String> = provider.seen().iter().map(|one| seen(one)).collect();
        let chat = "/v1/chat/completions m";
        assert_eq!(targets, ["/v1/responses m", chat, chat, chat], "{missing}");
        // Another configuration looks again.
        let same = file("openai", &provider, &json!({"weight": 2}), 1);
        assert_eq!(router.reload(&same).status, 200);
        post(&router, "/v1/responses", REQUEST);
        let seen: Vec<String> = provider.seen().iter().map(|one| seen(one)).collect();
        assert_eq!(seen[4], "/v1/responses m", "{missing}");
    }
}

/// A provider that has no Responses, and answers so in its own dialect.
fn without_responses(status: u16, body: &'static str) -> Recorder {
    Recorder::by(move |head, _| match head.split(' ').nth(1) {
        Some("/v1/responses") => answered(404, r#"{"detail":"Not Found"}"#),
        _ => answered(status, body),
    })
}

#[test]
fn a_provider_that_does_not_answer_in_its_own_dialect_either_is_asked_anew() {
    let error = r#"{"error":{"message":"No.","type":"t","param":null,"code":null}}"#;
    for (status, body) in [(400, error), (404, error), (500, "{}"), (200, "{}")] {
        let provider = without_responses(status, body);
        let settings = json!({"circuit_breaker": {"consecutive_failures": 9}});
        let router = Router::start(&file("openai", &provider, &settings, 1));
        for _ in 0..2 {
            let answer = post(&router, "/v1/responses", REQUEST);
            assert_ne!(answer.status, 200, "{}", answer.text());
        }
        let targets: Vec<String> = provider.seen().iter().map(|one| seen(one)).collect();
        let (native, chat) = ("/v1/responses m", "/v1/chat/completions m");
        assert_eq!(targets, [native, chat, native, chat], "{status}");
    }
}

#[test]
fn each_shard_finds_out_once_that_there_is_no_such_path() {
    let provider = without_responses(200, COMPLETION);
    let router = Router::start(&file("openai", &provider, &json!({}), 2));
    for _ in 0..20 {
        // A connection of its own each time, so that both shards are asked.
        assert_eq!(post(&router, "/v1/responses", REQUEST).status, 200);
    }
    let targets: Vec<String> = provider.seen().iter().map(|one| seen(one)).collect();
    let of = |target: &str| targets.iter().filter(|one| *one == target).count();
    assert!((1..=2).contains(&of("/v1/responses m")), "{targets:?}");
    assert_eq!(of("/v1/chat/completions m"), 20, "{targets:?}");
}

#[test]
fn an_answer_about_the_request_is_no_word_about_the_path() {
    for (settings, missing) in [
        (
            json!({}),
            r#"{"error":{"message":"x","type":"t","param":null,"code":"model_not_found"}}"#,
        ),
        (
            json!({}),
            r#"{"error":{"message":"no model `m`","type":"t","param":null,"code":null}}"#,
        ),
        (
            json!({"responses": "native"}),
            r#"{"error":{"message":"Not Found","type":"t","param":null,"code":null}}"#,
        ),
    ] {
        let provider = Recorder::start(answered(404, missing));
        let router = Router::start(&file("openai", &provider, &settings, 1));
        for _ in 0..2 {
            let answer = post(&router, "/v1/responses", REQUEST);
            assert_eq!((answer.status, answer.text()), (404, missing.to_owned()));
        }
        let targets: Vec<String> = provider.seen().iter().map(|one| seen(one)).collect();
        assert_eq!(targets, ["/v1/responses m", "/v1/responses m"], "{missing}");
    }
    // What cannot be told in another dialect gets the provider's answer.
    let missing = r#"{"error":{"message":"Not Found","type":"t","param":null,"code":null}}"#;
    let provider = Recorder::start(answered(404, missing));
    let router = Router::start(&file("openai", &provider, &json!({}), 1));
    let answer = post(&router, "/v1/responses/compact", REQUEST);
    assert_eq!((answer.status, answer.text()), (404, missing.to_owned()));
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn an_upgrade_is_refused_before_anything_else() {
    let provider = Recorder::start(answered(500, "{}"));
    let rest = "auth: {mode: static_key, key: k}\n";
    let router = Router::start(&config_of(
        &[entry("h", "openai", &provider, &json!({}))],
        rest,
    ));
    for (method, path, fields, status) in [
        ("GET", "/v1/responses", "Upgrade: websocket\r\n", 426),
        (
            "GET",
            "/openai/v1/responses/?x=1",
            "upgrade: WebSocket\r\n",
            426,
        ),
        ("GET", "/responses", "Upgrade: h2c, websocket\r\n", 426),
        ("GET", "/v1/responses", "Upgrade: h2c\r\n", 405),
        ("GET", "/v1/responses", "", 405),
        ("PUT", "/v1/responses", "Upgrade: websocket\r\n", 405),
        ("DELETE", "/v1/responses", "", 405),
        (
            "GET",
            "/v1/responses/input_tokens",
            "Upgrade: websocket\r\n",
            405,
        ),
        ("GET", "/v1/chat/completions", "Upgrade: websocket\r\n", 405),
        ("POST", "/v1/responses", "", 401),
        ("POST", "/v1/responses/compact", "", 401),
        ("POST", "/v1/conversations", "", 404),
        ("GET", "/v1/conversations/conv_1/items", "", 404),
    ] {
        let mut client = Client::connect(router.addr());
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n{fields}\
             Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{method} {path} {fields}");
        if status != 426 {
            continue;
        }
        assert_eq!(answer.code(), "upgrade_required");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("upgrade"), Some("HTTP/1.1"));
        assert!(client.is_closed(), "{path}");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn tokens_are_counted_by_a_provider_that_can_and_estimated_otherwise() {
    let count = r#"{"object":"response.input_tokens","input_tokens":11}"#;
    let path = "/v1/responses/input_tokens";
    let body = json!({"model": "m", "instructions": "abcd", "input": "a".repeat(397)}).to_string();
    let estimate = json!({"object": "response.input_tokens", "input_tokens": 101});
    for (kind, settings, answer, native) in [
        ("openai", json!({}), answered(200, count), true),
        (
            "ollama",
            json!({"responses": "native"}),
            answered(200, count),
            true,
        ),
        (
            "openai",
            json!({"responses": "bridge"}),
            answered(200, count),
            false,
        ),
        (
            "anthropic",
            json!({}),
            answered(200, r#"{"input_tokens":3}"#),
            false,
        ),
        (
            "openai",
            json!({}),
            answered(404, r#"{"detail":"Not Found"}"#),
            false,
        ),
        ("openai", json!({}), answered(500, "{}"), false),
    ] {
        let provider = Recorder::start(answer);
        for shards in [1, 2] {
            let router = Router::start(&file(kind, &provider, &settings, shards));
            let told = post(&router, path, &body);
            assert_eq!(told.status, 200, "{kind} {settings}: {}", told.text());
            let (expected, by) = if native {
                (serde_json::from_str(count).expect("JSON"), "native")
            } else {
                (estimate.clone(), "estimated")
            };
            assert_eq!(told.json(), expected, "{kind} {settings}");
            assert_eq!(told.header("x-infermux-token-count"), Some(by), "{kind}");
            assert_eq!(told.header("x-infermux-cost"), None, "{kind}");
        }
        let is_asked = kind != "anthropic" && settings != json!({"responses": "bridge"});
        assert_eq!(
            provider.seen().len(),
            if is_asked { 2 } else { 0 },
            "{kind}"
        );
        for request in provider.seen() {
            assert_eq!(seen(&request), "/v1/responses/input_tokens m");
        }
    }
    let large = json!({"model": "m", "input": "a".repeat(400_000)}).to_string();
    let provider = Recorder::start(answered(500, "{}"));
    let router = Router::start(&file("ollama", &provider, &json!({}), 2));
    assert_eq!(post(&router, path, &large).json()["input_tokens"], 100_000);
    let unknown = post(&router, path, r#"{"model":"x","input":"hi"}"#);
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "model_not_found".into())
    );
    let missing = post(&router, path, r#"{"input":"hi"}"#);
    assert_eq!(
        (missing.status, missing.code()),
        (400, "invalid_request".into())
    );
}

#[test]
fn a_refused_count_is_told_where_it_is_about_the_request() {
    let refusal = r#"{"error":{"message":"bad","type":"invalid_request_error","param":"input",
        "code":null}}"#;
    let provider = Recorder::start(answered(400, refusal));
    let router = Router::start(&file("openai", &provider, &json!({}), 1));
    let told = post(&router, "/v1/responses/input_tokens", REQUEST);
    assert_eq!((told.status, told.text()), (400, refusal.to_owned()));
}

#[test]
fn nobody_but_a_provider_with_responses_makes_a_conversation_shorter() {
    let provider = Recorder::start(answered(500, "{}"));
    for (kind, settings) in [
        ("openai", json!({"responses": "bridge"})),
        ("ollama", json!({})),
        ("anthropic", json!({})),
    ] {
        let router = Router::start(&file(kind, &provider, &settings, 2));
        let answer = post(&router, "/v1/responses/compact", REQUEST);
        assert_eq!(answer.status, 400, "{kind}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "invalid_request", "{kind}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains("compact"), "{kind}: {message}");
    }
    assert!(provider.seen().is_empty());
    let native = Recorder::start(answered(400, r#"{"error":{"message":"x"}}"#));
    let bridged = entry("a", "ollama", &provider, &json!({}));
    let native_one = entry("b", "openai", &native, &json!({}));
    for order in [[&bridged, &native_one], [&native_one, &bridged]] {
        let router = Router::start(&config_of(
            &order.map(String::clone),
            "routing: {strategy: priority}\n",
        ));
        post(&router, "/v1/responses/compact", REQUEST);
    }
    let targets: Vec<String> = native.seen().iter().map(|one| seen(one)).collect();
    assert_eq!(targets, ["/v1/responses/compact m"; 2]);
    assert!(provider.seen().is_empty());
}

#[test]
fn errors_of_providers_are_told_in_the_words_that_clients_go_by() {
    let too_long = "This model's maximum context length is 8192 tokens. However, you requested \
                    9000 tokens.";
    let own = json!({"error": {"message": too_long, "type": "BadRequestError", "param": null,
        "code": 400}});
    let anthropics = json!({"type": "error", "error": {"type": "invalid_request_error",
        "message": "prompt is too long: 210000 tokens > 200000 maximum"}});
    let other = json!({"error": {"message": "x", "type": "t", "param": null, "code": "slow_down"}});
    for (kind, settings, answer, expected) in [
        (
            "openai",
            json!({"responses": "bridge"}),
            answered(413, &own.to_string()),
            (
                400,
                json!("context_length_exceeded"),
                json!("BadRequestError"),
            ),
        ),
        (
            "openai",
            json!({"responses": "native"}),
            answered(400, &own.to_string()),
            (400, json!(400), json!("BadRequestError")),
        ),
        (
            "anthropic",
            json!({}),
            answered(400, &anthropics.to_string()),
            (
                400,
                json!("context_length_exceeded"),
                json!("invalid_request_error"),
            ),
        ),
        (
            "openai",
            json!({"responses": "native"}),
            answered(409, &other.to_string()),
            (409, json!("server_error"), json!("t")),
        ),
        (
            "openai",
            json!({"responses": "bridge"}),
            answered(409, &other.to_string()),
            (409, json!("server_error"), json!("t")),
        ),
    ] {
        let provider = Recorder::start(answer);
        let router = Router::start(&file(kind, &provider, &settings, 1));
        for stream in [false, true] {
            let body = format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#);
            let answer = post(&router, "/v1/responses", &body);
            let error = &answer.json()["error"];
            let found = (answer.status, error["code"].clone(), error["type"].clone());
            assert_eq!(found, expected, "{kind} {settings}");
        }
    }
}

#[test]
fn a_failure_is_judged_by_what_it_says_however_like_the_one_before_it_is() {
    let failed = |code: &str| {
        let body = json!({"id": "resp_1", "object": "response", "status": "failed", "model": "m",
            "error": {"code": code, "message": "x"}, "output": [], "usage": {"input_tokens": 3,
            "output_tokens": 1, "total_tokens": 4}});
        answered(200, &body.to_string())
    };
    let codes = ["invalid_prompt", "invalid_prompt", "rate_limit_exceeded"];
    let first = Recorder::in_turn(codes.map(failed).to_vec());
    let router = Router::start(&file("openai", &first, &json!({"responses": "native"}), 1));
    let statuses = codes.map(|_| post(&router, "/v1/responses", REQUEST).status);
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn a_stream_that_fails_behind_an_early_head_ends_as_a_response_that_failed() {
    let refusal = |message: &str| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": null,
            "code": null});
        answered(400, &json!({"error": error}).to_string())
    };
    let too_long = "This model's maximum context length is 8192 tokens.";
    for (settings, answer, code, message) in [
        (
            json!({"responses": "bridge"}),
            answered(500, "{}"),
            "server_error",
            "the provider h answered 500",
        ),
        (
            json!({"responses": "native"}),
            answered(500, "{}"),
            "server_error",
            "the provider h answered 500",
        ),
        (
            json!({"responses": "bridge"}),
            refusal("no \"such\" thing"),
            "invalid_prompt",
            "no \"such\" thing",
        ),
        (
            json!({"responses": "native"}),
            refusal("no \"such\" thing"),
            "invalid_prompt",
            "no \"such\" thing",
        ),
        (
            json!({"responses": "bridge"}),
            refusal(too_long),
            "context_length_exceeded",
            too_long,
        ),
    ] {
        let provider = Recorder::start(answer);
        let router = Router::start(&file("openai", &provider, &settings, 1));
        let mut client = Client::connect(router.addr());
        let body = r#"{"model":"m","input":"hi","stream":true}"#;
        // The connection goes on.
        for _ in 0..2 {
            client.post_with("/v1/responses", "X-Infermux-Early-Head: true\r\n", body);
            let answer = client.answer();
            let text = answer.text();
            assert!(answer.status == 200 && answer.complete, "{text}");
            let events = answer.named_events();
            let names: Vec<&str> = events
                .iter()
                .filter_map(|event| event["type"].as_str())
                .collect();
            assert_eq!(names, ["response.created", "response.failed"], "{text}");
            let error = &events[1]["response"]["error"];
            assert_eq!(
                (&error["code"], &error["message"]),
                (&json!(code), &json!(message))
            );
            assert_eq!(events[0]["response"]["id"], events[1]["response"]["id"]);
            assert_eq!(events[1]["response"]["model"], "m");
        }
        assert_eq!(provider.seen().len(), 2);
    }
}

#[test]
fn what_a_provider_calls_the_model_is_not_told_in_headers() {
    let body = r#"{"error":{"message":"x","type":"t","param":null,"code":null}}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 400 x\r\nContent-Type: application/json\r\nopenai-model: own-1\r\n\
         openai-processing-ms: 7\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    for settings in [
        json!({"responses": "native", "forward_caller_key": true}),
        json!({"responses": "native"}),
        json!({"responses": "bridge"}),
    ] {
        let provider = Recorder::start(answer.clone().into_bytes());
        let router = Router::start(&file("openai", &provider, &settings, 1));
        let answer = post(&router, "/v1/responses", REQUEST);
        assert_eq!(answer.status, 400, "{settings}");
        assert_eq!(answer.header("openai-model"), None, "{settings}");
        assert_eq!(answer.header("openai-processing-ms"), Some("7"));
    }
}

#[test]
fn a_whole_answer_is_told_as_events_with_its_cost() {
    let message = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m",
        "content":[{"type":"text","text":"No."}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":2,"output_tokens":7}}"#;
    for (kind, body) in [("openai", COMPLETION), ("anthropic", message)] {
        let provider = Recorder::start(answered(200, body));
        let settings = match kind {
            "openai" => json!({"responses": "bridge"}),
            _ => json!({}),
        };
        let prices = "pricing: {h: {m: {input_per_million: 1000000, output_per_million: 0}}}\n";
        let router = Router::start(&config_of(
            &[entry("h", kind, &provider, &settings)],
            prices,
        ));
        for (fields, cost) in [
            ("", Value::Null),
            ("X-Infermux-Stream-Cost: include\r\n", json!(2)),
        ] {
            let mut client = Client::connect(router.addr());
            let body = r#"{"model":"m","input":"hi","stream":true}"#;
            client.post_with("/v1/responses", fields, body);
            let answer = client.answer();
            assert!(answer.status == 200 && answer.complete, "{}", answer.text());
            let events = answer.named_events();
            let names: Vec<&str> = events
                .iter()
                .filter_map(|event| event["type"].as_str())
                .collect();
            let expected = "response.created response.in_progress response.output_item.added \
                response.content_part.added response.output_text.delta response.output_text.done \
                response.content_part.done response.output_item.done response.completed";
            assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
            let last = &events[8]["response"];
            assert_eq!(last["output"][0]["content"][0]["text"], "No.");
            assert_eq!(last["usage"]["output_tokens"], 7);
            assert_eq!(last["usage"]["cost_usd"], cost, "{kind}");
            assert_eq!(answer.trailer("x-infermux-cost"), Some("2"), "{kind}");
            assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("7"));
        }
    }
}

#[test]
fn providers_of_both_kinds_take_over_from_each_other() {
    let response = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed",
        "model":"m","output":[{"type":"message","id":"msg_1","role":"assistant",
        "status":"completed","content":[{"type":"output_text","text":"No.","annotations":[]}]}],
        "usage":{"input_tokens":2,"output_tokens":7,"total_tokens":9}}"#;
    let kinds = [
        ("openai", json!({"responses": "native"}), response),
        ("openai", json!({"responses": "bridge"}), COMPLETION),
    ];
    for (first, second) in [(0, 1), (1, 0)] {
        let (kind, settings, _) = &kinds[first];
        let failing = Recorder::start(answered(500, "{}"));
        let failing_one = entry("a", kind, &failing, settings);
        let (kind, settings, body) = &kinds[second];
        let other = Recorder::start(answered(200, body));
        let other_one = entry("b", kind, &other, settings);
        for shards in [1, 2] {
            let rest = format!("server: {{shards: {shards}}}\nrouting: {{strategy: priority}}\n");
            let router =
                Router::start(&config_of(&[failing_one.clone(), other_one.clone()], &rest));
            for stream in [false, true] {
                let body = format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#);
                let answer = post(&router, "/v1/responses", &body);
                assert_eq!(answer.status, 200, "{first} {}", answer.text());
                assert_eq!(answer.header("x-infermux-provider"), Some("b"));
                assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
                let told = match stream {
                    true => answer.named_events().pop().expect("an end")["response"].clone(),
                    false => answer.json(),
                };
                assert_eq!(told["output"][0]["content"][0]["text"], "No.");
            }
        }
        let targets = [&failing, &other].map(|one| seen(&one.seen()[0]));
        let of = |place| ["/v1/responses m", "/v1/chat/completions m"][place];
        assert_eq!(targets, [of(first), of(second)]);
    }
}
