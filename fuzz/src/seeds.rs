//! What an attack begins with: the corpus, and the vectors of `tests/golden`.

use std::path::Path;

use serde_json::Value;

use crate::corpus::{self, home};
use crate::target::Target;

/// Every input that the target begins with.
#[must_use]
pub fn all(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds = corpus::read(target.name);
    let mut texts = Vec::new();
    for folder in target.folders {
        read(&home().join("../tests/golden").join(folder), &mut texts);
    }
    for front in if target.fronts.is_empty() {
        &[""]
    } else {
        target.fronts
    } {
        let whole = texts
            .iter()
            .map(|text| [front, text.as_str()].concat().into_bytes());
        seeds.extend(whole);
    }
    if seeds.is_empty() {
        seeds.push(Vec::new());
    }
    seeds
}

/// The texts of the files in `folder`: those in JSON are vectors, of which each object, and each
/// text of some length, is one.
fn read(folder: &Path, texts: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|fault| {
        panic!("{}: {fault}", folder.display());
    });
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a text");
        match serde_json::from_str(&text) {
            Ok(vector) => take_in(&vector, texts),
            Err(_) => texts.push(text),
        }
    }
}

fn take_in(vector: &Value, texts: &mut Vec<String>) {
    let Value::Object(members) = vector else {
        return;
    };
    for value in members.values() {
        match value {
            Value::String(text) if text.len() >= TEXT_BYTES_MIN => texts.push(text.clone()),
            Value::Object(inner) => {
                texts.push(value.to_string());
                // What a provider answers has its body one level below.
                let bodies = inner.values().filter(|value| match value {
                    Value::String(text) => text.starts_with(['{', '[']),
                    value => value.is_object(),
                });
                texts.extend(bodies.map(|body| match body {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                }));
            }
            Value::Array(events) if events.iter().any(Value::is_object) => {
                texts.push(events.iter().map(event_of).collect());
            }
            _ => {}
        }
    }
}

/// An event of a stream, as far as a vector tells of it.
fn event_of(event: &Value) -> String {
    match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    }
}

/// Shorter texts in vectors are names.
const TEXT_BYTES_MIN: usize = 60;
