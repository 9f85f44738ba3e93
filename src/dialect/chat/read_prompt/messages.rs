//! The conversation: the system's text, and turns of the user and the assistant.

use std::borrow::Cow;
use std::collections::HashMap;

use super::blocks::{self, Block, Content, Input, Said};
use super::ids::Ids;
use super::parts;
use crate::dialect::compose::{Composer, between_quotes};
use crate::dialect::fields;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, Value, word};

/// The messages of a request.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    /// Text blocks only.
    system: Vec<Block<'a>>,
    turns: Vec<Turn<'a>>,
}

/// Consecutive messages of one speaker.
struct Turn<'a> {
    speaker: Speaker,
    blocks: Vec<Block<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
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
    for (index, message) in fields::list(messages)?.iter().enumerate() {
        reader
            .add(message)
            .map_err(|fault| fault.within(format_args!("[{index}]")))?;
    }
    let mut conversation = reader.conversation;
    if conversation.turns.is_empty() {
        return Err(Unsupported::new("", "hold no message that is not blank"));
    }
    conversation.trim_prefill();
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    /// Adds an instruction at the end of the system's text.
    pub(super) fn instruct(&mut self, text: &str) {
        self.system.push(Block::new(Content::Text(quoted(text))));
    }

    /// Whether the last turn holds results of tool calls.
    pub(super) fn ends_with_tool_results(&self) -> bool {
        let last = self.turns.last();
        last.is_some_and(|turn| turn.blocks.iter().any(Block::is_tool_result))
    }

    /// The names of the tools that have been called, each once, in order.
    pub(super) fn called_tools(&self) -> Vec<&'a [u8]> {
        let mut seen = std::collections::HashSet::new();
        let blocks = self.turns.iter().flat_map(|turn| &turn.blocks);
        let names = blocks.filter_map(|block| match &block.content {
            Content::ToolUse { name, .. } => Some(*name),
            Content::Text(_)
            | Content::Image(_)
            | Content::Document { .. }
            | Content::ToolResult { .. } => None,
        });
        names.filter(|name| seen.insert(word(name))).collect()
    }

    /// Writes `system` and `messages`.
    pub(super) fn write(&self, body: &mut Composer<'_>) {
        if !self.system.is_empty() {
            self.write_system(body.member("system"));
        }
        let mut list = Composer::array(body.member("messages"));
        for turn in &self.turns {
            turn.write(list.element());
        }
        list.end();
    }

    /// A string, or a list where a part has a cache marker.
    fn write_system(&self, out: &mut Vec<u8>) {
        let texts: Option<Vec<&[u8]>> = self.system.iter().map(Block::plain_text).collect();
        let Some(texts) = texts else {
            return blocks::write_list(self.system.iter(), out);
        };
        for (index, text) in texts.into_iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\"" } else { b"\\n" });
            out.extend_from_slice(between_quotes(text));
        }
        out.push(b'"');
    }

    /// The API refuses white space at the end of an answer that the model is to continue.
    fn trim_prefill(&mut self) {
        let Some(turn) = self.turns.last_mut() else {
            return;
        };
        if turn.speaker != Speaker::Assistant {
            return;
        }
        let texts = turn.blocks.iter_mut().rev();
        let mut texts = texts.filter_map(|block| match &mut block.content {
            Content::Text(text) => Some(text),
            Content::Image(_)
            | Content::Document { .. }
            | Content::ToolUse { .. }
            | Content::ToolResult { .. } => None,
        });
        if let Some(text) = texts.next()
            && let Ok(said) = serde_json::from_slice::<Cow<'_, str>>(text)
            && said.trim_end().len() < said.len()
        {
            *text = quoted(said.trim_end());
        }
    }

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

impl Turn<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut message = Composer::object(out);
        message.string(
            "role",
            match self.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            },
        );
        let content = message.member("content");
        match self.blocks.as_slice() {
            [one] if one.plain_text().is_some() => {
                content.extend_from_slice(one.plain_text().unwrap_or_default());
            }
            // The results of tool calls must come first in a turn.
            blocks => {
                let results = blocks.iter().filter(|block| block.is_tool_result());
                let others = blocks.iter().filter(|block| !block.is_tool_result());
                blocks::write_list(results.chain(others), content);
            }
        }
        message.end();
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
    fn add(&mut self, message: &Value<'a>) -> Result<(), Unsupported> {
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
            Role::System => return self.add_system(content, cache),
            Role::User => (Speaker::User, parts::read(content)?),
            Role::Assistant => (Speaker::Assistant, self.answer(content, &own)?),
            Role::Tool => {
                let id = fields::required(call_id, ".tool_call_id")?;
                let id = self.ids.result(&fields::text_of(&id));
                (Speaker::User, vec![tool_result(id, content)?])
            }
            Role::Function => {
                let id = self.answered(name)?;
                (Speaker::User, vec![tool_result(id, content)?])
            }
        };
        blocks::mark_last(&mut blocks, cache);
        self.conversation.push(speaker, blocks);
        Ok(())
    }

    fn answer(
        &mut self,
        content: Option<Value<'a>>,
        own: &Own<'a>,
    ) -> Result<Vec<Block<'a>>, Unsupported> {
        let mut blocks = parts::read(content)?;
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
        content: Option<Value<'a>>,
        cache: Option<&'a [u8]>,
    ) -> Result<(), Unsupported> {
        let mut pieces = parts::read(content)?;
        if pieces
            .iter()
            .any(|piece| !matches!(piece.content, Content::Text(_)))
        {
            return Err(Unsupported::new(".content", "holds more than text"));
        }
        blocks::mark_last(&mut pieces, cache);
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
            id,
            name: name.text,
            input: input(arguments),
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
        id: ids.call(&fields::text_of(&id)),
        name: name.text,
        input: input(arguments),
    }))
}

/// The arguments as an object: a string is parsed, and any other value is wrapped in one.
fn input(arguments: Option<Value<'_>>) -> Input<'_> {
    let Some(arguments) = arguments else {
        return Input::Object(Cow::Borrowed(b"{}"));
    };
    if arguments.kind == Kind::Object {
        return Input::Object(Cow::Borrowed(arguments.text));
    }
    let Some(text) = arguments.string() else {
        return Input::Arguments(Cow::Borrowed(arguments.text));
    };
    let parsed = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii().as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii().as_bytes().to_vec()),
    };
    if parsed.is_empty() {
        Input::Object(Cow::Borrowed(b"{}"))
    } else if !is_json(&parsed) {
        Input::Arguments(Cow::Borrowed(arguments.text))
    } else if parsed.first() == Some(&b'{') {
        Input::Object(parsed)
    } else {
        Input::Arguments(parsed)
    }
}

fn tool_result<'a>(id: String, content: Option<Value<'a>>) -> Result<Block<'a>, Unsupported> {
    let said = match content.filter(|content| content.kind == Kind::String) {
        Some(text) => Said::Text(text.text),
        None => match parts::read(content)? {
            blocks if blocks.is_empty() => Said::Text(b"\"\""),
            blocks => Said::Blocks(blocks),
        },
    };
    Ok(Block::new(Content::ToolResult { id, said }))
}

/// `text` as a JSON string.
fn quoted<'a>(text: &str) -> Cow<'a, [u8]> {
    Cow::Owned(json::quoted(text))
}
