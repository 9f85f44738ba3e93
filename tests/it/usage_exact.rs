//! Each request that ends has one record, whatever it asks for and however it ends; and one span,
//! where its head could be read.

use std::collections::BTreeMap;
use std::path::Path;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::costs::nano;
use crate::support::client::Client;
use crate::support::collector::Collector;
use crate::support::operate::{get, metric};
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, eventually, mock, provider, streamed_chat, wait_for_requests,
};

const JSON: &str = "Content-Type: application/json\r\n";
const CHAT: &str = "/v1/chat/completions";

fn records(folder: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("usage.jsonl")).expect("a text");
    let all = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|one| one["kind"] == kind).collect()
}

fn sum(records: &[Value], field: &str) -> u64 {
    records.iter().filter_map(|one| one[field].as_u64()).sum()
}

fn providers() -> (Mock, Mock) {
    let alpha = json!({"name": "alpha", "usage": "always"});
    let claude = json!({"name": "claude", "dialect": "anthropic"});
    (mock(alpha), mock(claude))
}

/// A router whose callers may spend, and whose requests are recorded in its own folder.
fn router((alpha, claude): (&Mock, &Mock), server: &str, rest: &str) -> Start {
    let base = format!("base_url: \"http://{}\"", claude.address());
    let own = [
        "models: [m, e]",
        "model_aliases: {nick: m}",
        "responses: native",
    ];
    let providers = [
        provider(alpha, &own),
        provider(claude, &["type: anthropic", &base, "models: [c]"]),
    ];
    let price = "{input_per_million: 3.7, output_per_million: 15.1}";
    let config = format!(
        "server: {{shards: 2{server}}}\nusage: {{file: usage.jsonl}}\n\
         pricing: {{alpha: {{m: {price}, e: {price}}}, claude: {{c: {price}}}}}\n{rest}"
    );
    let mut start = Start::with(&config_of(&providers, &config));
    let folder = start.folder().path().to_owned();
    start.command().current_dir(folder);
    start
}

/// A request with a body, or without one.
fn text(line: &str, headers: &str, body: &str) -> String {
    let length = match body {
        "" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    format!("{line} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n{body}")
}

/// Requests of every kind that has an answer, with its status.
fn answered() -> Vec<(String, u16)> {
    let question = json!([{"role": "user", "content": "hello"}]);
    let mut all = Vec::new();
    let mut ask = |path: &str, body: Value, status| {
        let line = format!("POST {path}");
        all.push((text(&line, JSON, &body.to_string()), status));
    };
    for (model, stream) in [
        ("m", false),
        ("m", true),
        ("nick", false),
        ("c", false),
        ("c", true),
    ] {
        let common = json!({"model": model, "max_tokens": 9, "stream": stream});
        let with = |name: &str, value: &Value| {
            let mut body = common.clone();
            body[name] = value.clone();
            body
        };
        ask(CHAT, with("messages", &question), 200);
        ask(
            "/openai/deployments/m/chat/completions",
            with("messages", &question),
            200,
        );
        ask("/v1/messages", with("messages", &question), 200);
        let mut body = with("input", &json!("hello"));
        body.as_object_mut()
            .expect("an object")
            .remove("max_tokens");
        ask("/v1/responses", body, 200);
    }
    ask("/v1/completions", json!({"model": "m", "prompt": "x"}), 200);
    ask("/v1/embeddings", json!({"model": "e", "input": "x"}), 200);
    ask("/v1/moderations", json!({"model": "m", "input": "x"}), 200);
    ask(
        "/v1/audio/speech",
        json!({"model": "m", "input": "x", "voice": "v"}),
        200,
    );
    ask(
        "/v1/messages/count_tokens",
        json!({"model": "c", "messages": question}),
        200,
    );
    ask(
        "/v1/responses/input_tokens",
        json!({"model": "m", "input": "x"}),
        200,
    );
    ask(
        CHAT,
        json!({"model": "nobody's", "messages": question}),
        404,
    );
    ask("/v1/files", json!({}), 404);
    ask("/v1/models", json!({}), 405);
    all.push((text(&format!("POST {CHAT}"), JSON, "{"), 400));
    all.push((
        text(&format!("POST {CHAT}"), "Content-Type: text/html\r\n", "x"),
        415,
    ));
    all.push((
        text(&format!("POST {CHAT}"), "Content-Encoding: br\r\n", "x"),
        415,
    ));
    all.push((text("GET /v1/models", "", ""), 200));
    all.push((text("HEAD /v1/models", "", ""), 200));
    all.push((text("GET /v1/models/m", "", ""), 200));
    all.push((text("GET /v1/models/nobody's", "", ""), 404));
    all.push((text("GET /v1/responses/resp_unknown", "", ""), 404));
    all.push((text("DELETE /v1/responses/resp_unknown", "", ""), 404));
    all.push((text("GET /nowhere", "", ""), 404));
    all.push((text("GET /", "", ""), 200));
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    all.push((text("GET /v1/responses", upgrade, ""), 426));
    let preflight = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n";
    all.push((text(&format!("OPTIONS {CHAT}"), preflight, ""), 204));
    let origin = "Origin: https://other.example\r\n";
    all.push((
        text(
            &format!("POST {CHAT}"),
            &format!("{JSON}{origin}"),
            &chat("x"),
        ),
        200,
    ));
    all
}

/// Sends requests whose callers leave before, within and after their answer; returns how many.
fn leave(alpha: &Mock, router: &Router) -> u64 {
    let mut before = Client::connect(router.addr());
    before.send(format!(
        "POST {CHAT} HTTP/1.1\r\nHost: test\r\n{JSON}Content-Length: 99\r\n\r\n{{"
    ));
    drop(before);
    alpha
        .set_script(json!({"do": "stall_mid_stream"}))
        .expect("a script");
    let seen = alpha.stats().requests;
    let mut within = Client::connect(router.addr());
    within.post(CHAT, &streamed_chat("hello"));
    let mut head = within.head();
    within.chunk(&mut head).expect("content");
    drop(within);
    alpha
        .set_script(json!({"do": "stall_before_head"}))
        .expect("a script");
    let mut waiting = Client::connect(router.addr());
    waiting.post(CHAT, &chat("hello"));
    wait_for_requests(alpha, seen + 2);
    drop(waiting);
    alpha.set_script(json!({})).expect("a script");
    let mut after = Client::connect(router.addr());
    after.post(CHAT, &chat("hello"));
    drop(after);
    4
}

#[test]
fn each_request_that_ends_has_one_record_and_the_sums_are_those_of_the_books() {
    let (alpha, claude) = providers();
    let collector = Collector::start();
    let cors = ", cors: {origins: ['https://a.example']}";
    let start = router((&alpha, &claude), cors, &collector.telemetry(""));
    let mut router = start.go();
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut statuses = BTreeMap::<u64, u64>::new();
    for (request, expected) in answered() {
        let mut client = Client::connect(router.addr());
        client.send(&request);
        let method = request.split(' ').next().expect("a method");
        let answer = client.answer_to(method);
        if answer.status != expected {
            wrong.push(format!("{request}: {} {}", answer.status, answer.text()));
        }
        assert!(answer.complete, "{request}");
        *statuses.entry(expected.into()).or_default() += 1;
        count += 1;
    }
    assert_eq!(wrong, [""; 0]);
    let spans = count + leave(&alpha, &router);
    count += 4;
    for bad in [
        "GET\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut client = Client::connect(router.addr());
        client.send(bad);
        client.answer();
        count += 1;
    }
    let total = || metric(router.addr(), "infermux_requests_total", &[]);
    eventually("all have ended", || total() >= count as f64);
    let costs = get(router.addr(), "/_infermux/costs").json();
    let counted = total();
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    let (requests, attempts) = (
        records(router.folder().path(), "request"),
        records(router.folder().path(), "attempt"),
    );
    assert_eq!(requests.len() as u64, count);
    assert_eq!(counted, count as f64);
    for (status, expected) in statuses {
        let found = requests
            .iter()
            .filter(|one| one["status"] == status)
            .count() as u64;
        assert!(found >= expected, "{status}: {found} of {expected}");
    }
    let spent = nano(&costs["total_usd"]);
    assert!(spent > 0);
    assert_eq!(sum(&requests, "cost_nano_usd"), spent);
    let billed: Vec<Value> = attempts
        .iter()
        .filter(|one| one["billed"] == true)
        .cloned()
        .collect();
    assert_eq!(sum(&billed, "cost_nano_usd"), spent);
    assert_eq!(sum(&requests, "attempts"), attempts.len() as u64);
    let told = collector.spans();
    let servers = told.iter().filter(|span| span.kind() == "server");
    assert_eq!(servers.clone().count() as u64, spans);
    let ids: std::collections::BTreeSet<&str> = told.iter().map(|one| one.text("spanId")).collect();
    assert_eq!(ids.len(), told.len());
    for parent in servers {
        let id = parent.text("spanId");
        for child in told.iter().filter(|one| one.text("parentSpanId") == id) {
            let (from, to) = (parent.start(), parent.end());
            assert!(
                from <= child.start() && child.end() <= to,
                "{parent:?} {child:?}"
            );
        }
    }
}

#[test]
fn what_the_process_cuts_off_at_its_end_is_recorded_as_the_state_file_has_it() {
    let (alpha, claude) = providers();
    alpha
        .set_script(json!({"name": "alpha", "do": "stall_mid_stream"}))
        .expect("a script");
    let start = router(
        (&alpha, &claude),
        "",
        "budgets: {state_file: state.json, callers: []}\n",
    );
    let mut router = start.args(&["--graceful-shutdown", "100ms"]).go();
    let mut streams: Vec<Client> = (0..8).map(|_| Client::connect(router.addr())).collect();
    for (place, client) in streams.iter_mut().enumerate() {
        let path = if place % 2 == 0 { CHAT } else { "/v1/messages" };
        let body = streamed_chat("hello").replace("\"stream\"", "\"max_tokens\":9,\"stream\"");
        client.post(path, &body);
        let mut head = client.head();
        client.chunk(&mut head).expect("content");
    }
    alpha
        .set_script(json!({"name": "alpha", "do": "stall_before_head"}))
        .expect("a script");
    let mut waiting: Vec<Client> = (0..4).map(|_| Client::connect(router.addr())).collect();
    for client in &mut waiting {
        client.post(CHAT, &chat("hello"));
    }
    wait_for_requests(&alpha, 12);
    let mut unfinished = Client::connect(router.addr());
    unfinished.send(format!(
        "POST {CHAT} HTTP/1.1\r\nHost: test\r\n{JSON}Content-Length: 99\r\n\r\n{{"
    ));
    let connections = || {
        metric(
            router.addr(),
            "infermux_connections",
            &["side=\"caller\"", "state=\"active\""],
        )
    };
    eventually("all are connected", || connections() >= 13.0);
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    let folder = router.folder().path();
    let (requests, attempts) = (records(folder, "request"), records(folder, "attempt"));
    assert_eq!((requests.len(), attempts.len()), (13, 12), "{requests:?}");
    let state = std::fs::read_to_string(folder.join("state.json")).expect("a state");
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let months = state["months"].as_object().expect("months");
    let all = months.values().next().expect("a month")["all"].clone();
    assert_eq!(
        all[0].as_u64(),
        Some(sum(&requests, "cost_nano_usd")),
        "{state}"
    );
    assert!(sum(&requests, "cost_nano_usd") > 0);
    let billed = attempts.iter().filter(|one| one["billed"] == true);
    let billed: Vec<Value> = billed.cloned().collect();
    assert_eq!(
        sum(&billed, "cost_nano_usd"),
        sum(&requests, "cost_nano_usd")
    );
}

#[test]
fn a_request_is_recorded_where_it_began_whatever_a_reload_says_meanwhile() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = |usage: &str| {
        let usage = match usage {
            "" => String::new(),
            file => format!("usage: {{file: {file}}}\n"),
        };
        config_of(&[provider(&alpha, &[])], &usage)
    };
    let mut start = Start::with(&config(""));
    let folder = start.folder().path().to_owned();
    start.command().current_dir(&folder);
    let mut router = start.go();
    alpha
        .set_script(json!({"name": "alpha", "do": "stall_mid_stream"}))
        .expect("a script");
    let mut waiting = Vec::new();
    for (caller, next) in [("off", "one.jsonl"), ("one", "two.jsonl"), ("two", "")] {
        let mut client = Client::connect(router.addr());
        let headers = format!("X-Infermux-Caller: {caller}\r\n");
        client.post_with(CHAT, &headers, &streamed_chat("hello"));
        let mut head = client.head();
        client.chunk(&mut head).expect("content");
        waiting.push(client);
        let answer = router.reload(&config(next));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for file in ["one.jsonl", "two.jsonl"] {
        assert_eq!(
            std::fs::read_to_string(folder.join(file)).expect("a text"),
            ""
        );
    }
    drop(waiting);
    for (file, caller) in [("one.jsonl", "one"), ("two.jsonl", "two")] {
        let lines = || {
            let text = std::fs::read_to_string(folder.join(file)).expect("a text");
            let lines = text.lines().map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        eventually("its lines", || lines().len() == 2);
        for line in lines() {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(line["caller"], caller);
        }
    }
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
}
