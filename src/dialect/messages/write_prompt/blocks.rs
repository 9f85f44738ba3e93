//! How blocks of content are written.

use crate::dialect::compose::Composer;
use crate::dialect::prompt::{Block, CallInput, Content, Input, Said, Source, Turn};
use crate::dialect::unsupported::Unsupported;

/// Refuses what the API cannot be given.
pub(super) fn check(turns: &[Turn<'_>]) -> Result<(), Unsupported> {
    let mut blocks = turns.iter().flat_map(|turn| &turn.blocks);
    blocks.try_for_each(check_block)
}

fn check_block(block: &Block<'_>) -> Result<(), Unsupported> {
    let fault = match &block.content {
        Content::Audio(_) => Some("is a recording"),
        Content::Image(Source::Base64 { media_type, .. }, _) => {
            let is_known = IMAGES.contains(&&**media_type);
            (!is_known).then_some("is not a JPEG, PNG, GIF or WebP")
        }
        Content::Document {
            source: Source::Base64 { media_type, .. },
            ..
        } => (media_type != "application/pdf").then_some("is neither a PDF nor plain text"),
        Content::ToolResult {
            said: Said::Blocks(blocks),
            ..
        }
        | Content::Document {
            source: Source::Blocks(blocks),
            ..
        } => return blocks.iter().try_for_each(check_block),
        Content::Text(_)
        | Content::Image(
            Source::Url(_) | Source::Given(_) | Source::Plain(_) | Source::Blocks(_),
            _,
        )
        | Content::Document {
            source: Source::Url(_) | Source::Given(_) | Source::Plain(_),
            ..
        }
        | Content::Thought { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult {
            said: Said::Text(_),
            ..
        } => None,
    };
    fault.map_or(Ok(()), |why| Err(Unsupported::new(&block.place, why)))
}

/// Whether a block is the result of a call.
pub(super) const fn is_result(block: &Block<'_>) -> bool {
    matches!(block.content, Content::ToolResult { .. })
}

/// The text of a block that has nothing but text.
pub(super) fn plain_text<'b>(block: &'b Block<'_>) -> Option<&'b [u8]> {
    match &block.content {
        Content::Text(text) if block.cache.is_none() => Some(text),
        Content::Text(_)
        | Content::Image(..)
        | Content::Audio(_)
        | Content::Document { .. }
        | Content::Thought { .. }
        | Content::ToolUse { .. }
        | Content::ToolResult { .. } => None,
    }
}

/// Appends the list of `blocks`.
pub(super) fn write_list<'b, 'a: 'b>(
    blocks: impl Iterator<Item = &'b Block<'a>>,
    out: &mut Vec<u8>,
) {
    let mut list = Composer::array(out);
    for block in blocks {
        write(block, list.element());
    }
    list.end();
}

fn write(block: &Block<'_>, out: &mut Vec<u8>) {
    let mut object = Composer::object(out);
    match &block.content {
        Content::Text(text) => {
            object.word("type", "text");
            object.raw("text", text);
        }
        Content::Image(source, _) => {
            object.word("type", "image");
            write_source(source, object.member("source"));
        }
        Content::Document {
            source,
            title,
            context,
        } => {
            object.word("type", "document");
            write_source(source, object.member("source"));
            object.raw_if("title", *title);
            object.raw_if("context", *context);
        }
        // A recording has been refused.
        Content::Audio(_) => {}
        Content::Thought {
            text, signature, ..
        } => {
            object.word("type", "thinking");
            object.raw("thinking", text);
            object.raw_if("signature", *signature);
        }
        Content::ToolUse { id, name, input } => {
            object.word("type", "tool_use");
            object.string("id", id);
            object.raw("name", name);
            write_input(input, object.member("input"));
        }
        Content::ToolResult { id, said, is_error } => {
            object.word("type", "tool_result");
            object.string("tool_use_id", id);
            write_said(said, object.member("content"));
            object.raw_if("is_error", is_error.then_some(b"true"));
        }
    }
    object.raw_if("cache_control", block.cache);
    object.end();
}

fn write_source(source: &Source<'_>, out: &mut Vec<u8>) {
    let mut object = Composer::object(out);
    match source {
        Source::Base64 { media_type, data } => {
            object.word("type", "base64");
            object.string("media_type", media_type);
            object.string("data", data);
        }
        Source::Url(url) | Source::Given(url) => {
            object.word("type", "url");
            object.raw("url", url);
        }
        Source::Plain(text) => {
            object.word("type", "text");
            object.string("media_type", "text/plain");
            object.string("data", text);
        }
        Source::Blocks(blocks) => {
            object.word("type", "content");
            write_list(blocks.iter(), object.member("content"));
        }
    }
    object.end();
}

/// CallInput that are no object are put into one.
fn write_input(arguments: &CallInput<'_>, out: &mut Vec<u8>) {
    match arguments {
        CallInput::Parsed(Input::Object(object)) => out.extend_from_slice(object),
        CallInput::Parsed(Input::Other(value)) => write_argument("arguments", value, out),
        CallInput::Unread(value) => write_argument("arguments", value, out),
        CallInput::Text(said) => write_argument("input", said, out),
    }
}

fn write_argument(name: &str, value: &[u8], out: &mut Vec<u8>) {
    let mut object = Composer::object(out);
    object.raw(name, value);
    object.end();
}

fn write_said(said: &Said<'_>, out: &mut Vec<u8>) {
    match said {
        Said::Text(text) => out.extend_from_slice(text),
        Said::Blocks(blocks) => write_list(blocks.iter(), out),
    }
}

/// The kinds of pictures that the API takes.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
