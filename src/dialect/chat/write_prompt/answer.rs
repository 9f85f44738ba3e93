//! What the model has said: its text, its thoughts and its calls (rules MR5 and MR8).

use crate::dialect::chat::model::{self, Class, class_of};
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::names::Names;
use crate::dialect::prompt::{Block, Content, Input, Turn};
use crate::dialect::signature::{self, ThoughtField};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json;

/// Appends the message of one turn, if it has text or calls.
pub(super) fn write(
    turn: &Turn<'_>,
    model: &str,
    names: &mut Names,
    list: &mut Composer<'_>,
) -> Result<(), Unsupported> {
    let (mut has_text, mut has_calls, mut has_thoughts) = (false, false, false);
    for block in &turn.blocks {
        match &block.content {
            Content::Text(_) => has_text = true,
            Content::ToolUse { .. } => has_calls = true,
            Content::Thought { .. } => has_thoughts = true,
            Content::Image(_) | Content::Document { .. } | Content::ToolResult { .. } => {
                return Err(Unsupported::new(&block.place, "is no part of an answer"));
            }
        }
    }
    if !has_text && !has_calls {
        return Ok(());
    }
    let mut message = Composer::object(list.element());
    message.raw("role", br#""assistant""#);
    let content = message.member("content");
    if has_text {
        write_text(&turn.blocks, content);
    } else {
        content.extend_from_slice(b"null");
    }
    if has_thoughts {
        write_thoughts(&turn.blocks, model, &mut message);
    }
    if has_calls {
        write_calls(&turn.blocks, model, names, message.member("tool_calls"));
    }
    message.end();
    Ok(())
}

/// Appends the texts as one string; they follow each other without a gap.
fn write_text(blocks: &[Block<'_>], out: &mut Vec<u8>) {
    out.push(b'"');
    for block in blocks {
        if let Content::Text(text) = &block.content {
            out.extend_from_slice(between_quotes(text));
        }
    }
    out.push(b'"');
}

/// Adds the thoughts in the fields that this model wants them in.
fn write_thoughts(blocks: &[Block<'_>], model: &str, message: &mut Composer<'_>) {
    let class = class_of(model);
    let takes_all = ANY_THOUGHTS
        .iter()
        .any(|vendor| model::contains(model, vendor));
    for field in ThoughtField::ALL {
        let mut thoughts = blocks.iter().filter_map(|block| match &block.content {
            Content::Thought { text, signature } => {
                let wanted = field_of(*signature, class, takes_all);
                (wanted == Some(field)).then_some(between_quotes(text))
            }
            Content::Text(_)
            | Content::Image(_)
            | Content::Document { .. }
            | Content::ToolUse { .. }
            | Content::ToolResult { .. } => None,
        });
        let Some(first) = thoughts.next() else {
            continue;
        };
        let out = message.member(field.name());
        out.push(b'"');
        out.extend_from_slice(first);
        for thought in thoughts {
            out.extend_from_slice(b"\\n");
            out.extend_from_slice(thought);
        }
        out.push(b'"');
    }
}

/// The field that a thought goes to; `None`: to none.
fn field_of(signature: Option<&[u8]>, class: &Class, takes_all: bool) -> Option<ThoughtField> {
    if class.is_openai {
        return None;
    }
    let text = signature.map(signature::text_of).unwrap_or_default();
    let own = ThoughtField::of_signature(&text);
    own.or(takes_all.then_some(ThoughtField::ReasoningContent))
}

fn write_calls(blocks: &[Block<'_>], model: &str, names: &mut Names, out: &mut Vec<u8>) {
    let wants_signatures = model::contains(model, GEMINI);
    let mut list = Composer::array(out);
    let mut is_first = true;
    for block in blocks {
        let Content::ToolUse { id, name, input } = &block.content else {
            continue;
        };
        let mut call = Composer::object(list.element());
        call.string("id", signature::bare(id));
        call.raw("type", br#""function""#);
        let mut function = Composer::object(call.member("function"));
        function.raw("name", &names.shortened(name));
        write_arguments(input, function.member("arguments"));
        function.end();
        if wants_signatures {
            let carried = signature::carried(id);
            let signature = match carried.as_deref() {
                // The first call of a turn must have one.
                None if is_first => Some(SKIP),
                other => other,
            };
            if let Some(signature) = signature {
                let mut extra = Composer::object(call.member("extra_content"));
                let mut google = Composer::object(extra.member("google"));
                google.string("thought_signature", signature);
                google.end();
                extra.end();
            }
        }
        call.end();
        is_first = false;
    }
    list.end();
}

/// Appends the arguments as the text of a JSON string.
fn write_arguments(input: &Input<'_>, out: &mut Vec<u8>) {
    let text = match input {
        Input::Object(text) => text,
        // Arguments that are no JSON at all are a string here, and were its text.
        Input::Other(text) if text.first() == Some(&b'"') => {
            return out.extend_from_slice(text);
        }
        Input::Other(text) => text,
    };
    let mut small = Vec::with_capacity(text.len());
    compact(text, &mut small);
    json::write_string(&String::from_utf8_lossy(&small), out);
}

/// Vendors whose models refuse calls without thoughts, whoever thought them.
const ANY_THOUGHTS: [&str; 2] = ["deepseek", "kimi"];
/// The vendor's models want the signatures of their calls back.
const GEMINI: &str = "gemini";
/// What Gemini takes in place of a signature, for calls that are not its own.
const SKIP: &str = "skip_thought_signature_validator";
