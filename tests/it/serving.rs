//! The main job: requests are routed, forwarded and answered.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_for, config_with, last_seen, mock, seen_header, streamed_chat};

#[test]
fn a_chat_request_gets_its_answer_and_headers() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let answer = Client::connect(router.addr()).chat(&chat("hello there"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
    assert_eq!(answer.header("x-infermux-strategy"), Some("round_robin"));
    assert_eq!(answer.json()["model"], "m");
}

#[test]
fn a_stream_ends_with_done_and_its_token_counts() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello there"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    assert!(answer.trailer("x-infermux-completion-tokens").is_some());
}

#[test]
fn whatever_needs_no_edit_arrives_on_both_sides_byte_for_byte() {
    let alpha = mock(json!({"name": "alpha"}));
    // Asked directly, it says what the caller is to get through the router.
    let twin = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let mut direct = Client::connect(twin.address());
    for (path, body) in [
        (
            "/v1/chat/completions",
            "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"caf\\u00e9 \u{1f600}\"} ],\
             \n\t\"x_unknown\": {\"deep\":[1e40, -0.0, 12345678901234567890, null]},\
             \"model\":\"m\", \"temperature\": 0.70 }\n",
        ),
        (
            "/v1/completions",
            "{\"model\":\"m\",\"prompt\":[1,2,3],\"max_tokens\":3}",
        ),
        (
            "/v1/embeddings",
            "{\"input\":[\"a\",\"b\"],\"model\":\"m\",\"encoding_format\":\"float\"}",
        ),
        (
            "/v1/embeddings",
            "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"base64\"}",
        ),
    ] {
        client.post(path, body);
        let answer = client.answer();
        direct.post(path, body);
        let expected = direct.answer();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.text(), expected.text(), "{path}");
        let seen = last_seen(&alpha);
        assert_eq!(seen["path"], path);
        assert_eq!(seen["body_text"], body);
    }
    assert_eq!(
        alpha.stats().connections_opened,
        1,
        "one connection for all"
    );
}

#[test]
fn an_alias_changes_the_model_upstream_and_nothing_else() {
    let alpha = mock(json!({"name": "alpha", "answer_model": "-2024-08-06"}));
    let fields = ["models: [real]", "model_aliases: {fast: real}"];
    let router = Router::start(&config_with(&alpha, &fields));
    let mut client = Client::connect(router.addr());
    let body = |model: &str| {
        format!(
            "{{\"x\":\"model\", \"model\" : \"{model}\" ,\"messages\":[{{\"role\":\"user\",\
             \"content\":\"\\\"model\\\":\\\"fast\\\"\"}}],\"metadata\":{{\"model\":\"fast\"}}}}"
        )
    };
    let answer = client.chat(&body("fast"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(last_seen(&alpha)["body_text"], body("real"));
    assert_eq!(answer.json()["model"], "fast");
    assert_eq!(answer.header("x-infermux-model"), Some("real"));
    // The caller's own name for the model comes back, too, where the provider has a dated one.
    let answer = client.chat(&body("real"));
    assert_eq!(answer.json()["model"], "real");
}

#[test]
fn every_chunk_of_a_stream_names_the_model_as_the_caller_did() {
    let alpha = mock(json!({"name": "alpha", "answer_model": "gpt-9\"\\u0041"}));
    let router = Router::start(&config_with(&alpha, &["model_aliases: {fast: m}"]));
    let body = streamed_chat("hello there").replace("\"m\"", "\"fast\"");
    let answer = Client::connect(router.addr()).chat(&body);
    let events = answer.events();
    let (done, chunks) = events.split_last().expect("events");
    assert_eq!(done, "[DONE]");
    assert!(chunks.len() >= 5, "{events:?}");
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk).expect("JSON");
        assert_eq!(chunk["model"], "fast", "{chunk}");
    }
}

#[test]
fn large_bodies_arrive_whole_with_a_length_and_in_chunks() {
    let alpha = mock(json!({"name": "alpha", "record_body_bytes": 8 << 20}));
    let router = Router::start(&config_with(&alpha, &["model_aliases: {fast: m}"]));
    let mut client = Client::connect(router.addr());
    for size in [60_000, 70_000, 100_000, 1_000_000, 5_000_000] {
        let text: String = ('a'..='z').cycle().take(size).collect();
        let body = chat(&text).replace("\"m\"", "\"fast\"");
        let expected = chat(&text);
        let answer = client.chat(&body);
        assert_eq!(answer.status, 200, "{size}");
        assert_eq!(last_seen(&alpha)["body_text"], expected.as_str(), "{size}");

        client.send(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for piece in body.as_bytes().chunks(10_007) {
            client.send(format!("{:x}\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{size} in chunks: {}", answer.text());
        assert_eq!(last_seen(&alpha)["body_text"], expected.as_str(), "{size}");
        let seen = last_seen(&alpha);
        assert_eq!(
            seen_header(&seen, "content-length"),
            Some(expected.len().to_string())
        );
        assert_eq!(seen_header(&seen, "transfer-encoding"), None);
    }
}

#[test]
fn large_answers_arrive_whole() {
    for size in [60_000, 70_000, 300_000, 3_000_000] {
        let script = json!({"name": "alpha", "body_bytes": size, "answer_model": "other"});
        let alpha = mock(script.clone());
        let twin = mock(script);
        let router = Router::start(&config_with(&alpha, &[]));
        let answer = Client::connect(router.addr()).chat(&chat("hello"));
        let expected = Client::connect(twin.address()).chat(&chat("hello")).text();
        assert!(answer.complete, "{size}");
        assert!(
            answer.text() == expected.replace("\"model\":\"other\"", "\"model\":\"m\""),
            "{size}"
        );
    }
}

#[test]
fn a_model_is_found_by_any_spelling_of_its_id() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &["models: [\"org/model:1b\"]"]));
    let mut client = Client::connect(router.addr());
    for path in [
        "/v1/models/org/model:1b",
        "/v1/models/org%2Fmodel%3A1b",
        "/v1/models/org%2fmodel:1b",
    ] {
        client.get(path);
        let answer = client.answer_to("GET");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json()["id"], "org/model:1b");
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let head = client.answer_to("HEAD");
        assert_eq!(head.status, 200);
        assert_eq!(
            head.header("content-length"),
            answer.header("content-length")
        );
    }
    client.get("/v1/models/nobody");
    let answer = client.answer_to("GET");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "model_not_found")
    );
    client.send("HEAD /v1/models/nobody HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer_to("HEAD").status, 404);
    client.send("HEAD /v1/models HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer_to("HEAD").status, 200);
    client.get("/v1/models/org%2Fmodel%3A1b");
    assert_eq!(
        client.answer_to("GET").status,
        200,
        "no body followed a HEAD"
    );
}

#[test]
fn an_unknown_model_is_not_found_and_costs_no_provider_a_request() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let answer = client.chat(&chat("x").replace("\"m\"", "\"nobody\""));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "model_not_found")
    );
    assert_eq!(answer.header("x-infermux-error"), Some("model_not_found"));
    assert_eq!(alpha.stats().requests, 0);
    assert_eq!(
        client.chat(&chat("x")).status,
        200,
        "the connection goes on"
    );
}

#[test]
fn ollama_is_asked_under_v1_and_gets_max_tokens_as_it_knows_it() {
    let alpha = mock(json!({"name": "alpha", "dialect": "ollama"}));
    for base in ["", "/v1", "/"] {
        let base = format!("base_url: \"http://{}{base}\"", alpha.address());
        let fields = ["type: ollama", "-api_key", &base];
        let router = Router::start(&config_with(&alpha, &fields));
        let body = chat("one two three").replacen('{', "{\"max_completion_tokens\":2,", 1);
        let answer = Client::connect(router.addr()).chat(&body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = last_seen(&alpha);
        assert_eq!(seen["path"], "/v1/chat/completions");
        assert_eq!(seen["body"]["max_tokens"], 2);
        assert_eq!(seen["body"]["max_completion_tokens"], 2);
        assert_eq!(answer.json()["choices"][0]["finish_reason"], "length");
    }
}

#[test]
fn azure_is_asked_by_deployment_or_in_its_v1_form() {
    let alpha = mock(json!({"name": "alpha", "dialect": "azure", "key": "sk-alpha"}));
    let version = "?api-version=2024-10-21";
    for (base, more, path) in [
        (
            "",
            None,
            format!("/openai/deployments/m/chat/completions{version}"),
        ),
        (
            "/openai",
            None,
            format!("/openai/deployments/m/chat/completions{version}"),
        ),
        (
            "",
            Some("azure_deployment: dep-1"),
            format!("/openai/deployments/dep-1/chat/completions{version}"),
        ),
        (
            "/openai/deployments/dep-2",
            Some("azure_api_version: 2024-06-01"),
            "/openai/deployments/dep-2/chat/completions?api-version=2024-06-01".to_owned(),
        ),
        ("/openai/v1", None, "/openai/v1/chat/completions".to_owned()),
    ] {
        let base = format!("base_url: \"http://{}{base}\"", alpha.address());
        let mut fields = vec!["type: azure_openai", &base];
        fields.extend(more);
        let router = Router::start(&config_with(&alpha, &fields));
        let mut client = Client::connect(router.addr());
        for body in [chat("hello"), streamed_chat("hello")] {
            let answer = client.chat(&body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert!(answer.complete, "{path}");
            let seen = last_seen(&alpha);
            assert_eq!(seen["path"], path.as_str());
            assert_eq!(seen_header(&seen, "api-key").as_deref(), Some("sk-alpha"));
            assert_eq!(seen_header(&seen, "authorization"), None);
        }
    }
}
