//! Several instances whose store is away, has lost its data, or cannot be used.

use std::process::Stdio;
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, get};
use crate::support::command::{end, infermux, text};
use crate::support::load::ask_as;
use crate::support::router::{Folder, Router, Start};
use crate::support::store::Store;
use crate::support::tls::Papers;
use crate::support::{chat, config_of, eventually, mock, provider};

fn alpha() -> Mock {
    let mock = mock(json!({"name": "alpha"}));
    let script = json!({"prompt_tokens": 10, "completion_tokens": 10, "usage": "always"});
    mock.set_script(script).expect("a script");
    mock
}

/// A configuration with this `shared`, a limit of the provider and a budget of the caller `c`.
fn config(mock: &Mock, shared: &str, limit: u32, state_file: Option<&str>) -> String {
    let fields = format!("rate_limits: {{requests_per_minute: {limit}}}");
    let state_file = state_file.map_or_else(String::new, |path| format!("state_file: {path}, "));
    let rest = format!(
        "shared: {{{shared}}}\n\
         pricing:\n  alpha:\n    m: {{input_per_million: 500, output_per_million: 500}}\n\
         budgets: {{{state_file}callers: [{{caller: c, monthly_usd: 5000}}]}}\n"
    );
    config_of(&[provider(mock, &[&fields])], &rest)
}

fn shared(store: &Store, more: &str) -> String {
    let addr = store.addr();
    format!("url: \"redis://{addr}/0\", namespace: t{more}")
}

fn ask(router: &Router, caller: &str) -> Answer {
    let mut body: Value = serde_json::from_str(&chat("10 bytes..")).expect("JSON");
    body["max_tokens"] = json!(10);
    ask_as(router.addr(), caller, &body.to_string())
}

fn state(router: &Router) -> Value {
    get(router.addr(), "/_infermux/status").json()["shared"].clone()
}

fn wait_for_state(router: &Router, expected: &str) {
    eventually(&format!("the store is {expected}"), || {
        state(router)["state"] == expected
    });
}

/// Asks ten times a second for so long; all requests are served. What is leased goes by the rate
/// at which it was spent before, so a slow machine must not make that rate smaller.
fn all_served(router: &Router, span: Duration) {
    let pace = Duration::from_millis(100);
    let began = Instant::now();
    let mut due = pace;
    while due < span {
        let answer = ask(router, "c");
        assert_eq!(answer.status, 200, "{}", answer.text());
        std::thread::park_timeout(due.saturating_sub(began.elapsed()));
        due += pace;
    }
}

#[test]
fn no_request_fails_while_the_store_is_away_for_five_seconds() {
    let Some(mut store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let more = ", member_ttl: 60s, wait: 1s";
    let router = Router::start(&config(&mock, &shared(&store, more), 6_000, None));
    all_served(&router, Duration::from_secs(4));
    store.kill();
    all_served(&router, Duration::from_secs(5));
    assert_eq!(state(&router)["state"], "away");
    router.wait_for_log("the shared store is out of reach");
    // An empty one in its place: everybody tells what it holds, and goes on meanwhile.
    store.start_again();
    router.wait_for_log("has no data, or older data");
    all_served(&router, Duration::from_secs(3));
    wait_for_state(&router, "ok");
    store.say("FLUSHALL");
    all_served(&router, Duration::from_secs(3));
    wait_for_state(&router, "ok");
    let spent = router.log().matches("has no data, or older data").count();
    assert_eq!(
        spent, 3,
        "at the start, after the restart, and after FLUSHALL"
    );
}

#[test]
fn without_the_store_for_longer_each_choice_does_what_it_says() {
    let Some(mut store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let start = |limits: &str, budgets: &str| {
        let more =
            format!(", member_ttl: 5s, on_loss: {{rate_limits: {limits}, budgets: {budgets}}}");
        let shared = shared(&store, &more).replace("namespace: t", &format!("namespace: {limits}"));
        let router = Router::start(&config(&mock, &shared, 40, None));
        // Some of both is leased.
        eventually("a request is served", || ask(&router, "c").status == 200);
        router
    };
    let routers = [
        start("share", "share"),
        start("closed", "closed"),
        start("open", "open"),
    ];
    store.kill();
    routers.iter().for_each(|one| wait_for_state(one, "lost"));
    let [share, closed, open] = &routers;
    let refused = ask(closed, "c");
    assert_eq!(
        (refused.status, &*refused.code()),
        (503, "shared_state_unavailable")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A caller without a budget meets the provider's limit.
    assert_eq!(ask(closed, "other").code(), "shared_state_unavailable");
    // Its standing part, and no more.
    let mut count = 0;
    while ask(share, "other").status == 200 {
        count += 1;
        assert!(count <= 40, "all of the limit");
    }
    assert_eq!(ask(share, "other").code(), "rate_limit");
    for _ in 0..60 {
        let answer = ask(open, "c");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    store.start_again();
    routers.iter().for_each(|one| wait_for_state(one, "ok"));
    eventually("it serves again", || ask(closed, "c").status == 200);
    // What was used meanwhile counts: more than the limit.
    eventually("the open one keeps to the limit again", || {
        ask(open, "other").code() == "rate_limit"
    });
}

#[test]
fn a_store_that_refuses_the_password_is_told_of_once_and_serving_begins() {
    let Some(store) = Store::start(&["--requirepass", "right"]) else {
        return;
    };
    let mock = alpha();
    for (user, told) in [
        (
            ":hunter2@",
            "does not accept the user name or password of shared.url",
        ),
        ("", "asks for a password: shared.url has none"),
    ] {
        let shared = shared(&store, "").replace("redis://", &format!("redis://{user}"));
        let router = Router::start(&config(&mock, &shared, 5, None));
        router.wait_for_log("the shared store grants nothing yet");
        assert!(router.log().contains(told), "{}", router.log());
        assert!(!router.log().contains("hunter2"));
        // Budgets are closed without the store.
        assert_eq!(ask(&router, "c").code(), "shared_state_unavailable");
        assert_eq!(state(&router)["state"], "lost");
        assert_eq!(router.log().matches(told).count(), 1);
    }
    let shared = shared(&store, "").replace("redis://", "redis://:right@");
    let router = Router::start(&config(&mock, &shared, 5, None));
    eventually("a request is served", || ask(&router, "c").status == 200);
}

#[test]
fn a_copied_state_file_is_found_out_and_a_restart_keeps_its_name() {
    let Some(store) = Store::start(&[]) else {
        return;
    };
    let mock = alpha();
    let folder = Folder::new();
    let own = folder.path().join("own.json");
    let shared = shared(&store, ", member_ttl: 5s");
    let config_of_own = config(&mock, &shared, 50, Some(text(&own)));
    let mut router = Router::start(&config_of_own);
    let name = state(&router)["instance"].clone();
    eventually("the name is in the file", || {
        let kept = std::fs::read_to_string(&own).unwrap_or_default();
        kept.contains(name.as_str().expect("a name"))
    });
    let copy = folder.write("copy.json", std::fs::read(&own).expect("the state file"));
    let file = folder.write("copy.yml", config(&mock, &shared, 50, Some(text(&copy))));
    let mut second = infermux(&["serve", "--config", text(&file)]);
    let ended = end(second.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("is its state file (budgets.state_file) a copy?")
    );
    // After a crash, the same name is taken over; after an orderly end, at once.
    for signal in ["KILL", "TERM"] {
        router.signal(signal);
        router.wait();
        router = Router::start(&config_of_own);
        wait_for_state(&router, "ok");
        assert_eq!(state(&router)["instance"], name);
    }
    let shown = end(&mut infermux(&[
        "shared",
        "status",
        "--config",
        text(&file),
    ]));
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains(name.as_str().expect("a name")),
        "{}",
        shown.stdout
    );
    let forget = |id: &str| {
        end(&mut infermux(&[
            "shared",
            "forget",
            id,
            "--config",
            text(&file),
        ]))
    };
    assert_eq!(forget("nobody").code, Some(1));
    let name = name.as_str().expect("a name");
    assert!(forget(name).stderr.contains("the instance lives"));
    eventually("a request is served", || ask(&router, "c").status == 200);
    router.signal("KILL");
    router.wait();
    eventually("it can be forgotten", || forget(name).code == Some(0));
    let shown = end(&mut infermux(&[
        "shared",
        "status",
        "--config",
        text(&file),
    ]));
    assert!(!shown.stdout.contains(name), "{}", shown.stdout);
}

#[test]
fn the_store_is_reached_within_tls_and_over_the_first_node_that_answers() {
    let folder = Folder::new();
    let papers = Papers::for_names(&["store.test"]);
    let file = |name: &str, pem: &str| text(&folder.write(name, pem)).to_owned();
    let ca = file("ca.pem", &papers.ca_pem);
    let cert = file("cert.pem", &papers.cert_pem);
    let key = file("key.pem", &papers.key_pem);
    let arguments = [
        "--tls-port",
        "PORT",
        "--port",
        "0",
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ];
    let Some(store) = Store::start(&arguments) else {
        return;
    };
    let mock = alpha();
    let addr = store.addr();
    let with = |tls: &str| {
        // Nobody listens on port 1.
        let urls = format!("urls: [\"rediss://127.0.0.1:1/0\", \"rediss://{addr}/0\"]");
        config(
            &mock,
            &format!("{urls}, namespace: t, tls: {{{tls}}}"),
            5,
            None,
        )
    };
    let own = format!("cert_file: {cert}, key_file: {key}");
    let router = Router::start(&with(&format!(
        "ca_file: {ca}, server_name: store.test, {own}"
    )));
    wait_for_state(&router, "ok");
    eventually("a request is served", || ask(&router, "c").status == 200);
    let start = |tls: &str| Start::with(&with(tls)).go();
    // The certificate is for another name, or nobody vouches for it.
    for tls in [
        format!("ca_file: {ca}, {own}"),
        format!("server_name: store.test, {own}"),
    ] {
        let router = start(&tls);
        router.wait_for_log("invalid peer certificate");
        assert_eq!(state(&router)["state"], "lost");
    }
    let missing = folder.write("bad.yml", with("ca_file: /nowhere/ca.pem"));
    let ended = end(&mut infermux(&["serve", "--config", text(&missing)]));
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("/nowhere/ca.pem"), "{}", ended.stderr);
}
