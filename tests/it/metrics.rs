//! What is counted: every metric moves with real traffic, to the figure that it must have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use infermux::testing::report::escape::acts;
use infermux::testing::report::metrics::{Kind, ROWS};
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::fleet;
use crate::key_reports;
use crate::support::client::{Answer, Client};
use crate::support::load::ask;
use crate::support::operate::{get, post};
use crate::support::promtool;
use crate::support::receiver::Receiver;
use crate::support::router::{Folder, Router};
use crate::support::{config_of, config_with, eventually, mock, provider, wait_for_requests};

/// Requests of the storm, which uses up the retry budget.
const STORM: usize = 45;

/// A router that has seen everything that is counted, and what it said of that.
struct Story {
    /// While a stream was under way and another caller idle.
    during: String,
    /// In the end.
    after: String,
    /// The process at a glance, then.
    status: Value,
    /// Requests that callers have made.
    requests: f64,
}

fn metrics(router: &Router) -> String {
    let answer = get(router.management(), "/_infermux/metrics");
    assert_eq!(answer.status, 200);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    answer.text()
}

/// The value of the series that is written like this.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(series));
    let value = lines.find_map(|rest| rest.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

/// The sum of a metric's series.
fn sum(text: &str, name: &str) -> f64 {
    let series = text.lines().filter_map(|line| line.rsplit_once(' '));
    let series = series.filter(|(series, _)| series.split('{').next() == Some(name));
    series
        .map(|(_, value)| value.parse::<f64>().expect("a number"))
        .sum()
}

fn body(model: &str, more: &Value) -> String {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body.to_string()
}

/// Providers that do all that a provider may do, each by the model it is asked for.
fn providers() -> Vec<Mock> {
    let done = |model: &str, what: &str| json!({"when": {"model": model}, "do": what});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 7,
            "cache_creation_input_tokens": 40, "cache_read_input_tokens": 5},
    });
    let used = json!({"prompt_tokens": 1000, "completion_tokens": 50});
    let scripts = [
        json!({"name": "alpha", "rules": [
            {"when": {"model": "plain"}, "cached_tokens": 300},
            {"when": {"model": "guess"}, "usage": "never"},
            {"when": {"model": "flaky"}, "answers": [500]},
            {"when": {"model": "refused"}, "answers": [404]},
            done("slow", "stall_before_head"),
            done("held", "stall_mid_stream"),
            done("cut", "cut_mid_stream"),
            {"when": {"model": "storm"}, "body": {"error": "no", "usage": used}},
        ]}),
        json!({"name": "beta"}),
        json!({"name": "checked", "rules": [{"when": {"path": "/v1/models"}, "status": 500}]}),
        json!({"name": "broken", "answers": [500]}),
        json!({"name": "limited"}),
        json!({"name": "full", "answers": [{"status": 429, "retry_after": 60}]}),
        json!({"name": "gone", "refuse": true}),
        json!({"name": "late", "do": "stall_before_head"}),
        json!({"name": "strict", "answers": [401]}),
        json!({"name": "claude", "dialect": "anthropic",
               "answers": [{"status": 200, "body": message}]}),
    ];
    let usual = json!({"usage": "always", "prompt_tokens": 1000, "completion_tokens": 50});
    scripts.map(|script| mock(merged(&usual, &script))).into()
}

fn merged(base: &Value, over: &Value) -> Value {
    let mut both = base.clone();
    for (key, value) in over.as_object().expect("an object") {
        both[key] = value.clone();
    }
    both
}

fn config(mocks: &[Mock], state: &Path, webhook: &Receiver) -> String {
    let claude = format!("base_url: \"http://{}\"", mocks[9].address());
    let fields: [&[&str]; 10] = [
        &[
            "models: [plain, guess, free, dear, flaky, refused, slow, held, cut, storm, seen]",
            "responses: native",
        ],
        &["models: [flaky, storm, claude]"],
        &["models: [checked]", "health_check: {interval: 1h}"],
        &[
            "models: [broken]",
            "circuit_breaker: {consecutive_failures: 1}",
        ],
        &[
            "models: [limited]",
            "rate_limits: {requests_per_minute: 100, tokens_per_minute: 100000}",
        ],
        &["models: [full]"],
        &["models: [gone]"],
        &["models: [late]", "timeout: 200ms"],
        &["models: [strict]", "request: {set: {seed: 1}}"],
        &["models: [claude, bridged]", "type: anthropic", &claude],
    ];
    let mut providers: Vec<String> = mocks
        .iter()
        .zip(fields)
        .map(|(mock, fields)| provider(mock, fields))
        .collect();
    // What it cannot express goes on to another.
    providers.rotate_right(1);
    let rest = format!(
        "management_listen: \"127.0.0.1:0\"\n\
         routing: {{strategy: priority, failover: {{retry_budget: 0}}, \
         groups: [{{name: kept, models: [guess], affinity: {{by: session}}}}]}}\n\
         pricing:\n  alpha:\n    \
         plain: {{input_per_million: 2, output_per_million: 8}}\n    \
         guess: {{input_per_million: 1, output_per_million: 1}}\n    \
         storm: {{input_per_million: 1, output_per_million: 1}}\n    \
         dear: {{input_per_million: 850, output_per_million: 0}}\n\
         budgets:\n  state_file: {}\n  callers:\n    \
         - {{caller: team, monthly_usd: 1, action: alert}}\n    \
         - {{caller: poor, monthly_usd: 0.0001, action: hard_stop}}\nwebhooks:\n{}",
        state.display(),
        webhook.entry("")
    );
    config_of(&providers, &rest)
}

/// Asks as `caller`.
fn ask_as(addr: SocketAddr, caller: &str, body: &str) -> Answer {
    crate::support::load::ask_as(addr, caller, body)
}

/// Lets everything happen.
fn tell() -> Story {
    let mocks = providers();
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let webhook = Receiver::start();
    let usage = folder.path().join("usage.jsonl");
    let usage = format!("usage: {{file: {}}}\n", usage.display());
    let file = config(&mocks, &state, &webhook) + &usage;
    let router = Router::start(&file);
    let addr = router.addr();
    // What is written beside the state goes to a device that is full.
    std::os::unix::fs::symlink("/dev/full", state.with_extension("json.tmp")).expect("a link");
    let mut kept = Client::connect(addr);
    let plain = body("plain", &json!({}));
    assert_eq!(kept.chat(&plain).header("x-infermux-cost"), Some("0.0024"));
    eventually("the state cannot be written", || {
        sum(&metrics(&router), "infermux_state_write_failures_total") > 0.0
    });
    let streamed = json!({"stream": true});
    let audio = json!({"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    let one_by_one = [
        ("plain", &json!({}), 200),
        ("plain", &streamed, 200),
        ("guess", &json!({}), 200),
        ("free", &json!({}), 200),
        ("flaky", &json!({}), 200),
        ("refused", &json!({}), 404),
        ("cut", &streamed, 200),
        ("checked", &json!({}), 503),
        ("broken", &json!({}), 502),
        ("limited", &json!({}), 200),
        ("full", &json!({}), 429),
        ("gone", &json!({}), 502),
        ("late", &json!({}), 504),
        ("strict", &json!({}), 502),
        ("claude", &json!({}), 200),
        ("claude", &audio, 200),
        ("nobody's", &json!({}), 404),
    ];
    for (model, more, status) in one_by_one {
        let answer = ask(addr, &body(model, more));
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
    answer_references(addr);
    let dear = body("dear", &json!({}));
    let callers = [("team", 200), ("team", 200), ("poor", 429)];
    for (caller, status) in callers {
        assert_eq!(ask_as(addr, caller, &dear).status, status, "{caller}");
    }
    assert_eq!(get(addr, "/v1/models").status, 200);
    // Operators are not counted, nor are those who take the wrong door.
    assert_eq!(get(addr, "/_infermux/status").status, 404);
    leave_while_waiting(addr, &mocks[0]);
    let during = hold(&router, addr);
    for _ in 0..STORM {
        let answer = ask(addr, &body("storm", &json!({})));
        assert!([200, 502].contains(&answer.status));
    }
    assert_eq!(router.reload("providers: 7").status, 422);
    assert_eq!(router.reload(&file).status, 200);
    let out = post(router.management(), "/_infermux/providers/broken/take-out");
    assert_eq!(out.status, 200);
    let requests = 1 + 2 + one_by_one.len() + callers.len() + 1 + 2 + STORM;
    let mut after = String::new();
    eventually("the last line of the last request", || {
        after = metrics(&router);
        sum(&after, "infermux_caller_disconnects_total") == 2.0
            && value(&after, TOLD).is_some_and(|count| count >= 2.0)
            && sum(&after, "infermux_in_flight_requests") == 0.0
    });
    let status = get(router.management(), "/_infermux/status").json();
    drop(kept);
    Story {
        during,
        after,
        status,
        requests: requests as f64,
    }
}

/// Lets an answer be translated that a later request may refer to, and a request hold what a
/// provider cannot open.
fn answer_references(addr: SocketAddr) {
    let foreign = json!({"type": "reasoning", "id": "rs_ifx_00", "summary": [],
        "encrypted_content": "infermux.reasoning"});
    let user = json!({"role": "user", "content": "hello"});
    for (model, input) in [("bridged", json!([user])), ("seen", json!([foreign, user]))] {
        let metadata = json!({"a": "b"});
        let body = json!({"model": model, "input": input, "metadata": metadata}).to_string();
        let mut client = Client::connect(addr);
        client.post("/v1/responses", &body);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    }
}

/// A caller that hangs up before its answer's head.
fn leave_while_waiting(addr: SocketAddr, alpha: &Mock) {
    let seen = alpha.stats().requests;
    let mut client = Client::connect(addr);
    client.post("/v1/chat/completions", &body("slow", &json!({})));
    wait_for_requests(alpha, seen + 1);
}

/// Holds a stream until it shows, with another caller idle; then its caller leaves.
fn hold(router: &Router, addr: SocketAddr) -> String {
    let mut client = Client::connect(addr);
    client.post(
        "/v1/chat/completions",
        &body("held", &json!({"stream": true})),
    );
    let mut answer = client.head();
    client.chunk(&mut answer);
    let mut text = String::new();
    eventually("the callers of before are gone", || {
        text = metrics(router);
        DURING
            .iter()
            .all(|line| text.lines().any(|own| own == *line))
    });
    text
}

/// While one stream is under way.
const DURING: [&str; 5] = [
    // The request's body.
    "infermux_buffered_bytes 77",
    r#"infermux_in_flight_requests{provider="alpha"} 1"#,
    r#"infermux_connections{side="caller",state="active"} 1"#,
    r#"infermux_connections{side="caller",state="idle"} 1"#,
    r#"infermux_connections{side="provider",state="active"} 1"#,
];

/// What is exact in the end. Three requests of `plain` at 0.0024 dollars; two of `dear` at 0.85;
/// the storm's failed attempts at 0.00105.
const EXACT: &str = r#"
infermux_requests_total{provider="alpha",model="plain",status="200"} 3
infermux_requests_total{provider="alpha",model="refused",status="404"} 1
infermux_requests_total{provider="alpha",model="slow",status="499"} 1
infermux_requests_total{provider="alpha",model="held",status="499"} 1
infermux_requests_total{provider="alpha",model="cut",status="200"} 1
infermux_requests_total{provider="beta",model="flaky",status="200"} 1
infermux_requests_total{provider="beta",model="claude",status="200"} 1
infermux_requests_total{provider="broken",model="broken",status="502"} 1
infermux_requests_total{provider="full",model="full",status="429"} 1
infermux_requests_total{provider="gone",model="gone",status="502"} 1
infermux_requests_total{provider="late",model="late",status="504"} 1
infermux_requests_total{provider="(none)",model="(none)",status="200"} 1
infermux_requests_total{provider="(none)",model="(none)",status="404"} 1
infermux_requests_total{provider="(none)",model="(none)",status="429"} 1
infermux_requests_total{provider="(none)",model="(none)",status="503"} 1
infermux_errors_total{code="budget_exceeded"} 1
infermux_errors_total{code="model_not_found"} 1
infermux_errors_total{code="rate_limit"} 1
infermux_errors_total{code="upstream_timeout"} 1
infermux_latency_seconds_count{provider="alpha",model="plain"} 3
infermux_latency_seconds_bucket{provider="alpha",model="plain",le="+Inf"} 3
infermux_latency_seconds_count{provider="claude",model="claude"} 1
infermux_time_to_first_token_seconds_count{provider="alpha",model="plain"} 1
infermux_time_to_first_token_seconds_count{provider="alpha",model="held"} 1
infermux_tokens_total{provider="alpha",model="plain",type="input"} 2100
infermux_tokens_total{provider="alpha",model="plain",type="cache_read"} 900
infermux_tokens_total{provider="alpha",model="plain",type="output"} 150
infermux_tokens_total{provider="claude",model="claude",type="input"} 10
infermux_tokens_total{provider="claude",model="claude",type="cache_read"} 5
infermux_tokens_total{provider="claude",model="claude",type="cache_write"} 40
infermux_tokens_total{provider="claude",model="claude",type="output"} 7
infermux_cost_usd_total{provider="alpha",model="plain"} 0.0072
infermux_cost_usd_total{provider="alpha",model="dear"} 1.7
infermux_cost_usd_total{provider="alpha",model="free"} 0
infermux_failed_attempt_cost_usd_total{provider="alpha",model="storm"} 0.04725
infermux_failed_attempt_cost_usd_total{provider="alpha",model="plain"} 0
infermux_usage_estimated_total{provider="alpha",model="guess"} 1
infermux_usage_estimated_total{provider="alpha",model="slow"} 1
infermux_usage_estimated_total{provider="alpha",model="plain"} 0
infermux_unpriced_requests_total{provider="alpha",model="free"} 1
infermux_unpriced_requests_total{provider="alpha",model="plain"} 0
infermux_attempts_total{provider="alpha",outcome="server_error"} 1
infermux_attempts_total{provider="alpha",outcome="request_refused"} 1
infermux_attempts_total{provider="alpha",outcome="stream_cut"} 1
infermux_attempts_total{provider="alpha",outcome="caller_gone"} 2
infermux_attempts_total{provider="alpha",outcome="bad_answer"} 45
infermux_attempts_total{provider="gone",outcome="connect_failed"} 1
infermux_attempts_total{provider="late",outcome="timed_out"} 1
infermux_attempts_total{provider="full",outcome="rate_limited"} 1
infermux_attempts_total{provider="strict",outcome="own_key_refused"} 1
infermux_attempts_total{provider="claude",outcome="untranslatable"} 1
infermux_parameters_changed_total{provider="strict",kind="set"} 1
infermux_failovers_total{reason="server_error"} 1
infermux_failovers_total{reason="untranslatable"} 1
infermux_affinity_total{result="none"} 1
infermux_caller_disconnects_total 2
infermux_in_flight_requests{provider="alpha"} 0
infermux_in_flight_requests{provider="checked"} 0
infermux_provider_healthy{provider="alpha"} 1
infermux_provider_healthy{provider="checked"} 0
infermux_provider_taken_out{provider="alpha"} 0
infermux_provider_taken_out{provider="broken"} 1
infermux_circuit_state{provider="alpha"} 0
infermux_circuit_state{provider="broken"} 2
infermux_circuit_transitions_total{provider="broken",to="open",reason="consecutive_failures"} 1
infermux_rate_limit_headroom{provider="limited",kind="requests"} 99
infermux_rate_limit_headroom{provider="limited",kind="tokens"} 98950
infermux_rate_limit{provider="limited",kind="requests"} 100
infermux_rate_limit{provider="limited",kind="tokens"} 100000
infermux_budget_refusals_total{caller="team"} 0
infermux_budget_refusals_total{caller="poor"} 1
infermux_budget_spent_usd{caller="team"} 1.7
infermux_budget_spent_usd{caller="poor"} 0
infermux_budget_limit_usd{caller="team"} 1
infermux_budget_limit_usd{caller="poor"} 0.0001
infermux_budget_alerts_total{caller="team",percent="80"} 1
infermux_budget_alerts_total{caller="team",percent="100"} 1
infermux_budget_alerts_total{caller="poor",percent="100"} 0
infermux_config_reloads_total{result="success"} 1
infermux_config_reloads_total{result="failure"} 1
infermux_responses_dropped_total{what="reasoning"} 1
infermux_responses_dropped_total{what="metadata"} 1
infermux_shard_connections{shard="control"} 1
"#;

/// A budget has reached 80 % and 100 %.
const TOLD: &str = r#"infermux_webhook_notices_total{event="budget",outcome="sent"}"#;

/// What is at least so much in the end.
const AT_LEAST: [(&str, f64); 22] = [
    (
        r#"infermux_latency_seconds_sum{provider="alpha",model="plain"}"#,
        1e-6,
    ),
    ("infermux_overhead_seconds_count", 10.0),
    ("infermux_overhead_seconds_sum", 1e-6),
    ("infermux_retries_denied_total", 5.0),
    (r#"infermux_failovers_total{reason="bad_answer"}"#, 25.0),
    (r#"infermux_connections{side="provider",state="idle"}"#, 1.0),
    ("infermux_state_write_failures_total", 1.0),
    (r#"infermux_usage_records_total{result="written"}"#, 1.0),
    // Collectors are a story of their own: tests/it/traces.rs.
    (r#"infermux_spans_total{result="sent"}"#, 0.0),
    // A disk that is full is a story of its own.
    ("infermux_usage_write_failures_total", 0.0),
    (r#"infermux_shard_requests_total{shard="0"}"#, 1.0),
    (r#"infermux_shard_cpu_seconds_total{shard="1"}"#, 1e-6),
    (r#"infermux_shard_loop_delay_seconds_count{shard="0"}"#, 1.0),
    // A loop that does not turn is a story of its own.
    (r#"infermux_shard_stalls_total{shard="0"}"#, 0.0),
    ("infermux_responses_remembered_bytes", 1.0),
    ("process_cpu_seconds_total", 0.01),
    ("process_resident_memory_bytes", 1e6),
    ("process_virtual_memory_bytes", 1e6),
    ("process_open_fds", 10.0),
    ("process_max_fds", 100.0),
    ("process_start_time_seconds", 1.7e9),
    (TOLD, 2.0),
];

#[test]
fn every_metric_moves_with_real_traffic() {
    let Story {
        during,
        after,
        status,
        requests,
    } = tell();
    let has = |line: &str| after.lines().any(|own| own == line);
    let build = format!(
        "infermux_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    let exact = EXACT
        .lines()
        .filter(|line| !line.is_empty())
        .chain([&*build]);
    let missing: Vec<&str> = exact.clone().filter(|line| !has(line)).collect();
    assert!(
        missing.is_empty(),
        "not there:\n{}\nin\n{after}",
        missing.join("\n")
    );
    for (series, least) in AT_LEAST {
        let found = value(&after, series);
        assert!(
            found.is_some_and(|found| found >= least),
            "{series}: {found:?}"
        );
    }
    // Every request is counted once, by its status and by its shard; the storm's are told apart
    // only by who was left to serve them.
    assert_eq!(sum(&after, "infermux_requests_total"), requests);
    assert_eq!(sum(&after, "infermux_shard_requests_total"), requests);
    let told = |provider, status| {
        let labels = format!("provider=\"{provider}\",model=\"storm\",status=\"{status}\"");
        value(&after, &format!("infermux_requests_total{{{labels}}}")).unwrap_or_default()
    };
    let (served, lost) = (told("beta", 200), told("alpha", 502));
    assert_eq!(served + lost, STORM as f64);
    assert_eq!(sum(&after, "infermux_retries_denied_total"), lost);
    assert_eq!(value(&after, AT_LEAST[4].0), Some(served));
    assert_eq!(status["requests_total"].as_f64(), Some(requests));
    assert_eq!(status["requests_last_minute"].as_f64(), Some(requests));
    // Of budget, `checked`, `broken`, `full`, `gone`, `late` and `strict`.
    assert_eq!(status["errors_last_minute"].as_f64(), Some(7.0 + lost));
    // All but `checked`, which is not healthy, and `broken`, whose circuit is open.
    let providers = [&status["providers_healthy"], &status["providers_total"]];
    assert_eq!(providers.map(Value::as_u64), [Some(8), Some(10)]);
    assert!(status["uptime_seconds"].as_u64() < Some(60));
    let shard = |name: &str| {
        value(
            &during,
            &format!("infermux_shard_connections{{shard={name}}}"),
        )
    };
    assert_eq!(
        shard("\"0\"").zip(shard("\"1\"")).map(|(a, b)| a + b),
        Some(2.0)
    );
    let age = |text: &str| {
        let start = value(text, "process_start_time_seconds").expect("a time");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("a time after 1970").as_secs_f64() - start
    };
    assert!((0.0..60.0).contains(&age(&after)), "{}", age(&after));
    // Nothing is left out, and nothing stands there that is not in the list.
    let at_least = AT_LEAST.iter().map(|(series, _)| *series);
    let of_scopes = key_reports::SEEN
        .iter()
        .filter(|(_, _, value)| *value != "0");
    let of_scopes = of_scopes.map(|(name, ..)| *name);
    let of_the_store = fleet::SEEN.iter().map(|(name, ..)| *name);
    let all: Vec<&str> = exact
        .chain(at_least)
        .chain(DURING)
        .chain(of_scopes)
        .chain(of_the_store)
        .collect();
    for row in ROWS {
        let moves = |line: &&&str| {
            let rest = line.strip_prefix(row.name).unwrap_or("x");
            let is_its = rest.is_empty() || rest.starts_with([' ', '{', '_']);
            is_its && !line.ends_with("} 0")
        };
        let is_shown = all.iter().any(|line| moves(&line));
        assert!(is_shown, "{} is not seen moving", row.name);
    }
}

/// The families of a text by name, each with the label names of its series.
fn families(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut families = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name").to_owned();
            families.insert(name, Vec::new());
        }
    }
    families
}

#[test]
fn the_text_is_what_the_list_says_and_prometheus_reads_it() {
    let Story { after, .. } = tell();
    let names: Vec<String> = families(&after).into_keys().collect();
    let mut listed = ROWS.map(|row| row.name.to_owned());
    listed.sort_unstable();
    assert_eq!(names, listed);
    for row in ROWS {
        let suffixes = match row.kind {
            Kind::Counter | Kind::Gauge => &[""][..],
            Kind::Histogram => &["_sum", "_count"],
        };
        for suffix in suffixes {
            let start = format!("{}{suffix}{{", row.name);
            for line in after.lines().filter_map(|line| line.strip_prefix(&start)) {
                let names = line
                    .split("=\"")
                    .map(|part| part.rsplit(['"', ',', '{']).next());
                let names: Vec<&str> = names.flatten().collect();
                assert_eq!(
                    names[..row.labels.len()],
                    *row.labels,
                    "{} {line}",
                    row.name
                );
            }
        }
    }
    let said = promtool::complaints(&["check", "metrics"], Path::new("."), &after);
    assert_eq!(said.unwrap_or_default(), "");
}

#[test]
fn names_that_callers_make_up_neither_break_the_text_nor_fill_it() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"model": "made up"}, "answers": [404]},
    ]}));
    let router = Router::start(&config_with(&alpha, &["-models:"]));
    let odd = "quote\" back\\slash }{,=";
    let models = [
        odd,
        "made up",
        "two\nlines",
        "\u{202e}2J",
        "(other)",
        "größe 模型",
    ];
    for model in models.into_iter().chain([odd]) {
        ask(router.addr(), &body(model, &json!({})));
    }
    let text = metrics(&router);
    let count = |model: &str, status: &str| {
        let labels = format!("provider=\"alpha\",model=\"{model}\",status=\"{status}\"");
        value(&text, &format!("infermux_requests_total{{{labels}}}"))
    };
    assert_eq!(count(r#"quote\" back\\slash }{,="#, "200"), Some(2.0));
    assert_eq!(count("größe 模型", "200"), Some(1.0));
    // What acts on a terminal, and what no provider has answered to, gets no series of its own.
    assert_eq!(count("(other)", "200"), Some(2.0));
    assert_eq!(count("(other)", "404"), Some(1.0));
    assert_eq!(sum(&text, "infermux_requests_total"), 7.0);
    assert!(text.chars().all(|c| c == '\n' || !acts(c)));
    let said = promtool::complaints(&["check", "metrics"], Path::new("."), &text);
    assert_eq!(said.unwrap_or_default(), "");
}

/// How many series a router has with so many shards, providers, models and budgets, each of which
/// has been asked for.
fn series_of([shards, providers, models, callers]: [usize; 4], stream: bool) -> usize {
    let mocks: Vec<Mock> = (0..providers)
        .map(|place| mock(json!({"name": format!("alpha-{place}")})))
        .collect();
    let names: Vec<String> = (0..models).map(|place| format!("m{place}")).collect();
    let models = format!("models: {names:?}");
    let limits = "rate_limits: {requests_per_minute: 1000, tokens_per_minute: 1000000}";
    let providers: Vec<String> = mocks
        .iter()
        .map(|mock| provider(mock, &[&models, limits]))
        .collect();
    let budget = |place| format!("  - {{caller: c{place}, monthly_usd: 100}}\n");
    let budgets: String = (0..callers).map(budget).collect();
    let rest = format!("server: {{shards: {shards}}}\nbudgets:\n{budgets}");
    let router = Router::start(&config_of(&providers, &rest));
    let ask_for_all = || {
        for name in names.iter().cycle().take(names.len() * mocks.len()) {
            let body = body(name, &json!({"stream": stream}));
            assert_eq!(ask(router.addr(), &body).status, 200);
        }
    };
    // An event loop has series of its delays once it has had something to report.
    eventually("each loop has reported", || {
        ask_for_all();
        let text = metrics(&router);
        let name = "infermux_shard_loop_delay_seconds_count";
        let has = |shard| value(&text, &format!("{name}{{shard=\"{shard}\"}}")).is_some();
        (0..shards).all(has)
    });
    let text = metrics(&router);
    let is_series = |line: &&str| line.starts_with("infermux_") || line.starts_with("process_");
    text.lines().filter(is_series).count()
}

#[test]
fn there_are_as_many_series_as_architecture_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).expect("a page");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let one = series_of([1; 4], false);
    let more = |sizes| series_of(sizes, false) - one;
    for (count, before, after) in [
        (one, "shards | 1 | 18.15 | 1.00 | 0.26 | 9.3 | ", " |"),
        (more([2, 1, 1, 1]), "its spare buffers, and ", " series."),
        (more([1, 2, 1, 1]), "its counts: ", " series)"),
        (more([1, 1, 2, 1]), "asked for has ", " series"),
        (series_of([1; 4], true) - one, "that was streamed ", " more"),
        (more([1, 1, 1, 2]), "a budget has ", "."),
    ] {
        let told = format!("{before}{count}{after}");
        assert!(
            page.contains(&told),
            "ARCHITECTURE.md does not say {told:?}"
        );
    }
}
