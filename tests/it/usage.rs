//! Usage records: a line for each request and each attempt, in a file that nothing is lost from.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use infermux_mock::Mock;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::costs::nano;
use crate::responses_stored::request;
use crate::support::client::Client;
use crate::support::command::{end, infermux};
use crate::support::load::{ask_as, together};
use crate::support::native::Native;
use crate::support::operate::{get, metric};
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, eventually, mock, provider, streamed_chat, wait_for_requests,
};

const USAGE: &str = "usage: {file: usage.jsonl}\n";
const COST: &str = "infermux_cost_usd_total";
const FAILED: &str = "infermux_failed_attempt_cost_usd_total";

/// A router whose configuration names files in its own folder.
fn start(config: &str) -> Router {
    prepared(config).go()
}

fn prepared(config: &str) -> Start {
    let mut start = Start::with(config);
    let folder = start.folder().path().to_owned();
    start.command().current_dir(folder);
    start
}

/// The schema that the binary prints.
fn schema() -> Validator {
    let printed = end(&mut infermux(&["schema", "usage"]));
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    let schema = serde_json::from_str(&printed.stdout).expect("JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("a schema");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// The files of usage records in `folder`, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_one = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(".jsonl"));
    let mut paths: Vec<_> = paths.filter(is_one).collect();
    paths.sort();
    paths
}

/// All records in `folder`, each of which keeps to the schema.
fn records(folder: &Path) -> Vec<Value> {
    let schema = schema();
    let texts = files(folder).into_iter().map(std::fs::read_to_string);
    let mut all = Vec::new();
    for text in texts {
        let text = text.expect("a text");
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let faults = schema.iter_errors(&record).map(|fault| fault.to_string());
            assert_eq!(faults.collect::<Vec<_>>(), [""; 0], "{line}");
            all.push(record);
        }
    }
    all
}

/// Stops the router, and returns its records.
fn stopped(router: &mut Router) -> Vec<Value> {
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    records(router.folder().path())
}

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|one| one["kind"] == kind).collect()
}

fn sum(records: &[&Value], field: &str) -> u64 {
    records.iter().filter_map(|one| one[field].as_u64()).sum()
}

/// How often each value of a field stands in the records, but `null`.
fn tally(records: &[&Value], field: &str) -> BTreeMap<String, u64> {
    let mut tally = BTreeMap::new();
    for value in records.iter().map(|one| &one[field]) {
        if !value.is_null() {
            let name = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            *tally.entry(name).or_default() += 1;
        }
    }
    tally
}

/// The series of a metric, added up by one label; those at zero are left out.
fn by_label(metrics: &str, name: &str, label: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let start = format!("{name}{{");
    for line in metrics.lines().filter(|line| line.starts_with(&start)) {
        let (_, rest) = line.split_once(&format!("{label}=\"")).expect("a label");
        let (value, rest) = rest.split_once('"').expect("a label's end");
        let (_, count) = rest.rsplit_once(' ').expect("a count");
        let count: u64 = count.parse().expect("a whole number");
        if count > 0 {
            *sums.entry(value.to_owned()).or_default() += count;
        }
    }
    sums
}

fn usage_of(prompt: u64, completion: u64, cached: u64, thought: u64) -> Value {
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    })
}

fn told(usage: &Value) -> Value {
    json!({"headers": {"x-request-id": "theirs"}, "body": {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": usage,
    }})
}

/// A story with requests of every kind: what the first provider does, one answer after the other.
fn script() -> Vec<Value> {
    let error = json!({"body": {"error": {"message": "no"}, "usage": usage_of(10, 3, 0, 0)}});
    vec![
        told(&usage_of(1_001, 7, 400, 2)),
        // A failure that costs something, and one that costs nothing.
        error,
        json!({"status": 500}),
        json!({"do": "cut_mid_stream", "completion_tokens": 99}),
        json!({"do": "stall_mid_stream"}),
        json!({"do": "ok"}),
    ]
}

fn story(shards: usize) -> (Mock, Mock, Router) {
    let alpha = mock(json!({"name": "alpha", "answers": script(), "usage": "always"}));
    let beta = mock(json!({"name": "beta", "usage": "always"}));
    let providers = [
        provider(&alpha, &["models: [m, n]", "model_aliases: {m: real-m}"]),
        provider(&beta, &["models: [m, n]"]),
    ];
    let price = "{input_per_million: 3.7, output_per_million: 15.1}";
    let models = format!("{{m: {price}, real-m: {price}, n: {price}}}");
    let rest = format!(
        "server: {{shards: {shards}}}\n{USAGE}\
         routing: {{strategy: priority, failover: {{retry_budget: 1}}}}\n\
         pricing: {{alpha: {models}, beta: {models}}}\n\
         budgets: [{{caller: poor, monthly_usd: 0.000001, action: model_override, \
         model_override: n}}]\n"
    );
    let router = start(&config_of(&providers, &rest));
    (alpha, beta, router)
}

/// Has requests of every kind answered; returns how many there were.
fn play(alpha: &Mock, router: &Router) -> u64 {
    let addr = router.addr();
    for _ in 0..3 {
        assert_eq!(ask_as(addr, "me", &chat("hello")).status, 200);
    }
    let cut = ask_as(addr, "me", &streamed_chat("hello"));
    assert!(!cut.complete);
    let mut leaving = Client::connect(addr);
    leaving.post("/v1/chat/completions", &streamed_chat("hello"));
    let mut head = leaving.head();
    leaving.chunk(&mut head).expect("content");
    drop(leaving);
    router.wait_for_log("status=499");
    assert_eq!(ask_as(addr, "me", &streamed_chat("hello")).status, 200);
    // Its budget is too small for the model that it asks for.
    for _ in 0..2 {
        assert_eq!(ask_as(addr, "poor", &chat("hello")).status, 200);
    }
    // Nobody serves the model, and nobody reads the body.
    let unknown = json!({"model": "nobody's", "messages": []}).to_string();
    assert_eq!(ask_as(addr, "me", &unknown).status, 404);
    assert_eq!(ask_as(addr, "me", "{").status, 400);
    assert_eq!(get(addr, "/v1/models").status, 200);
    assert_eq!(get(addr, "/nowhere").status, 404);
    wait_for_requests(alpha, 8);
    12
}

#[test]
fn the_sums_of_the_records_are_those_of_metrics_and_reports() {
    for shards in [1, 2] {
        let (alpha, _beta, mut router) = story(shards);
        let count = play(&alpha, &router);
        let metrics = get(router.addr(), "/_infermux/metrics").text();
        let costs = get(router.addr(), "/_infermux/costs").json();
        let (spent, failed) = (
            nano(&metric(router.addr(), COST, &[]).into()),
            nano(&metric(router.addr(), FAILED, &[]).into()),
        );
        let all = stopped(&mut router);
        let (requests, attempts) = (of_kind(&all, "request"), of_kind(&all, "attempt"));
        assert_eq!(requests.len() as u64, count, "{shards}");
        assert_eq!(sum(&requests, "cost_nano_usd"), spent);
        assert_eq!(nano(&costs["total_usd"]), spent);
        assert!(spent > 0 && failed > 0);
        assert_eq!(sum(&requests, "failed_cost_nano_usd"), failed);
        let billed = |is: bool| -> Vec<&Value> {
            let all = attempts.iter().copied();
            all.filter(|one| one["billed"] == is).collect()
        };
        assert_eq!(sum(&billed(true), "cost_nano_usd"), spent);
        assert_eq!(sum(&billed(false), "cost_nano_usd"), failed);
        let mut tokens = by_label(&metrics, "infermux_tokens_total", "type");
        for kind in ["input", "cache_read", "cache_write", "output"] {
            let told = tokens.remove(kind).unwrap_or_default();
            assert_eq!(sum(&requests, &format!("{kind}_tokens")), told, "{kind}");
            assert_eq!(
                sum(&billed(true), &format!("{kind}_tokens")),
                told,
                "{kind}"
            );
        }
        assert_eq!(sum(&requests, "reasoning_tokens"), 2);
        let statuses = by_label(&metrics, "infermux_requests_total", "status");
        assert_eq!(tally(&requests, "status"), statuses);
        let outcomes = by_label(&metrics, "infermux_attempts_total", "outcome");
        assert_eq!(tally(&attempts, "outcome"), outcomes);
        assert_eq!(sum(&requests, "attempts"), attempts.len() as u64);
        let by_caller = get_by(&requests, "caller", "me");
        assert_eq!(by_caller.len(), 7);
    }
}

fn get_by<'a>(records: &[&'a Value], field: &str, value: &str) -> Vec<&'a Value> {
    let all = records.iter().copied();
    all.filter(|one| one[field] == value).collect()
}

#[test]
fn a_record_says_how_its_request_was_served() {
    let (alpha, _beta, mut router) = story(1);
    play(&alpha, &router);
    let all = stopped(&mut router);
    let (requests, attempts) = (of_kind(&all, "request"), of_kind(&all, "attempt"));
    let first = requests[0];
    for (field, expected) in [
        ("endpoint", json!("chat_completions")),
        ("dialect", json!("chat")),
        ("stream", json!(false)),
        ("caller", json!("me")),
        ("key", Value::Null),
        ("model", json!("m")),
        ("model_sent", json!("real-m")),
        ("model_override", Value::Null),
        ("strategy", json!("priority")),
        ("provider", json!("alpha")),
        ("status", json!(200)),
        ("error", Value::Null),
        ("attempts", json!(1)),
        ("input_tokens", json!(601)),
        ("cache_read_tokens", json!(400)),
        ("output_tokens", json!(7)),
        ("reasoning_tokens", json!(2)),
        ("estimated", json!(false)),
        ("priced", json!(true)),
    ] {
        assert_eq!(first[field], expected, "{field}: {first}");
    }
    let mine = get_by(&attempts, "request_id", text(first, "request_id"));
    let [only] = mine[..] else {
        panic!("one attempt: {mine:?}");
    };
    for (field, expected) in [
        ("attempt", json!(1)),
        ("provider_type", json!("openai")),
        ("provider_request_id", json!("theirs")),
        ("provider_key", json!("infermux")),
        ("outcome", json!("answered")),
        ("sends", json!(1)),
        ("probe", json!(false)),
        ("billed", json!(true)),
    ] {
        assert_eq!(only[field], expected, "{field}: {only}");
    }
    let millis = |record: &Value, field: &str| record[field].as_f64().expect("milliseconds");
    assert!(millis(only, "sent_ms") <= millis(only, "head_ms"));
    assert!(millis(only, "head_ms") <= millis(only, "duration_ms"));
    assert!(millis(only, "duration_ms") <= millis(first, "duration_ms") + 1.0);
    // The second one failed over, and its first attempt was not for nothing.
    let second = get_by(&attempts, "request_id", text(requests[1], "request_id"));
    assert_eq!(tally(&second, "attempt").len(), 2);
    assert_eq!(
        (&second[0]["outcome"], &second[0]["billed"]),
        (&json!("bad_answer"), &json!(false))
    );
    assert_eq!(
        (&second[1]["after"], &second[1]["provider"]),
        (&json!("bad_answer"), &json!("beta"))
    );
    // A stream that was cut, and one whose caller left.
    let outcomes = tally(&attempts, "outcome");
    assert_eq!((outcomes["stream_cut"], outcomes["caller_gone"]), (1, 1));
    let streams = get_by(&attempts, "outcome", "stream_cut");
    assert!(millis(streams[0], "first_content_ms") >= millis(streams[0], "head_ms"));
    let gone = requests
        .iter()
        .find(|one| one["status"] == 499)
        .expect("a hang-up");
    assert_eq!(gone["error"], "caller_gone");
    assert!(gone["cost_nano_usd"].as_u64() > Some(0));
    let overridden = get_by(&requests, "model_override", "n");
    assert_eq!(
        (overridden.len(), &overridden[0]["model"]),
        (2, &json!("m"))
    );
    assert_eq!(overridden[0]["model_sent"], "n");
    // Who never came to a provider has no attempt, and cost nothing.
    let refused = get_by(&requests, "model", "nobody's");
    assert_eq!(refused[0]["error"], "model_not_found");
    assert!(refused[0]["cost_nano_usd"].is_null() && refused[0]["provider"].is_null());
    assert_eq!(tally(&requests, "month").len(), 1);
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().expect("a text")
}

#[test]
fn keys_and_teams_are_told_by_name_alone() {
    let alpha = mock(json!({"name": "alpha"}));
    let secret = "sk-quite-a-secret";
    let rest = format!(
        "{USAGE}teams: [{{name: product}}]\nauth:\n  mode: keys\n  keys:\n    {}",
        entry("web", secret, ", team: product, caller: site")
    );
    let mut router = start(&config_of(&[provider(&alpha, &[])], &rest));
    let mut client = Client::connect(router.addr());
    let headers = format!(
        "Authorization: Bearer {secret}\r\nX-Infermux-Project: p\r\nX-Infermux-Env: e\r\n\
         X-Request-Id: my \"id\r\nX-Request-Id: mine\r\n"
    );
    client.post_with("/v1/chat/completions", &headers, &chat("whisper"));
    assert_eq!(client.answer().status, 200);
    let refused = "Authorization: Bearer wrong-secret\r\n";
    client.post_with("/v1/chat/completions", refused, &chat("whisper"));
    assert_eq!(client.answer().status, 401);
    let all = stopped(&mut router);
    for one in &all[..2] {
        let names = ["key", "team", "caller", "project", "env"].map(|name| text(one, name));
        assert_eq!(names, ["web", "product", "site", "p", "e"]);
    }
    assert_eq!(
        (all.len(), &all[2]["status"], &all[2]["key"]),
        (3, &json!(401), &Value::Null)
    );
    let written = std::fs::read_to_string(router.folder().path().join("usage.jsonl"));
    let written = written.expect("a text");
    for secret in ["secret", "whisper", "sk-"] {
        assert!(!written.contains(secret), "{written}");
    }
}

#[test]
fn what_a_response_in_the_background_has_used_is_a_correction() {
    let alpha = Native::start("alpha");
    let rest = format!(
        "{USAGE}pricing: {{alpha: {{m: {{input_per_million: 1000, output_per_million: 2000}}}}}}\n\
         teams: [{{name: product}}]\nauth:\n  mode: keys\n  keys:\n    {}    {}",
        entry("web", "k-web", ", team: product"),
        entry("ci", "k-ci", "")
    );
    let mut router = start(&config_of(&[alpha.provider(&[])], &rest));
    let headers = "Content-Type: application/json\r\nAuthorization: Bearer k-web\r\n";
    let body = json!({"model": "m", "input": "x", "background": true}).to_string();
    let begun = request(&router, "POST /v1/responses", headers, &body);
    assert_eq!(begun.status, 200, "{}", begun.text());
    let begun = begun.json();
    let id = text(&begun, "id");
    // Whoever asks for it, and however often.
    for key in ["k-ci", "k-web", "k-ci"] {
        let headers = format!("Authorization: Bearer {key}\r\n");
        let asked = request(&router, &format!("GET /v1/responses/{id}"), &headers, "");
        assert_eq!(asked.status, 200, "{}", asked.text());
    }
    let costs = get(router.addr(), "/_infermux/costs").json();
    let all = stopped(&mut router);
    let (requests, attempts) = (of_kind(&all, "request"), of_kind(&all, "attempt"));
    let corrections = of_kind(&all, "correction");
    let [correction] = corrections[..] else {
        panic!("one correction: {corrections:?}");
    };
    // Lines of requests on two shards stand in any order.
    let is_first = |one: &&Value| one["endpoint"] == "responses";
    let first = requests.iter().copied().find(is_first).expect("the first");
    let made = |one: &&Value| one["request_id"] == first["request_id"];
    let attempt = attempts.iter().copied().find(made).expect("its attempt");
    for (field, expected) in [
        ("request_id", &first["request_id"]),
        ("response_id", &json!(id)),
        ("key", &json!("web")),
        ("team", &json!("product")),
        ("provider", &json!("alpha")),
        ("model_sent", &json!("m")),
        ("estimated", &json!(false)),
        ("month", &first["month"]),
    ] {
        assert_eq!(&correction[field], expected, "{field}: {correction}");
    }
    assert_eq!(attempt["response_id"], id);
    assert_eq!(first["estimated"], true);
    assert_eq!((requests.len(), attempts.len()), (4, 4));
    // 1,000 tokens and 500, with what was estimated at first.
    let billed = [requests, corrections].concat();
    assert_eq!(sum(&billed, "cost_nano_usd"), 2_000_000_000);
    assert_eq!(nano(&costs["total_usd"]), 2_000_000_000);
    let input = ["input_tokens", "cache_read_tokens", "cache_write_tokens"];
    let input: u64 = input.iter().map(|field| sum(&billed, field)).sum();
    assert_eq!((input, sum(&billed, "output_tokens")), (1_000, 500));
}

#[test]
fn whatever_ends_before_the_process_does_is_in_the_file() {
    let alpha = mock(json!({"name": "alpha", "events": 6, "event_interval_ms": 100}));
    let router =
        &mut start(&config_with(&alpha, &[]).replace("providers:", &format!("{USAGE}providers:")));
    let mut clients: Vec<Client> = (0..60).map(|_| Client::connect(router.addr())).collect();
    for client in &mut clients {
        client.post("/v1/chat/completions", &streamed_chat("a b c d"));
    }
    wait_for_requests(&alpha, 60);
    router.signal("TERM");
    assert!(alpha.stats().answered < 60, "streams are under way");
    for client in &mut clients {
        assert!(client.answer().complete);
    }
    assert_eq!(router.wait().code(), Some(0));
    let all = records(router.folder().path());
    assert_eq!(tally(&of_kind(&all, "request"), "status")["200"], 60);
    assert_eq!(tally(&of_kind(&all, "attempt"), "outcome")["answered"], 60);
}

#[test]
fn a_killed_process_leaves_whole_lines_that_the_next_one_goes_on_after() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_with(&alpha, &[]).replace("providers:", &format!("{USAGE}providers:"));
    let mut router = start(&config);
    let addr = router.addr();
    assert_eq!(ask_as(addr, "before", &chat("hello")).status, 200);
    let path = router.folder().path().join("usage.jsonl");
    eventually("a line", || records(router.folder().path()).len() == 2);
    let mode = std::fs::metadata(&path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777 & !0o640, 0, "{mode:o}");
    assert_eq!(mode & 0o600, 0o600, "{mode:o}");
    router.signal("KILL");
    router.wait();
    // As if it had been killed while it wrote a line.
    let mut text = std::fs::read_to_string(&path).expect("a text");
    text.push_str("{\"schema\":1,\"kind\":\"requ");
    let next = prepared(&config);
    std::fs::write(next.folder().path().join("usage.jsonl"), text).expect("a file");
    let mut next = next.go();
    assert_eq!(ask_as(next.addr(), "after", &chat("hello")).status, 200);
    let all = stopped(&mut next);
    let callers = tally(&of_kind(&all, "request"), "caller");
    assert_eq!(
        callers,
        BTreeMap::from([("after".into(), 1), ("before".into(), 1)])
    );
}

#[test]
fn one_file_has_one_instance() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_with(&alpha, &[]);
    let first = start(&format!("{config}{USAGE}"));
    let path = first.folder().path().join("usage.jsonl");
    let path = path.to_str().expect("a text");
    let mut second = prepared(&format!("{config}usage: {{file: '{path}'}}\n"));
    let ended = end(second.command());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("another infermux writes its usage records there")
    );
    // One that serves already goes on as it is.
    let other = start(&config);
    let answer = other.reload(&format!("{config}usage: {{file: '{path}'}}\n"));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.text().contains("another infermux"),
        "{}",
        answer.text()
    );
    assert_eq!(ask_as(other.addr(), "me", &chat("hello")).status, 200);
}

#[test]
fn a_reload_turns_it_on_and_off_and_changes_the_file() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_with(&alpha, &[]);
    let mut router = start(&config);
    let ask = |router: &Router, caller: &str| {
        assert_eq!(ask_as(router.addr(), caller, &chat("hello")).status, 200);
    };
    let status = |router: &Router| get(router.addr(), "/_infermux/status").json();
    assert!(status(&router)["usage_records"].is_null() && !has_thread(&router));
    ask(&router, "off");
    for (usage, caller) in [
        ("usage: {file: one.jsonl}\n", "one"),
        ("usage: {file: two.jsonl, rotate: 64KB, keep: 2}\n", "two"),
        ("", "off"),
        ("usage: {file: one.jsonl, rotate: never}\n", "one"),
    ] {
        let answer = router.reload(&format!("{config}{usage}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("usage"), "{}", answer.text());
        ask(&router, caller);
    }
    // The same file again, while its thread has just been asked to go on.
    assert_eq!(
        router
            .reload(&format!("{config}usage: {{file: one.jsonl}}\n"))
            .status,
        200
    );
    ask(&router, "one");
    eventually("three records", || {
        status(&router)["usage_records"]["written"] == 4
    });
    assert_eq!(status(&router)["usage_records"]["state"], "ok");
    let bad = router.reload(&format!("{config}usage: {{file: /proc/nothing/x}}\n"));
    assert_eq!(bad.status, 422, "{}", bad.text());
    let all = stopped(&mut router);
    let callers = tally(&of_kind(&all, "request"), "caller");
    assert_eq!(
        callers,
        BTreeMap::from([("one".into(), 3), ("two".into(), 1)])
    );
    let names = files(router.folder().path());
    let names: Vec<_> = names.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["one.jsonl", "two.jsonl"]);
}

/// Whether the router has a thread that writes usage records.
fn has_thread(router: &Router) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", router.pid())).expect("tasks");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim() == "usage")
}

#[test]
fn a_file_that_was_renamed_is_followed_by_another_one_at_a_signal() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = format!(
        "{}usage: {{file: usage.jsonl, rotate: never}}\n",
        config_with(&alpha, &[])
    );
    let mut router = start(&config);
    let folder = router.folder().path().to_owned();
    assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    eventually("a line", || records(&folder).len() == 2);
    std::fs::rename(folder.join("usage.jsonl"), folder.join("usage.1.jsonl")).expect("a disk");
    router.signal("HUP");
    router.wait_for_log("the configuration is reloaded");
    eventually("another file", || folder.join("usage.jsonl").exists());
    assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    assert_eq!(stopped(&mut router).len(), 4);
    for name in ["usage.jsonl", "usage.1.jsonl"] {
        let text = std::fs::read_to_string(folder.join(name)).expect("a text");
        assert_eq!(text.lines().count(), 2, "{name}");
    }
}

#[test]
fn files_are_put_aside_by_size_and_the_oldest_go() {
    let alpha = mock(json!({"name": "alpha"}));
    let usage = "usage: {file: usage.jsonl, rotate: 64KB, keep: 3}\n";
    let mut router = start(&format!("{}{usage}", config_with(&alpha, &[])));
    let addr = router.addr();
    let folder = router.folder().path().to_owned();
    let mut asked = 0;
    eventually("enough files", || {
        let statuses = together(4, move |_| {
            let mut client = Client::connect(addr);
            (0..25)
                .map(|_| client.chat(&chat("hello")).status)
                .collect::<Vec<_>>()
        });
        asked += statuses
            .concat()
            .iter()
            .filter(|status| **status == 200)
            .count();
        files(&folder).len() == 4 && asked > 500
    });
    let all = stopped(&mut router);
    let paths = files(&folder);
    assert_eq!(paths.len(), 4);
    assert!(all.len() < 2 * asked, "the oldest are gone");
    for path in &paths {
        assert!(std::fs::metadata(path).expect("a file").len() <= 64_000);
    }
    // They sort by time: so do the records in them.
    let ended: Vec<_> = of_kind(&all, "request")
        .iter()
        .map(|one| text(one, "time").to_owned())
        .collect();
    let (first, last) = (ended.iter().min(), ended.iter().max());
    assert!(text(&all[0], "time") < last.map_or("", String::as_str) && first.is_some());
    assert_eq!(router.log().matches("ERROR").count(), 0, "{}", router.log());
}

/// A router that may write files up to this size; the disk seems full beyond.
fn on_a_small_disk(config: &str, bytes: u64) -> Router {
    let mut start = prepared(config);
    let mut command = Command::new("sh");
    // In units of 512 bytes.
    let script = format!("trap '' XFSZ; ulimit -S -f {} && exec \"$@\"", bytes / 512);
    let folder = start.folder().path().to_owned();
    command.args(["-c", &script, "sh"]);
    command.arg(start.command().get_program());
    command.args(start.command().get_args());
    command.current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    *start.command() = command;
    start.go()
}

#[test]
fn a_full_disk_is_told_and_stops_nobody_and_nothing_is_lost() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = format!("{}{USAGE}", config_with(&alpha, &[]));
    let mut router = on_a_small_disk(&config, 8_192);
    let addr = router.addr();
    let mut client = Client::connect(addr);
    for _ in 0..50 {
        assert_eq!(client.chat(&chat("hello")).status, 200);
    }
    router.wait_for_log("usage records cannot be written");
    let path = router.folder().path().join("usage.jsonl");
    assert!(std::fs::metadata(&path).expect("a file").len() <= 8_192);
    // Whole lines alone, although the disk had taken a part of one.
    assert!(records(router.folder().path()).len() < 100);
    let status = |field: &str| {
        let status = get(addr, "/_infermux/status").json();
        status["usage_records"][field].clone()
    };
    assert_eq!(status("state"), "failing");
    let failures = || metric(addr, "infermux_usage_write_failures_total", &[]);
    eventually("it is tried again", || failures() >= 2.0);
    assert_eq!(
        router
            .log()
            .matches("usage records cannot be written")
            .count(),
        1
    );
    let raised = Command::new("prlimit")
        .args(["--pid", &router.pid().to_string(), "--fsize=unlimited"])
        .status();
    assert!(raised.expect("prlimit runs").success());
    router.wait_for_log("usage records are written again");
    assert_eq!(status("state"), "ok");
    let counted = |result| metric(addr, "infermux_usage_records_total", &[result]);
    assert_eq!(counted("result=\"written\""), 50.0);
    assert_eq!(counted("result=\"dropped\""), 0.0);
    assert_eq!(stopped(&mut router).len(), 100);
}

#[test]
fn a_file_that_was_removed_is_followed_by_another_one_without_a_signal() {
    let alpha = mock(json!({"name": "alpha"}));
    let mut router = start(&format!("{}{USAGE}", config_with(&alpha, &[])));
    let folder = router.folder().path().to_owned();
    assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    eventually("a line", || records(&folder).len() == 2);
    std::fs::remove_file(folder.join("usage.jsonl")).expect("a disk");
    eventually("another file", || folder.join("usage.jsonl").exists());
    assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    assert_eq!(stopped(&mut router).len(), 2);
}

#[test]
fn a_file_that_cannot_be_put_aside_goes_on_and_that_is_told_once() {
    let alpha = mock(json!({"name": "alpha"}));
    // With the time in it, its name would be longer than a disk takes.
    let name = "u".repeat(240);
    let usage = format!("usage: {{file: {name}.jsonl, rotate: 64KB}}\n");
    let mut router = start(&format!("{}{usage}", config_with(&alpha, &[])));
    let addr = router.addr();
    let mut client = Client::connect(addr);
    for _ in 0..40 {
        assert_eq!(client.chat(&chat("hello")).status, 200);
    }
    let failures = || metric(addr, "infermux_usage_write_failures_total", &[]);
    eventually("it is tried again", || failures() >= 3.0);
    let status = get(addr, "/_infermux/status").json();
    assert_eq!(status["usage_records"]["state"], "failing");
    for _ in 0..10 {
        assert_eq!(client.chat(&chat("hello")).status, 200);
    }
    assert_eq!(stopped(&mut router).len(), 100);
    let told = router.log().matches("cannot be put aside").count();
    assert_eq!(told, 1, "{}", router.log());
}

#[test]
fn records_that_a_reload_leaves_behind_unwritten_are_counted() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_with(&alpha, &[]);
    let router = start(&format!("{config}usage: {{file: /dev/full}}\n"));
    for _ in 0..5 {
        assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    }
    router.wait_for_log("usage records cannot be written");
    let answer = router.reload(&format!("{config}{USAGE}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let dropped = "result=\"dropped\"";
    let dropped = || metric(router.addr(), "infermux_usage_records_total", &[dropped]);
    eventually("they are counted", || dropped() == 5.0);
}

#[test]
fn a_device_that_is_full_loses_the_records_and_says_so() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_with(&alpha, &[]);
    let mut router = start(&format!("{config}usage: {{file: /dev/full}}\n"));
    for _ in 0..5 {
        assert_eq!(ask_as(router.addr(), "me", &chat("hello")).status, 200);
    }
    router.wait_for_log("usage records cannot be written");
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    assert!(
        router.log().contains("the last usage records are lost"),
        "{}",
        router.log()
    );
    assert!(router.log().contains("lost=5"), "{}", router.log());
}
