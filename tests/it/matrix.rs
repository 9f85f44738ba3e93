//! The golden matrix: each case as callers of each dialect ask it, of providers of each dialect.
//!
//! `tests/golden/matrix/CASE.json` has the request in each dialect, and what a provider of each
//! dialect answers, whole and as a stream. `CASE.FROM.TO.json` has, byte for byte, what a provider
//! that speaks `TO` is sent and what a caller that speaks `FROM` gets. Where that has changed, the
//! file is written anew, which fails the test: the difference is to be looked at.

use std::path::{Path, PathBuf};

use infermux_mock::Mock;
use serde_json::{Map, Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider};

/// A dialect as callers and as providers speak it.
struct Side {
    name: &'static str,
    /// What callers post to.
    path: &'static str,
    /// The model that a provider of this dialect serves, and what callers call it.
    model: (&'static str, &'static str),
    mock: Mock,
}

impl Side {
    fn all() -> [Self; 2] {
        let chat = json!({"name": "chat"});
        let messages = json!({"name": "messages", "dialect": "anthropic"});
        [
            Self {
                name: "chat",
                path: "/v1/chat/completions",
                model: ("gpt-4o", "g"),
                mock: mock(chat),
            },
            Self {
                name: "messages",
                path: "/v1/messages",
                model: ("claude-sonnet-4-5", "c"),
                mock: mock(messages),
            },
        ]
    }

    fn provider(&self) -> String {
        let (own, callers) = self.model;
        let aliases = format!("model_aliases: {{{callers}: {own}}}");
        let models = format!("models: [{own}]");
        let base = format!("base_url: \"http://{}\"", self.mock.address());
        match self.name {
            "messages" => provider(&self.mock, &["type: anthropic", &base, &models, &aliases]),
            _ => provider(&self.mock, &[&models, &aliases]),
        }
    }
}

#[test]
fn each_dialect_reaches_each_other_as_before() {
    let sides = Side::all();
    let providers: Vec<String> = sides.iter().map(Side::provider).collect();
    let router = Router::start(&config_of(&providers, ""));
    let (mut cases, mut changed) = (0, Vec::new());
    for (name, case) in cases_of(&folder()) {
        cases += 1;
        for from in &sides {
            for to in &sides {
                let found = pair(&router, &case, from, to);
                let path = folder().join(format!("{name}.{}.{}.json", from.name, to.name));
                let text = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
                if std::fs::read_to_string(&path).unwrap_or_default() != text {
                    std::fs::write(&path, text).expect("written");
                    changed.push(path);
                }
            }
        }
    }
    assert!(cases >= 8, "{cases} cases");
    assert!(changed.is_empty(), "written anew: {changed:#?}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix")
}

/// The cases and their names, in order.
fn cases_of(folder: &Path) -> Vec<(String, Value)> {
    let entries = folder.read_dir().expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let names = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| !name.contains('.')).collect();
    names.sort();
    let case = |name: &String| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json")));
        serde_json::from_str(&text.expect("a case")).expect("JSON")
    };
    names
        .iter()
        .map(|name| (name.clone(), case(name)))
        .collect()
}

/// What a provider and a caller see of a case, whole and as a stream.
fn pair(router: &Router, case: &Value, from: &Side, to: &Side) -> Value {
    let said = &case[to.name];
    let whole =
        json!({"status": said.get("status").unwrap_or(&json!(200)), "body": said["answer"]});
    let (sent, answer) = exchange(router, &whole, &request(case, from, to, false), (from, to));
    let events = said["stream"].as_array().expect("events");
    let events: String = events.iter().filter_map(Value::as_str).collect();
    let stream = json!({
        "status": 200, "headers": {"Content-Type": "text/event-stream"}, "body": events,
    });
    let (sent_for_stream, told) =
        exchange(router, &stream, &request(case, from, to, true), (from, to));
    json!({
        "upstream": sent,
        "status": answer.status,
        "answer": stable(&answer.text()),
        "upstream_for_stream": sent_for_stream,
        "stream": stable(&told.text()).split_inclusive("\n\n").collect::<Vec<_>>(),
    })
}

fn request(case: &Value, from: &Side, to: &Side, stream: bool) -> String {
    let mut members = Map::new();
    members.insert("model".to_owned(), to.model.1.into());
    members.extend(
        case[from.name]["request"]
            .as_object()
            .expect("a request")
            .clone(),
    );
    if stream {
        members.insert("stream".to_owned(), true.into());
    }
    Value::from(members).to_string()
}

/// Asks once: the body that the provider has got, and the caller's answer.
fn exchange(
    router: &Router,
    script: &Value,
    request: &str,
    (from, to): (&Side, &Side),
) -> (Value, Answer) {
    to.mock.set_script(script.clone()).expect("a script");
    let before = to.mock.stats().requests;
    let mut client = Client::connect(router.addr());
    client.post_with(from.path, "anthropic-version: 2023-06-01\r\n", request);
    let answer = client.answer();
    let sent = if to.mock.stats().requests > before {
        last_seen(&to.mock)["body_text"].clone()
    } else {
        Value::Null
    };
    (sent, answer)
}

/// The text with a word in place of what is fresh in every answer: times and ids.
fn stable(text: &str) -> String {
    let is_id = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let text = replaced(text, "\"created\":", char::is_numeric, 10);
    let text = replaced(&text, "\"request_id\":\"", is_id, 32);
    let text = replaced(&text, "\"msg_", is_id, 20);
    replaced(&text, "\"toolu_", is_id, 20)
}

/// The text with a word in place of what stands behind `mark`, where `is_part` holds for at least
/// `length_min` letters of it.
fn replaced(text: &str, mark: &str, is_part: impl Fn(char) -> bool, length_min: usize) -> String {
    let mut pieces = text.split(mark);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(&is_part);
        let is_fresh = piece.len() - rest.len() >= length_min;
        out.push_str(mark);
        out.push_str(if is_fresh { "FRESH" } else { "" });
        out.push_str(if is_fresh { rest } else { piece });
    }
    out
}
