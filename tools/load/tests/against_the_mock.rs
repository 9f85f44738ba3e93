//! The real binary against the mock provider: streams with their delays, pages, templates, TLS.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use infermux_mock::Mock;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Runs the tool against `url`.
fn run(url: &str, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_infermux-load"))
        .args(["--json", "--url", url])
        .args(flags)
        .output()
        .unwrap()
}

fn load(url: &str, flags: &[&str]) -> Value {
    let output = run(url, flags);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"))
}

fn url(mock: &Mock, path: &str) -> String {
    format!("http://{}{path}", mock.address())
}

/// A path for a file of this test, which no other test has.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_delay_of_each_stamped_event_is_measured() {
    for stamp in ["field", "text"] {
        let mock = Mock::start(json!({
            "stamp": stamp, "events": 5, "event_interval_ms": 2
        }))
        .unwrap();
        let url = url(&mock, "/v1/chat/completions");
        let result = load(&url, &["-n", "6", "-c", "3", "--stream", "--delays"]);
        assert_eq!(result["errors"], 0, "{result}");
        assert_eq!(result["delay_us"]["count"], 6 * 5, "{stamp}: {result}");
        let p50 = result["delay_us"]["p50"].as_f64().unwrap();
        assert!(p50 < 1e6, "{stamp}: {p50}");
    }
}

#[test]
fn a_messages_stream_is_whole_without_done() {
    let mock = Mock::start(json!({ "dialect": "anthropic" })).unwrap();
    let flags = [
        "-n",
        "4",
        "-c",
        "2",
        "--stream",
        "-H",
        "x-api-key: k",
        "-H",
        "anthropic-version: 2023-06-01",
    ];
    let result = load(&url(&mock, "/v1/messages"), &flags);
    assert_eq!(
        (&result["answers"], &result["errors"]),
        (&4.into(), &0.into()),
        "{result}"
    );
    assert_eq!(result["first_content_us"]["count"], 4, "{result}");
}

#[test]
fn a_stream_of_responses_is_whole_with_its_last_state() {
    let mock = Mock::start(json!({})).unwrap();
    let url = url(&mock, "/v1/responses");
    for flags in [&["-n", "4", "-c", "2", "--stream"][..], &["-n", "4"]] {
        let result = load(&url, flags);
        assert_eq!(
            (&result["answers"], &result["errors"]),
            (&4.into(), &0.into()),
            "{result}"
        );
        let is_stream = flags.contains(&"--stream");
        let count = result["first_content_us"]["count"].as_u64().unwrap_or(0);
        assert_eq!(count, if is_stream { 4 } else { 0 }, "{result}");
    }
}

#[test]
fn the_answers_of_every_tenth_of_a_second_add_up() {
    let mock = Mock::start(json!({})).unwrap();
    let url = url(&mock, "/v1/chat/completions");
    let result = load(&url, &["-d", "500ms", "-c", "2", "--warmup", "100ms"]);
    let counts = result["answers_by_100ms"].as_array().unwrap();
    let sum: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(Some(sum), result["answers"].as_u64(), "{result}");
    let curve = result["latency_us"]["curve"].as_array().unwrap();
    let times: Vec<f64> = curve
        .iter()
        .map(|point| point[1].as_f64().unwrap())
        .collect();
    assert!(times.len() > 50 && times.is_sorted(), "{times:?}");
}

#[test]
fn the_page_shows_both_plots_and_needs_nothing_else() {
    let mock = Mock::start(json!({})).unwrap();
    let path = scratch("page.html");
    let flags = ["-n", "200", "-c", "2", "--html", path.to_str().unwrap()];
    load(&url(&mock, "/v1/chat/completions"), &flags);
    let page = std::fs::read_to_string(&path).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert!(page.contains("prefers-color-scheme: dark"));
    for outside in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_request_of_a_template_is_another() {
    let mock = Mock::start(json!({})).unwrap();
    let path = scratch("template.json");
    let body = r#"{"model":"m","messages":[{"role":"user","content":"n {{ number }}"}]}"#;
    std::fs::write(&path, body).unwrap();
    let flags = [
        "-n",
        "20",
        "-c",
        "4",
        "-t",
        "2",
        "--template",
        path.to_str().unwrap(),
    ];
    assert_eq!(
        load(&url(&mock, "/v1/chat/completions"), &flags)["answers"],
        20
    );
    let mut texts: Vec<String> = mock
        .requests()
        .iter()
        .map(|request| request["body"]["messages"][0]["content"].to_string())
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 20, "{texts:?}");
    assert!(
        texts
            .iter()
            .all(|text| text.len() == "\"n 000000000000\"".len()),
        "{texts:?}"
    );
}

#[test]
fn headers_of_ones_own_arrive() {
    let mock = Mock::start(json!({})).unwrap();
    let flags = ["-n", "1", "-c", "1", "-H", "X-Infermux-Caller: batch"];
    load(&url(&mock, "/v1/chat/completions"), &flags);
    let headers = mock.requests()[0]["headers"].to_string();
    assert!(
        headers.contains(r#"["x-infermux-caller","batch"]"#),
        "{headers}"
    );
}

#[test]
fn tls_is_spoken_and_verified() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let authority = scratch("authority.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let url = serve_tls(made.cert.der().clone(), key);

    let file = authority.to_str().unwrap();
    // A large body does not fit into what TLS buffers at once.
    for flags in [["--ca", file], ["--insecure", "--body-bytes=3000000"]] {
        let result = load(&url, &[&["-n", "20", "-c", "2"], &flags[..]].concat());
        assert_eq!(
            (&result["answers"], &result["errors"]),
            (&20.into(), &0.into()),
            "{result}"
        );
    }
    let result = load(&url, &["-n", "2", "-c", "1"]);
    assert_eq!(result["errors_by_kind"]["tls"], 2, "{result}");
}

/// A TLS server that answers each request with 300,000 bytes, and its URL.
fn serve_tls(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = |mut socket: std::net::TcpStream, config: Arc<rustls::ServerConfig>| {
        let mut tls = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        let mut held = Vec::new();
        let mut buffer = [0; 16_384];
        // A caller that does not trust the certificate hangs up, which is an error here.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            held.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&held).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let (_, length) = head.split_once("Content-Length: ").unwrap();
            let length = length.lines().next().unwrap().parse::<usize>().unwrap();
            if body.len() == length {
                held.clear();
                let body = "x".repeat(300_000);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        }
    };
    std::thread::Builder::new()
        .spawn(move || {
            for socket in listener.incoming() {
                let config = Arc::clone(&config);
                let socket = socket.unwrap();
                std::thread::Builder::new()
                    .spawn(move || answer(socket, config))
                    .unwrap();
            }
        })
        .unwrap();
    format!("https://localhost:{port}/v1/chat/completions")
}
