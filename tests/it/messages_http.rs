//! Whole exchanges with callers of Messages, as the vectors of `tests/golden/messages/http` tell
//! them: what the caller sends, what reaches the provider, what the caller gets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::canned::{Recorder, halves};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;

/// The rules of the reference that one of the exchanges shows.
const RULES: [&str; 13] = [
    "MW1", "MW2", "MW3", "MW4", "MP1", "MP2", "MP3", "MP5", "ME1", "ML", "MC1", "MC2", "MC3",
];

#[test]
fn every_exchange_is_as_the_reference_says() {
    let mut cited = HashSet::new();
    for path in vectors() {
        let text = std::fs::read_to_string(&path).expect("a vector");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        // Behind `;` stands where a rule comes from.
        let source = vector["source"].as_str().expect("rules");
        let rules = source.split(';').next().unwrap_or_default();
        cited.extend(rules.split(' ').map(str::to_owned));
        for shards in [1, 2] {
            play(&vector, shards);
        }
    }
    for rule in RULES {
        assert!(cited.contains(rule), "no exchange shows {rule}");
    }
}

/// Members of a body beside its model, and what its caller is told.
const NO_REQUESTS: [(&str, &str); 13] = [
    (r#""x":1"#, "`messages` is missing"),
    (r#""messages":null"#, "`messages` is not a list"),
    (r#""messages":"hi""#, "`messages` is not a list"),
    (r#""messages":{"role":"user"}"#, "`messages` is not a list"),
    (r#""messages":[ ]"#, "`messages` is empty"),
    (
        r#""messages":[1],"mess\u0061ges":[2]"#,
        "`messages` is given twice",
    ),
    (r#""messages":[1],"model":"m""#, "`model` is given twice"),
    (
        r#""messages":[1],"system":"a","system":"b""#,
        "`system` is given twice",
    ),
    (
        r#""messages":[1],"tools":[],"t\u006fols":[]"#,
        "`tools` is given twice",
    ),
    (
        r#""messages":[1],"Stream":true"#,
        "`stream` is not in lower case",
    ),
    (
        r#""messages":[1],"stream":"yes""#,
        "`stream` is not a boolean",
    ),
    (r#""messages":[1,],"x":1"#, "not valid JSON"),
    (r#""messages":[1],"x":[1"#, "not valid JSON"),
];

#[test]
fn a_body_that_is_no_request_is_refused_before_anybody_is_asked() {
    let provider = Recorder::start(Vec::new());
    for kind in ["openai", "anthropic"] {
        let config = json!({"provider_type": kind, "models": ["m"]});
        let router = Router::start(&configuration(&config, &provider, 2));
        let mut client = Client::connect(router.addr());
        // A large body is read as it arrives, by another reader.
        for filling in ["", &"[".repeat(200_000), &"hello ".repeat(50_000)] {
            let bodies = NO_REQUESTS.map(|(members, told)| {
                (
                    format!(r#"{{"model":"m","y":"{filling}",{members}}}"#),
                    told,
                )
            });
            let others = [
                (format!(r#"["{filling}"]"#), "not a JSON object"),
                (
                    format!(r#"{{"y":"{filling}","messages":[1]}}"#),
                    "`model` is missing",
                ),
                (
                    format!(r#"{{"y":"{filling}","messages":[1],"model":7}}"#),
                    "`model` is not a string",
                ),
            ];
            for (body, told) in bodies.into_iter().chain(others) {
                for path in ["/v1/messages", "/v1/messages/count_tokens"] {
                    client.post(path, &body);
                    let answer = client.answer();
                    let text = answer.text();
                    assert_eq!(answer.status, 400, "{path} {told}: {text}");
                    let error = &answer.json()["error"];
                    assert_eq!(error["type"], "invalid_request_error", "{text}");
                    let message = error["message"].as_str().expect("a text");
                    assert!(message.contains(told), "{told}: {text}");
                }
            }
        }
    }
    assert!(provider.seen().is_empty(), "something went up");
}

#[test]
fn what_a_chat_provider_cannot_be_sent_is_refused_by_its_place() {
    let rows = include_str!("../golden/refused/messages.json");
    let rows: Vec<Value> = serde_json::from_str(rows).expect("JSON");
    assert!(rows.len() > 100, "{} rows", rows.len());
    for kind in ["openai", "ollama"] {
        let provider = Recorder::start(Vec::new());
        let config = json!({"provider_type": kind, "models": ["m"]});
        let router = Router::start(&configuration(&config, &provider, 2));
        let mut client = Client::connect(router.addr());
        let deep = format!(
            "\"messages\":{}{}",
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        let deep = json!({"provider_type": kind, "members": deep, "place": "messages[0]"});
        let rows = rows.iter().filter(|row| row["provider_type"] == kind);
        for row in rows.chain([&deep]) {
            let members = row["members"].as_str().expect("members");
            for stream in [false, true] {
                client.post(
                    "/v1/messages",
                    &format!(r#"{{"model":"m","stream":{stream},{members}}}"#),
                );
                let answer = client.answer();
                let (text, shown) = (answer.text(), &members[..members.len().min(200)]);
                assert_eq!(answer.status, 400, "{shown}: {text}");
                let body = answer.json();
                assert_eq!(body["type"], "error", "{shown}: {text}");
                assert_eq!(body["error"]["type"], "invalid_request_error", "{shown}");
                assert_eq!(body["error"]["details"]["error_code"], "invalid_request");
                assert!(body["request_id"].is_string(), "{shown}: {text}");
                let message = body["error"]["message"].as_str().expect("a message");
                let place = row["place"].as_str().expect("a place");
                assert!(
                    message.contains(&format!("`{place}`")),
                    "{shown}: {message}"
                );
            }
        }
        assert!(provider.seen().is_empty(), "something went up");
    }
}

fn vectors() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages/http");
    let entries = Path::new(folder).read_dir().expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() >= 9, "{} vectors", paths.len());
    paths
}

fn play(vector: &Value, shards: u32) {
    let id = vector["id"].as_str().expect("an id");
    let provider = Recorder::start(upstream_answer(&vector["upstream_answer"]));
    let router = Router::start(&configuration(&vector["config"], &provider, shards));
    let method = vector["request"]["method"].as_str().expect("a method");
    let mut client = Client::connect(router.addr());
    client.send(request(&vector["request"]));
    let answer = client.answer_to(method);
    check_answer(id, &vector["answer"], &answer);
    let seen = provider.seen();
    match vector.get("upstream_request") {
        Some(Value::Null) => assert!(seen.is_empty(), "{id}: something went up"),
        Some(expected) => {
            assert_eq!(seen.len(), 1, "{id}");
            check_sent(id, expected, &seen[0]);
        }
        None => {}
    }
}

/// The file that a vector describes.
fn configuration(config: &Value, provider: &Recorder, shards: u32) -> String {
    let kind = config["provider_type"].as_str().expect("a type");
    let base = match kind {
        "openai" | "azure_openai" => "/v1",
        _ => "",
    };
    let mut entry = json!({
        "name": "h",
        "type": kind,
        "api_key": "sk-kit-h",
        "base_url": format!("http://{}{base}", provider.addr()),
        "health_check": {"disabled": true},
    });
    for (given, key) in [("models", "models"), ("aliases", "model_aliases")] {
        if let Some(value) = config.get(given) {
            entry[key] = value.clone();
        }
    }
    let mut file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": shards},
        "providers": [entry],
    });
    if let Some(key) = config.get("static_key") {
        file["auth"] = json!({"mode": "static_key", "key": key});
    }
    let known = ["provider_type", "models", "aliases", "static_key"];
    let given = config.as_object().expect("settings").keys();
    assert!(given.clone().all(|key| known.contains(&&**key)), "{config}");
    // JSON is YAML.
    file.to_string()
}

/// What the provider answers; a vector whose request goes nowhere has no answer.
fn upstream_answer(answer: &Value) -> Vec<u8> {
    let status = answer["status"].as_u64().unwrap_or(500);
    let body = answer["body"].as_str().unwrap_or_default();
    let fields = fields(&answer["headers"]);
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn request(request: &Value) -> String {
    let (method, path) = (&request["method"], &request["path"]);
    let (method, path) = (
        method.as_str().expect("a method"),
        path.as_str().expect("a path"),
    );
    let body = body_text(request).unwrap_or_default();
    let fields = fields(&request["headers"]);
    let length = match method {
        "GET" | "HEAD" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}{length}\r\n{body}")
}

/// A body as it is given: exact, or as JSON.
fn body_text(message: &Value) -> Option<String> {
    let exact = message["body_text"].as_str().map(str::to_owned);
    exact.or_else(|| message.get("body").map(Value::to_string))
}

fn fields(headers: &Value) -> String {
    let fields = headers.as_object().into_iter().flatten();
    let line = |(name, value): (&String, &Value)| {
        let value = value.as_str().expect("a text");
        format!("{name}: {value}\r\n")
    };
    fields.map(line).collect()
}

fn check_answer(id: &str, expected: &Value, answer: &Answer) {
    let text = answer.text();
    assert_eq!(expected["status"], answer.status, "{id}: {text}");
    assert!(answer.complete, "{id}");
    check_headers(id, expected, |name| answer.header(name).map(str::to_owned));
    check_body(id, expected, &answer.body);
}

fn check_sent(id: &str, expected: &Value, sent: &[u8]) {
    let (head, body) = halves(sent);
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1));
    assert_eq!(target, expected["path"].as_str(), "{id}");
    let fields: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim()))
        .collect();
    check_headers(id, expected, |name| {
        let field = fields.iter().find(|(own, _)| own == name);
        field.map(|(_, value)| (*value).to_owned())
    });
    check_body(id, expected, &body);
}

fn check_headers(id: &str, expected: &Value, value_of: impl Fn(&str) -> Option<String>) {
    let headers = expected["headers"].as_object().into_iter().flatten();
    for (name, value) in headers {
        let found = value_of(name);
        let is_met = value == "*" && found.is_some() || value.as_str() == found.as_deref();
        assert!(is_met, "{id}: {name} is {found:?}, not {value}");
    }
    for name in expected["absent_headers"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert_eq!(value_of(name), None, "{id}: {name}");
    }
}

fn check_body(id: &str, expected: &Value, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    if let Some(exact) = expected["body_text"].as_str() {
        assert_eq!(text, exact, "{id}");
    }
    if let Some(expected) = expected.get("body") {
        let found: Value = serde_json::from_slice(body).expect("JSON");
        let fault = differs(expected, &found, "");
        assert_eq!(fault, None, "{id}: {text}");
    }
}

/// Where a value is not what is expected, as section 10 of the reference compares them.
pub(crate) fn differs(expected: &Value, found: &Value, at: &str) -> Option<String> {
    let is_met = match expected {
        Value::Object(open) if open.contains_key("$between") => {
            let bounds = [&open["$between"][0], &open["$between"][1]].map(Value::as_f64);
            let [Some(low), Some(high)] = bounds else {
                return Some(format!("{at}: {expected}"));
            };
            found.as_f64().is_some_and(|it| (low..=high).contains(&it))
        }
        Value::Object(members) => {
            let Value::Object(own) = found else {
                return Some(format!("{at}: {found}"));
            };
            let names = members.keys().chain(own.keys());
            return names.into_iter().find_map(|name| {
                let null = &Value::Null;
                let of = |members: &serde_json::Map<String, Value>| {
                    members.get(name).unwrap_or(null).clone()
                };
                differs(&of(members), &of(own), &format!("{at}.{name}"))
            });
        }
        Value::Array(items) => {
            let own = found.as_array().map_or(&[][..], Vec::as_slice);
            if own.len() != items.len() {
                return Some(format!("{at}: {found}"));
            }
            let mut pairs = items.iter().zip(own).enumerate();
            return pairs
                .find_map(|(place, (item, own))| differs(item, own, &format!("{at}[{place}]")));
        }
        // When a model was made, the file does not say, and its entry says zero.
        Value::String(open) if open == "#" && at.ends_with(".created") => found.is_u64(),
        Value::String(open) if open == "#" && at.ends_with(".usage") => {
            COUNTS.iter().all(|count| found[count].is_u64())
        }
        Value::String(open) if open == "#" => found.as_f64().is_some_and(|count| count > 0.0),
        Value::String(open) if open == "*" => found.as_str().is_some_and(|text| !text.is_empty()),
        _ => expected == found,
    };
    (!is_met).then(|| format!("{at}: {found}, not {expected}"))
}

/// The counts of a usage.
const COUNTS: [&str; 4] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
];
