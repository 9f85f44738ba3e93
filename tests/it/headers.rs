//! What crosses the router, in which direction, and what it adds.

use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
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
         User-Agent: tester/1\r\nX-Kept: yes\r\nOpenAI-Beta: b=1\r\n",
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
        ("x-kept", "yes"),
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
    assert_eq!(alpha.stats().requests, 4);
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
        "Set-Cookie": "a=b", "Server": "theirs", "Connection": "keep-alive, X-Hop",
        "X-Hop": "1", "X-RateLimit-Remaining-Requests": "7", "openai-processing-ms": "5",
    }}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for body in [chat("hello"), streamed_chat("hello")] {
        let answer = client.chat(&body);
        let of = |wanted: &str| {
            let fields = answer.headers.iter().filter(|(name, _)| name == wanted);
            fields.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("x-infermux-provider"), ["alpha"]);
        assert!(!of("x-infermux-cost").contains(&"9"));
        for gone in ["x-infermux-error", "set-cookie", "server", "x-hop"] {
            assert!(of(gone).is_empty(), "{gone}");
        }
        assert_eq!(of("x-ratelimit-remaining-requests"), ["7"]);
        assert_eq!(of("openai-processing-ms"), ["5"]);
        assert_eq!(of("content-type").len(), 1);
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
