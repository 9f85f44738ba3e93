//! Makes of a prompt that a caller of Responses has sent what the writer of Messages takes: the
//! reader of chat completions does the same for its own callers (rule B13 of
//! reference/responses-inbound.md, rules Q of reference/translation.md).

use std::borrow::Cow;

use crate::dialect::ids::Ids;
use crate::dialect::prompt::{
    Block, CallInput, Content, Prompt, Said, Source, Speaker, Thinking, Turn,
};
use crate::dialect::unsupported::Unsupported;
use crate::dialect::{call_input, files};
use crate::wire::json::{Kind, Value};

/// Moves all text of the system to the front, reads what is given as OpenAI's callers give it, and
/// gives each call an id of its own.
///
/// # Errors
/// A part of the prompt has no equivalent; the fault says where it stands in the caller's request.
pub fn shape(prompt: &mut Prompt<'_>) -> Result<(), Unsupported> {
    hoist(prompt);
    if prompt.turns.is_empty() {
        let why = "holds nothing that a user or a model says";
        return Err(Unsupported::new("input", why));
    }
    if let Thinking::Named(name) = prompt.thinking {
        let known = Thinking::of_effort(&string(name));
        let unknown = || Unsupported::new("reasoning.effort", "is not a known level");
        prompt.thinking = known.ok_or_else(unknown)?;
    }
    let mut ids = Ids::default();
    let mut blocks = prompt.turns.iter_mut().flat_map(|turn| &mut turn.blocks);
    blocks.try_for_each(|block| settle(block, &mut ids))
}

/// Moves what the system says to the front; the turns around it become one.
fn hoist(prompt: &mut Prompt<'_>) {
    if prompt
        .turns
        .iter()
        .all(|turn| turn.speaker != Speaker::System)
    {
        return;
    }
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(prompt.turns.len());
    for mut turn in prompt.turns.drain(..) {
        match turns.last_mut() {
            _ if turn.speaker == Speaker::System => prompt.system.append(&mut turn.blocks),
            Some(last) if last.speaker == turn.speaker => last.blocks.append(&mut turn.blocks),
            Some(_) | None => turns.push(turn),
        }
    }
    prompt.turns = turns;
}

fn settle(block: &mut Block<'_>, ids: &mut Ids) -> Result<(), Unsupported> {
    match &mut block.content {
        Content::ToolUse { id, input, .. } => {
            *id = Cow::Owned(ids.call(id));
            if let CallInput::Unread(text) = input {
                *input = CallInput::Parsed(call_input::read(Some(string(text))));
            }
        }
        Content::ToolResult { id, said, .. } => {
            *id = Cow::Owned(ids.result(id));
            if let Said::Blocks(blocks) = said {
                return blocks.iter_mut().try_for_each(read_given);
            }
        }
        Content::Image(..) | Content::Document { .. } => return read_given(block),
        Content::Text(_) | Content::Audio(_) | Content::Thought { .. } => {}
    }
    Ok(())
}

/// Reads a picture or a document that is given as OpenAI's callers give it.
fn read_given(block: &mut Block<'_>) -> Result<(), Unsupported> {
    let read = match &block.content {
        Content::Image(Source::Given(url), _) => files::picture(&string(url)),
        Content::Document {
            source: Source::Given(data),
            title,
            ..
        } => files::document_of(&string(data), title.map(string)),
        Content::Image(..)
        | Content::Document { .. }
        | Content::Text(_)
        | Content::Audio(_)
        | Content::Thought { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult { .. } => return Ok(()),
    };
    block.content = read.map_err(|why| Unsupported::new(&block.place, why))?;
    Ok(())
}

/// A string as a value.
const fn string(text: &[u8]) -> Value<'_> {
    Value {
        text,
        at: 0,
        kind: Kind::String,
    }
}
