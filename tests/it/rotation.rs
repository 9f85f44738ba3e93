//! Providers that operators take out of rotation and put back.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::command::{end, infermux};
use crate::support::load::ask;
use crate::support::operate::{get, metric, post, provider_report, turn, wait_for_circuit};
use crate::support::router::Router;
use crate::support::{chat, config_of, mock, provider, wait_for_requests};

fn rotate(router: &Router, name: &str, act: &str) -> Value {
    let path = format!("/_infermux/providers/{name}/{act}");
    let answer = post(router.management(), &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn served_by(router: &Router) -> String {
    let answer = ask(router.addr(), &chat("x"));
    let provider = answer.header("x-infermux-provider");
    provider
        .unwrap_or_else(|| panic!("{}", answer.text()))
        .to_owned()
}

#[test]
fn a_provider_that_is_taken_out_finishes_what_it_has_and_gets_nothing_more() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 500}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [&alpha, &beta].map(|mock| provider(mock, &[]));
    let rest = "routing: {strategy: priority}\n";
    let router = Router::start(&config_of(&providers, rest));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("x"));
    wait_for_requests(&alpha, 1);
    let told = rotate(&router, "alpha", "take-out");
    assert_eq!(
        (&told["name"], &told["in_rotation"]),
        (&json!("alpha"), &json!(false))
    );
    let since = told["taken_out_at"].clone();
    assert!(since.is_string(), "{told}");
    // Every event loop obeys when the call returns.
    for _ in 0..8 {
        assert_eq!(served_by(&router), "beta");
    }
    assert_eq!(rotate(&router, "alpha", "take-out")["in_rotation"], false);
    let answer = client.answer();
    let by = answer.header("x-infermux-provider");
    assert_eq!(
        (answer.status, by),
        (200, Some("alpha")),
        "{}",
        answer.text()
    );
    assert_eq!(alpha.stats().requests, 1);
    let status = get(router.management(), "/_infermux/status").json();
    let told = ["providers_healthy", "providers_taken_out"].map(|name| status[name].as_u64());
    assert_eq!(told, [Some(1), Some(1)]);
    let taken_out = |name: &str| {
        let label = format!("provider=\"{name}\"");
        metric(
            router.management(),
            "infermux_provider_taken_out",
            &[&label],
        )
    };
    assert_eq!([taken_out("alpha"), taken_out("beta")], [1.0, 0.0]);
    // Its circuit goes its own way.
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    assert_eq!(turn(&router, "alpha", "close").status, 200);
    wait_for_circuit(&router, "alpha", "closed");
    assert_eq!(served_by(&router), "beta");
    let told = rotate(&router, "alpha", "put-back");
    assert_eq!(
        (&told["in_rotation"], &told["taken_out_at"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(served_by(&router), "alpha");
}

#[test]
fn without_any_other_provider_callers_are_told_why() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], ""));
    rotate(&router, "alpha", "take-out");
    let answer = ask(router.addr(), &chat("x"));
    assert_eq!(answer.status, 503);
    let why = "an operator has taken it out of rotation";
    assert!(answer.text().contains(why), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    let explained = get(router.management(), "/_infermux/explain?model=m").text();
    assert!(explained.contains(why), "{explained}");
    assert_eq!(alpha.stats().requests, 0);
    let unknown = post(router.management(), "/_infermux/providers/nobody/take-out");
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "unknown_provider".into())
    );
    let mut foreign = Client::connect(router.management());
    foreign.send(
        "POST /_infermux/providers/alpha/put-back HTTP/1.1\r\nHost: test\r\n\
         Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(foreign.answer().status, 400);
    assert_eq!(provider_report(&router, "alpha")["in_rotation"], false);
}

#[test]
fn it_stays_out_over_reloads_under_another_address_too_and_not_over_a_restart() {
    let [alpha, other, beta] = ["alpha", "alpha", "beta"].map(|name| mock(json!({"name": name})));
    let rest = "routing: {strategy: priority}\n";
    let config = |first| config_of(&[provider(first, &[]), provider(&beta, &[])], rest);
    let router = Router::start(&config(&alpha));
    rotate(&router, "alpha", "take-out");
    for text in [config(&alpha) + "\n# the same\n", config(&other)] {
        assert_eq!(router.reload(&text).status, 200);
        assert_eq!(provider_report(&router, "alpha")["in_rotation"], false);
        assert_eq!(served_by(&router), "beta");
    }
    rotate(&router, "alpha", "put-back");
    assert_eq!(served_by(&router), "alpha");
    assert_eq!([alpha.stats().requests, other.stats().requests], [0, 1]);
    // Back at its former address, what was said last still counts.
    assert_eq!(router.reload(&config(&alpha)).status, 200);
    assert_eq!(provider_report(&router, "alpha")["in_rotation"], true);
    assert_eq!(served_by(&router), "alpha");
    assert_eq!([alpha.stats().requests, other.stats().requests], [1, 1]);
    rotate(&router, "alpha", "take-out");
    drop(router);
    let router = Router::start(&config(&alpha));
    assert_eq!(served_by(&router), "alpha");
}

#[test]
fn a_command_takes_it_out_and_puts_it_back() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], ""));
    let server = format!("http://{}", router.management());
    let run = |words: &[&str]| {
        let mut all = vec!["providers"];
        all.extend(words);
        all.extend(["--server", &server]);
        end(&mut infermux(&all))
    };
    let out = run(&["take-out", "alpha"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert_eq!(
        out.stdout,
        "alpha is out of rotation until it is put back, or a restart\n"
    );
    assert!(run(&[]).stdout.contains("taken out"));
    assert_eq!(ask(router.addr(), &chat("x")).status, 503);
    let back = run(&["put-back", "alpha"]);
    assert_eq!(
        (back.code, &*back.stdout),
        (Some(0), "alpha is in rotation\n")
    );
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    let wrong = run(&["take-out", "no body"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("no body"), "{}", wrong.stderr);
}
