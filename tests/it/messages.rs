//! Callers of Messages, whatever the provider speaks.

use serde_json::{Value, json};

use crate::support::client::{self, Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider, seen_header};

/// A mock that speaks Messages.
fn claude(name: &str) -> infermux_mock::Mock {
    mock(json!({"name": name, "dialect": "anthropic"}))
}

/// A provider of type `anthropic` that calls the model `m` `claude-sonnet-4-5`.
fn anthropic(mock: &infermux_mock::Mock, more: &[&str]) -> String {
    let base = format!("base_url: \"http://{}\"", mock.address());
    let usual = [
        "type: anthropic",
        &base,
        "models: [claude-sonnet-4-5]",
        "model_aliases: {m: claude-sonnet-4-5}",
    ];
    provider(mock, &[&usual, more].concat())
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

fn text_of(answer: &Answer) -> String {
    let body = answer.json();
    let blocks = body["content"].as_array().cloned().unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    texts.collect()
}

#[test]
fn what_claude_is_asked_and_says_crosses_byte_for_byte() {
    let alpha = claude("alpha");
    let router = Router::start(&config_of(&[anthropic(&alpha, &[])], ""));
    let mut client = Client::connect(router.addr());
    let content = "[{\"type\":\"text\",\"text\":\"hello there\"}]";
    let messages = format!("[{{\"role\":\"user\",\"content\":{content}}}]");
    let body = format!(
        "{{ \"model\" : \"m\",\"max_tokens\":64, \"top_p\": 0.50,\n \"messages\":{messages},\
         \"metadata\":{{\"user_id\":\"\\u00e9\\/\"}} }} "
    );
    let beta = "anthropic-version: 2023-06-01\r\nanthropic-beta: a,b\r\n";
    client.post_with("/v1/messages?x=1&beta=true", beta, &body);
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let message = answer.json();
    assert_eq!(message["type"], "message");
    assert_eq!(message["model"], "m");
    assert!(text_of(&answer).contains("hello there"));
    let usage = &message["usage"];
    let counts = [
        (
            "x-infermux-prompt-tokens",
            usage["input_tokens"].to_string(),
        ),
        (
            "x-infermux-completion-tokens",
            usage["output_tokens"].to_string(),
        ),
    ];
    for (name, count) in counts {
        assert_eq!(answer.header(name), Some(&*count), "{name}");
    }
    assert_eq!(answer.header("x-infermux-model"), Some("claude-sonnet-4-5"));
    let cost = answer.header("x-infermux-cost").expect("a cost");
    assert!(cost.parse::<f64>().expect("a number") > 0.0);

    let seen = last_seen(&alpha);
    assert_eq!(seen["path"], "/v1/messages?beta=true");
    let expected = body.replacen("\"m\"", "\"claude-sonnet-4-5\"", 1);
    assert_eq!(seen["body_text"], expected);
    let header = |name| seen_header(&seen, name);
    assert_eq!(header("x-api-key").as_deref(), Some("sk-alpha"));
    assert_eq!(header("anthropic-beta").as_deref(), Some("a,b"));
}

#[test]
fn a_large_body_crosses_byte_for_byte() {
    let alpha = claude("alpha");
    let router = Router::start(&config_of(
        &[anthropic(&alpha, &[])],
        "server: {shards: 2}\n",
    ));
    let mut client = Client::connect(router.addr());
    let own = json!({"type": "thinking", "thinking": "t", "signature": "infermux.reasoning"});
    let said = json!({"type": "text", "text": "infermux. ".repeat(60_000)});
    let turns = |content: Value| {
        json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": "b"},
        ])
    };
    for (content, sent) in [
        (json!([said]), json!([said])),
        (json!([own, said]), json!([said])),
    ] {
        let body = ask(&json!({"messages": turns(content)}));
        let answer = post(&mut client, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = last_seen(&alpha);
        let expected = ask(&json!({"model": "claude-sonnet-4-5", "messages": turns(sent)}));
        assert!(seen["body_text"] == *expected);
    }
}

#[test]
fn the_next_provider_takes_over() {
    let (alpha, beta) = (claude("alpha"), claude("beta"));
    alpha.set_script(json!({"status": 529})).expect("a script");
    let providers = [anthropic(&alpha, &[]), anthropic(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, &ask(&json!({})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
}

#[test]
fn an_error_about_the_request_crosses_byte_for_byte() {
    let alpha = claude("alpha");
    let router = Router::start(&config_of(&[anthropic(&alpha, &[])], ""));
    let mut client = Client::connect(router.addr());
    let body = json!({"type": "error", "error": {
        "type": "invalid_request_error", "message": "`thinking`: no sk-alpha here",
    }, "request_id": "req_1"});
    let script = json!({"status": 400, "body": body.to_string()});
    alpha.set_script(script).expect("a script");
    let answer = post(&mut client, &ask(&json!({})));
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        body.to_string().replace("sk-alpha", "********")
    );
}

#[test]
fn money_and_requests_are_counted_as_for_chat() {
    let alpha = claude("alpha");
    let rest = "budgets: [{caller: me, monthly_usd: 5, action: hard_stop}]\n";
    let router = Router::start(&config_of(&[anthropic(&alpha, &[])], rest));
    let mut client = Client::connect(router.addr());
    let headers = "X-Infermux-Caller: me\r\n";
    client.post_with("/v1/messages", headers, &ask(&json!({})));
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cost: f64 = answer
        .header("x-infermux-cost")
        .expect("a cost")
        .parse()
        .expect("a number");
    let costs = client::get(router.management(), "/_infermux/costs/caller/me").json();
    assert_eq!(costs["requests"], 1, "{costs}");
    assert!(
        (costs["total_usd"].as_f64().expect("money") - cost).abs() < 1e-9,
        "{costs}"
    );
    router.wait_for_log("endpoint=messages dialect=messages");
}

/// The types and data of the events of a stream, without pings.
fn events_of(answer: &Answer) -> Vec<(String, Value)> {
    let text = answer.text();
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    let read = events.map(|event| {
        let (kind, data) = event.split_once('\n').expect("two lines");
        let kind = kind.strip_prefix("event: ").expect("a type");
        let data = data.strip_prefix("data: ").expect("data");
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(data["type"], *kind, "{event}");
        (kind.to_owned(), data)
    });
    read.filter(|(kind, _)| kind != "ping").collect()
}

/// The text of a whole stream, which has the right beginning and end.
fn streamed_text(answer: &Answer) -> String {
    let events = events_of(answer);
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| &**kind).collect();
    assert_eq!(kinds.first(), Some(&"message_start"), "{}", answer.text());
    assert_eq!(kinds.last(), Some(&"message_stop"), "{}", answer.text());
    assert!(kinds.contains(&"message_delta"), "{}", answer.text());
    let start = &events[0].1["message"];
    assert_eq!(start["model"], "m");
    assert!(start["usage"]["input_tokens"].as_u64() > Some(0), "{start}");
    let texts = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str());
    texts.collect()
}

/// A provider of OpenAI's dialect that calls the model `m` `gpt-4o`.
fn openai(mock: &infermux_mock::Mock, more: &[&str]) -> String {
    let usual = ["models: [gpt-4o]", "model_aliases: {m: gpt-4o}"];
    provider(mock, &[&usual, more].concat())
}

fn check_totals(answer: &Answer, usage: &Value, streamed: bool) {
    let header = |name: &str| match streamed {
        true => answer.trailer(name),
        false => answer.header(name),
    };
    let count = |name: &str| usage[name].as_u64().expect("a count");
    let prompt = count("input_tokens")
        + count("cache_read_input_tokens")
        + count("cache_creation_input_tokens");
    let told = [
        ("x-infermux-prompt-tokens", prompt.to_string()),
        (
            "x-infermux-completion-tokens",
            count("output_tokens").to_string(),
        ),
    ];
    for (name, expected) in told {
        assert_eq!(header(name), Some(&*expected), "{name}");
    }
    let cost = header("x-infermux-cost").expect("a cost");
    assert!(cost.parse::<f64>().expect("a number") > 0.0);
}

#[test]
fn a_stream_of_claudes_crosses_event_by_event() {
    let alpha = claude("alpha");
    let router = Router::start(&config_of(
        &[anthropic(&alpha, &[])],
        "server: {shards: 2}\n",
    ));
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, &ask(&json!({"stream": true})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert!(streamed_text(&answer).contains("hello there"));
    assert!(answer.trailer("x-infermux-cost").is_some());
    let seen = last_seen(&alpha);
    let expected = ask(&json!({"stream": true, "model": "claude-sonnet-4-5"}));
    assert_eq!(seen["body_text"], expected);
}

#[test]
fn a_chat_provider_answers_in_the_shape_of_a_message() {
    let kinds: [&[&str]; 2] = [&[], &["type: ollama"]];
    for (kind, cached) in kinds.into_iter().zip([0, 3]) {
        let alpha = mock(json!({"name": "alpha", "strict": true, "cached_tokens": cached}));
        let rest = "server: {shards: 2}\npricing: {alpha: {gpt-4o: \
                    {input_per_million: 1, output_per_million: 2}}}\n";
        let router = Router::start(&config_of(&[openai(&alpha, kind)], rest));
        let mut client = Client::connect(router.addr());
        for streamed in [false, true, true] {
            let body = ask(&json!({"stream": streamed, "system": "Be brief.", "top_k": 3}));
            let answer = post(&mut client, &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let usage = if streamed {
                assert!(
                    streamed_text(&answer).contains("hello there"),
                    "{}",
                    answer.text()
                );
                let events = events_of(&answer);
                let delta = events.iter().find(|(kind, _)| kind == "message_delta");
                delta.expect("a delta").1["usage"].clone()
            } else {
                let message = answer.json();
                assert_eq!(message["type"], "message");
                assert_eq!(message["model"], "m");
                assert_eq!(message["stop_reason"], "end_turn");
                assert!(text_of(&answer).contains("hello there"));
                message["usage"].clone()
            };
            check_totals(&answer, &usage, streamed);
            assert_eq!(answer.header("x-infermux-model"), Some("gpt-4o"));
            let seen = last_seen(&alpha);
            assert_eq!(seen["path"], "/v1/chat/completions");
            assert_eq!(
                seen_header(&seen, "authorization").as_deref(),
                Some("Bearer sk-alpha")
            );
            assert_eq!(seen_header(&seen, "anthropic-version"), None);
            let sent = &seen["body"];
            assert_eq!(
                sent["messages"][0],
                json!({"role": "system", "content": "Be brief."})
            );
            assert_eq!(
                sent["stream_options"]["include_usage"],
                if streamed { json!(true) } else { Value::Null }
            );
            assert_eq!(sent["top_k"], Value::Null);
        }
    }
}

#[test]
fn dialects_take_over_from_each_other_before_the_first_content() {
    for first in ["openai", "anthropic"] {
        for deed in [
            json!({"status": 500}),
            json!({"do": "cut_before_head"}),
            json!({"do": "error_event_before_content"}),
        ] {
            for large in [false, true] {
                let (chat, messages) = (mock(json!({"name": "chat"})), claude("messages"));
                let providers = match first {
                    "openai" => [openai(&chat, &[]), anthropic(&messages, &[])],
                    _ => [anthropic(&messages, &[]), openai(&chat, &[])],
                };
                let (bad, good) = match first {
                    "openai" => (&chat, "messages"),
                    _ => (&messages, "chat"),
                };
                bad.set_script(deed.clone()).expect("a script");
                let rest = "routing: {strategy: priority}\n";
                let router = Router::start(&config_of(&providers, rest));
                let mut client = Client::connect(router.addr());
                let text = if large {
                    "hello there ".repeat(60_000)
                } else {
                    "hello there".into()
                };
                for streamed in [false, true] {
                    for path in ["/v1/messages", "/v1/chat/completions"] {
                        let body = json!({"model": "m", "max_tokens": 9, "stream": streamed,
                            "messages": [{"role": "user", "content": text}]});
                        client.post(path, &body.to_string());
                        let answer = client.answer();
                        let what = format!("{first} {deed} {streamed} {path} {large}");
                        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                        assert_eq!(answer.header("x-infermux-provider"), Some(good), "{what}");
                        assert!(answer.text().contains("hello"), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_chat_cannot_say_goes_to_another_provider_or_is_refused_by_its_place() {
    let (alpha, beta) = (mock(json!({"name": "alpha"})), claude("beta"));
    let image = json!({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "text", "text": "hello there"},
    ]}]});
    let both = [openai(&alpha, &[]), anthropic(&beta, &[])];
    let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, &ask(&image));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(answer.header("x-infermux-attempts"), None);

    let router = Router::start(&config_of(&[openai(&alpha, &[])], ""));
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, &ask(&image));
    assert_eq!(answer.status, 400);
    let error = answer.json();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("messages[0].content[0]"), "{message}");
    assert!(alpha.requests().is_empty());
}

#[test]
fn what_a_model_refuses_is_left_out_from_then_on() {
    let alpha = mock(json!({"name": "alpha", "unsupported": ["max_tokens", "temperature"]}));
    let fields = ["models: [odd]", "model_aliases: {m: odd}"];
    let router = Router::start(&config_of(
        &[provider(&alpha, &fields)],
        "server: {shards: 1}\n",
    ));
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, &ask(&json!({})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-attempts"), None);
    assert_eq!(alpha.requests().len(), 2);
    let sent = last_seen(&alpha);
    assert_eq!(sent["body"]["max_completion_tokens"], 64);
    for streamed in [false, true] {
        let before = alpha.requests().len();
        let answer = post(&mut client, &ask(&json!({"stream": streamed})));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(alpha.requests().len(), before + 1);
    }
}

#[test]
fn an_error_of_a_chat_provider_is_told_in_anthropics_shape() {
    let alpha = mock(json!({"name": "alpha", "status": 404, "body":
        json!({"error": {"message": "no sk-alpha here", "code": "x"}}).to_string()}));
    let router = Router::start(&config_of(&[openai(&alpha, &[])], ""));
    let mut client = Client::connect(router.addr());
    for streamed in [false, true] {
        let answer = post(&mut client, &ask(&json!({"stream": streamed})));
        assert_eq!(answer.status, 404);
        let error = answer.json();
        assert_eq!(error["type"], "error");
        assert_eq!(error["error"]["type"], "not_found_error");
        assert_eq!(error["error"]["message"], "no ******** here");
        assert_eq!(error["request_id"].as_str(), answer.header("request-id"));
    }
}
