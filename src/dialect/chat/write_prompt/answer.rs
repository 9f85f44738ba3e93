//! What the model has said: its text, its thoughts and its calls (rules MR5 and MR8, and B4 and B5
//! of reference/responses-inbound.md).

use super::{ChatModel, Host, Written};
use crate::dialect::chat::lessons::Key;
use crate::dialect::chat::model::{self, class_of};
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::names::Names;
use crate::dialect::prompt::{Block, CallInput, Content, Input, Turn};
use crate::dialect::signature::{self, ThoughtField};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json;

/// Appends the message of one turn, if it has text or calls.
pub(super) fn write(
    turn: &Turn<'_>,
    model: &ChatModel<'_>,
    written: &mut Written,
    list: &mut Composer<'_>,
) -> Result<(), Unsupported> {
    let (mut has_text, mut has_calls, mut has_thoughts) = (false, false, false);
    for block in &turn.blocks {
        match &block.content {
            Content::Text(_) => has_text = true,
            Content::ToolUse { .. } => has_calls = true,
            Content::Thought { .. } => has_thoughts = true,
            Content::Image(..)
            | Content::Audio(_)
            | Content::Document { .. }
            | Content::ToolResult { .. } => {
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
        write_thoughts(&turn.blocks, model, written, &mut message);
    }
    if has_calls {
        let (calls, names) = (message.member("tool_calls"), &mut written.names);
        write_calls(&turn.blocks, model.id, names, calls);
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
fn write_thoughts(
    blocks: &[Block<'_>],
    model: &ChatModel<'_>,
    written: &mut Written,
    message: &mut Composer<'_>,
) {
    let taken = Taken::by(model);
    for field in ThoughtField::ALL {
        let key = match field {
            ThoughtField::ReasoningContent => Key::ReasoningContent,
            ThoughtField::Reasoning => Key::Reasoning,
        };
        if model.left_out.has(key) {
            continue;
        }
        let mut thoughts = blocks.iter().filter_map(|block| match &block.content {
            Content::Thought {
                text,
                signature,
                is_free,
            } => {
                let wanted = taken.field_of(*signature, *is_free);
                (wanted == Some(field)).then_some(between_quotes(text))
            }
            Content::Text(_)
            | Content::Image(..)
            | Content::Audio(_)
            | Content::Document { .. }
            | Content::ToolUse { .. }
            | Content::ToolResult { .. } => None,
        });
        let Some(first) = thoughts.next() else {
            continue;
        };
        written.sent = written.sent.with(key);
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

/// Which thoughts a model takes.
struct Taken {
    /// Whether it takes those that infermux has signed, in the field that the signature names.
    has_fields: bool,
    /// The field for those that any model may be given.
    free: Option<ThoughtField>,
    /// The field for all others.
    foreign: Option<ThoughtField>,
}

impl Taken {
    fn by(model: &ChatModel<'_>) -> Self {
        let mut vendors = ANY_THOUGHTS.iter();
        let has_fields = !class_of(model.id).is_openai;
        let takes_all = vendors.any(|vendor| model::contains(model.id, vendor));
        Self {
            has_fields,
            free: match model.host {
                Host::Ollama => Some(ThoughtField::Reasoning),
                Host::Other => has_fields.then_some(ThoughtField::ReasoningContent),
            },
            foreign: (has_fields && takes_all).then_some(ThoughtField::ReasoningContent),
        }
    }

    /// The field that a thought goes to; `None`: to none.
    fn field_of(&self, signature: Option<&[u8]>, is_free: bool) -> Option<ThoughtField> {
        let text = signature.map(signature::text_of).unwrap_or_default();
        let own = ThoughtField::of_signature(&text).filter(|_| self.has_fields);
        let free = self.free.filter(|_| is_free);
        own.or(free).or(self.foreign)
    }
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
fn write_arguments(arguments: &CallInput<'_>, out: &mut Vec<u8>) {
    let text = match arguments {
        CallInput::Parsed(Input::Object(text)) => text,
        // CallInput that are no JSON at all are a string here, and were its text.
        CallInput::Parsed(Input::Other(text)) if text.first() == Some(&b'"') => {
            return out.extend_from_slice(text);
        }
        CallInput::Parsed(Input::Other(text)) => text,
        CallInput::Unread(text) => return out.extend_from_slice(text),
        CallInput::Text(text) => return write_input(text, out),
    };
    let mut small = Vec::with_capacity(text.len());
    compact(text, &mut small);
    json::write_string(&String::from_utf8_lossy(&small), out);
}

/// Appends the arguments of a tool that takes the text `said`, a string.
fn write_input(said: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#""{\"input\":"#);
    let mut from = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', said) {
        out.extend_from_slice(said.get(from..at).unwrap_or_default());
        out.push(b'\\');
        from = at;
    }
    out.extend_from_slice(said.get(from..).unwrap_or_default());
    out.extend_from_slice(br#"}""#);
}

/// Vendors whose models refuse calls without thoughts, whoever thought them.
const ANY_THOUGHTS: [&str; 2] = ["deepseek", "kimi"];
/// The vendor's models want the signatures of their calls back.
const GEMINI: &str = "gemini";
/// What Gemini takes in place of a signature, for calls that are not its own.
const SKIP: &str = "skip_thought_signature_validator";
