//! Blocks of content, and how they are written.

use std::borrow::Cow;

use crate::dialect::compose::Composer;

/// A block and its cache marker.
pub(super) struct Block<'a> {
    pub(super) content: Content<'a>,
    pub(super) cache: Option<&'a [u8]>,
}

/// The content of a block. Strings that are passed on unchanged keep their quotes.
pub(super) enum Content<'a> {
    Text(Cow<'a, [u8]>),
    Image(Source<'a>),
    Document {
        source: Source<'a>,
        title: Option<&'a [u8]>,
    },
    ToolUse {
        id: String,
        name: &'a [u8],
        input: Input<'a>,
    },
    ToolResult {
        id: String,
        said: Said<'a>,
    },
}

/// Where a picture or document is.
pub(super) enum Source<'a> {
    Base64 {
        media_type: &'static str,
        data: Cow<'a, str>,
    },
    Url(&'a [u8]),
    Plain(String),
}

/// The arguments of a call.
pub(super) enum Input<'a> {
    /// An object.
    Object(Cow<'a, [u8]>),
    /// Arguments that are no object are put into one, under this name.
    Arguments(Cow<'a, [u8]>),
}

/// The result of a tool.
pub(super) enum Said<'a> {
    Text(&'a [u8]),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Block<'a> {
    pub(super) const fn new(content: Content<'a>) -> Self {
        Self {
            content,
            cache: None,
        }
    }

    pub(super) const fn is_tool_result(&self) -> bool {
        match self.content {
            Content::ToolResult { .. } => true,
            Content::Text(_)
            | Content::Image(_)
            | Content::Document { .. }
            | Content::ToolUse { .. } => false,
        }
    }

    /// The text of a block that has nothing but text.
    pub(super) fn plain_text(&self) -> Option<&[u8]> {
        if self.cache.is_some() {
            return None;
        }
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Image(_)
            | Content::Document { .. }
            | Content::ToolUse { .. }
            | Content::ToolResult { .. } => None,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut block = Composer::object(out);
        match &self.content {
            Content::Text(text) => {
                block.string("type", "text");
                block.raw("text", text);
            }
            Content::Image(source) => {
                block.string("type", "image");
                source.write(block.member("source"));
            }
            Content::Document { source, title } => {
                block.string("type", "document");
                source.write(block.member("source"));
                block.raw_if("title", *title);
            }
            Content::ToolUse { id, name, input } => {
                block.string("type", "tool_use");
                block.string("id", id);
                block.raw("name", name);
                input.write(block.member("input"));
            }
            Content::ToolResult { id, said } => {
                block.string("type", "tool_result");
                block.string("tool_use_id", id);
                said.write(block.member("content"));
            }
        }
        block.raw_if("cache_control", self.cache);
        block.end();
    }
}

impl Source<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut source = Composer::object(out);
        match self {
            Self::Base64 { media_type, data } => {
                source.string("type", "base64");
                source.string("media_type", media_type);
                source.string("data", data);
            }
            Self::Url(url) => {
                source.string("type", "url");
                source.raw("url", url);
            }
            Self::Plain(text) => {
                source.string("type", "text");
                source.string("media_type", "text/plain");
                source.string("data", text);
            }
        }
        source.end();
    }
}

impl Input<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Object(object) => out.extend_from_slice(object),
            Self::Arguments(value) => {
                let mut input = Composer::object(out);
                input.raw("arguments", value);
                input.end();
            }
        }
    }
}

impl Said<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Blocks(blocks) => write_list(blocks.iter(), out),
        }
    }
}

/// Appends the list of `blocks`.
pub(super) fn write_list<'b, 'a: 'b>(
    blocks: impl Iterator<Item = &'b Block<'a>>,
    out: &mut Vec<u8>,
) {
    let mut list = Composer::array(out);
    for block in blocks {
        block.write(list.element());
    }
    list.end();
}

/// Puts a message's cache marker on its last block, unless that block has its own.
pub(super) fn mark_last<'a>(blocks: &mut [Block<'a>], cache: Option<&'a [u8]>) {
    if let Some(last) = blocks.last_mut() {
        last.cache = last.cache.or(cache);
    }
}
