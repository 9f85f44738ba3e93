//! The configuration is reloaded: what changes, what stays, and that nobody notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::operate::{circuit, get, metric, provider_report, turn};
use crate::support::router::{Router, Start};
use crate::support::tls::{Papers, client_session};
use crate::support::{
    chat, config_of, config_with, eventually, mock, provider, streamed_chat, wait_as_told,
    wait_for_requests,
};

/// Sends a chat request; who served it.
fn served_by(router: &Router) -> String {
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let provider = answer.header("x-infermux-provider");
    provider.expect("a provider").to_owned()
}

/// Reloads a configuration that can be used; what has changed.
fn reload(router: &Router, config: &str) -> Value {
    let answer = router.reload(config);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["changed"].clone()
}

fn named(name: &str) -> Mock {
    mock(json!({"name": name}))
}

#[test]
fn a_file_takes_effect_and_what_changed_is_told() {
    let (alpha, beta) = (named("alpha"), named("beta"));
    let router = Router::start(&config_with(&alpha, &[]));
    assert_eq!(served_by(&router), "alpha");
    let mut kept = Client::connect(router.addr());
    assert_eq!(kept.chat(&chat("hello")).status, 200);
    let answer = router.reload(&config_with(&beta, &[]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let changed = ["provider alpha: removed", "provider beta: added"];
    assert_eq!(
        answer.json(),
        json!({"status": "reloaded", "changed": changed, "needs_restart": []})
    );
    for _ in 0..4 {
        assert_eq!(served_by(&router), "beta");
    }
    let answer = kept.chat(&chat("hello"));
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    let listed = get(router.addr(), "/_infermux/providers").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["name"], "beta");
    assert_eq!(turn(&router, "alpha", "open").status, 404);
    for line in changed.iter().chain(&["the configuration is reloaded"]) {
        router.wait_for_log(line);
    }
}

#[test]
fn a_signal_reloads_too() {
    let (alpha, beta) = (named("alpha"), named("beta"));
    let router = Router::start(&config_with(&alpha, &[]));
    let config = config_with(&beta, &[]);
    router.folder().write("infermux.yml", config);
    router.signal("HUP");
    router.wait_for_log("the configuration is reloaded");
    assert_eq!(served_by(&router), "beta");
}

#[test]
fn a_bad_file_changes_nothing_and_every_fault_is_told() {
    let alpha = named("alpha");
    let router = Router::start(&config_with(&alpha, &[]));
    let bad = config_with(&alpha, &["weight: 0", "timeout: never"]);
    let answer = router.reload(&bad);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(answer.code(), "invalid_configuration");
    let faults = answer.json()["error"]["faults"].to_string();
    for path in ["providers[0].weight: ", "providers[0].timeout: "] {
        assert!(faults.contains(path), "{faults}");
        router.wait_for_log(path);
    }
    let tls = "tls: {cert_file: /nowhere, key_file: /nowhere}\n";
    let without_files = config_of(&[provider(&alpha, &[])], tls);
    for bad in ["", "providers: [", &without_files] {
        let answer = router.reload(bad);
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    assert_eq!(served_by(&router), "alpha");
    assert_eq!(reload(&router, &config_with(&alpha, &[])), json!([]));
}

/// Docker and Kubernetes replace the file of a secret; a reload reads it again.
#[test]
fn a_secret_in_a_file_is_read_again() {
    let alpha = named("alpha");
    let router = Router::start(&config_with(&alpha, &[]));
    let secret = router.folder().write("key", "sk-first\n");
    let path = secret.display();
    let config = config_with(&alpha, &[&format!("api_key: '${{file:{path}}}'")]);
    assert_eq!(reload(&router, &config), json!(["provider alpha: api_key"]));
    assert_eq!(served_by(&router), "alpha");
    router.folder().write("key", "sk-second\n");
    assert_eq!(reload(&router, &config), json!(["provider alpha: api_key"]));
    assert_eq!(served_by(&router), "alpha");
    let requests = alpha.requests();
    for (request, key) in requests.iter().zip(["sk-first", "sk-second"]) {
        let headers = request["headers"].to_string();
        assert!(headers.contains(&format!("Bearer {key}")), "{headers}");
    }
    std::fs::remove_file(&secret).expect("a file");
    let answer = router.reload(&config);
    assert_eq!(answer.status, 422, "{}", answer.text());
    let faults = answer.json()["error"]["faults"].to_string();
    assert!(faults.contains("does not exist"), "{faults}");
    assert_eq!(served_by(&router), "alpha");
}

#[test]
fn what_needs_a_restart_is_named_and_stays() {
    let alpha = named("alpha");
    let router = Router::start(&config_with(&alpha, &[]));
    let rest = "server: {max_body_bytes: 10, drain_delay: 1s}\nlog: {level: error}\n";
    let config = config_of(&[provider(&alpha, &["weight: 2"])], rest);
    let config = config.replace("127.0.0.1:0", "127.0.0.1:1");
    let keys = [
        "listen",
        "log.level",
        "server.max_body_bytes",
        "server.drain_delay",
    ];
    // Again and again, as long as it has not been restarted.
    for changed in [json!(["provider alpha: weight"]), json!([])] {
        let answer = router.reload(&config).json();
        assert_eq!(answer["changed"], changed);
        assert_eq!(answer["needs_restart"], json!(keys));
    }
    assert_eq!(served_by(&router), "alpha");
    for key in keys {
        router.wait_for_log(&format!("key={key}"));
    }
}

#[test]
fn a_flag_goes_before_the_file_again() {
    let alpha = named("alpha");
    let config = config_with(&alpha, &[]);
    let start = Start::with(&config).args(&["--listen", "127.0.0.1:0", "--log-level", "debug"]);
    let router = start.go();
    let config = config.replace("127.0.0.1:0", "127.0.0.1:1");
    let answer = router.reload(&(config + "log: {level: error}\n"));
    assert_eq!(answer.json()["needs_restart"], json!([]));
}

#[test]
fn a_request_ends_by_the_configuration_it_began_under() {
    let alpha = mock(json!({"name": "alpha", "events": 6, "event_interval_ms": 100}));
    let beta = named("beta");
    let limited = "rate_limits: {tokens_per_minute: 9000}";
    let router = Router::start(&config_with(&alpha, &[limited]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("a b c d"));
    let mut answer = client.head();
    client.chunk(&mut answer).expect("content");
    reload(&router, &config_with(&beta, &[]));
    assert_eq!(alpha.stats().answered, 0, "the stream is under way");
    while let Some(chunk) = client.chunk(&mut answer) {
        answer.body.extend_from_slice(&chunk);
    }
    assert!(answer.complete);
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    assert!(answer.trailer("x-infermux-completion-tokens").is_some());
    let next = client.chat(&chat("hello"));
    assert_eq!(next.header("x-infermux-provider"), Some("beta"));
}

#[test]
fn circuits_of_who_stays_stay_and_of_who_moves_begin_anew() {
    let (alpha, beta, gamma) = (named("alpha"), named("beta"), named("gamma"));
    let both = |first: String| config_of(&[first, provider(&gamma, &[])], "");
    let router = Router::start(&both(provider(&alpha, &[])));
    turn(&router, "alpha", "open");
    turn(&router, "gamma", "open");
    let changed = reload(&router, &both(provider(&alpha, &["weight: 3"])));
    assert_eq!(changed, json!(["provider alpha: weight"]));
    assert_eq!(circuit(&router, "alpha"), "open");
    // The same name at another place.
    let moved = format!("base_url: \"http://{}/v1\"", beta.address());
    let changed = reload(&router, &both(provider(&alpha, &[&moved])));
    assert_eq!(changed, json!(["provider alpha: base_url, weight"]));
    assert_eq!(circuit(&router, "alpha"), "closed");
    assert_eq!(circuit(&router, "gamma"), "open");
    assert_eq!(served_by(&router), "alpha");
    assert_eq!((alpha.stats().requests, beta.stats().requests), (0, 1));
}

#[test]
fn a_window_keeps_what_is_charged_to_it() {
    let alpha = named("alpha");
    let limited = |limit: &str| config_with(&alpha, &[&format!("rate_limits: {{{limit}}}")]);
    let router = Router::start(&limited("requests_per_minute: 10"));
    let headroom = || provider_report(&router, "alpha")["rate_limit_headroom_rpm"].clone();
    for _ in 0..4 {
        served_by(&router);
    }
    assert_eq!(headroom(), 6);
    for (limit, left) in [
        ("requests_per_minute: 20", json!(16)),
        ("requests_per_minute: 5", json!(1)),
        ("tokens_per_minute: 100000", json!(null)),
        ("requests_per_minute: 6", json!(2)),
    ] {
        reload(&router, &limited(limit));
        assert_eq!(headroom(), left, "{limit}");
    }
    served_by(&router);
    served_by(&router);
    let refused = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!((refused.status, refused.code()), (429, "rate_limit".into()));
}

#[test]
fn a_budget_keeps_what_is_spent() {
    let alpha = named("alpha");
    let prices = "{input_per_million: 1000, output_per_million: 1000}";
    let priced = |budgets: &str| {
        let rest = format!("pricing: {{alpha: {{m: {prices}}}}}\n{budgets}");
        config_of(&[provider(&alpha, &[])], &rest)
    };
    let budget = |usd: &str| priced(&format!("budgets: [{{caller: c, monthly_usd: {usd}}}]\n"));
    let router = Router::start(&budget("100"));
    let ask = || {
        let mut client = Client::connect(router.addr());
        let header = "X-Infermux-Caller: c\r\n";
        client.post_with("/v1/chat/completions", header, &chat("hello"));
        client.answer()
    };
    let spent = |answer: Answer| answer.json()["error"]["spent_usd"].as_f64();
    let first = ask();
    let cost = first.header("x-infermux-cost").expect("a cost");
    let value: f64 = cost.parse().expect("a number");
    assert!(value > 0.0);
    reload(&router, &budget(cost));
    let refused = ask();
    assert_eq!(refused.code(), "budget_exceeded");
    assert_eq!(spent(refused), Some(value));
    reload(&router, &budget("100"));
    assert_eq!(ask().status, 200);
    // Without a budget nothing is booked to one; what was spent is known when it comes back.
    reload(&router, &priced(""));
    assert_eq!(ask().status, 200);
    reload(&router, &budget("0.000001"));
    assert_eq!(spent(ask()), Some(2.0 * value));
}

/// Sends a chat request over TLS; the first bytes of the answer.
fn chat_over(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    let body = chat("hello");
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(String::from_utf8_lossy(&start).into_owned())
}

#[test]
fn new_connections_get_the_new_certificate() {
    let alpha = named("alpha");
    let papers = || Papers::for_names(&["localhost"]);
    let (old, new) = (papers(), papers());
    let start = Start::with(&config_with(&alpha, &[]));
    let file = |name: &str| start.folder().path().join(name);
    let (cert, key) = (file("c.pem"), file("k.pem"));
    let write = |papers: &Papers| {
        std::fs::write(&cert, &papers.cert_pem).expect("a file");
        std::fs::write(&key, &papers.key_pem).expect("a file");
    };
    write(&old);
    let files = format!("cert_file: {}, key_file: {}", cert.display(), key.display());
    let config = config_of(&[provider(&alpha, &[])], &format!("tls: {{{files}}}\n"));
    start.folder().write("infermux.yml", &config);
    let router = start.go();
    let connect = |papers: &Papers| {
        let stream = TcpStream::connect(router.addr()).expect("a connection");
        StreamOwned::new(client_session(&papers.client(&["http/1.1"])), stream)
    };
    let mut kept = connect(&old);
    assert_eq!(chat_over(&mut kept).expect("an answer"), "HTTP/1.1 200");
    // Half of a change: the key does not fit yet, so nothing happens.
    std::fs::write(&cert, &new.cert_pem).expect("a file");
    router.signal("HUP");
    router.wait_for_log("the configuration is not reloaded");
    assert!(chat_over(&mut connect(&old)).is_ok());
    write(&new);
    router.signal("HUP");
    router.wait_for_log("tls: certificate");
    router.wait_for_log("the configuration is reloaded");
    assert!(chat_over(&mut connect(&new)).is_ok());
    assert!(chat_over(&mut connect(&old)).is_err());
    assert!(chat_over(&mut kept).is_ok(), "the old connection goes on");
}

#[test]
fn who_is_new_is_checked_at_once_and_who_is_gone_no_more() {
    let alpha = named("alpha");
    let failing = json!([{"when": {"method": "GET"}, "status": 500}]);
    let beta = mock(json!({"name": "beta", "rules": failing}));
    let checked = "health_check: {interval: 50ms}";
    let router = Router::start(&config_with(&alpha, &[checked]));
    let healthy = |name: &str| provider_report(&router, name)["healthy"] == true;
    let both = |beta: String| config_of(&[provider(&alpha, &[checked]), beta], "");
    reload(&router, &both(provider(&beta, &[checked])));
    eventually("beta is unhealthy", || !healthy("beta"));
    // Who is not checked any more is healthy.
    reload(&router, &both(provider(&beta, &[])));
    assert!(healthy("beta") && healthy("alpha"));
    reload(&router, &config_with(&beta, &[]));
    let before = alpha.stats().requests;
    wait_as_told(Duration::from_millis(300));
    let after = alpha.stats().requests;
    assert!(after <= before + 1, "one may have been under way");
}

#[test]
fn a_probe_that_is_out_opens_its_circuit_again() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 700}));
    let breaker = "circuit_breaker: {recovery_window: 100ms, probe_timeout: 10s}";
    let router = Router::start(&config_with(&alpha, &[breaker]));
    turn(&router, "alpha", "open");
    eventually("half-open", || circuit(&router, "alpha") == "half-open");
    let mut probe = Client::connect(router.addr());
    probe.post("/v1/chat/completions", &chat("hello"));
    wait_for_requests(&alpha, 1);
    reload(
        &router,
        &config_with(&alpha, &[&breaker.replace("100ms", "60s")]),
    );
    assert_eq!(circuit(&router, "alpha"), "open");
    // Evidence beats the timer.
    assert_eq!(probe.answer().status, 200);
    assert_eq!(circuit(&router, "alpha"), "closed");
}

#[test]
fn a_signal_during_the_start_waits_for_its_end() {
    let stalling = json!([{"when": {"method": "GET"}, "do": "stall_before_head"}]);
    let alpha = mock(json!({"name": "alpha", "rules": stalling}));
    let checked = "health_check: {interval: 60s, timeout: 1s}";
    let mut start = Start::with(&config_with(&alpha, &[checked]));
    let child = start.command().spawn().expect("the router starts");
    let mut child = Killed(child);
    // The check is under way: signals are watched, and nobody is served yet.
    wait_for_requests(&alpha, 1);
    let pid = child.0.id().to_string();
    let sent = Command::new("kill").args(["-HUP", &pid]).status();
    assert!(sent.expect("kill runs").success());
    let log = BufReader::new(child.0.stderr.take().expect("piped"));
    let mut lines = log.lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("serving") || line.contains("reloaded"));
    assert!(said.is_some_and(|line| line.contains("serving")));
    assert!(lines.any(|line| line.contains("the configuration is reloaded")));
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_operator_needs_the_token() {
    let alpha = named("alpha");
    let start = Start::with(&config_with(&alpha, &[]));
    let router = start.env("INFERMUX_MANAGEMENT_TOKEN", "t").go();
    assert_eq!(router.reload(&config_with(&alpha, &[])).status, 401);
    assert!(!router.log().contains("reloaded"));
}

#[test]
fn a_process_that_drains_is_not_reloaded() {
    let alpha = named("alpha");
    let server = "server: {drain_delay: 2s}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], server));
    router.signal("TERM");
    router.wait_for_log("asked to stop");
    router.signal("HUP");
    router.wait_for_log("the configuration is not reloaded");
    let answer = router.reload(&config_with(&alpha, &[]));
    assert_eq!(
        (answer.status, answer.code()),
        (503, "shutting_down".into())
    );
    assert_eq!(served_by(&router), "alpha");
}

/// The configuration of one round: who is there, at which of two places, and how it is weighed.
/// The first is always there.
fn configuration(mocks: &[Mock], round: usize) -> String {
    let is_there = |place: &usize| *place == 0 || (round >> place).is_multiple_of(2);
    let places = (0..mocks.len()).filter(is_there);
    let providers = places.map(|place| {
        let local = (round + place).is_multiple_of(4);
        let host = if local { "localhost" } else { "127.0.0.1" };
        let port = mocks[place].address().port();
        let fields = [
            format!("base_url: \"http://{host}:{port}/v1\""),
            format!("weight: {}", 1 + (round + place) % 3),
            format!("max_in_flight: {}", 1_000 + round),
        ];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        provider(&mocks[place], &fields)
    });
    config_of(&providers.collect::<Vec<_>>(), "")
}

/// Asks until `stop` says so, 500 times a second with all other callers together.
fn keep_asking(router: &Router, start: Instant, (stop, sent): (&AtomicBool, &AtomicU64)) {
    let mut client = Client::connect(router.addr());
    while !stop.load(Ordering::Relaxed) {
        let answer = client.chat(&chat("hello"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.complete && answer.header("x-infermux-attempts").is_none());
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_millis(2 * number);
        std::thread::park_timeout(due.saturating_sub(start.elapsed()));
    }
}

// proves: reload.unnoticed
#[test]
fn five_hundred_requests_a_second_go_through_thirty_reloads() {
    let mocks = ["alpha", "beta", "gamma", "delta"]
        .map(|name| mock(json!({"name": name, "latency_ms": 20})));
    let router = Router::start(&configuration(&mocks, 0));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| keep_asking(&router, start, (&stop, &sent)));
        }
        // However it ends, the callers end.
        let _stop = Stop(&stop);
        let rounds = |first: usize| {
            for round in first..first + 15 {
                let before = sent.load(Ordering::Relaxed);
                reload(&router, &configuration(&mocks, round));
                let go_on = || sent.load(Ordering::Relaxed) >= before + 50;
                eventually("requests go on", go_on);
            }
        };
        rounds(1);
        let warm = resident(router.pid());
        rounds(16);
        let grown = resident(router.pid()).saturating_sub(warm);
        assert!(grown < 4 << 10, "memory grew by {grown} KiB");
    });
    let (sent, seconds) = (sent.into_inner(), start.elapsed().as_secs_f64());
    // Whoever serves them now and then: every count is of a name.
    let mut seen = 0;
    for mock in &mocks {
        let requests = mock.stats().requests;
        let provider = format!("provider=\"{}\"", mock.name());
        let counted = metric(router.addr(), "infermux_requests_total", &[&provider]);
        assert_eq!(counted, requests as f64, "{provider}");
        seen += requests;
    }
    assert_eq!(seen, sent, "every request was sent once");
    let reloads = metric(router.addr(), "infermux_config_reloads_total", &[]);
    assert_eq!(reloads, 30.0);
    eventually("every request has its line", || {
        router.log().matches("status=200").count() as u64 >= sent
    });
    assert!(sent as f64 > 250.0 * seconds, "{sent} in {seconds} s");
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Memory in use, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse().ok()).expect("a number")
}
