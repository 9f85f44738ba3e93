//! Tests of Messages requests that become chat completions requests.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::*;
use crate::dialect::chat::lessons::{self, Keys};
use crate::dialect::chat::write_prompt::{ChatModel, Host, Stream, Written, write};
use crate::wire::json::respelt::respelt;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    messages_request: Box<RawValue>,
    upstream_model: String,
    provider_type: Option<String>,
    upstream_first: Option<UpstreamFirst>,
    openai_request: Option<Json>,
    reject: Option<Json>,
}

#[derive(serde::Deserialize)]
struct UpstreamFirst {
    status: u16,
    body: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages/request");
        let files = Path::new(folder).read_dir().unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    fn model(&self, left_out: Keys) -> ChatModel<'_> {
        let body: Json = serde_json::from_str(self.messages_request.get()).unwrap();
        let is_ollama = self.provider_type.as_deref() == Some("ollama");
        ChatModel {
            host: if is_ollama { Host::Ollama } else { Host::Other },
            // As the table of prices has it, which another room reads.
            max_output: self.upstream_model.starts_with("gpt-4o").then_some(16_384),
            left_out,
            stream: match body["stream"] == true {
                true => Stream::WithUsage,
                false => Stream::No,
            },
            ..model(&self.upstream_model)
        }
    }

    fn check(&self, body: &str) {
        let mut found = translated(body, &self.model(Keys::default()));
        if let Some(first) = &self.upstream_first {
            let sent = found.unwrap().1.sent;
            let left_out = lessons::refused(first.status, first.body.as_bytes(), sent);
            found = translated(body, &self.model(left_out));
        }
        match (&self.openai_request, &self.reject) {
            (Some(expected), None) => {
                let (found, _) = found.unwrap_or_else(|fault| panic!("{}: {fault}", self.id));
                let found: Json = serde_json::from_str(&found).unwrap();
                assert_eq!(
                    comparable(found),
                    comparable(expected.clone()),
                    "{}",
                    self.id
                );
            }
            (None, Some(reject)) => {
                let message = found.expect_err(&self.id).to_string();
                let names = reject["message_names"].as_str().unwrap();
                assert!(message.contains(names), "{}: {message}", self.id);
                assert_eq!(reject["status"], 400);
                assert_eq!(reject["error_code"], "invalid_request");
            }
            (_, _) => panic!("{} expects one thing", self.id),
        }
    }
}

/// Arguments compare as JSON.
fn comparable(mut request: Json) -> Json {
    for message in request["messages"].as_array_mut().unwrap() {
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            let arguments = &mut call["function"]["arguments"];
            *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
        let members = message.as_object_mut().unwrap();
        members.retain(|name, value| name == "content" || !value.is_null());
    }
    request
}

fn model(id: &str) -> ChatModel<'_> {
    ChatModel {
        id,
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::No,
    }
}

fn translated(body: &str, model: &ChatModel<'_>) -> Result<(String, Written), Unsupported> {
    let mut out = b"before".to_vec();
    let written = read(body.as_bytes()).and_then(|prompt| write(&prompt, model, &mut out));
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").unwrap();
    match written {
        Ok(written) => {
            serde_json::from_str::<&RawValue>(text).unwrap();
            Ok((text.to_owned(), written))
        }
        Err(fault) => {
            assert_eq!(text, "", "a refused request leaves nothing behind");
            Err(fault)
        }
    }
}

#[test]
fn the_vectors_hold() {
    let all = Vector::all();
    all.iter()
        .for_each(|vector| vector.check(vector.messages_request.get()));
    assert_eq!(all.len(), 56);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_vectors_hold_however_they_are_spelt(seed: u64) {
        for vector in Vector::all() {
            vector.check(&respelt(vector.messages_request.get(), seed));
        }
    }
}
