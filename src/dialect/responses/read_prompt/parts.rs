//! The content of messages and the outputs of tools: a string, or a list of parts (rules B3 and
//! B4).

use std::borrow::Cow;
use std::fmt::{self, Display};

use crate::dialect::compose::between_quotes;
use crate::dialect::fields;
use crate::dialect::prompt::{Block, Content, Said, Source};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Value};

/// Where a list of parts stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The place of its item.
    pub(super) item: usize,
    /// The member of the item.
    pub(super) member: Member,
}

/// The member of an item that holds parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Content,
    Output,
}

impl Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => ".content",
            Self::Output => ".output",
        })
    }
}

impl Place {
    /// The place of the part at `index`.
    fn of(self, index: usize) -> String {
        format!("input[{}]{}[{index}]", self.item, self.member)
    }
}

/// The blocks of what a user says, blank text left out.
pub(super) fn read_user<'a>(
    content: &Value<'a>,
    place: Place,
) -> Result<Vec<Block<'a>>, Unsupported> {
    if content.kind == Kind::String {
        return Ok(text(content).into_iter().collect());
    }
    read_list(&list(content)?, place)
}

/// The blocks of what the system says: texts alone, the blank ones left out.
pub(super) fn read_system<'a>(content: &Value<'a>) -> Result<Vec<Block<'a>>, Unsupported> {
    if content.kind == Kind::String {
        return Ok(text(content).into_iter().collect());
    }
    let mut blocks = Vec::new();
    for (index, part) in list(content)?.iter().enumerate() {
        let said = read_text(part).map_err(|fault| within(fault, Member::Content, index))?;
        blocks.extend(text(&said));
    }
    Ok(blocks)
}

/// What the model has said, a string; its parts follow each other without a gap. `None`: nothing.
pub(super) fn read_answer<'a>(content: &Value<'a>) -> Result<Option<Cow<'a, [u8]>>, Unsupported> {
    let said = if content.kind == Kind::String {
        Cow::Borrowed(content.text)
    } else {
        let mut said = Cow::Borrowed(EMPTY);
        for (index, part) in list(content)?.iter().enumerate() {
            let text = read_text(part).map_err(|fault| within(fault, Member::Content, index))?;
            if index == 0 {
                said = Cow::Borrowed(text.text);
            } else {
                append(&mut said, b"", text.text);
            }
        }
        said
    };
    Ok(Some(said).filter(|said| !is_blank(said)))
}

/// What a tool has said: a string as it is, parts, or the text of any other JSON.
pub(super) fn read_output<'a>(
    output: Option<Value<'a>>,
    place: Place,
) -> Result<Said<'a>, Unsupported> {
    let Some(output) = output else {
        return Ok(Said::Text(Cow::Borrowed(EMPTY)));
    };
    if output.kind == Kind::String {
        return Ok(Said::Text(Cow::Borrowed(output.text)));
    }
    let parts = match output.kind {
        Kind::Array => fields::list(&output).map_err(|fault| fault.within(place.member))?,
        Kind::String | Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
            return Ok(as_text(&output));
        }
    };
    let is_part =
        |part: &Value<'_>| part.kind == Kind::Object && json::member(part.text, b"type").is_some();
    if !parts.iter().all(is_part) {
        return Ok(as_text(&output));
    }
    let blocks = read_list(&parts, place)?;
    Ok(if blocks.is_empty() {
        Said::Text(Cow::Borrowed(EMPTY))
    } else {
        Said::Blocks(blocks)
    })
}

/// The text of JSON that is no string.
fn as_text<'a>(output: &Value<'_>) -> Said<'a> {
    let text = String::from_utf8_lossy(output.text);
    Said::Text(Cow::Owned(json::quoted(&text)))
}

fn read_list<'a>(parts: &[Value<'a>], place: Place) -> Result<Vec<Block<'a>>, Unsupported> {
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let block =
            read_part(part, place, index).map_err(|fault| within(fault, place.member, index))?;
        blocks.extend(block);
    }
    Ok(blocks)
}

fn read_part<'a>(
    part: &Value<'a>,
    place: Place,
    index: usize,
) -> Result<Option<Block<'a>>, Unsupported> {
    let [kind, said, image, detail, data, name, audio] = fields::read(part, MEMBERS)?;
    let kind = fields::required(kind, ".type")?;
    let kept = || Unsupported::new("", "names what another vendor keeps, or has to fetch");
    let content = match &*kind.word() {
        b"input_text" | b"output_text" | b"text" => {
            return Ok(text(&fields::required(said, ".text")?));
        }
        b"input_image" => {
            let url = fields::required(Some(image.ok_or_else(kept)?), ".image_url")?;
            Content::Image(Source::Given(url.text), read_detail(detail)?)
        }
        b"input_file" => {
            let data = fields::required(Some(data.ok_or_else(kept)?), ".file_data")?;
            let name = name.filter(|name| name.kind == Kind::String);
            Content::Document {
                source: Source::Given(data.text),
                title: name.map(|name| name.text),
                context: None,
            }
        }
        b"input_audio" if place.member == Member::Content => match audio {
            Some(audio) if audio.kind == Kind::Object => Content::Audio(audio.text),
            Some(_) | None => {
                return Err(Unsupported::new(".input_audio", "is not an object"));
            }
        },
        _ => return Err(Unsupported::new("", "has a type that cannot be expressed")),
    };
    Ok(Some(Block {
        place: place.of(index),
        ..Block::new(content)
    }))
}

/// The detail in which a picture is to be looked at. Chat completions do not know all of them.
fn read_detail(detail: Option<Value<'_>>) -> Result<Option<&[u8]>, Unsupported> {
    let Some(detail) = detail else {
        return Ok(None);
    };
    let detail = fields::required(Some(detail), ".detail")?;
    Ok(Some(if detail.says("original") {
        br#""high""#
    } else {
        detail.text
    }))
}

/// The text of a part that must have nothing else; a refusal is text.
fn read_text<'a>(part: &Value<'a>) -> Result<Value<'a>, Unsupported> {
    let [kind, text, refusal] = fields::read(part, ["type", "text", "refusal"])?;
    let kind = fields::required(kind, ".type")?;
    match &*kind.word() {
        b"input_text" | b"output_text" | b"text" => fields::required(text, ".text"),
        b"refusal" => fields::required(refusal, ".refusal"),
        _ => Err(Unsupported::new("", "is not text")),
    }
}

/// A text block, unless the text is blank.
fn text<'a>(value: &Value<'a>) -> Option<Block<'a>> {
    let is_said = !fields::is_blank_string(value);
    is_said.then(|| Block::new(Content::Text(Cow::Borrowed(value.text))))
}

/// Appends `text` to `said`, both strings, and `between` them.
pub(super) fn append(said: &mut Cow<'_, [u8]>, between: &[u8], text: &[u8]) {
    let said = said.to_mut();
    said.pop();
    said.extend_from_slice(between);
    said.extend_from_slice(between_quotes(text));
    said.push(b'"');
}

/// Whether a string is empty or white space only.
pub(super) fn is_blank(text: &[u8]) -> bool {
    fields::is_blank_string(&Value {
        text,
        at: 0,
        kind: Kind::String,
    })
}

fn list<'a>(content: &Value<'a>) -> Result<Vec<Value<'a>>, Unsupported> {
    match content.kind {
        Kind::Array => fields::list(content).map_err(|fault| fault.within(Member::Content)),
        Kind::String | Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
            let why = "is neither a string nor a list";
            Err(Unsupported::new(".content", why))
        }
    }
}

/// The fault of the part at `index`, seen from its item.
fn within(fault: Unsupported, member: Member, index: usize) -> Unsupported {
    fault.within(format_args!("{member}[{index}]"))
}

/// The members of a part that are read.
const MEMBERS: [&str; 7] = [
    "type",
    "text",
    "image_url",
    "detail",
    "file_data",
    "filename",
    "input_audio",
];
/// A string without text.
const EMPTY: &[u8] = b"\"\"";
