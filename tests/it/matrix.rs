//! The golden matrix: each case as callers of each dialect ask it, of providers of each dialect.
//!
//! `tests/golden/matrix/CASE.json` has the request in each dialect, and what a provider of each
//! dialect answers, whole and as a stream. `CASE.FROM.TO.json` has, byte for byte, what the
//! provider `TO` is sent and what a caller that speaks `FROM` gets. Where that has changed, the
//! file is written anew, which fails the test: the difference is to be looked at.

use std::path::{Path, PathBuf};

use infermux_mock::Mock;
use serde_json::{Map, Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider};

/// A provider that a case is asked of.
struct Side {
    name: &'static str,
    /// The dialect in which it is asked and answers.
    speaks: &'static str,
    /// The model that it serves, and what callers call it.
    model: (&'static str, &'static str),
    /// The further lines of its configuration.
    fields: &'static [&'static str],
    mock: Mock,
}

/// The dialects of callers, and what they post to.
const CALLERS: [(&str, &str); 3] = [
    ("chat", "/v1/chat/completions"),
    ("messages", "/v1/messages"),
    ("responses", "/v1/responses"),
];

impl Side {
    fn of(
        name: &'static str,
        speaks: &'static str,
        model: (&'static str, &'static str),
        fields: &'static [&'static str],
        dialect: &str,
    ) -> Self {
        Self {
            name,
            speaks,
            model,
            fields,
            mock: mock(json!({"name": name, "dialect": dialect})),
        }
    }

    fn all() -> [Self; 5] {
        let (gpt, claude) = ("gpt-4o", "claude-sonnet-4-5");
        let bridge = &["responses: bridge"];
        let anthropic = &["type: anthropic"];
        let azure = &["type: azure_openai"];
        [
            Self::of("chat", "chat", (gpt, "g"), bridge, "openai"),
            Self::of(
                "messages",
                "messages",
                (claude, "c"),
                anthropic,
                "anthropic",
            ),
            Self::of("native", "responses", (gpt, "n"), &[], "openai"),
            Self::of("azure", "responses", (gpt, "a"), azure, "azure"),
            Self::of("ollama", "chat", (gpt, "o"), &["type: ollama"], "ollama"),
        ]
    }

    /// Whether callers of that dialect ask it: the last three are for those of Responses, the
    /// others ask them as they ask the first one.
    fn is_asked_by(&self, caller: &str) -> bool {
        caller == "responses" || matches!(self.name, "chat" | "messages")
    }

    fn provider(&self) -> String {
        let (own, callers) = self.model;
        let aliases = format!("model_aliases: {{{callers}: {own}}}");
        let models = format!("models: [{own}]");
        let base = format!("base_url: \"http://{}\"", self.mock.address());
        let mut fields = vec![models.as_str(), &aliases];
        if matches!(self.name, "messages" | "azure") {
            fields.push(&base);
        }
        fields.extend(self.fields);
        provider(&self.mock, &fields)
    }
}

#[test]
fn each_dialect_reaches_each_provider_as_before() {
    let sides = Side::all();
    let providers: Vec<String> = sides.iter().map(Side::provider).collect();
    let router = Router::start(&config_of(&providers, ""));
    let (mut cases, mut changed) = (0, Vec::new());
    for (name, case) in cases_of(&folder()) {
        cases += 1;
        for from in CALLERS {
            for to in sides.iter().filter(|to| to.is_asked_by(from.0)) {
                let found = pair(&router, &case, from, to);
                let path = folder().join(format!("{name}.{}.{}.json", from.0, to.name));
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
fn pair(router: &Router, case: &Value, from: (&str, &str), to: &Side) -> Value {
    let said = &case[to.speaks];
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

fn request(case: &Value, from: (&str, &str), to: &Side, stream: bool) -> String {
    let mut members = Map::new();
    members.insert("model".to_owned(), to.model.1.into());
    members.extend(
        case[from.0]["request"]
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
    ((_, path), to): ((&str, &str), &Side),
) -> (Value, Answer) {
    to.mock.set_script(script.clone()).expect("a script");
    let before = to.mock.stats().requests;
    let mut client = Client::connect(router.addr());
    client.post_with(path, "anthropic-version: 2023-06-01\r\n", request);
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
    let text = replaced(&text, "\"created_at\":", char::is_numeric, 10);
    let text = replaced(&text, "_ifx_", is_id, 32);
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
