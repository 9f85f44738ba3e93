//! What the pages for users show is what the binary does: questions with their answers, and the
//! first request of the README.

use std::collections::BTreeSet;
use std::path::PathBuf;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::command::{end, infermux, text};
use crate::support::load::ask_as;
use crate::support::operate::get;
use crate::support::router::{Folder, Router, Start};
use crate::support::{chat, config_of, mock, provider};

const PAGES: [&str; 3] = [
    "docs/limits-and-budgets.md",
    "docs/operations.md",
    "docs/configuration.md",
];

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("a page")
}

/// Each command of the page's consoles with what it is shown to print.
fn consoles(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    commands
        .filter_map(|command| command.split_once('\n'))
        .map(|(command, shown)| (command.to_owned(), shown.to_owned()))
        .collect()
}

/// A router that two models and two callers of the pages have been served by.
fn router(mock: &Mock) -> Router {
    let models = "models: [gpt-4o, gpt-4o-mini]";
    let limits = "rate_limits: {requests_per_minute: 3500, tokens_per_minute: 800000}";
    let fields = [models, limits, "health_check: {interval: 1h}"];
    let rest = "management_listen: \"127.0.0.1:0\"\n\
                budgets:\n  - {caller: research, monthly_usd: 50}\n";
    let router = Router::start(&config_of(&[provider(mock, &fields)], rest));
    for (caller, model) in [("research", "gpt-4o"), ("", "gpt-4o-mini")] {
        let body = chat("hello").replace("\"m\"", &format!("{model:?}"));
        assert_eq!(ask_as(router.addr(), caller, &body).status, 200);
    }
    router
}

/// Every test that the review of security names is there.
#[test]
fn the_review_of_security_names_tests_that_there_are() {
    let page = page("docs/security.md");
    let (_, tried) = page.split_once("## What was tried").expect("a chapter");
    let tried = tried.split("\n## ").next().unwrap_or_default();
    let mut count = 0;
    for row in tried.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let shown = row.rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing shows: {row}");
        for name in names {
            let (file, test) = name.split_once("::").expect("file::test");
            let text = self::page(&format!("tests/it/{file}.rs"));
            let is_there = text.contains(&format!("#[test]\nfn {test}() {{"));
            assert!(is_there, "there is no test {name}");
            count += 1;
        }
    }
    assert!(count > 50, "{count} tests");
}

/// What an answer is made of: the names in it, but for those of models and providers.
fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let names = ["by_provider", "by_model", "model_aliases"];
            let is_by_name = names.iter().any(|name| path.ends_with(name));
            for (name, value) in fields {
                let name = if is_by_name { "*" } else { name };
                shape(value, &format!("{path}.{name}"), into);
            }
        }
        Value::Array(items) => {
            let items = items.iter();
            items.for_each(|item| shape(item, &format!("{path}[]"), into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(path.to_owned());
        }
    }
}

#[test]
fn every_question_that_is_shown_has_such_an_answer() {
    let answers = json!(["ok", "ok", 500]);
    let alpha = mock(json!({"name": "openai", "answers": answers, "then": "loop"}));
    let router = router(&alpha);
    // One of the pages is about requests that failed.
    let body = chat("hello").replace("\"m\"", "\"gpt-4o\"");
    assert_eq!(ask_as(router.addr(), "search", &body).status, 502);
    let mut count = 0;
    for name in PAGES {
        for (command, shown) in consoles(&page(name)) {
            let Some(url) = command.strip_prefix("curl -s ") else {
                continue;
            };
            let path = url.trim_matches('\'').strip_prefix("localhost:8081");
            let answer = get(router.management(), path.expect("the address of operators"));
            assert_eq!(answer.status, 200, "{name}: {command}");
            let shown = serde_json::from_str(&shown);
            let [mut expected, mut found] = [BTreeSet::new(), BTreeSet::new()];
            shape(&shown.expect("JSON"), "", &mut expected);
            shape(&answer.json(), "", &mut found);
            assert_eq!(found, expected, "{name}: {command}");
            count += 1;
        }
    }
    assert_eq!(count, 8);
}

#[test]
fn validate_says_what_is_shown() {
    let folder = Folder::new();
    let file = "listen: \"127.0.0.1:8080\"\nproviders:\n  - name: openai\n    type: openai\n    \
                api_key: sk-x\n    rate_limits:\n      requests_per_minute: 0\n    \
                models: [gpt-4o]\nrooting: {strategy: priority}\n";
    let file = folder.write("infermux.yml", file);
    let ended = end(infermux(&["validate", "--config"]).arg(text(&file)));
    let all = consoles(&page("docs/configuration.md"));
    let shown = all
        .iter()
        .find(|(command, _)| command == "infermux validate");
    assert_eq!(ended.stderr, shown.expect("a console").1);
}

#[test]
fn the_first_request_of_the_readme_is_answered_as_it_says() {
    let [openai, local] = ["openai", "local"].map(|name| mock(json!({"name": name})));
    let readme = page("README.md");
    let (_, rest) = readme.split_once("<<'YML'\n").expect("a configuration");
    let config = rest.split("\nYML").next().expect("an end");
    // Its own ports, and a provider on this machine.
    let config = config.replacen("127.0.0.1:8080", "127.0.0.1:0", 1);
    let key = "    api_key: \"${OPENAI_API_KEY}\"\n";
    let base = format!("{key}    base_url: \"http://{}/v1\"\n", openai.address());
    let router = Start::with(&config.replacen(key, &base, 1))
        .env("OPENAI_API_KEY", "sk-openai")
        .env("OLLAMA_URL", &format!("http://{}", local.address()))
        .go();
    let (_, rest) = readme
        .split_once("curl -i http://127.0.0.1:8080")
        .expect("a request");
    let (path, rest) = rest.split_once(' ').expect("its path");
    let (_, rest) = rest.split_once("-d '").expect("its body");
    let body = rest.split('\'').next().expect("an end");
    for provider in ["openai", "local"] {
        let mut client = Client::connect(router.addr());
        client.post(path, body);
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-infermux-provider"), Some(provider));
        for name in ["X-Infermux-Model", "X-Infermux-Cost"] {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
            assert!(answer.header(&name.to_lowercase()).is_some(), "{name}");
        }
        openai
            .set_script(json!({"refuse": true}))
            .expect("a script");
    }
    let page = get(router.addr(), "/_infermux/");
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.contains("html"))
    );
}
