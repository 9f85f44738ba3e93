//! The turns of a Messages request: whose they are, and that calls and results meet.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::blocks;
use super::body::{Setting, text};
use crate::ask::Objection;

/// Neighbours of one role, which are one turn; what the system says stands beside them.
struct Turn<'a> {
    role: &'a str,
    /// The index of its last message.
    index: usize,
    /// Its blocks; text that is no block stands for itself.
    blocks: Vec<&'a Value>,
}

/// Objects to turns in an order that is none, and to calls without results.
pub(super) fn check(setting: Setting<'_>, messages: &[Value]) -> Result<(), Objection> {
    for (index, message) in messages.iter().enumerate() {
        check_keys(setting, message, index)?;
        blocks::check_content(setting, message, &format!("messages.{index}"))?;
    }
    let turns = turns(setting, messages)?;
    let mut used = HashSet::new();
    let mut former = None;
    for turn in &turns {
        check_results(former, turn)?;
        if let Some(id) = turn.calls().find(|id| !used.insert(*id)) {
            return Err(Objection::bad(format!(
                "messages.{}.content: `tool_use` ids must be unique: {id}",
                turn.index
            )));
        }
        former = Some(turn);
    }
    match former {
        Some(turn) if turn.calls().next().is_some() => Err(unanswered(turn, turn.index)),
        Some(turn) if turn.ends_in_blank() => Err(Objection::bad(
            "messages: final assistant content cannot end with trailing whitespace",
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_keys(setting: Setting<'_>, message: &Value, index: usize) -> Result<(), Objection> {
    let of_system = text(message, "role") == "system" && setting.beta;
    for key in message.as_object().into_iter().flat_map(Map::keys) {
        let known = matches!(key.as_str(), "role" | "content");
        if !(known || of_system && matches!(key.as_str(), "output_config" | "clear_at")) {
            return Err(Objection::bad(format!(
                "messages.{index}.{key}: Extra inputs are not permitted"
            )));
        }
    }
    Ok(())
}

/// Merges neighbours of one role, where the script lets them be.
fn turns<'a>(setting: Setting<'_>, messages: &'a [Value]) -> Result<Vec<Turn<'a>>, Objection> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let refused = |what: &str| Objection::bad(format!("messages.{index}.role: {what}"));
        let role = text(message, "role");
        let former = turns.last_mut();
        match (former.as_ref().map(|turn| turn.role), role) {
            (Some("user"), "system") => continue,
            (_, "system") => return Err(refused("a system turn follows a user's")),
            (None, "assistant") if setting.script.alternate => {
                return Err(refused("first message must use the \"user\" role"));
            }
            (Some(former), _) if former == role && setting.script.alternate => {
                return Err(refused(&format!(
                    "roles must alternate between \"user\" and \"assistant\", but found \
                     multiple \"{role}\" roles in a row"
                )));
            }
            (_, "user" | "assistant") => {}
            (_, _) => return Err(refused("Input should be 'user' or 'assistant'")),
        }
        let blocks = match message.get("content") {
            Some(Value::Array(blocks)) => blocks.iter().collect(),
            content => content.into_iter().collect::<Vec<_>>(),
        };
        match former {
            Some(turn) if turn.role == role => {
                turn.index = index;
                turn.blocks.extend(blocks);
            }
            Some(_) | None => turns.push(Turn {
                role,
                index,
                blocks,
            }),
        }
    }
    Ok(turns)
}

impl<'a> Turn<'a> {
    /// The ids of its calls.
    fn calls(&self) -> impl Iterator<Item = &'a str> {
        let calls = self.blocks.iter().copied();
        calls
            .filter(|block| text(block, "type") == "tool_use")
            .map(|block| text(block, "id"))
    }

    /// Whether it is the assistant's, and its text ends in blank space.
    fn ends_in_blank(&self) -> bool {
        let last = match self.blocks.last() {
            Some(Value::String(text)) => text,
            Some(block) => text(block, "text"),
            None => "",
        };
        self.role == "assistant" && last.ends_with(char::is_whitespace)
    }
}

/// Checks that a turn answers every call of the turn before it, at once, and nothing else.
fn check_results(former: Option<&Turn<'_>>, turn: &Turn<'_>) -> Result<(), Objection> {
    let index = turn.index;
    let asked: HashSet<&str> = former.into_iter().flat_map(Turn::calls).collect();
    let mut answered = HashSet::new();
    let mut results_over = false;
    for block in &turn.blocks {
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
        Some(former) if answered.len() < asked.len() => Err(unanswered(former, index)),
        Some(_) | None => Ok(()),
    }
}

fn unanswered(turn: &Turn<'_>, index: usize) -> Objection {
    let ids: Vec<&str> = turn.calls().collect();
    Objection::bad(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        ids.join(", ")
    ))
}
