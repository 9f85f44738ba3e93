//! The content of a user's message: one string, or parts in order (rule MR4).

use std::borrow::Cow;

use super::Host;
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::files;
use crate::dialect::prompt::{Block, Content, Source};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, string, word};

/// The pieces of one message.
pub(super) struct Pieces<'p> {
    list: Vec<Piece<'p>>,
    host: Host,
    has_media: bool,
}

/// A piece of a message.
enum Piece<'p> {
    /// The inside of a JSON string.
    Text(Cow<'p, [u8]>),
    /// An encoded picture, and the detail in which it is to be looked at, a string.
    Image {
        media_type: &'p str,
        data: &'p str,
        detail: Option<&'p [u8]>,
    },
    /// A picture at an address: a string; and that detail.
    Link(&'p [u8], Option<&'p [u8]>),
    /// A recording: a JSON object.
    Audio(&'p [u8]),
    /// A file as the caller gives it: its name and its data, both strings.
    Given {
        name: Option<&'p [u8]>,
        data: &'p [u8],
    },
    /// An encoded document.
    File {
        /// A string.
        title: Option<&'p [u8]>,
        media_type: &'p str,
        data: &'p str,
    },
}

impl<'p> Pieces<'p> {
    /// None yet, for a model behind `host`.
    pub(super) const fn new(host: Host) -> Self {
        Self {
            list: Vec::new(),
            host,
            has_media: false,
        }
    }

    /// Whether there is nothing to say.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds what a block says; results of tools have messages of their own.
    pub(super) fn add(&mut self, block: &'p Block<'p>) -> Result<(), Unsupported> {
        match &block.content {
            Content::Text(text) => self.add_text(Cow::Borrowed(between_quotes(text))),
            Content::Image(source, detail) => self.add_image(source, *detail, &block.place)?,
            Content::Audio(object) => {
                self.has_media = true;
                self.list.push(Piece::Audio(object));
            }
            Content::Document {
                source,
                title,
                context,
            } => match source {
                Source::Base64 { .. } | Source::Given(_) => self.add_file(block)?,
                Source::Plain(_) | Source::Blocks(_) | Source::Url(_) => {
                    let text = document_text([*title, *context], source, &block.place)?;
                    self.add_text(Cow::Owned(text));
                    self.add_images_of(source)?;
                }
            },
            Content::Thought { .. } | Content::ToolUse { .. } | Content::ToolResult { .. } => {}
        }
        Ok(())
    }

    /// Adds what the application says in the middle of the conversation.
    pub(super) fn add_system(&mut self, blocks: &'p [Block<'p>]) -> Result<(), Unsupported> {
        let mut said = Self::new(self.host);
        for block in blocks {
            said.add(block)?;
        }
        let mut text = b"<system>\\n".to_vec();
        said.write_joined(&mut text);
        text.extend_from_slice(b"\\n</system>");
        self.add_text(Cow::Owned(text));
        Ok(())
    }

    /// Adds the inside of a JSON string.
    pub(super) fn add_text(&mut self, text: Cow<'p, [u8]>) {
        if !text.is_empty() {
            self.list.push(Piece::Text(text));
        }
    }

    pub(super) fn add_image(
        &mut self,
        source: &'p Source<'p>,
        detail: Option<&'p [u8]>,
        place: &str,
    ) -> Result<(), Unsupported> {
        self.has_media = true;
        self.list.push(match source {
            Source::Base64 { media_type, data } => Piece::Image {
                media_type,
                data,
                detail,
            },
            Source::Url(url) => match self.host {
                Host::Ollama => {
                    return Err(Unsupported::new(place, "is a picture at an address"));
                }
                Host::Other => Piece::Link(url, detail),
            },
            Source::Given(given) => match self.host {
                Host::Ollama if !files::is_data_uri(&word(given)) => {
                    return Err(Unsupported::new(place, "is a picture at an address"));
                }
                Host::Ollama | Host::Other => Piece::Link(given, detail),
            },
            Source::Plain(_) | Source::Blocks(_) => {
                return Err(Unsupported::new(place, "is no picture"));
            }
        });
        Ok(())
    }

    /// Adds the pictures of a document.
    pub(super) fn add_images_of(&mut self, source: &'p Source<'p>) -> Result<(), Unsupported> {
        for block in blocks_of(source) {
            if let Content::Image(image, detail) = &block.content {
                self.add_image(image, *detail, &block.place)?;
            }
        }
        Ok(())
    }

    /// Adds a document that is encoded in the request.
    pub(super) fn add_file(&mut self, block: &'p Block<'p>) -> Result<(), Unsupported> {
        let Content::Document {
            source,
            title,
            context,
        } = &block.content
        else {
            return Ok(());
        };
        if self.host == Host::Ollama {
            let why = match source {
                Source::Base64 { .. } => "is a PDF",
                Source::Given(_) | Source::Url(_) | Source::Plain(_) | Source::Blocks(_) => {
                    "is a file"
                }
            };
            return Err(Unsupported::new(&block.place, why));
        }
        if let Some(context) = context {
            self.add_text(Cow::Borrowed(between_quotes(context)));
        }
        let title = title.filter(|title| !between_quotes(title).is_empty());
        self.list.push(match source {
            Source::Base64 { media_type, data } => Piece::File {
                title,
                media_type,
                data,
            },
            Source::Given(data) => Piece::Given { name: title, data },
            Source::Url(_) | Source::Plain(_) | Source::Blocks(_) => return Ok(()),
        });
        self.has_media = true;
        Ok(())
    }

    /// Appends a string, where there is only text: some servers make a turn of each part, and old
    /// templates know strings alone. Otherwise a list of parts.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if !self.has_media {
            out.push(b'"');
            self.write_joined(out);
            out.push(b'"');
            return;
        }
        let mut list = Composer::array(out);
        for piece in &self.list {
            piece.write(list.element());
        }
        list.end();
    }

    /// Appends the texts, a line break between two of them.
    fn write_joined(&self, out: &mut Vec<u8>) {
        let texts = self.list.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Image { .. }
            | Piece::Link(..)
            | Piece::Audio(_)
            | Piece::Given { .. }
            | Piece::File { .. } => None,
        });
        for (index, text) in texts.enumerate() {
            if index > 0 {
                out.extend_from_slice(b"\\n");
            }
            out.extend_from_slice(text);
        }
    }
}

impl Piece<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                out.extend_from_slice(br#"{"type":"text","text":""#);
                out.extend_from_slice(text);
                out.extend_from_slice(br#""}"#);
            }
            Self::Image {
                media_type,
                data,
                detail,
            } => {
                out.extend_from_slice(br#"{"type":"image_url","image_url":{"url":"#);
                write_data_uri(media_type, data, out);
                write_end_of_image(*detail, out);
            }
            Self::Link(url, detail) => {
                out.extend_from_slice(br#"{"type":"image_url","image_url":{"url":"#);
                out.extend_from_slice(url);
                write_end_of_image(*detail, out);
            }
            Self::Audio(object) => {
                out.extend_from_slice(br#"{"type":"input_audio","input_audio":"#);
                out.extend_from_slice(object);
                out.push(b'}');
            }
            Self::Given { name, data } => {
                out.extend_from_slice(br#"{"type":"file","file":"#);
                let mut file = Composer::object(out);
                file.raw_if("filename", *name);
                file.raw("file_data", data);
                file.end();
                out.push(b'}');
            }
            Self::File {
                title,
                media_type,
                data,
            } => {
                out.extend_from_slice(br#"{"type":"file","file":{"filename":""#);
                let title = title.unwrap_or(br#""document""#);
                out.extend_from_slice(between_quotes(title));
                let text = word(title);
                let end = text.len().saturating_sub(SUFFIX.len());
                let end = text.get(end..).unwrap_or_default();
                if !end.eq_ignore_ascii_case(SUFFIX) {
                    out.extend_from_slice(SUFFIX);
                }
                out.extend_from_slice(br#"","file_data":"#);
                write_data_uri(media_type, data, out);
                out.extend_from_slice(b"}}");
            }
        }
    }
}

/// The title, context and text of a document, those that say something, as the inside of a JSON
/// string.
pub(super) fn document_text(
    said_before: [Option<&[u8]>; 2],
    source: &Source<'_>,
    place: &str,
) -> Result<Vec<u8>, Unsupported> {
    let mut text = Vec::new();
    for said in said_before.into_iter().flatten() {
        add_line(between_quotes(said), &mut text);
    }
    match source {
        Source::Plain(said) => add_line(between_quotes(&json::quoted(said)), &mut text),
        Source::Blocks(blocks) => {
            for block in blocks {
                if let Content::Text(said) = &block.content {
                    add_line(between_quotes(said), &mut text);
                }
            }
        }
        Source::Url(_) => return Err(Unsupported::new(place, "is a document at an address")),
        Source::Base64 { .. } | Source::Given(_) => {}
    }
    Ok(text)
}

/// The blocks that a document consists of.
pub(super) fn blocks_of<'p>(source: &'p Source<'p>) -> &'p [Block<'p>] {
    match source {
        Source::Blocks(blocks) => blocks,
        Source::Base64 { .. } | Source::Url(_) | Source::Given(_) | Source::Plain(_) => &[],
    }
}

/// Adds a line to the inside of a JSON string, unless it is empty.
pub(super) fn add_line(line: &[u8], text: &mut Vec<u8>) {
    if line.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.extend_from_slice(b"\\n");
    }
    text.extend_from_slice(line);
}

/// Appends what follows the address of a picture.
fn write_end_of_image(detail: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(detail) = detail {
        out.extend_from_slice(br#","detail":"#);
        out.extend_from_slice(detail);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a data URI (RFC 2397) as a JSON string.
fn write_data_uri(media_type: &str, data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"data:");
    write_inside(media_type, out);
    out.extend_from_slice(b";base64,");
    write_inside(data, out);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
fn write_inside(text: &str, out: &mut Vec<u8>) {
    if string::mark(text.as_bytes(), 0).is_none() {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(between_quotes(&json::quoted(text)));
    }
}

/// How the name of every PDF ends.
const SUFFIX: &[u8] = b".pdf";
