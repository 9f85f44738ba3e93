//! `infermux check`: what is found at providers, in plain words.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use crate::support::canned::{Recorder, whole};
use crate::support::command::{Ended, end, infermux, text};
use crate::support::proxy::{Manner, Proxy};
use crate::support::router::Folder;
use crate::support::tls::{Forwarder, Papers, Tls};

const JSON: &str = "Content-Type: application/json\r\n";

/// A provider that answers with this status and body.
fn answering(status: u16, body: &str) -> Recorder {
    let answer = if status == 200 {
        whole(JSON, body.as_bytes())
    } else {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\n{JSON}Content-Length: {length}\r\n\r\n{body}").into_bytes()
    };
    Recorder::start(answer)
}

/// A server that answers whatever it gets with HTTP, and closes.
fn plain() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut some = [0; 1_024];
            let _ = stream.read(&mut some);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    addr
}

/// A provider of a configuration.
fn provider(name: &str, url: &str, rest: &str) -> String {
    format!(
        "  - name: {name}\n    type: openai\n    api_key: sk-secret-of-{name}\n    \
         base_url: \"{url}\"\n    health_check: {{timeout: 5s}}\n{rest}"
    )
}

fn check(providers: &[String], arguments: &[&str]) -> Ended {
    check_with(providers, arguments, &[])
}

fn check_with(providers: &[String], arguments: &[&str], set: &[(&str, &str)]) -> Ended {
    let folder = Folder::new();
    let config = format!(
        "listen: \"127.0.0.1:0\"\nproviders:\n{}",
        providers.concat()
    );
    let file = folder.write("infermux.yml", config);
    let mut command = infermux(&["check", "--config", text(&file)]);
    end(command.args(arguments).envs(set.iter().copied()))
}

/// What `--json` says of the only provider, and the exit code.
fn found(provider: String) -> (Option<i32>, Value) {
    let ended = check(&[provider], &["--json"]);
    assert!(!ended.stdout.contains("sk-secret"), "{}", ended.stdout);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    (ended.code, found["providers"][0].clone())
}

#[test]
fn a_provider_that_answers_is_well_if_it_lists_the_models_of_the_file() {
    let list = r#"{"data":[{"id":"a"},{"id":"b:latest"},{"id":"models/c"}]}"#;
    let server = answering(200, list);
    let url = format!("http://{}/v1", server.addr());
    let of = |rest: &str| found(provider("p", &url, rest));
    let (code, well) = of("    models: [a, b, c, 'x*']\n    model_aliases: {quick: a}\n");
    assert_eq!((code, &well["health"]), (Some(0), &json!("well")), "{well}");
    assert_eq!((&well["models"], &well["missing"]), (&json!(3), &json!([])));
    assert_eq!(well["url"], format!("{url}/models"));
    assert!(well["latency_ms"].is_u64());
    let (code, some) = of("    models: [a, d]\n    model_aliases: {quick: e}\n");
    assert_eq!((code, &some["missing"]), (Some(1), &json!(["d", "e"])));
    let shown = check(&[provider("p", &url, "    models: [a, d]\n")], &[]);
    assert_eq!(shown.code, Some(1));
    for line in ["models missing", "it does not list d, which the file names"] {
        assert!(shown.stdout.contains(line), "{line}: {}", shown.stdout);
    }
}

#[test]
fn what_stands_in_the_way_is_told_in_plain_words() {
    for (status, health, exit, told) in [
        (401, "refused", 1, "does api_key belong to this provider"),
        (402, "refused", 1, "has the account any credit?"),
        (403, "refused", 1, "the key may not ask this"),
        (404, "refused", 1, "there is no list of models at this URL"),
        (429, "refused", 1, "the key is at its limit"),
        (500, "refused", 1, "status 500"),
        (302, "refused", 1, "redirects are not followed"),
    ] {
        let server = answering(status, r#"{"error":{"message":"sk-secret-of-p is bad"}}"#);
        let url = format!("http://{}/v1", server.addr());
        let (code, one) = found(provider("p", &url, ""));
        assert_eq!((code, &one["health"]), (Some(exit), &json!(health)));
        let why = one["why"].as_str().expect("a reason");
        assert!(why.contains(told), "{status}: {why}");
    }
    let garbled = answering(200, "<html>");
    let (code, one) = found(provider("p", &format!("http://{}/v1", garbled.addr()), ""));
    assert_eq!((code, &one["health"]), (Some(0), &json!("well")));
    let why = one["why"].as_str().expect("a reason");
    assert!(why.contains("its list of models cannot be read"), "{why}");
}

#[test]
fn a_provider_that_does_not_answer_is_told_from_one_that_refuses() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("an address");
    let plain = plain();
    let quick = "    health_check: {timeout: 300ms}\n";
    for (url, told, rest) in [
        (
            "http://127.0.0.1:1/v1".to_owned(),
            "nothing accepts connections at 127.0.0.1:1",
            "",
        ),
        (
            "http://no-such-host.invalid/v1".to_owned(),
            "the name no-such-host.invalid is not found",
            "",
        ),
        (
            format!("http://{silent_at}/v1"),
            "no answer in 300ms",
            quick,
        ),
        (
            format!("https://{plain}/v1"),
            "does not speak TLS: is it http, not https?",
            "",
        ),
    ] {
        let entry = provider("p", &url, "");
        let entry = if rest.is_empty() {
            entry
        } else {
            entry.replace("    health_check: {timeout: 5s}\n", rest)
        };
        let (code, one) = found(entry);
        assert_eq!(
            (code, &one["health"]),
            (Some(2), &json!("unreachable")),
            "{url}: {one}"
        );
        let why = one["why"].as_str().expect("a reason");
        assert!(why.contains(told), "{url}: {why}");
    }
}

#[test]
fn several_are_asked_at_once_and_one_can_be_chosen() {
    let well = answering(200, r#"{"data":[]}"#);
    let ill = answering(401, "{}");
    let url = |one: &Recorder| format!("http://{}/v1", one.addr());
    let providers = [
        provider("well", &url(&well), ""),
        provider("ill", &url(&ill), ""),
        provider("gone", "http://127.0.0.1:1/v1", ""),
    ];
    let all = check(&providers, &[]);
    assert_eq!(all.code, Some(2), "{}", all.stdout);
    let names: Vec<&str> = all
        .stdout
        .lines()
        .skip(1)
        .take(3)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["well", "ill", "gone"], "{}", all.stdout);
    for (name, code) in [("well", 0), ("ill", 1), ("gone", 2)] {
        assert_eq!(
            check(&providers, &["--provider", name]).code,
            Some(code),
            "{name}"
        );
    }
    let unknown = check(&providers, &["--provider", "nobody"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("no provider is called nobody"),
        "{}",
        unknown.stderr
    );
    let faulty = check(&[String::from("  - name: x\n")], &[]);
    assert_eq!(faulty.code, Some(1));
    assert!(faulty.stderr.contains("providers[0]"), "{}", faulty.stderr);
}

#[test]
fn certificates_are_verified_and_what_is_wrong_with_them_is_told() {
    let server = answering(200, r#"{"data":[]}"#);
    let folder = Folder::new();
    for (name, is_trusted, told) in [
        ("localhost", true, None),
        (
            "localhost",
            false,
            Some("the authority of its certificate is not trusted"),
        ),
        (
            "other.example",
            true,
            Some("its certificate is for another name"),
        ),
    ] {
        let papers = Papers::for_names(&[name]);
        let front = Forwarder::start(server.addr(), Tls::Inside(papers.server()));
        let roots = match is_trusted {
            true => papers.ca_pem.clone(),
            false => Papers::for_names(&["x"]).ca_pem,
        };
        let roots = folder.write("roots.pem", roots);
        let url = format!("https://localhost:{}/v1", front.addr().port());
        let set = [("SSL_CERT_FILE", text(&roots))];
        let ended = check_with(&[provider("p", &url, "")], &[], &set);
        match told {
            None => assert_eq!(ended.code, Some(0), "{}", ended.stdout),
            Some(told) => {
                assert_eq!(ended.code, Some(2), "{name}: {}", ended.stdout);
                assert!(ended.stdout.contains(told), "{name}: {}", ended.stdout);
            }
        }
    }
}

#[test]
fn the_way_is_that_of_requests_with_its_proxy_and_its_files() {
    let server = answering(200, r#"{"data":[]}"#);
    let folder = Folder::new();
    let papers = Papers::for_names(&["inner.example"]);
    let roots = folder.write("ca.pem", &papers.ca_pem);
    let front = Forwarder::start(server.addr(), Tls::Inside(papers.server()));
    let leads = Proxy::start(front.addr(), Manner::Leads);
    let refuses = Proxy::start(front.addr(), Manner::Says("HTTP/1.1 407 Who\r\n\r\n"));
    let of = |proxy: &Proxy| {
        let tls = format!(
            "    tls: {{ca_file: \"{}\", server_name: inner.example}}\n",
            text(&roots)
        );
        let proxy = format!("    proxy: \"http://me:hush@{}\"\n", proxy.addr());
        provider("p", "https://far.invalid/v1", &format!("{tls}{proxy}"))
    };
    let (code, one) = found(of(&leads));
    assert_eq!((code, &one["health"]), (Some(0), &json!("well")), "{one}");
    assert!(leads.heads()[0].starts_with("CONNECT far.invalid:443 "));
    let (code, one) = found(of(&refuses));
    assert_eq!(code, Some(2), "{one}");
    let why = one["why"].as_str().expect("a reason");
    assert!(why.contains("wants other credentials (407)"), "{why}");
    assert!(!why.contains("hush"), "{why}");
    let missing = of(&leads).replace("ca.pem", "none.pem");
    let (code, one) = found(missing);
    let why = one["why"].as_str().expect("a reason");
    assert!(
        code == Some(2) && why.contains("its TLS files cannot be used"),
        "{why}"
    );
}
