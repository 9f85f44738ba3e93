//! What crosses the router, in which direction, and what it adds.

use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, last_seen, mock, provider, seen_header, streamed_chat,
};

const CHAT: &str = "/v1/chat/completions";

/// Asks once, with these header lines.
fn ask(router: &Router, headers: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with(CHAT, headers, &chat("hello"));
    client.answer()
}

#[test]
fn an_answer_says_how_it_came_about() {
    let alpha = mock(json!({
        "name": "alpha", "prompt_tokens": 12, "completion_tokens": 34, "latency_ms": 30,
    }));
    let group = "routing:\n  groups:\n    - {name: fast, models: [quick], strategy: priority}\n";
    let providers = [provider(&alpha, &["model_aliases: {quick: m}"])];
    let router = Router::start(&config_of(&providers, group));
    let mut client = Client::connect(router.addr());
    let answer = client.chat(&chat("hello").replace("\"m\"", "\"quick\""));
    for (name, value) in [
        ("x-infermux-provider", "alpha"),
        ("x-infermux-model", "m"),
        ("x-infermux-strategy", "priority"),
        ("x-infermux-route-group", "fast"),
        ("x-infermux-prompt-tokens", "12"),
        ("x-infermux-completion-tokens", "34"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let latency: u64 = answer
        .header("x-infermux-latency-ms")
        .and_then(|latency| latency.parse().ok())
        .expect("a number");
    assert!((30..20_000).contains(&latency), "{latency}");
    assert_eq!(answer.header("x-infermux-attempts"), None);
    assert_eq!(answer.header("x-infermux-error"), None);

    let plain = client.chat(&chat("hello"));
    assert_eq!(plain.header("x-infermux-route-group"), None);
    assert_eq!(plain.header("x-infermux-strategy"), Some("round_robin"));

    let stream = client.chat(&streamed_chat("hello").replace("\"m\"", "\"quick\""));
    assert_eq!(stream.header("x-infermux-provider"), Some("alpha"));
    assert_eq!(stream.header("x-infermux-route-group"), Some("fast"));
    assert!(stream.header("x-infermux-latency-ms").is_some());
    assert_eq!(stream.header("x-infermux-prompt-tokens"), None);
    assert_eq!(stream.trailer("x-infermux-prompt-tokens"), Some("12"));
    assert_eq!(stream.trailer("x-infermux-completion-tokens"), Some("34"));
}

#[test]
fn attempts_are_told_when_there_was_more_than_one() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let answer = ask(&router, "");
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
    beta.set_script(json!({"status": 500})).expect("a script");
    let answer = ask(&router, "");
    assert_eq!(answer.status, 502);
    assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
}

#[test]
fn a_request_id_is_kept_or_made_and_goes_everywhere() {
    let alpha = mock(json!({"name": "alpha", "headers": {"x-request-id": "theirs"}}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = ask(&router, "X-Request-ID: my-id.1\r\n");
    assert_eq!(answer.header("x-request-id"), Some("my-id.1"));
    let seen = last_seen(&alpha);
    assert_eq!(
        seen_header(&seen, "x-request-id").as_deref(),
        Some("my-id.1")
    );
    router.wait_for_log("request_id=my-id.1");

    let answers = [ask(&router, ""), ask(&router, "")];
    let [first, second] = answers.map(|answer| {
        let ids = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "x-request-id");
        assert_eq!(ids.count(), 1);
        answer.header("x-request-id").expect("an id").to_owned()
    });
    assert_ne!(first, second);
    let seen = last_seen(&alpha);
    assert_eq!(seen_header(&seen, "x-request-id"), Some(second.clone()));
    router.wait_for_log(&second);

    let refused = {
        let mut client = Client::connect(router.addr());
        client.post_with(CHAT, "X-Request-Id: bad-one\r\n", "[]");
        client.answer()
    };
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("x-request-id"), Some("bad-one"));
}

#[test]
fn what_belongs_to_the_callers_connection_or_to_infermux_stays_here() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = ask(
        &router,
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nProxy-Authorization: Basic eA==\r\nTrailer: X-A\r\n\
         X-Infermux-Caller: team-a\r\nX-Infermux-Project: p\r\nX-Infermux-Env: e\r\n\
         X-Infermux-Anything: x\r\nCookie: secret=1\r\nX-Forwarded-For: 10.0.0.1\r\n\
         Accept-Encoding: gzip\r\nX-Api-Key: callers\r\nApi-Key: callers\r\n\
         User-Agent: tester/1\r\nOpenAI-Beta: b=1\r\n",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = last_seen(&alpha);
    for name in [
        "x-hop",
        "keep-alive",
        "te",
        "upgrade",
        "proxy-authorization",
        "trailer",
        "x-infermux-caller",
        "x-infermux-project",
        "x-infermux-env",
        "x-infermux-anything",
        "cookie",
        "x-forwarded-for",
        "x-api-key",
        "api-key",
    ] {
        assert_eq!(seen_header(&seen, name), None, "{name}");
    }
    for (name, value) in [
        ("user-agent", "tester/1"),
        ("openai-beta", "b=1"),
        ("accept-encoding", "identity"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(seen_header(&seen, name).as_deref(), Some(value), "{name}");
    }
    let host = seen_header(&seen, "host");
    assert_eq!(host, Some(alpha.address().to_string()));
}

// proves: key.where-meant
#[test]
fn a_providers_own_key_is_used_and_the_callers_stays_here() {
    let alpha = mock(json!({"name": "alpha", "key": "sk-alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = ask(
        &router,
        "Authorization: Bearer sk-caller\r\nOpenAI-Organization: org-c\r\nOpenAI-Project: p\r\n",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = last_seen(&alpha);
    assert!(!seen.to_string().contains("sk-caller"), "{seen}");
    assert_eq!(seen_header(&seen, "openai-organization"), None);
    assert_eq!(seen_header(&seen, "openai-project"), None);
}

#[test]
fn a_provider_without_a_key_gets_the_callers() {
    let alpha = mock(json!({"name": "alpha", "key": "sk-caller"}));
    let router = Router::start(&config_with(&alpha, &["-api_key"]));
    let answer = ask(
        &router,
        "Authorization: Bearer sk-caller\r\nOpenAI-Organization: org-c\r\n",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = last_seen(&alpha);
    let organization = seen_header(&seen, "openai-organization");
    assert_eq!(organization.as_deref(), Some("org-c"));
    // Its objection to the caller's key is the caller's affair.
    let answer = ask(&router, "Authorization: Bearer sk-other\r\n");
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("x-infermux-error"), None);
    assert_eq!(ask(&router, "").status, 401);
}

#[test]
fn forward_caller_key_says_whose_key_is_sent() {
    let alpha = mock(json!({"name": "alpha"}));
    for (fields, expected) in [
        (vec!["forward_caller_key: true"], Some("Bearer sk-caller")),
        (vec!["forward_caller_key: false"], Some("Bearer sk-alpha")),
        (
            vec!["-api_key", "forward_caller_key: true"],
            Some("Bearer sk-caller"),
        ),
        (vec!["-api_key", "forward_caller_key: false"], None),
    ] {
        let router = Router::start(&config_with(&alpha, &fields));
        assert_eq!(
            ask(&router, "Authorization: Bearer sk-caller\r\n").status,
            200
        );
        let key = seen_header(&last_seen(&alpha), "authorization");
        assert_eq!(key.as_deref(), expected, "{fields:?}");
    }
}

#[test]
fn a_static_key_is_required_and_never_goes_upstream() {
    let alpha = mock(json!({"name": "alpha", "key": "sk-alpha"}));
    let auth = "auth: {mode: static_key, key: the-static-key}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], auth));
    for (headers, status) in [
        ("Authorization: Bearer the-static-key\r\n", 200),
        ("authorization: bearer   the-static-key\r\n", 200),
        ("X-Api-Key: the-static-key\r\n", 200),
        ("api-key: the-static-key\r\n", 200),
        ("Api-Key: wrong\r\nX-Api-Key: the-static-key\r\n", 200),
        (
            "Authorization: Bearer wrong\r\nX-Api-Key: the-static-key\r\n",
            200,
        ),
        ("", 401),
        ("Authorization: Bearer the-static-kex\r\n", 401),
        ("Authorization: Bearer the-static-key2\r\n", 401),
        ("Authorization: the-static-key\r\n", 401),
        ("Authorization: Bearer sk-alpha\r\n", 401),
        ("X-Api-Key: \r\n", 401),
    ] {
        let answer = ask(&router, headers);
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        if status == 401 {
            assert_eq!(answer.code(), "invalid_api_key");
            assert_eq!(answer.header("x-infermux-error"), Some("invalid_api_key"));
        } else {
            let seen = last_seen(&alpha);
            assert!(!seen.to_string().contains("the-static-key"), "{seen}");
        }
    }
    assert_eq!(alpha.stats().requests, 6);
    let mut client = Client::connect(router.addr());
    client.get("/v1/models");
    assert_eq!(client.answer_to("GET").status, 401);
}

#[test]
fn under_a_static_key_no_callers_key_goes_upstream() {
    let alpha = mock(json!({"name": "alpha"}));
    let auth = "auth: {mode: static_key, key: the-static-key}\n";
    let fields = ["forward_caller_key: true"];
    let router = Router::start(&config_of(&[provider(&alpha, &fields)], auth));
    for headers in [
        "Authorization: Bearer the-static-key\r\n",
        "X-Api-Key: the-static-key\r\nAuthorization: Bearer sk-caller\r\n",
    ] {
        assert_eq!(ask(&router, headers).status, 200);
        let seen = last_seen(&alpha);
        for key in ["the-static-key", "sk-caller"] {
            assert!(!seen.to_string().contains(key), "{seen}");
        }
        let key = seen_header(&seen, "authorization");
        assert_eq!(key.as_deref(), Some("Bearer sk-alpha"));
    }
}

#[test]
fn a_provider_cannot_speak_for_infermux() {
    let alpha = mock(json!({"name": "alpha", "headers": {
        "X-Infermux-Provider": "spoofed", "X-Infermux-Cost": "9", "X-Infermux-Error": "none",
        "X-Infermux-Upstream-Request-Id": "spoofed", "Connection": "keep-alive, openai-version",
        "openai-version": "1", "openai-processing-ms": "5",
    }}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for body in [chat("hello"), streamed_chat("hello")] {
        let answer = client.chat(&body);
        assert_eq!(all(&answer, "x-infermux-provider"), ["alpha"]);
        assert!(!all(&answer, "x-infermux-cost").contains(&"9"));
        for gone in ["x-infermux-error", "openai-version"] {
            assert!(all(&answer, gone).is_empty(), "{gone}");
        }
        let ids = all(&answer, "x-infermux-upstream-request-id");
        assert!(ids.len() == 1 && ids != ["spoofed"], "{ids:?}");
        assert_eq!(all(&answer, "openai-processing-ms"), ["5"]);
        assert_eq!(all(&answer, "content-type").len(), 1);
    }
}

/// All values of a header.
fn all<'a>(answer: &'a Answer, wanted: &str) -> Vec<&'a str> {
    let fields = answer.headers.iter().filter(|(name, _)| name == wanted);
    fields.map(|(_, value)| value.as_str()).collect()
}

/// The dialects, each with the fields of a provider that speaks it.
const DIALECTS: [(&str, &str, &[&str]); 4] = [
    ("openai", "openai", &["type: openai"]),
    ("anthropic", "anthropic", &["type: anthropic"]),
    ("azure", "azure_openai", &["type: azure_openai"]),
    ("ollama", "ollama", &["type: ollama"]),
];

/// Whose key a provider gets: fields that say so.
const KEYS: [(&str, &[&str]); 2] = [
    ("infermux's", &[]),
    ("the caller's", &["-api_key", "forward_caller_key: true"]),
];

/// A router with one provider of this dialect, which serves `m`.
fn router_for(
    mock: &infermux_mock::Mock,
    (dialect, _, fields): (&str, &str, &[&str]),
    more: &[&str],
) -> Router {
    let base = match dialect {
        "openai" => format!("base_url: \"http://{}/v1\"", mock.address()),
        _ => format!("base_url: \"http://{}\"", mock.address()),
    };
    let fields = [fields, more, &[base.as_str()]].concat();
    Router::start(&config_with(mock, &fields))
}

/// A caller's header, and to whom it goes: any dialect, Anthropic's, OpenAI's, OpenAI's with the
/// caller's key; `-`: nobody.
const TO_PROVIDERS: &str = "
    Accept                                     any
    User-Agent                                 any
    Idempotency-Key                            any
    HTTP-Referer                               any
    X-Title                                    any
    traceparent                                any
    tracestate                                 any
    OpenAI-Beta                                openai
    OpenAI-Organization                        forwarded
    OpenAI-Project                             forwarded
    anthropic-beta                             anthropic
    anthropic-dangerous-direct-browser-access  anthropic
    anthropic-any-other                        anthropic
    x-claude-code-session-id                   anthropic
    x-app                                      anthropic
    anthropic                                  -
    x-claude-codes                             -
    x-apps                                     -
    OpenAI-Betas                               -
    openai-any-other                           -
    Accept-Language                            -
    Referer                                    -
    Origin                                     -
    Cookie                                     -
    X-Stainless-Lang                           -
    X-Forwarded-For                            -
    X-Real-IP                                  -
    X-Infermux-Project                         -
    X-Auth-Request-Access-Token                -
    X-Amzn-Oidc-Accesstoken                    -
    X-Amzn-Oidc-Data                           -
    Cf-Access-Jwt-Assertion                    -
    Cf-Access-Client-Secret                    -
    X-Goog-Iap-Jwt-Assertion                   -
    X-Ms-Token-Aad-Access-Token                -
    Ocp-Apim-Subscription-Key                  -
    X-Auth-Token                               -
    X-Access-Token                             -
    Private-Token                              -
    X-Vault-Token                              -
    X-Openwebui-User-Email                     -
    X-Consumer-Username                        -
    X-Api-Key                                  -
    Api-Key                                    -
";

/// What infermux itself writes into a request, and the mock may record.
const STATED: [&str; 9] = [
    "host",
    "accept-encoding",
    "content-type",
    "content-length",
    "x-request-id",
    "authorization",
    "x-api-key",
    "api-key",
    "anthropic-version",
];

// proves: key.where-meant
#[test]
fn only_listed_headers_reach_a_provider() {
    let rows = || {
        TO_PROVIDERS
            .lines()
            .filter_map(|row| row.trim().split_once(' '))
    };
    let mut sent = "Authorization: Bearer sk-of-the-caller\r\n".to_owned();
    for (name, _) in rows() {
        sent.push_str(&format!(
            "{name}: foreign-{}\r\n",
            name.to_ascii_lowercase()
        ));
    }
    for dialect in DIALECTS {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect.0}));
        for (whose, key) in KEYS {
            let router = router_for(&alpha, dialect, key);
            for body in [chat("x"), streamed_chat("x")] {
                let mut client = Client::connect(router.addr());
                client.post_with(CHAT, &sent, &body);
                let answer = client.answer();
                assert_eq!(answer.status, 200, "{dialect:?}: {}", answer.text());
                let seen = last_seen(&alpha);
                for (name, goes) in rows() {
                    let goes = match (goes.trim(), dialect.0) {
                        ("any", _) => true,
                        (to @ ("anthropic" | "openai"), "anthropic") => to == "anthropic",
                        ("openai", _) => true,
                        ("forwarded", kind) => kind != "anthropic" && whose == "the caller's",
                        (_, _) => false,
                    };
                    let name = name.to_ascii_lowercase();
                    let expected = goes.then(|| format!("foreign-{name}"));
                    let found = seen_header(&seen, &name);
                    let found = found.filter(|value| value.starts_with("foreign-"));
                    assert_eq!(found, expected, "{name} to {dialect:?} with {whose} key");
                }
                for header in seen["headers"].as_array().expect("a list") {
                    let name = header[0].as_str().expect("a name");
                    let is_listed = rows().any(|(row, _)| row.eq_ignore_ascii_case(name));
                    assert!(is_listed || STATED.contains(&name), "{name} to {dialect:?}");
                }
            }
        }
    }
}

/// A provider's header, and which callers get it: all, those whose key was sent; `-`: nobody.
const TO_CALLERS: &str = "
    Retry-After                               all
    retry-after-ms                            all
    x-should-retry                            all
    openai-processing-ms                      all
    openai-version                            all
    x-ratelimit-limit-requests                forwarded
    x-ratelimit-any-other                     forwarded
    anthropic-ratelimit-tokens-remaining      forwarded
    openai-organization                       -
    openai-model                              -
    anthropic-organization-id                 -
    x-ratelimited                             -
    x-should-retries                          -
    Set-Cookie                                -
    Server                                    -
    Via                                       -
    Alt-Svc                                   -
    Strict-Transport-Security                 -
    Access-Control-Allow-Origin               -
    Access-Control-Expose-Headers             -
    Cf-Ray                                    -
    X-Envoy-Upstream-Service-Time             -
    X-Debug-Authorization                     -
    Location                                  -
    X-Infermux-Budget-Remaining               -
    ETag                                      -
";

#[test]
fn only_listed_headers_reach_a_caller() {
    let rows = || {
        TO_CALLERS
            .lines()
            .filter_map(|row| row.trim().split_once(' '))
    };
    let mut headers =
        json!({"x-request-id": "theirs", "request-id": "theirs", "apim-request-id": "theirs"});
    for (name, _) in rows() {
        headers[name] = json!(format!("7-{}", name.to_ascii_lowercase()));
    }
    for dialect in DIALECTS {
        let alpha = mock(json!({
            "name": "alpha", "dialect": dialect.0, "headers": headers, "answers": ["ok", "ok", 404],
        }));
        for (whose, key) in KEYS {
            alpha.reset();
            let router = router_for(&alpha, dialect, key);
            for body in [chat("x"), streamed_chat("x"), chat("refused")] {
                let mut client = Client::connect(router.addr());
                client.post_with(CHAT, "Authorization: Bearer sk-of-the-caller\r\n", &body);
                let answer = client.answer();
                let is_refused = body == chat("refused");
                assert_eq!(answer.status, if is_refused { 404 } else { 200 });
                for (name, goes) in rows() {
                    let goes = match goes.trim() {
                        "all" => true,
                        "forwarded" => whose == "the caller's",
                        _ => false,
                    };
                    let name = name.to_ascii_lowercase();
                    let found = answer.header(&name);
                    let expected = format!("7-{name}");
                    let expected = goes.then_some(expected.as_str());
                    assert_eq!(found, expected, "{name} of {dialect:?} with {whose} key");
                }
                let id = answer.header("x-infermux-upstream-request-id");
                assert_eq!(id, Some("theirs"), "{dialect:?}");
                assert_ne!(answer.header("x-request-id"), Some("theirs"));
                let is_stream = body == streamed_chat("x");
                for (name, value) in [("cache-control", "no-cache"), ("x-accel-buffering", "no")] {
                    let found = all(&answer, name);
                    assert_eq!(
                        found,
                        if is_stream { vec![value] } else { vec![] },
                        "{name}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_providers_own_id_for_a_request_is_told_whatever_it_is_called() {
    for headers in [
        json!({"x-request-id": "theirs"}),
        json!({"request-id": "theirs"}),
        json!({"apim-request-id": "theirs"}),
        json!({"x-request-id": "echo", "request-id": "theirs"}),
        json!({"x-request-id": "echo", "apim-request-id": "theirs"}),
        json!({"x-request-id": "echo", "request-id": ""}),
    ] {
        let alpha = mock(json!({"name": "alpha", "headers": headers}));
        let router = Router::start(&config_with(&alpha, &[]));
        let answer = ask(&router, "");
        let found = answer.header("x-infermux-upstream-request-id");
        let is_empty = headers["request-id"] == "";
        let expected = if is_empty { "echo" } else { "theirs" };
        assert_eq!(found, Some(expected), "{headers}");
    }
}

#[test]
fn a_provider_is_sent_headers_of_its_own_and_those_that_are_let_through() {
    for dialect in DIALECTS {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect.0}));
        let headers = "headers: {set: {X-Gateway-Token: \"${GATEWAY}\", User-Agent: in front}, \
                       forward: [X-Tenant, Accept-Language]}";
        let checked = "health_check: {interval: 60s}";
        let base = match dialect.0 {
            "openai" => format!("base_url: \"http://{}/v1\"", alpha.address()),
            _ => format!("base_url: \"http://{}\"", alpha.address()),
        };
        let fields = [dialect.2, &[headers, checked, &base]].concat();
        let router = Start::with(&config_with(&alpha, &fields))
            .env("GATEWAY", "the token-of-the-gateway")
            .go();
        let sent = "X-Gateway-Token: callers\r\nUser-Agent: caller\r\nx-tenant: t-1\r\n\
                    Accept-Language: de\r\nX-Other: no\r\n";
        assert_eq!(ask(&router, sent).status, 200, "{dialect:?}");
        for (request, passes) in alpha.requests().iter().zip([false, true]) {
            for (name, value) in [
                ("x-gateway-token", Some("the token-of-the-gateway")),
                ("user-agent", Some("in front")),
                ("x-tenant", passes.then_some("t-1")),
                ("accept-language", passes.then_some("de")),
                ("x-other", None),
            ] {
                let named = |field: &&serde_json::Value| field[0] == name;
                let fields = request["headers"].as_array().expect("a list").iter();
                let found: Vec<_> = fields.filter(named).map(|field| field[1].clone()).collect();
                let expected: Vec<_> = value.into_iter().map(serde_json::Value::from).collect();
                assert_eq!(found, expected, "{name} to {dialect:?}: {request}");
            }
        }
        assert_eq!(alpha.requests().len(), 2, "a check and a request");
    }
}

#[test]
fn a_forwarded_key_may_come_in_any_header_of_keys() {
    for (dialect, presented, expected) in [
        (
            DIALECTS[0],
            "x-api-key: sk-1",
            ("authorization", "Bearer sk-1"),
        ),
        (
            DIALECTS[0],
            "api-key: sk-1",
            ("authorization", "Bearer sk-1"),
        ),
        (DIALECTS[1], "x-api-key: sk-1", ("x-api-key", "sk-1")),
        (DIALECTS[2], "api-key: sk-1", ("api-key", "sk-1")),
    ] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect.0}));
        let router = router_for(&alpha, dialect, KEYS[1].1);
        assert_eq!(ask(&router, &format!("{presented}\r\n")).status, 200);
        let found = seen_header(&last_seen(&alpha), expected.0);
        assert_eq!(
            found.as_deref(),
            Some(expected.1),
            "{dialect:?}, {presented}"
        );
    }
}

#[test]
fn whoever_is_two_callers_or_asks_no_host_is_refused() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let twice =
        |name: &str, one: &str, other: &str| format!("{name}: {one}\r\n{name}: {other}\r\n");
    for (host, fields, status) in [
        ("test", twice("Authorization", "Bearer a", "Bearer b"), 400),
        ("test", twice("Authorization", "Bearer a", "Bearer a"), 400),
        ("test", twice("X-Infermux-Caller", "a", "b"), 400),
        ("test", twice("X-Infermux-Project", "a", "b"), 200),
        ("test", twice("Accept", "a/b", "c/d"), 200),
        ("", String::new(), 200),
        ("a.example:8080", String::new(), 200),
        ("[::1]:8080", String::new(), 200),
        ("a b", String::new(), 400),
        ("http://a", String::new(), 400),
        ("u@a", String::new(), 400),
        ("a:b", String::new(), 400),
        ("a,b:1:2", String::new(), 400),
        ("[::1", String::new(), 400),
    ] {
        let body = chat("x");
        let mut client = Client::connect(router.addr());
        client.send(format!(
            "POST {CHAT} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = client.answer();
        assert_eq!(
            answer.status,
            status,
            "{host:?} {fields:?}: {}",
            answer.text()
        );
        if status == 400 {
            assert_eq!(answer.code(), "invalid_request");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
        }
    }
}

#[test]
fn what_would_be_refused_again_says_so() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let auth = "auth: {mode: static_key, key: the-static-key}\nserver: {max_body_bytes: 1000}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], auth));
    let key = "Authorization: Bearer the-static-key\r\n";
    for (path, headers, body, status, says) in [
        (CHAT, key, "[]".to_owned(), 400, true),
        (CHAT, "", chat("x"), 401, true),
        ("/v1/nothing", key, chat("x"), 404, true),
        (
            CHAT,
            key,
            chat("x").replace("\"m\"", "\"nobody\""),
            404,
            true,
        ),
        (CHAT, key, chat(&"x".repeat(2_000)), 413, true),
        (CHAT, key, chat("x"), 502, false),
    ] {
        let mut client = Client::connect(router.addr());
        client.post_with(path, headers, &body);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{}", answer.text());
        let expected = says.then_some("false");
        assert_eq!(answer.header("x-should-retry"), expected, "{status}");
    }
}

#[test]
fn an_error_of_infermux_has_all_four_keys() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for (body, status, code) in [
        (chat("x"), 502, "upstream_error"),
        ("[]".to_owned(), 400, "invalid_request"),
        ("{\"messages\":[]}".to_owned(), 400, "invalid_request"),
        ("{\"model\":\"m\"".to_owned(), 400, "invalid_request"),
        ("{\"model\":7}".to_owned(), 400, "invalid_request"),
        (
            chat("x").replace("\"m\"", "\"nobody\""),
            404,
            "model_not_found",
        ),
    ] {
        let answer = client.chat(&body);
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.header("x-infermux-error"), Some(code), "{body}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = &answer.json()["error"];
        let error = error.as_object().expect("an object");
        assert_eq!(error["type"], "infermux_error");
        assert_eq!(error["code"], code);
        assert!(error["param"].is_null() && error.contains_key("param"));
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
}
