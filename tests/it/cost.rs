//! What a request costs, and who is the cheapest.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::load::ask;
use crate::support::router::Router;
use crate::support::{
    chat, config_of, eventually, mock, provider, streamed_chat, wait_for_requests,
};

fn named(name: &str) -> Mock {
    mock(json!({
        "name": name, "prompt_tokens": 1_000, "completion_tokens": 7, "usage": "always",
    }))
}

fn cost(answer: &Answer) -> &str {
    let told = answer.header("x-infermux-cost");
    told.or_else(|| answer.trailer("x-infermux-cost"))
        .expect("a cost")
}

fn asks_for(model: &str, body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    body["model"] = json!(model);
    body.to_string()
}

#[test]
fn the_cheapest_is_chosen_by_its_prices() {
    let mocks = ["alpha", "beta", "gamma"].map(named);
    let providers = mocks
        .each_ref()
        .map(|mock| provider(mock, &["models: [m, n, o]"]));
    let rest = "routing: {strategy: cost_weighted}\n\
        pricing:\n  \
        alpha: {m: {input_per_million: 3, output_per_million: 1}, \
                n: {input_per_million: 1, output_per_million: 9}, \
                o: {input_per_million: 2, output_per_million: 2}}\n  \
        beta: {m: {input_per_million: 2, output_per_million: 9}, \
               n: {input_per_million: 2, output_per_million: 1}}\n  \
        gamma: {m: {input_per_million: 4, output_per_million: 1}, \
                n: {input_per_million: 1, output_per_million: 1}}\n";
    let router = Router::start(&config_of(&providers, rest));
    let mut client = Client::connect(router.addr());
    let text = "a prompt of some length, so that the prices differ".repeat(20);
    let mut shares = |model: &str| {
        mocks.iter().for_each(|mock| mock.reset());
        for _ in 0..8 {
            let answer = client.chat(&asks_for(model, &chat(&text)));
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("x-infermux-strategy"), Some("cost_weighted"));
        }
        mocks.each_ref().map(|mock| mock.stats().requests)
    };
    assert_eq!(shares("m"), [0, 8, 0], "the price of the prompt decides");
    assert_eq!(shares("n"), [4, 0, 4], "equal ones take turns");
    assert_eq!(shares("o"), [0, 4, 4], "what is unknown counts as free");
}

#[test]
fn a_cost_is_what_the_prices_make_of_the_tokens() {
    let alpha = named("alpha");
    let rest = "pricing: {alpha: {m: {input_per_million: 2.5, output_per_million: 10}}}\n";
    let config = config_of(
        &[provider(&alpha, &["models: [m, gpt-4o, nobody-knows]"])],
        rest,
    );
    let router = Router::start(&config);
    for body in [chat("x"), streamed_chat("x")] {
        for (model, expected) in [
            ("m", "0.00257"),
            // The table's price of OpenAI's model: 2.5 and 10 dollars for a million.
            ("gpt-4o", "0.00257"),
            ("nobody-knows", "0"),
        ] {
            let answer = ask(router.addr(), &asks_for(model, &body));
            assert!(answer.complete);
            assert_eq!(cost(&answer), expected, "{model}");
            let is_streamed = answer.header("transfer-encoding") == Some("chunked");
            assert_eq!(answer.header("x-infermux-cost").is_none(), is_streamed);
        }
    }
    router.wait_for_log("cost_usd=0.00257");
}

#[test]
fn cached_tokens_have_their_own_price_and_ollama_none() {
    let alpha = mock(json!({
        "name": "alpha", "prompt_tokens": 1_000, "cached_tokens": 400, "completion_tokens": 7,
    }));
    let router = Router::start(&config_of(&[provider(&alpha, &["models: [gpt-4o]"])], ""));
    let answer = ask(router.addr(), &asks_for("gpt-4o", &chat("x")));
    // 600 · 2.5 + 400 · 1.25 + 7 · 10 dollars for a million.
    assert_eq!(cost(&answer), "0.00207");
    let local = mock(json!({"name": "local", "dialect": "ollama"}));
    let base = format!("base_url: \"http://{}\"", local.address());
    let fields = ["type: ollama", &base, "models: [gpt-4o]"];
    let router = Router::start(&config_of(&[provider(&local, &fields)], ""));
    let answer = ask(router.addr(), &asks_for("gpt-4o", &chat("x")));
    assert_eq!(cost(&answer), "0");
}

#[test]
fn a_caller_who_does_not_wait_pays_for_its_prompt() {
    let alpha = mock(json!({"name": "alpha", "usage": "never"}));
    let prices = "pricing: {alpha: {m: {input_per_million: 1000000, output_per_million: 0}}}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], prices));
    let whole = Client::connect(router.addr()).chat(&chat("a prompt of some length"));
    // A dollar a token.
    let expected = cost(&whole).to_owned();
    assert_eq!(whole.header("x-infermux-prompt-tokens"), Some(&*expected));
    for (count, script, body) in [
        (1, "stall_before_head", chat("a prompt of some length")),
        (2, "stall_mid_stream", chat("a prompt of some length")),
        (
            3,
            "stall_before_head",
            streamed_chat("a prompt of some length"),
        ),
        (
            4,
            "stall_before_content",
            streamed_chat("a prompt of some length"),
        ),
    ] {
        alpha.set_script(json!({"do": script})).expect("a script");
        alpha.reset();
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &body);
        wait_for_requests(&alpha, 1);
        drop(client);
        let lines = || {
            let log = router.log();
            let lines = log.lines().filter(|line| line.contains("status=499"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        eventually("its line", || lines().len() == count);
        let line = lines().pop().expect("a line");
        for told in [&format!("cost_usd={expected}"), "estimated=true"] {
            assert!(line.contains(told), "{script}: {told}: {line}");
        }
        // Half of an answer may have come, or not yet.
        let has_none = line.contains("completion_tokens=0");
        assert!(has_none || script == "stall_mid_stream", "{line}");
    }
}

#[test]
fn what_a_cache_keeps_for_an_hour_has_its_own_price() {
    let usage = json!({
        "input_tokens": 1_000, "output_tokens": 100, "cache_creation_input_tokens": 1_000,
        "cache_read_input_tokens": 1_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
    });
    let whole = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn", "usage": usage,
    });
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": "a"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 100}}),
        json!({"type": "message_stop"}),
    ];
    let events: String = events.map(|event| format!("data: {event}\n\n")).concat();
    let alpha = mock(json!({"name": "alpha", "dialect": "anthropic"}));
    let base = format!("base_url: \"http://{}\"", alpha.address());
    let fields = ["type: anthropic", "models: [claude-sonnet-4-5]", &base];
    let router = Router::start(&config_of(&[provider(&alpha, &fields)], ""));
    for (script, body) in [
        (json!({"body": whole}), chat("x")),
        (
            json!({"body": events, "headers": {"content-type": "text/event-stream"}}),
            streamed_chat("x"),
        ),
    ] {
        alpha.set_script(script).expect("a script");
        let answer = Client::connect(router.addr()).chat(&asks_for("claude-sonnet-4-5", &body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        // 1000 at 3, 1000 read at 0.3, 400 written at 3.75 and 600 at 6, and 100 at 15 a million.
        assert_eq!(cost(&answer), "0.0099");
    }
    let mut client = Client::connect(router.addr());
    client.get("/_infermux/metrics");
    let metrics = client.answer_to("GET").text();
    let written = "model=\"claude-sonnet-4-5\",type=\"cache_write\"} 2000";
    assert!(
        metrics.contains(written),
        "both kinds of both answers: {metrics}"
    );
}

#[test]
fn what_was_thought_is_output_where_only_the_total_tells() {
    let alpha = mock(json!({
        "name": "alpha", "prompt_tokens": 1_000, "completion_tokens": 7, "cached_tokens": 400,
        "thinking_tokens": 93,
    }));
    let rest = "pricing: {alpha: {m: {input_per_million: 1, output_per_million: 10}}}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], rest));
    for body in [chat("x"), streamed_chat("x")] {
        let answer = ask(router.addr(), &body);
        let told = |name: &str| answer.header(name).or_else(|| answer.trailer(name));
        assert_eq!(told("x-infermux-prompt-tokens"), Some("1000"));
        assert_eq!(told("x-infermux-completion-tokens"), Some("100"));
        // 1000 at 1 and 100 at 10 a million.
        assert_eq!(cost(&answer), "0.002");
    }
    let mut client = Client::connect(router.addr());
    client.get("/_infermux/metrics");
    let metrics = client.answer_to("GET").text();
    assert!(metrics.contains("type=\"output\"} 200"), "{metrics}");
}
