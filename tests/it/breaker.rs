//! Circuits: what opens them, who may try, and what closes them.

use infermux_mock::{Goals, Mock};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::load::{ask, timed, together};
use crate::support::operate::{circuit, provider_report, turn, wait_for_circuit};
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, eventually, last_seen, mock, provider, seen_header,
    streamed_chat, wait_for, wait_for_requests,
};

/// A router with the one provider `alpha`, whose circuit has these figures.
fn router(alpha: &Mock, figures: &str) -> Router {
    let figures = format!("circuit_breaker: {{{figures}}}");
    let start = Start::with(&config_with(alpha, &[&figures]));
    start.args(&["--log-level", "debug"]).go()
}

/// The same with an open circuit that becomes half-open after 150 ms; `alpha` is as good as new.
fn recovering(alpha: &Mock, figures: &str) -> Router {
    let figures = format!("consecutive_failures: 1, recovery_window: 150ms, {figures}");
    let router = router(alpha, &figures);
    script(alpha, json!({"status": 500}));
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    script(alpha, json!({}));
    alpha.reset();
    wait_for_circuit(&router, "alpha", "half-open");
    router
}

fn alpha() -> Mock {
    mock(json!({"name": "alpha"}))
}

fn script(mock: &Mock, script: Value) {
    mock.set_script(script).expect("a script");
}

/// Waits until the log tells of this many changes for this reason: it is written a moment later.
fn told(router: &Router, reason: &str, count: usize) {
    eventually(&format!("{count} changes by {reason}"), || {
        changes(router, reason) == count
    });
}

/// How often the log tells of a change for this reason.
fn changes(router: &Router, reason: &str) -> usize {
    let log = router.log();
    let told = log
        .lines()
        .filter(|line| line.contains("the circuit has changed"));
    told.filter(|line| line.contains(&format!("reason={reason}")))
        .count()
}

// proves: breaker.shared, verdict.before-cause
#[test]
fn exactly_as_many_requests_reach_a_dead_provider_as_open_its_circuit() {
    let alpha = alpha();
    let router = router(&alpha, "consecutive_failures: 3");
    script(&alpha, json!({"status": 500}));
    // The promise has one exception, a coordinator that takes too long. The log tells, and such a
    // round says nothing.
    let late = |router: &Router| router.log().matches(LATE).count();
    let mut in_time = 0;
    for round in 1..=30 {
        let late_before = late(&router);
        let expected: Vec<_> = (1..=12).map(|number| number <= 3).map(told_of).collect();
        let answers: Vec<_> = (1..=12).map(|_| ask(router.addr(), &chat("x"))).collect();
        let got: Vec<_> = answers.iter().map(|one| (one.status, one.code())).collect();
        told(&router, "consecutive_failures", round);
        if got == expected {
            in_time += 1;
            assert_eq!(alpha.stats().requests, 3, "{round}");
        } else {
            let is_late = || late(&router) > late_before;
            eventually(&format!("why it is late is told: {got:?}"), is_late);
        }
        for refused in answers.iter().filter(|one| one.status == 503) {
            let seconds = refused.header("retry-after").expect("a time");
            let seconds: u64 = seconds.parse().expect("whole seconds");
            assert!((1..=30).contains(&seconds), "{seconds}");
        }
        if in_time == 10 {
            return;
        }
        alpha.reset();
        assert_eq!(turn(&router, "alpha", "reset").status, 200);
    }
    panic!("of 30 verdicts, {in_time} were in force in time");
}

/// What callers are told of a provider that is dead, or that is not asked any more.
fn told_of(is_asked: bool) -> (u16, String) {
    let (status, code) = match is_asked {
        true => (502, "upstream_error"),
        false => (503, "no_healthy_providers"),
    };
    (status, code.to_owned())
}

/// What the log tells, at debug, where a verdict is not in force in time.
const LATE: &str = "a verdict is not in force in time";

/// A router with this many shards, and sixteen callers' connections, which land on several.
fn shared(alpha: &Mock, figures: &str, shards: usize) -> (Router, Vec<Client>) {
    let figures = format!("circuit_breaker: {{{figures}}}");
    let server = format!("server: {{shards: {shards}}}\n");
    let router = Router::start(&config_of(&[provider(alpha, &[&figures])], &server));
    let callers = (0..16).map(|_| Client::connect(router.addr())).collect();
    (router, callers)
}

// proves: breaker.in-order
#[test]
fn a_success_breaks_the_row_of_failures_whatever_shard_it_ended_on() {
    for shards in [2, 4] {
        let alpha =
            mock(json!({"name": "alpha", "answers": [500, 500, 500, 500, "ok"], "then": "loop"}));
        let figures = "consecutive_failures: 5, min_requests: 1000000";
        let (router, mut callers) = shared(&alpha, figures, shards);
        for number in 0..1_000 {
            let expected = if number % 5 == 4 { 200 } else { 502 };
            let answer = callers[number % 16].chat(&chat("x"));
            assert_eq!(answer.status, expected, "{number} of {shards} shards");
        }
        assert_eq!(circuit(&router, "alpha"), "closed");
        assert_eq!(changes(&router, "consecutive_failures"), 0);
    }
}

// proves: breaker.in-order
#[test]
fn a_success_that_is_older_than_the_row_does_not_break_it() {
    for shards in [2, 4] {
        let answers: Vec<Value> = (0..16).map(|_| json!("ok")).chain([json!(500)]).collect();
        let alpha = mock(json!({"name": "alpha", "answers": answers}));
        let figures = "consecutive_failures: 5, min_requests: 1000000";
        let (router, mut callers) = shared(&alpha, figures, shards);
        for round in 0..20 {
            for number in 0..24 {
                let expected = match number {
                    0..16 => 200,
                    16..21 => 502,
                    _ => 503,
                };
                let answer = callers[number % 16].chat(&chat("x"));
                assert_eq!(
                    answer.status, expected,
                    "{round}.{number} of {shards} shards"
                );
                if number == 20 {
                    // This is about which failure opens the circuit, not about how soon.
                    wait_for_circuit(&router, "alpha", "open");
                }
            }
            assert_eq!(alpha.stats().requests, 21, "{round}");
            alpha.reset();
            assert_eq!(turn(&router, "alpha", "reset").status, 200);
        }
    }
}

// proves: breaker.in-order
#[test]
fn a_success_counts_for_the_error_rate_as_soon_as_it_has_ended() {
    let alpha = mock(json!({"answers": ["ok", "ok", 500], "then": "loop"}));
    let figures = "consecutive_failures: 1000000, error_rate_threshold: 0.35, min_requests: 9";
    let (router, mut callers) = shared(&alpha, figures, 4);
    for number in 0..600 {
        let expected = if number % 3 == 2 { 502 } else { 200 };
        let answer = callers[number % 16].chat(&chat("x"));
        assert_eq!(answer.status, expected, "{number}");
    }
    assert_eq!(changes(&router, "error_rate"), 0);
}

// proves: verdict.before-cause
#[test]
fn nobody_who_comes_after_the_last_failure_was_told_reaches_a_dead_provider() {
    let alpha = mock(json!({"name": "alpha", "status": 500, "latency_ms": 5}));
    let router = router(&alpha, "consecutive_failures: 3");
    let addr = router.addr();
    let answers = together(200, move |_| {
        (0..4).map(|_| timed(addr, &chat("x"))).collect::<Vec<_>>()
    });
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let mut failures: Vec<_> = answers
        .iter()
        .filter(|timed| timed.answer.status == 502)
        .map(|timed| timed.read)
        .collect();
    failures.sort();
    assert_eq!(failures.len() as u64, alpha.stats().requests);
    let opened = failures[2];
    for timed in &answers {
        let expected = if timed.began > opened {
            &[503][..]
        } else {
            &[502, 503]
        };
        let status = timed.answer.status;
        let late = timed.began.saturating_duration_since(opened);
        assert!(expected.contains(&status), "{status} {late:?} late");
    }
    told(&router, "consecutive_failures", 1);
}

// proves: breaker.one-probe
#[test]
fn one_of_500_requests_is_the_probe_and_the_next_one_if_its_caller_leaves() {
    let alpha = alpha();
    let router = recovering(&alpha, "probe_timeout: 60s");
    script(&alpha, json!({"do": "stall_before_head"}));
    let mut callers: Vec<_> = (0..500).map(|_| Client::connect(router.addr())).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        let id = format!("X-Request-Id: caller-{number}\r\n");
        caller.post_with("/v1/chat/completions", &id, &chat("x"));
    }
    wait_for_requests(&alpha, 1);
    let prober = seen_header(&last_seen(&alpha), "x-request-id").expect("an id");
    let prober: usize = prober["caller-".len()..].parse().expect("a number");
    let prober = callers.swap_remove(prober);
    for mut caller in callers {
        assert_eq!(caller.answer().status, 503);
    }
    assert_eq!(alpha.stats().requests, 1);
    assert_eq!(circuit(&router, "alpha"), "half-open");
    script(&alpha, json!({}));
    drop(prober);
    eventually("somebody else is the probe", || {
        ask(router.addr(), &chat("x")).status == 200
    });
    assert_eq!(alpha.stats().requests, 2);
    assert_eq!(circuit(&router, "alpha"), "closed");
    told(&router, "probe_neutral", 1);
    told(&router, "probe_succeeded", 1);
}

// proves: verdict.before-cause
#[test]
fn whoever_has_a_probes_answer_finds_the_circuit_closed() {
    let alpha = alpha();
    for body in [chat("x"), streamed_chat("x")] {
        for _ in 0..10 {
            let router = recovering(&alpha, "");
            let mut prober = Client::connect(router.addr());
            prober.post("/v1/chat/completions", &body);
            prober.head();
            let statuses = [0; 4].map(|_| ask(router.addr(), &chat("x")).status);
            // The promise has one exception, a coordinator that takes too long: the log tells.
            if statuses != [200; 4] {
                router.wait_for_log(LATE);
            }
        }
    }
}

#[test]
fn a_probe_that_panics_gives_its_permit_back() {
    let alpha = alpha();
    let mut router = recovering(&alpha, "probe_timeout: 60s");
    router.expect_panics();
    let mut client = Client::connect(router.addr());
    let header = "X-Infermux-Test-Panic: 1\r\n";
    client.post_with("/v1/chat/completions", header, &chat("x"));
    client.rest();
    eventually("somebody else is the probe", || {
        ask(router.addr(), &chat("x")).status == 200
    });
}

// proves: breaker.evidence-beats-timer
#[test]
fn a_slow_probe_reopens_the_circuit_and_its_late_answer_closes_it() {
    let alpha = alpha();
    let figures = "probe_timeout: 100ms, recovery_backoff_multiplier: 100";
    let router = recovering(&alpha, figures);
    script(&alpha, json!({"latency_ms": 1_000}));
    let mut prober = Client::connect(router.addr());
    prober.post("/v1/chat/completions", &chat("x"));
    wait_for_circuit(&router, "alpha", "open");
    assert_eq!(alpha.stats().in_flight, 1);
    assert_eq!(ask(router.addr(), &chat("x")).status, 503);
    assert_eq!(prober.answer().status, 200);
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    told(&router, "probe_timeout", 1);
    told(&router, "probe_succeeded", 1);
}

#[test]
fn a_slow_probe_that_fails_does_not_close_the_circuit() {
    let alpha = alpha();
    let figures = "probe_timeout: 100ms, recovery_backoff_multiplier: 100";
    let router = recovering(&alpha, figures);
    script(&alpha, json!({"latency_ms": 500, "status": 500}));
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    assert_eq!(ask(router.addr(), &chat("x")).status, 503);
    assert_eq!(circuit(&router, "alpha"), "open");
    told(&router, "probe_timeout", 1);
    told(&router, "probe_failed", 0);
}

#[test]
fn a_streamed_probe_is_judged_by_its_first_content() {
    let alpha = alpha();
    let router = recovering(&alpha, "probe_timeout: 500ms");
    script(&alpha, json!({"event_interval_ms": 60, "events": 20}));
    let mut prober = Client::connect(router.addr());
    prober.post("/v1/chat/completions", &streamed_chat("x"));
    let mut answer = prober.head();
    prober.chunk(&mut answer).expect("content");
    wait_for_circuit(&router, "alpha", "closed");
    assert_eq!(alpha.stats().in_flight, 1, "the stream goes on");
    while prober.chunk(&mut answer).is_some() {}
    assert!(answer.complete);
    assert_eq!(circuit(&router, "alpha"), "closed");
    told(&router, "probe_succeeded", 1);
    told(&router, "probe_timeout", 0);
}

#[test]
fn each_failed_probe_lengthens_the_recovery_window_up_to_its_cap() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let figures = "consecutive_failures: 1, recovery_window: 400ms, \
                   recovery_backoff_multiplier: 2, recovery_backoff_max: 1s";
    let router = router(&alpha, figures);
    let fail = |expected: u64| {
        let answer = ask(router.addr(), &chat("x"));
        assert_eq!(answer.status, 502, "{}", answer.text());
        let report = provider_report(&router, "alpha");
        assert_eq!(report["circuit"], "open");
        let at = |key: &str| millis(report[key].as_str().expect("a time"));
        let span = at("circuit_recovery_at") - at("circuit_opened_at");
        assert_eq!(span, expected);
        wait_for_circuit(&router, "alpha", "half-open");
        let report = provider_report(&router, "alpha");
        assert!(report.get("circuit_recovery_at").is_none(), "{report}");
    };
    [400, 800, 1_000, 1_000].into_iter().for_each(fail);
    told(&router, "probe_failed", 3);
    script(&alpha, json!({}));
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    script(&alpha, json!({"status": 500}));
    fail(400);
}

/// Milliseconds of the day in a time like `2026-03-01T12:00:00.000Z`.
fn millis(time: &str) -> u64 {
    let time = time
        .split_once('T')
        .expect("a time")
        .1
        .trim_end_matches('Z');
    let mut parts = time.split([':', '.']).map(str::parse::<u64>);
    let mut next = || parts.next().expect("a part").expect("a number");
    ((next() * 60 + next()) * 60 + next()) * 1_000 + next()
}

#[test]
fn too_large_a_share_of_failures_opens_the_circuit_once_there_are_enough_requests() {
    let alpha = mock(json!({"name": "alpha", "answers": ["ok", "ok", 500], "then": "loop"}));
    let figures = "consecutive_failures: 100, error_rate_threshold: 0.3, min_requests: 9";
    let router = router(&alpha, figures);
    for number in 1..=12 {
        let status = match number {
            10.. => 503,
            _ if number % 3 == 0 => 502,
            _ => 200,
        };
        assert_eq!(ask(router.addr(), &chat("x")).status, status, "{number}");
        // Successes are reported within 10 ms; whoever asks for the reports has them in.
        provider_report(&router, "alpha");
    }
    let report = provider_report(&router, "alpha");
    let rate = report["error_rate"].as_f64().expect("a number");
    assert!((rate - 1.0 / 3.0).abs() < 0.01, "{rate}");
    told(&router, "error_rate", 1);
}

#[test]
fn old_failures_leave_the_window() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let figures = "consecutive_failures: 100, error_rate_threshold: 0.6, min_requests: 3, \
                   window_seconds: 1";
    let router = router(&alpha, figures);
    for _ in 0..2 {
        assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    }
    eventually("the window is empty", || {
        provider_report(&router, "alpha")["error_rate"] == 0.0
    });
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    assert_eq!(circuit(&router, "alpha"), "closed");
}

#[test]
fn a_p95_that_was_set_covers_every_answer() {
    for body in [chat("x"), streamed_chat("x")] {
        let alpha = mock(json!({"name": "alpha", "latency_ms": 120}));
        let router = router(&alpha, "latency_p95_ms: 100, min_requests: 3");
        for status in [200, 200, 200, 503] {
            assert_eq!(ask(router.addr(), &body).status, status);
            provider_report(&router, "alpha");
        }
        told(&router, "latency_p95", 1);
        let report = provider_report(&router, "alpha");
        let p95 = report["p95_latency_ms"].as_f64().expect("a number");
        assert!((110.0..5_000.0).contains(&p95), "{p95}");
    }
}

#[test]
fn the_p95_by_default_is_about_the_first_content_of_streams() {
    let slow = json!({"name": "alpha", "latency_ms": 5_200});
    together(2, move |number| {
        let alpha = mock(slow.clone());
        let router = router(&alpha, "min_requests: 1");
        let body = [chat("x"), streamed_chat("x")][number].clone();
        assert_eq!(ask(router.addr(), &body).status, 200);
        assert_eq!(circuit(&router, "alpha"), ["closed", "open"][number]);
        told(&router, "latency_p95", number);
    });
}

#[test]
fn rate_limits_count_as_failures_only_on_request() {
    for (figure, state) in [("true", "open"), ("false", "closed")] {
        let headers = json!({"retry-after-ms": "1"});
        let alpha = mock(json!({"name": "alpha", "status": 429, "headers": headers}));
        let figures = format!("consecutive_failures: 2, treat_rate_limit_as_error: {figure}");
        let router = router(&alpha, &figures);
        eventually("alpha has refused twice", || {
            ask(router.addr(), &chat("x"));
            alpha.stats().requests == 2
        });
        assert_eq!(circuit(&router, "alpha"), state);
    }
}

#[test]
fn the_callers_own_mistakes_open_no_circuit() {
    let alpha = alpha();
    let router = router(&alpha, "consecutive_failures: 1, min_requests: 1");
    for status in [400, 404, 409, 413, 422] {
        script(&alpha, json!({"status": status}));
        for _ in 0..3 {
            assert_eq!(ask(router.addr(), &chat("x")).status, status);
        }
    }
    assert_eq!(circuit(&router, "alpha"), "closed");
    // Neither is a caller who leaves.
    script(&alpha, json!({"do": "stall_before_head"}));
    let before = alpha.stats().requests;
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("x"));
    wait_for_requests(&alpha, before + 1);
    drop(client);
    let gone = Goals {
        peer_closed: Some(1),
        ..Goals::default()
    };
    wait_for(&alpha, &gone);
    assert_eq!(circuit(&router, "alpha"), "closed");
    assert!(!router.log().contains("the circuit has changed"));
}

#[test]
fn a_broken_stream_is_a_failure_that_the_error_frame_comes_after() {
    let alpha = mock(json!({"name": "alpha", "do": "cut_mid_stream", "events": 5}));
    let router = router(&alpha, "consecutive_failures: 2");
    for _ in 0..2 {
        let answer = ask(router.addr(), &streamed_chat("x"));
        assert!(answer.status == 200 && !answer.complete);
    }
    assert_eq!(ask(router.addr(), &streamed_chat("x")).status, 503);
    assert_eq!(alpha.stats().requests, 2);
}

#[test]
fn a_providers_own_figures_come_before_the_general_ones() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha", "status": 500})),
        mock(json!({"name": "beta", "status": 500})),
    );
    let providers = [
        provider(&alpha, &["models: [a]"]),
        provider(
            &beta,
            &["models: [b]", "circuit_breaker: {consecutive_failures: 4}"],
        ),
    ];
    let config = config_of(&providers, "").replace(
        "circuit_breaker: {consecutive_failures: 1000000, min_requests: 1000000}",
        "circuit_breaker: {consecutive_failures: 2, recovery_window: 20s}",
    );
    let router = Router::start(&config);
    for (model, mock, failures) in [("a", &alpha, 2), ("b", &beta, 4)] {
        let body = chat("x").replace("\"m\"", &format!("\"{model}\""));
        for _ in 0..6 {
            ask(router.addr(), &body);
        }
        assert_eq!(mock.stats().requests, failures, "{model}");
        let report = provider_report(&router, mock.name().as_str());
        let at = |key: &str| millis(report[key].as_str().expect("a time"));
        let span = at("circuit_recovery_at") - at("circuit_opened_at");
        assert_eq!(span, 20_000, "what is not its own");
    }
}
