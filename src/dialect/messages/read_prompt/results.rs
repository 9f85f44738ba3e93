//! Results of tools (rule MR6).

use std::borrow::Cow;

use super::documents;
use super::members::{Members, Place};
use super::tools::Tools;
use crate::dialect::compose::between_quotes;
use crate::dialect::fields;
use crate::dialect::prompt::{Block, Content, Said};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads a `tool_result`.
pub(super) fn read<'a>(
    members: &Members<'a>,
    place: Place,
    tools: &mut Tools<'a>,
) -> Result<Content<'a>, Unsupported> {
    let id = fields::required(members.tool_use_id, ".tool_use_id")?;
    let said = match members.content {
        None => Said::Text(Cow::Borrowed(EMPTY)),
        Some(content) if content.kind == Kind::String => Said::Text(Cow::Borrowed(content.text)),
        Some(content) if content.kind == Kind::Array => read_blocks(&content, place, tools)?,
        Some(_) => {
            let why = "is neither a string nor a list";
            return Err(Unsupported::new(".content", why));
        }
    };
    Ok(Content::ToolResult {
        id: fields::text_of(&id),
        said,
        is_error: members.is_error.is_some_and(|is| is.kind == Kind::True),
    })
}

fn read_blocks<'a>(
    content: &Value<'a>,
    place: Place,
    tools: &mut Tools<'a>,
) -> Result<Said<'a>, Unsupported> {
    let list = fields::list(content).map_err(|fault| fault.within(".content"))?;
    let mut read = Vec::with_capacity(list.len());
    for (index, block) in list.iter().enumerate() {
        let block = read_block(block, place.in_result(index), tools)
            .map_err(|fault| fault.within(format_args!(".content[{index}]")))?;
        read.extend(block);
    }
    Ok(if read.is_empty() {
        Said::Text(Cow::Borrowed(EMPTY))
    } else {
        Said::Blocks(read)
    })
}

fn read_block<'a>(
    block: &Value<'a>,
    place: Place,
    tools: &mut Tools<'a>,
) -> Result<Option<Block<'a>>, Unsupported> {
    let members = Members::read(block)?;
    if !members.kind.says("tool_reference") {
        return documents::read_said(&members, place);
    }
    let name = fields::required(members.tool_name, ".tool_name")?;
    tools.name(name.text);
    let text = [b"\"[tool ", between_quotes(name.text), b"]\""].concat();
    Ok(Some(Block::new(Content::Text(Cow::Owned(text)))))
}

/// What a tool without a result has said.
const EMPTY: &[u8] = b"\"\"";
