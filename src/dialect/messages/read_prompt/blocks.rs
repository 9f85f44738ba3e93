//! Blocks of content (rules MR1, MR4 and MR5).

use std::borrow::Cow;

use super::members::{Members, Place, marked, text_content};
use super::tools::Tools;
use super::{documents, results};
use crate::dialect::fields;
use crate::dialect::prompt::{Block, CallInput, Content, Input};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads a block of a user's message.
pub(super) fn read_user<'a>(
    block: &Value<'a>,
    place: Place,
    tools: &mut Tools<'a>,
) -> Result<Option<Block<'a>>, Unsupported> {
    let members = Members::read(block)?;
    let content = match &*members.kind.word() {
        b"tool_result" => Some(results::read(&members, place, tools)?),
        _ => return documents::read_said(&members, place),
    };
    Ok(content.map(|content| marked(content, members.cache)))
}

/// Reads a block of the model's. What only Anthropic can read is left out.
pub(super) fn read_assistant<'a>(
    block: &Value<'a>,
    tools: &mut Tools<'a>,
) -> Result<Option<Block<'a>>, Unsupported> {
    let members = Members::read(block)?;
    let content = match &*members.kind.word() {
        b"text" => members.text()?,
        b"tool_use" => Some(tool_use(&members, tools)?),
        b"thinking" => {
            let is_string = |value: &Value<'_>| value.kind == Kind::String;
            let signature = members.signature.filter(is_string);
            let text = members.thinking.filter(is_string);
            text.map(|text| Content::Thought {
                text: Cow::Borrowed(text.text),
                signature: signature.map(|signature| signature.text),
                is_free: false,
            })
        }
        // A summary of what has been said before.
        b"compaction" => members
            .content
            .filter(|content| content.kind == Kind::String)
            .and_then(text_content),
        _ => None,
    };
    Ok(content.map(|content| marked(content, members.cache)))
}

/// Reads a block of a system message: text, or a change of the tools.
pub(super) fn read_system<'a>(
    block: &Value<'a>,
    tools: &mut Tools<'a>,
) -> Result<Option<Block<'a>>, Unsupported> {
    let members = Members::read(block)?;
    let tool = || {
        let missing = || Unsupported::new(".tool", "is missing");
        members.tool.ok_or_else(missing)
    };
    let content = match &*members.kind.word() {
        b"text" => members.text()?,
        b"tool_addition" => {
            tools.add(&tool()?).map_err(|fault| fault.within(".tool"))?;
            None
        }
        b"tool_removal" => {
            tools
                .remove(&tool()?)
                .map_err(|fault| fault.within(".tool"))?;
            None
        }
        _ => return Err(Unsupported::new("", "has a type that cannot be expressed")),
    };
    Ok(content.map(|content| marked(content, members.cache)))
}

fn tool_use<'a>(members: &Members<'a>, tools: &mut Tools<'a>) -> Result<Content<'a>, Unsupported> {
    let id = fields::required(members.id, ".id")?;
    let name = fields::required(members.name, ".name")?;
    tools.name(name.text);
    let input = match members.input {
        None => Input::Object(Cow::Borrowed(b"{}")),
        Some(input) if input.kind == Kind::Object => Input::Object(Cow::Borrowed(input.text)),
        Some(input) => Input::Other(Cow::Borrowed(input.text)),
    };
    Ok(Content::ToolUse {
        id: fields::text_of(&id),
        name: Cow::Borrowed(name.text),
        input: CallInput::Parsed(input),
    })
}
