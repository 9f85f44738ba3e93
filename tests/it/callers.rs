//! What callers' client libraries ask for: paths in every form, and what they are told.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, last_seen, mock, provider, streamed_chat};

/// A body without a model.
fn nameless(stream: bool) -> String {
    json!({"messages": [{"role": "user", "content": "hi"}], "stream": stream}).to_string()
}

/// A router in front of one provider of either type, with an alias each.
fn routers() -> [(Mock, Router); 2] {
    let aliases = "model_aliases: {nick: m, 'a/b \"c': m}";
    let openai = mock(json!({"name": "openai"}));
    let one = Router::start(&config_with(&openai, &[aliases]));
    let claude = mock(json!({"name": "claude", "dialect": "anthropic"}));
    let base = format!("base_url: \"http://{}\"", claude.address());
    let fields = ["type: anthropic", &base, aliases];
    let two = Router::start(&config_of(
        &[provider(&claude, &fields)],
        "server: {shards: 2}\n",
    ));
    [(openai, one), (claude, two)]
}

fn post(client: &mut Client, path: &str, body: &str) -> Answer {
    client.post(path, body);
    client.answer()
}

#[test]
fn an_endpoint_is_served_under_every_form_of_its_path() {
    for (mock, router) in routers() {
        let mut client = Client::connect(router.addr());
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/openai/v1/chat/completions",
            "/openai/chat/completions",
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
            "/openai/deployments/other/chat/completions",
            "//v1//chat/completions",
            "/v1/chat/completions/",
            "/v1/chat/completions//?x=/y/",
            "/chat//completions?",
            "/openai//v1/chat/completions",
            "//openai/deployments//m///chat/completions/",
        ] {
            let answer = post(&mut client, path, &chat("hi"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.json()["model"], "m", "{path}");
            let answer = post(&mut client, path, &streamed_chat("hi"));
            let last = answer.events().pop();
            assert_eq!(last.as_deref(), Some("[DONE]"), "{path}: {}", answer.text());
        }
        assert_eq!(last_seen(&mock)["body"]["model"], "m");
    }
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for (path, body) in [
        ("/embeddings", r#"{"model":"m","input":"x"}"#),
        (
            "/openai/deployments/m/embeddings?api-version=1",
            r#"{"input":"x"}"#,
        ),
        ("/completions/", r#"{"model":"m","prompt":"x"}"#),
        ("/openai/deployments/m/completions", r#"{"prompt":"x"}"#),
    ] {
        let answer = post(&mut client, path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(last_seen(&alpha)["body"]["model"], "m", "{path}");
    }
    for path in [
        "/models",
        "/v1/models/",
        "/openai/models?api-version=1",
        "/openai/v1/models",
    ] {
        client.get(path);
        assert_eq!(client.answer().json()["data"][0]["id"], "m", "{path}");
    }
    for path in [
        "/models/m",
        "/v1/models/m/",
        "/v1//models//%6d",
        "/openai/v1/models/m?x",
    ] {
        client.get(path);
        assert_eq!(client.answer().json()["id"], "m", "{path}");
    }
}

#[test]
fn a_deployment_names_the_model_where_the_body_does_not() {
    let bad = |code: &'static str| (if code == "model_not_found" { 404 } else { 400 }, code);
    for (mock, router) in routers() {
        let mut client = Client::connect(router.addr());
        for (deployment, body, model) in [
            ("m", nameless(false), "m"),
            ("nick", nameless(false), "nick"),
            ("a%2Fb%20%22c", nameless(false), "a/b \"c"),
            ("a/b%20%22c", nameless(false), "a/b \"c"),
            ("nobody", chat("hi"), "m"),
            ("m", chat("hi").replace("\"m\"", "\"nick\""), "nick"),
            ("nick", nameless(false).replacen('{', " { ", 1), "nick"),
        ] {
            let path = format!("/openai/deployments/{deployment}/chat/completions?api-version=1");
            let answer = post(&mut client, &path, &body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.json()["model"], model, "{path}");
            assert_eq!(last_seen(&mock)["body"]["model"], "m", "{path}");
        }
        let path = "/openai/deployments/nick/chat/completions";
        let large = nameless(false).replace("hi", &"hello ".repeat(100_000));
        let answer = post(&mut client, path, &large);
        assert_eq!(answer.json()["model"], "nick", "{}", answer.text());
        let answer = post(&mut client, path, &nameless(true));
        let first: Value = serde_json::from_str(&answer.events()[0]).expect("JSON");
        assert_eq!(first["model"], "nick");
        assert!(answer.complete, "{}", answer.text());
        for (deployment, body, (status, code)) in [
            ("nobody", nameless(false), bad("model_not_found")),
            ("a%0Ab", nameless(false), bad("invalid_request")),
            ("m", "{\"model\":null}".to_owned(), bad("invalid_request")),
            ("m", "{\"model\":\"\"}".to_owned(), bad("invalid_request")),
            ("m", "[]".to_owned(), bad("invalid_request")),
            ("m", "{".to_owned(), bad("invalid_request")),
        ] {
            let path = format!("/openai/deployments/{deployment}/chat/completions");
            let answer = post(&mut client, &path, &body);
            assert_eq!(
                (answer.status, &*answer.code()),
                (status, code),
                "{path} {body}"
            );
        }
    }
}

#[test]
fn a_path_that_is_not_served_is_told_the_nearest_that_is() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let chat_path = "did you mean /v1/chat/completions?";
    for (path, hint) in [
        ("/v1/chat/completion", chat_path),
        ("/v1/v1/chat/completions?key=sk-1", chat_path),
        ("/api/v1/chat/completions", chat_path),
        ("/V1/CHAT/COMPLETIONS", chat_path),
        ("/v1/chat", chat_path),
        ("/v1/model", "did you mean /v1/models?"),
        ("/v1/%65mbeddings", "did you mean /v1/embeddings?"),
        ("/metrics", "did you mean /_infermux/metrics?"),
        (
            "/_infermux/providers/",
            "did you mean /_infermux/providers?",
        ),
        ("//_infermux/health", "did you mean /_infermux/health?"),
        (
            "/openai/deployments/m/chat/completion",
            "did you mean /openai/deployments/{model}/chat/completions?",
        ),
        ("/favicon.ico", "GET / says what is served"),
        ("/v1/assistants", "GET / says what is served"),
    ] {
        let answer = post(&mut client, path, "{}");
        assert_eq!(
            (answer.status, &*answer.code()),
            (404, "unknown_url"),
            "{path}"
        );
        let body = answer.json();
        let message = body["error"]["message"].as_str().expect("a text");
        assert!(message.ends_with(hint), "{path}: {message}");
        assert!(!message.contains("sk-1"), "{message}");
    }
    for (method, path, allow) in [
        ("OPTIONS", "/chat/completions/", "POST"),
        ("GET", "/openai/deployments/m/embeddings", "POST"),
        ("POST", "/models//", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{path}"
        );
    }
}

#[test]
fn the_root_says_what_this_is_without_a_key() {
    let alpha = mock(json!({"name": "alpha"}));
    let key = "auth: {mode: static_key, key: sk-secret}\n";
    let apart = format!("{key}management_listen: \"127.0.0.1:0\"\n");
    let one = Router::start(&config_of(&[provider(&alpha, &[])], key));
    let two = Router::start(&config_of(&[provider(&alpha, &[])], &apart));
    for (addr, page, api) in [
        (one.addr(), "at /_infermux/", true),
        (two.addr(), "on management_listen", true),
        (two.management(), "at /_infermux/", false),
    ] {
        let mut client = Client::connect(addr);
        client.get("/");
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let text = answer.text();
        assert!(
            text.starts_with("infermux ") && text.ends_with('\n'),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(page), "{text}");
        assert_eq!(text.contains("/v1/chat/completions"), api, "{text}");
        assert_eq!(text.contains("/v1/images/*"), api, "{text}");
        client.send("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().text(), text, "absolute form without a path");
        client.send("HEAD //?x HTTP/1.1\r\nHost: a\r\n\r\n");
        let length = client
            .answer_to("HEAD")
            .header("content-length")
            .map(str::to_owned);
        assert_eq!(length, Some(text.len().to_string()));
    }
    let mut client = Client::connect(one.addr());
    assert_eq!(
        post(&mut client, "/chat/completions", &chat("hi")).status,
        401
    );
    // The page is looked for at the callers' address first.
    let mut client = Client::connect(two.addr());
    client.get("/_infermux/");
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.code()), (404, "unknown_url"));
    let told = "/_infermux/ is served on `management_listen` only";
    assert!(answer.text().contains(told), "{}", answer.text());
}
