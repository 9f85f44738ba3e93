//! Health checks: what they cost, what they decide, and what is told of them.

use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::command::{end, infermux};
use crate::support::load::ask;
use crate::support::operate::provider_report;
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, config_with, eventually, mock, provider};

const OFTEN: &str = "health_check: {interval: 100ms, timeout: 5s}";

fn named(name: &str) -> Mock {
    mock(json!({"name": name}))
}

/// A script under which health checks get `what`, and requests an ordinary answer.
fn checks_get(what: Value) -> Value {
    let mut rule = what;
    rule["when"] = json!({"method": "GET"});
    json!({"rules": [rule]})
}

fn script(mock: &Mock, script: Value) {
    mock.set_script(script).expect("a script");
}

/// How many of the requests that a mock has seen have this method.
fn seen(mock: &Mock, method: &str) -> usize {
    let all = mock.requests();
    all.iter().filter(|one| one["method"] == method).count()
}

/// The line about providers at the start.
fn introduced(router: &Router) -> &str {
    let mut lines = router.said().iter();
    lines
        .find_map(|line| line.strip_prefix("providers: "))
        .expect("a line")
}

fn is_healthy(router: &Router, name: &str) -> bool {
    provider_report(router, name)["healthy"] == true
}

#[test]
fn the_start_waits_for_the_first_round_and_tells_what_it_found() {
    for _ in 0..5 {
        let mocks = ["alpha", "beta", "gamma", "delta"].map(named);
        script(&mocks[1], checks_get(json!({"status": 500})));
        script(&mocks[3], json!({"refuse": true}));
        let off = "health_check: {disabled: true}";
        let fields = [OFTEN, OFTEN, off, OFTEN];
        let providers: Vec<String> = mocks
            .iter()
            .zip(fields)
            .map(|(mock, field)| provider(mock, &[field]))
            .collect();
        let router = Router::start(&config_of(&providers, ""));
        let found = "alpha (healthy), beta (unhealthy), gamma, delta (unhealthy)";
        assert_eq!(introduced(&router), found);
        assert_eq!(seen(&mocks[2], "GET"), 0);
        assert!(provider_report(&router, "beta")["last_check_at"].is_string());
        assert!(provider_report(&router, "gamma")["last_check_at"].is_null());
    }
}

#[test]
fn the_start_does_not_wait_when_it_must_not() {
    let alpha = mock(checks_get(json!({"do": "stall_before_head"})));
    let config = config_with(&alpha, &["health_check: {timeout: 15s, interval: 10ms}"]);
    let start = Instant::now();
    let router = Start::with(&config).args(&["--no-health-checks"]).go();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(introduced(&router), alpha.name());
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    let weighted = config_with(&alpha, &["health_check: {interval: 10ms}", "weight: 2"]);
    assert_eq!(router.reload(&weighted).status, 200);
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    assert_eq!(seen(&alpha, "GET"), 0, "no check ever runs");
}

#[test]
fn what_is_about_the_list_alone_says_nothing_of_health() {
    for (status, root, hint) in [
        (403, "/v1", "the key may not ask this"),
        (404, "/v1", "is base_url right?"),
        (404, "", "does base_url lack `/v1`?"),
        (405, "/v1", "no list of models at this URL"),
        (429, "/v1", "the provider is busy"),
        (501, "/v1", "no list of models at this URL"),
    ] {
        let alpha = mock(checks_get(json!({"status": status})));
        let base = format!("base_url: \"http://{}{root}\"", alpha.address());
        let router = Router::start(&config_with(&alpha, &[OFTEN, &base]));
        let found = format!("{} (healthy)", alpha.name());
        assert_eq!(introduced(&router), found, "{status}");
        eventually("three checks", || seen(&alpha, "GET") >= 3);
        router.wait_for_log("stays in service");
        let log = router.log();
        let told = log.lines().filter(|line| line.contains("stays in"));
        let told: Vec<&str> = told.collect();
        let url = format!("url=http://{}{root}/models", alpha.address());
        assert_eq!(told.len(), 1, "{log}");
        for text in [hint, &url, &format!("status {status}")] {
            assert!(told[0].contains(text), "{text}: {log}");
        }
        let report = provider_report(&router, &alpha.name());
        let why = report["last_error"].as_str().expect("a text");
        assert!(why.contains(hint), "{report}");
        assert!(report["unhealthy_since"].is_null(), "{report}");
        if !root.is_empty() {
            assert_eq!(ask(router.addr(), &chat("x")).status, 200);
        }
    }
}

#[test]
fn why_a_provider_is_unhealthy_is_told_everywhere() {
    for (what, expected) in [
        (json!({"status": 500}), "status 500"),
        (
            json!({"status": 401}),
            "status 401: the provider refuses the key",
        ),
        (json!({"do": "cut_before_head"}), "closed without an answer"),
    ] {
        let alpha = named("alpha");
        let router = Router::start(&config_with(&alpha, &[OFTEN]));
        let report = provider_report(&router, "alpha");
        let url = format!("http://{}/v1/models", alpha.address());
        assert_eq!(report["health_check_url"], url.as_str());
        assert!(report["last_error"].is_null() && report["last_error_at"].is_null());
        script(&alpha, checks_get(what));
        eventually("alpha is unhealthy", || !is_healthy(&router, "alpha"));
        let report = provider_report(&router, "alpha");
        let why = report["last_error"].as_str().expect("a text");
        assert!(why.contains(expected), "{why}");
        assert!(report["last_error_at"].is_string() && report["unhealthy_since"].is_string());
        let server = format!("http://{}", router.management());
        let table = end(&mut infermux(&["providers", "--server", &server])).stdout;
        assert!(table.contains(why) && table.contains(&url), "{table}");
        router.wait_for_log(&format!("url={url} why="));
        script(&alpha, json!({}));
        eventually("alpha is healthy", || is_healthy(&router, "alpha"));
        let report = provider_report(&router, "alpha");
        assert_eq!(report["last_error"], why, "what was stays known");
        assert!(report["unhealthy_since"].is_null(), "{report}");
    }
}

#[test]
fn another_path_can_be_asked() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"path": "/v1/models/key"}, "status": 200},
        {"when": {"method": "GET"}, "status": 500},
    ]}));
    let check = "health_check: {interval: 100ms, path: \"/models/key\"}";
    let router = Router::start(&config_with(&alpha, &[check]));
    assert_eq!(introduced(&router), "alpha (healthy)");
    let path = &alpha.requests()[0]["path"];
    assert_eq!(path, "/v1/models/key");
    assert!(provider_report(&router, "alpha")["last_error"].is_null());
}

#[test]
fn a_check_that_takes_too_long_has_failed() {
    let alpha = mock(checks_get(json!({"do": "stall_before_head"})));
    let start = Instant::now();
    let router = Router::start(&config_with(&alpha, &["health_check: {timeout: 300ms}"]));
    assert!(start.elapsed() >= Duration::from_millis(290));
    let found = format!("{} (unhealthy)", alpha.name());
    assert_eq!(introduced(&router), found);
    router.wait_for_log("no answer in time");
}

#[test]
fn an_unhealthy_provider_gets_nothing_until_it_is_healthy_again() {
    let (alpha, beta) = (named("alpha"), named("beta"));
    let providers = [&alpha, &beta].map(|mock| provider(mock, &[OFTEN]));
    let router = Router::start(&config_of(&providers, ""));
    for round in 1..=2 {
        let failing = json!({"do": "cut_before_head"});
        script(&beta, checks_get(failing));
        eventually("beta is unhealthy", || !is_healthy(&router, "beta"));
        beta.reset();
        for _ in 0..20 {
            let answer = ask(router.addr(), &chat("x"));
            assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
        }
        assert_eq!(seen(&beta, "POST"), 0);
        // Several checks fail, and one line tells of it.
        eventually("three checks", || seen(&beta, "GET") >= 3);
        script(&beta, json!({}));
        eventually("beta is healthy", || is_healthy(&router, "beta"));
        let answers = (0..4).map(|_| ask(router.addr(), &chat("x")));
        let by_beta = answers.filter(|one| one.header("x-infermux-provider") == Some("beta"));
        assert_eq!(by_beta.count(), 2);
        for text in ["health check failed", "health check succeeds again"] {
            router.wait_for_log(text);
            eventually(text, || router.log().matches(text).count() == round);
        }
    }
    let checked = |report: Value| report["last_check_at"].as_str().map(str::to_owned);
    let before = checked(provider_report(&router, "beta"));
    eventually("a later check", || {
        checked(provider_report(&router, "beta")) != before
    });
}

#[test]
fn nobody_healthy_is_told_with_a_time() {
    let mocks = ["alpha", "beta"].map(|name| {
        let mut script = checks_get(json!({"status": 503}));
        script["name"] = json!(name);
        mock(script)
    });
    let fields = &["health_check: {interval: 20s}"];
    let providers = mocks.each_ref().map(|mock| provider(mock, fields));
    let router = Router::start(&config_of(&providers, ""));
    let answer = ask(router.addr(), &chat("x"));
    let told = (answer.status, answer.code());
    assert_eq!(told, (503, "no_healthy_providers".into()));
    for (candidate, mock) in answer.json()["error"]["candidates"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(&mocks)
    {
        let url = format!("http://{}/v1/models", mock.address());
        let reason = candidate["reason"].as_str().expect("a text");
        assert_eq!(candidate["provider"], mock.name().as_str());
        assert!(
            reason.contains("status 503") && reason.contains(&url),
            "{reason}"
        );
    }
    let seconds: u64 = answer
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("whole seconds");
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(mocks.each_ref().map(|mock| seen(mock, "POST")), [0, 0]);
}

#[test]
fn without_a_key_of_its_own_any_answer_but_a_servers_error_is_a_good_one() {
    for (fields, status, state) in [
        (&[OFTEN, "-api_key"][..], 401, "healthy"),
        (&[OFTEN], 401, "unhealthy"),
        (&[OFTEN, "-api_key"], 404, "healthy"),
        (&[OFTEN], 404, "healthy"),
        (&[OFTEN, "-api_key"], 500, "unhealthy"),
        (&[OFTEN], 204, "healthy"),
    ] {
        let alpha = named("alpha");
        script(&alpha, checks_get(json!({"status": status})));
        let router = Router::start(&config_with(&alpha, fields));
        let expected = format!("alpha ({state})");
        assert_eq!(introduced(&router), expected, "{fields:?} {status:?}");
    }
}

#[test]
fn checks_ask_for_the_list_of_models_and_nothing_that_is_billed() {
    let azure = [
        "type: azure_openai",
        "azure_deployment: d",
        "azure_api_version: 2025-01-01",
    ];
    for (dialect, fields, base, path) in [
        ("openai", &["type: openai"][..], "/v1", "/v1/models"),
        ("ollama", &["type: ollama"], "", "/v1/models"),
        ("azure", &azure, "", "/openai/models?api-version=2025-01-01"),
    ] {
        let mock = mock(json!({"name": "p", "dialect": dialect, "key": "sk-p"}));
        let base = format!("base_url: \"http://{}{base}\"", mock.address());
        let mut fields = fields.to_vec();
        fields.extend([OFTEN, &base]);
        let router = Router::start(&config_with(&mock, &fields));
        assert_eq!(introduced(&router), "p (healthy)", "{dialect}");
        eventually("some checks", || mock.stats().requests >= 4);
        let requests = mock.requests();
        for request in &requests {
            assert_eq!(request["method"], "GET", "{dialect}");
            assert_eq!(request["path"], path, "{dialect}");
        }
        for pair in requests.windows(2) {
            let at = |one: &Value| one["arrived_ns"].as_u64().expect("a time");
            let pause = Duration::from_nanos(at(&pair[1]) - at(&pair[0]));
            assert!(pause >= Duration::from_millis(80), "{dialect}: {pause:?}");
        }
    }
}
