//! The page for browsers at `/_infermux/`, and the changes of circuits that it lists. What it shows
//! is looked at in a browser by `tests/page`.

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::load::ask;
use crate::support::operate::{get, post, turn, wait_for_circuit};
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, config_with, mock, provider};

const MANAGEMENT: &str = "management_listen: \"127.0.0.1:0\"\n";
const TOKEN: &str = "INFERMUX_MANAGEMENT_TOKEN";

/// The nonce in the page's head field.
fn nonce(answer: &Answer) -> String {
    let policy = answer.header("content-security-policy").expect("a policy");
    let (_, rest) = policy.split_once("script-src 'nonce-").expect("a nonce");
    let (nonce, _) = rest.split_once('\'').expect("its end");
    nonce.to_owned()
}

fn changes(router: &Router) -> Vec<Value> {
    let answer = get(router.management(), "/_infermux/changes");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json().as_array().expect("a list").clone()
}

#[test]
fn the_page_lets_browsers_do_nothing_but_show_it() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let page = get(router.addr(), "/_infermux/");
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").expect("a policy");
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let own = nonce(&page);
    assert_eq!(own.len(), 32);
    assert_eq!(page.text().matches(&own).count(), 2);
    // Whoever knows one page's nonce does not know the next one's.
    assert_ne!(nonce(&get(router.addr(), "/_infermux/")), own);
}

#[test]
fn head_tells_of_the_page_what_get_does() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.send("HEAD /_infermux/ HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.answer_to("HEAD");
    client.get("/_infermux/");
    let page = client.answer();
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "content-type", "cache-control"] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), page.header(name), "{name}");
    }
}

#[test]
fn a_path_without_its_slash_leads_to_the_page() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = get(router.addr(), "/_infermux");
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some("_infermux/"));
    assert_eq!(get(router.addr(), "/_infermuxer").status, 404);
    let status = get(router.addr(), "/_infermux/status").json();
    // Only what is no operator's question counts as a caller's request.
    assert_eq!(status["requests_total"], 1);
}

#[test]
fn the_page_needs_no_token_and_holds_nothing_that_does() {
    let alpha = mock(json!({"name": "alpha", "key": "sk-secret"}));
    let router = Start::with(&config_with(&alpha, &["models: [model-x]"]))
        .env(TOKEN, "sesame")
        .go();
    let page = get(router.addr(), "/_infermux/");
    assert_eq!(page.status, 200);
    for word in ["sesame", "sk-secret", "model-x", "alpha"] {
        assert!(!page.text().contains(word), "{word}");
    }
    assert_eq!(get(router.addr(), "/_infermux/changes").status, 401);
}

#[test]
fn the_page_is_where_operators_are_and_nowhere_else() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], MANAGEMENT));
    for path in ["/_infermux", "/_infermux/", "/_infermux/changes"] {
        assert_eq!(get(router.addr(), path).status, 404, "{path}");
        assert!(get(router.management(), path).status < 400, "{path}");
        assert_eq!(post(router.management(), path).status, 405, "{path}");
    }
}

#[test]
fn changes_of_circuits_are_listed_with_their_reasons_the_newest_first() {
    let alpha = mock(json!({"name": "alpha", "answers": [500, 500], "then": "ok"}));
    let breaker = "circuit_breaker: {consecutive_failures: 2, recovery_window: 50ms}";
    let router = Router::start(&config_with(&alpha, &[breaker]));
    assert!(changes(&router).is_empty());
    for _ in 0..2 {
        assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    }
    wait_for_circuit(&router, "alpha", "half-open");
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    let told = changes(&router);
    let words: Vec<[&str; 4]> = told
        .iter()
        .map(|one| ["provider", "from", "to", "reason"].map(|key| one[key].as_str().expect("text")))
        .collect();
    let expected = [
        ["alpha", "closed", "open", "manual"],
        ["alpha", "half-open", "closed", "probe_succeeded"],
        ["alpha", "open", "half-open", "recovery_window"],
        ["alpha", "closed", "open", "consecutive_failures"],
    ];
    // By now the circuit that was opened by hand may be half-open again.
    assert_eq!(words[words.len() - 4..], expected);
    let times: Vec<&str> = told.iter().filter_map(|one| one["time"].as_str()).collect();
    assert!(
        times
            .iter()
            .all(|time| time.len() == 24 && time.ends_with('Z'))
    );
    assert!(
        times.is_sorted_by(|later, earlier| later >= earlier),
        "{times:?}"
    );
    let again = changes(&router);
    assert_eq!(again[again.len() - 4..], told[told.len() - 4..]);
}

#[test]
fn the_uptime_is_the_process_s_own() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let status = get(router.addr(), "/_infermux/status").json();
    assert!(status["uptime_seconds"].as_u64() < Some(60), "{status}");
}

#[test]
fn a_page_of_another_site_makes_nobody_act() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let path = "/_infermux/providers/alpha/circuit/open";
    for (origin, status) in [
        ("http://evil.example", 400),
        ("null", 400),
        ("http://test", 200),
    ] {
        let mut client = Client::connect(router.addr());
        client.post_with(path, &format!("Origin: {origin}\r\n"), "");
        assert_eq!(client.answer().status, status, "{origin}");
    }
}

#[test]
fn the_start_says_where_a_browser_finds_the_page() {
    let alpha = mock(json!({"name": "alpha"}));
    for (callers, management) in [
        ("127.0.0.1:0", ""),
        (":0", ""),
        ("127.0.0.1:0", "management_listen: \":0\"\n"),
        (":0", MANAGEMENT),
    ] {
        let config = config_of(&[provider(&alpha, &[])], management);
        let router = Router::start(&config.replacen("127.0.0.1:0", callers, 1));
        let page = router
            .said()
            .iter()
            .find_map(|line| line.strip_prefix("page: "));
        let expected = format!("http://{}/_infermux/", router.management());
        assert_eq!(page, Some(&*expected));
        assert_eq!(get(router.management(), "/_infermux/").status, 200);
    }
}
