//! TLS towards callers and towards providers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use infermux_mock::Goals;
use serde_json::json;

use crate::support::client::Client;
use crate::support::command::end;
use crate::support::operate::get;
use crate::support::router::{Router, Start};
use crate::support::tls::{Forwarder, Papers, Tls, client_session};
use crate::support::{PATIENCE, chat, config_for, mock, streamed_chat};

/// A router that speaks TLS to callers, with these lines at the end of its configuration.
fn secured(config: &str, papers: &Papers) -> Router {
    secured_with(config, papers, "")
}

/// The same, with more in the block `tls`.
fn secured_with(config: &str, papers: &Papers, more: &str) -> Router {
    let folder = crate::support::router::Folder::new();
    let cert = folder.write("cert.pem", &papers.cert_pem);
    let key = folder.write("key.pem", &papers.key_pem);
    let tls = format!(
        "tls: {{cert_file: \"{}\", key_file: \"{}\"{more}}}\n",
        cert.display(),
        key.display()
    );
    Router::start(&(config.to_owned() + &tls))
}

#[test]
fn operators_are_served_over_tls_only_where_the_file_says_so() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let apart = "management_listen: '127.0.0.1:0'\n";
    for (listener, more, encrypted) in [
        (apart, "", false),
        (apart, ", management: false", false),
        (apart, ", management: true", true),
        // One listener for both: what callers speak.
        ("", "", true),
        ("", ", management: false", true),
    ] {
        let router = secured_with(&config_for(&[&alpha], listener), &papers, more);
        let callers = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
        assert_eq!(Client::connect(callers.addr()).chat(&chat("x")).status, 200);
        let tunnel = Forwarder::start(router.management(), Tls::Outside(papers.client(&[])));
        let addr = if encrypted {
            tunnel.addr()
        } else {
            router.management()
        };
        let answer = get(addr, "/_infermux/health");
        assert_eq!(answer.status, 200, "{listener}{more}");
        let mut other = Client::connect(if encrypted {
            router.management()
        } else {
            tunnel.addr()
        });
        other.get("/_infermux/health");
        let bytes = other.rest();
        assert!(!bytes.starts_with(b"HTTP/1.1 200"), "{listener}{more}");
    }
}

#[test]
fn callers_are_served_over_tls() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"model": "m", "stream": true}, "events": 50},
    ]}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], ""), &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&["http/1.1"])));
    let mut client = Client::connect(tunnel.addr());
    for _ in 0..3 {
        let answer = client.chat(&chat("plain"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(tunnel.protocol().as_deref(), Some("http/1.1"));
    let answer = client.chat(&streamed_chat("a stream"));
    assert!(answer.complete);
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let large = chat(&"x".repeat(5_000_000));
    assert_eq!(client.chat(&large).status, 200, "a large body");
    let requests = alpha.requests();
    assert_eq!(requests.last().expect("one")["body_bytes"], large.len());
    assert_eq!(tunnel.connections(), 1);
}

#[test]
fn the_first_request_may_come_with_the_end_of_the_handshake() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], ""), &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
    // What is sent before the handshake ends leaves together with its last record.
    for size in [1, 1_000, 10_000, 100_000] {
        for _ in 0..5 {
            let answer = Client::connect(tunnel.addr()).chat(&chat(&"x".repeat(size)));
            assert_eq!(answer.status, 200, "{size}");
        }
    }
}

#[test]
fn large_answers_leave_over_tls_intact() {
    let alpha = mock(json!({"name": "alpha", "body_bytes": 5_000_000}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], ""), &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
    let direct = Client::connect(alpha.address()).chat(&chat("x"));
    let answer = Client::connect(tunnel.addr()).chat(&chat("x"));
    assert_eq!(answer.body.len(), direct.body.len());
    assert_eq!(answer.json()["choices"], direct.json()["choices"]);
}

// proves: hangup.cuts-upstream
#[test]
fn a_hang_up_over_tls_reaches_the_provider() {
    let alpha = mock(json!({"name": "alpha", "do": "stall_mid_stream"}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], ""), &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
    for body in [chat("x"), streamed_chat("x")] {
        alpha.reset();
        let mut client = Client::connect(tunnel.addr());
        client.post("/v1/chat/completions", &body);
        assert!(alpha.wait_for_requests(1, PATIENCE));
        drop(client);
        let gone = Goals {
            peer_closed: Some(1),
            ..Goals::default()
        };
        assert!(alpha.wait(&gone, PATIENCE), "{body}");
    }
}

#[test]
fn a_protocol_that_is_not_spoken_is_not_agreed_on() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], ""), &papers);
    let tunnel = Forwarder::start(
        router.addr(),
        Tls::Outside(papers.client(&["h2", "http/1.1"])),
    );
    assert_eq!(Client::connect(tunnel.addr()).chat(&chat("x")).status, 200);
    assert_eq!(tunnel.protocol().as_deref(), Some("http/1.1"));
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&["h2"])));
    let mut client = Client::connect(tunnel.addr());
    client.get("/v1/models");
    assert!(client.is_closed(), "h2 alone is refused in the handshake");
}

#[test]
fn what_is_not_tls_on_a_tls_port_does_no_harm() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let config = config_for(&[&alpha], "server: {header_timeout: 300ms, shards: 1}\n");
    let router = secured(&config, &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
    let mut plain = Client::connect(router.addr());
    plain.post("/v1/chat/completions", &chat("x"));
    let rest = plain.rest();
    assert!(!rest.starts_with(b"HTTP/"), "a TLS alert at most: {rest:?}");
    // The second one starts a handshake and stops there.
    for bytes in [&[][..], &[0x16, 0x03, 0x01, 0x02, 0x00]] {
        let mut silent = Client::connect(router.addr());
        silent.send(bytes);
        silent.rest();
    }
    assert_eq!(Client::connect(tunnel.addr()).chat(&chat("x")).status, 200);
    assert_eq!(alpha.stats().requests, 1);
}

#[test]
fn bytes_behind_the_end_of_a_tls_session_do_no_harm() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let router = secured(&config_for(&[&alpha], "server: {shards: 1}\n"), &papers);
    let tunnel = Forwarder::start(router.addr(), Tls::Outside(papers.client(&[])));
    for request in [
        "",
        "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let stream = TcpStream::connect(router.addr()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut session = client_session(&papers.client(&[]));
        while session.is_handshaking() {
            session.complete_io(&mut &stream).expect("a handshake");
        }
        session
            .writer()
            .write_all(request.as_bytes())
            .expect("room");
        session.send_close_notify();
        let mut bytes = Vec::new();
        session.write_tls(&mut bytes).expect("records");
        bytes.resize(bytes.len() + 12_000, 0x17);
        let _ = (&stream).write_all(&bytes);
        let _ = (&stream).read_to_end(&mut Vec::new());
    }
    assert_eq!(Client::connect(tunnel.addr()).chat(&chat("x")).status, 200);
}

/// A configuration with one provider at `https://HOST:PORT/v1`.
fn https(host: &str, port: u16) -> String {
    format!(
        "listen: \"127.0.0.1:0\"\nserver: {{shards: 1}}\nproviders:\n  - {{name: alpha, \
         type: openai, api_key: sk-a, base_url: \"https://{host}:{port}/v1\", \
         health_check: {{disabled: true}}, models: [m]}}\n"
    )
}

/// A router that trusts the authority of these papers, and nobody else.
fn trusting(config: &str, papers: &Papers) -> Router {
    let mut start = Start::with(config);
    let roots = start.folder().write("roots.pem", &papers.ca_pem);
    start
        .command()
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR");
    start.go()
}

#[test]
fn providers_are_reached_over_verified_tls() {
    for host in ["localhost", "127.0.0.1"] {
        let alpha = mock(json!({"name": "alpha"}));
        let papers = Papers::for_names(&[host]);
        let front = Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
        let router = trusting(&https(host, front.addr().port()), &papers);
        let mut client = Client::connect(router.addr());
        for _ in 0..3 {
            let answer = client.chat(&chat("x"));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let answer = client.chat(&streamed_chat("x"));
        assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
        assert!(answer.complete);
        let large = chat(&"x".repeat(3_000_000));
        assert_eq!(client.chat(&large).status, 200);
        assert_eq!(
            alpha.requests().last().expect("one")["body_bytes"],
            large.len()
        );
        assert_eq!(front.connections(), 1, "one handshake for all of them");
        let sent = (host == "localhost").then(|| host.to_owned());
        assert_eq!(
            front.names_asked_for(),
            [sent],
            "an address is no name to send"
        );
    }
}

#[test]
fn a_large_answer_and_a_hang_up_work_over_a_providers_tls() {
    let alpha = mock(json!({
        "name": "alpha", "answers": ["ok", "stall_mid_stream"], "body_bytes": 5_000_000,
    }));
    let papers = Papers::for_names(&["localhost"]);
    let front = Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
    let router = trusting(&https("localhost", front.addr().port()), &papers);
    let mut client = Client::connect(router.addr());
    let answer = client.chat(&chat("x"));
    assert!(answer.complete && answer.body.len() > 4_900_000);
    client.post("/v1/chat/completions", &streamed_chat("x"));
    assert!(alpha.wait_for_requests(2, PATIENCE));
    drop(client);
    let gone = Goals {
        peer_closed: Some(1),
        ..Goals::default()
    };
    assert!(alpha.wait(&gone, PATIENCE));
}

#[test]
fn a_provider_whose_certificate_does_not_hold_is_not_called() {
    let alpha = mock(json!({"name": "alpha"}));
    let (ours, theirs) = (
        Papers::for_names(&["localhost"]),
        Papers::for_names(&["localhost"]),
    );
    let other_name = Papers::for_names(&["other.test"]);
    for (papers, trusted) in [(&theirs, &ours), (&other_name, &other_name)] {
        let front = Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
        let router = trusting(&https("localhost", front.addr().port()), trusted);
        let answer = Client::connect(router.addr()).chat(&chat("x"));
        let found = (answer.status, answer.code());
        assert_eq!(found, (502, "upstream_error".into()), "{}", answer.text());
        assert!(answer.text().contains("TLS"), "{}", answer.text());
        router.wait_for_log("TLS handshake failed");
    }
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn a_provider_that_stops_in_its_handshake_is_given_up_after_connect_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = https("127.0.0.1", port).replace("models:", "connect_timeout: 200ms, models:");
    let router = Router::start(&config);
    let start = std::time::Instant::now();
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_error")
    );
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn tls_files_that_are_missing_or_wrong_stop_the_start() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let folder = crate::support::router::Folder::new();
    let cert = folder.write("cert.pem", &papers.cert_pem);
    let key = folder.write("key.pem", &papers.key_pem);
    let other = folder.write("other.pem", Papers::for_names(&["localhost"]).key_pem);
    let empty = folder.write("empty.pem", "");
    let missing = folder.path().join("missing.pem");
    for (cert, key, named) in [
        (&missing, &key, &missing),
        (&cert, &missing, &missing),
        (&empty, &key, &empty),
        (&cert, &empty, &empty),
        (&cert, &other, &other),
    ] {
        let (cert, key) = (cert.display(), key.display());
        let tls = format!("tls: {{cert_file: \"{cert}\", key_file: \"{key}\"}}\n");
        let ended = end(Start::with(&config_for(&[&alpha], &tls)).command());
        let (out, err) = (ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(3), "{err}");
        let name = named.display().to_string();
        assert!(err.contains(&name), "{name} in {err:?}");
        assert!(!out.contains("listening"), "{out}");
    }
}
