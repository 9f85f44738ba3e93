//! Requests without a model: they go to the provider that the file names, or nowhere.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::canned::{Recorder, begun, chunk, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::router::Router;

const JSON: &str = "Content-Type: application/json\r\n";

/// A provider at `addr`, for the model `m`.
fn at(name: &str, addr: SocketAddr) -> String {
    format!(
        "  - name: {name}\n    type: openai\n    api_key: sk-{name}-0123456789\n    \
         base_url: \"http://{addr}/v1\"\n    models: [m]\n    health_check: {{disabled: true}}\n"
    )
}

fn ask(router: &Router, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = Client::connect(router.addr());
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let head = format!("{line} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n");
    client.send([head.as_bytes(), body].concat());
    client.answer_to(line.split(' ').next().unwrap_or_default())
}

#[test]
fn paths_without_a_model_go_where_the_file_says() {
    let alpha = Recorder::start(whole(JSON, br#"{"id":"a"}"#));
    let beta = Recorder::start(whole(
        JSON,
        br#"{"key":"sk-beta-0123456789","error":{"code":1}}"#,
    ));
    let providers = [at("alpha", alpha.addr()), at("beta", beta.addr())];
    let router = Router::start(&config_of(&providers, ""));
    for line in [
        "GET /v1/files",
        "POST /v1/batches",
        "GET /v1/vector_stores/v",
    ] {
        let answer = ask(&router, line, "", b"");
        assert_eq!(
            (answer.status, answer.code()),
            (404, "unknown_url".to_owned()),
            "{line}"
        );
        let told = "is served only where `passthrough.provider` names a provider for it";
        assert!(answer.text().contains(told), "{}", answer.text());
    }
    let rest = "passthrough: {provider: beta}\n";
    let answer = router.reload(&config_of(&providers, rest));
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (line, own) in [
        (
            "GET /v1/files?purpose=batch&limit=3",
            "GET /v1/files?purpose=batch&limit=3",
        ),
        (
            "GET //files//file-1//content/",
            "GET /v1/files/file-1/content",
        ),
        ("DELETE /openai/v1/files/file-1", "DELETE /v1/files/file-1"),
        (
            "GET /v1/fine_tuning/jobs/ftjob-1/events",
            "GET /v1/fine_tuning/jobs/ftjob-1/events",
        ),
        ("POST /v1/batches/b/cancel", "POST /v1/batches/b/cancel"),
        ("POST /v1/vector_stores", "POST /v1/vector_stores"),
    ] {
        let headers = "cookie: a=b\r\nOpenAI-Beta: assistants=v2\r\n";
        let answer = ask(&router, line, headers, b"");
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
        // Its `error` is a part of what it tells, and its key is nobody's business.
        let told = r#"{"key":"******************","error":{"code":1}}"#;
        assert_eq!(answer.text(), told, "{line}");
        assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
        let (head, body) = halves(&beta.seen().pop().expect("a request"));
        assert!(
            head.starts_with(&format!("{own} HTTP/1.1\r\n")),
            "{line}: {head}"
        );
        assert!(head.contains("OpenAI-Beta: assistants=v2"), "{head}");
        assert!(!head.contains("cookie"), "{head}");
        assert!(body.is_empty());
    }
    let body = json!({"input_file_id": "f", "model": "x"}).to_string();
    let answer = ask(&router, "POST /v1/batches", JSON, body.as_bytes());
    assert_eq!(answer.status, 200);
    let (head, sent) = halves(&beta.seen().pop().expect("a request"));
    assert!(head.contains("Content-Type: application/json"), "{head}");
    assert_eq!(String::from_utf8(sent), Ok(body));
    let answer = ask(&router, "PUT /v1/files", "", b"");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("GET, POST, DELETE"));
    for line in [
        "GET /v1/files/../models",
        "GET /v1/files/%2e%2e",
        "GET /v1/uploads",
    ] {
        assert_eq!(ask(&router, line, "", b"").status, 404, "{line}");
    }
    assert!(alpha.seen().is_empty());
    router.wait_for_log("endpoint=fine_tuning");
}

#[test]
fn files_of_any_size_cross_both_ways() {
    let file: Vec<u8> = (0..3_000_000_u32)
        .map(|at| ((at * 31) >> 3).to_le_bytes()[0])
        .collect();
    let label = "Content-Type: application/octet-stream\r\n";
    let alpha = Recorder::start(whole(label, &file));
    let rest = "passthrough: {provider: alpha}\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr())], rest));
    for _ in 0..2 {
        let answer = ask(&router, "GET /v1/files/f/content", "", b"");
        assert!(
            answer.complete && answer.body == file,
            "{}",
            answer.body.len()
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/octet-stream")
        );
    }
    for bytes in [10, 3_000_000] {
        let form = "Content-Type: multipart/form-data; boundary=anything at all\r\n";
        let answer = ask(&router, "POST /v1/files", form, &file[..bytes]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (head, sent) = halves(&alpha.seen().pop().expect("a request"));
        assert!(head.contains("boundary=anything at all"), "{head}");
        assert!(sent == file[..bytes], "{}", sent.len());
    }
}

#[test]
fn a_key_is_masked_wherever_a_large_answer_is_cut() {
    let key = "sk-alpha-0123456789";
    let body = format!("[\"{}\"]", vec![key; 100_000].join("\",\""));
    let masked = body.replace(key, &"*".repeat(key.len()));
    let chunked = [
        begun(JSON, &body.as_bytes()[..100]),
        body.as_bytes()[100..]
            .chunks(30_001)
            .flat_map(chunk)
            .collect(),
        b"0\r\n\r\n".to_vec(),
    ];
    for bytes in [whole(JSON, body.as_bytes()), chunked.concat()] {
        let alpha = Recorder::start(bytes);
        let rest = "passthrough: {provider: alpha}\n";
        let router = Router::start(&config_of(&[at("alpha", alpha.addr())], rest));
        let answer = ask(&router, "GET /v1/files", "", b"");
        assert_eq!((answer.status, answer.complete), (200, true));
        assert!(answer.text() == masked, "a key is quoted");
    }
}

#[test]
fn errors_of_files_pass_through_and_redirects_are_not_followed() {
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\
                    Content-Length: 38\r\n\r\n{\"error\":{\"message\":\"No such File\"}}  ";
    let moved = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\n\
                  Content-Length: 0\r\n\r\n";
    for (told, status) in [(&missing[..], 404), (moved, 502)] {
        let alpha = Recorder::start(told.to_vec());
        let rest = "passthrough: {provider: alpha}\n";
        let router = Router::start(&config_of(&[at("alpha", alpha.addr())], rest));
        let answer = ask(&router, "GET /v1/files/f", "", b"");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.text().contains("No such File"), status == 404);
        assert_eq!(answer.header("location"), None);
        assert_eq!(alpha.seen().len(), 1);
    }
}

#[test]
fn work_without_a_price_is_refused_where_a_budget_is_a_hard_stop() {
    let alpha = Recorder::start(whole(JSON, b"{}"));
    let hard = "passthrough: {provider: alpha}\n\
                budgets: [{caller: team, monthly_usd: 1, action: hard_stop}]\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr())], hard));
    let team = "x-infermux-caller: team\r\n";
    for (line, status) in [
        ("POST /v1/batches", 403),
        ("POST /v1/fine_tuning/jobs", 403),
        ("POST /v1/vector_stores", 403),
        ("POST /v1/files", 200),
        ("GET /v1/batches", 200),
        ("DELETE /v1/vector_stores/v", 200),
    ] {
        let answer = ask(&router, line, team, b"");
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        if status == 403 {
            assert_eq!(answer.code(), "unpriced_endpoint");
        }
        assert_eq!(ask(&router, line, "", b"").status, 200, "{line}");
    }
    let assumed = hard.replace("provider: alpha", "provider: alpha, assume_usd: 0.6");
    let overridden = assumed.replace("hard_stop", "hard_stop, model_override: m");
    for rest in [assumed, overridden] {
        let router = Router::start(&config_of(&[at("alpha", alpha.addr())], &rest));
        let answer = ask(&router, "POST /v1/batches", team, b"");
        assert_eq!(
            answer.header("x-infermux-cost"),
            Some("0.6"),
            "{}",
            answer.text()
        );
        // No model takes its place.
        assert_eq!(
            ask(&router, "POST /v1/batches", team, b"").code(),
            "budget_exceeded"
        );
        assert_eq!(ask(&router, "GET /v1/batches", team, b"").status, 200);
    }
}

#[test]
fn keys_for_certain_models_reach_no_other_ones_this_way() {
    let alpha = Recorder::start(whole(JSON, b"{}"));
    // The digests of `k-a` and `k-narrow`.
    let rest = "passthrough: {provider: alpha}\nauth:\n  mode: keys\n  keys:\n  - {name: a, \
        hash: 'sha256:29c2cc888fa9b3f46e0711100e1729a19129b4de8950fc68bd184ec09dfbe6cd'}\n  \
        - {name: narrow, models: [m], \
        hash: 'sha256:3cdd257886bdb43de3498ffeea949bc552a6a27c1cc0f303b42b0d48553548dc'}\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr())], rest));
    let answer = ask(&router, "POST /v1/batches", "x-api-key: k-narrow\r\n", b"");
    assert_eq!(
        (answer.status, answer.code()),
        (403, "model_not_allowed".to_owned())
    );
    assert!(
        answer.text().contains("this path names none"),
        "{}",
        answer.text()
    );
    assert_eq!(
        ask(&router, "POST /v1/batches", "x-api-key: k-a\r\n", b"").status,
        200
    );
    assert_eq!(ask(&router, "GET /v1/files", "", b"").status, 401);
}

#[test]
fn azure_has_files_at_its_resource() {
    let alpha = Recorder::start(whole(JSON, b"{}"));
    for (path, deployment, expected) in [
        ("", "", "/openai/files/f?api-version=2024-10-21&limit=1"),
        (
            "/openai",
            "d",
            "/openai/files/f?api-version=2024-10-21&limit=1",
        ),
        ("/openai/v1", "", "/openai/v1/files/f?limit=1"),
        (
            "/openai/deployments/d",
            "",
            "/openai/files/f?api-version=2024-10-21&limit=1",
        ),
    ] {
        let mut provider = at("alpha", alpha.addr()).replace("type: openai", "type: azure_openai");
        provider = provider.replace("/v1\"", &format!("{path}\""));
        if !deployment.is_empty() {
            provider.push_str(&format!("    azure_deployment: {deployment}\n"));
        }
        let rest = "passthrough: {provider: alpha}\n";
        let router = Router::start(&config_of(&[provider], rest));
        let answer = ask(&router, "GET /v1/files/f?limit=1", "", b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (head, _) = halves(&alpha.seen().pop().expect("a request"));
        assert!(
            head.starts_with(&format!("GET {expected} HTTP/1.1\r\n")),
            "{head}"
        );
    }
}
