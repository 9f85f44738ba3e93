//! Tests: a request keeps its meaning when it is written in a dialect and read again.

use std::path::Path;

use serde_json::Value as Json;

use super::chat::lessons::Keys;
use super::chat::write_prompt::{self, ChatModel, Host, Stream};
use super::messages::write_prompt::{self as write_messages, Upstream};
use super::prompt::{Block, CallInput, Content, Format, Input, Prompt, Speaker};
use super::{chat, messages};

/// The bodies of all vectors of requests in this folder, under this name.
fn bodies(folder: &str, name: &str) -> Vec<(String, String)> {
    let folder = format!("{}/tests/golden/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = Path::new(&folder).read_dir().unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let vectors = texts.map(|text| serde_json::from_str::<Json>(&text).unwrap());
    vectors
        .map(|vector| (vector["id"].to_string(), vector[name].to_string()))
        .collect()
}

fn as_chat(prompt: &Prompt<'_>) -> Option<String> {
    let model = ChatModel {
        id: "x-gemini",
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::No,
    };
    let mut out = Vec::new();
    write_prompt::write(prompt, &model, &mut out).ok()?;
    Some(String::from_utf8(out).unwrap())
}

fn as_messages(prompt: Prompt<'_>) -> Option<String> {
    let upstream = Upstream {
        model: "claude-opus-4-7",
        is_streamed: false,
    };
    let mut out = Vec::new();
    write_messages::write(prompt, upstream, &mut out).ok()?;
    Some(String::from_utf8(out).unwrap())
}

/// What the model is told, of a chat request's body.
fn told(body: &str) -> Json {
    let body: Json = serde_json::from_str(body).unwrap();
    body["messages"].clone()
}

/// Whether Messages must change something: white space at the end of an answer that the model is to
/// continue, or arguments that are no object.
fn is_changed(prompt: &Prompt<'_>) -> bool {
    let last = prompt.turns.last();
    let is_prefill = last.is_some_and(|turn| turn.speaker == Speaker::Assistant);
    let mut blocks = prompt.turns.iter().flat_map(|turn| &turn.blocks);
    let is_wrapped = |block: &Block<'_>| match &block.content {
        Content::ToolUse { input, .. } => matches!(input, CallInput::Parsed(Input::Other(_))),
        _ => false,
    };
    is_prefill || blocks.any(is_wrapped)
}

/// Checks each prompt that both dialects can carry: written as Messages and read again, it must be
/// the same chat request as without this. Returns how many there were.
fn check(folder: &str, name: &str, read: fn(&str) -> Option<Prompt<'_>>) -> usize {
    let mut count = 0;
    for (id, body) in bodies(folder, name) {
        let Some(mut prompt) = read(&body).filter(|prompt| !is_changed(prompt)) else {
            continue;
        };
        // Each dialect tells only its own providers' thoughts, and some forms in words.
        let is_said = |block: &Block<'_>| !matches!(block.content, Content::Thought { .. });
        let turns = prompt.turns.iter_mut();
        turns.for_each(|turn| turn.blocks.retain(is_said));
        prompt.format = Format::Free;
        let Some(expected) = as_chat(&prompt) else {
            continue;
        };
        let Some(again) = as_messages(prompt) else {
            continue;
        };
        let found = messages::read_prompt::read(again.as_bytes()).unwrap();
        assert_eq!(told(&as_chat(&found).unwrap()), told(&expected), "{id}");
        count += 1;
    }
    count
}

fn read_messages(body: &str) -> Option<Prompt<'_>> {
    messages::read_prompt::read(body.as_bytes()).ok()
}

fn read_chat(body: &str) -> Option<Prompt<'_>> {
    let read = chat::read_prompt::read(body.as_bytes()).ok();
    read.map(|(prompt, _)| prompt)
}

#[test]
fn messages_keep_their_meaning_there_and_back() {
    let count = check("messages/request", "messages_request", read_messages);
    assert!(count > 40, "{count} of the vectors can be sent");
}

#[test]
fn chat_requests_keep_their_meaning_there_and_back() {
    let count = check("anthropic/request", "openai_request", read_chat);
    assert!(count > 60, "{count} of the vectors can be sent");
}
