//! The conversation: the system's text, and turns of the user and the assistant.

use std::borrow::Cow;
use std::collections::HashMap;

use super::parts;
use crate::dialect::call_input;
use crate::dialect::fields;
use crate::dialect::ids::Ids;
use crate::dialect::prompt::{Block, CallInput, Content, Said, Speaker, Turn};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// The messages of a request.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    /// All text of the system, wherever it stands.
    pub(super) system: Vec<Block<'a>>,
    /// What the user, the tools and the assistant say.
    pub(super) turns: Vec<Turn<'a>>,
}

/// The roles of a caller's messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Tool,
    Function,
}

/// Reads `messages`.
pub(super) fn read<'a>(messages: &Value<'a>) -> Result<Conversation<'a>, Unsupported> {
    let mut reader = Reader::default();
    for (index, message) in fields::elements(messages)?.enumerate() {
        reader
            .add(index, &message?)
            .map_err(|fault| fault.within(format_args!("[{index}]")))?;
    }
    if reader.conversation.turns.is_empty() {
        return Err(Unsupported::new("", "hold no message that is not blank"));
    }
    Ok(reader.conversation)
}

impl<'a> Conversation<'a> {
    fn push(&mut self, speaker: Speaker, mut blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            Some(_) | None => self.turns.push(Turn { speaker, blocks }),
        }
    }
}

#[derive(Default)]
struct Reader<'a> {
    conversation: Conversation<'a>,
    ids: Ids,
    /// The number of calls of the deprecated kind so far; they have no id.
    function_calls: usize,
    /// The id of the latest such call of each function.
    latest: HashMap<Cow<'a, str>, String>,
}

impl<'a> Reader<'a> {
    /// Reads the message at `index`.
    fn add(&mut self, index: usize, message: &Value<'a>) -> Result<(), Unsupported> {
        let [
            role,
            content,
            cache,
            name,
            call_id,
            audio,
            refusal,
            calls,
            call,
        ] = fields::read(message, MEMBERS)?;
        let role = Role::read(role)?;
        if audio.is_some() {
            let why = "names what another vendor keeps";
            return Err(Unsupported::new(".audio", why));
        }
        let cache = fields::cache_control(cache)?;
        let own = Own {
            refusal,
            calls,
            call,
        };
        if role != Role::Assistant {
            own.must_be_blank()?;
        }
        let (speaker, mut blocks) = match role {
            Role::System => return self.add_system(parts::read(content, index)?, cache),
            Role::User => (Speaker::User, parts::read(content, index)?),
            Role::Assistant => {
                let said = parts::read(content, index)?;
                (Speaker::Assistant, self.answer(said, &own)?)
            }
            Role::Tool => {
                let id = fields::required(call_id, ".tool_call_id")?;
                let id = self.ids.result(&fields::text_of(&id));
                (Speaker::User, vec![tool_result(id, content, index)?])
            }
            Role::Function => {
                let id = self.answered(name)?;
                (Speaker::User, vec![tool_result(id, content, index)?])
            }
        };
        mark_last(&mut blocks, cache);
        self.conversation.push(speaker, blocks);
        Ok(())
    }

    /// Adds to `blocks`, the content of an answer, what it has besides.
    fn answer(
        &mut self,
        mut blocks: Vec<Block<'a>>,
        own: &Own<'a>,
    ) -> Result<Vec<Block<'a>>, Unsupported> {
        if own.refusal.is_some() {
            let refusal = fields::required(own.refusal, ".refusal")?;
            blocks.extend(parts::text(refusal));
        }
        self.add_calls(own.calls, &mut blocks)?;
        if let Some(call) = &own.call {
            let call = self.function_call(call);
            blocks.push(call.map_err(|fault| fault.within(".function_call"))?);
        }
        Ok(blocks)
    }

    fn add_calls(
        &mut self,
        calls: Option<Value<'a>>,
        blocks: &mut Vec<Block<'a>>,
    ) -> Result<(), Unsupported> {
        let Some(calls) = calls else {
            return Ok(());
        };
        let calls = fields::list(&calls).map_err(|fault| fault.within(".tool_calls"))?;
        for (index, call) in calls.iter().enumerate() {
            let block = tool_use(call, &mut self.ids)
                .map_err(|fault| fault.within(format_args!(".tool_calls[{index}]")))?;
            blocks.push(block);
        }
        Ok(())
    }

    fn add_system(
        &mut self,
        mut pieces: Vec<Block<'a>>,
        cache: Option<&'a [u8]>,
    ) -> Result<(), Unsupported> {
        if pieces
            .iter()
            .any(|piece| !matches!(piece.content, Content::Text(_)))
        {
            return Err(Unsupported::new(".content", "holds more than text"));
        }
        mark_last(&mut pieces, cache);
        self.conversation.system.append(&mut pieces);
        Ok(())
    }

    fn function_call(&mut self, call: &Value<'a>) -> Result<Block<'a>, Unsupported> {
        let [name, arguments] = fields::read(call, ["name", "arguments"])?;
        let name = fields::required(name, ".name")?;
        let id = self.ids.call(&format!("call_fn_{}", self.function_calls));
        self.function_calls += 1;
        self.latest.insert(fields::text_of(&name), id.clone());
        Ok(Block::new(Content::ToolUse {
            id: Cow::Owned(id),
            name: Cow::Borrowed(name.text),
            input: CallInput::Parsed(call_input::read(arguments)),
        }))
    }

    /// The id of the call that a `function` message answers.
    fn answered(&self, name: Option<Value<'_>>) -> Result<String, Unsupported> {
        let name = fields::required(name, ".name")?;
        let id = self.latest.get(&*fields::text_of(&name)).cloned();
        id.ok_or_else(|| Unsupported::new(".name", "names a function that was not called"))
    }
}

/// Members that only the assistant's messages have besides their content.
struct Own<'a> {
    refusal: Option<Value<'a>>,
    calls: Option<Value<'a>>,
    call: Option<Value<'a>>,
}

impl Own<'_> {
    /// In a message of another role, these members would get lost.
    fn must_be_blank(&self) -> Result<(), Unsupported> {
        for (place, value) in [
            (".refusal", self.refusal),
            (".tool_calls", self.calls),
            (".function_call", self.call),
        ] {
            if value.is_some_and(|value| !value.is_blank()) {
                return Err(Unsupported::new(place, "is the assistant's to have"));
            }
        }
        Ok(())
    }
}

/// The members of a message that are known.
const MEMBERS: [&str; 9] = [
    "role",
    "content",
    "cache_control",
    "name",
    "tool_call_id",
    "audio",
    "refusal",
    "tool_calls",
    "function_call",
];

impl Role {
    fn read(role: Option<Value<'_>>) -> Result<Self, Unsupported> {
        let role = fields::required(role, ".role")?;
        match &*fields::text_of(&role) {
            "system" | "developer" => Ok(Self::System),
            "user" => Ok(Self::User),
            "assistant" => Ok(Self::Assistant),
            "tool" => Ok(Self::Tool),
            "function" => Ok(Self::Function),
            _ => Err(Unsupported::new(".role", "is not a known role")),
        }
    }
}

fn tool_use<'a>(call: &Value<'a>, ids: &mut Ids) -> Result<Block<'a>, Unsupported> {
    let [id, kind, function] = fields::read(call, ["id", "type", "function"])?;
    if kind.is_some_and(|kind| !fields::says(&kind, "function")) {
        return Err(Unsupported::new(".type", "is not `function`"));
    }
    let id = fields::required(id, ".id")?;
    let function = function.ok_or_else(|| Unsupported::new(".function", "is missing"))?;
    let [name, arguments] = fields::read(&function, ["name", "arguments"])
        .map_err(|fault| fault.within(".function"))?;
    let name = fields::required(name, ".function.name")?;
    Ok(Block::new(Content::ToolUse {
        id: Cow::Owned(ids.call(&fields::text_of(&id))),
        name: Cow::Borrowed(name.text),
        input: CallInput::Parsed(call_input::read(arguments)),
    }))
}

fn tool_result<'a>(
    id: String,
    content: Option<Value<'a>>,
    index: usize,
) -> Result<Block<'a>, Unsupported> {
    let said = match content.filter(|content| content.kind == Kind::String) {
        Some(text) => Said::Text(Cow::Borrowed(text.text)),
        None => match parts::read(content, index)? {
            blocks if blocks.is_empty() => Said::Text(Cow::Borrowed(b"\"\"")),
            blocks => Said::Blocks(blocks),
        },
    };
    Ok(Block::new(Content::ToolResult {
        id: Cow::Owned(id),
        said,
        is_error: false,
    }))
}

/// Puts a message's cache marker on its last block, unless that block has its own.
fn mark_last<'a>(blocks: &mut [Block<'a>], cache: Option<&'a [u8]>) {
    if let Some(last) = blocks.last_mut() {
        last.cache = last.cache.or(cache);
    }
}
