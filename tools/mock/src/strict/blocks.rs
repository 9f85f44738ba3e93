//! The blocks of a Messages turn.

use serde_json::Value;

use super::body::{Setting, is_name, text};
use crate::ask::Objection;

/// Objects to content that is none of its role's.
pub(super) fn check_content(
    setting: Setting<'_>,
    message: &Value,
    place: &str,
) -> Result<(), Objection> {
    let role = text(message, "role");
    let blocks = match message.get("content") {
        Some(Value::Array(blocks)) if blocks.is_empty() => "",
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Array(blocks)) => {
            for (index, block) in blocks.iter().enumerate() {
                check_block(setting, role, block, &format!("{place}.content.{index}"))?;
            }
            return Ok(());
        }
        _ => {
            let message = format!("{place}.content: Input should be a valid list");
            return Err(Objection::bad(message));
        }
    };
    // The assistant's may be empty, and so may what only carries other settings.
    if role == "user" && blocks.trim().is_empty() {
        let message = format!("{place}: user messages must have non-empty content");
        return Err(Objection::bad(message));
    }
    Ok(())
}

fn check_block(
    setting: Setting<'_>,
    role: &str,
    block: &Value,
    place: &str,
) -> Result<(), Objection> {
    let kind = text(block, "type");
    match (role, kind) {
        (_, "text") => check_text(block, place),
        ("user", "image") => check_image(block, place),
        ("user", "document" | "search_result" | "container_upload") => Ok(()),
        ("user", "tool_result") => check_result(block, place),
        ("assistant", "tool_use") => check_call(block, place),
        ("assistant", "thinking") => check_thought(block, place),
        ("assistant", "redacted_thinking" | "server_tool_use" | "mcp_tool_use") => Ok(()),
        ("assistant", _) if kind.ends_with("_tool_result") => Ok(()),
        ("assistant", "compaction" | "fallback") => Ok(()),
        ("system", "tool_addition" | "tool_removal") if setting.beta => Ok(()),
        (_, _) => Err(Objection::bad(format!(
            "{place}: Input tag '{kind}' does not match any of the tags of `{role}` messages"
        ))),
    }
}

/// Objects to a text block that is blank.
pub(super) fn check_text(block: &Value, place: &str) -> Result<(), Objection> {
    if text(block, "text").trim().is_empty() {
        return Err(Objection::bad(format!(
            "{place}: text content blocks must be non-empty"
        )));
    }
    Ok(())
}

fn check_image(block: &Value, place: &str) -> Result<(), Objection> {
    let source = block.get("source").unwrap_or(&Value::Null);
    let good = match text(source, "type") {
        "base64" => MEDIA.contains(&text(source, "media_type")) && is_base64(text(source, "data")),
        "url" => text(source, "url").to_ascii_lowercase().starts_with("http"),
        "file" => !text(source, "file_id").is_empty(),
        _ => false,
    };
    if good {
        return Ok(());
    }
    Err(Objection::bad(format!(
        "{place}.image.source: neither base64 of a known media type nor an address nor a file"
    )))
}

fn check_result(block: &Value, place: &str) -> Result<(), Objection> {
    let parts = match block.get("content") {
        None | Some(Value::Null | Value::String(_)) => return Ok(()),
        Some(Value::Array(parts)) => parts,
        Some(_) => {
            let message = format!("{place}.tool_result.content: Input should be a valid list");
            return Err(Objection::bad(message));
        }
    };
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}.tool_result.content.{index}");
        match text(part, "type") {
            "text" => check_text(part, &place)?,
            "image" => check_image(part, &place)?,
            "document" | "search_result" | "tool_reference" | "browser_state" => {}
            kind => {
                return Err(Objection::bad(format!(
                    "{place}: Input tag '{kind}' does not match any of the expected tags"
                )));
            }
        }
    }
    Ok(())
}

fn check_call(block: &Value, place: &str) -> Result<(), Objection> {
    let fault = if !is_name(text(block, "id"), usize::MAX) {
        "id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    } else if !is_name(text(block, "name"), NAME_MAX) {
        "name: String should match pattern '^[a-zA-Z0-9_-]{1,200}$'"
    } else if !block.get("input").is_some_and(Value::is_object) {
        "input: Input should be a valid dictionary"
    } else {
        return Ok(());
    };
    Err(Objection::bad(format!("{place}.tool_use.{fault}")))
}

fn check_thought(block: &Value, place: &str) -> Result<(), Objection> {
    // The vendor signs what its models think; a signature of somebody else's is noticed.
    let signed = text(block, "signature");
    let ours = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    if block.get("thinking").is_some_and(Value::is_string)
        && !signed.is_empty()
        && signed.chars().all(ours)
    {
        return Ok(());
    }
    Err(Objection::bad(format!(
        "{place}: Invalid `signature` in `thinking` block"
    )))
}

fn is_base64(data: &str) -> bool {
    let digit = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    !data.is_empty() && data.chars().all(digit)
}

const NAME_MAX: usize = 200;
const MEDIA: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];
