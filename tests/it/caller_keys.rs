//! Callers' keys: who gets in, until when, and with what; files of keys that change.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, get, post};
use crate::support::command::{Ended, end, infermux};
use crate::support::operate::metric;
use crate::support::router::{Folder, Router, Start};
use crate::support::{
    chat, config_for, config_of, eventually, last_seen, mock, provider, seen_header, streamed_chat,
};

fn run(arguments: &[&str]) -> Ended {
    end(&mut infermux(arguments))
}

pub fn entry(name: &str, key: &str, rest: &str) -> String {
    let digest = Digest::of(key.as_bytes());
    format!("- {{name: {name}, hash: 'sha256:{digest}'{rest}}}\n")
}

fn listed(mocks: &[&Mock], entries: &[String], rest: &str) -> String {
    let entries: Vec<String> = entries.iter().map(|entry| format!("    {entry}")).collect();
    let keys = entries.concat();
    config_for(
        mocks,
        &format!("auth:\n  mode: keys\n  keys:\n{keys}{rest}"),
    )
}

fn ask(router: &Router, key: &str) -> Answer {
    ask_for(
        router,
        &format!("Authorization: Bearer {key}\r\n"),
        &chat("x"),
    )
}

fn ask_for(router: &Router, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/chat/completions", headers, body);
    client.answer()
}

/// Status and code.
fn told(answer: &Answer) -> (u16, String) {
    let code = if answer.status == 200 {
        String::new()
    } else {
        answer.code()
    };
    (answer.status, code)
}

#[test]
fn keys_say_who_calls_and_until_when() {
    let alpha = mock(json!({"name": "alpha"}));
    let old = Digest::of(b"k-old");
    let new = Digest::of(b"k-new");
    let rotated = format!(
        "- {{name: rotated, hashes: [{{hash: 'sha256:{old}', until: 2020-01-01}}, \
         {{hash: 'sha256:{new}'}}]}}\n"
    );
    let entries = [
        entry("web", "k-web", ", team: product, callers: ['agent-*']"),
        entry("gone", "k-gone", ", expires: 2020-12-31"),
        entry("off", "k-off", ", disabled: true"),
        rotated,
    ];
    let router = Router::start(&listed(&[&alpha], &entries, "teams: [{name: product}]\n"));
    let ok = (200, String::new());
    let no = |code: &str| (401, code.to_owned());
    for (headers, expected) in [
        ("", no("invalid_api_key")),
        ("Authorization: Bearer k-web\r\n", ok.clone()),
        ("x-api-key: k-web\r\n", ok.clone()),
        ("api-key: k-web\r\n", ok.clone()),
        (
            "Authorization: Bearer k-web\r\nx-api-key: other\r\n",
            ok.clone(),
        ),
        (
            "Authorization: Bearer k-web\r\nx-api-key: k-new\r\n",
            no("invalid_api_key"),
        ),
        ("Authorization: Bearer K-WEB\r\n", no("invalid_api_key")),
        ("Authorization: Bearer k-gone\r\n", no("expired_api_key")),
        ("Authorization: Bearer k-old\r\n", no("expired_api_key")),
        ("Authorization: Bearer k-new\r\n", ok.clone()),
        ("Authorization: Bearer k-off\r\n", no("disabled_api_key")),
    ] {
        assert_eq!(
            told(&ask_for(&router, headers, &chat("x"))),
            expected,
            "{headers}"
        );
    }
    // No provider gets a caller's key.
    let key = seen_header(&last_seen(&alpha), "authorization");
    assert_eq!(key.as_deref(), Some("Bearer sk-alpha"));
    router.wait_for_log("key=web team=product caller=web");
    let log = router.log();
    for secret in ["k-web", "k-new", &new.to_string()] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_key_names_the_caller_that_its_requests_are_counted_for() {
    let alpha = mock(json!({"name": "alpha"}));
    let entries = [
        entry("web", "k-web", ", caller: web-app, callers: ['agent-*']"),
        entry("bare", "k-bare", ""),
    ];
    let router = Router::start(&listed(&[&alpha], &entries, ""));
    for (key, header, caller) in [
        ("k-web", "", "web-app"),
        ("k-web", "X-Infermux-Caller: agent-7\r\n", "agent-7"),
        ("k-web", "X-Infermux-Caller: boss\r\n", "web-app"),
        ("k-bare", "X-Infermux-Caller: boss\r\n", "bare"),
    ] {
        let headers = format!("Authorization: Bearer {key}\r\n{header}");
        assert_eq!(ask_for(&router, &headers, &chat("x")).status, 200);
        let path = format!("/_infermux/costs/caller/{caller}");
        assert_eq!(get(router.addr(), &path).status, 200, "{caller}");
    }
    let costs = get(router.addr(), "/_infermux/costs/by-caller").text();
    assert!(!costs.contains("boss"), "{costs}");
}

/// A router with a key for a few models, one whose team has a single model, and one for all.
fn narrow_keys() -> (Mock, Router) {
    let alpha = mock(json!({"name": "alpha"}));
    let entries = [
        entry("narrow", "k-narrow", ", models: ['gpt-4o*', 'm']"),
        entry("team", "k-team", ", team: t"),
        entry("any", "k-any", ""),
    ];
    let entries: Vec<String> = entries.iter().map(|entry| format!("    {entry}")).collect();
    let rest = format!(
        "teams: [{{name: t, models: [m]}}]\nauth:\n  mode: keys\n  keys:\n{}",
        entries.concat()
    );
    let served = provider(&alpha, &["models: [m, gpt-4o, gpt-4o-mini, gpt-5]"]);
    let router = Router::start(&config_of(&[served], &rest));
    (alpha, router)
}

#[test]
fn a_key_asks_for_the_models_of_its_own_and_of_its_team_alone() {
    let (_alpha, router) = narrow_keys();
    let body = |model: &str, more: &str| {
        format!(r#"{{"model":"{model}"{more},"messages":[{{"role":"user","content":"x"}}]}}"#)
    };
    for (key, model, more, expected) in [
        ("k-narrow", "gpt-4o-mini", "", 200),
        ("k-narrow", "m", "", 200),
        ("k-narrow", "gpt-5", "", 403),
        ("k-narrow", "m", r#","models":["gpt-4o","m"]"#, 200),
        ("k-narrow", "m", r#","models":["gpt-4o","gpt-5"]"#, 403),
        ("k-narrow", "m", r#","mod\u0065ls":["gpt-5"]"#, 403),
        ("k-narrow", "m", r#","models":"gpt-5""#, 403),
        ("k-narrow", "m", r#","fallbacks":"default""#, 200),
        ("k-narrow", "m", r#","fallbacks":[{"model":"gpt-4o"}]"#, 200),
        ("k-narrow", "m", r#","fallbacks":[{"model":"gpt-5"}]"#, 403),
        (
            "k-narrow",
            "m",
            r#","tools":[{"type":"x","model":"gpt-5"}]"#,
            403,
        ),
        ("k-team", "m", "", 200),
        ("k-team", "gpt-4o", "", 403),
        ("k-any", "gpt-5", r#","models":["x"]"#, 200),
    ] {
        let headers = format!("Authorization: Bearer {key}\r\n");
        let answer = ask_for(&router, &headers, &body(model, more));
        assert_eq!(answer.status, expected, "{key} {model} {more}");
        if expected == 403 {
            assert_eq!(answer.code(), "model_not_allowed");
        }
        // Large bodies are looked through elsewhere.
        let filler = format!("{more},\"x\":\"{}\"", "y".repeat(2 << 20));
        let answer = ask_for(&router, &headers, &body(model, &filler));
        assert_eq!(answer.status, expected, "{key} {model} {more}, large");
    }
}

#[test]
fn a_key_sees_the_models_that_it_may_ask_for() {
    let (_alpha, router) = narrow_keys();
    let list = |key: &str, headers: &str, path: &str| {
        let mut client = Client::connect(router.addr());
        let headers = format!("Authorization: Bearer {key}\r\n{headers}");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        client.answer()
    };
    let messages = "anthropic-version: 2023-06-01\r\n";
    let ids = |answer: &Answer| {
        let json = answer.json();
        let models = json["data"].as_array().expect("a list").iter();
        let ids = models.map(|model| model["id"].as_str().expect("an id").to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    for (key, expected) in [
        ("k-narrow", "m gpt-4o gpt-4o-mini"),
        ("k-team", "m"),
        ("k-any", "m gpt-4o gpt-4o-mini gpt-5"),
    ] {
        for headers in ["", messages] {
            assert_eq!(ids(&list(key, headers, "/v1/models")), expected, "{key}");
            let one = |id: &str| list(key, headers, &format!("/v1/models/{id}")).status;
            assert_eq!(one("m"), 200, "{key}");
            let may = expected.contains("gpt-5");
            assert_eq!(one("gpt-5"), if may { 200 } else { 404 }, "{key}");
        }
    }
    let page = list("k-narrow", messages, "/v1/models?limit=1&after_id=m");
    assert_eq!(ids(&page), "gpt-4o");
    let page = page.json();
    assert_eq!(
        (&page["has_more"], &page["last_id"]),
        (&json!(true), &json!("gpt-4o"))
    );
    let hidden = list("k-narrow", messages, "/v1/models?after_id=gpt-5");
    assert_eq!(hidden.status, 400, "it cannot be seen whether it is there");
}

#[test]
fn of_repeated_headers_every_key_is_looked_at() {
    let alpha = mock(json!({"name": "alpha"}));
    let entries = [entry("one", "k-one", ""), entry("two", "k-two", "")];
    let router = Router::start(&listed(&[&alpha], &entries, ""));
    for name in ["x-api-key", "api-key"] {
        for (keys, expected) in [
            (["k-one", "k-two"], 401),
            (["k-one", "k-one"], 200),
            (["sk-other", "k-two"], 200),
            (["k-one", "sk-other"], 200),
            (["sk-other", "sk-third"], 401),
        ] {
            let [first, second] = keys;
            let headers = format!("{name}: {first}\r\n{name}: {second}\r\n");
            let answer = ask_for(&router, &headers, &chat("x"));
            assert_eq!(answer.status, expected, "{name}: {keys:?}");
        }
    }
}

#[test]
fn a_key_may_have_streams_tell_their_cost() {
    let alpha = mock(json!({"name": "alpha"}));
    let entries = [
        entry("web", "k-web", ", stream_cost: true"),
        entry("bare", "k-bare", ""),
    ];
    let router = Router::start(&listed(&[&alpha], &entries, ""));
    let mut body: Value = serde_json::from_str(&streamed_chat("x")).expect("JSON");
    body["stream_options"] = json!({"include_usage": true});
    for (key, tells) in [("k-web", true), ("k-bare", false)] {
        let headers = format!("Authorization: Bearer {key}\r\n");
        let answer = ask_for(&router, &headers, &body.to_string());
        assert_eq!(answer.text().contains("cost_usd"), tells, "{key}");
    }
}

#[test]
fn a_file_of_keys_comes_into_force_by_itself_and_a_bad_one_changes_nothing() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let path = folder.write("keys.yml", entry("one", "k-one", ""));
    let auth = format!("auth: {{mode: keys, keys_file: '{}'}}\n", path.display());
    let config = config_for(&[&alpha], &format!("{auth}server: {{shards: 2}}\n"));
    let router = Router::start(&config);
    let mut open = Client::connect(router.addr());
    let headers = "Authorization: Bearer k-one\r\n";
    open.post_with("/v1/chat/completions", headers, &chat("x"));
    assert_eq!(open.answer().status, 200);
    assert_eq!(ask(&router, "k-two").status, 401);
    // Another file takes its place, as editors and Kubernetes do it.
    let next = folder.write("next.yml", entry("two", "k-two", ""));
    fs::rename(&next, &path).expect("renamed");
    eventually("the new key gets in", || {
        ask(&router, "k-two").status == 200
    });
    // Connections that are open go by it, too, on every shard.
    open.post_with("/v1/chat/completions", headers, &chat("x"));
    assert_eq!(open.answer().status, 401);
    for _ in 0..16 {
        assert_eq!(ask(&router, "k-one").status, 401);
    }
    for (bad, fault) in [
        ("- name: [", "did not find"),
        ("- {name: a}", "keys[0].hash: is required"),
        ("[]", "no key is configured"),
    ] {
        fs::write(&path, bad).expect("written");
        router.wait_for_log(fault);
        assert_eq!(ask(&router, "k-two").status, 200, "{bad}");
        // A reload of the configuration is refused for the same reason.
        assert_eq!(
            post(router.addr(), "/_infermux/reload").status,
            422,
            "{bad}"
        );
    }
    fs::remove_file(&path).expect("removed");
    router.wait_for_log("No such file");
    // Whoever waited for a pipe to be written would read nothing ever again.
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    router.wait_for_log("is not a regular file");
    fs::remove_file(&path).expect("removed");
    assert_eq!(ask(&router, "k-two").status, 200);
    fs::write(&path, entry("three", "k-three", "")).expect("written");
    eventually("the file is read again", || {
        ask(&router, "k-three").status == 200
    });
    assert_eq!(ask(&router, "k-two").status, 401);
}

/// Asks with `k-web` until `stop` says so, 500 times a second with all other callers together.
fn keep_asking(router: &Router, start: Instant, (stop, sent): (&AtomicBool, &AtomicU64)) {
    let mut client = Client::connect(router.addr());
    while !stop.load(Ordering::Relaxed) {
        let headers = "Authorization: Bearer k-web\r\n";
        client.post_with("/v1/chat/completions", headers, &chat("x"));
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_millis(2 * number);
        thread::park_timeout(due.saturating_sub(start.elapsed()));
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn five_hundred_requests_a_second_go_through_eight_other_files_of_keys() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    // The key that asks stays, and its limit and its budget are others each time.
    let file = |round: u64| {
        let rest = format!(
            ", limits: {{requests_per_minute: {}}}, budgets: [{{usd: {}, per: day}}]",
            1_000_000 + round,
            1_000 + round
        );
        let (web, other) = (entry("web", "k-web", &rest), format!("k-{round}"));
        [web, entry(&format!("other-{round}"), &other, "")].concat()
    };
    let path = folder.write("keys.yml", file(0));
    let auth = format!("auth: {{mode: keys, keys_file: '{}'}}\n", path.display());
    let config = config_for(&[&alpha], &format!("{auth}server: {{shards: 2}}\n"));
    let router = Router::start(&config);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| keep_asking(&router, start, (&stop, &sent)));
        }
        // However it ends, the callers end.
        let _stop = Stop(&stop);
        for round in 1..=8 {
            let next = folder.write("next.yml", file(round));
            fs::rename(&next, &path).expect("renamed");
            eventually("the other key gets in", || {
                ask(&router, &format!("k-{round}")).status == 200
            });
            assert_eq!(ask(&router, &format!("k-{}", round - 1)).status, 401);
            let before = sent.load(Ordering::Relaxed);
            eventually("requests go on", || {
                sent.load(Ordering::Relaxed) >= before + 50
            });
        }
    });
    let (sent, seconds) = (sent.into_inner(), start.elapsed().as_secs_f64());
    assert_eq!(alpha.stats().requests, sent + 8, "each was sent once");
    assert!(sent as f64 > 250.0 * seconds, "{sent} in {seconds} s");
}

#[test]
fn a_reload_brings_listed_keys_and_other_modes() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&listed(&[&alpha], &[entry("one", "k-one", "")], ""));
    assert_eq!(ask(&router, "k-one").status, 200);
    let two = listed(&[&alpha], &[entry("two", "k-two", "")], "");
    assert_eq!(router.reload(&two).status, 200);
    assert_eq!(
        (ask(&router, "k-one").status, ask(&router, "k-two").status),
        (401, 200)
    );
    let open = config_for(&[&alpha], "auth: {mode: passthrough}\n");
    assert_eq!(router.reload(&open).status, 200);
    assert_eq!(ask(&router, "anything").status, 200);
    assert_eq!(router.reload(&two).status, 200);
    assert_eq!(
        (
            ask(&router, "anything").status,
            ask(&router, "k-two").status
        ),
        (401, 200)
    );
}

#[test]
fn operators_see_keys_and_switch_them() {
    let alpha = mock(json!({"name": "alpha"}));
    let entries = [
        entry("one", "k-one", ", team: t, expires: 2099-01-31"),
        entry("big/two", "k-two", ", disabled: true"),
    ];
    let config = listed(
        &[&alpha],
        &entries,
        "teams: [{name: t}]\nserver: {shards: 2}\n",
    );
    let router = Router::start(&config);
    let keys = get(router.addr(), "/_infermux/keys").json();
    assert_eq!(
        keys["keys"][0],
        json!({
            "name": "one", "team": "t", "caller": "one", "state": "active",
            "expires": "2099-02-01T00:00:00.000Z", "secrets": 1, "spent_usd": {"month": 0},
        })
    );
    assert_eq!(keys["keys"][1]["state"], "disabled");
    assert!(!keys.to_string().contains("sha256"));
    let turn = |path: &str| post(router.addr(), &format!("/_infermux/keys/{path}"));
    assert_eq!(turn("one/disable").status, 200);
    assert_eq!(turn("big%2Ftwo/enable").json()["state"], "active");
    for _ in 0..16 {
        assert_eq!(ask(&router, "k-one").code(), "disabled_api_key");
        assert_eq!(ask(&router, "k-two").status, 200);
    }
    assert_eq!(turn("nobody/disable").code(), "unknown_key");
    assert_eq!(turn("one/delete").status, 404);
    assert_eq!(
        get(router.addr(), "/_infermux/keys/one/disable").status,
        405
    );
    // The next reload goes by the file again, and says so.
    assert_eq!(router.reload(&config).status, 200);
    assert_eq!(ask(&router, "k-one").status, 200);
    router.wait_for_log("a command had changed that key=one is_disabled=false");
    router.wait_for_log("a command had changed that key=big/two is_disabled=true");
}

/// Connections of which each shard has some.
fn connections(router: &Router, shards: usize) -> Vec<Client> {
    let mut all: Vec<Client> = Vec::new();
    eventually("each shard has some", || {
        all.extend((0..8).map(|_| {
            let mut client = Client::connect(router.addr());
            assert_eq!(ask_over(&mut client, "k-stays").status, 200);
            client
        }));
        (0..shards).all(|shard| {
            let label = format!("shard=\"{shard}\"");
            metric(router.addr(), "infermux_shard_connections", &[&label]) >= 3.0
        })
    });
    all
}

fn ask_over(client: &mut Client, key: &str) -> Answer {
    let headers = format!("Authorization: Bearer {key}\r\n");
    client.post_with("/v1/chat/completions", &headers, &chat("x"));
    client.answer()
}

#[test]
fn a_key_that_is_gone_or_switched_off_is_refused_at_the_next_request_on_every_shard() {
    for shards in [1, 2, 4] {
        let alpha = mock(json!({"name": "alpha"}));
        let folder = Folder::new();
        let [stays, goes, off] =
            ["stays", "goes", "off"].map(|name| entry(name, &format!("k-{name}"), ""));
        let path = folder.write("keys.yml", [&*stays, &*goes, &*off].concat());
        let auth = format!("auth: {{mode: keys, keys_file: '{}'}}\n", path.display());
        let config = config_for(&[&alpha], &format!("{auth}server: {{shards: {shards}}}\n"));
        let router = Router::start(&config);
        let mut open = connections(&router, shards);
        // Each shard remembers them now.
        for client in &mut open {
            for key in ["k-goes", "k-off"] {
                assert_eq!(ask_over(client, key).status, 200);
            }
        }
        let switched = post(router.addr(), "/_infermux/keys/off/disable");
        assert_eq!(switched.status, 200);
        for client in &mut open {
            assert_eq!(ask_over(client, "k-off").code(), "disabled_api_key");
        }
        let next = folder.write("next.yml", [&*stays, &entry("new", "k-new", "")].concat());
        fs::rename(&next, &path).expect("renamed");
        // One shard has seen the other file: none of them goes by the former one any more.
        eventually("the new key gets in", || {
            ask(&router, "k-new").status == 200
        });
        for client in &mut open {
            assert_eq!(ask_over(client, "k-goes").code(), "invalid_api_key");
            assert_eq!(ask_over(client, "k-stays").status, 200);
        }
    }
}

#[test]
fn a_start_without_usable_keys_fails() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    for (name, text, fault) in [
        ("absent.yml", None, "No such file"),
        ("empty.yml", Some(""), "no key is configured"),
        ("bad.yml", Some("- {name: a, hash: x}"), "keys[0].hash"),
    ] {
        let path = folder.path().join(name);
        if let Some(text) = text {
            folder.write(name, text);
        }
        let auth = format!("auth: {{mode: keys, keys_file: '{}'}}\n", path.display());
        let config = folder.write("infermux.yml", config_for(&[&alpha], &auth));
        let done = run(&["serve", "--config", &config.display().to_string()]);
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        assert!(done.stderr.contains(fault), "{}", done.stderr);
        let done = run(&["validate", "--config", &config.display().to_string()]);
        let expected = if text.is_some() { 3 } else { 0 };
        assert_eq!(done.code, Some(expected), "{} {}", done.stdout, done.stderr);
    }
}

#[test]
fn a_key_is_made_hashed_and_written() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let path = folder.write("keys.yml", format!("# ours\n{}", entry("one", "k-one", "")));
    let auth = format!(
        "auth: {{mode: keys, keys_file: '{}'}}\nteams: [{{name: t}}]\n",
        path.display()
    );
    let config = config_for(&[&alpha], &auth);
    let file = folder.write("infermux.yml", &config).display().to_string();
    let router = Start::with(&config).go();
    let made = run(&[
        "key",
        "new",
        "--name",
        "two",
        "--team",
        "t",
        "--expires",
        "2099-01-31",
        "--model",
        "gpt-*",
        "--model",
        "m",
        "--write",
        "--config",
        &file,
    ]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = made.stdout.trim().to_owned();
    assert!(key.starts_with("imx_") && key.len() == 53, "{key}");
    eventually("the key gets in", || ask(&router, &key).status != 401);
    let text = fs::read_to_string(&path).expect("read");
    assert!(
        text.starts_with("# ours\n") && !text.contains(&key),
        "{text}"
    );
    assert!(is_alone(&path), "nothing is left beside the file");
    // A name is taken once, and a team must be one.
    let taken = format!(
        "error: {}: there is a key called two already\n",
        path.display()
    );
    let no_team = "error: team: no team has the name `nobody`\n";
    for (name, team, told) in [("two", "t", &*taken), ("three", "nobody", no_team)] {
        let args = [
            "key", "new", "--name", name, "--team", team, "--write", "--config", &file,
        ];
        let again = run(&args);
        assert_eq!((again.code, &*again.stderr), (Some(1), told));
        assert!(!again.stdout.contains("imx_"));
    }
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
    // Without --write, the entry is printed and can be used as it is.
    let made = run(&["key", "new", "--name", "three"]);
    let (key, entry) = made.stdout.split_once('\n').expect("two parts");
    fs::write(&path, entry).expect("written");
    eventually("the printed entry works", || {
        ask(&router, key).status == 200
    });
    let digest = Digest::of(key.as_bytes());
    assert!(entry.contains(&digest.to_string()), "{entry}");
    // Mistyped, it is refused by its form.
    let cut = ask(&router, &key[..52]);
    assert_eq!(told(&cut), (401, "invalid_api_key".to_owned()));
    assert!(cut.text().contains("check sum"), "{}", cut.text());
    let server = format!("http://{}", router.addr());
    let listed = run(&["key", "list", "--server", &server]);
    assert!(
        listed.stdout.contains("three") && listed.stdout.contains("active"),
        "{}",
        listed.stdout
    );
    for (act, status) in [("disable", 401), ("enable", 200)] {
        assert_eq!(
            run(&["key", act, "three", "--server", &server]).code,
            Some(0)
        );
        assert_eq!(ask(&router, key).status, status, "{act}");
    }
    assert_eq!(
        run(&["key", "disable", "nobody", "--server", &server]).code,
        Some(3)
    );
}

/// A router with a file of keys in this folder: its path, and that of the configuration.
fn with_file(mock: &Mock, folder: &Folder, keys: &str) -> (String, String) {
    let path = folder.write("keys.yml", keys).display().to_string();
    let auth = format!("auth: {{mode: keys, keys_file: '{path}'}}\nteams: [{{name: t}}]\n");
    let config = folder.write("infermux.yml", config_for(&[mock], &auth));
    (path, config.display().to_string())
}

#[test]
fn a_rotated_key_has_two_secrets_until_the_former_one_ends() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let one = entry("one", "k-one", ", team: t").replace('\n', " # of one\n");
    let keys = format!("# ours\n{one}{}# the end\n", entry("two", "k-two", ""));
    let (path, file) = with_file(&alpha, &folder, &keys);
    let router = Router::start(&fs::read_to_string(&file).expect("read"));
    let rotated = run(&["key", "rotate", "one", "--write", "--config", &file]);
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    let key = rotated.stdout.trim().to_owned();
    assert!(key.starts_with("imx_") && key.len() == 53, "{key}");
    eventually("the new secret gets in", || {
        ask(&router, &key).status == 200
    });
    assert_eq!(ask(&router, "k-one").status, 200);
    router.wait_for_log("change=\"key one: hash\"");
    let text = fs::read_to_string(&path).expect("read");
    assert!(
        text.starts_with("# ours\n- {name: one, hashes: [{hash: ") && !text.contains(&key),
        "{text}"
    );
    assert!(text.contains("# of one\n- {name: two") && text.ends_with("# the end\n"));
    assert!(
        is_alone(Path::new(&path)),
        "nothing is left beside the file"
    );
    // Once more, and both former secrets end at once.
    let again = run(&["key", "rotate", "one", "--overlap", "0s", "--file", &path]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let latest = again.stdout.trim().to_owned();
    eventually("the latest secret gets in", || {
        ask(&router, &latest).status == 200
    });
    for former in ["k-one", &key] {
        assert_eq!(ask(&router, former).code(), "expired_api_key");
    }
    assert_eq!(ask(&router, "k-two").status, 200);
    // Without --write, nothing changes, and what the entry would have is printed.
    let text = fs::read_to_string(&path).expect("read");
    let shown = run(&["key", "rotate", "two", "--overlap", "1d", "--config", &file]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let (key, hashes) = shown.stdout.split_once('\n').expect("two parts");
    let digest = Digest::of(key.as_bytes());
    assert!(hashes.starts_with("  hashes:\n    - {hash: "), "{hashes}");
    assert!(hashes.contains(&digest.to_string()), "{hashes}");
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
    fs::write(&path, format!("- name: two\n{hashes}")).expect("written");
    eventually("the printed hashes work", || {
        ask(&router, key).status == 200
    });
    assert_eq!(ask(&router, "k-two").status, 200);
}

#[test]
fn a_key_is_out_of_use_for_good_once_its_file_says_so() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let keys = format!(
        "- name: one # of one\n  hash: 'sha256:{}'\n\n{}",
        Digest::of(b"k-one"),
        entry("two", "k-two", "")
    );
    let (path, file) = with_file(&alpha, &folder, &keys);
    let config = fs::read_to_string(&file).expect("read");
    let router = Router::start(&config);
    let off = run(&["key", "disable", "one", "--write", "--config", &file]);
    assert_eq!(off.code, Some(0), "{}", off.stderr);
    assert!(off.stdout.contains("one is disabled in "), "{}", off.stdout);
    eventually("the key is refused", || ask(&router, "k-one").status == 401);
    assert_eq!(ask(&router, "k-one").code(), "disabled_api_key");
    assert_eq!(router.reload(&config).status, 200);
    assert_eq!(ask(&router, "k-one").code(), "disabled_api_key");
    assert_eq!(ask(&router, "k-two").status, 200);
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.starts_with("- name: one # of one\n  hash: "), "{text}");
    let on = run(&["key", "enable", "one", "--file", &path]);
    assert_eq!(on.code, Some(0), "{}", on.stderr);
    eventually("the key gets in", || ask(&router, "k-one").status == 200);
    router.wait_for_log("change=\"key one: disabled\"");
}

#[test]
fn a_file_that_cannot_be_changed_stays_as_it_is() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let hash = Digest::of(b"k-one");
    for (text, name, code, problem) in [
        (
            entry("one", "k-one", ""),
            "nobody",
            3,
            "no key is called nobody",
        ),
        (
            format!("- &a {{name: one, hash: 'sha256:{hash}'}}\n"),
            "one",
            1,
            "change it by hand",
        ),
        ("- {name: one".into(), "one", 1, "did not find"),
    ] {
        let (path, file) = with_file(&alpha, &folder, &text);
        for command in [&["disable"][..], &["rotate", "--overlap", "1h"]] {
            let rest = ["--write", "--config", &file, name];
            let done = run(&[&["key"][..], command, &rest].concat());
            assert_eq!(done.code, Some(code), "{}", done.stderr);
            assert!(done.stderr.contains(problem), "{}", done.stderr);
            assert!(!done.stdout.contains("imx_"), "{}", done.stdout);
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
    }
    // A key of the configuration itself is changed by hand.
    let keys = entry("one", "k-one", "").replacen("- ", "", 1);
    let path = folder.write("empty.yml", "").display().to_string();
    let auth = format!("auth: {{mode: keys, keys_file: '{path}', keys: [{keys}]}}\n");
    let file = folder.write("infermux.yml", config_for(&[&alpha], &auth));
    let file = file.display().to_string();
    let done = run(&["key", "disable", "one", "--write", "--config", &file]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("in auth.keys"), "{}", done.stderr);
    let new = ["key", "new", "--name", "one", "--write", "--config", &file];
    let done = run(&new);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("called one already"),
        "{}",
        done.stderr
    );
    assert_eq!(fs::read_to_string(&path).expect("read"), "");
}

#[test]
fn commands_at_the_same_time_lose_no_key() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let (path, file) = with_file(&alpha, &folder, "[]\n");
    let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
    thread::scope(|scope| {
        for name in &names {
            let new = ["key", "new", "--name", name, "--write", "--config", &file];
            scope.spawn(move || {
                let made = run(&new);
                assert_eq!(made.code, Some(0), "{}", made.stderr);
            });
        }
    });
    let text = fs::read_to_string(&path).expect("read");
    for name in &names {
        assert!(
            text.contains(&format!("name: \"{name}\"\n")),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_new_key_has_the_limits_and_budgets_of_its_flags() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let (path, file) = with_file(&alpha, &folder, "[]\n");
    let flags = [
        "--requests-per-minute",
        "600",
        "--tokens-per-minute",
        "200000",
        "--requests-per-day",
        "50000",
        "--tokens-per-day",
        "20000000",
        "--max-in-flight",
        "20",
        "--budget",
        "50/month",
        "--budget",
        "5/day/alert",
        "--no-enforce",
    ];
    let rest = ["key", "new", "--name", "one", "--write", "--config", &file];
    let made = run(&[&rest[..], &flags].concat());
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let text = fs::read_to_string(&path).expect("read");
    for line in [
        "  limits: {requests_per_minute: 600, tokens_per_minute: 200000, requests_per_day: 50000, \
         tokens_per_day: 20000000, max_in_flight: 20, enforce: false}\n",
        "  budgets: [{usd: 50, per: month, enforce: false}, {usd: 5, per: day, action: alert}]\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let valid = run(&["validate", "--strict", "--config", &file]);
    assert_eq!(valid.code, Some(0), "{} {}", valid.stdout, valid.stderr);
    for (flag, value, problem) in [
        ("--requests-per-minute", "0", "0 is not between 1 and"),
        ("--budget", "1e9/day", "is more than 100000000"),
        ("--budget", "5", "is not like 50/month"),
        ("--overlap", "7d", "--overlap"),
    ] {
        let done = run(&["key", "new", "--name", "two", flag, value]);
        assert_eq!(done.code, Some(1), "{flag} {value}");
        assert!(done.stderr.contains(problem), "{}", done.stderr);
        assert!(!done.stdout.contains("imx_"), "{}", done.stdout);
    }
}

fn is_alone(path: &Path) -> bool {
    let folder = fs::read_dir(path.parent().expect("a folder")).expect("read");
    folder
        .map_while(Result::ok)
        .all(|file| !file.path().display().to_string().ends_with(".new"))
}
