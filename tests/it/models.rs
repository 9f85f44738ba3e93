//! The list of models, and open providers by theirs: nobody is asked while a caller waits.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::operate::{get, provider_report};
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, eventually, last_seen, mock, provider, seen_header};

const OFTEN: &str = "health_check: {interval: 100ms, timeout: 5s}";
const ONCE: &str = "health_check: {interval: 1h, timeout: 5s}";

fn ids_of(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["object"], "list");
    let models = answer.json()["data"].as_array().expect("a list").clone();
    let ids = models
        .iter()
        .map(|model| model["id"].as_str().expect("an id"));
    ids.map(str::to_owned).collect()
}

fn listed(router: &Router) -> Vec<String> {
    ids_of(&get(router.addr(), "/v1/models"))
}

/// A mock that answers whoever asks for its list with `body`.
fn telling(name: &str, body: &Value) -> Mock {
    let rule = json!({"when": {"method": "GET"}, "status": 200, "body": body});
    mock(json!({"name": name, "rules": [rule]}))
}

/// An open provider that is checked as `check` says.
fn open(mock: &Mock, check: &str) -> String {
    provider(mock, &["-models", check])
}

/// Who is asked for `model`; the status where nobody is.
fn served_by(router: &Router, model: &str) -> String {
    let body = chat("x").replace("\"m\"", &format!("\"{model}\""));
    let answer = Client::connect(router.addr()).chat(&body);
    let provider = answer.header("x-infermux-provider").map(str::to_owned);
    provider.unwrap_or_else(|| answer.status.to_string())
}

/// Who serves twelve requests for `model`, in alphabetical order, each once.
fn all_that_serve(router: &Router, model: &str) -> String {
    let all: HashSet<String> = (0..12).map(|_| served_by(router, model)).collect();
    let mut all: Vec<String> = all.into_iter().collect();
    all.sort();
    all.join(" ")
}

fn seen(mock: &Mock, method: &str) -> usize {
    let all = mock.requests();
    all.iter().filter(|one| one["method"] == method).count()
}

#[test]
fn the_list_has_what_is_claimed_and_what_open_providers_list() {
    let alpha = mock(json!({"name": "alpha"}));
    let beta = mock(json!({"name": "beta", "models": ["open-1", "m"], "key": "sk-beta"}));
    let fields = [
        "models: [m, n]",
        "model_aliases: {fast: m, dated: m-2024}",
        ONCE,
    ];
    let providers = [provider(&alpha, &fields), open(&beta, ONCE)];
    for shards in [1, 3] {
        let rest = format!("server: {{shards: {shards}}}\n");
        let router = Router::start(&config_of(&providers, &rest));
        let before = [&alpha, &beta].map(|mock| seen(mock, "GET"));
        let ids: HashSet<String> = listed(&router).into_iter().collect();
        let all = ["dated", "fast", "m", "m-2024", "n", "open-1"];
        assert_eq!(ids, all.map(str::to_owned).into());
        let answer = get(router.addr(), "/v1/models/open-1");
        assert_eq!(answer.json()["id"], "open-1");
        assert_eq!(answer.json()["object"], "model");
        assert_eq!(get(router.addr(), "/v1/models/open-2").status, 404);
        let after = [&alpha, &beta].map(|mock| seen(mock, "GET"));
        assert_eq!(before, after, "nobody is asked while a caller waits");
    }
}

#[test]
fn every_shape_of_a_list_is_understood() {
    let entry = |id: &str| json!({"id": id, "object": "model"});
    for (body, expected) in [
        (
            json!({"object": "list", "data": [entry("a/b"), entry("c")]}),
            "a/b c",
        ),
        (json!([entry("a"), entry("a"), "b"]), "a b"),
        (
            json!({"models": [{"name": "l:8b", "model": "l:8b"}]}),
            "l:8b",
        ),
        (json!({"data": []}), ""),
        (json!({"error": "nothing here"}), ""),
        (json!("<html>"), ""),
    ] {
        let alpha = telling("alpha", &body);
        let router = Router::start(&config_of(&[open(&alpha, ONCE)], ""));
        assert_eq!(listed(&router).join(" "), expected, "{body}");
        for id in expected.split_whitespace() {
            for path in [id.to_owned(), id.replace('/', "%2F").replace(':', "%3a")] {
                let answer = get(router.addr(), &format!("/v1/models/{path}"));
                assert_eq!(answer.json()["id"], id, "{path}");
            }
        }
        assert_eq!(provider_report(&router, "alpha")["healthy"], true);
    }
}

#[test]
fn all_pages_of_anthropics_list_are_read() {
    let page = |ids: &[&str], more: bool| {
        let data: Vec<Value> = ids
            .iter()
            .map(|id| json!({"type": "model", "id": id}))
            .collect();
        let body = json!({"data": data, "has_more": more, "last_id": ids.last()});
        json!({"status": 200, "body": body})
    };
    let pages = [
        page(&["claude-a", "glm"], true),
        page(&["claude-b"], true),
        page(&["claude-c"], false),
    ];
    let rule = json!({"when": {"method": "GET"}, "answers": pages});
    let alpha = mock(json!({"name": "alpha", "dialect": "anthropic", "rules": [rule]}));
    let base = format!("base_url: \"http://{}\"", alpha.address());
    let fields = ["type: anthropic", &base, "-models", ONCE];
    let router = Router::start(&config_of(&[provider(&alpha, &fields)], ""));
    assert_eq!(listed(&router), ["claude-a", "claude-b", "claude-c"]);
    let asked = alpha.requests();
    let paths: Vec<&str> = asked
        .iter()
        .filter_map(|one| one["path"].as_str())
        .collect();
    let list = "/v1/models?limit=1000";
    let expected = [
        list.to_owned(),
        format!("{list}&after_id=glm"),
        format!("{list}&after_id=claude-b"),
    ];
    assert_eq!(paths, expected);
    let key = seen_header(&last_seen(&alpha), "x-api-key");
    assert_eq!(key.as_deref(), Some("sk-alpha"));
}

#[test]
fn dead_open_providers_make_no_caller_wait() {
    let alpha = mock(json!({"name": "alpha", "models": ["a-1"]}));
    let dead = ["beta", "gamma", "delta"].map(|name| {
        let rule = json!({"when": {"method": "GET"}, "do": "stall_before_head"});
        mock(json!({"name": name, "rules": [rule]}))
    });
    let check = "health_check: {interval: 100ms, timeout: 300ms}";
    let mut providers: Vec<String> = dead.iter().map(|mock| open(mock, check)).collect();
    providers.push(open(&alpha, check));
    let router = Router::start(&config_of(&providers, ""));
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(listed(&router), ["a-1"]);
    }
    // One question of any of them would take 300 ms.
    let each = start.elapsed() / 20;
    assert!(each < Duration::from_millis(150), "{each:?}");
    let router = Router::start(&config_of(&providers[..3], ""));
    assert_eq!(listed(&router).len(), 0);
}

#[test]
fn eighty_thousand_models_hold_nobody_up() {
    let ids: Vec<Value> = (0..80_000)
        .map(|id| json!({"id": format!("org/model-{id}"), "object": "model"}))
        .collect();
    let alpha = telling("alpha", &json!({"object": "list", "data": ids}));
    let beta = mock(json!({"name": "beta"}));
    let check = "health_check: {interval: 1s, timeout: 20s}";
    let providers = [open(&alpha, check), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "server: {shards: 1}\n"));
    // It is put together beside the event loops, and a busy machine may let that wait.
    let is_there = || get(router.addr(), "/v1/models/org%2Fmodel-1").status == 200;
    eventually("the list is there", is_there);
    let all = listed(&router);
    assert_eq!(all.len(), 80_001);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 80_001);
    let path = "/v1/models/org%2Fmodel-79999";
    let answer = get(router.addr(), path);
    assert_eq!(answer.json()["id"], "org/model-79999");
    let mut head = Client::connect(router.addr());
    head.send("HEAD /v1/models HTTP/1.1\r\nHost: t\r\n\r\n");
    let length = head
        .answer_to("HEAD")
        .header("content-length")
        .map(str::to_owned);
    let whole = get(router.addr(), "/v1/models").body.len();
    assert_eq!(length, Some(whole.to_string()));
    // Callers of the same event loop go on between: none waits for a list.
    let mut lists: Vec<Client> = (0..4).map(|_| Client::connect(router.addr())).collect();
    lists.iter_mut().for_each(|client| client.get("/v1/models"));
    assert_eq!(served_by(&router, "m"), "beta");
    assert_eq!(get(router.addr(), path).status, 200);
    for client in &mut lists {
        assert_eq!(client.answer_to("GET").body.len(), whole);
    }
}

#[test]
fn open_providers_are_chosen_by_their_lists() {
    let alpha = mock(json!({"name": "alpha", "models": ["x", "both"]}));
    let beta = mock(json!({"name": "beta", "models": ["y", "both"]}));
    let gamma = mock(json!({"name": "gamma", "rules": [
        {"when": {"method": "GET"}, "status": 404},
    ]}));
    let providers = [&alpha, &beta, &gamma].map(|mock| open(mock, OFTEN));
    let rest = "routing: {failover: {max_attempts: 1}}\nserver: {shards: 2}\n";
    let router = Router::start(&config_of(&providers, rest));
    assert_eq!(all_that_serve(&router, "x"), "alpha");
    assert_eq!(all_that_serve(&router, "y"), "beta");
    assert_eq!(all_that_serve(&router, "both"), "alpha beta");
    // Nobody lists it: whoever is open may have it.
    assert_eq!(all_that_serve(&router, "z"), "alpha beta gamma");

    // A list arrives, and the order changes.
    beta.set_script(json!({"models": ["x", "y"]}))
        .expect("a script");
    eventually("beta lists x", || {
        all_that_serve(&router, "x") == "alpha beta"
    });
    assert_eq!(all_that_serve(&router, "both"), "alpha");
    for _ in 0..6 {
        let by = [served_by(&router, "x"), served_by(&router, "x")];
        assert_ne!(by[0], by[1], "turns are exact");
        assert_eq!(
            served_by(&router, "y"),
            "beta",
            "whatever else is asked for between"
        );
    }
}

#[test]
fn the_last_list_counts_while_its_provider_is_away() {
    let alpha = mock(json!({"name": "alpha", "models": ["x"]}));
    let beta = mock(json!({"name": "beta", "models": ["y"]}));
    let providers = [&alpha, &beta].map(|mock| open(mock, OFTEN));
    let router = Router::start(&config_of(&providers, ""));
    assert_eq!(served_by(&router, "x"), "alpha");
    let refusing = json!({"when": {"method": "GET"}, "status": 503});
    alpha
        .set_script(json!({"models": ["x"], "rules": [refusing]}))
        .expect("a script");
    eventually("alpha is unhealthy", || {
        provider_report(&router, "alpha")["healthy"] == false
    });
    // Beta would say that there is no such model, and the caller would believe it.
    let body = chat("x").replace("\"m\"", "\"x\"");
    let answer = Client::connect(router.addr()).chat(&body);
    let told = (answer.status, answer.code());
    assert_eq!(told, (503, "no_healthy_providers".into()));
    assert_eq!(listed(&router), ["x", "y"]);
    assert_eq!(seen(&beta, "POST"), 0);
    alpha
        .set_script(json!({"models": ["w"]}))
        .expect("a script");
    eventually("a later list", || listed(&router) == ["w", "y"]);
}

#[test]
fn a_reload_keeps_the_lists_of_who_stays() {
    let alpha = mock(json!({"name": "alpha", "models": ["x"]}));
    let beta = mock(json!({"name": "beta", "models": ["x", "y"]}));
    let both = [&alpha, &beta].map(|mock| open(mock, ONCE));
    let router = Router::start(&config_of(&both, ""));
    assert_eq!(all_that_serve(&router, "x"), "alpha beta");
    let reload = |providers: &[String]| {
        let answer = router.reload(&config_of(providers, ""));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    reload(&both[..1]);
    assert_eq!(listed(&router), ["x"]);
    assert_eq!(all_that_serve(&router, "y"), "alpha");
    // It lists its models again as soon as it is open again.
    reload(&[both[0].clone(), provider(&beta, &["models: [z]", ONCE])]);
    assert_eq!(listed(&router), ["z", "x"]);
    reload(&both);
    eventually("beta's list is there", || listed(&router) == ["x", "y"]);
    assert_eq!(all_that_serve(&router, "x"), "alpha beta");
}

#[test]
fn a_group_restricts_open_providers_before_their_lists_do() {
    let mocks = [("alpha", "x"), ("beta", "x"), ("gamma", "y")]
        .map(|(name, model)| mock(json!({"name": name, "models": [model]})));
    let providers = mocks.each_ref().map(|mock| open(mock, ONCE));
    let rest = "routing: {groups: [{name: g, models: [x], providers: [gamma, beta]}]}\n";
    let router = Router::start(&config_of(&providers, rest));
    assert_eq!(all_that_serve(&router, "x"), "beta");
    assert_eq!(all_that_serve(&router, "y"), "gamma");
}

#[test]
fn without_health_checks_nobody_is_asked_for_a_list() {
    let alpha = mock(json!({"name": "alpha", "models": ["x"]}));
    let beta = mock(json!({"name": "beta"}));
    let off = "health_check: {disabled: true}";
    let providers = [open(&alpha, off), provider(&beta, &["models: [m]", off])];
    let config = config_of(&providers, "");
    for router in [
        Router::start(&config),
        Start::with(&config.replace(off, OFTEN))
            .args(&["--no-health-checks"])
            .go(),
    ] {
        assert_eq!(listed(&router), ["m"]);
        assert_eq!(served_by(&router, "x"), "alpha");
        assert_eq!(seen(&alpha, "GET") + seen(&beta, "GET"), 0);
    }
}

#[test]
fn the_list_is_asked_for_beside_a_check_of_another_path() {
    let alpha = mock(json!({"name": "alpha", "models": ["x", "key"], "rules": [
        {"when": {"path": "/v1/models/key"}, "status": 200, "body": {"data": {"limit": 1}}},
    ]}));
    let check = "health_check: {interval: 1h, timeout: 5s, path: models/key}";
    let router = Router::start(&config_of(&[open(&alpha, check)], ""));
    assert_eq!(listed(&router), ["x", "key"]);
    let asked = alpha.requests();
    let paths: Vec<&str> = asked
        .iter()
        .filter_map(|one| one["path"].as_str())
        .collect();
    assert_eq!(paths, ["/v1/models/key", "/v1/models"]);
    let url = &provider_report(&router, "alpha")["health_check_url"];
    assert_eq!(url, &format!("http://{}/v1/models/key", alpha.address()));
}

#[test]
fn a_pattern_claims_what_it_matches_and_shows_what_its_provider_lists() {
    let alpha = mock(json!({"name": "alpha", "models": ["gpt-4o", "gpt-4o-mini", "o3"]}));
    let (beta, gamma) = (
        mock(json!({"name": "beta"})),
        mock(json!({"name": "gamma"})),
    );
    let providers = [
        provider(&alpha, &["models: ['gpt-4o*']", ONCE]),
        provider(
            &beta,
            &["models: [gpt-4o-exact, 'gpt-*']", "weight: 1", ONCE],
        ),
        provider(&gamma, &["models: [m]", ONCE]),
    ];
    for shards in [1, 2] {
        let rest = format!("server: {{shards: {shards}}}\n");
        let router = Router::start(&config_of(&providers, &rest));
        for (model, expected) in [
            ("gpt-4o-mini", "alpha beta"),
            ("gpt-4.1", "beta"),
            ("gpt-4o-exact", "beta"),
            ("m", "gamma"),
            ("o3", "404"),
        ] {
            assert_eq!(all_that_serve(&router, model), expected, "{model}");
        }
        let ids: HashSet<String> = listed(&router).into_iter().collect();
        let all = ["gpt-4o-exact", "m", "gpt-4o", "gpt-4o-mini"];
        assert_eq!(ids, all.map(str::to_owned).into());
        assert_eq!(get(router.addr(), "/v1/models/gpt-4o-mini").status, 200);
        assert_eq!(get(router.addr(), "/v1/models/o3").status, 404);
        let report = provider_report(&router, "alpha");
        assert_eq!(report["models"], json!(["gpt-4o*"]));
    }
}

/// The answer to a request of Anthropic's clients.
fn asked(router: &Router, method: &str, path: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    let fields = "Host: test\r\nAnthropic-Version: 2023-06-01\r\n";
    client.send(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n"));
    client.answer_to(method)
}

#[test]
fn anthropics_clients_are_told_the_models_in_pages() {
    let list = json!({"data": [
        {"id": "a/b", "created": 1_763_942_400},
        {"id": "claude \"x\""},
        {"id": "c", "created": "unknown"},
    ]});
    let (alpha, beta) = (mock(json!({"name": "alpha"})), telling("beta", &list));
    let providers = [provider(&alpha, &["models: [m]"]), open(&beta, ONCE)];
    let router = Router::start(&config_of(&providers, "server: {shards: 3}\n"));
    let before = [&alpha, &beta].map(|mock| seen(mock, "GET"));
    let entry = |id: &str, at: &str| {
        json!({
            "type": "model", "id": id, "display_name": id, "created_at": at, "lifecycle": "active",
        })
    };
    let epoch = "1970-01-01T00:00:00Z";
    let all = [
        entry("m", epoch),
        entry("a/b", "2025-11-24T00:00:00Z"),
        entry("claude \"x\"", epoch),
        entry("c", epoch),
    ];
    for (query, places, has_more) in [
        ("", 0..4, false),
        ("?limit=1000", 0..4, false),
        ("?limit=2", 0..2, true),
        ("?limit=2&after_id=a%2Fb", 2..4, false),
        ("?after_id=a/b&limit=1", 2..3, true),
        ("?before_id=c&limit=1", 2..3, true),
        ("?before_id=claude%20%22x%22", 0..2, false),
        ("?after_id=c", 0..0, false),
    ] {
        let page = &all[places];
        let id = |entry: Option<&Value>| entry.map_or(Value::Null, |entry| entry["id"].clone());
        let expected = json!({
            "data": page,
            "has_more": has_more,
            "first_id": id(page.first()),
            "last_id": id(page.last()),
        });
        for path in ["/v1/models", "/models/", "/anthropic/v1/models"] {
            let answer = asked(&router, "GET", &format!("{path}{query}"));
            assert_eq!(answer.status, 200, "{query}: {}", answer.text());
            assert_eq!(answer.json(), expected, "{query}");
            assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
            let head = asked(&router, "HEAD", &format!("{path}{query}"));
            assert_eq!(
                head.header("content-length"),
                answer.header("content-length")
            );
            assert!(head.body.is_empty() && head.status == 200, "{query}");
        }
    }
    for (path, place) in [
        ("/v1/models/a%2Fb", 1),
        ("/v1/models/claude%20%22x%22?limit=0", 2),
    ] {
        assert_eq!(asked(&router, "GET", path).json(), all[place], "{path}");
        assert_eq!(
            get(router.addr(), path).json()["id"],
            all[place]["id"],
            "OpenAI's"
        );
    }
    for (path, status, kind) in [
        ("/v1/models/nobody", 404, "not_found_error"),
        ("/v1/models?limit=0", 400, "invalid_request_error"),
        ("/v1/models?limit=ten", 400, "invalid_request_error"),
        ("/v1/models?after_id=nobody", 400, "invalid_request_error"),
    ] {
        let answer = asked(&router, "GET", path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["error"]["type"], kind, "{path}");
    }
    // OpenAI's list has no pages, whatever the query says.
    let answer = get(router.addr(), "/v1/models?limit=0&after_id=nobody");
    assert_eq!(ids_of(&answer), ["m", "a/b", "claude \"x\"", "c"]);
    let after = [&alpha, &beta].map(|mock| seen(mock, "GET"));
    assert_eq!(before, after, "nobody is asked while a caller waits");
}

#[test]
fn anthropics_clients_are_told_of_no_models_where_there_are_none() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &["-models"])], ""));
    let expected = json!({"data": [], "has_more": false, "first_id": null, "last_id": null});
    assert_eq!(asked(&router, "GET", "/v1/models?limit=5").json(), expected);
}
