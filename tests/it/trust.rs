//! Certificates: whose are trusted, and who must present one.

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::command::{end, infermux, text};
use crate::support::operate::{provider_report, wait_for_circuit};
use crate::support::router::{Folder, Router, Start};
use crate::support::tls::{Forwarder, Papers, Tls};
use crate::support::{chat, config_of, mock, provider, streamed_chat};

fn ask(router: &Router) -> Answer {
    Client::connect(router.addr()).chat(&chat("x"))
}

/// A provider like `mock` behind TLS on a port of this machine, with `tls` as it is given.
fn sealed(mock: &Mock, front: &Forwarder, tls: &str, fields: &[&str]) -> String {
    let own = [
        format!("base_url: \"https://localhost:{}/v1\"", front.addr().port()),
        format!("tls: {{{tls}}}"),
    ];
    let own = own.iter().map(String::as_str);
    provider(mock, &own.chain(fields.iter().copied()).collect::<Vec<_>>())
}

/// A file with the authority of `papers`.
fn authority(folder: &Folder, name: &str, papers: &Papers) -> String {
    let path = folder.write(name, &papers.ca_pem);
    format!("ca_file: \"{}\"", path.display())
}

/// Files with the certificate and the key of `papers`.
fn own(folder: &Folder, name: &str, papers: &Papers) -> String {
    let cert = folder.write(&format!("{name}.pem"), &papers.cert_pem);
    let key = folder.write(&format!("{name}.key"), &papers.key_pem);
    let (cert, key) = (cert.display(), key.display());
    format!("cert_file: \"{cert}\", key_file: \"{key}\"")
}

/// Checks that the provider is not reached for this reason, that its circuit opens, and that
/// another one takes over.
fn refused(alpha: &Mock, alone: &str, told: &str) {
    let fields = "circuit_breaker: {consecutive_failures: 2}\n";
    let first = format!("{alone}    {fields}");
    let router = Router::start(&config_of(std::slice::from_ref(&first), ""));
    for _ in 0..2 {
        let answer = ask(&router);
        let found = (answer.status, answer.code());
        assert_eq!(found, (502, "upstream_error".into()), "{}", answer.text());
        let told = format!("the provider alpha failed the TLS handshake: {told}");
        assert!(answer.text().contains(&told), "{}", answer.text());
    }
    wait_for_circuit(&router, "alpha", "open");
    let beta = mock(json!({"name": "beta"}));
    let rest = "routing: {strategy: priority}\n";
    let router = Router::start(&config_of(&[first, provider(&beta, &[])], rest));
    let answer = ask(&router);
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn a_provider_is_trusted_by_authority_time_and_name() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let good = Papers::for_names(&["localhost"]);
    let named = Papers::for_names(&["model.internal"]);
    let expired = Papers::valid_within(&["localhost"], 2000..2001);
    let early = Papers::valid_within(&["localhost"], 2900..2901);
    let front = |papers: &Papers| Forwarder::start(alpha.address(), Tls::Inside(papers.server()));
    let (at_good, at_named) = (front(&good), front(&named));
    let trusts_good = authority(&folder, "good.pem", &good);
    let trusts_named = authority(&folder, "named.pem", &named);
    let by_name = format!("{trusts_named}, server_name: model.internal");
    for (front, tls, told) in [
        (
            &at_named,
            &trusts_good,
            "the authority of its certificate is not trusted (`tls.ca_file`)",
        ),
        (
            &at_named,
            &trusts_named,
            "its certificate is for another name (`tls.server_name`)",
        ),
        (
            &front(&expired),
            &authority(&folder, "expired.pem", &expired),
            "its certificate has expired",
        ),
        (
            &front(&early),
            &authority(&folder, "early.pem", &early),
            "by this machine's clock its certificate is not valid yet",
        ),
    ] {
        refused(&alpha, &sealed(&alpha, front, tls, &[]), told);
    }
    for (front, tls) in [(&at_good, &trusts_good), (&at_named, &by_name)] {
        let fields = ["health_check: {interval: 1h}"];
        let router = Router::start(&config_of(&[sealed(&alpha, front, tls, &fields)], ""));
        assert_eq!(provider_report(&router, "alpha")["healthy"], true);
        let mut client = Client::connect(router.addr());
        assert_eq!(client.chat(&chat("x")).status, 200);
        assert!(client.chat(&streamed_chat("x")).complete);
    }
    let asked = at_named.names_asked_for();
    assert_eq!(asked.last(), Some(&Some("model.internal".into())));
}

#[test]
fn a_provider_is_presented_a_certificate() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let (server, clients) = (
        Papers::for_names(&["localhost"]),
        Papers::for_names(&["me"]),
    );
    let front = Forwarder::start(alpha.address(), Tls::Inside(server.server_for(&clients)));
    let trusts = authority(&folder, "server.pem", &server);
    let told = "it wants another certificate of infermux (`tls.cert_file`)";
    let strange = own(&folder, "strange", &Papers::for_names(&["me"]));
    for tls in [trusts.clone(), format!("{trusts}, {strange}")] {
        refused(&alpha, &sealed(&alpha, &front, &tls, &[]), told);
        let fields = ["health_check: {interval: 1h}"];
        let router = Router::start(&config_of(&[sealed(&alpha, &front, &tls, &fields)], ""));
        let report = provider_report(&router, "alpha");
        let error = report["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(told), "{report}");
    }
    let tls = format!("{trusts}, {}", own(&folder, "me", &clients));
    let fields = ["health_check: {interval: 1h}"];
    let router = Router::start(&config_of(&[sealed(&alpha, &front, &tls, &fields)], ""));
    assert_eq!(provider_report(&router, "alpha")["healthy"], true);
    let mut client = Client::connect(router.addr());
    for body in [chat("x"), streamed_chat("x"), chat(&"x".repeat(500_000))] {
        assert_eq!(client.chat(&body).status, 200);
    }
}

#[test]
fn a_reload_reads_the_files_of_providers_again() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let (old, new) = (
        Papers::for_names(&["localhost"]),
        Papers::for_names(&["localhost"]),
    );
    let at_old = Forwarder::start(alpha.address(), Tls::Inside(old.server()));
    let tls = authority(&folder, "ca.pem", &old);
    let config = config_of(
        &[sealed(&alpha, &at_old, &tls, &[])],
        "server: {shards: 1}\n",
    );
    let router = Router::start(&config);
    assert_eq!(ask(&router).status, 200);
    assert_eq!(router.reload(&config).json()["changed"], json!([]));
    assert_eq!(ask(&router).status, 200);
    assert_eq!(at_old.connections(), 1, "the connection stays");
    // A connection that was opened under the former authority carries no further request.
    authority(&folder, "ca.pem", &new);
    let changed = router.reload(&config).json()["changed"].clone();
    assert_eq!(changed, json!(["provider alpha: tls: certificates"]));
    let answer = ask(&router);
    assert!(
        answer.text().contains("is not trusted"),
        "{}",
        answer.text()
    );
    folder.write("ca.pem", "nothing");
    let refused = router.reload(&config);
    assert_eq!(refused.status, 422);
    assert!(
        refused.text().contains("of provider alpha: "),
        "{}",
        refused.text()
    );
    assert!(refused.text().contains("ca.pem"), "{}", refused.text());
    folder.write("ca.pem", format!("{}{}", new.ca_pem, old.ca_pem));
    assert_eq!(router.reload(&config).status, 200);
    assert_eq!(ask(&router).status, 200);
}

#[test]
fn a_reload_reads_the_hosts_roots_again() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let (old, new) = (
        Papers::for_names(&["localhost"]),
        Papers::for_names(&["localhost"]),
    );
    let front = Forwarder::start(alpha.address(), Tls::Inside(old.server()));
    let provider = sealed(&alpha, &front, "", &[]);
    let config = config_of(&[provider], "server: {shards: 1}\n");
    let roots = folder.write("roots.pem", &old.ca_pem);
    let router = Start::with(&config).env("SSL_CERT_FILE", text(&roots)).go();
    assert_eq!(ask(&router).status, 200);
    assert_eq!(router.reload(&config).json()["changed"], json!([]));
    assert_eq!(ask(&router).status, 200);
    assert_eq!(front.connections(), 1, "the connection stays");
    folder.write("roots.pem", &new.ca_pem);
    assert_eq!(ask(&router).status, 200, "not before the reload");
    let changed = router.reload(&config).json()["changed"].clone();
    assert_eq!(changed, json!(["the host's trusted root certificates"]));
    let answer = ask(&router);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(
        answer.text().contains("is not trusted"),
        "{}",
        answer.text()
    );
    folder.write("roots.pem", format!("{}{}", new.ca_pem, old.ca_pem));
    assert_eq!(router.reload(&config).status, 200);
    assert_eq!(ask(&router).status, 200);
}

/// The answer to a caller that makes its handshake with these settings; `None`: it was refused.
fn served(router: &Router, outside: Tls) -> Option<u16> {
    let tunnel = Forwarder::start(router.addr(), outside);
    let mut client = Client::connect(tunnel.addr());
    client.post("/v1/chat/completions", &chat("x"));
    let bytes = client.some(12);
    let line = String::from_utf8_lossy(&bytes).into_owned();
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn callers_present_a_certificate_where_they_must() {
    let alpha = mock(json!({"name": "alpha"}));
    let (server, clients) = (
        Papers::for_names(&["localhost"]),
        Papers::for_names(&["me"]),
    );
    let strange = Papers::for_names(&["me"]);
    let folder = Folder::new();
    let ca = folder.write("clients.pem", &clients.ca_pem);
    let tls = format!(
        "tls: {{{}, client_ca_file: \"{}\"}}\nmanagement_listen: '127.0.0.1:0'\n\
         log: {{level: debug}}\n",
        own(&folder, "server", &server),
        ca.display()
    );
    let config = config_of(&[provider(&alpha, &[])], &tls);
    let router = Router::start(&config);
    let as_one = |papers: &Papers| Tls::Outside(server.client_as(papers));
    assert_eq!(served(&router, as_one(&clients)), Some(200));
    assert_eq!(served(&router, as_one(&strange)), None);
    assert_eq!(served(&router, Tls::Outside(server.client(&[]))), None);
    router.wait_for_log("TLS handshake of a caller failed");
    assert_eq!(alpha.stats().requests, 1);
    // Operators are served as ever: their listener speaks plain HTTP.
    assert_eq!(provider_report(&router, "alpha")["healthy"], true);
    folder.write("clients.pem", &strange.ca_pem);
    let changed = router.reload(&config).json()["changed"].clone();
    assert_eq!(changed, json!(["tls: certificate"]));
    assert_eq!(served(&router, as_one(&strange)), Some(200));
    assert_eq!(served(&router, as_one(&clients)), None);
}

#[test]
fn files_that_are_missing_are_named() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let fields = [
        "base_url: \"https://alpha.invalid/v1\"",
        "tls: {ca_file: /nowhere/x.pem}",
    ];
    let config = config_of(&[provider(&alpha, &fields)], "");
    let path = folder.write("c.yml", &config);
    let ended = end(&mut infermux(&["validate", "--config", text(&path)]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "providers[0].tls.ca_file: /nowhere/x.pem does not exist on this host";
    assert!(ended.stderr.contains(told), "{ended:?}");
    let ended = end(Start::with(&config).command());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let told = "of provider alpha: /nowhere/x.pem";
    assert!(ended.stderr.contains(told), "{ended:?}");
    for (tls, told) in [
        (
            "{cert_file: x}",
            "tls.key_file: is required where tls.cert_file is set",
        ),
        (
            "{key_file: x}",
            "tls.cert_file: is required where tls.key_file is set",
        ),
        ("{server_name: 'a b'}", "tls.server_name: "),
        (
            "{server_name: 'a..b'}",
            "tls.server_name: `a..b` is neither a host name nor",
        ),
    ] {
        let config = config.replace("{ca_file: /nowhere/x.pem}", tls);
        let path = folder.write("c.yml", config);
        let ended = end(&mut infermux(&["validate", "--config", text(&path)]));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(
            ended.stderr.contains(&format!("providers[0].{told}")),
            "{ended:?}"
        );
    }
    let plain = config.replace("https://", "http://");
    let path = folder.write("c.yml", plain);
    let ended = end(&mut infermux(&["validate", "--config", text(&path)]));
    assert!(
        ended.stderr.contains("tls.ca_file: has no effect"),
        "{ended:?}"
    );
}
