//! What each caller's key and each team has spent, as operators see it: exact over all shards, kept
//! over restarts, and by name alone.

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::costs::{named, nano, report, told};
use crate::responses_stored::request;
use crate::support::client::{Answer, Client};
use crate::support::load::together;
use crate::support::native::Native;
use crate::support::operate::{get, metric, post};
use crate::support::router::{Folder, Router, Start};
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

const BY_KEY: &str = "/_infermux/costs/by-key";
const BY_TEAM: &str = "/_infermux/costs/by-team";

/// All that says something of keys, callers or teams.
const REPORTS: [&str; 8] = [
    "costs/by-key",
    "costs/by-team",
    "costs/by-caller",
    "costs",
    "keys",
    "metrics",
    "status",
    "providers",
];

/// The keys of these tests: name, secret, and the rest of its entry.
const KEYS: [(&str, &str, &str); 3] = [
    ("web", "k-web", ", team: product, callers: ['agent-*']"),
    ("ci", "k-ci", ", team: product"),
    ("lone", "k-lone", ", caller: somebody"),
];

/// A configuration in which these keys may ask `mock`, whose prices are odd.
fn config(mock: &Mock, keys: &[(&str, &str, &str)], rest: &str) -> String {
    let keys = keys.iter().map(|(name, key, rest)| entry(name, key, rest));
    let keys: String = keys.map(|entry| format!("    {entry}")).collect();
    let price = "{input_per_million: 3.7, output_per_million: 15.1}";
    let rest = format!(
        "teams: [{{name: product}}, {{name: idle}}]\nauth:\n  mode: keys\n  keys:\n{keys}\
         pricing: {{alpha: {{m: {price}}}}}\n{rest}"
    );
    config_of(&[provider(mock, &["models: [m]"])], &rest)
}

fn ask(router: &Router, key: &str, headers: &str, body: &str) -> Answer {
    let headers = format!("Authorization: Bearer {key}\r\n{headers}");
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/chat/completions", &headers, body);
    let answer = client.answer();
    assert!(answer.complete, "{}", answer.text());
    answer
}

/// Nano-dollars and requests of a name in a report: `kind` is `key`, `team` or `caller`.
fn spent(router: &Router, kind: &str, name: &str) -> (u64, u64) {
    let report = report(router.management(), &format!("costs/by-{kind}"));
    let all = report[format!("{kind}s")].as_array().expect("a list");
    let one = all.iter().find(|one| one[kind] == name);
    one.map_or((0, 0), |one| {
        let requests = one["requests"].as_u64().expect("a number");
        (nano(&one["total_usd"]), requests)
    })
}

/// The names in a report, in its order.
fn names(router: &Router, kind: &str) -> Vec<String> {
    let report = report(router.management(), &format!("costs/by-{kind}"));
    let all = report[format!("{kind}s")].as_array().expect("a list");
    let names = all.iter().map(|one| one[kind].as_str().expect("a name"));
    names.map(ToOwned::to_owned).collect()
}

fn plus(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0 + other.0, one.1 + other.1)
}

/// Neither a secret nor the digest of one is in any report or in the log.
fn assert_no_secret_in_reports(router: &Router, keys: &[(&str, &str, &str)]) {
    let reports = REPORTS.map(|path| {
        let answer = get(router.management(), &format!("/_infermux/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        answer.text()
    });
    for text in reports.iter().chain([&router.log()]) {
        for (_, key, _) in keys {
            let digest = Digest::of(key.as_bytes()).to_string();
            assert!(!text.contains(key), "{key}: {text}");
            assert!(!text.contains(&digest[..12]), "the hash of {key}: {text}");
        }
        assert!(!text.contains("sha256"), "{text}");
    }
}

// proves: counters.exact
#[test]
fn what_each_key_and_team_spends_adds_up_over_all_shards() {
    for shards in [1, 2] {
        let alpha = named("alpha", &json!({}));
        let config = config(&alpha, &KEYS, &format!("server: {{shards: {shards}}}\n"));
        let router = Start::with(&config).args(&["--log-level", "debug"]).go();
        let addr = router.addr();
        let sums = together(24, move |number| {
            let (_, key, _) = KEYS[number % KEYS.len()];
            let caller = ["", "X-Infermux-Caller: agent-7\r\n"][number / 3 % 2];
            let headers = format!("Authorization: Bearer {key}\r\n{caller}");
            let mut client = Client::connect(addr);
            let text = "word ".repeat(number);
            let bodies = [chat(&text), streamed_chat(&text)].into_iter().cycle();
            let ask = |body: String| {
                client.post_with("/v1/chat/completions", &headers, &body);
                let answer = client.answer();
                assert!(answer.complete && answer.status == 200, "{}", answer.text());
                told(&answer)
            };
            (number, bodies.take(4).map(ask).sum::<u64>())
        });
        let sum = |is: fn(usize) -> bool| -> (u64, u64) {
            let own = sums.iter().filter(|(number, _)| is(*number));
            own.fold((0, 0), |all, (_, cost)| plus(all, (*cost, 4)))
        };
        let (web, ci, lone) = (
            sum(|n| n % 3 == 0),
            sum(|n| n % 3 == 1),
            sum(|n| n % 3 == 2),
        );
        // Whom nobody knows is counted nowhere.
        assert_eq!(ask(&router, "k-nobody", "", &chat("x")).status, 401);
        assert_eq!(spent(&router, "key", "web"), web);
        assert_eq!(spent(&router, "key", "ci"), ci);
        assert_eq!(spent(&router, "key", "lone"), lone);
        assert_eq!(names(&router, "key"), ["ci", "lone", "web"]);
        assert_eq!(spent(&router, "team", "product"), plus(web, ci));
        assert_eq!(spent(&router, "team", "(none)"), lone);
        assert_eq!(names(&router, "team"), ["(none)", "product"]);
        // A caller whom its key may name is counted, and so is the key.
        let named = sum(|n| n % 3 == 0 && n / 3 % 2 == 1);
        assert_eq!(spent(&router, "caller", "agent-7"), named);
        assert_eq!(
            names(&router, "caller"),
            ["agent-7", "ci", "somebody", "web"]
        );
        let all = report(addr, "costs");
        assert_eq!(nano(&all["total_usd"]), plus(plus(web, ci), lone).0);
        assert_eq!(all["requests"], 96);
        assert_no_secret_in_reports(&router, &KEYS);
    }
}

#[test]
fn a_report_by_key_has_the_fields_of_one_by_caller() {
    let alpha = named(
        "alpha",
        &json!({"prompt_tokens": 1_000_000, "completion_tokens": 10}),
    );
    let router = Router::start(&config(&alpha, &KEYS, ""));
    assert_eq!(ask(&router, "k-web", "", &chat("x")).status, 200);
    assert_eq!(ask(&router, "k-web", "", &streamed_chat("x")).status, 200);
    let fields = json!({"total_usd": 7.400302, "requests": 2,
        "prompt_tokens": 2_000_000, "completion_tokens": 20});
    for (kind, name) in [("key", "web"), ("team", "product"), ("caller", "web")] {
        let found = report(router.addr(), &format!("costs/by-{kind}"));
        let mut one = fields.clone();
        one[kind] = name.into();
        let period = report(router.addr(), "costs")["period"].clone();
        let list = format!("{kind}s");
        assert_eq!(found, json!({"period": period, list: [one]}));
    }
}

#[test]
fn without_keys_nothing_is_counted_by_key_or_team() {
    let alpha = mock(json!({"name": "alpha"}));
    for mode in ["{mode: passthrough}", "{mode: static_key, key: k-web}"] {
        let config = config_of(&[provider(&alpha, &[])], &format!("auth: {mode}\n"));
        let router = Router::start(&config);
        assert_eq!(ask(&router, "k-web", "", &chat("x")).status, 200);
        assert_eq!(report(router.addr(), "costs")["requests"], 1);
        assert_eq!(report(router.addr(), "costs/by-key")["keys"], json!([]));
        assert_eq!(report(router.addr(), "costs/by-team")["teams"], json!([]));
    }
}

#[test]
fn a_renamed_key_is_counted_under_both_names_and_a_key_that_is_gone_stays() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config(&alpha, &KEYS, "server: {shards: 2}\n"));
    for key in ["k-web", "k-web", "k-lone"] {
        assert_eq!(ask(&router, key, "", &chat("x")).status, 200);
    }
    let renamed = [("site", "k-web", ", team: idle"), ("ci", "k-ci", "")];
    assert_eq!(
        router
            .reload(&config(&alpha, &renamed, "server: {shards: 2}\n"))
            .status,
        200
    );
    assert_eq!(ask(&router, "k-web", "", &chat("x")).status, 200);
    assert_eq!(ask(&router, "k-lone", "", &chat("x")).status, 401);
    let requests = |kind, name| spent(&router, kind, name).1;
    assert_eq!(names(&router, "key"), ["lone", "site", "web"]);
    assert_eq!((requests("key", "web"), requests("key", "site")), (2, 1));
    assert_eq!(
        (requests("team", "product"), requests("team", "idle")),
        (2, 1)
    );
    assert_eq!(requests("key", "lone"), 1);
}

// proves: state.survives
#[test]
fn spend_by_key_and_team_survives_a_restart() {
    let alpha = named("alpha", &json!({}));
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let kept = format!(
        "budgets: {{state_file: {}, callers: []}}\n",
        state.display()
    );
    let text = || std::fs::read_to_string(&state).expect("a state");
    let own = config(&alpha, &KEYS, &kept);
    let mut router = Router::start(&own);
    for (_, key, _) in KEYS {
        assert_eq!(ask(&router, key, "", &chat("some words")).status, 200);
    }
    let reports = |router: &Router| {
        let paths = ["costs/by-key", "costs/by-team"];
        paths.map(|path| report(router.addr(), path))
    };
    let before = reports(&router);
    assert_eq!(before[0]["keys"].as_array().map(Vec::len), Some(3));
    assert_eq!(before[1]["teams"].as_array().map(Vec::len), Some(2));
    router.signal("TERM");
    assert!(router.wait().success());
    for (_, key, _) in KEYS {
        let digest = Digest::of(key.as_bytes()).to_string();
        assert!(
            !text().contains(key) && !text().contains(&digest),
            "{}",
            text()
        );
    }
    // What was counted before and after is one sum.
    let mut router = Router::start(&own);
    assert_eq!(reports(&router), before);
    let (cost, requests) = spent(&router, "key", "web");
    let more = told(&ask(&router, "k-web", "", &chat("some words")));
    assert!(more > 0);
    assert_eq!(spent(&router, "key", "web"), (cost + more, requests + 1));
    assert_eq!(spent(&router, "team", "product").1, 3);
    let all = nano(&report(router.addr(), "costs")["total_usd"]);
    eventually("the state is written", || {
        let state: Value = serde_json::from_str(&text()).expect("JSON");
        let months = state["months"].as_object().expect("months");
        months.values().any(|month| month["all"][0] == all)
    });
    router.signal("KILL");
    assert!(!router.wait().success());
    // A state of a time before keys were counted, and without them as without their members.
    let mut old: Value = serde_json::from_str(&text()).expect("JSON");
    for month in old["months"].as_object_mut().expect("months").values_mut() {
        for member in ["keys", "teams"] {
            assert!(
                month
                    .as_object_mut()
                    .expect("a month")
                    .remove(member)
                    .is_some()
            );
        }
    }
    std::fs::write(&state, old.to_string()).expect("written");
    let router = Router::start(&own);
    assert_eq!(nano(&report(router.addr(), "costs")["total_usd"]), all);
    assert_eq!(spent(&router, "caller", "web"), (cost + more, requests + 1));
    assert!(names(&router, "key").is_empty() && names(&router, "team").is_empty());
    assert_eq!(ask(&router, "k-web", "", &chat("x")).status, 200);
    assert_eq!(spent(&router, "key", "web").1, 1);
}

#[test]
fn a_state_without_keys_is_as_it_was_before_they_were_counted() {
    let alpha = named("alpha", &json!({}));
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let kept = format!(
        "budgets: {{state_file: {}, callers: []}}\n",
        state.display()
    );
    let mut router = Router::start(&config_of(&[provider(&alpha, &[])], &kept));
    assert_eq!(ask(&router, "any", "", &chat("x")).status, 200);
    router.signal("TERM");
    assert!(router.wait().success());
    let text = std::fs::read_to_string(&state).expect("a state");
    let state: Value = serde_json::from_str(&text).expect("JSON");
    let months = state["months"].as_object().expect("months");
    let members: Vec<_> = months.values().filter_map(Value::as_object).collect();
    assert_eq!(members.len(), 1);
    let members: Vec<&str> = members[0].keys().map(String::as_str).collect();
    assert_eq!(members, ["all", "callers", "envs", "models", "projects"]);
}

#[test]
fn a_response_in_the_background_is_booked_for_the_key_that_asked_for_it() {
    let alpha = Native::start("alpha");
    let keys: String = KEYS[..2]
        .iter()
        .map(|(name, key, rest)| format!("    {}", entry(name, key, rest)))
        .collect();
    let rest = format!(
        "pricing: {{alpha: {{m: {{input_per_million: 1000, output_per_million: 2000}}}}}}\n\
         teams: [{{name: product}}]\nauth:\n  mode: keys\n  keys:\n{keys}server: {{shards: 2}}\n"
    );
    let router = Router::start(&config_of(&[alpha.provider(&[])], &rest));
    let body = json!({"model": "m", "input": "x", "background": true}).to_string();
    let json = "Content-Type: application/json\r\n";
    let headers = format!("{json}Authorization: Bearer k-web\r\n");
    let answer = request(&router, "POST /v1/responses", &headers, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (estimated, _) = spent(&router, "key", "web");
    assert!(estimated < 1_000_000_000, "{estimated}");
    let path = format!(
        "GET /v1/responses/{}",
        answer.json()["id"].as_str().expect("an id")
    );
    // Whoever asks for it, it was `web` that has used it.
    for _ in 0..2 {
        let answer = request(&router, &path, "Authorization: Bearer k-ci\r\n", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        // A thousand dollars per million tokens of 1,000, and two thousand of 500.
        assert_eq!(spent(&router, "key", "web"), (2_000_000_000, 1));
        assert_eq!(spent(&router, "team", "product"), (2_000_000_000, 1));
    }
    assert_eq!(metric(router.addr(), "infermux_cost_usd_total", &[]), 2.0);
    assert_eq!(names(&router, "key"), ["web"]);
}

#[test]
fn these_reports_are_behind_every_gate_of_operators() {
    let alpha = mock(json!({"name": "alpha"}));
    for rest in ["", "management_listen: \"127.0.0.1:0\"\n"] {
        let router = Start::with(&config(&alpha, &KEYS, rest))
            .env("INFERMUX_MANAGEMENT_TOKEN", "sesame")
            .go();
        let to = |addr, method: &str, path: &str, headers: &str| {
            let mut client = Client::connect(addr);
            client.send(format!(
                "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n{headers}\r\n"
            ));
            client.answer_to(method)
        };
        let token = "authorization: Bearer sesame\r\n";
        for path in [BY_KEY, BY_TEAM] {
            // A caller's key is no token of an operator.
            for (method, headers, status) in [
                ("GET", "", 401),
                ("GET", "authorization: Bearer sesame2\r\n", 401),
                ("GET", "authorization: Bearer k-web\r\n", 401),
                ("GET", "x-api-key: sesame\r\n", 401),
                ("GET", token, 200),
                ("HEAD", token, 200),
                ("POST", token, 405),
                ("DELETE", token, 405),
            ] {
                let answer = to(router.management(), method, path, headers);
                assert_eq!(answer.status, status, "{method} {path} {headers}");
                if status == 405 {
                    assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{path}");
                }
            }
            // Parameters are ignored, as other reports ignore those that they do not have.
            let other = format!("{path}?month=2026-01");
            assert_eq!(to(router.management(), "GET", &other, token).status, 200);
            let below = format!("{path}/web");
            assert_eq!(to(router.management(), "GET", &below, token).status, 404);
            if router.addr() != router.management() {
                assert_eq!(to(router.addr(), "GET", path, token).status, 404, "{path}");
            }
        }
    }
    let router = Router::start(&config(&alpha, &KEYS, ""));
    assert_eq!(post(router.addr(), BY_KEY).status, 405);
}
