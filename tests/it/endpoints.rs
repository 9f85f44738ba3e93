//! The other endpoints: moderation, sound, pictures, rankings and tokens, through the same gates.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::canned::{Recorder, begun, canned, chunk, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::operate::metric;
use crate::support::router::Router;

const JSON: &str = "Content-Type: application/json\r\n";

/// A provider at `addr`, for the model `m` and its alias `nick`.
fn at(name: &str, addr: SocketAddr, fields: &str) -> String {
    format!(
        "  - name: {name}\n    type: openai\n    api_key: sk-{name}\n    \
         base_url: \"http://{addr}/v1\"\n    models: [m]\n    model_aliases: {{nick: m}}\n    \
         health_check: {{disabled: true}}\n{fields}"
    )
}

fn ask(router: &Router, path: &str, body: &str) -> Answer {
    ask_with(router, path, "", body)
}

fn ask_with(router: &Router, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with(path, headers, body);
    client.answer()
}

/// Paths of callers, and those that the provider is asked for.
const PATHS: [(&str, &str); 17] = [
    ("/v1/moderations", "/v1/moderations"),
    ("/moderations", "/v1/moderations"),
    ("/openai/v1/moderations/", "/v1/moderations"),
    ("/v1/audio/speech", "/v1/audio/speech"),
    ("/v1//audio//speech/", "/v1/audio/speech"),
    ("/openai/deployments/nick/audio/speech", "/v1/audio/speech"),
    ("/v1/images/generations", "/v1/images/generations"),
    (
        "/openai/deployments/nick/images/generations?api-version=1",
        "/v1/images/generations",
    ),
    ("/v1/rerank", "/v1/rerank"),
    ("/rerank", "/v1/rerank"),
    ("/v2/rerank", "/v2/rerank"),
    ("/v1/score", "/score"),
    ("/score", "/score"),
    ("/tokenize", "/tokenize"),
    ("/v1/tokenize", "/tokenize"),
    ("/detokenize", "/detokenize"),
    ("/openai/tokenize", "/tokenize"),
];

#[test]
fn requests_and_answers_cross_but_for_the_model() {
    let alpha = Recorder::start(whole(
        &format!("{JSON}X-Secret: sk-alpha\r\nopenai-version: 2020-10-01\r\n"),
        br#"{"model":"m","results":[{"relevance_score":0.5}],"usage":{"total_tokens":7}}"#,
    ));
    let router = Router::start(&config_of(&[at("alpha", alpha.addr(), "")], ""));
    for (path, own) in PATHS {
        let body = r#"{"query": "q", "model": "nick", "documents": ["a","b"], "x": 1e400}"#;
        let headers = "cookie: a=b\r\nuser-agent: me\r\nauthorization: Bearer caller\r\n";
        let answer = ask_with(&router, path, headers, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(
            answer.text(),
            r#"{"model":"nick","results":[{"relevance_score":0.5}],"usage":{"total_tokens":7}}"#,
            "{path}"
        );
        assert_eq!(answer.header("x-secret"), None);
        assert_eq!(answer.header("openai-version"), Some("2020-10-01"));
        assert_eq!(answer.header("x-infermux-model"), Some("m"));
        let is_free = path.ends_with("tokenize");
        let tokens = if is_free { "0" } else { "7" };
        let told = answer.header("x-infermux-prompt-tokens");
        assert_eq!(told, Some(tokens), "{path}");
        let (head, sent) = halves(&alpha.seen().pop().expect("a request"));
        assert!(
            head.starts_with(&format!("POST {own} HTTP/1.1\r\n")),
            "{path}: {head}"
        );
        assert!(
            head.contains("Authorization: Bearer sk-alpha\r\n"),
            "{head}"
        );
        assert!(head.contains("user-agent: me"), "{head}");
        assert!(
            !head.contains("cookie") && !head.contains("caller"),
            "{head}"
        );
        let expected = body.replace("\"nick\"", "\"m\"");
        assert_eq!(String::from_utf8(sent).expect("text"), expected, "{path}");
    }
}

#[test]
fn sound_comes_as_it_is_made() {
    let sound: Vec<u8> = (0..200_000_u32)
        .map(|at| (at * 7).to_le_bytes()[0])
        .collect();
    let label = "Content-Type: audio/mpeg\r\n";
    let pieces: Vec<u8> = sound.chunks(30_000).skip(1).flat_map(chunk).collect();
    let chunked = [
        begun(label, &sound[..30_000]),
        pieces,
        b"0\r\n\r\n".to_vec(),
    ]
    .concat();
    for (bytes, has_length) in [(whole(label, &sound), true), (chunked, false)] {
        let addr = canned(bytes, b"");
        let rest = "pricing: {alpha: {m: {per_million_characters: 1000000}}}\n";
        let router = Router::start(&config_of(&[at("alpha", addr, "")], rest));
        let mut client = Client::connect(router.addr());
        for _ in 0..2 {
            client.post(
                "/v1/audio/speech",
                r#"{"model":"nick","input":"h\u00e4 \"x\"","voice":"v"}"#,
            );
            let answer = client.answer();
            assert_eq!(answer.status, 200);
            assert!(answer.complete);
            assert_eq!(answer.body, sound);
            assert_eq!(answer.header("content-type"), Some("audio/mpeg"));
            assert_eq!(answer.header("content-length").is_some(), has_length);
            // Six characters, a dollar each.
            let told = answer.header("x-infermux-cost");
            let told = told.or_else(|| answer.trailer("x-infermux-cost"));
            assert_eq!(told, Some("6"));
        }
        let spent = metric(router.management(), "infermux_cost_usd_total", &[]);
        assert!((spent - 12.0).abs() < 1e-9, "{spent}");
    }
}

#[test]
fn sound_that_breaks_is_never_taken_for_whole() {
    let label = "Content-Type: audio/mpeg\r\n";
    // A chunk that never comes, and then the end of the connection.
    let cut = [begun(label, b"abc"), b"zz".to_vec()].concat();
    let router = Router::start(&config_of(&[at("alpha", canned(cut, b""), "")], ""));
    let answer = ask(&router, "/v1/audio/speech", r#"{"model":"m","input":"x"}"#);
    assert_eq!((answer.status, answer.complete), (200, false));
    let events = [
        begun("Content-Type: text/event-stream\r\n", b"data: {}\n\n"),
        b"zz".to_vec(),
    ];
    let addr = canned(events.concat(), b"");
    let router = Router::start(&config_of(&[at("alpha", addr, "")], ""));
    let body = r#"{"model":"m","prompt":"x","stream":true}"#;
    let answer = ask(&router, "/v1/images/generations", body);
    assert_eq!((answer.status, answer.complete), (200, false));
    let last = answer.events().pop().expect("events");
    let last: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(last["error"]["code"], "upstream_error");
}

#[test]
fn events_tell_their_usage_and_are_not_asked_for_it() {
    let events = "event: image_generation.partial_image\n\
                  data: {\"b64_json\":\"\\\"usage\\\":{}\"}\n\n\
                  event: image_generation.completed\n\
                  data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",\
                  \"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}\n\n";
    let stream = [
        begun("Content-Type: text/event-stream\r\n", events.as_bytes()),
        b"0\r\n\r\n".to_vec(),
    ];
    let stream = stream.concat();
    let alpha = Recorder::start(stream);
    let rest = "pricing: {alpha: {m: {input_per_million: 1000000, output_per_million: 1000000}}}\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr(), "")], rest));
    let body = r#"{"model":"m","prompt":"x","stream":true}"#;
    let answer = ask(&router, "/v1/images/generations", body);
    assert_eq!(answer.text(), events);
    assert_eq!(answer.trailer("x-infermux-cost"), Some("7"));
    let (_, sent) = halves(&alpha.seen().pop().expect("a request"));
    assert_eq!(String::from_utf8(sent).expect("text"), body);
}

#[test]
fn small_requests_fail_over() {
    let label = "Content-Type: application/json\r\n";
    let broken = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_vec();
    let moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let error = whole(label, br#"{"error":{"message":"no"}}"#);
    let nothing =
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 5\r\n\r\n".to_vec();
    let nothing = [nothing, b"x".to_vec()].concat();
    for first in [broken, moved.to_vec(), error] {
        let alpha = Recorder::start(first.clone());
        let beta = Recorder::start(whole(label, br#"{"data":[]}"#));
        let providers = [at("alpha", alpha.addr(), ""), at("beta", beta.addr(), "")];
        let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
        let answer = ask(&router, "/v1/moderations", r#"{"model":"m","input":"x"}"#);
        let what = String::from_utf8_lossy(&first).into_owned();
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.header("x-infermux-provider"), Some("beta"), "{what}");
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{what}");
        assert_eq!(alpha.seen().len(), 1, "{what}");
    }
    // Nobody follows a redirect, and an answer that has begun stays what it is.
    for (only, status, complete) in [(moved.to_vec(), 502, true), (nothing, 200, false)] {
        let addr = canned(only, b"");
        let fields = "    stream_idle_timeout: 100ms\n";
        let router = Router::start(&config_of(&[at("alpha", addr, fields)], ""));
        let answer = ask(&router, "/v1/audio/speech", r#"{"model":"m","input":"x"}"#);
        assert_eq!((answer.status, answer.complete), (status, complete));
    }
}

#[test]
fn who_lacks_an_endpoint_is_not_asked() {
    let alpha = Recorder::start(whole(JSON, b"{}"));
    let (addr, claude) = (alpha.addr(), "type: anthropic");
    let anthropic = at("alpha", addr, "").replace("type: openai", claude);
    let azure = at("beta", addr, "").replace("type: openai", "type: azure_openai");
    let router = Router::start(&config_of(
        &[
            anthropic,
            azure.replace("[m]", "[a]").replace("nick: m", "x: a"),
        ],
        "",
    ));
    for (path, model) in [
        ("/v1/audio/speech", "nick"),
        ("/v1/rerank", "a"),
        ("/v1/moderations", "a"),
        ("/tokenize", "a"),
    ] {
        let model_json = json!({"model": model, "input": "x"}).to_string();
        let model = if model == "nick" { "m" } else { model };
        let answer = ask(&router, path, &model_json.replace("nick", "m"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert_eq!(answer.code(), "model_not_found");
        let message = answer.json()["error"]["message"].to_string();
        let expected = format!("no provider of the model {model} has {path}");
        assert!(message.contains(&expected), "{message}");
    }
    assert!(alpha.seen().is_empty());
    let answer = ask(&router, "/v1/audio/speech", r#"{"model":"a","input":"x"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (head, _) = halves(&alpha.seen().pop().expect("a request"));
    let path = "POST /v1/openai/deployments/a/audio/speech?api-version=2024-10-21 ";
    assert!(head.starts_with(path), "{head}");
}

#[test]
fn what_cannot_be_priced_is_refused_where_a_budget_is_a_hard_stop() {
    let alpha = Recorder::start(whole(JSON, br#"{"data":[{"url":"u"},{"url":"v"}]}"#));
    let images = r#"{"model":"m","prompt":"x","n":2}"#;
    let hard = "budgets: [{caller: team, monthly_usd: 10, action: hard_stop}]\n";
    let soft = "budgets: [{caller: team, monthly_usd: 10, action: alert}]\n";
    let price = "pricing: {alpha: {m: {per_image: 0.25}}}\n";
    let tokens = "pricing: {alpha: {m: {input_per_million: 1, output_per_million: 1}}}\n";
    let assumed = "passthrough: {assume_usd: 0.125}\n";
    for (rest, caller, cost) in [
        (hard.to_owned(), "team", None),
        (hard.to_owned(), "other", Some("0")),
        (soft.to_owned(), "team", Some("0")),
        (format!("{hard}{price}"), "team", Some("0.5")),
        (format!("{hard}{tokens}"), "team", Some("0.000001")),
        (format!("{hard}{assumed}"), "team", Some("0.125")),
    ] {
        let router = Router::start(&config_of(&[at("alpha", alpha.addr(), "")], &rest));
        let headers = format!("x-infermux-caller: {caller}\r\n");
        let before = alpha.seen().len();
        let answer = ask_with(&router, "/v1/images/generations", &headers, images);
        match cost {
            Some(cost) => {
                assert_eq!(answer.status, 200, "{rest}: {}", answer.text());
                assert_eq!(answer.header("x-infermux-cost"), Some(cost), "{rest}");
            }
            None => {
                assert_eq!(answer.status, 403, "{rest}: {}", answer.text());
                assert_eq!(answer.code(), "unpriced_endpoint");
                assert_eq!(answer.header("x-should-retry"), Some("false"));
                assert_eq!(alpha.seen().len(), before);
            }
        }
        // What costs nothing passes no budget.
        let answer = ask_with(
            &router,
            "/tokenize",
            &headers,
            r#"{"model":"m","prompt":"x"}"#,
        );
        assert_eq!(answer.status, 200, "{rest}");
    }
}

#[test]
fn prices_by_units_use_up_budgets() {
    let alpha = Recorder::start(whole(JSON, br#"{"data":[{"url":"u"}]}"#));
    let rest = "budgets: [{caller: team, monthly_usd: 1, action: hard_stop}]\n\
                pricing: {alpha: {m: {per_image: 0.4}}}\nlog: {format: json}\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr(), "")], rest));
    let ask = |n: u64| {
        let body = json!({"model": "m", "prompt": "x", "n": n}).to_string();
        let headers = "x-infermux-caller: team\r\n";
        ask_with(&router, "/v1/images/generations", headers, &body)
    };
    assert_eq!(ask(3).code(), "budget_exceeded");
    assert_eq!(ask(u64::MAX).code(), "budget_exceeded");
    // Two were asked for, and one was made.
    assert_eq!(ask(2).header("x-infermux-cost"), Some("0.4"));
    assert_eq!(ask(1).header("x-infermux-cost"), Some("0.4"));
    assert_eq!(ask(1).code(), "budget_exceeded");
    router.wait_for_log("\"endpoint\":\"image_generations\"");
}

#[test]
fn tokens_of_pictures_and_sound_are_billed_by_their_kind() {
    let pictures = br#"{"data":[{"b64_json":"AA"}],"usage":{"total_tokens":1260,
        "input_tokens":204,"output_tokens":1056,
        "input_tokens_details":{"text_tokens":10,"image_tokens":194}}}"#;
    let silent = br#"{"data":[{"b64_json":"AA"},{"b64_json":"AA"}]}"#;
    let sound = br#"{"text":"x","usage":{"type":"tokens","total_tokens":1100,
        "input_tokens":1000,"input_token_details":{"text_tokens":0,"audio_tokens":1000},
        "output_tokens":100}}"#;
    let event: &[u8] = b"data: {\"type\":\"transcript.text.done\",\"text\":\"x\",\"usage\":{\
        \"type\":\"tokens\",\"input_tokens\":1000,\"output_tokens\":100}}\n\n";
    let small = r#","n":2,"size":"1024x1024","quality":"low""#;
    let hard = "budgets: [{caller: team, monthly_usd: 10, action: hard_stop}]\n";
    for (model, path, more, answer, cost) in [
        // 10 x 5 + 194 x 10 + 1056 x 40, for a million each.
        (
            "gpt-image-1",
            "/v1/images/generations",
            "",
            whole(JSON, pictures),
            "0.04423",
        ),
        // Nothing is known of it but its prices of tokens, with which it counts as priced.
        (
            "gpt-image-1-mini",
            "/v1/images/generations",
            "",
            whole(JSON, pictures),
            "0.008953",
        ),
        // It tells no tokens: two pictures of that size and quality.
        (
            "gpt-image-1",
            "/v1/images/generations",
            small,
            whole(JSON, silent),
            "0.022",
        ),
        (
            "gpt-4o-transcribe",
            "/v1/audio/transcriptions",
            "",
            whole(JSON, sound),
            "0.0035",
        ),
        (
            "gpt-4o-mini-transcribe",
            "/v1/audio/transcriptions",
            r#","stream":true"#,
            // Its length is announced, and its usage is still that of its last event.
            whole("Content-Type: text/event-stream\r\n", event),
            "0.00175",
        ),
    ] {
        let alpha = Recorder::start(answer);
        let provider = at("alpha", alpha.addr(), "").replace("[m]", &format!("[{model}]"));
        let provider = provider.replace("nick: m", &format!("nick: {model}"));
        let router = Router::start(&config_of(&[provider], hard));
        let answer = if path.ends_with("transcriptions") {
            let fields = if more.is_empty() { "" } else { STREAM };
            let form = format!(
                "--XX\r\nContent-Disposition: form-data; name=model\r\n\r\n{model}\r\n{fields}\
                 --XX\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc\r\n\
                 --XX--\r\n"
            );
            let mut client = Client::connect(router.addr());
            client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: test\r\nx-infermux-caller: team\r\n\
                 Content-Type: multipart/form-data; boundary=XX\r\n\
                 Content-Length: {}\r\n\r\n{form}",
                form.len()
            ));
            client.answer()
        } else {
            let body = format!(r#"{{"model":"{model}","prompt":"x"{more}}}"#);
            ask_with(&router, path, "x-infermux-caller: team\r\n", &body)
        };
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let spent = metric(router.addr(), "infermux_cost_usd_total", &[model]);
        assert_eq!(format!("{spent}"), cost, "{model}{more}");
        if !more.contains("stream") {
            assert_eq!(
                answer.header("x-infermux-cost"),
                Some(cost),
                "{model}{more}"
            );
        }
    }
}

/// A part that asks for events.
const STREAM: &str = "--XX\r\nContent-Disposition: form-data; name=stream\r\n\r\ntrue\r\n";
