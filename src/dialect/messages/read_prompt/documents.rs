//! What users and tools alike can supply: texts, pictures, documents and results of searches (rules
//! MR1 and MR4).

use std::borrow::Cow;

use super::members::{self, Members, Place, marked};
use crate::dialect::compose::between_quotes;
use crate::dialect::fields;
use crate::dialect::prompt::{Block, Content, Source};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads a block that users and tools alike can supply.
pub(super) fn read_said<'a>(
    members: &Members<'a>,
    place: Place,
) -> Result<Option<Block<'a>>, Unsupported> {
    let content = match &*members.kind.word() {
        b"text" => members.text()?,
        b"image" => return image(members, place).map(Some),
        b"document" => return document(members, place),
        b"search_result" => search_result(members)?,
        _ => return Err(Unsupported::new("", "has a type that cannot be expressed")),
    };
    Ok(content.map(|content| marked(content, members.cache)))
}

/// Reads an `image`.
fn image<'a>(members: &Members<'a>, place: Place) -> Result<Block<'a>, Unsupported> {
    let source = Found::read(members)?;
    let source = match source.kind()? {
        b"base64" => source.encoded(is_image_type, "is not the type of a picture")?,
        b"url" => Source::Url(fields::required(source.url, ".source.url")?.text),
        _ => return Err(source.refusal()),
    };
    Ok(located(Content::Image(source, None), members, place))
}

/// Reads a `document`.
fn document<'a>(members: &Members<'a>, place: Place) -> Result<Option<Block<'a>>, Unsupported> {
    let title = optional(members.title, ".title")?;
    let context = optional(members.context, ".context")?;
    let found = Found::read(members)?;
    let source = match found.kind()? {
        b"base64" => found.encoded(|name| name == PDF, "is not that of a PDF")?,
        b"text" => {
            let data = fields::required(found.data, ".source.data")?;
            Source::Plain(fields::text_of(&data))
        }
        b"content" => {
            let content = found
                .content
                .ok_or_else(|| Unsupported::new(".source.content", "is missing"))?;
            Source::Blocks(read_content(&content, place)?)
        }
        // Not every writer can send it.
        b"url" => Source::Url(fields::required(found.url, ".source.url")?.text),
        _ => return Err(found.refusal()),
    };
    let says_nothing = match &source {
        Source::Plain(text) => text.trim().is_empty(),
        Source::Blocks(blocks) => blocks.is_empty(),
        Source::Base64 { .. } | Source::Url(_) | Source::Given(_) => false,
    };
    if says_nothing && title.is_none() && context.is_none() {
        return Ok(None);
    }
    let content = Content::Document {
        source,
        title,
        context,
    };
    Ok(Some(located(content, members, place)))
}

/// Reads a `search_result` as the text that it says: title, source and texts, a line each.
fn search_result<'a>(members: &Members<'a>) -> Result<Option<Content<'a>>, Unsupported> {
    let mut lines = Vec::new();
    lines.extend(optional(members.title, ".title")?);
    lines.extend(optional(members.source, ".source")?);
    let texts = match &members.content {
        Some(content) => fields::list(content).map_err(|fault| fault.within(".content"))?,
        None => Vec::new(),
    };
    for (index, block) in texts.iter().enumerate() {
        let within = |fault: Unsupported| fault.within(format_args!(".content[{index}]"));
        let members = Members::read(block).map_err(within)?;
        if !members.kind.says("text") {
            return Err(within(Unsupported::new("", "is not text")));
        }
        let text = fields::required(members.text, ".text").map_err(within)?;
        lines.push(text.text);
    }
    let lines = lines.into_iter().map(between_quotes);
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let text = [b"\"", &*lines.join(&b"\\n"[..]), b"\""].concat();
    Ok((!lines.is_empty()).then_some(Content::Text(Cow::Owned(text))))
}

/// The texts and pictures of a document.
fn read_content<'a>(content: &Value<'a>, place: Place) -> Result<Vec<Block<'a>>, Unsupported> {
    if content.kind == Kind::String {
        return Ok(members::text(*content).into_iter().collect());
    }
    let list = fields::list(content).map_err(|fault| fault.within(".source.content"))?;
    let mut read = Vec::with_capacity(list.len());
    for (index, block) in list.iter().enumerate() {
        let within = |fault: Unsupported| fault.within(format_args!(".source.content[{index}]"));
        let members = Members::read(block).map_err(within)?;
        let block = match &*members.kind.word() {
            b"text" => members.text().map_err(within)?.map(Block::new),
            b"image" => Some(image(&members, place.in_document(index)).map_err(within)?),
            _ => {
                let why = "has a type that cannot be expressed";
                return Err(within(Unsupported::new("", why)));
            }
        };
        read.extend(block);
    }
    Ok(read)
}

/// A string that may be absent.
fn optional<'a>(value: Option<Value<'a>>, place: &str) -> Result<Option<&'a [u8]>, Unsupported> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text = fields::required(Some(value), place)?;
    Ok((!text.is_blank()).then_some(text.text))
}

/// A block that some writers cannot send, with its place.
fn located<'a>(content: Content<'a>, members: &Members<'a>, place: Place) -> Block<'a> {
    Block {
        content,
        cache: members::cache(members.cache),
        place: place.to_string(),
    }
}

/// The members of a `source`.
struct Found<'a> {
    kind: Value<'a>,
    media_type: Option<Value<'a>>,
    data: Option<Value<'a>>,
    url: Option<Value<'a>>,
    content: Option<Value<'a>>,
}

impl<'a> Found<'a> {
    fn read(members: &Members<'a>) -> Result<Self, Unsupported> {
        let source = members
            .source
            .ok_or_else(|| Unsupported::new(".source", "is missing"))?;
        let [kind, media_type, data, url, content] =
            fields::read(&source, ["type", "media_type", "data", "url", "content"])
                .map_err(|fault| fault.within(".source"))?;
        Ok(Self {
            kind: fields::required(kind, ".source.type")?,
            media_type,
            data,
            url,
            content,
        })
    }

    /// The source's type.
    fn kind(&self) -> Result<&'static [u8], Unsupported> {
        const KINDS: [&[u8]; 5] = [b"base64", b"url", b"text", b"content", b"file"];
        let kind = self.kind.word();
        let known = KINDS.into_iter().find(|known| **known == *kind);
        known.ok_or_else(|| self.refusal())
    }

    /// The encoded bytes of a file whose media type `fits`.
    fn encoded(
        &self,
        fits: impl Fn(&str) -> bool,
        why: &'static str,
    ) -> Result<Source<'a>, Unsupported> {
        let media_type = fields::required(self.media_type, ".source.media_type")?;
        let mut media_type = fields::text_of(&media_type);
        if media_type.bytes().any(|byte| byte.is_ascii_uppercase()) {
            media_type = Cow::Owned(media_type.to_ascii_lowercase());
        }
        if !fits(&media_type) {
            return Err(Unsupported::new(".source.media_type", why));
        }
        let data = fields::text_of(&fields::required(self.data, ".source.data")?);
        if !is_base64(data.as_bytes()) {
            return Err(Unsupported::new(".source.data", "is not base64"));
        }
        Ok(Source::Base64 { media_type, data })
    }

    /// Why this source is refused.
    fn refusal(&self) -> Unsupported {
        let why = if self.kind.says("file") {
            "names a file that another vendor keeps"
        } else {
            "has a type that cannot be expressed"
        };
        Unsupported::new(".source", why)
    }
}

fn is_image_type(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    name.strip_prefix("image/")
        .is_some_and(|name| !name.is_empty() && name.bytes().all(is_letter))
}

/// Whether `data` consists of the characters of base64, of either alphabet, and is not empty.
fn is_base64(data: &[u8]) -> bool {
    // Without a branch for each byte, the compiler looks at many of them at once.
    let is_digit = |byte: u8| {
        byte.is_ascii_alphanumeric()
            | matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\n' | b'\r')
    };
    let mut pieces = data.chunks(256);
    !data.is_empty()
        && pieces.all(|piece| piece.iter().fold(true, |all, byte| all & is_digit(*byte)))
}

const PDF: &str = "application/pdf";
