//! What operators see of limits and budgets of keys and teams: what is left after requests on any
//! shard, to the request, the token and the billionth of a dollar.

use infermux::testing::base::digest::Digest;
use infermux::testing::report::metrics::ROWS;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::costs::named;
use crate::support::client::Client;
use crate::support::command::{end, infermux};
use crate::support::operate::{get, post};
use crate::support::router::{Folder, Router, Start};
use crate::support::{config_of, eventually, provider};

/// Name, secret, and the rest of the entry.
const KEYS: [(&str, &str, &str); 5] = [
    (
        "web",
        "k-web",
        ", team: product, \
         limits: {requests_per_minute: 10, requests_per_day: 20, tokens_per_day: 1000000, \
                  max_in_flight: 5}, \
         budgets: [{usd: 50, per: month, action: hard_stop}, \
                   {usd: 0.0025, per: day, action: alert}], \
         per_model: [{models: [n], limits: {requests_per_minute: 3}, \
                      budgets: [{usd: 1, per: total, action: hard_stop}]}]",
    ),
    (
        "shadow",
        "k-shadow",
        ", limits: {requests_per_minute: 1, enforce: false}, \
         budgets: [{usd: 0.001, per: week, action: hard_stop, enforce: false}]",
    ),
    (
        "off",
        "k-off",
        ", disabled: true, limits: {requests_per_minute: 7}",
    ),
    (
        "poor",
        "k-poor",
        ", budgets: [{usd: 0.003, per: day, action: hard_stop}]",
    ),
    ("plain", "k-plain", ""),
];

/// What the metrics say after the requests of [`played`]: name, values of the labels, value.
pub const SEEN: [(&str, &[&str], &str); 26] = [
    (LIMIT, &["key", "web", "", "requests_per_minute"], "10"),
    (LIMIT_LEFT, &["key", "web", "", "requests_per_minute"], "3"),
    (LIMIT_LEFT, &["key", "web", "", "requests_per_day"], "13"),
    (LIMIT_LEFT, &["key", "web", "", "tokens_per_day"], "992650"),
    (LIMIT_LEFT, &["key", "web", "", "max_in_flight"], "5"),
    (LIMIT_LEFT, &["key", "web", "n", "requests_per_minute"], "0"),
    (
        LIMIT_LEFT,
        &["team", "product", "", "requests_per_minute"],
        "93",
    ),
    (LIMIT_LEFT, &["key", "off", "", "requests_per_minute"], "7"),
    (
        LIMIT_REFUSED,
        &["key", "web", "n", "requests_per_minute"],
        "1",
    ),
    (
        LIMIT_REFUSED,
        &["key", "web", "", "requests_per_minute"],
        "0",
    ),
    (
        LIMIT_EXCEEDED,
        &["key", "shadow", "", "requests_per_minute"],
        "2",
    ),
    (
        BUDGET_LIMIT,
        &["key", "web", "", "month", "1", "true"],
        "50",
    ),
    (
        BUDGET_LIMIT,
        &["key", "shadow", "", "week", "1", "false"],
        "0.001",
    ),
    (
        BUDGET_SPENT,
        &["key", "web", "", "month", "1", "true"],
        "0.0168",
    ),
    (
        BUDGET_SPENT,
        &["key", "web", "", "day", "2", "true"],
        "0.0168",
    ),
    (
        BUDGET_SPENT,
        &["key", "web", "n", "total", "1", "true"],
        "0.0072",
    ),
    (
        BUDGET_SPENT,
        &["team", "product", "", "month", "1", "true"],
        "0.0168",
    ),
    (
        BUDGET_SPENT,
        &["key", "shadow", "", "week", "1", "false"],
        "0.0072",
    ),
    (BUDGET_ALERTS, &["key", "web", "", "day", "2", "80"], "1"),
    (BUDGET_ALERTS, &["key", "web", "", "day", "2", "100"], "1"),
    (BUDGET_ALERTS, &["key", "web", "", "month", "1", "80"], "0"),
    (
        BUDGET_ALERTS,
        &["key", "shadow", "", "week", "1", "100"],
        "1",
    ),
    (BUDGET_ALERTS, &["key", "poor", "", "day", "1", "80"], "0"),
    (BUDGET_ALERTS, &["key", "poor", "", "day", "1", "100"], "1"),
    (BUDGET_REFUSALS, &["key", "poor", "", "day", "1"], "1"),
    (BUDGET_REFUSALS, &["key", "shadow", "", "week", "1"], "0"),
];

const LIMIT: &str = "infermux_scope_limit";
const LIMIT_LEFT: &str = "infermux_scope_limit_left";
const LIMIT_REFUSED: &str = "infermux_scope_limit_refused_total";
const LIMIT_EXCEEDED: &str = "infermux_scope_limit_exceeded_total";
const BUDGET_LIMIT: &str = "infermux_scope_budget_limit_usd";
const BUDGET_SPENT: &str = "infermux_scope_budget_spent_usd";
const BUDGET_ALERTS: &str = "infermux_scope_budget_alerts_total";
const BUDGET_REFUSALS: &str = "infermux_scope_budget_refusals_total";

/// A router whose callers have made their requests: each costs 0.0024 dollars, and 1,050 tokens.
fn played(shards: usize) -> (Router, Mock) {
    let used = json!({"models": [], "usage": "always", "prompt_tokens": 1000,
        "completion_tokens": 50});
    let alpha = named("alpha", &used);
    let keys = KEYS.iter().map(|(name, key, rest)| entry(name, key, rest));
    let keys: String = keys.map(|entry| format!("    {entry}")).collect();
    let price = "{input_per_million: 2, output_per_million: 8}";
    let rest = format!(
        "teams:\n  - name: product\n    \
         limits: {{requests_per_minute: 100, tokens_per_minute: 1000000}}\n    \
         budgets: [{{usd: 500, per: month, action: hard_stop}}]\n  - name: idle\n\
         auth:\n  mode: keys\n  keys:\n{keys}\
         pricing: {{alpha: {{m: {price}, n: {price}}}}}\nserver: {{shards: {shards}}}\n"
    );
    let router = Router::start(&config_of(&[provider(&alpha, &["models: [m, n]"])], &rest));
    for (key, model, statuses) in [
        ("k-web", "m", &[200; 4][..]),
        ("k-web", "n", &[200, 200, 200, 429]),
        ("k-shadow", "m", &[200, 200, 200]),
        ("k-poor", "m", &[200, 200, 429]),
        ("k-plain", "m", &[200]),
        ("k-off", "m", &[401]),
    ] {
        for status in statuses {
            assert_eq!(ask(&router, key, model), *status, "{key} {model}");
        }
    }
    (router, alpha)
}

fn ask(router: &Router, key: &str, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    let mut client = Client::connect(router.addr());
    let headers = format!("Authorization: Bearer {key}\r\n");
    client.post_with("/v1/chat/completions", &headers, &body.to_string());
    client.answer().status
}

fn report(router: &Router, path: &str) -> Value {
    let answer = get(router.management(), &format!("/_infermux/{path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// The report without the moments in it, which must be there.
fn timeless(mut report: Value, moments: &[&str]) -> Value {
    for pointer in moments {
        let at = report.pointer_mut(pointer).expect("it is there").take();
        let at = at.as_str().expect("a moment");
        assert!(at.ends_with('Z'), "{pointer}: {at}");
        if pointer.contains("_per_day") {
            assert!(at.ends_with("T00:00:00.000Z"), "{pointer}: {at}");
        }
    }
    report
}

// proves: counters.exact
#[test]
fn the_report_on_keys_says_exactly_what_is_left() {
    for shards in [1, 2] {
        let (router, _alpha) = played(shards);
        let all = report(&router, "keys");
        let web = timeless(
            all["keys"][0].clone(),
            &[
                "/limits/requests_per_minute/resets_at",
                "/limits/requests_per_day/resets_at",
                "/limits/tokens_per_day/resets_at",
                "/budgets/0/resets_at",
                "/budgets/1/resets_at",
                "/per_model/0/limits/requests_per_minute/resets_at",
            ],
        );
        let expected = json!({
            "name": "web", "team": "product", "caller": "web", "state": "active",
            "expires": null, "secrets": 1, "spent_usd": {"month": 0.0168, "day": 0.0168},
            "limits": {
                "max_in_flight": {"limit": 5, "left": 5, "refused": 0, "exceeded": 0},
                "requests_per_minute":
                    {"limit": 10, "left": 3, "resets_at": null, "refused": 0, "exceeded": 0},
                "requests_per_day":
                    {"limit": 20, "left": 13, "resets_at": null, "refused": 0, "exceeded": 0},
                "tokens_per_day": {"limit": 1_000_000, "left": 992_650, "resets_at": null,
                                   "refused": 0, "exceeded": 0},
                "enforce": true,
            },
            "budgets": [
                {"per": "month", "usd": 50, "spent_usd": 0.0168, "remaining_usd": 49.9832,
                 "resets_at": null, "action": "hard_stop", "state": "within", "enforce": true,
                 "refused": 0},
                {"per": "day", "usd": 0.0025, "spent_usd": 0.0168, "remaining_usd": -0.0143,
                 "resets_at": null, "action": "alert", "state": "exceeded", "enforce": true,
                 "refused": 0},
            ],
            "per_model": [{
                "models": "n",
                "limits": {
                    "requests_per_minute":
                        {"limit": 3, "left": 0, "resets_at": null, "refused": 1, "exceeded": 0},
                    "enforce": true,
                },
                "budgets": [
                    {"per": "total", "usd": 1, "spent_usd": 0.0072, "remaining_usd": 0.9928,
                     "action": "hard_stop", "state": "within", "enforce": true, "refused": 0},
                ],
            }],
        });
        assert_eq!(web, expected);
        let shadow = &all["keys"][1];
        assert_eq!(shadow["limits"]["enforce"], false);
        let limit = &shadow["limits"]["requests_per_minute"];
        assert_eq!((&limit["left"], &limit["exceeded"]), (&json!(0), &json!(2)));
        assert_eq!(shadow["budgets"][0]["remaining_usd"], json!(-0.0062));
        assert_eq!(
            all["keys"][2],
            json!({
                "name": "off", "team": null, "caller": "off", "state": "disabled",
                "expires": null, "secrets": 0, "spent_usd": {"month": 0},
                "limits": {"requests_per_minute":
                    {"limit": 7, "left": 7, "refused": 0, "exceeded": 0}, "enforce": true},
            })
        );
        assert_eq!(all["keys"][3]["budgets"][0]["refused"], 1);
        assert_eq!(all["keys"][4]["spent_usd"], json!({"month": 0.0024}));
        assert!(all["keys"][4].get("limits").is_none());
        let [product, idle] = &*all["teams"].as_array().expect("teams").clone() else {
            panic!("{all}");
        };
        assert_eq!(product["keys"], 1);
        assert_eq!(product["limits"]["requests_per_minute"]["left"], 93);
        assert_eq!(product["limits"]["tokens_per_minute"]["left"], 992_650);
        assert_eq!(product["budgets"][0]["remaining_usd"], json!(499.9832));
        assert_eq!(
            *idle,
            json!({"name": "idle", "keys": 0, "spent_usd": {"month": 0}})
        );
    }
}

#[test]
fn metrics_tell_limits_and_budgets_of_keys_and_teams_and_nothing_of_others() {
    let (router, _alpha) = played(2);
    let text = get(router.management(), "/_infermux/metrics").text();
    for (name, values, value) in SEEN {
        let row = ROWS.iter().find(|row| row.name == name).expect("a metric");
        let labels = row.labels.iter().zip(values);
        let labels: Vec<String> = labels
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let line = format!("{name}{{{}}} {value}", labels.join(","));
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("infermux_scope_"))
        .collect();
    for absent in ["name=\"plain\"", "name=\"idle\"", "(other)"] {
        assert!(!ours.iter().any(|line| line.contains(absent)), "{absent}");
    }
    // Those of callers are for callers alone.
    assert!(!text.contains("infermux_budget_spent_usd{"), "{text}");
    let mut series: Vec<&str> = ours
        .iter()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series)
        .collect();
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count, "a series stands there twice");
}

#[test]
fn costs_of_keys_and_teams_stand_beside_their_budgets() {
    let (router, _alpha) = played(2);
    let of = |kind: &str, name: &str| {
        let all = report(&router, &format!("costs/by-{kind}"));
        let all = all[format!("{kind}s")].as_array().expect("a list").clone();
        let mut named = all.into_iter().filter(|one| one[kind] == name);
        named.next().unwrap_or_else(|| panic!("{name} is listed"))
    };
    let web = of("key", "web");
    assert_eq!(web["budget_usd"], 50);
    assert_eq!(web["budget_remaining_usd"], json!(49.9832));
    assert_eq!(web["budgets"].as_array().map(Vec::len), Some(2));
    // No monthly budget: the month's spend has nothing to stand beside.
    assert!(of("key", "poor").get("budget_usd").is_none());
    assert_eq!(
        of("key", "poor")["budgets"][0]["remaining_usd"],
        json!(-0.0018)
    );
    assert!(of("key", "plain").get("budgets").is_none());
    let product = of("team", "product");
    assert_eq!(product["budget_remaining_usd"], json!(499.9832));
}

#[test]
fn one_key_is_shown_and_switched_alone_and_those_that_refuse_come_first() {
    let (router, _alpha) = played(2);
    let key = report(&router, "keys/off");
    assert_eq!(
        (&key["name"], &key["state"]),
        (&json!("off"), &json!("disabled"))
    );
    let switched = post(router.management(), "/_infermux/keys/off/enable");
    let switched = switched.json();
    assert_eq!(switched["state"], "active");
    assert_eq!(switched["limits"]["requests_per_minute"]["left"], 7);
    assert_eq!(ask(&router, "k-off", "m"), 200);
    assert_eq!(
        report(&router, "keys/off")["limits"]["requests_per_minute"]["left"],
        6
    );
    let most = report(&router, "keys?most_used=2");
    let names = most["keys"].as_array().expect("a list").iter();
    let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
    // `shadow` is used more than either, and refuses nothing.
    assert_eq!(names, ["poor", "web"]);
    assert_eq!(most["keys"][0]["budgets"][0]["state"], "refuses");
    assert_eq!(most["more_keys"], 2);
    for (filter, expected) in [
        ("POO", &["poor"][..]),
        ("product", &["web"]),
        ("no%20body", &[]),
        ("", &["poor", "web", "shadow", "off"]),
    ] {
        let found = report(&router, &format!("keys?most_used=9&filter={filter}"));
        let names = found["keys"].as_array().expect("a list").iter();
        let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, expected, "{filter}");
    }
    let spent = report(&router, "costs/by-key?top=1");
    assert_eq!(spent["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(spent["keys"][0]["key"], "web");
    assert_eq!(spent["others"]["count"], 4);
    let all = report(&router, "costs")["total_usd"].as_f64();
    let sum = [&spent["keys"][0], &spent["others"]].map(|one| one["total_usd"].as_f64());
    let sum: f64 = sum.into_iter().flatten().sum();
    assert!(all.is_some_and(|all| (all - sum).abs() < 1e-9), "{spent}");
    assert_eq!(most["teams"].as_array().map(Vec::len), Some(1));
    assert!(most.get("more_teams").is_none());
    let get = |path: &str| get(router.management(), path);
    assert_eq!(get("/_infermux/keys?most_used=x").status, 400);
    assert_eq!(get("/_infermux/keys/nobody").code(), "unknown_key");
}

#[test]
fn alerts_name_the_scope_and_say_whether_it_is_enforced() {
    let (router, _alpha) = played(1);
    eventually("the alerts", || {
        let log = router.log();
        let alerts: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("used up"))
            .collect();
        let has = |words: &[&str]| {
            let plain = |line: &str| line.replace(['"', ':'], " ").replace('=', " ");
            let alerts = alerts.iter().map(|line| plain(line));
            let is = |line: &String| words.iter().all(|word| line.contains(word));
            alerts.filter(is).count()
        };
        has(&["key shadow", "week", "enforced"]) == 1 && has(&["key web", "day"]) == 2
    });
    let log = router.log();
    let is_alert = |line: &&str| line.contains("key shadow") && line.contains("is used up");
    let shadow = log.lines().find(is_alert);
    let shadow = shadow.expect("a line");
    assert!(
        shadow.contains("enforced=false") || shadow.contains("\"enforced\":false"),
        "{shadow}"
    );
}

#[test]
fn the_list_of_keys_shows_limits_and_budgets_at_a_glance() {
    let (router, _alpha) = played(1);
    let server = format!("http://{}", router.management());
    let listed = end(&mut infermux(&["key", "list", "--server", &server]));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let line = |name: &str| {
        let mut lines = listed.stdout.lines();
        let line = lines.find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {}", listed.stdout))
            .to_owned()
    };
    assert!(line("web").contains("3 of 3 requests/min for n"));
    assert!(line("web").contains("$0.0168 of $0.0025/day"));
    assert!(line("shadow").contains("1 of 1 requests/min, not enforced"));
    assert!(line("product").contains("$0.0168 of $500/month"));
    // No key has an end: there is no column for it.
    assert!(!listed.stdout.contains("EXPIRES"), "{}", listed.stdout);
}

#[test]
fn neither_keys_nor_hashes_are_told_anywhere() {
    let (router, _alpha) = played(2);
    let paths = [
        "keys",
        "keys/web",
        "keys?most_used=5",
        "costs/by-key",
        "costs/by-team",
        "metrics",
        "",
    ];
    let texts = paths.map(|path| get(router.management(), &format!("/_infermux/{path}")).text());
    for text in texts.iter().chain([&router.log()]) {
        assert_no_key(text, KEYS.map(|(_, key, _)| key));
    }
}

/// Neither these keys nor the beginnings of their hashes are in a text.
fn assert_no_key<'a>(text: &str, keys: impl IntoIterator<Item = &'a str>) {
    for key in keys {
        let digest = Digest::of(key.as_bytes()).to_string();
        assert!(!text.contains(key), "{key}: {text}");
        assert!(!text.contains(&digest[..12]), "the hash of {key}: {text}");
    }
}

/// Keys of a file, and others that are presented.
const PRESENTED: [&str; 6] = [
    "imx-the-key-of-web",
    "imx-the-key-that-is-off",
    "imx-the-key-of-yesterday",
    "imx-the-key-that-comes-later",
    "imx-a-key-of-nobody",
    "imx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1",
];

#[test]
fn a_presented_key_is_in_no_error_log_record_report_or_fault() {
    let alpha = named("alpha", &json!({"models": ["m"], "key": "sk-provider"}));
    let folder = Folder::new();
    let usage = folder.path().join("usage.jsonl");
    let [web, off, old, later, ..] = PRESENTED;
    let file = |more: &str| {
        let entries = [
            entry("web", web, ", limits: {requests_per_minute: 3}"),
            entry("off", off, ", disabled: true"),
            entry("old", old, ", expires: 2020-01-01"),
        ];
        entries.concat() + more
    };
    let path = folder.write("keys.yml", file(""));
    let rest = format!(
        "auth: {{mode: keys, keys_file: '{}'}}\nusage: {{file: '{}'}}\n",
        path.display(),
        usage.display()
    );
    let alpha = provider(&alpha, &["models: [m]", "api_key: sk-provider"]);
    let start = Start::with(&config_of(&[alpha], &rest)).args(&["--log-level", "debug"]);
    let router = start.go();
    let mut texts = Vec::new();
    let mut present = |headers: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        for path in [
            "/v1/chat/completions",
            "/v1/messages",
            "/v1/models",
            "/nowhere",
        ] {
            let mut client = Client::connect(router.addr());
            client.post_with(path, headers, &body.to_string());
            let answer = client.answer();
            texts.push(format!("{:?}{}", answer.headers, answer.text()));
        }
    };
    for key in PRESENTED {
        for name in ["Authorization: Bearer", "x-api-key:", "api-key:"] {
            present(&format!("{name} {key}\r\n"));
        }
    }
    // Two different ones, in one header and in two.
    present(&format!("Authorization: Bearer {web}, {off}\r\n"));
    present(&format!(
        "Authorization: Bearer {web}\r\nx-api-key: {off}\r\n"
    ));
    // Another file, and one with faults.
    std::fs::write(&path, file(&entry("later", later, ""))).expect("written");
    router.wait_for_log("the file of keys is reloaded");
    present(&format!("x-api-key: {later}\r\n"));
    let twice = [file(&entry("later", later, "")), entry("again", later, "")].concat();
    std::fs::write(&path, &twice).expect("written");
    router.wait_for_log("the file of keys is not reloaded");
    texts.push(post(router.management(), "/_infermux/reload").text());
    let checked = infermux(&["validate", "--config"]);
    let checked = { checked }
        .arg(router.folder().path().join("infermux.yml"))
        .output();
    let checked = checked.expect("it ran");
    texts.push(String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned());
    for path in [
        "keys",
        "requests",
        "metrics",
        "status",
        "providers",
        "recent",
        "costs/by-key",
        "",
    ] {
        texts.push(get(router.management(), &format!("/_infermux/{path}")).text());
    }
    eventually("records", || {
        std::fs::read_to_string(&usage).is_ok_and(|text| text.contains("web"))
    });
    texts.push(std::fs::read_to_string(&usage).expect("records"));
    texts.push(router.log());
    assert!(texts.iter().any(|text| text.contains("invalid_api_key")));
    texts.iter().for_each(|text| assert_no_key(text, PRESENTED));
}

#[test]
fn beyond_ten_thousand_keys_metrics_add_up_and_the_report_goes_on() {
    const KEYS: usize = 10_002;
    let alpha = named("alpha", &json!({}));
    let folder = Folder::new();
    let limit = ", limits: {requests_per_minute: 1}";
    let keys = (0..KEYS).map(|n| entry(&format!("key-{n}"), &format!("secret-{n}"), limit));
    let file = folder.write("keys.yml", keys.collect::<String>());
    let auth = format!("auth: {{mode: keys, keys_file: '{}'}}\n", file.display());
    let router = Router::start(&config_of(&[provider(&alpha, &["models: [m]"])], &auth));
    for (key, status) in [
        (0, 200),
        (10_000, 200),
        (10_001, 200),
        (10_000, 429),
        (10_001, 429),
    ] {
        assert_eq!(ask(&router, &format!("secret-{key}"), "m"), status, "{key}");
    }
    let text = get(router.management(), "/_infermux/metrics").text();
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("infermux_scope_limit{"), 10_000);
    assert_eq!(count("infermux_scope_limit_left{"), 10_000);
    let others = "infermux_scope_limit_refused_total{scope=\"key\",name=\"(other)\",models=\"\",\
                  limit=\"requests_per_minute\"} 2";
    assert_eq!(count(others), 1);
    assert_eq!(count("infermux_scope_limit_refused_total{"), 10_001);
    let all = report(&router, "keys");
    let all = all["keys"].as_array().expect("a list");
    assert_eq!(all.len(), KEYS);
    let left = |place: usize| &all[place]["limits"]["requests_per_minute"]["left"];
    assert_eq!([left(0), left(1), left(10_001)], [0, 1, 0]);
    let server = format!("http://{}", router.management());
    let listed = end(&mut infermux(&["key", "list", "--server", &server]));
    assert_eq!(listed.stdout.lines().count(), KEYS + 1, "{}", listed.stderr);
}
