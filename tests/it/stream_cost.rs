//! `X-Infermux-Stream-Cost: include`: a stream's cost in its usage, for clients that show no
//! trailers.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider, seen_header};

/// Providers of one model each, called like the provider; `nick-` stands for an alias.
fn providers() -> Vec<Mock> {
    let whole = json!({"object": "chat.completion", "choices": [{"index": 0, "message":
        {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}});
    let mut dear = whole.clone();
    dear["usage"]["cost_usd"] = json!({"theirs": 7});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "x",
        "content": [{"type": "text", "text": "whole"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 30, "output_tokens": 4, "cache_read_input_tokens": 12}});
    [
        json!({"name": "asked"}),
        json!({"name": "always", "usage": "always", "cached_tokens": 3, "thinking_tokens": 9}),
        json!({"name": "finish", "usage": "on_finish_chunk"}),
        json!({"name": "json", "body": whole}),
        json!({"name": "dear", "body": dear}),
        json!({"name": "free"}),
        json!({"name": "claude", "dialect": "anthropic", "cached_tokens": 3}),
        json!({"name": "silent", "dialect": "anthropic", "usage": "never"}),
        json!({"name": "letter", "dialect": "anthropic", "body": message}),
    ]
    .map(mock)
    .into()
}

fn router(mocks: &[Mock]) -> Router {
    let one = |mock: &Mock| {
        let name = mock.name();
        let models = format!("models: [{name}]");
        let alias = format!("model_aliases: {{nick-{name}: {name}}}");
        let base = format!("base_url: \"http://{}\"", mock.address());
        let anthropic = ["type: anthropic", &base, &models, &alias];
        if matches!(&*name, "claude" | "silent" | "letter") {
            provider(mock, &anthropic)
        } else {
            provider(mock, &anthropic[2..])
        }
    };
    let price = |mock: &Mock| {
        let name = mock.name();
        let price = "input_per_million: 3.3, output_per_million: 15.7";
        format!("  {name}: {{{name}: {{{price}}}}}\n")
    };
    let priced = mocks.iter().filter(|mock| mock.name() != "free");
    let prices: String = priced.map(price).collect();
    let providers: Vec<String> = mocks.iter().map(one).collect();
    Router::start(&config_of(&providers, &format!("pricing:\n{prices}")))
}

/// A request for `model`; `options` are members of it.
fn ask(client: &mut Client, model: &str, options: &str, header: &str) -> Answer {
    let messages = r#"[{"role":"user","content":"what does it cost?"}]"#;
    let body = format!(r#"{{"model":"{model}","messages":{messages}{options}}}"#);
    client.post_with("/v1/chat/completions", header, &body);
    let answer = client.answer();
    assert!(answer.status == 200 && answer.complete, "{}", answer.text());
    answer
}

const INCLUDE: &str = "X-Infermux-Stream-Cost: include\r\n";
const STREAM: &str = r#","stream":true"#;
const WITH_USAGE: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;

/// The costs that the usages of a stream tell, as they are written.
fn costs(answer: &Answer) -> Vec<String> {
    let told = |event: &String| {
        let chunk: Value = serde_json::from_str(event).ok()?;
        assert!(chunk.get("cost_usd").is_none(), "{event}");
        chunk["usage"].get("cost_usd")?;
        let (_, rest) = event.split_once("\"cost_usd\":")?;
        Some(rest.split(['}', ',']).next()?.to_owned())
    };
    answer.events().iter().filter_map(told).collect()
}

#[test]
fn the_usage_of_a_stream_tells_what_the_trailer_tells() {
    let mocks = providers();
    let router = router(&mocks);
    let mut client = Client::connect(router.addr());
    for mock in &mocks {
        for model in [mock.name(), format!("nick-{}", mock.name())] {
            let answer = ask(&mut client, &model, WITH_USAGE, INCLUDE);
            let cost = answer.trailer("x-infermux-cost").expect("a cost");
            assert_eq!(costs(&answer), [cost], "{model}: {}", answer.text());
            let is_free = mock.name() == "free";
            assert_eq!(cost == "0", is_free, "{model}: {cost}");
            let header = seen_header(&last_seen(mock), "x-infermux-stream-cost");
            assert_eq!(header, None, "{model}");
        }
    }
}

#[test]
fn who_does_not_ask_for_both_is_told_as_ever() {
    let mocks = providers();
    let router = router(&mocks);
    let mut client = Client::connect(router.addr());
    for mock in &mocks {
        let name = mock.name();
        for (options, header) in [
            (WITH_USAGE, ""),
            (WITH_USAGE, "X-Infermux-Stream-Cost: true\r\n"),
            (WITH_USAGE, "X-Infermux-Stream-Cost: include, please\r\n"),
            (WITH_USAGE, "X-Infermux-Stream-Cost: \r\n"),
            (WITH_USAGE, "X-Infermux-Stream-Costs: include\r\n"),
            (STREAM, INCLUDE),
            (STREAM, ""),
            ("", INCLUDE),
        ] {
            let answer = ask(&mut client, &name, options, header);
            let row = format!("{name} {options} {header}: {}", answer.text());
            // What a provider tells by itself is its own.
            let expected = usize::from(name == "dear" && options != STREAM);
            assert_eq!(answer.text().matches("cost_usd").count(), expected, "{row}");
            let told = answer.header("x-infermux-cost");
            assert!(
                told.or(answer.trailer("x-infermux-cost")).is_some(),
                "{row}"
            );
        }
    }
}

/// The events of a stream without what counts requests or seconds, and without the cost.
fn rest(answer: &Answer) -> Vec<Value> {
    let events = answer.events().into_iter();
    let events = events.map(|event| {
        let mut chunk = serde_json::from_str(&event).unwrap_or_else(|_| json!(event));
        if let Some(members) = chunk.as_object_mut() {
            members.retain(|name, _| name != "id" && name != "created");
        }
        if let Some(usage) = chunk.get_mut("usage").and_then(Value::as_object_mut) {
            usage.remove("cost_usd");
        }
        chunk
    });
    events.collect()
}

#[test]
fn nothing_else_of_a_stream_changes() {
    let mocks = providers();
    let router = router(&mocks);
    let mut client = Client::connect(router.addr());
    for mock in mocks {
        let name = mock.name();
        let plain = ask(&mut client, &name, WITH_USAGE, "");
        let header = INCLUDE.replace("include", "INCLUDE");
        let told = ask(&mut client, &name, WITH_USAGE, &header);
        assert_eq!(costs(&told).len(), 1, "{name}");
        assert_eq!(rest(&told), rest(&plain), "{name}");
    }
}

#[test]
fn a_legacy_completion_tells_it_too() {
    let alpha = mock(json!({"name": "asked"}));
    let router = router(std::slice::from_ref(&alpha));
    let mut client = Client::connect(router.addr());
    let body = format!(r#"{{"model":"asked","prompt":"what does it cost?"{WITH_USAGE}}}"#);
    client.post_with("/v1/completions", INCLUDE, &body);
    let answer = client.answer();
    let cost = answer.trailer("x-infermux-cost").expect("a cost");
    assert_eq!(costs(&answer), [cost], "{}", answer.text());
}
