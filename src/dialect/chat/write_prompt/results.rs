//! Results of tools: each is a message, which can hold text alone (rule MR6).

use std::borrow::Cow;

use super::pieces::{Pieces, add_line, blocks_of, document_text};
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::prompt::{Block, Content, Said, Source};
use crate::dialect::signature;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, word};

/// Appends the message of one result. Its pictures and documents go to `moved`, for the user's
/// message behind all results.
pub(super) fn write<'p>(
    id: &str,
    said: &'p Said<'p>,
    is_error: bool,
    moved: &mut Pieces<'p>,
    out: &mut Vec<u8>,
) -> Result<(), Unsupported> {
    let id = signature::bare(id);
    let mut message = Composer::object(out);
    message.raw("role", br#""tool""#);
    message.string("tool_call_id", id);
    let content = message.member("content");
    match said {
        Said::Text(text) if !is_error => content.extend_from_slice(text),
        Said::Text(text) => write_text(between_quotes(text), is_error, content),
        Said::Blocks(blocks) => {
            let mut result = Reading {
                text: Vec::new(),
                has_moved: false,
                id,
                moved,
            };
            for block in blocks {
                result.add(block)?;
            }
            write_text(&result.text, is_error, content);
        }
    }
    message.end();
    Ok(())
}

/// A result while its blocks are read.
struct Reading<'r, 'p> {
    id: &'r str,
    /// The inside of a JSON string.
    text: Vec<u8>,
    moved: &'r mut Pieces<'p>,
    has_moved: bool,
}

impl<'p> Reading<'_, 'p> {
    fn add(&mut self, block: &'p Block<'p>) -> Result<(), Unsupported> {
        match &block.content {
            Content::Text(text) => add_line(between_quotes(text), &mut self.text),
            Content::Image(source, detail) => {
                self.introduce();
                add_line(IMAGE, &mut self.text);
                self.moved.add_image(source, *detail, &block.place)?;
            }
            Content::Document {
                source,
                title,
                context,
            } => match source {
                Source::Base64 { .. } | Source::Given(_) => {
                    self.introduce();
                    add_line(DOCUMENT, &mut self.text);
                    self.moved.add_file(block)?;
                }
                Source::Plain(_) | Source::Blocks(_) | Source::Url(_) => {
                    let text = document_text([*title, *context], source, &block.place)?;
                    add_line(&text, &mut self.text);
                    let is_image = |block: &&Block<'_>| matches!(block.content, Content::Image(..));
                    for _ in blocks_of(source).iter().filter(is_image) {
                        self.introduce();
                        add_line(IMAGE, &mut self.text);
                    }
                    self.moved.add_images_of(source)?;
                }
            },
            Content::Audio(_) => return Err(Unsupported::new(&block.place, "is a recording")),
            Content::Thought { .. } | Content::ToolUse { .. } | Content::ToolResult { .. } => {}
        }
        Ok(())
    }

    /// Says, once, what follows in the user's message.
    fn introduce(&mut self) {
        if !std::mem::replace(&mut self.has_moved, true) {
            let text = json::quoted(&format!("Result of tool call {}:", self.id));
            let text = between_quotes(&text).to_vec();
            self.moved.add_text(Cow::Owned(text));
        }
    }
}

/// Appends the text of a result, which has no other place to say that a call has failed.
fn write_text(text: &[u8], is_error: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_error && text.is_empty() {
        out.extend_from_slice(b"Error");
    } else if is_error && !says_error(text) {
        out.extend_from_slice(b"Error: ");
    }
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Whether a text, the inside of a JSON string, says at its beginning that something has failed.
fn says_error(text: &[u8]) -> bool {
    let quoted = [b"\"", text, b"\""].concat();
    let text = word(&quoted);
    let starts = |with: &[u8]| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    starts(b"error") || starts(b"<tool_use_error>")
}

/// What stands for a picture.
const IMAGE: &[u8] = b"[image]";
/// What stands for a document.
const DOCUMENT: &[u8] = b"[document]";
