//! One line per request, and what may not be in it.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, config_with, eventually, mock, provider, streamed_chat};

/// The access lines so far.
fn lines_of(router: &Router) -> Vec<String> {
    let log = router.log();
    // The last piece may be half a line.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter(|line| line.contains("request_id"));
    lines.map(str::to_owned).collect()
}

/// Waits until there are `count` access lines.
fn wait_for_lines(router: &Router, count: usize) -> Vec<String> {
    eventually("the access lines", || lines_of(router).len() >= count);
    lines_of(router)
}

#[test]
fn each_request_leaves_one_line_of_text() {
    let alpha = mock(json!({"name": "alpha", "prompt_tokens": 3, "completion_tokens": 4}));
    let group = "routing: {groups: [{name: g, models: [m], strategy: random}]}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], group));
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/chat/completions",
        "X-Request-Id: id-1\r\nX-Infermux-Caller: team a\r\nX-Infermux-Project: p\r\n\
         X-Infermux-Env: prod\r\n",
        &chat("hello"),
    );
    assert_eq!(client.answer().status, 200);
    let lines = wait_for_lines(&router, 1);
    assert_eq!(lines.len(), 1);
    for field in [
        "INFO ",
        "request_id=id-1",
        "caller=\"team a\"",
        "project=p",
        "env=prod",
        "provider=alpha",
        "model=m",
        "strategy=random",
        "group=g",
        "status=200",
        "attempts=1",
        "latency_ms=",
        "first_byte_ms=",
        "prompt_tokens=3",
        "completion_tokens=4",
    ] {
        assert!(lines[0].contains(field), "{field}: {}", lines[0]);
    }
    assert!(lines[0].starts_with("20"), "{}", lines[0]);
    for absent in ["error=", "estimated", "override="] {
        assert!(!lines[0].contains(absent), "{absent}: {}", lines[0]);
    }

    assert_eq!(client.chat(&streamed_chat("hello")).status, 200);
    client.get("/v1/models");
    assert_eq!(client.answer_to("GET").status, 200);
    assert_eq!(client.chat("{}").status, 400);
    assert_eq!(
        client
            .chat(&chat("x").replace("\"m\"", "\"nobody\""))
            .status,
        404
    );
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    let lines = wait_for_lines(&router, 6);
    assert_eq!(lines.len(), 6);
    let of = |status: &str| lines.iter().filter(|line| line.contains(status)).count();
    assert_eq!(
        (of("status=200"), of("status=400"), of("status=404")),
        (3, 2, 1)
    );
    assert_eq!(of("error=invalid_request"), 2);
    assert_eq!(of("error=model_not_found"), 1);
}

#[test]
fn each_request_leaves_one_object_of_json() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let rest = "routing: {strategy: priority}\nlog: {format: json}\n";
    let router = Router::start(&config_of(&providers, rest));
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/chat/completions",
        "X-Request-Id: id-1\r\nX-Infermux-Caller: a\"b\\c\r\n",
        &chat("hello"),
    );
    assert_eq!(client.answer().status, 200);
    router.wait_for_log("\"attempts\"");
    eventually("the whole line", || router.log().ends_with('\n'));
    let log = router.log();
    let objects: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let requests: Vec<&Value> = objects
        .iter()
        .filter(|object| object["message"] == "request")
        .collect();
    assert_eq!(requests.len(), 1);
    let line = requests[0];
    for (key, value) in [
        ("level", json!("info")),
        ("request_id", json!("id-1")),
        ("caller", json!("a\"b\\c")),
        ("provider", json!("beta")),
        ("model", json!("m")),
        ("strategy", json!("priority")),
        ("status", json!(200)),
        ("attempts", json!(2)),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["latency_ms"].is_number() && line["first_byte_ms"].is_number());
    assert!(line["prompt_tokens"].is_number() && line["completion_tokens"].is_number());
    assert!(line["time"].is_string());
    let warned = objects.iter().find(|object| object["provider"] == "alpha");
    assert_eq!(warned.expect("a warning")["level"], "warn");
}

#[test]
fn the_level_silences_what_is_below_it() {
    let alpha = mock(json!({"name": "alpha", "answers": ["ok", 500]}));
    let rest = "log: {level: warn, timestamps: false}\n";
    let mut router = Router::start(&config_of(&[provider(&alpha, &[])], rest));
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("hello")).status, 200);
    assert_eq!(client.chat(&chat("hello")).status, 502);
    router.wait_for_log("alpha");
    router.signal("TERM");
    router.wait();
    let log = router.log();
    assert!(log.contains("WARN  "), "{log}");
    assert!(!log.contains("INFO") && !log.contains("status="), "{log}");
}

#[test]
fn times_can_be_left_to_whoever_collects_the_lines() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_of(&[provider(&alpha, &[])], "log: {timestamps: false}\n");
    let router = Router::start(&config);
    assert_eq!(
        Client::connect(router.addr()).chat(&chat("hello")).status,
        200
    );
    let lines = wait_for_lines(&router, 1);
    assert!(
        lines[0].starts_with("INFO  request request_id="),
        "{}",
        lines[0]
    );
}

// proves: key.where-meant
#[test]
fn secrets_never_reach_the_log_or_an_answer() {
    let alpha = mock(json!({"name": "alpha", "answers": [
        "ok", 401, {"do": "cut_before_head"}, "garbage", {"status": 400},
    ]}));
    let rest = "auth: {mode: static_key, key: the-static-key}\n";
    let fields = ["api_key: sk-own-secret", "forward_caller_key: true"];
    let config = config_of(&[provider(&alpha, &fields)], rest);
    let mut router = Start::with(&config).args(&["--log-level", "debug"]).go();
    let headers = "Authorization: Bearer sk-caller-secret\r\nX-Api-Key: the-static-key\r\n";
    for count in 1..=5 {
        let mut client = Client::connect(router.addr());
        client.post_with("/v1/chat/completions", headers, &chat("hello"));
        let answer = client.answer();
        assert_public(&format!("{:?} {}", answer.headers, answer.text()));
        wait_for_lines(&router, count);
    }
    let wrong = "Authorization: Bearer the-static-key-but-wrong\r\n";
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/chat/completions?key=the-static-key",
        wrong,
        &chat("hello"),
    );
    assert_eq!(client.answer().status, 401);
    client.post_with("/v1/nothing?key=sk-own-secret", headers, &chat("hello"));
    assert_public(&client.answer().text());
    wait_for_lines(&router, 7);
    router.signal("TERM");
    router.wait();
    assert_public(&router.log());
}

fn assert_public(text: &str) {
    for secret in ["sk-own-secret", "sk-caller-secret", "the-static-key"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn a_callers_words_cannot_forge_a_line() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let body = chat("x").replace("\"m\"", "\"a status=200 \\u2028 \u{1b}[0m b\"");
    let answer = Client::connect(router.addr()).chat(&body);
    assert!(matches!(answer.status, 400 | 404));
    let body = chat("x").replace("\"m\"", "\"a status=200 provider=x\"");
    assert_eq!(Client::connect(router.addr()).chat(&body).status, 404);
    let lines = wait_for_lines(&router, 2);
    assert_eq!(lines.len(), 2);
    let quoted = |line: &String| line.contains("model=\"a status=200 provider=x\"");
    assert!(lines.iter().any(quoted), "{lines:?}");
}

// proves: panic.one-connection
#[cfg(debug_assertions)]
#[test]
fn a_panic_costs_one_request_and_leaves_its_line() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_of(
        &[provider(&alpha, &[])],
        "server: {shards: 1, max_connections: 3}\n",
    );
    let mut router = Router::start(&config);
    router.expect_panics();
    let mut other = Client::connect(router.addr());
    assert_eq!(other.chat(&chat("hello")).status, 200);
    let headers = "X-Infermux-Test-Panic: 1\r\nX-Request-Id: the-bad-one\r\n";
    for count in 1..=5 {
        // More often than there is room for connections: each gives its place back.
        let mut client = Client::connect(router.addr());
        client.post_with("/v1/chat/completions", headers, &chat("hello"));
        assert!(client.rest().is_empty());
        eventually("its line", || {
            let lines = lines_of(&router);
            let lines = lines.iter().filter(|line| line.contains("the-bad-one"));
            let failed = lines.filter(|line| line.contains("status=500"));
            failed
                .filter(|line| line.contains("error=internal_error"))
                .count()
                == count
        });
    }
    assert!(router.log().contains("ERROR panicked"));
    assert_eq!(
        other.chat(&chat("hello")).status,
        200,
        "the shard serves on"
    );
    assert_eq!(
        Client::connect(router.addr()).chat(&chat("hello")).status,
        200
    );
}

/// The first line that holds all of `parts`.
fn line_with(router: &Router, parts: &[&str]) -> String {
    let found = || {
        let mut lines = lines_of(router).into_iter();
        lines.find(|line| parts.iter().all(|part| line.contains(part)))
    };
    eventually(&format!("a line with {parts:?}"), || found().is_some());
    found().expect("a line")
}

#[test]
fn a_line_has_the_providers_own_id_for_the_request() {
    for (kind, dialect, path) in [
        ("openai", "openai", "/v1"),
        ("ollama", "ollama", ""),
        ("anthropic", "anthropic", ""),
    ] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect}));
        let base = format!("base_url: \"http://{}{path}\"", alpha.address());
        let router = Router::start(&config_with(&alpha, &[&format!("type: {kind}"), &base]));
        for (number, body) in [chat("x"), streamed_chat("x")].iter().enumerate() {
            let answer = Client::connect(router.addr()).chat(body);
            let id = answer.header("x-infermux-upstream-request-id");
            let id = id.expect("an id").to_owned();
            assert_ne!(answer.header("x-request-id"), Some(&*id), "{kind}");
            let lines = wait_for_lines(&router, number + 1);
            let told = format!("upstream_request_id={id} ");
            assert!(
                format!("{} ", lines[number]).contains(&told),
                "{}",
                lines[number]
            );
            assert!(
                !lines[number].contains("provider_error"),
                "{}",
                lines[number]
            );
        }
    }
}

#[test]
fn lines_have_what_a_provider_says_of_its_error() {
    let long = format!("no\r\nroom for sk-alpha {}", "é".repeat(1_000));
    let error = |message: &str| json!({"error": {"message": message, "type": "t"}});
    let page = "<html>\n\u{202e}down";
    let event = "data: {\"error\":{\"message\":\"the mock was told to fail\"}}\n\n";
    for (answer, body, said) in [
        (
            json!({"status": 500}),
            chat("x"),
            "the mock was told to fail",
        ),
        (
            json!({"status": 429, "body": error("slow down")}),
            chat("x"),
            "slow down",
        ),
        (
            json!({"status": 401, "body": error("bad sk-alpha")}),
            chat("x"),
            "bad ********",
        ),
        (
            json!({"status": 503, "body": page}),
            streamed_chat("x"),
            "<html>  down",
        ),
        (
            json!({"status": 500, "body": error(&long)}),
            chat("x"),
            "no  room for ******** é",
        ),
        (
            json!({"do": "error_200"}),
            chat("x"),
            "the mock was told to fail",
        ),
        (
            json!({"headers": {"content-type": "text/event-stream"}, "body": event}),
            streamed_chat("x"),
            "the mock was told to fail",
        ),
        (
            json!({"status": 400, "body": error("no such tool")}),
            chat("x"),
            "no such tool",
        ),
    ] {
        let is_told = answer["status"] == 400;
        let alpha = mock(json!({"name": "alpha", "answers": [answer]}));
        let beta = mock(json!({"name": "beta"}));
        let rest = "routing: {strategy: priority}\nlog: {format: json, level: debug}\n";
        let providers = [provider(&alpha, &[]), provider(&beta, &[])];
        let router = Router::start(&config_of(&providers, rest));
        let answer = Client::connect(router.addr()).chat(&body);
        assert_eq!(answer.status, if is_told { 400 } else { 200 }, "{said}");
        let begins = format!("\"provider_error\":\"{said}");
        let attempt = line_with(&router, &[&begins]);
        let line: Value = serde_json::from_str(&attempt).expect("JSON");
        assert_eq!(line["provider"], "alpha");
        assert_eq!(line["upstream_request_id"], "req_alpha_1");
        let error = line["provider_error"].as_str().expect("text");
        assert!(
            error.len() <= 500 && error.len() > said.len() - 1,
            "{error}"
        );
        // Whoever served it has said nothing of an error.
        let access = line_with(&router, &["\"message\":\"request\""]);
        let line: Value = serde_json::from_str(&access).expect("JSON");
        let provider = if is_told { "alpha" } else { "beta" };
        assert_eq!(line["upstream_request_id"], format!("req_{provider}_1"));
        assert_eq!(line["provider_error"].as_str(), is_told.then_some(said));
    }
}

#[test]
fn the_line_of_a_502_has_what_the_last_provider_said() {
    let alpha = mock(json!({"name": "alpha", "answers": [
        {"status": 500, "body": {"error": {"message": "first"}}},
        {"status": 500, "body": {"error": {"message": "only"}}},
        {"do": "error_event_mid_stream"},
    ]}));
    let beta = mock(json!({"name": "beta", "answers": [
        {"status": 429, "body": {"error": {"message": "second"}}},
        {"status": 429, "body": {"error": {"message": "second"}}},
    ]}));
    let router = Router::start(&config_with(&alpha, &[]));
    for said in ["first", "only"] {
        assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 502);
        let line = line_with(&router, &["status=502", &format!("provider_error={said}")]);
        assert!(line.contains("provider=alpha"), "{line}");
    }
    let broken = Client::connect(router.addr()).chat(&streamed_chat("x"));
    assert!(!broken.complete);
    line_with(
        &router,
        &["status=200", "provider_error=\"the mock was told to fail\""],
    );
    // The error that the caller is told of is the first one's: the line has nothing of the other's.
    alpha.reset();
    let rest = "routing: {strategy: priority, failover: {retry_budget: 1}}\n";
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, rest));
    assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 502);
    let line = line_with(&router, &["status=502", "provider=alpha"]);
    assert!(!line.contains("second"), "{line}");
}

#[test]
fn a_line_says_where_a_request_comes_from_and_what_it_asks_for() {
    let alpha = mock(json!({"name": "alpha"}));
    let rest = "server: {shards: 2}\nlog: {format: json}\n";
    let rest = format!("auth: {{mode: static_key, key: the-static-key}}\n{rest}");
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &rest));
    let key = "Authorization: Bearer the-static-key\r\n";
    let embeddings = json!({"model": "m", "input": "x"}).to_string();
    let completion = json!({"model": "m", "prompt": "x", "stream": true}).to_string();
    let long = format!("/v1/{}", "a".repeat(1_000));
    let (chats, none) = ("chat_completions", Value::Null);
    for (method, target, headers, body, endpoint, stream) in [
        (
            "POST",
            "/v1/chat/completions?key=hush",
            key,
            chat("x"),
            json!(chats),
            json!(false),
        ),
        (
            "POST",
            "/v1/chat/completions",
            key,
            streamed_chat("x"),
            json!(chats),
            json!(true),
        ),
        (
            "POST",
            "/v1/completions",
            key,
            completion,
            json!("completions"),
            json!(true),
        ),
        (
            "POST",
            "/v1/embeddings",
            key,
            embeddings,
            json!("embeddings"),
            none.clone(),
        ),
        // Refused before the body is read, and by what the body says.
        (
            "POST",
            "/v1/chat/completions",
            "",
            chat("x"),
            json!(chats),
            none.clone(),
        ),
        (
            "POST",
            "/v1/chat/completions",
            key,
            "{}".into(),
            json!(chats),
            none.clone(),
        ),
        (
            "GET",
            "/v1/models",
            key,
            String::new(),
            json!("models"),
            none.clone(),
        ),
        (
            "GET",
            "/v1/models/m",
            key,
            String::new(),
            json!("models"),
            none.clone(),
        ),
        (
            "PUT",
            "/v1/\"a\"=b",
            key,
            String::new(),
            none.clone(),
            none.clone(),
        ),
        (
            "DELETE",
            &long,
            key,
            String::new(),
            none.clone(),
            none.clone(),
        ),
    ] {
        let before = lines_of(&router).len();
        let mut client = Client::connect(router.addr());
        let length = body.len();
        client.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        ));
        client.answer();
        let lines = wait_for_lines(&router, before + 1);
        let line: Value = serde_json::from_str(&lines[before]).expect("JSON");
        let path = target.split('?').next().unwrap_or_default();
        let path = &path[..path.len().min(256)];
        assert_eq!(line["address"], "127.0.0.1", "{line}");
        assert_eq!(
            (&line["method"], &line["path"]),
            (&json!(method), &json!(path))
        );
        assert_eq!(
            (&line["endpoint"], &line["stream"]),
            (&endpoint, &stream),
            "{line}"
        );
    }
    Client::connect(router.addr()).send("nonsense\r\n\r\n");
    let line = wait_for_lines(&router, 11).pop().expect("a line");
    assert!(line.contains("\"status\":400"), "{line}");
    assert!(line.contains("\"address\":\"127.0.0.1\""), "{line}");
    assert!(!line.contains("\"path\""), "{line}");
}

#[test]
fn addresses_of_either_family_are_told_as_they_are() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_of(&[provider(&alpha, &[])], "").replace("127.0.0.1:0", "[::]:0");
    let router = Router::start(&config);
    let port = router.addr().port();
    for (place, told) in [
        ("127.0.0.1", "address=127.0.0.1 "),
        ("[::1]", "address=::1 "),
    ] {
        let addr = format!("{place}:{port}").parse().expect("an address");
        assert_eq!(Client::connect(addr).chat(&chat("x")).status, 200);
        line_with(&router, &[told, "method=POST path=/v1/chat/completions"]);
    }
}

#[test]
fn operators_calls_are_told_at_debug_only() {
    let alpha = mock(json!({"name": "alpha"}));
    let calls = ["health", "ready", "status", "metrics?x=1", "nothing", ""];
    for (level, management) in [
        ("debug", true),
        ("debug", false),
        ("info", true),
        ("info", false),
    ] {
        let listen = if management {
            "management_listen: \"127.0.0.1:0\"\n"
        } else {
            ""
        };
        let rest = format!("{listen}log: {{level: {level}}}\n");
        let router = Router::start(&config_of(&[provider(&alpha, &[])], &rest));
        let addr = if management {
            router.management()
        } else {
            router.addr()
        };
        for call in calls {
            let mut client = Client::connect(addr);
            client.get(&format!("/_infermux/{call}"));
            client.answer_to("GET");
        }
        assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 200);
        line_with(&router, &["INFO ", "endpoint=chat_completions"]);
        if level == "debug" {
            let line = line_with(&router, &["DEBUG request", "path=/_infermux/metrics"]);
            assert!(line.contains("method=GET"), "{line}");
            assert!(line.contains("endpoint=management status=200"), "{line}");
            line_with(
                &router,
                &["DEBUG request", "path=/_infermux/nothing status=404"],
            );
        } else {
            // What the other loop has to say is written within 10 ms; this one asks it again.
            let lines = wait_for_lines(&router, 1);
            assert_eq!(lines.len(), 1, "{lines:?}");
        }
    }
}

/// What the log says of failed attempts at `provider`, line by line.
fn failures_of(router: &Router, provider: &str) -> Vec<Value> {
    let log = router.log();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let is_failure = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["provider"] == provider && message.starts_with("the provider ")
    };
    lines.filter(is_failure).collect()
}

#[test]
fn an_outage_is_one_warning_a_second_that_counts_the_others() {
    for level in ["info", "debug"] {
        let alpha = mock(json!({"name": "alpha", "status": 500}));
        let beta = mock(json!({"name": "beta", "status": 503}));
        let off = "circuit_breaker: {consecutive_failures: 1000000, min_requests: 1000000}";
        let providers = [provider(&alpha, &[off]), provider(&beta, &[off])];
        let failover = "failover: {max_attempts: 2, retry_budget: 1}";
        let rest = format!(
            "routing: {{strategy: priority, {failover}}}\nlog: {{format: json, level: {level}}}\n"
        );
        let router = Router::start(&config_of(&providers, &rest));
        let warnings = |provider: &str| {
            let mut lines = failures_of(&router, provider);
            lines.retain(|line| line["level"] == "warn");
            lines
        };
        let mut sent = 0_u64;
        while warnings("alpha").len() < 3 || warnings("beta").len() < 3 {
            sent += 1;
            let mut client = Client::connect(router.addr());
            let id = format!("X-Request-Id: {sent}\r\n");
            client.post_with("/v1/chat/completions", &id, &chat("x"));
            assert_eq!(client.answer().status, 502);
        }
        for provider in ["alpha", "beta"] {
            let mut last = 0;
            for (place, line) in warnings(provider).iter().enumerate() {
                let id: u64 = line["request_id"].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    line["repeated"].as_u64().unwrap_or(0),
                    id - last - 1,
                    "{line}"
                );
                assert_eq!(line["repeated"].is_null(), place == 0, "{line}");
                last = id;
            }
            let told = failures_of(&router, provider).len() as u64;
            if level == "debug" {
                assert!(told >= last, "{told} of {last}");
            } else {
                assert_eq!(told, warnings(provider).len() as u64);
            }
        }
    }
}

#[test]
fn what_an_outage_kept_back_is_told_when_it_is_over() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let off = "circuit_breaker: {consecutive_failures: 1000000, min_requests: 1000000}";
    let providers = [provider(&alpha, &[off])];
    let rest = "server: {shards: 2}\nlog: {format: json, level: warn}\n";
    let mut router = Router::start(&config_of(&providers, rest));
    let fail = |router: &Router, count: u64| {
        for _ in 0..count {
            let answer = Client::connect(router.addr()).chat(&chat("x"));
            assert_eq!(answer.status, 502);
        }
    };
    // One warning, or two where the machine is slow; nothing comes after them.
    fail(&router, 30);
    let told = |router: &Router| -> u64 {
        let more = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let is_more = line["message"] == "there were more such warnings";
            assert!(!is_more || line["kind"] == "server_error", "{line}");
            u64::from(!is_more) + line["repeated"].as_u64().unwrap_or(0)
        };
        let log = router.log();
        let own = log.lines().filter(|line| line.contains("\"alpha\""));
        own.map(more).sum()
    };
    eventually("all of them are told", || told(&router) == 30);
    fail(&router, 10);
    router.signal("TERM");
    router.wait();
    assert_eq!(told(&router), 40);
}
