//! Traces: what a collector is told of requests, and what callers' traces become.

use std::time::Instant;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, get};
use crate::support::collector::{Collector, Reply, Span};
use crate::support::router::{Folder, Router, Start};
use crate::support::tls::{Forwarder, Papers, Tls};
use crate::support::{
    Nobody, PATIENCE, chat, config_of, config_with, eventually, mock, provider, seen_header,
    streamed_chat, wait_for_requests,
};

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";

fn parent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\n")
}

/// A router before one mock, which tells `collector`.
fn router(mock: &Mock, collector: &Collector, keys: &str) -> Router {
    let config = config_with(mock, &[]) + &collector.telemetry(keys);
    Router::start(&config)
}

/// Asks with these header lines.
fn ask(router: &Router, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with(path, headers, body);
    client.answer()
}

/// The values of a header, of each request that a mock got.
fn sent(mock: &Mock, name: &str) -> Vec<String> {
    let value = |request: &Value| seen_header(request, name).unwrap_or_default();
    mock.requests().iter().map(value).collect()
}

fn texts(span: &Span, names: &[&str]) -> Vec<String> {
    let text = |name: &&str| match span.attribute(name) {
        Value::String(text) => text,
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    names.iter().map(text).collect()
}

#[test]
fn a_request_has_a_span_and_its_attempt_another_one() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "");
    let headers = "X-Infermux-Caller: ada\r\nX-Request-Id: r-1\r\n";
    assert_eq!(
        ask(
            &router,
            "/v1/chat/completions",
            headers,
            &chat("hello secret")
        )
        .status,
        200
    );
    let spans = collector.wait(2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!((server.kind(), client.kind()), ("server", "client"));
    assert_eq!(
        (server.text("name"), client.text("name")),
        ("chat m", "chat m")
    );
    assert_eq!(server.text("parentSpanId"), "");
    assert_eq!(client.text("parentSpanId"), server.text("spanId"));
    assert_eq!(client.text("traceId"), server.text("traceId"));
    assert!(server.start() <= client.start() && client.end() <= server.end());
    assert_eq!(sent(&mock, "traceparent"), [client.traceparent()]);
    let names = [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "http.request.method",
        "http.response.status_code",
        "error.type",
    ];
    for span in &spans {
        assert_eq!(
            texts(span, &names),
            ["chat", "openai", "m", "POST", "200", "-"]
        );
        assert!(
            span.attribute("gen_ai.usage.input_tokens")
                .as_i64()
                .unwrap()
                > 0
        );
        assert!(
            span.attribute("gen_ai.usage.output_tokens")
                .as_i64()
                .unwrap()
                > 0
        );
    }
    let names = [
        "http.route",
        "gen_ai.response.model",
        "infermux.caller",
        "infermux.request_id",
    ];
    assert_eq!(
        texts(server, &names),
        ["/v1/chat/completions", "m", "ada", "r-1"]
    );
    let names = ["server.address", "server.port", "infermux.outcome"];
    let port = mock.address().port().to_string();
    assert_eq!(texts(client, &names), ["127.0.0.1", &*port, "answered"]);
    // Nothing of what was asked and answered, and no key.
    let all = format!("{spans:?}");
    assert!(
        !all.contains("secret") && !all.contains("Bearer") && !all.contains("sk-"),
        "{all}"
    );
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "infermux");
    assert_eq!(resource["telemetry.sdk.language"], "rust");
    // The log's line has the trace's id.
    router.wait_for_log(&format!("trace_id={}", server.text("traceId")));
}

#[test]
fn failover_has_a_span_for_each_attempt() {
    let collector = Collector::start();
    let (alpha, beta) = (
        mock(json!({"name": "alpha", "status": 503})),
        mock(json!({"name": "beta"})),
    );
    let providers = [
        provider(&alpha, &["model_aliases: {n: m}"]),
        provider(&beta, &["models: [n]"]),
    ];
    let rest = format!(
        "routing: {{strategy: priority}}\n{}",
        collector.telemetry("")
    );
    let router = Router::start(&config_of(&providers, &rest));
    let body = chat("hello").replace("\"m\"", "\"n\"");
    assert_eq!(ask(&router, "/v1/chat/completions", "", &body).status, 200);
    let spans = collector.wait(3);
    let [server, first, second] = &spans[..] else {
        panic!("{spans:?}");
    };
    for attempt in [first, second] {
        assert_eq!(attempt.text("parentSpanId"), server.text("spanId"));
        assert_eq!(
            (attempt.kind(), attempt.text("traceId")),
            ("client", server.text("traceId"))
        );
    }
    assert!(first.end() <= second.start() && second.end() <= server.end());
    // The alias is the caller's name, and each provider's own name is on its attempt.
    assert_eq!(
        (server.text("name"), first.text("name")),
        ("chat n", "chat m")
    );
    assert_eq!(second.text("name"), "chat n");
    let names = [
        "infermux.provider",
        "infermux.outcome",
        "http.response.status_code",
        "error.type",
        "infermux.after",
    ];
    assert_eq!(
        texts(first, &names),
        ["alpha", "server_error", "503", "503", "-"]
    );
    assert_eq!(
        texts(second, &names),
        ["beta", "answered", "200", "-", "server_error"]
    );
    assert_eq!(first.0["status"]["code"], 2);
    assert!(second.0["status"].is_null() && server.0["status"].is_null());
    assert_eq!(server.attribute("infermux.attempts"), 2);
    assert_eq!(server.attribute("gen_ai.response.model"), "n");
    assert_eq!(sent(&alpha, "traceparent"), [first.traceparent()]);
    assert_eq!(sent(&beta, "traceparent"), [second.traceparent()]);
}

#[test]
fn an_attempt_that_no_connection_came_about_for_has_a_span() {
    let collector = Collector::start();
    let (nobody, beta) = (Nobody::here(), mock(json!({"name": "beta"})));
    let alpha = format!(
        "  - {{name: alpha, type: openai, api_key: k, base_url: 'http://{}', models: [m], \
         health_check: {{disabled: true}}}}\n",
        nobody.addr()
    );
    let rest = format!(
        "routing: {{strategy: priority}}\n{}",
        collector.telemetry("")
    );
    let router = Router::start(&config_of(&[alpha, provider(&beta, &[])], &rest));
    assert_eq!(
        ask(&router, "/v1/chat/completions", "", &chat("hello")).status,
        200
    );
    let spans = collector.wait(3);
    let names = [
        "infermux.provider",
        "infermux.outcome",
        "error.type",
        "infermux.after",
    ];
    let told: Vec<_> = spans[1..].iter().map(|span| texts(span, &names)).collect();
    assert_eq!(told[0], ["alpha", "connect_failed", "connect_failed", "-"]);
    assert_eq!(told[1], ["beta", "answered", "-", "connect_failed"]);
    assert_eq!(spans[1].text("parentSpanId"), spans[0].text("spanId"));
    assert!(spans[1].end() <= spans[2].start());
    assert_eq!(spans[0].attribute("infermux.attempts"), 2);
}

#[test]
fn a_stream_tells_its_first_content_and_a_hang_up_its_caller() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "");
    let answer = ask(&router, "/v1/chat/completions", "", &streamed_chat("hello"));
    assert!(answer.complete);
    let spans = collector.wait(2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!(server.attribute("infermux.stream"), true);
    let event = &client.0["events"][0];
    assert_eq!(event["name"], "infermux.first_content");
    let at: u64 = event["timeUnixNano"].as_str().unwrap().parse().unwrap();
    assert!(client.start() <= at && at <= client.end());
    assert!(
        client
            .attribute("infermux.first_content_us")
            .as_u64()
            .is_some()
    );
    mock.set_script(json!({"do": "stall_mid_stream"})).unwrap();
    let mut caller = Client::connect(router.addr());
    caller.post("/v1/chat/completions", &streamed_chat("hello"));
    let mut head = caller.head();
    assert!(caller.chunk(&mut head).is_some());
    drop(caller);
    let spans = collector.wait(4);
    let gone: Vec<&Span> = spans[2..].iter().collect();
    assert!(gone[0].start() <= gone[1].start() && gone[1].end() <= gone[0].end());
    let names = [
        "http.response.status_code",
        "error.type",
        "infermux.outcome",
    ];
    assert_eq!(texts(gone[0], &names), ["499", "caller_gone", "-"]);
    assert_eq!(texts(gone[1], &names), ["200", "-", "caller_gone"]);
    // Nobody's fault.
    assert!(gone.iter().all(|span| span.0["status"].is_null()));
}

#[test]
fn what_never_reaches_a_provider_has_one_span() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let config =
        config_with(&mock, &["rate_limits: {requests_per_minute: 1}"]) + &collector.telemetry("");
    let router = Router::start(&config);
    let path = "/v1/chat/completions";
    assert_eq!(ask(&router, path, "", &chat("hello")).status, 200);
    assert_eq!(ask(&router, path, "", &chat("hello")).status, 429);
    assert_eq!(ask(&router, path, "", "{").status, 400);
    assert_eq!(ask(&router, "/v1/nowhere/at/all", "", "{}").status, 404);
    assert_eq!(get(router.addr(), "/v1/models").status, 200);
    let spans = collector.wait(6);
    let names = ["http.response.status_code", "error.type", "http.route"];
    let told: Vec<(String, Vec<String>)> = spans[2..]
        .iter()
        .map(|span| (span.text("name").to_owned(), texts(span, &names)))
        .collect();
    let expected = [
        (
            "chat m",
            ["429", "rate_limit_exceeded", "/v1/chat/completions"],
        ),
        ("chat", ["400", "invalid_request", "/v1/chat/completions"]),
        ("POST", ["404", "not_found", "-"]),
        ("GET /v1/models", ["200", "-", "/v1/models"]),
    ];
    for ((name, attributes), (wanted, all)) in told.iter().zip(expected) {
        assert_eq!(
            (name.as_str(), &attributes[..1]),
            (wanted, &[all[0].to_owned()][..])
        );
        assert_eq!(attributes[2], all[2], "{told:?}");
        assert_eq!(attributes[1] == "-", all[1] == "-", "{told:?}");
    }
    // Operators' requests, among them probes and scrapes, are not told.
    assert_eq!(get(router.addr(), "/_infermux/health").status, 200);
    assert_eq!(ask(&router, path, "", &chat("hello")).status, 429);
    assert_eq!(collector.wait(7).len(), 7);
    assert_eq!(mock.stats().requests, 1);
}

/// A provider of OpenAI's dialect with these fields, one of Anthropic's for the model `c`, and what
/// a file says of them.
fn two_kinds(fields: &[&str]) -> ([Mock; 2], [String; 2]) {
    let openai = mock(json!({"name": "openai"}));
    let claude = mock(json!({"name": "claude", "dialect": "anthropic"}));
    let base = format!("base_url: \"http://{}\"", claude.address());
    let other = ["type: anthropic", &base, "models: [c]"];
    let providers = [provider(&openai, fields), provider(&claude, &other)];
    ([openai, claude], providers)
}

#[test]
fn other_callers_and_other_providers_are_told_alike() {
    let collector = Collector::start();
    let ([openai, claude], providers) = two_kinds(&["models: [m, e, s]"]);
    let router = Router::start(&config_of(&providers, &collector.telemetry("")));
    let question = json!([{"role": "user", "content": "hello"}]);
    let mut count = 0;
    for (path, body, name, provider, operation) in [
        (
            "/v1/chat/completions",
            json!({"model": "c", "messages": question}),
            "chat c",
            "anthropic",
            "chat",
        ),
        (
            "/v1/messages",
            json!({"model": "c", "max_tokens": 9, "messages": question}),
            "chat c",
            "anthropic",
            "chat",
        ),
        (
            "/v1/messages",
            json!({"model": "m", "max_tokens": 9, "messages": question}),
            "chat m",
            "openai",
            "chat",
        ),
        (
            "/v1/responses",
            json!({"model": "m", "input": "hello"}),
            "chat m",
            "openai",
            "chat",
        ),
        (
            "/v1/responses",
            json!({"model": "c", "input": "hello"}),
            "chat c",
            "anthropic",
            "chat",
        ),
        (
            "/v1/embeddings",
            json!({"model": "e", "input": "hello"}),
            "embeddings e",
            "openai",
            "embeddings",
        ),
        (
            "/v1/audio/speech",
            json!({"model": "s", "input": "hello", "voice": "v"}),
            "POST /v1/audio/speech",
            "openai",
            "-",
        ),
    ] {
        let answer = ask(&router, path, "", &body.to_string());
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        count += 2;
        let spans = collector.wait(count);
        let (server, client) = (&spans[count - 2], &spans[count - 1]);
        assert_eq!(
            (server.kind(), client.kind()),
            ("server", "client"),
            "{path}"
        );
        assert_eq!((server.text("name"), client.text("name")), (name, name));
        let names = [
            "gen_ai.provider.name",
            "gen_ai.operation.name",
            "http.route",
        ];
        assert_eq!(texts(server, &names), [provider, operation, path]);
        assert_eq!(client.text("parentSpanId"), server.text("spanId"));
        let asked = if provider == "openai" {
            &openai
        } else {
            &claude
        };
        assert_eq!(
            sent(asked, "traceparent").last(),
            Some(&client.traceparent())
        );
    }
}

#[test]
fn the_id_of_an_answer_is_told_as_its_provider_has_it() {
    let collector = Collector::start();
    let (_mocks, providers) = two_kinds(&["models: [m, e]", "responses: native"]);
    let rest = collector.telemetry("") + "server: {shards: 1}\n";
    let router = Router::start(&config_of(&providers, &rest));
    let question = json!([{"role": "user", "content": "hello"}]);
    let chat = |model| json!({"model": model, "messages": question});
    let messages = |model| json!({"model": model, "max_tokens": 9, "messages": question});
    let mut asked = Vec::new();
    for (path, body, begin, is_relayed) in [
        ("/v1/chat/completions", chat("m"), "chatcmpl-", true),
        ("/v1/chat/completions", chat("c"), "msg_", false),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "x"}),
            "cmpl-",
            true,
        ),
        ("/v1/messages", messages("c"), "msg_", true),
        ("/v1/messages", messages("m"), "chatcmpl-", false),
        (
            "/v1/responses",
            json!({"model": "m", "input": "x"}),
            "resp_",
            true,
        ),
        (
            "/v1/responses",
            json!({"model": "c", "input": "x"}),
            "msg_",
            false,
        ),
        (
            "/v1/embeddings",
            json!({"model": "e", "input": "x"}),
            "",
            true,
        ),
    ] {
        for is_streamed in [false, true] {
            if begin.is_empty() && is_streamed {
                continue;
            }
            let mut body = body.clone();
            body["stream"] = is_streamed.into();
            let answer = ask(&router, path, "", &body.to_string());
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            asked.push((
                format!("{path} {is_streamed}"),
                begin,
                is_relayed,
                answer.text(),
            ));
        }
    }
    let spans = collector.wait(2 * asked.len());
    for ((what, begin, is_relayed, told), spans) in asked.iter().zip(spans.chunks(2)) {
        let id = |span: &Span| span.attribute("gen_ai.response.id");
        assert_eq!(id(&spans[0]), id(&spans[1]), "{what}");
        if begin.is_empty() {
            assert!(id(&spans[0]).is_null(), "{what}");
            continue;
        }
        let [id] = &texts(&spans[0], &["gen_ai.response.id"])[..] else {
            panic!("{what}");
        };
        assert!(id.starts_with(begin), "{what}: {id}");
        // Where its caller speaks another dialect, it may have another one.
        let is_told = told.contains(&format!("\"{id}\""));
        assert!(is_told || !is_relayed, "{what}: {id}");
    }
}

#[test]
fn a_callers_trace_goes_on_as_it_has_decided() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "sample: 0");
    let state = "tracestate: a=1\r\ntracestate: b=2\r\n";
    let path = "/v1/chat/completions";
    ask(&router, path, &(parent("01") + state), &chat("hello"));
    let spans = collector.wait(2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!(
        (server.text("traceId"), server.text("parentSpanId")),
        (TRACE, SPAN)
    );
    assert_eq!(server.text("traceState"), "a=1,b=2");
    assert_eq!(sent(&mock, "traceparent"), [client.traceparent()]);
    assert_eq!(sent(&mock, "tracestate"), ["a=1,b=2"]);
    // The parent is another process's, the attempt's is not.
    assert_eq!(
        (&server.0["flags"], &client.0["flags"]),
        (&json!(0x301), &json!(0x101))
    );
    // Not told, it is passed on all the same; so is one that begins here and is not told.
    ask(&router, path, &parent("00"), &chat("hello"));
    ask(&router, path, "", &chat("hello"));
    let told = sent(&mock, "traceparent");
    assert!(
        told[1].starts_with(&format!("00-{TRACE}-")) && told[1].ends_with("-00"),
        "{told:?}"
    );
    assert!(!told[1].contains(&format!("-{SPAN}-")));
    assert!(
        !told[2].contains(TRACE) && told[2].ends_with("-02"),
        "{told:?}"
    );
    ask(&router, path, &parent("01"), &chat("hello"));
    assert_eq!(collector.wait(4).len(), 4);
}

#[test]
fn a_context_that_does_not_follow_the_recommendation_is_as_none() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "");
    let twice = parent("01") + &parent("01");
    let long = format!("traceparent: {}\r\n", "0".repeat(4_000));
    for (place, headers) in [
        "traceparent: x\r\ntracestate: a=1\r\n",
        "traceparent: ff-12345678901234567890123456789012-1234567890123456-01\r\n",
        "traceparent: 00-00000000000000000000000000000000-1234567890123456-01\r\n",
        &twice,
        &long,
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(&router, "/v1/chat/completions", headers, &chat("hello"));
        assert_eq!(answer.status, 200);
        let spans = collector.wait(2 * place + 2);
        let server = &spans[2 * place];
        assert_eq!(
            (server.text("parentSpanId"), server.text("traceState")),
            ("", "")
        );
        assert_ne!(server.text("traceId"), TRACE);
        assert_eq!(
            sent(&mock, "tracestate").last().map(String::as_str),
            Some("")
        );
    }
}

#[test]
fn with_link_another_trace_begins_that_refers_to_the_callers() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "parent: link");
    let headers = parent("00") + "tracestate: a=1\r\n";
    ask(&router, "/v1/chat/completions", &headers, &chat("hello"));
    let spans = collector.wait(2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_ne!(server.text("traceId"), TRACE);
    assert_eq!(
        (server.text("parentSpanId"), server.text("traceState")),
        ("", "")
    );
    let link = &server.0["links"][0];
    assert_eq!(
        (&link["traceId"], &link["spanId"]),
        (&json!(TRACE), &json!(SPAN))
    );
    assert_eq!(link["traceState"], "a=1");
    assert_eq!(sent(&mock, "traceparent"), [client.traceparent()]);
    assert_eq!(sent(&mock, "tracestate"), [""]);
}

#[test]
fn the_share_that_is_wanted_is_told_over_all_shards() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = router(&mock, &collector, "sample: 0.5, compression: gzip");
    for _ in 0..200 {
        let answer = ask(&router, "/v1/chat/completions", "", &chat("hello"));
        assert_eq!(answer.status, 200);
    }
    let told = sent(&mock, "traceparent");
    let sampled: Vec<&String> = told.iter().filter(|text| text.ends_with("-03")).collect();
    // Fair coins are outside of this once in ten million runs.
    assert!((63..=137).contains(&sampled.len()), "{}", sampled.len());
    let spans = collector.wait(2 * sampled.len());
    for span in spans.iter().filter(|span| span.kind() == "client") {
        assert!(sampled.contains(&&span.traceparent()));
    }
    assert!(collector.heads()[0].contains("content-encoding: gzip"));
}

#[test]
fn without_a_collector_what_callers_say_is_passed_on_and_nothing_is_told() {
    let mock = mock(json!({}));
    let router = Router::start(&config_with(&mock, &[]));
    let headers = parent("01") + "tracestate: not=valid=at all\r\n";
    ask(&router, "/v1/chat/completions", &headers, &chat("hello"));
    assert_eq!(
        sent(&mock, "traceparent"),
        [format!("00-{TRACE}-{SPAN}-01")]
    );
    assert_eq!(sent(&mock, "tracestate"), ["not=valid=at all"]);
    router.wait_for_log("status=200");
    assert!(!router.log().contains("trace_id"));
}

#[test]
fn the_environment_names_a_collector_too() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let router = Start::with(&config_with(&mock, &[]))
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &format!("http://{}", collector.addr()),
        )
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k%20v")
        .env("OTEL_SERVICE_NAME", "edge")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        )
        .go();
    ask(&router, "/v1/chat/completions", "", &chat("hello"));
    collector.wait(2);
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "edge");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(collector.heads()[0].contains("\r\nx-key: k v\r\n"));
    assert!(!router.log().contains("k v"));
}

fn spans_total(router: &Router, result: &str) -> u64 {
    let text = get(router.management(), "/_infermux/metrics").text();
    let series = format!("infermux_spans_total{{result=\"{result}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.expect("a series").parse().expect("a number")
}

#[test]
fn a_collector_that_is_away_is_asked_again() {
    let replies = vec![
        Reply::Say(503, "", ""),
        Reply::Say(429, "Retry-After: 0\r\n", ""),
        Reply::Say(200, "", "{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}"),
        Reply::Say(400, "", ""),
    ];
    let (collector, mock) = (Collector::replying(replies), mock(json!({})));
    let router = router(&mock, &collector, "");
    let path = "/v1/chat/completions";
    ask(&router, path, "", &chat("hello"));
    eventually("the spans are taken", || spans_total(&router, "sent") == 1);
    assert_eq!((collector.posts(), spans_total(&router, "failed")), (3, 1));
    // What it refuses is not sent again.
    ask(&router, path, "", &chat("hello"));
    eventually("the spans are refused", || {
        spans_total(&router, "failed") == 3
    });
    ask(&router, path, "", &chat("hello"));
    eventually("the spans are taken", || spans_total(&router, "sent") == 3);
    assert_eq!((collector.posts(), spans_total(&router, "dropped")), (5, 0));
    router.wait_for_log("it answers 503");
    router.wait_for_log("it answers 400");
    router.wait_for_log("traces are sent again");
}

#[test]
fn a_collector_that_answers_too_late_is_asked_again() {
    let (collector, mock) = (Collector::replying(vec![Reply::Hang]), mock(json!({})));
    let router = router(&mock, &collector, "timeout: 200ms");
    ask(&router, "/v1/chat/completions", "", &chat("hello"));
    collector.wait(2);
    assert_eq!(collector.posts(), 2);
    router.wait_for_log("no answer in time");
}

#[test]
fn a_collector_that_is_dead_or_hangs_holds_nobody_up() {
    let hanging = Collector::replying(vec![Reply::Hang; 9]);
    let dead = Nobody::here();
    for endpoint in [hanging.addr(), dead.addr()] {
        let mock = mock(json!({}));
        let telemetry = format!("telemetry: {{otlp: {{endpoint: 'http://{endpoint}'}}}}\n");
        let mut router = Router::start(&(config_with(&mock, &[]) + &telemetry));
        let path = "/v1/chat/completions";
        ask(&router, path, "", &chat("hello"));
        if endpoint == dead.addr() {
            router.wait_for_log("traces cannot be sent");
        } else {
            eventually("the collector is asked", || hanging.posts() > 0);
        }
        for _ in 0..100 {
            assert_eq!(ask(&router, path, "", &chat("hello")).status, 200);
        }
        // Nor the end of the process, which does not wait for it for long.
        let asked = Instant::now();
        router.signal("TERM");
        assert!(router.wait().success());
        assert!(asked.elapsed() < PATIENCE / 4, "{:?}", asked.elapsed());
    }
}

#[test]
fn the_last_spans_are_told_before_the_process_ends() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let mut router = router(&mock, &collector, "");
    // A stream that is under way when the process is asked to stop.
    mock.set_script(json!({"chunk_interval_ms": 20})).unwrap();
    let mut caller = Client::connect(router.addr());
    caller.post("/v1/chat/completions", &streamed_chat("hello"));
    wait_for_requests(&mock, 1);
    router.signal("TERM");
    assert!(caller.answer().complete);
    assert!(router.wait().success());
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
}

#[test]
fn a_reload_changes_where_traces_are_told() {
    let (first, second, mock) = (Collector::start(), Collector::start(), mock(json!({})));
    let router = router(&mock, &first, "");
    let path = "/v1/chat/completions";
    ask(&router, path, "", &chat("hello"));
    let config = config_with(&mock, &[]);
    let answer = router.reload(&(config.clone() + &second.telemetry("")));
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("telemetry.otlp"),
        "{}",
        answer.text()
    );
    // What the first one is still to be told is not lost.
    first.wait(2);
    ask(&router, path, "", &chat("hello"));
    second.wait(2);
    assert_eq!(router.reload(&config).status, 200);
    ask(&router, path, &parent("01"), &chat("hello"));
    assert_eq!(
        sent(&mock, "traceparent")[2],
        format!("00-{TRACE}-{SPAN}-01")
    );
    assert_eq!((first.spans().len(), second.spans().len()), (2, 2));
}

#[test]
fn a_collector_may_be_reached_by_tls() {
    let (collector, mock) = (Collector::start(), mock(json!({})));
    let papers = Papers::for_names(&["localhost"]);
    let front = Forwarder::start(collector.addr(), Tls::Inside(papers.server()));
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &papers.ca_pem);
    let port = front.addr().port();
    let telemetry = format!(
        "telemetry: {{otlp: {{endpoint: 'https://localhost:{port}', headers: {{X-Key: k}}}}}}\n"
    );
    let router = Start::with(&(config_with(&mock, &[]) + &telemetry))
        .env("SSL_CERT_FILE", ca.to_str().expect("text"))
        .go();
    ask(&router, "/v1/chat/completions", "", &chat("hello"));
    collector.wait(2);
    assert!(collector.heads()[0].contains("\r\nx-key: k\r\n"));
}
