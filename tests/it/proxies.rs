//! Proxies on the way to providers.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::command::{end, text};
use crate::support::operate::{get, provider_report, wait_for_circuit};
use crate::support::proxy::{Manner, Proxy};
use crate::support::router::{Folder, Router, Start};
use crate::support::tls::{Forwarder, Papers, Tls};
use crate::support::{chat, config_of, eventually, mock, provider, seen_header, streamed_chat};

/// A provider like `mock` at another place, reached through `proxy`.
fn through(mock: &Mock, base: &str, proxy: &str, fields: &[&str]) -> String {
    let own = [
        format!("base_url: \"{base}\""),
        format!("proxy: \"{proxy}\""),
    ];
    let own = own.iter().map(String::as_str);
    let all: Vec<&str> = own.chain(fields.iter().copied()).collect();
    provider(mock, &all)
}

fn ask(router: &Router) -> Answer {
    Client::connect(router.addr()).chat(&chat("x"))
}

/// A router that trusts this authority, and nobody else.
fn trusting(config: &str, papers: &Papers) -> Start {
    let mut start = Start::with(config);
    let roots = start.folder().write("roots.pem", &papers.ca_pem);
    start
        .command()
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR");
    start
}

/// The first lines of heads.
fn lines(heads: &[String]) -> Vec<&str> {
    heads
        .iter()
        .filter_map(|head| head.lines().next())
        .collect()
}

#[test]
fn a_proxy_is_sent_what_is_not_encrypted() {
    let alpha = mock(json!({"name": "alpha"}));
    let proxy = Proxy::start(alpha.address(), Manner::Leads);
    // No resolver but the proxy knows this name.
    let base = "http://alpha.invalid/v1";
    let by = format!("http://user:pass%20word@{}", proxy.addr());
    let fields = ["-models:", "health_check: {interval: 1h}"];
    let router = Router::start(&config_of(&[through(&alpha, base, &by, &fields)], ""));
    assert_eq!(provider_report(&router, "alpha")["healthy"], true);
    let heads = proxy.take_heads();
    assert_eq!(
        lines(&heads),
        ["GET http://alpha.invalid/v1/models HTTP/1.1"]
    );
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("x")).status, 200);
    let streamed = client.chat(&streamed_chat("x"));
    assert_eq!(streamed.events().last().map(String::as_str), Some("[DONE]"));
    let large = chat(&"x".repeat(3_000_000));
    assert_eq!(client.chat(&large).status, 200);
    let asked = "POST http://alpha.invalid/v1/chat/completions HTTP/1.1";
    let heads = [heads, proxy.heads()].concat();
    assert_eq!(lines(&heads)[1..], [asked; 3]);
    for head in &heads {
        let login = "\r\nProxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n";
        assert!(head.contains(login), "{head}");
        assert!(head.contains("\r\nHost: alpha.invalid\r\n"), "{head}");
    }
    let request = alpha.requests().pop().expect("a request");
    assert_eq!(request["body_bytes"], large.len());
    assert_eq!(
        seen_header(&request, "host").as_deref(),
        Some("alpha.invalid")
    );
    assert_eq!(
        seen_header(&request, "authorization").as_deref(),
        Some("Bearer sk-alpha")
    );
}

#[test]
fn a_proxy_opens_tunnels_for_tls() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["alpha.invalid"]);
    let front = Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
    let proxy = Proxy::start(front.addr(), Manner::Leads);
    let by = format!("http://user:secret-word@{}", proxy.addr());
    let fields = ["health_check: {interval: 1h}"];
    let config = config_of(
        &[through(&alpha, "https://alpha.invalid/v1", &by, &fields)],
        "server: {shards: 1}\n",
    );
    let router = trusting(&config, &papers).go();
    assert_eq!(provider_report(&router, "alpha")["healthy"], true);
    let mut client = Client::connect(router.addr());
    for body in [chat("x"), streamed_chat("x"), chat(&"x".repeat(1_000_000))] {
        let answer = client.chat(&body);
        assert!(answer.status == 200 && answer.complete, "{}", answer.text());
    }
    let heads = proxy.heads();
    // One for the check, and one for all requests.
    assert_eq!(lines(&heads), ["CONNECT alpha.invalid:443 HTTP/1.1"; 2]);
    for head in heads {
        let login = "\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQtd29yZA==\r\n";
        assert!(head.contains(login), "{head}");
        assert!(
            !head.contains("sk-alpha"),
            "the proxy is told no key: {head}"
        );
    }
    let request = alpha.requests().pop().expect("a request");
    assert_eq!(seen_header(&request, "proxy-authorization"), None);
    assert_eq!(
        front.names_asked_for(),
        [Some("alpha.invalid".into()), Some("alpha.invalid".into())]
    );
}

#[test]
fn the_environment_names_proxies_and_exceptions() {
    let alpha = mock(json!({"name": "alpha"}));
    let proxy = Proxy::start(alpha.address(), Manner::Leads);
    let nowhere = "127.0.0.1:9";
    let url = format!("http://{}", proxy.addr());
    let named = "http://alpha.invalid/v1";
    let own = format!("http://{}/v1", alpha.address());
    for (base, field, variables, through) in [
        (named, "weight: 1", &[("HTTP_PROXY", &*url)][..], true),
        // A scheme may be missing, and the name in lower case counts first.
        (
            named,
            "weight: 1",
            &[("HTTP_PROXY", nowhere), ("http_proxy", &url[7..])],
            true,
        ),
        (
            named,
            &format!("proxy: \"{url}\""),
            &[("HTTP_PROXY", nowhere)],
            true,
        ),
        // That is for https:// alone.
        (&own, "weight: 1", &[("HTTPS_PROXY", nowhere)], false),
        // This machine is reached directly, unless the file says otherwise.
        (&own, "weight: 1", &[("HTTP_PROXY", nowhere)], false),
        (&own, &format!("proxy: \"{url}\""), &[], true),
        (&own, "proxy: none", &[("HTTP_PROXY", nowhere)], false),
    ] {
        let base = format!("base_url: \"{base}\"");
        let config = config_of(&[provider(&alpha, &[&base, field])], "");
        let mut start = Start::with(&config);
        for (name, value) in variables {
            start = start.env(name, value);
        }
        let router = start.go();
        let answer = ask(&router);
        assert_eq!(answer.status, 200, "{variables:?} {}", answer.text());
        assert_eq!(
            proxy.take_heads().len(),
            usize::from(through),
            "{variables:?}"
        );
    }
    let config = config_of(
        &[provider(&alpha, &[&format!("base_url: \"{named}\"")])],
        "",
    );
    let router = Start::with(&config)
        .env("HTTP_PROXY", &url)
        .env("NO_PROXY", "elsewhere.invalid, .invalid")
        .go();
    let answer = ask(&router);
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_error".into())
    );
    assert!(answer.text().contains("host name"), "{}", answer.text());
    assert!(proxy.heads().is_empty());
}

/// What a proxy may do instead of leading to the provider, and what the caller is told.
const REFUSALS: &[(Manner, &str)] = &[
    (
        Manner::Says("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        "wants other credentials than those in `proxy` (407)",
    ),
    (
        Manner::Says("HTTP/1.1 403 Filtered\r\nContent-Length: 4\r\n\r\nnope"),
        "does not allow a tunnel to its host and port (403)",
    ),
    (
        Manner::SaysAndHangs("HTTP/1.0 502 Bad Gateway\r\n\r\n"),
        "does not reach its host and port (502)",
    ),
    (
        Manner::Says("HTTP/1.1 302 Found\r\nLocation: http://login.invalid/\r\n\r\n"),
        "opened no tunnel, it answered 302",
    ),
    (Manner::Says("SSH-2.0-x\r\n\r\n"), "did not answer in HTTP"),
    (Manner::Says(""), "did not answer in HTTP"),
    (
        Manner::SaysAndHangs("HTTP/1.1 200 OK\r\n\r\nearly"),
        "did not answer in HTTP",
    ),
    (
        Manner::SaysAndHangs("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        "did not answer in HTTP",
    ),
    (Manner::SaysAndHangs(""), "did not open a tunnel in time"),
    (
        Manner::SaysAndHangs("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2"),
        "did not open a tunnel in time",
    ),
];

#[test]
fn a_proxy_that_does_not_lead_there_is_told_and_another_provider_takes_over() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let base = "https://alpha.invalid/v1";
    let fields = [
        "connect_timeout: 300ms",
        "circuit_breaker: {consecutive_failures: 2}",
    ];
    for (manner, told) in REFUSALS {
        let proxy = Proxy::start(alpha.address(), *manner);
        let by = format!("http://user:secret-word@{}", proxy.addr());
        let alone = config_of(&[through(&alpha, base, &by, &fields)], "");
        let router = Start::with(&alone).go();
        let answer = ask(&router);
        let found = (answer.status, answer.code());
        assert_eq!(found, (502, "upstream_error".into()), "{manner:?}");
        let told = format!("cannot be reached: its proxy {told}");
        assert!(
            answer.text().contains(&told),
            "{manner:?}: {}",
            answer.text()
        );
        router.wait_for_log(&told);
        ask(&router);
        wait_for_circuit(&router, "alpha", "open");
        assert!(!router.log().contains("secret-word"), "{}", router.log());

        let providers = [through(&alpha, base, &by, &fields), provider(&beta, &[])];
        let rest = "routing: {strategy: priority}\n";
        let router = Router::start(&config_of(&providers, rest));
        let answer = ask(&router);
        assert_eq!(answer.status, 200, "{manner:?}: {}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    }
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn a_proxy_that_is_not_there_is_told_apart_from_the_provider() {
    let alpha = mock(json!({"name": "alpha"}));
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    for (proxy, told) in [
        (format!("http://{closed}"), "does not accept connections"),
        (
            "http://proxy.invalid:3128".to_owned(),
            "is not found: its host name has no address",
        ),
    ] {
        for base in ["https://alpha.invalid/v1", "http://alpha.invalid/v1"] {
            let fields = ["health_check: {interval: 1h, timeout: 5s}"];
            let router = Router::start(&config_of(&[through(&alpha, base, &proxy, &fields)], ""));
            let told = format!("cannot be reached: its proxy {told}");
            let report = provider_report(&router, "alpha");
            let error = report["last_error"].as_str().unwrap_or_default();
            assert!(error.contains(&told), "{report}");
        }
    }
}

#[test]
fn a_proxys_own_answers_to_requests_fail_over() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    for (says, told) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
            "wants other credentials than those in `proxy` (407)",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno",
            "answered 502",
        ),
    ] {
        let proxy = Proxy::start(alpha.address(), Manner::Says(says));
        let by = format!("http://{}", proxy.addr());
        let first = through(&alpha, "http://alpha.invalid/v1", &by, &[]);
        let router = Router::start(&config_of(std::slice::from_ref(&first), ""));
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let mut client = Client::connect(router.addr());
            let messages = json!([{"role": "user", "content": "x"}]);
            let body = json!({"model": "m", "max_tokens": 9, "messages": messages});
            client.post(path, &body.to_string());
            let answer = client.answer();
            assert_eq!(answer.status, 502, "{}", answer.text());
            assert!(answer.text().contains(told), "{}", answer.text());
        }
        let rest = "routing: {strategy: priority}\n";
        let router = Router::start(&config_of(&[first, provider(&beta, &[])], rest));
        let answer = ask(&router);
        assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    }
}

#[test]
fn what_a_proxy_asks_for_is_never_shown() {
    let alpha = mock(json!({"name": "alpha"}));
    let quote = "HTTP/1.1 403 Forbidden\r\nX-Request-Id: secret-word\r\nContent-Length: 39\r\n\r\n\
                 {\"error\": \"secret-word dXNlcjpzZWNyZXQtd29yZA==\"}";
    let quote = quote.replace("39", "49");
    let quote: &'static str = Box::leak(quote.into_boxed_str());
    let proxy = Proxy::start(alpha.address(), Manner::Says(quote));
    let by = format!("http://user:secret-word@{}", proxy.addr());
    let config = config_of(
        &[through(&alpha, "http://alpha.invalid/v1", &by, &[])],
        "log: {level: debug}\n",
    );
    let router = Router::start(&config);
    let answer = ask(&router);
    assert_eq!(answer.status, 403, "{}", answer.text());
    let mut public = vec![format!("{:?} {}", answer.headers, answer.text())];
    for report in ["providers", "metrics", "status", "changes"] {
        public.push(
            get(router.addr(), &format!("/_infermux/{report}"))
                .text()
                .to_string(),
        );
    }
    let bad = config.replace("http://user", "socks5://user");
    let refused = router.reload(&bad);
    assert_eq!(refused.status, 422);
    public.push(refused.text().to_string());
    let ended = end(Start::with(&bad).command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("providers[0].proxy: the value"),
        "{ended:?}"
    );
    public.extend([ended.stdout, ended.stderr, router.log()]);
    for text in public {
        for secret in ["secret-word", "dXNlcjpzZWNyZXQtd29yZA"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_reload_changes_the_way() {
    let alpha = mock(json!({"name": "alpha"}));
    let proxy = Proxy::start(alpha.address(), Manner::Leads);
    let own = format!("http://{}/v1", alpha.address());
    let direct = config_of(&[provider(&alpha, &[])], "");
    let by = format!("http://a:b@{}", proxy.addr());
    let detour = config_of(&[through(&alpha, &own, &by, &[])], "");
    let router = Router::start(&direct);
    assert_eq!(ask(&router).status, 200);
    assert_eq!(
        router.reload(&detour).json()["changed"],
        json!(["provider alpha: proxy"])
    );
    assert_eq!(ask(&router).status, 200);
    let other = detour.replace("a:b@", "a:c@");
    assert_eq!(
        router.reload(&other).json()["changed"],
        json!(["provider alpha: proxy"])
    );
    assert_eq!(ask(&router).status, 200);
    let logins: Vec<String> = proxy.take_heads();
    assert!(logins[0].contains("Basic YTpi\r\n"), "{logins:?}");
    assert!(logins[1].contains("Basic YTpj\r\n"), "{logins:?}");
    assert_eq!(
        router.reload(&direct).json()["changed"],
        json!(["provider alpha: proxy"])
    );
    assert_eq!(ask(&router).status, 200);
    assert!(proxy.heads().is_empty());
}

/// Debian's `tinyproxy`, until this is dropped.
struct Tinyproxy {
    child: Child,
    addr: SocketAddr,
}

impl Tinyproxy {
    /// A proxy with these lines in its configuration; `None`: it is not installed, which is allowed
    /// everywhere but in CI.
    fn start(folder: &Folder, more: &str) -> Option<Self> {
        let addr = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("an address")
        };
        let config = format!(
            "Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\n\
             BasicAuth infermux tiny-word\n{more}",
            addr.port()
        );
        let config = folder.write("tinyproxy.conf", config);
        let started = Command::new("tinyproxy")
            .args(["-d", "-c", text(&config)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(
                !is_ci,
                "tinyproxy is not installed (apt-get install tinyproxy)"
            );
            eprintln!("not tested: tinyproxy is not installed (apt-get install tinyproxy)");
            return None;
        };
        let proxy = Self { child, addr };
        eventually("tinyproxy listens", || {
            TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok()
        });
        Some(proxy)
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

#[test]
fn a_real_proxy_leads_to_providers_and_refuses_as_it_is_told() {
    let alpha = mock(json!({"name": "alpha"}));
    let papers = Papers::for_names(&["localhost"]);
    let front = Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
    let port = front.addr().port();
    let folder = Folder::new();
    let Some(proxy) = Tinyproxy::start(&folder, &format!("ConnectPort {port}\n")) else {
        return;
    };
    let open = format!("http://{}/v1", alpha.address());
    let sealed = format!("https://localhost:{port}/v1");
    let other = "https://localhost:1/v1".to_owned();
    for (base, login, told) in [
        (&open, "infermux:tiny-word", None),
        (&sealed, "infermux:tiny-word", None),
        (&sealed, "infermux:other", Some("wants other credentials")),
        (
            &other,
            "infermux:tiny-word",
            Some("does not allow a tunnel"),
        ),
    ] {
        let by = format!("http://{login}@{}", proxy.addr);
        let config = config_of(&[through(&alpha, base, &by, &[])], "");
        let router = trusting(&config, &papers).go();
        let mut client = Client::connect(router.addr());
        for body in [chat("x"), streamed_chat("x"), chat("y")] {
            let answer = client.chat(&body);
            match told {
                None => assert!(answer.status == 200 && answer.complete, "{}", answer.text()),
                Some(told) => assert!(answer.text().contains(told), "{}", answer.text()),
            }
        }
    }
}
