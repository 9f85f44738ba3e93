//! Pages of other origins: preflights, and what every kind of answer tells a browser.

use std::net::SocketAddr;

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::operate;
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, mock, provider, streamed_chat};

const APP: &str = "https://app.example";
const LIST: &str = "auth: {mode: static_key, key: callers-key}\n\
    server: {shards: 2, cors: {origins: ['HTTPS://App.Example', 'http://localhost:3000'], \
    max_age: 5m}}\n";
const ANY: &str = "auth: {mode: static_key, key: callers-key}\n\
    server: {shards: 1, cors: {origins: ['https://app.example', '*']}}\n";

/// The answer to a request of a line and further header lines.
fn asked(addr: SocketAddr, line: &str, fields: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.send(format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    client.answer_to(line.split(' ').next().expect("a method"))
}

/// What an answer tells a browser: the fields that CORS knows, in their order.
fn told(answer: &Answer) -> Vec<(&str, &str)> {
    let is_told = |name: &str| name.starts_with("access-control-") || name == "vary";
    let fields = answer.headers.iter();
    let told = fields.filter(|(name, _)| is_told(name));
    told.map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn origin(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[test]
fn a_preflight_needs_no_key_and_every_neighbour_is_what_it_was() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], LIST));
    let plain = Router::start(&config_of(&[provider(&alpha, &[])], ""));
    let chat = "OPTIONS /v1/chat/completions";
    let ask = "Access-Control-Request-Method: POST\r\n";
    let from = |origin: &str| format!("Origin: {origin}\r\n{ask}");
    let app = from(APP);
    let ask_headers = "Access-Control-Request-Headers: authorization,x-stainless-os\r\n";
    // Who is answered, and which headers may be sent.
    let both = Some("authorization, content-type");
    for (line, fields, allowed) in [
        (chat, app.clone(), both),
        (chat, from("http://localhost:3000"), both),
        ("OPTIONS /v1/models/any?x=y", app.clone(), both),
        ("OPTIONS /no/such/path", app.clone(), both),
        ("OPTIONS /", app.clone(), both),
        ("OPTIONS http://test/v1/embeddings", app.clone(), both),
        (
            chat,
            app.clone() + ask_headers,
            Some("authorization,x-stainless-os"),
        ),
        (
            chat,
            app.clone() + "Access-Control-Request-Headers: a b, (c)\r\n",
            both,
        ),
        // The browser itself finds that the method is not among those that are told.
        (chat, app.replace("POST", "BREW"), both),
        (chat, app.clone() + "Authorization: Bearer wrong\r\n", both),
        // A body is read like any other.
        (chat, app.clone() + "Content-Length: 0\r\n", both),
        // These are no preflights of a page that may call.
        (chat, from("https://other.example"), None),
        (chat, from("null"), None),
        (chat, from("https://app.example:8443"), None),
        (chat, from("https://app.example:443"), None),
        (chat, from("http://app.example"), None),
        (chat, from("HTTPS://APP.EXAMPLE"), None),
        (chat, from("https://app.example/"), None),
        (chat, from("https://app.example.evil.example"), None),
        (chat, from("https://sub.app.example"), None),
        (chat, from(""), None),
        (chat, from("*"), None),
        (chat, from("https://app.example, https://app.example"), None),
        (chat, format!("Origin: {APP}\r\n{app}"), None),
        (chat, format!("Origin: {APP}\r\n"), None),
        (
            chat,
            format!("Origin: {APP}\r\nAccess-Control-Request-Method: \r\n"),
            None,
        ),
        (
            chat,
            format!("Origin: {APP}\r\nAccess-Control-Request-Method: a b\r\n"),
            None,
        ),
        (chat, ask.to_owned(), None),
        ("OPTIONS *", app.clone(), None),
        ("GET /v1/chat/completions", app.clone(), None),
        ("OPTION /v1/chat/completions", app.clone(), None),
    ] {
        let answer = asked(router.addr(), line, &fields);
        let row = format!("{line} {fields}: {answer:?}");
        assert!(answer.complete, "{row}");
        let Some(allowed) = allowed else {
            let usual = asked(plain.addr(), line, &fields);
            assert_eq!(
                (answer.status, answer.text()),
                (usual.status, usual.text()),
                "{row}"
            );
            assert!(matches!(answer.status, 404 | 405), "{row}");
            assert_eq!(answer.header("access-control-allow-methods"), None, "{row}");
            continue;
        };
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{row}");
        assert_eq!(answer.header("content-length"), None, "{row}");
        assert!(
            fields.contains(origin(&answer).expect("an origin")),
            "{row}"
        );
        let told = |name| answer.header(name);
        assert_eq!(told("vary"), Some("Origin"), "{row}");
        assert_eq!(
            told("access-control-allow-methods"),
            Some("GET, HEAD, POST, DELETE")
        );
        assert_eq!(told("access-control-allow-headers"), Some(allowed), "{row}");
        assert_eq!(told("access-control-max-age"), Some("300"), "{row}");
        assert_eq!(told("access-control-allow-credentials"), None, "{row}");
    }
    assert!(alpha.requests().is_empty());
}

#[test]
fn a_star_takes_every_origin_and_says_so() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], ANY));
    for from in ["https://any.example", "null", APP] {
        let fields = format!("Origin: {from}\r\nAccess-Control-Request-Method: GET\r\n");
        let answer = asked(router.addr(), "OPTIONS /v1/models", &fields);
        assert_eq!((answer.status, origin(&answer)), (204, Some("*")), "{from}");
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("vary"), None);
    }
    let ask = "Access-Control-Request-Method: GET\r\n";
    let answer = asked(router.addr(), "OPTIONS /v1/models", ask);
    assert_eq!((answer.status, origin(&answer)), (405, Some("*")));
}

#[test]
fn operators_paths_know_no_other_origin() {
    let alpha = mock(json!({"name": "alpha"}));
    for more in ["", "management_listen: '127.0.0.1:0'\n"] {
        for rest in [LIST, ANY] {
            let router = Router::start(&config_of(
                &[provider(&alpha, &[])],
                &format!("{rest}{more}"),
            ));
            let from = format!("Origin: {APP}\r\nAccess-Control-Request-Method: GET\r\n");
            for addr in [router.addr(), router.management()] {
                for line in [
                    "OPTIONS /_infermux/status",
                    "OPTIONS /_infermux",
                    "OPTIONS http://test/_infermux/?x",
                    "GET /_infermux/health",
                    "GET /_infermux/none",
                    "GET /_infermux/status",
                ] {
                    let answer = asked(addr, line, &from);
                    assert_eq!(told(&answer), [], "{line}");
                    assert_ne!(answer.status, 204, "{line}");
                }
                // Nor does a head that cannot be read.
                let huge = format!("{from}X: {}\r\n", "x".repeat(40_000));
                let answer = asked(addr, "GET /_infermux/health", &huge);
                assert_eq!((answer.status, told(&answer)), (431, vec![]));
            }
            if router.management() != router.addr() {
                for line in [
                    "OPTIONS /v1/models",
                    "GET /livez",
                    "GET /",
                    "GET /v1/models",
                ] {
                    assert_eq!(told(&asked(router.management(), line, &from)), [], "{line}");
                }
            }
        }
    }
}

/// Providers that answer in every way, and infermux in front of them.
struct World {
    _mocks: Vec<Mock>,
    router: Router,
}

impl World {
    fn new(rest: &str) -> Self {
        let foreign = json!({
            "access-control-allow-origin": "https://evil.example", "vary": "Accept",
            "x-request-id": "theirs",
        });
        let alpha = mock(json!({"name": "alpha", "headers": foreign, "rules": [
            {"when": {"model": "bad"}, "status": 400},
            {"when": {"model": "down"}, "status": 500},
            {"when": {"model": "cut"}, "do": "cut_mid_stream"},
            {"when": {"model": "large"}, "body_bytes": 400_000},
            {"when": {"model": "json"}, "body": {"object": "chat.completion", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "whole"},
                 "finish_reason": "stop"}]}},
            {"when": {"model": "slow"}, "do": "stall_before_head"},
        ]}));
        let claude = mock(json!({"name": "claude", "dialect": "anthropic"}));
        let (limited, ill) = (
            mock(json!({"name": "limited"})),
            mock(json!({"name": "ill"})),
        );
        let base = format!("base_url: \"http://{}\"", claude.address());
        let models = "models: [m, bad, down, cut, large, json, slow]";
        let providers = [
            provider(&alpha, &[models, "timeout: 300ms"]),
            provider(&claude, &["type: anthropic", &base, "models: [c]"]),
            provider(
                &limited,
                &["models: [l]", "rate_limits: {requests_per_minute: 1}"],
            ),
            provider(&ill, &["models: [i]"]),
        ];
        let budgets = "budgets: [{caller: poor, monthly_usd: 0.000001}]\n\
            pricing: {alpha: {m: {input_per_million: 100, output_per_million: 100}}}\n";
        let router = Router::start(&config_of(&providers, &format!("{budgets}{rest}")));
        assert_eq!(operate::turn(&router, "ill", "open").status, 200);
        let first = post(&chat("hi").replace("\"m\"", "\"l\""), "");
        let mut client = Client::connect(router.addr());
        client.send(first);
        assert_eq!(client.answer().status, 200);
        Self {
            _mocks: vec![alpha, claude, limited, ill],
            router,
        }
    }
}

/// A chat request with the key, and with further header lines.
fn post(body: &str, fields: &str) -> Vec<u8> {
    let key = "Authorization: Bearer callers-key\r\n";
    post_without_key(body, &format!("{key}{fields}"))
}

fn post_without_key(body: &str, fields: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n{fields}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request with these further header lines.
type Asking = Box<dyn Fn(&str) -> Vec<u8>>;

/// Every kind of answer: its status, and the request for it.
fn kinds() -> Vec<(&'static str, u16, Asking)> {
    let of = |model: &str, body: String| body.replace("\"m\"", &format!("\"{model}\""));
    let ask = |model: &str| {
        let body = of(model, chat("hi"));
        Box::new(move |fields: &str| post(&body, fields)) as Asking
    };
    let stream = |model: &str| {
        let body = of(model, streamed_chat("hi"));
        Box::new(move |fields: &str| post(&body, fields)) as Asking
    };
    let line = |line: &'static str| {
        Box::new(move |fields: &str| {
            let key = "Authorization: Bearer callers-key\r\n";
            format!("{line}\r\nHost: test\r\n{key}{fields}\r\n").into_bytes()
        }) as Asking
    };
    let raw = |start: String| {
        Box::new(move |fields: &str| start.replace("{fields}", fields).into_bytes()) as Asking
    };
    let embedding = json!({"model": "m", "input": "x"}).to_string();
    let embedding = move |fields: &str| {
        let text = String::from_utf8(post(&embedding, fields)).expect("text");
        text.replace("chat/completions", "embeddings").into_bytes()
    };
    let long = of("c", chat(&"x".repeat(290_000)));
    let post_of = "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n\
                   Content-Type: application/json\r\n{fields}";
    let key = "Authorization: Bearer callers-key\r\n";
    vec![
        ("whole", 200, ask("m")),
        ("a large one", 200, ask("large")),
        ("embedding", 200, Box::new(embedding)),
        ("stream", 200, stream("m")),
        ("translated", 200, ask("c")),
        ("translated stream", 200, stream("c")),
        ("retold stream", 200, stream("json")),
        ("broken stream", 200, stream("cut")),
        ("models", 200, line("GET /v1/models HTTP/1.1")),
        ("model", 200, line("GET /v1/models/m HTTP/1.1")),
        ("head", 200, line("HEAD /v1/models HTTP/1.1")),
        (
            "models of Anthropic's",
            200,
            line("GET /anthropic/v1/models HTTP/1.1"),
        ),
        (
            "a path below Messages",
            404,
            line("GET /v1/messages/batches HTTP/1.1"),
        ),
        ("root", 200, line("GET / HTTP/1.1")),
        ("no JSON", 400, Box::new(|fields| post("{", fields))),
        (
            "two keys",
            400,
            Box::new(move |fields| post("{}", &format!("{key}{fields}"))),
        ),
        ("the provider's 400", 400, ask("bad")),
        (
            "no HTTP",
            400,
            raw(format!("{post_of}Content-Length: x\r\n\r\n")),
        ),
        (
            "no key",
            401,
            Box::new(|fields| post_without_key("{}", fields)),
        ),
        ("a hint", 404, line("GET /v1/chat/complete HTTP/1.1")),
        ("no model", 404, ask("none")),
        ("no model either", 404, line("GET /v1/models/none HTTP/1.1")),
        ("method", 405, line("GET /v1/chat/completions HTTP/1.1")),
        ("options", 405, line("OPTIONS /v1/models HTTP/1.1")),
        (
            "length",
            413,
            raw(format!("{post_of}{key}Content-Length: 400000\r\n\r\n")),
        ),
        (
            "chunks",
            413,
            raw(format!(
                "{post_of}{key}Transfer-Encoding: chunked\r\n\r\n61a80\r\n{}\r\n0\r\n\r\n",
                "x".repeat(400_000)
            )),
        ),
        (
            "target",
            414,
            raw(format!(
                "GET /{} HTTP/1.1\r\nHost: test\r\n{{fields}}\r\n",
                "x".repeat(9_000)
            )),
        ),
        (
            "encoding",
            415,
            Box::new(|fields| post("{}", &format!("{fields}Content-Encoding: br\r\n"))),
        ),
        ("rate limit", 429, ask("l")),
        (
            "budget",
            429,
            Box::new(|fields| {
                let caller = format!("X-Infermux-Caller: poor\r\n{fields}");
                post(&chat(&"x".repeat(1_000)), &caller)
            }),
        ),
        (
            "head",
            431,
            raw(format!("{post_of}X: {}\r\n\r\n", "x".repeat(40_000))),
        ),
        ("upstream", 502, ask("down")),
        ("nobody", 503, ask("i")),
        (
            "overloaded",
            503,
            Box::new(move |fields| post(&long, fields)),
        ),
        ("timeout", 504, ask("slow")),
        (
            "version",
            505,
            raw(String::from(
                "GET /v1/models HTTP/2.0\r\nHost: test\r\n{fields}\r\n",
            )),
        ),
    ]
}

/// Asserts that a page may read whatever infermux says in the head of its answer.
fn assert_exposed(answer: &Answer, row: &str) {
    let exposed = answer.header("access-control-expose-headers");
    let exposed = exposed.expect(row).to_lowercase();
    let names: Vec<&str> = exposed.split(", ").collect();
    for (name, _) in &answer.headers {
        let is_ours = name.starts_with("x-infermux-") || name.contains("retry");
        if is_ours || name.contains("request-id") {
            assert!(names.contains(&name.as_str()), "{name} of {row}");
        }
    }
}

#[test]
fn every_kind_of_answer_tells_the_browser() {
    let bounds = "max_body_bytes: 300000, max_buffered_bytes: 500000";
    let with = |rest: &str| rest.replace("cors:", &format!("{bounds}, cors:"));
    let plain =
        format!("auth: {{mode: static_key, key: callers-key}}\nserver: {{shards: 1, {bounds}}}\n");
    let worlds = [with(LIST), with(ANY), plain].map(|rest| World::new(&rest));
    let from_app = format!("Origin: {APP}\r\n");
    for (name, status, request) in kinds() {
        for (place, world) in worlds.iter().enumerate() {
            for (fields, listed) in [
                (from_app.as_str(), true),
                ("Origin: https://other.example\r\n", false),
                ("", false),
            ] {
                let row = format!("{name}, {status}, {fields:?}, world {place}");
                let mut client = Client::connect(world.router.addr());
                let bytes = request(fields);
                let method = if bytes.starts_with(b"HEAD") {
                    "HEAD"
                } else {
                    "POST"
                };
                // Where it is refused early, its end may find nobody.
                client.send(&bytes);
                let answer = client.answer_to(method);
                assert_eq!(answer.status, status, "{row}: {}", answer.text());
                let told = told(&answer);
                let expose = answer.header("access-control-expose-headers");
                let expose = ("access-control-expose-headers", expose.unwrap_or_default());
                let allow = "access-control-allow-origin";
                match (place, listed) {
                    (0, true) => {
                        assert_eq!(told, [(allow, APP), expose, ("vary", "Origin")], "{row}");
                        assert_exposed(&answer, &row);
                    }
                    (0, false) => assert_eq!(told, [("vary", "Origin")], "{row}"),
                    (1, _) => {
                        assert_eq!(told, [(allow, "*"), expose], "{row}");
                        assert_exposed(&answer, &row);
                    }
                    (_, _) => assert_eq!(told, [], "{row}"),
                }
            }
        }
    }
}

#[test]
fn a_caller_that_is_too_slow_is_told_as_well() {
    let alpha = mock(json!({"name": "alpha"}));
    let slow = LIST.replace("cors:", "header_timeout: 200ms, body_timeout: 200ms, cors:");
    let router = Router::start(&config_of(&[provider(&alpha, &[])], &slow));
    let start = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nOrigin: {APP}\r\n");
    let key = "Authorization: Bearer callers-key\r\n";
    for rest in [String::new(), format!("{key}Content-Length: 10\r\n\r\n{{")] {
        let mut client = Client::connect(router.addr());
        client.send(format!("{start}{rest}"));
        let answer = client.answer();
        assert_eq!((answer.status, origin(&answer)), (408, Some(APP)), "{rest}");
    }
}

#[test]
fn a_reload_changes_who_may_call() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = |rest: &str| config_of(&[provider(&alpha, &[])], rest);
    let router = Router::start(&config("server: {shards: 2}\n"));
    let from = |origin: &str| format!("Origin: {origin}\r\n");
    let mut kept = Client::connect(router.addr());
    let mut ask = |origin: &str| {
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nHost: test\r\n{}\r\n",
            from(origin)
        );
        kept.send(request);
        kept.answer_to("GET")
    };
    assert_eq!(told(&ask(APP)), []);
    let listing = |origin: &str| config(&format!("server: {{cors: {{origins: ['{origin}']}}}}\n"));
    let answer = router.reload(&listing(APP));
    assert_eq!(answer.json()["changed"], json!(["server.cors"]));
    assert_eq!(origin(&ask(APP)), Some(APP));
    router.reload(&listing("https://next.example"));
    assert_eq!(told(&ask(APP)), [("vary", "Origin")]);
    assert_eq!(
        origin(&ask("https://next.example")),
        Some("https://next.example")
    );
    // A star would give the provider's key to every page: nothing changes.
    let refused = router.reload(&listing("*"));
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("server.cors.origins[0]"),
        "{}",
        refused.text()
    );
    assert_eq!(
        origin(&ask("https://next.example")),
        Some("https://next.example")
    );
    router.reload(&config(""));
    assert_eq!(told(&ask(APP)), []);
}

#[test]
fn what_only_browsers_need_stays_here() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], LIST));
    let fields = format!("Authorization: Bearer callers-key\r\nOrigin: {APP}\r\n");
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/chat/completions", &fields, &chat("hi"));
    assert_eq!(client.answer().status, 200);
    let seen = crate::support::last_seen(&alpha);
    assert_eq!(crate::support::seen_header(&seen, "origin"), None);
    // A preflight has its access line, and its connection serves the next request.
    let preflight = "OPTIONS /v1/models HTTP/1.1\r\nHost: test\r\n\
        Access-Control-Request-Method: GET\r\n";
    for _ in 0..2 {
        client.send(format!("{preflight}Origin: {APP}\r\n\r\n"));
        assert_eq!(client.answer().status, 204);
    }
    router.wait_for_log("endpoint=preflight");
}

#[test]
fn without_cors_nothing_is_said_of_it() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let ask = format!("Origin: {APP}\r\nAccess-Control-Request-Method: POST\r\n");
    let answer = asked(router.addr(), "OPTIONS /v1/chat/completions", &ask);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(told(&answer), []);
}

#[test]
fn no_page_spends_a_key_without_a_preflight() {
    let alpha = mock(json!({"name": "alpha"}));
    let listing = format!("server: {{shards: 2, cors: {{origins: ['{APP}']}}}}\n");
    for (rest, app) in [("", 400), (&*listing, 200)] {
        let router = Router::start(&config_of(&[provider(&alpha, &["api_key: k"])], rest));
        for label in [
            "",
            "Content-Type: text/plain;charset=UTF-8\r\n",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: application/json\r\n",
        ] {
            // A browser sends that only where a preflight has allowed it.
            let json = label.contains("json");
            for (fields, status) in [
                (String::new(), 200),
                (String::from("Origin: http://test\r\n"), 200),
                (format!("Origin: {APP}\r\n"), app),
                (String::from("Origin: null\r\n"), 400),
                (String::from("Origin: https://app.example.org\r\n"), 400),
                (format!("Origin: {APP}\r\nOrigin: http://test\r\n"), 400),
            ] {
                for body in [chat("hi"), streamed_chat("hi")] {
                    let mut client = Client::connect(router.addr());
                    let length = body.len();
                    client.send(format!(
                        "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n{fields}{label}\
                         Content-Length: {length}\r\n\r\n{body}"
                    ));
                    let wanted = if json { 200 } else { status };
                    assert_eq!(client.answer().status, wanted, "{rest} {label} {fields}");
                }
            }
        }
    }
}
