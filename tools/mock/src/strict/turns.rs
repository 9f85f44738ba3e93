//! The turns of a Messages request: whose they are, and that calls and results meet.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::blocks;
use super::body::{Setting, entries, text};
use crate::ask::Objection;

/// Objects to turns in an order that is none, and to calls without results.
pub(super) fn check(setting: Setting<'_>, messages: &[Value]) -> Result<(), Objection> {
    let mut former: Option<&Value> = None;
    let mut used = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        check_keys(setting, message, index)?;
        let role = text(message, "role");
        blocks::check_content(setting, message, &format!("messages.{index}"))?;
        check_role(setting, index, former.map(|turn| text(turn, "role")), role)?;
        check_results(former, message, index)?;
        for call in calls(message) {
            if !used.insert(call) {
                return Err(Objection::bad(format!(
                    "messages.{index}.content: `tool_use` ids must be unique"
                )));
            }
        }
        // A system turn stands beside the others: the user's goes on behind it.
        if role != "system" {
            former = Some(message);
        }
    }
    let last = messages.len().saturating_sub(1);
    match former {
        Some(turn) if calls(turn).next().is_some() => Err(unanswered(turn, last)),
        Some(turn) if ends_in_blank(turn) => Err(Objection::bad(
            "messages: final assistant content cannot end with trailing whitespace",
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_keys(setting: Setting<'_>, message: &Value, index: usize) -> Result<(), Objection> {
    let system = text(message, "role") == "system";
    for key in message.as_object().into_iter().flat_map(Map::keys) {
        let known = matches!(key.as_str(), "role" | "content");
        let of_system =
            system && setting.beta && matches!(key.as_str(), "output_config" | "clear_at");
        if !known && !of_system {
            return Err(Objection::bad(format!(
                "messages.{index}.{key}: Extra inputs are not permitted"
            )));
        }
    }
    Ok(())
}

fn check_role(
    setting: Setting<'_>,
    index: usize,
    former: Option<&str>,
    role: &str,
) -> Result<(), Objection> {
    let refused = |what: &str| Err(Objection::bad(format!("messages.{index}.role: {what}")));
    match (former, role) {
        (_, "user" | "assistant") => {}
        (Some("user"), "system") => return Ok(()),
        (_, "system") => return refused("a system turn follows a user's"),
        (_, _) => return refused("Input should be 'user' or 'assistant'"),
    }
    if setting.script.merges_turns {
        return Ok(());
    }
    match former {
        None if role == "assistant" => refused("first message must use the \"user\" role"),
        Some(former) if former == role => refused(&format!(
            "roles must alternate between \"user\" and \"assistant\", but found multiple \
             \"{role}\" roles in a row"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Checks that a turn answers every call of the turn before it, at once, and nothing else.
fn check_results(former: Option<&Value>, message: &Value, index: usize) -> Result<(), Objection> {
    if text(message, "role") == "system" {
        return Ok(());
    }
    let asked: HashSet<&str> = former.into_iter().flat_map(calls).collect();
    let mut answered = HashSet::new();
    let mut results_over = false;
    for block in entries(message.get("content")) {
        if text(block, "type") != "tool_result" {
            results_over = true;
            continue;
        }
        let id = text(block, "tool_use_id");
        if !asked.contains(id) || !answered.insert(id) {
            return Err(Objection::bad(format!(
                "messages.{index}.content: unexpected `tool_use_id` found in `tool_result` \
                 blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` \
                 block in the previous message."
            )));
        }
        if results_over {
            return Err(Objection::bad(format!(
                "messages.{index}.content: `tool_result` blocks stand in front of all others"
            )));
        }
    }
    match former {
        Some(turn) if answered.len() < asked.len() => Err(unanswered(turn, index)),
        Some(_) | None => Ok(()),
    }
}

fn unanswered(turn: &Value, index: usize) -> Objection {
    let ids: Vec<&str> = calls(turn).collect();
    Objection::bad(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        ids.join(", ")
    ))
}

/// The ids of a turn's calls.
fn calls(message: &Value) -> impl Iterator<Item = &str> {
    entries(message.get("content"))
        .iter()
        .filter(|block| text(block, "type") == "tool_use")
        .map(|block| text(block, "id"))
}

/// Whether the last turn is the assistant's, and its text ends in blank space.
fn ends_in_blank(turn: &Value) -> bool {
    let last = match turn.get("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(blocks)) => blocks.last().map_or("", |block| text(block, "text")),
        _ => "",
    };
    text(turn, "role") == "assistant" && last.ends_with(char::is_whitespace)
}
