//! The conversation, as a list of messages (rules MR2 to MR6).

use super::Writer;
use super::pieces::Pieces;
use super::{answer, results};
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::prompt::{Block, Content, Speaker, Turn};
use crate::dialect::unsupported::Unsupported;

impl Writer<'_> {
    /// Appends the list of messages.
    pub(super) fn write_messages(&mut self, out: &mut Vec<u8>) -> Result<(), Unsupported> {
        let prompt = self.prompt;
        let mut list = Composer::array(out);
        if !prompt.system.is_empty() {
            write_system(&prompt.system, self.model.host, list.element())?;
        }
        let mut turns = prompt.turns.as_slice();
        while let Some((turn, others)) = turns.split_first() {
            match turn.speaker {
                Speaker::Assistant => {
                    answer::write(turn, self.model, &mut self.written, &mut list)?;
                    turns = others;
                }
                Speaker::System if self.class.is_openai => {
                    write_system(&turn.blocks, self.model.host, list.element())?;
                    turns = others;
                }
                Speaker::System | Speaker::User => {
                    let is_together = |turn: &&Turn<'_>| match turn.speaker {
                        Speaker::Assistant => false,
                        Speaker::System => !self.class.is_openai,
                        Speaker::User => true,
                    };
                    let count = turns.iter().take_while(is_together).count();
                    let (together, others) = turns.split_at(count);
                    self.write_user_side(together, &mut list)?;
                    turns = others;
                }
            }
        }
        list.end();
        Ok(())
    }

    /// Appends the results of tools, which must stand directly behind their calls, and behind them
    /// everything else as one message.
    fn write_user_side(
        &self,
        turns: &[Turn<'_>],
        list: &mut Composer<'_>,
    ) -> Result<(), Unsupported> {
        if turns.iter().all(is_text) {
            let blocks = turns.iter().flat_map(|turn| &turn.blocks);
            write_texts(blocks, list);
            return Ok(());
        }
        let mut pieces = Pieces::new(self.model.host);
        for block in turns.iter().flat_map(|turn| &turn.blocks) {
            if let Content::ToolResult { id, said, is_error } = &block.content {
                let message = list.element();
                results::write(id, said, *is_error, &mut pieces, message)?;
            }
        }
        for turn in turns {
            if turn.speaker == Speaker::System {
                pieces.add_system(&turn.blocks)?;
                continue;
            }
            for block in &turn.blocks {
                pieces.add(block)?;
            }
        }
        if !pieces.is_empty() {
            let mut message = Composer::object(list.element());
            message.raw("role", br#""user""#);
            pieces.write(message.member("content"));
            message.end();
        }
        Ok(())
    }
}

/// Whether a turn is the user's, and has nothing but text.
fn is_text(turn: &Turn<'_>) -> bool {
    let mut blocks = turn.blocks.iter();
    turn.speaker == Speaker::User && blocks.all(|block| matches!(block.content, Content::Text(_)))
}

/// Appends what a user says in these `blocks` of text, if that is anything, a line break between
/// two of them: what [`Pieces`] make of them.
fn write_texts<'b, 'a: 'b>(blocks: impl Iterator<Item = &'b Block<'a>>, list: &mut Composer<'_>) {
    let mut said = blocks.filter_map(|block| match &block.content {
        Content::Text(text) => Some(between_quotes(text)).filter(|text| !text.is_empty()),
        Content::Image(..)
        | Content::Audio(_)
        | Content::Document { .. }
        | Content::Thought { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult { .. } => None,
    });
    let Some(first) = said.next() else {
        return;
    };
    let out = list.element();
    out.extend_from_slice(br#"{"role":"user","content":""#);
    out.extend_from_slice(first);
    for text in said {
        out.extend_from_slice(b"\\n");
        out.extend_from_slice(text);
    }
    out.extend_from_slice(br#""}"#);
}

fn write_system(
    blocks: &[Block<'_>],
    host: super::Host,
    out: &mut Vec<u8>,
) -> Result<(), Unsupported> {
    let mut pieces = Pieces::new(host);
    for block in blocks {
        pieces.add(block)?;
    }
    let mut message = Composer::object(out);
    message.raw("role", br#""system""#);
    pieces.write(message.member("content"));
    message.end();
    Ok(())
}
