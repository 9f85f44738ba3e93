//! The content of a message: a string, or a list of parts.

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::files;
use crate::dialect::prompt::{Block, Content};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// The blocks of the content of the message at `index`, blank text left out.
pub(super) fn read<'a>(
    content: Option<Value<'a>>,
    index: usize,
) -> Result<Vec<Block<'a>>, Unsupported> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    match content.kind {
        Kind::String => Ok(text(content).into_iter().collect()),
        Kind::Array => {
            let parts = fields::list(&content).map_err(|fault| fault.within(".content"))?;
            let mut blocks = Vec::with_capacity(parts.len());
            for (at, part) in parts.iter().enumerate() {
                let block = read_part(part, |member| {
                    format!("messages[{index}].content[{at}].{member}")
                });
                blocks.extend(block.map_err(|fault| fault.within(format_args!(".content[{at}]")))?);
            }
            Ok(blocks)
        }
        Kind::Object | Kind::Number | Kind::True | Kind::False | Kind::Null => Err(
            Unsupported::new(".content", "is neither a string nor a list"),
        ),
    }
}

/// A text block, unless the text is blank, which the API refuses.
pub(super) fn text(value: Value<'_>) -> Option<Block<'_>> {
    let is_said = !fields::is_blank_string(&value);
    is_said.then(|| Block::new(Content::Text(Cow::Borrowed(value.text))))
}

/// `place` tells where a member of the part stands in the request.
fn read_part<'a>(
    part: &Value<'a>,
    place: impl Fn(&str) -> String,
) -> Result<Option<Block<'a>>, Unsupported> {
    let names = [
        "type",
        "text",
        "refusal",
        "image_url",
        "file",
        "cache_control",
    ];
    let [kind, said, refusal, image_url, file, cache] = fields::read(part, names)?;
    let kind = fields::required(kind, ".type")?;
    let kind = fields::text_of(&kind);
    let members = [
        ("text", said),
        ("refusal", refusal),
        ("image_url", image_url),
        ("file", file),
    ];
    let others = members.iter().filter(|(name, _)| *name != kind);
    // These members would get lost.
    if others
        .filter_map(|(_, value)| *value)
        .any(|value| !value.is_blank())
    {
        return Err(Unsupported::new("", "holds what its type does not name"));
    }
    let cache = fields::cache_control(cache)?;
    let missing = || Unsupported::new("", "lacks what its type names");
    let block = match &*kind {
        "text" => text(fields::required(said, ".text")?),
        "refusal" => text(fields::required(refusal, ".refusal")?),
        "image_url" => {
            let content = files::image(&image_url.ok_or_else(missing)?);
            let content = content.map_err(|why| Unsupported::new(".image_url", why))?;
            Some(Block {
                place: place("image_url"),
                ..Block::new(content)
            })
        }
        "file" => {
            let content = files::file(&file.ok_or_else(missing)?);
            let content = content.map_err(|why| Unsupported::new(".file", why))?;
            Some(Block {
                place: place("file"),
                ..Block::new(content)
            })
        }
        _ => return Err(Unsupported::new("", "has a type that cannot be expressed")),
    };
    Ok(block.map(|block| Block { cache, ..block }))
}
