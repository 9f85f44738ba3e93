//! The conversation: turns are shaped as the API takes them, and written.

use std::borrow::Cow;

use super::blocks;
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::messages::model::{Class, Thinking};
use crate::dialect::prompt::{Block, Content, Speaker, Turn};
use crate::dialect::signature;
use crate::wire::json::{self, word};

/// Makes of `turns` what a model of `class` takes: turns of the user and the assistant alone, by
/// turns, and no thoughts but its own.
pub(super) fn shape(turns: &mut Vec<Turn<'_>>, class: &Class) {
    let takes = |block: &Block<'_>| is_taken(block, class);
    let is_shaped =
        |turn: &Turn<'_>| turn.speaker != Speaker::System && turn.blocks.iter().all(takes);
    if !turns.iter().all(is_shaped) {
        let mut shaped: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
        for mut turn in turns.drain(..) {
            turn.blocks.retain(takes);
            if turn.speaker == Speaker::System {
                turn = aside(&turn);
            }
            match shaped.last_mut() {
                _ if turn.blocks.is_empty() => {}
                Some(last) if last.speaker == turn.speaker => last.blocks.append(&mut turn.blocks),
                Some(_) | None => shaped.push(turn),
            }
        }
        *turns = shaped;
    }
    trim_prefill(turns);
}

/// The API refuses thoughts without its signature, and some models take none.
fn is_taken(block: &Block<'_>, class: &Class) -> bool {
    match block.content {
        Content::Thought { signature, .. } => {
            let is_own = |signature| signature::is_own(&signature::text_of(signature));
            class.thinking != Thinking::Never
                && signature.is_some_and(|signature| !is_own(signature))
        }
        Content::Text(_)
        | Content::Image(..)
        | Content::Audio(_)
        | Content::Document { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult { .. } => true,
    }
}

/// Words of the system within the conversation, as the user's: few models take them otherwise, and
/// behind the system's text in front they would make the provider's cache miss at each of them.
fn aside<'a>(turn: &Turn<'a>) -> Turn<'a> {
    let cache = turn.blocks.iter().rev().find_map(|block| block.cache);
    let mut text = b"\"<system>".to_vec();
    for block in &turn.blocks {
        if let Content::Text(said) = &block.content {
            text.extend_from_slice(b"\\n");
            text.extend_from_slice(between_quotes(said));
        }
    }
    text.extend_from_slice(b"\\n</system>\"");
    let block = Block {
        cache,
        ..Block::new(Content::Text(Cow::Owned(text)))
    };
    Turn {
        speaker: Speaker::User,
        blocks: vec![block],
    }
}

/// The API refuses white space at the end of an answer that the model is to continue.
fn trim_prefill(turns: &mut [Turn<'_>]) {
    let Some(turn) = turns.last_mut() else {
        return;
    };
    if turn.speaker != Speaker::Assistant {
        return;
    }
    let texts = turn.blocks.iter_mut().rev();
    let mut texts = texts.filter_map(|block| match &mut block.content {
        Content::Text(text) => Some(text),
        Content::Image(..)
        | Content::Audio(_)
        | Content::Document { .. }
        | Content::Thought { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult { .. } => None,
    });
    if let Some(text) = texts.next()
        && let Ok(said) = serde_json::from_slice::<Cow<'_, str>>(text)
        && said.trim_end().len() < said.len()
    {
        *text = Cow::Owned(json::quoted(said.trim_end()));
    }
}

/// Whether the model is to go on with a turn, after results of its calls, in which the history has
/// no thought of it.
pub(super) fn goes_on_without_thoughts(turns: &[Turn<'_>]) -> bool {
    let Some((last, earlier)) = turns.split_last() else {
        return false;
    };
    let begins_with_thought = || {
        let first = earlier.last().and_then(|turn| turn.blocks.first());
        first.is_some_and(|block| matches!(block.content, Content::Thought { .. }))
    };
    last.blocks.iter().any(blocks::is_result) && !begins_with_thought()
}

/// The names of the tools that have been called, each once, in order.
pub(super) fn called_tools<'a>(turns: &[Turn<'a>]) -> Vec<Cow<'a, [u8]>> {
    let mut seen = std::collections::HashSet::new();
    let blocks = turns.iter().flat_map(|turn| &turn.blocks);
    let names = blocks.filter_map(|block| match &block.content {
        Content::ToolUse { name, .. } => Some(name),
        Content::Text(_)
        | Content::Image(..)
        | Content::Audio(_)
        | Content::Document { .. }
        | Content::Thought { .. }
        | Content::ToolResult { .. } => None,
    });
    let names = names.filter(|name| seen.insert(word(name)));
    names.cloned().collect()
}

/// Writes `system`: a string, or a list where a part has a cache marker.
pub(super) fn write_system(system: &[Block<'_>], body: &mut Composer<'_>) {
    if system.is_empty() {
        return;
    }
    let out = body.member("system");
    let texts: Option<Vec<&[u8]>> = system.iter().map(blocks::plain_text).collect();
    let Some(texts) = texts else {
        return blocks::write_list(system.iter(), out);
    };
    for (index, text) in texts.into_iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b"\\n" });
        out.extend_from_slice(between_quotes(text));
    }
    out.push(b'"');
}

/// Writes `messages`.
pub(super) fn write(turns: &[Turn<'_>], body: &mut Composer<'_>) {
    let mut list = Composer::array(body.member("messages"));
    for turn in turns {
        write_turn(turn, list.element());
    }
    list.end();
}

fn write_turn(turn: &Turn<'_>, out: &mut Vec<u8>) {
    let mut message = Composer::object(out);
    message.word(
        "role",
        match turn.speaker {
            Speaker::System | Speaker::User => "user",
            Speaker::Assistant => "assistant",
        },
    );
    let content = message.member("content");
    match turn.blocks.as_slice() {
        [one] if blocks::plain_text(one).is_some() => {
            content.extend_from_slice(blocks::plain_text(one).unwrap_or_default());
        }
        // The results of calls must come first in a turn.
        all => {
            let results = all.iter().filter(|block| blocks::is_result(block));
            let others = all.iter().filter(|block| !blocks::is_result(block));
            blocks::write_list(results.chain(others), content);
        }
    }
    message.end();
}
