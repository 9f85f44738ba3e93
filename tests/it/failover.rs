//! What a provider's failure means for the caller, and for the next provider.

use std::net::SocketAddr;
use std::time::Duration;

use infermux_mock::{Goals, Mock};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{
    chat, config_of, config_with, eventually, last_seen, mock, provider, streamed_chat, wait_for,
};

const PRIORITY: &str = "routing: {strategy: priority}\n";

/// Two providers, the first of which is asked first.
struct Pair {
    alpha: Mock,
    beta: Mock,
    router: Router,
}

impl Pair {
    /// With further fields of both providers, and what follows the providers in the file.
    fn with(fields: &[&str], rest: &str) -> Self {
        let (alpha, beta) = (
            mock(json!({"name": "alpha"})),
            mock(json!({"name": "beta"})),
        );
        let providers = [provider(&alpha, fields), provider(&beta, fields)];
        let router = Router::start(&config_of(&providers, rest));
        Self {
            alpha,
            beta,
            router,
        }
    }

    fn script(&self, alpha: Value, beta: Value) {
        self.alpha.reset();
        self.beta.reset();
        self.alpha.set_script(alpha).expect("a script");
        self.beta.set_script(beta).expect("a script");
    }

    fn ask(&self) -> Answer {
        Client::connect(self.router.addr()).chat(&chat("hello"))
    }

    fn requests(&self) -> (u64, u64) {
        (self.alpha.stats().requests, self.beta.stats().requests)
    }
}

#[test]
fn the_next_provider_answers_when_one_fails() {
    let pair = Pair::with(&["timeout: 300ms"], PRIORITY);
    let mut scripts = vec![
        json!({"refuse": true}),
        json!({"do": "cut_before_head"}),
        json!({"do": "cut_before_head", "reset": true}),
        json!({"do": "cut_mid_stream"}),
        json!({"do": "stall_before_head"}),
        json!({"do": "stall_mid_stream"}),
        json!({"do": "garbage"}),
        json!({"do": "garbage_json"}),
        json!({"quirks": ["length_too_long"]}),
        json!({"quirks": ["length_too_short"]}),
        json!({"do": "error_200"}),
        json!({"do": "no_choices"}),
        json!({"head_bytes": 100_000}),
        json!({"status": 200, "body": ""}),
        json!({"status": 200, "body": "[]"}),
        json!({"status": 400, "body": {"error": {
            "message": "You exceeded your current quota, please check your plan and billing.",
            "type": "insufficient_quota", "param": null, "code": "insufficient_quota",
        }}}),
    ];
    // The one that is at its limit comes last: it is left alone for a while.
    let statuses = [500, 502, 503, 504, 529, 408, 401, 402, 403, 302, 429];
    scripts.extend(statuses.map(|status| json!({"status": status})));
    for script in scripts {
        pair.script(script.clone(), json!({}));
        let answer = pair.ask();
        assert_eq!(answer.status, 200, "{script}: {}", answer.text());
        assert!(answer.complete, "{script}");
        assert_eq!(
            answer.header("x-infermux-provider"),
            Some("beta"),
            "{script}"
        );
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{script}");
        assert_eq!(pair.beta.stats().requests, 1, "{script}");
    }
}

#[test]
fn a_failure_of_all_providers_is_told_as_what_it_is() {
    // More than the floor of the retry budget fails here.
    let routing = "routing: {strategy: priority, failover: {retry_budget: 10}}\n";
    let pair = Pair::with(&["timeout: 300ms"], routing);
    let quota = json!({"status": 400, "body": {"error": {
        "message": "Your credit balance is too low to access the API.",
        "type": "invalid_request_error", "param": null, "code": null,
    }}});
    for (script, status, code) in [
        (json!({"refuse": true}), 502, "upstream_error"),
        (json!({"status": 500}), 502, "upstream_error"),
        (json!({"status": 529}), 502, "upstream_error"),
        (json!({"status": 401}), 502, "upstream_error"),
        (json!({"status": 402}), 502, "upstream_error"),
        (json!({"status": 403}), 403, ""),
        (quota, 502, "upstream_error"),
        (json!({"do": "cut_before_head"}), 502, "upstream_error"),
        (json!({"do": "garbage"}), 502, "upstream_error"),
        (json!({"do": "error_200"}), 502, "upstream_error"),
        (json!({"do": "no_choices"}), 502, "upstream_error"),
        (json!({"do": "stall_before_head"}), 504, "upstream_timeout"),
        (json!({"do": "stall_mid_stream"}), 504, "upstream_timeout"),
    ] {
        pair.script(script.clone(), script.clone());
        let answer = pair.ask();
        let told = (answer.status, answer.code());
        assert_eq!(told, (status, code.to_owned()), "{script}");
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{script}");
        for secret in ["sk-alpha", "sk-beta"] {
            assert!(!answer.text().contains(secret), "{script}");
        }
    }
}

#[test]
fn all_providers_at_their_limit_are_a_rate_limit_with_a_time() {
    let pair = Pair::with(&[], PRIORITY);
    let script = json!({"status": 429, "retry_after": 7});
    pair.script(script.clone(), script);
    let answer = pair.ask();
    assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limit"));
    let seconds: u64 = answer
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("whole seconds");
    assert!((1..=7).contains(&seconds), "{seconds}");
    let millis: u64 = answer
        .header("retry-after-ms")
        .and_then(|millis| millis.parse().ok())
        .expect("a number");
    assert!((1..=7_000).contains(&millis), "{millis}");
    assert_eq!(answer.header("x-infermux-error"), Some("rate_limit"));
}

#[test]
fn an_error_about_the_request_itself_passes_through() {
    let pair = Pair::with(&[], PRIORITY);
    for status in [400, 404, 409, 413, 415, 422] {
        pair.script(
            json!({"status": status, "headers": {"x-should-retry": "false"}}),
            json!({}),
        );
        let answer = pair.ask();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
        assert_eq!(answer.header("x-infermux-error"), None);
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(pair.requests(), (1, 0), "{status}");
        assert_openai_shape(&answer);
    }
    for body in [
        json!("<html>no</html>"),
        json!(""),
        json!({"detail": "no"}),
        json!("[1]"),
    ] {
        pair.script(json!({"status": 422, "body": body}), json!({}));
        let answer = pair.ask();
        assert_eq!(answer.status, 422);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_openai_shape(&answer);
    }
}

pub fn assert_openai_shape(answer: &Answer) {
    let error = answer.json()["error"].clone();
    let error = error.as_object().expect("an error");
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key}: {}", answer.text());
    }
    assert!(error["message"].is_string());
    assert!(!error["code"].is_number());
}

#[test]
fn a_streamed_request_that_is_refused_is_refused_with_its_status() {
    let pair = Pair::with(&[], PRIORITY);
    pair.script(json!({"status": 404}), json!({}));
    let mut client = Client::connect(pair.router.addr());
    let answer = client.chat(&streamed_chat("hello"));
    assert_eq!(answer.status, 404);
    assert_openai_shape(&answer);
}

#[test]
fn nobody_notices_a_provider_that_stops_while_it_serves() {
    let routing = "routing: {failover: {retry_budget: 10}}\n";
    let pair = Pair::with(&[], routing);
    pair.script(json!({"latency_ms": 5}), json!({"latency_ms": 5}));
    let addr = pair.router.addr();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(addr);
                (0..40)
                    .map(|_| client.chat(&chat("hello")))
                    .map(|answer| (answer.status, answer.complete))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    wait_for(&pair.alpha, &answered(20));
    pair.alpha
        .set_script(json!({"refuse": true}))
        .expect("a script");
    for caller in callers {
        let answers = caller.join().expect("a caller");
        assert!(
            answers.iter().all(|answer| *answer == (200, true)),
            "{answers:?}"
        );
    }
    assert!(pair.beta.stats().answered > 100);
}

#[test]
fn access_that_nobody_grants_is_told_in_the_last_provider_s_words() {
    let pair = Pair::with(&[], PRIORITY);
    let refused = |message: &str| {
        json!({"status": 403, "body": {"error": {"message": message}},
            "headers": {"x-request-id": message, "x-ratelimit-limit-tokens": "7"}})
    };
    for (alpha, beta, status, provider) in [
        (refused("first"), refused("second"), 403, Some("beta")),
        (refused("first"), json!({"status": 429}), 403, Some("alpha")),
        (refused("first"), json!({"status": 422}), 422, Some("beta")),
        (refused("first"), json!({"status": 500}), 502, None),
        (json!({"status": 500}), refused("second"), 403, Some("beta")),
    ] {
        pair.script(alpha.clone(), beta.clone());
        let answer = pair.ask();
        assert_eq!(answer.status, status, "{alpha}, {beta}: {}", answer.text());
        assert_eq!(
            answer.header("x-infermux-provider"),
            provider,
            "{alpha}, {beta}"
        );
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
        if status == 403 {
            let said = answer.json()["error"]["message"].clone();
            let id = answer.header("x-infermux-upstream-request-id");
            assert_eq!(id, said.as_str());
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), None);
            assert!(answer.header("x-infermux-latency-ms").is_some());
        }
        // A provider that was at its limit is asked again after a second.
        if beta["status"] == 429 {
            eventually("beta is back", || {
                pair.script(json!({"status": 500}), json!({}));
                pair.ask().status == 200
            });
        }
    }
}

/// Whatever happens upstream: nobody ever gets what was meant for somebody else, half an answer
/// that looks whole, or nothing.
#[test]
fn in_any_mix_of_failures_everybody_gets_an_own_answer_or_an_error() {
    let mix = json!([
        "ok", 500, "cut_before_head", {"quirks": ["two_answers"]}, "ok", "garbage",
        {"quirks": ["early_1xx"]}, {"quirks": ["length_too_short"]}, "cut_mid_stream", "ok",
        {"quirks": ["close_delimited"]}, "error_200", {"chunk_bytes": 40},
        {"status": 429, "headers": {"retry-after-ms": "1"}},
        "reset_mid_stream", {"quirks": ["length_too_long"]}, "no_choices", "garbage_json",
        "ok", {"do": "cut_before_head", "reset": true}, {"quirks": ["no_done"]},
        "error_event_mid_stream", "error_event_before_content", {"body_bytes": 90_000},
    ]);
    let rest = "routing: {failover: {retry_budget: 10}}\nlog: {format: json}\n";
    let pair = Pair::with(&[], rest);
    let script = json!({"answers": mix, "then": "loop"});
    pair.script(script.clone(), script);
    let addr = pair.router.addr();
    let callers: Vec<_> = (0..8)
        .map(|caller| std::thread::spawn(move || torment(addr, caller)))
        .collect();
    let whole: usize = callers
        .into_iter()
        .map(|caller| caller.join().expect("a caller"))
        .sum();
    assert!(whole > 200, "most are answered: {whole}");
    eventually("a line for each", || {
        pair.router.log().matches("\"request_id\":\"own-").count() >= 8 * 60
    });
}

/// Sends one request after the other; how many answers were whole.
fn torment(addr: SocketAddr, caller: usize) -> usize {
    let mut client = Client::connect(addr);
    let mut whole = 0;
    for number in 0..60 {
        let own = format!("own-{caller}-{number}");
        let is_stream = number % 2 == 0;
        let body = if is_stream {
            streamed_chat(&own)
        } else {
            chat(&own)
        };
        let headers = format!("X-Request-Id: {own}\r\n");
        client.post_with("/v1/chat/completions", &headers, &body);
        let answer = client.answer();
        assert_eq!(answer.header("x-request-id"), Some(own.as_str()));
        match (answer.status, answer.complete) {
            (200, true) => {
                whole += 1;
                let text = answer.text();
                assert!(text.contains(&own), "{own}: {text}");
                assert_eq!(text.matches("own-").count(), 1, "{own}: {text}");
                assert!(text.contains("\"finish_reason\":\"stop\""), "{own}: {text}");
            }
            (200, false) => {
                assert!(is_stream, "{own}");
                let events = answer.events();
                assert!(
                    events.last().expect("events").contains("\"error\""),
                    "{events:?}"
                );
            }
            (429 | 502, true) => assert!(!answer.code().is_empty()),
            (status, _) => panic!("{own}: {status} {}", answer.text()),
        }
        if !answer.complete || answer.header("connection") == Some("close") {
            assert!(client.is_closed());
            client = Client::connect(addr);
        }
    }
    whole
}

fn answered(count: u64) -> Goals {
    Goals {
        answered: Some(count),
        ..Goals::default()
    }
}

#[test]
fn a_provider_that_never_answers_leaves_time_for_the_next() {
    let routing = "routing: {strategy: priority, failover: {deadline: 5s}}\n";
    let pair = Pair::with(&["timeout: 200ms"], routing);
    pair.script(json!({"do": "stall_before_head"}), json!({}));
    let answer = pair.ask();
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    wait_for(
        &pair.alpha,
        &Goals {
            connections_open: Some(0),
            ..Goals::default()
        },
    );
}

#[test]
fn the_deadline_bounds_all_attempts_together() {
    let routing = "routing: {strategy: priority, failover: {deadline: 300ms}}\n";
    let pair = Pair::with(&["timeout: 10s"], routing);
    let stall = json!({"do": "stall_before_head"});
    pair.script(stall.clone(), stall);
    let answer = pair.ask();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
    assert!(pair.alpha.stats().peer_closed <= 1);
    wait_for(
        &pair.alpha,
        &Goals {
            peer_closed: Some(1),
            ..Goals::default()
        },
    );
    let seen = last_seen(&pair.alpha);
    let after = seen["ended_after_ns"].as_u64().expect("a time");
    let after = Duration::from_nanos(after);
    assert!(
        after < Duration::from_secs(5),
        "long before its own timeout: {after:?}"
    );
}

#[test]
fn max_attempts_ends_the_search() {
    let mocks = ["alpha", "beta", "gamma"].map(|name| mock(json!({"name": name, "status": 500})));
    let providers = mocks.each_ref().map(|mock| provider(mock, &[]));
    for (attempts, expected) in [(1, None), (2, Some("2")), (3, Some("3"))] {
        mocks.iter().for_each(|mock| mock.reset());
        let routing = format!("routing: {{failover: {{max_attempts: {attempts}}}}}\n");
        let router = Router::start(&config_of(&providers, &routing));
        let answer = Client::connect(router.addr()).chat(&chat("hello"));
        assert_eq!(answer.status, 502);
        assert_eq!(answer.header("x-infermux-attempts"), expected);
        let requests: u64 = mocks.iter().map(|mock| mock.stats().requests).sum();
        assert_eq!(requests, attempts);
    }
}

#[test]
fn no_provider_is_asked_twice_for_one_request() {
    let pair = Pair::with(&[], "routing: {failover: {max_attempts: 10}}\n");
    pair.script(json!({"status": 500}), json!({"status": 500}));
    assert_eq!(pair.ask().status, 502);
    assert_eq!(pair.requests(), (1, 1));
}

#[test]
fn an_outage_does_not_double_the_requests() {
    let routing = "routing: {strategy: priority, failover: {retry_budget: 0}}\n";
    let pair = Pair::with(&[], routing);
    pair.script(json!({"status": 500}), json!({}));
    let statuses: Vec<u16> = (0..40).map(|_| pair.ask().status).collect();
    // Three a second over ten seconds; the requests take far less than that.
    let (retried, left) = statuses.split_at(30);
    assert!(retried.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(left.iter().all(|status| *status == 502), "{statuses:?}");
    assert_eq!(pair.requests(), (40, 30));
    pair.router.wait_for_log("retry budget");
}

#[test]
fn a_connection_that_died_while_it_waited_is_replaced_without_a_trace() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("one")).status, 200);
    alpha.set_script(json!({"refuse": true})).expect("a script");
    alpha.set_script(json!({})).expect("a script");
    let answer = client.chat(&chat("two"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-attempts"), None);
}

#[test]
fn a_reused_connection_that_dies_under_a_request_is_replaced_once() {
    let script = json!({"name": "alpha", "answers": ["ok", "cut_before_head", "ok"]});
    let alpha = mock(script);
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("one")).status, 200);
    let answer = client.chat(&chat("two"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-attempts"), None, "it is free");
    let stats = alpha.stats();
    assert_eq!((stats.requests, stats.connections_opened), (3, 2));

    alpha.reset();
    let script = json!({"answers": ["ok", "cut_before_head", "cut_before_head", "ok"]});
    alpha.set_script(script).expect("a script");
    assert_eq!(client.chat(&chat("one")).status, 200);
    assert_eq!(client.chat(&chat("two")).status, 502, "not for ever");
    assert_eq!(alpha.stats().requests, 3);
}

#[test]
fn a_fresh_connection_that_dies_is_the_providers_failure() {
    let pair = Pair::with(&[], PRIORITY);
    pair.script(json!({"do": "cut_before_head"}), json!({}));
    let answer = pair.ask();
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(pair.requests(), (1, 1));
}

#[test]
fn informational_answers_are_skipped() {
    let alpha = mock(json!({"name": "alpha", "quirks": ["early_1xx"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for _ in 0..3 {
        let answer = client.chat(&chat("hello"));
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json()["choices"][0]["message"]["content"],
            "mock alpha: hello"
        );
    }
    assert_eq!(alpha.stats().connections_opened, 1);
}

#[test]
fn surplus_bytes_of_one_answer_never_reach_the_next_caller() {
    for quirk in ["two_answers", "length_too_short"] {
        let alpha = mock(json!({"name": "alpha", "answers": [{"quirks": [quirk]}, "ok"]}));
        let router = Router::start(&config_with(&alpha, &[]));
        let mut client = Client::connect(router.addr());
        let first = client.chat(&chat("first"));
        for text in ["second", "third"] {
            let answer = client.chat(&chat(text));
            assert_eq!(answer.status, 200, "{quirk}: {}", answer.text());
            let said = &answer.json()["choices"][0]["message"]["content"];
            assert_eq!(said, &format!("mock alpha: {text}"), "{quirk}");
        }
        assert!(matches!(first.status, 200 | 502), "{quirk}");
        assert_eq!(alpha.stats().connections_opened, 2, "{quirk}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_read_whole() {
    let alpha = mock(json!({
        "name": "alpha", "quirks": ["close_delimited"], "body_bytes": 200_000,
    }));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for _ in 0..2 {
        let answer = client.chat(&chat("hello"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body.len() >= 200_000);
        assert!(answer.header("content-length").is_some());
    }
}

#[test]
fn an_answer_that_drips_is_read_whole() {
    let alpha = mock(json!({
        "name": "alpha", "chunk_bytes": 50, "chunk_interval_ms": 1, "quirks": ["close_delimited"],
    }));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        "mock alpha: hello"
    );
}

#[test]
fn the_timeout_bounds_the_whole_of_an_answer_that_is_not_streamed() {
    let pair = Pair::with(&["timeout: 300ms"], PRIORITY);
    // Never silent for long, but for seconds altogether.
    let script = json!({"chunk_bytes": 10, "chunk_interval_ms": 50, "body_bytes": 5_000});
    pair.script(script, json!({}));
    let answer = pair.ask();
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
}

#[test]
fn the_next_provider_gets_the_same_body_whatever_its_size() {
    let alpha = mock(json!({"name": "alpha", "status": 503}));
    let beta = mock(json!({"name": "beta", "record_body_bytes": 8 << 20}));
    let providers = [
        provider(&alpha, &["model_aliases: {fast: m}"]),
        provider(&beta, &["model_aliases: {fast: other-model}"]),
    ];
    let router = Router::start(&config_of(&providers, PRIORITY));
    let mut client = Client::connect(router.addr());
    for size in [10, 70_000, 3_000_000] {
        let text: String = ('a'..='z').cycle().take(size).collect();
        let body = chat(&text).replace("\"m\"", "\"fast\"");
        let answer = client.chat(&body);
        assert_eq!(answer.status, 200, "{size}: {}", answer.text());
        let expected = chat(&text).replace("\"m\"", "\"other-model\"");
        assert!(last_seen(&beta)["body_text"] == expected.as_str(), "{size}");
    }
    // Also to the same provider, over a fresh connection.
    beta.set_script(json!({
        "record_body_bytes": 8 << 20, "answers": ["cut_before_head", "ok"],
    }))
    .expect("a script");
    let body = chat(&"z".repeat(3_000_000)).replace("\"m\"", "\"fast\"");
    let before = beta.stats().requests;
    assert_eq!(client.chat(&body).status, 200);
    assert_eq!(beta.stats().requests, before + 2);
    let seen = last_seen(&beta)["body_bytes"].as_u64().expect("a number");
    assert_eq!(
        seen,
        body.len() as u64 + "other-model".len() as u64 - "fast".len() as u64
    );
}

#[test]
fn the_time_to_wait_is_that_of_the_provider_that_frees_up_first() {
    let pair = Pair::with(&[], PRIORITY);
    let limit = |seconds| json!({"status": 429, "retry_after": seconds});
    for (alpha, beta) in [(3, 50), (50, 3)] {
        pair.script(limit(alpha), limit(beta));
        let answer = pair.ask();
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("3"), "{alpha} {beta}");
        assert_eq!(answer.header("x-should-retry"), None);
    }
}

#[test]
fn a_wait_of_more_than_a_minute_is_not_for_clients_to_repeat_after() {
    let alpha = mock(json!({"name": "alpha", "status": 429, "retry_after": 300}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(answer.header("retry-after-ms"), Some("60000"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let told = answer.json()["error"]["retry_after_ms"].as_u64();
    assert!(
        told.is_some_and(|millis| (290_000..=300_000).contains(&millis)),
        "{told:?}"
    );
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The name stands for ::1 as well on many machines, where nobody listens.
    let alpha = mock(json!({"name": "alpha"}));
    let base = format!(
        "base_url: \"http://localhost:{}/v1\"",
        alpha.address().port()
    );
    let router = Router::start(&config_with(&alpha, &[&base]));
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
}
