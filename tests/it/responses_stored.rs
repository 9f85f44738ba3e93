//! Stored responses are read, deleted and cancelled where they are stored.

use serde_json::{Value, json};

use crate::support::canned::{Recorder, begun, whole};
use crate::support::client::{Answer, Client};
use crate::support::native::{Native, data_of};
use crate::support::operate::{metric, turn};
use crate::support::router::Router;
use crate::support::{config_for, eventually, mock};

fn router(providers: &[String], rest: &str) -> Router {
    let config = format!(
        "listen: \"127.0.0.1:0\"\nrouting: {{strategy: priority}}\n{rest}providers:\n{}",
        providers.concat()
    );
    Router::start(&config)
}

pub fn request(router: &Router, line: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    let length = body.len();
    let message =
        format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    client.send(message);
    client.answer()
}

fn ask(router: &Router, line: &str) -> Answer {
    request(router, line, "", "")
}

fn lines(native: &Native) -> Vec<String> {
    native.seen().into_iter().map(|(line, _)| line).collect()
}

#[test]
fn a_response_is_looked_for_once_and_then_asked_of_its_owner() {
    for shards in [1, 2] {
        let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
        let aliased = beta.provider(&["models: [m]", "model_aliases: {mine: upstream}"]);
        let shards = format!("server: {{shards: {shards}}}\n");
        let router = router(&[alpha.provider(&[]), aliased], &shards);
        let answer = ask(
            &router,
            "GET /v1/responses/resp_beta_1?include[]=a&x=%2e%2E",
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
        let response = answer.json();
        assert_eq!(response["id"], "resp_beta_1");
        assert_eq!(response["model"], "mine", "callers call it so");
        let line = "GET /v1/responses/resp_beta_1?include[]=a&x=%2e%2E";
        assert_eq!(lines(&alpha), [line]);
        assert_eq!(lines(&beta), [line]);

        for (line, key, value) in [
            (
                "GET /v1/responses/resp_beta_1/input_items?limit=3",
                "query",
                json!("limit=3"),
            ),
            (
                "POST /v1/responses/resp_beta_1/cancel",
                "model",
                json!("mine"),
            ),
            ("DELETE /v1/responses/resp_beta_1", "deleted", json!(true)),
        ] {
            let answer = ask(&router, line);
            assert_eq!(answer.status, 200, "{line}");
            assert_eq!(answer.json()[key], value, "{line}");
            assert_eq!(lines(&beta).last().map(String::as_str), Some(line));
        }
        assert_eq!(alpha.seen().len(), 1, "nobody else is asked any more");
    }
}

#[test]
fn a_stream_of_a_stored_response_is_relayed_with_the_callers_name() {
    let beta = Native::start("beta");
    let aliased = beta.provider(&["model_aliases: {mine: upstream}"]);
    let router = router(&[aliased], "");
    let answer = ask(
        &router,
        "GET /v1/responses/resp_beta_1?stream=true&starting_after=0",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let text = answer.text();
    assert!(
        text.starts_with("event: response.created\ndata: {"),
        "{text}"
    );
    let events = data_of(&answer);
    assert_eq!(events.len(), 4);
    for event in events.iter().filter(|event| event["response"].is_object()) {
        assert_eq!(event["response"]["model"], "mine");
    }
    // The connection takes another request.
    let answer = ask(&router, "GET /v1/responses/resp_beta_1");
    assert_eq!(answer.status, 200);
}

#[test]
fn what_nobody_has_stored_is_the_last_ones_404() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let router = router(&[alpha.provider(&[]), beta.provider(&[])], "");
    let answer = ask(&router, "GET /v1/responses/resp_gone");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("x-infermux-error"),
        None,
        "it is the provider's answer"
    );
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert!(answer.text().contains("resp_gone"), "{}", answer.text());
    assert_eq!((alpha.seen().len(), beta.seen().len()), (1, 1));
}

#[test]
fn ids_that_no_provider_can_have_are_answered_here() {
    let alpha = Native::start("alpha");
    let native = router(&[alpha.provider(&[])], "");
    for path in [
        "/v1/responses/resp_ifx_0123456789abcdef0123456789abcdef",
        "/v1/responses/..%2f..%2fmodels",
        "/v1/responses/resp_alpha_1%2f..%2fx",
        "/v1/responses/..",
        "/v1/responses/resp_alpha_1%0d%0a",
    ] {
        let answer = ask(&native, &format!("GET {path}"));
        assert_eq!(
            (answer.status, &*answer.code()),
            (404, "response_not_found"),
            "{path}"
        );
        assert_eq!(
            answer.header("x-infermux-error"),
            Some("response_not_found")
        );
    }
    assert_eq!(alpha.seen().len(), 0);

    let bridged = mock(json!({"name": "bridged"}));
    let config = config_for(&[&bridged], "").replace("type: openai", "type: ollama");
    let router = Router::start(&config);
    let answer = ask(&router, "GET /v1/responses/resp_1");
    assert_eq!(
        (answer.status, &*answer.code()),
        (404, "response_not_found")
    );
    assert_eq!(bridged.stats().requests, 0);
}

#[test]
fn methods_keys_and_pages_count_here_too() {
    let alpha = Native::start("alpha");
    let guarded = "auth: {mode: static_key, key: sk-0123456789abcdefghij}\n";
    let router = router(&[alpha.provider(&[])], guarded);
    let path = "/v1/responses/resp_alpha_1";
    let key = "Authorization: Bearer sk-0123456789abcdefghij\r\n";
    for (method, path, allow) in [
        ("POST", path.to_owned(), "GET, DELETE"),
        ("PUT", path.to_owned(), "GET, DELETE"),
        ("DELETE", format!("{path}/input_items"), "GET"),
        ("GET", format!("{path}/cancel"), "POST"),
    ] {
        let answer = request(&router, &format!("{method} {path}"), key, "");
        assert_eq!(
            (answer.status, &*answer.code()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allow));
    }
    let answer = ask(&router, &format!("GET {path}"));
    assert_eq!((answer.status, &*answer.code()), (401, "invalid_api_key"));
    let foreign = format!("{key}Origin: https://evil.example\r\n");
    let answer = request(&router, &format!("POST {path}/cancel"), &foreign, "");
    assert_eq!((answer.status, &*answer.code()), (400, "invalid_request"));
    assert_eq!(alpha.seen().len(), 0);
    let answer = request(&router, &format!("GET {path}"), key, "");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn an_owner_out_of_service_is_not_replaced() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let router = router(&[alpha.provider(&[]), beta.provider(&[])], "");
    let path = "GET /v1/responses/resp_beta_1";
    assert_eq!(ask(&router, path).status, 200);
    turn(&router, "beta", "open");
    let answer = ask(&router, path);
    assert_eq!(
        (answer.status, &*answer.code()),
        (503, "no_healthy_providers")
    );
    assert!(answer.header("retry-after").is_some());
    turn(&router, "beta", "close");
    assert_eq!(ask(&router, path).status, 200);
    // Where nobody knows the owner, it may be the one that is out.
    turn(&router, "alpha", "open");
    let answer = ask(&router, "GET /v1/responses/resp_alpha_2");
    assert_eq!(
        (answer.status, &*answer.code()),
        (503, "no_healthy_providers")
    );
}

#[test]
fn a_provider_that_fails_counts_for_its_circuit() {
    let failing = Recorder::start(b"no answer\r\n\r\n".to_vec());
    let router = router(
        &[format!(
            "  - {{name: failing, type: openai, api_key: k, base_url: \"http://{}/v1\", \
             health_check: {{disabled: true}}}}\n",
            failing.addr()
        )],
        "circuit_breaker: {consecutive_failures: 2}\n",
    );
    for _ in 0..2 {
        let answer = ask(&router, "GET /v1/responses/resp_1");
        assert_eq!((answer.status, &*answer.code()), (502, "upstream_error"));
    }
    let answer = ask(&router, "GET /v1/responses/resp_1");
    assert_eq!(
        (answer.status, &*answer.code()),
        (503, "no_healthy_providers")
    );
}

#[test]
fn a_response_in_the_background_is_booked_when_its_usage_is_first_told() {
    let (alpha, beta) = (Native::start("alpha"), Native::start("beta"));
    let prices = "{input_per_million: 1000, output_per_million: 2000}";
    let budget = format!(
        "budgets: [{{caller: team, monthly_usd: 100, action: hard_stop}}]\n\
         pricing: {{beta: {{m: {prices}}}}}\n"
    );
    for stream in ["", "?stream=true"] {
        let router = router(
            &[alpha.provider(&["models: [other]"]), beta.provider(&[])],
            &budget,
        );
        let body = json!({"model": "m", "input": "x", "background": true}).to_string();
        let headers = "Content-Type: application/json\r\nX-Infermux-Caller: team\r\n";
        let answer = request(&router, "POST /v1/responses", headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let tokens = |kind| {
            metric(
                router.management(),
                "infermux_tokens_total",
                &["beta", "m", kind],
            )
        };
        let spent = || metric(router.management(), "infermux_budget_spent_usd", &["team"]);
        let estimated = (tokens("input"), tokens("output"));
        assert!(estimated.0 > 0.0 && estimated.0 < 50.0, "{estimated:?}");
        let before = spent();
        for _ in 0..2 {
            let answer = ask(&router, &format!("GET /v1/responses/{id}{stream}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(
                (tokens("input"), tokens("output")),
                (1_000.0, 500.0),
                "once"
            );
            // A thousand dollars per million, and two thousand.
            assert!((spent() - 2.0).abs() < 1e-6, "{} {before}", spent());
        }
    }
}

/// A provider whose streams do not end while somebody reads them, and whose responses are complete
/// when they are asked for.
fn in_the_background() -> Recorder {
    let response = |status: &str, usage: &Value| {
        json!({"id": "resp_long", "object": "response", "created_at": 5, "model": "theirs",
            "status": status, "error": null, "output": [], "usage": usage})
    };
    Recorder::by(move |head, _| {
        if head.starts_with("GET ") {
            let usage = json!({"input_tokens": 1_000, "output_tokens": 500});
            let body = response("completed", &usage).to_string();
            return whole("Content-Type: application/json\r\n", body.as_bytes());
        }
        let created = json!({"type": "response.created", "sequence_number": 0,
            "response": response("in_progress", &Value::Null)});
        let delta = json!({"type": "response.output_text.delta", "sequence_number": 1,
            "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "Hello"});
        let events = format!("data: {created}\n\ndata: {delta}\n\n");
        begun("Content-Type: text/event-stream\r\n", events.as_bytes())
    })
}

#[test]
fn a_stream_in_the_background_that_its_caller_has_left_is_booked_in_the_end() {
    let provider = in_the_background();
    let entry = format!(
        "  - {{name: beta, type: openai, api_key: k, base_url: \"http://{}/v1\", \
         responses: native, models: [m], health_check: {{disabled: true}}}}\n",
        provider.addr()
    );
    let router = router(
        &[entry],
        "budgets: [{caller: team, monthly_usd: 100, action: hard_stop}]\n\
         pricing: {beta: {m: {input_per_million: 1000, output_per_million: 2000}}}\n",
    );
    let tokens = |kind| {
        let labels = &["beta", "\"m\"", kind];
        metric(router.management(), "infermux_tokens_total", labels)
    };
    let spent = || metric(router.management(), "infermux_budget_spent_usd", &["team"]);
    let body = json!({"model": "m", "input": "x", "background": true, "stream": true});
    let mut client = Client::connect(router.addr());
    let team = "X-Infermux-Caller: team\r\n";
    client.post_with("/v1/responses", team, &body.to_string());
    let mut answer = client.head();
    assert_eq!(answer.status, 200);
    assert!(client.chunk(&mut answer).is_some(), "its first content");
    drop(client);
    eventually("what it has told is booked by an estimate", || {
        tokens("input") > 0.0
    });
    assert!(tokens("input") < 50.0 && tokens("output") < 50.0);
    for _ in 0..2 {
        let answer = ask(&router, "GET /v1/responses/resp_long");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let counted = (tokens("input"), tokens("output"));
        assert_eq!(counted, (1_000.0, 500.0), "once");
        assert!((spent() - 2.0).abs() < 1e-6, "{}", spent());
    }
}

#[test]
fn a_page_in_place_of_an_error_is_told_as_an_error() {
    let page =
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let server = Recorder::start(page.to_vec());
    let provider = format!(
        "  - {{name: page, type: openai, api_key: k, base_url: \"http://{}/v1\", \
         health_check: {{disabled: true}}}}\n",
        server.addr()
    );
    let answer = ask(&router(&[provider], ""), "GET /v1/responses/resp_1");
    assert_eq!(answer.status, 404);
    assert!(
        answer.json()["error"]["message"].is_string(),
        "{}",
        answer.text()
    );
}
