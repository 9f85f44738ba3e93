//! What operators find afterwards: requests that failed, were refused or were slow, and the last
//! five minutes.

use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::support::client::{Client, get};
use crate::support::load::{ask, ask_as};
use crate::support::operate::metric;
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, eventually, mock, provider, streamed_chat};

fn report(router: &Router, path: &str) -> Value {
    let answer = get(router.management(), &format!("/_infermux/{path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// The noted requests, once there are `count` of them.
fn noted(router: &Router, query: &str, count: usize) -> Vec<Value> {
    let path = format!("requests{query}");
    let all = || {
        report(router, &path)["requests"]
            .as_array()
            .cloned()
            .expect("a list")
    };
    eventually(&format!("{count} at {path}"), || all().len() >= count);
    let all = all();
    assert_eq!(all.len(), count, "{all:?}");
    all
}

#[test]
fn requests_that_fail_or_are_refused_are_kept_for_operators_without_content() {
    let alpha = mock(json!({"name": "alpha", "answers": [500, "ok", 429], "then": "loop"}));
    let key = entry("web", "k-web", ", team: product, callers: ['*']");
    let rest = format!("auth:\n  mode: keys\n  keys:\n    {key}teams: [{{name: product}}]\n");
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &rest));
    let mut client = Client::connect(router.addr());
    let mut call = |body: &str, id: &str| {
        let head = format!(
            "Authorization: Bearer k-web\r\nX-Infermux-Caller: <b>\r\nX-Request-Id: {id}\r\n"
        );
        client.post_with("/v1/chat/completions", &head, body);
        client.answer().status
    };
    assert_eq!(call(&chat("my-secret-prompt"), "first"), 502);
    assert_eq!(call(&chat("my-secret-prompt"), "second"), 200);
    assert_eq!(
        call(
            &chat("my-secret-prompt").replace("\"m\"", "\"nobody's\""),
            "third"
        ),
        404
    );
    let all = noted(&router, "", 2);
    let [refused, failed] = &all[..] else {
        panic!("{all:?}")
    };
    let told =
        |one: &Value| ["kind", "request_id", "caller", "key", "team"].map(|name| one[name].clone());
    assert_eq!(told(failed), ["failed", "first", "<b>", "web", "product"]);
    assert_eq!(told(refused), ["refused", "third", "<b>", "web", "product"]);
    let rest = [
        "model",
        "provider",
        "provider_model",
        "status",
        "error",
        "attempts",
        "endpoint",
    ];
    let told = |one: &Value| Value::Array(rest.map(|name| one[name].clone()).to_vec());
    let expected = json!([
        "m",
        "alpha",
        "m",
        502,
        "upstream_error",
        1,
        "chat_completions"
    ]);
    assert_eq!(told(failed), expected);
    let expected = json!([
        "nobody's",
        null,
        null,
        404,
        "model_not_found",
        0,
        "chat_completions"
    ]);
    assert_eq!(told(refused), expected);
    assert_eq!(
        (&failed["stream"], &failed["cost_usd"]),
        (&json!(false), &Value::Null)
    );
    assert!(failed["duration_ms"].as_f64().expect("a number") > 0.0);
    assert!(failed["upstream_request_id"].is_string(), "{failed}");
    assert!(failed["time"].as_str() <= refused["time"].as_str());
    let text = get(router.management(), "/_infermux/requests").text();
    assert!(
        !text.contains("my-secret") && !text.contains("k-web"),
        "{text}"
    );
    assert_eq!(
        noted(&router, "?kind=failed", 1),
        std::slice::from_ref(failed)
    );
    assert_eq!(noted(&router, "?limit=1", 1), std::slice::from_ref(refused));
    assert_eq!(noted(&router, "?kind=slow", 0), [Value::Null; 0]);
    for query in ["kind=odd", "limit=-1", "limit=all"] {
        let answer = get(router.management(), &format!("/_infermux/requests?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[test]
fn those_that_are_refused_push_no_failure_out() {
    let alpha = mock(json!({"name": "alpha", "answers": [500], "then": "ok"}));
    let router = Router::start(&config_with(&alpha, &[]));
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    // Another event loop may note refusals before this one, which is noted behind its answer.
    noted(&router, "?kind=failed", 1);
    let mut client = Client::connect(router.addr());
    let unknown = chat("x").replace("\"m\"", "\"unknown\"");
    for _ in 0..205 {
        assert_eq!(client.chat(&unknown).status, 404);
    }
    assert_eq!(noted(&router, "?kind=refused&limit=999", 200).len(), 200);
    assert_eq!(noted(&router, "?kind=failed", 1)[0]["status"], 502);
    assert_eq!(noted(&router, "?limit=999", 201)[200]["kind"], "failed");
    // The page shows the newest of all.
    assert_eq!(noted(&router, "", 200)[199]["kind"], "refused");
}

#[test]
fn what_takes_four_times_as_long_as_is_usual_is_slow() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let bounds = || report(&router, "requests")["slow_from_ms"].clone();
    assert_eq!(
        bounds(),
        json!({"first_content": 10_000.0, "whole_answer": 10_000.0})
    );
    for _ in 0..20 {
        assert_eq!(client.chat(&chat("x")).status, 200);
    }
    let expected = json!({"first_content": 10_000.0, "whole_answer": 1_000.0});
    eventually("what is usual is known", || bounds() == expected);
    alpha
        .set_script(json!({"latency_ms": 1_050, "ttft_ms": 1_050}))
        .expect("a script");
    assert_eq!(client.chat(&streamed_chat("x")).status, 200);
    assert_eq!(client.chat(&chat("x")).status, 200);
    let slow = &noted(&router, "", 1)[0];
    assert_eq!(
        (&slow["kind"], &slow["status"]),
        (&json!("slow"), &json!(200))
    );
    assert_eq!(
        (&slow["error"], &slow["stream"]),
        (&Value::Null, &json!(false))
    );
    assert!(slow["duration_ms"].as_f64().expect("a number") >= 1_050.0);
    assert!(slow["cost_usd"].is_number());
}

#[test]
fn the_last_five_minutes_are_what_was_counted() {
    let script = json!({
        "name": "alpha", "answers": ["ok", "ok", 500], "then": "loop",
        "prompt_tokens": 100, "cached_tokens": 25,
    });
    let alpha = mock(script);
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &[]), provider(&beta, &["models: [n]"])];
    let router = Router::start(&config_of(&providers, ""));
    let addr = router.addr();
    for number in 0..12 {
        let expected = if number % 3 == 2 { 502 } else { 200 };
        assert_eq!(ask_as(addr, "x", &chat("x")).status, expected, "{number}");
    }
    let unknown = chat("x").replace("\"m\"", "\"unknown\"");
    assert_eq!(ask(addr, &unknown).status, 404);
    let recent = report(&router, "recent");
    let points = recent["points"].as_array().expect("a list");
    for (name, expected) in [("requests", 13), ("errors", 4), ("prompt_tokens", 800)] {
        let sum: u64 = points.iter().filter_map(|one| one[name].as_u64()).sum();
        assert_eq!(sum, expected, "{name}: {recent}");
        assert_eq!(recent["window"][name], expected, "{name}");
    }
    assert_eq!(recent["window"]["latency"]["count"], 8);
    assert!(recent["window"]["latency"]["p50_ms"].is_number());
    assert_eq!(recent["window"]["first_token"]["p50_ms"], Value::Null);
    let cost: f64 = metric(addr, "infermux_cost_usd_total", &[]);
    assert!((recent["window"]["cost_usd"].as_f64().expect("a number") - cost).abs() < 1e-9);
    let count = |code: &str, count: u64| {
        let named = json!({"code": code, "last_5_minutes": count});
        let mut named = named.as_object().cloned().unwrap_or_default();
        named.insert("since_start".into(), count.into());
        Value::Object(named)
    };
    let errors = [count("model_not_found", 1), count("upstream_error", 4)];
    let told = recent["errors"].as_array().expect("a list");
    assert!(
        errors.iter().all(|one| told.contains(one)) && told.len() == 2,
        "{told:?}"
    );
    let statuses = json!([
        {"status": 502, "last_5_minutes": 4, "since_start": 4},
        {"status": 404, "last_5_minutes": 1, "since_start": 1},
    ]);
    assert_eq!(recent["statuses"], statuses);
    let expected = json!([
        {"provider": "alpha", "in_flight": 0, "failed_attempts": {"server_error": 4},
         "prompt_tokens": 800, "cache_read_tokens": 200},
        {"provider": "beta", "in_flight": 0, "failed_attempts": {},
         "prompt_tokens": 0, "cache_read_tokens": 0},
    ]);
    assert_eq!(recent["providers"], expected);
}
