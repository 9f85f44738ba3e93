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
    router.wait_for_log("endpoint=messages");
}
