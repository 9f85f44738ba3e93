//! The members of a block, and where it stands.

use std::borrow::Cow;
use std::fmt::{self, Display};

use crate::dialect::fields;
use crate::dialect::prompt::{Block, Content};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Where a block stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    message: usize,
    block: usize,
    /// Inside a result.
    inner: Option<usize>,
    /// Inside a document.
    deepest: Option<usize>,
}

impl Place {
    pub(super) const fn new(message: usize, block: usize) -> Self {
        Self {
            message,
            block,
            inner: None,
            deepest: None,
        }
    }

    /// The place of a block inside the result that stands here.
    pub(super) const fn in_result(self, index: usize) -> Self {
        Self {
            inner: Some(index),
            ..self
        }
    }

    /// The place of a block inside the document that stands here.
    pub(super) const fn in_document(self, index: usize) -> Self {
        Self {
            deepest: Some(index),
            ..self
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}].content[{}]", self.message, self.block)?;
        if let Some(index) = self.inner {
            write!(f, ".content[{index}]")?;
        }
        if let Some(index) = self.deepest {
            write!(f, ".source.content[{index}]")?;
        }
        Ok(())
    }
}

/// The members of a block that are known.
pub(super) struct Members<'a> {
    pub(super) kind: Value<'a>,
    pub(super) text: Option<Value<'a>>,
    pub(super) content: Option<Value<'a>>,
    pub(super) source: Option<Value<'a>>,
    pub(super) title: Option<Value<'a>>,
    pub(super) context: Option<Value<'a>>,
    pub(super) cache: Option<Value<'a>>,
    pub(super) tool_use_id: Option<Value<'a>>,
    pub(super) is_error: Option<Value<'a>>,
    pub(super) tool_name: Option<Value<'a>>,
    pub(super) id: Option<Value<'a>>,
    pub(super) name: Option<Value<'a>>,
    pub(super) input: Option<Value<'a>>,
    pub(super) thinking: Option<Value<'a>>,
    pub(super) signature: Option<Value<'a>>,
    pub(super) tool: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    pub(super) fn read(block: &Value<'a>) -> Result<Self, Unsupported> {
        let [
            kind,
            text,
            cache,
            tool_use_id,
            content,
            is_error,
            id,
            name,
            input,
            thinking,
            signature,
            source,
            title,
            context,
            tool_name,
            tool,
        ] = fields::read(block, NAMES)?;
        Ok(Self {
            kind: fields::required(kind, ".type")?,
            text,
            content,
            source,
            title,
            context,
            cache,
            tool_use_id,
            is_error,
            tool_name,
            id,
            name,
            input,
            thinking,
            signature,
            tool,
        })
    }

    /// The block's text, unless it is blank.
    pub(super) fn text(&self) -> Result<Option<Content<'a>>, Unsupported> {
        let text = fields::required(self.text, ".text")?;
        Ok(text_content(text))
    }
}

/// The most frequent ones come first.
const NAMES: [&str; 16] = [
    "type",
    "text",
    "cache_control",
    "tool_use_id",
    "content",
    "is_error",
    "id",
    "name",
    "input",
    "thinking",
    "signature",
    "source",
    "title",
    "context",
    "tool_name",
    "tool",
];

/// A block of text, unless it is blank.
pub(super) fn text(value: Value<'_>) -> Option<Block<'_>> {
    text_content(value).map(Block::new)
}

/// A string's text, unless it is blank.
pub(super) fn text_content(value: Value<'_>) -> Option<Content<'_>> {
    let is_said = !fields::is_blank_string(&value);
    is_said.then_some(Content::Text(Cow::Borrowed(value.text)))
}

/// A marker of the cache; anything else there marks nothing.
pub(super) fn cache(value: Option<Value<'_>>) -> Option<&[u8]> {
    let marker = value.filter(|value| value.kind == Kind::Object)?;
    Some(marker.text)
}

/// A block of this content with its marker of the cache.
pub(super) fn marked<'a>(content: Content<'a>, marker: Option<Value<'a>>) -> Block<'a> {
    Block {
        cache: cache(marker),
        ..Block::new(content)
    }
}
