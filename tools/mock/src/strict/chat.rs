//! OpenAI's chat completions.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::body::{entries, given, is_name, messages_of, text};
use crate::ask::Objection;
use crate::script::Script;

/// Objects to what the chat endpoint answers 400 to.
pub(super) fn check(script: &Script, body: &Map<String, Value>) -> Result<(), Objection> {
    check_unsupported(script, body)?;
    if script.strict {
        check_keys(body)?;
        check_tools(body)?;
    }
    let mut open: HashSet<&str> = HashSet::new();
    for (index, message) in messages_of(body)?.iter().enumerate() {
        let role = text(message, "role");
        if !ROLES.contains(&role) {
            return Err(Objection::bad(format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', \
                 'function', 'tool', and 'developer'."
            )));
        }
        if role == "tool" {
            check_result(message, index, &mut open)?;
            continue;
        }
        check_answered(&open)?;
        check_content(message, index)?;
        open = entries(message.get("tool_calls"))
            .iter()
            .map(|call| text(call, "id"))
            .collect();
    }
    check_answered(&open)
}

/// Objects to `stream_options` without `stream`.
pub(super) fn check_stream_options(body: &Map<String, Value>) -> Result<(), Objection> {
    let streams = body.get("stream").and_then(Value::as_bool) == Some(true);
    if given(body, "stream_options").is_some() && !streams {
        return Err(Objection::bad(
            "stream_options is only allowed when stream is enabled",
        ));
    }
    Ok(())
}

/// Objects to the parameters that the script says the model does not have.
pub(super) fn check_unsupported(
    script: &Script,
    body: &Map<String, Value>,
) -> Result<(), Objection> {
    match script
        .unsupported
        .iter()
        .find(|key| body.contains_key(*key))
    {
        Some(key) => Err(Objection::unsupported(key)),
        None => Ok(()),
    }
}

fn check_keys(body: &Map<String, Value>) -> Result<(), Objection> {
    for key in body.keys() {
        if !KEYS.contains(&key.as_str()) {
            let message = format!("Unrecognized request argument supplied: {key}");
            return Err(Objection::bad(message));
        }
    }
    for key in ["tool_choice", "parallel_tool_calls"] {
        if body.contains_key(key) && entries(body.get("tools")).is_empty() {
            return Err(Objection::bad(format!(
                "Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified."
            )));
        }
    }
    Ok(())
}

fn check_tools(body: &Map<String, Value>) -> Result<(), Objection> {
    if given(body, "tools").is_some() && entries(body.get("tools")).is_empty() {
        return Err(Objection::bad("[] is too short - 'tools'"));
    }
    for (index, tool) in entries(body.get("tools")).iter().enumerate() {
        let function = tool.get("function").unwrap_or(&Value::Null);
        if text(tool, "type") != "function" || !is_name(text(function, "name"), NAME_MAX) {
            return Err(Objection::bad(format!(
                "Invalid 'tools[{index}].function.name': string does not match pattern. \
                 Expected a string that matches the pattern '^[a-zA-Z0-9_-]{{1,64}}$'."
            )));
        }
    }
    Ok(())
}

fn check_content(message: &Value, index: usize) -> Result<(), Objection> {
    let calls = message.get("tool_calls");
    if calls.is_some_and(|calls| calls.as_array().is_some_and(Vec::is_empty)) {
        return Err(Objection::bad(format!(
            "[] is too short - 'messages.{index}.tool_calls'"
        )));
    }
    let calls = calls.is_some() || message.get("function_call").is_some();
    match message.get("content") {
        Some(Value::String(_) | Value::Array(_)) => Ok(()),
        None | Some(Value::Null) if calls || message.get("refusal").is_some() => Ok(()),
        _ => Err(Objection::bad(format!(
            "Invalid value for 'content': expected a string, got null. messages.{index}.content"
        ))),
    }
}

fn check_result<'a>(
    message: &'a Value,
    index: usize,
    open: &mut HashSet<&'a str>,
) -> Result<(), Objection> {
    if !open.remove(text(message, "tool_call_id")) {
        return Err(Objection::bad(format!(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
             message with 'tool_calls'. messages.[{index}].role"
        )));
    }
    let parts = entries(message.get("content"));
    if parts.iter().any(|part| text(part, "type") != "text") {
        return Err(Objection::bad(format!(
            "Invalid value: messages[{index}].content: a tool message has text alone"
        )));
    }
    Ok(())
}

fn check_answered(open: &HashSet<&str>) -> Result<(), Objection> {
    if open.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<&str> = open.iter().copied().collect();
    ids.sort_unstable();
    Err(Objection::bad(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        ids.join(", ")
    )))
}

const NAME_MAX: usize = 64;
const ROLES: &[&str] = &[
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];
const KEYS: &[&str] = &[
    "model",
    "messages",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
