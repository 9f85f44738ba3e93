//! The conversation: the system's text, and turns of neighbours with different speakers (rules MR2
//! and MR3).

use super::blocks;
use super::members::{self, Place};
use super::tools::Tools;
use crate::dialect::fields;
use crate::dialect::prompt::{Block, Content, Speaker, Turn};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Value};

/// What has been said.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Conversation<'a> {
    /// Reads `system` and `messages`, and notes in `tools` what these say of them.
    pub(super) fn read(
        system: Option<Value<'a>>,
        messages: Option<Value<'a>>,
        tools: &mut Tools<'a>,
    ) -> Result<Self, Unsupported> {
        let mut conversation = Self::default();
        if let Some(system) = system {
            conversation.system = read_system(&system).map_err(|fault| fault.within("system"))?;
        }
        let messages = messages.ok_or_else(|| Unsupported::new("messages", "is missing"))?;
        let messages = fields::list(&messages).map_err(|fault| fault.within("messages"))?;
        let mut reader = Reader {
            turns: Vec::with_capacity(messages.len()),
            last_user: None,
            messages: &messages,
            tools,
        };
        for (index, message) in messages.iter().enumerate() {
            reader
                .add(index, message)
                .map_err(|fault| fault.within(format_args!("messages[{index}]")))?;
        }
        reader.drop_empty_answer();
        conversation.turns = reader.turns;
        if conversation
            .turns
            .iter()
            .all(|turn| turn.speaker == Speaker::System)
        {
            let why = "hold nothing that is not blank";
            return Err(Unsupported::new("messages", why));
        }
        Ok(conversation)
    }
}

/// The system's text for the whole conversation.
fn read_system<'a>(system: &Value<'a>) -> Result<Vec<Block<'a>>, Unsupported> {
    if system.kind == Kind::String {
        return Ok(members::text(without_attribution(system))
            .into_iter()
            .collect());
    }
    let list = match system.kind {
        Kind::Array => fields::list(system)?,
        Kind::String | Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
            return Err(Unsupported::new("", "is neither a string nor a list"));
        }
    };
    let mut texts = Vec::with_capacity(list.len());
    for (index, block) in list.iter().enumerate() {
        let within = |fault: Unsupported| fault.within(format_args!("[{index}]"));
        let [kind, text, cache] =
            fields::read(block, ["type", "text", "cache_control"]).map_err(within)?;
        if !kind.is_some_and(|kind| kind.says("text")) {
            return Err(within(Unsupported::new("", "is not text")));
        }
        let text = fields::required(text, ".text").map_err(within)?;
        if index > 0 || !is_attribution(&text) {
            texts.extend(members::text(text).map(|text| Block {
                cache: members::cache(cache),
                ..text
            }));
        }
    }
    Ok(texts)
}

/// Whether a text tells Anthropic which client is asking; it says nothing to anybody else.
fn is_attribution(text: &Value<'_>) -> bool {
    let word = text.word();
    word.starts_with(ATTRIBUTION)
}

/// A text without the line that tells Anthropic which client is asking.
fn without_attribution<'a>(text: &Value<'a>) -> Value<'a> {
    if !is_attribution(text) {
        return *text;
    }
    // In a string of its own the line ends with an escape.
    let line = memchr::memmem::find(text.text, b"\\n");
    let rest = line.and_then(|at| text.text.get(at + 1..));
    Value {
        text: rest.unwrap_or(b"\"\""),
        ..*text
    }
}

struct Reader<'r, 'a> {
    turns: Vec<Turn<'a>>,
    messages: &'r [Value<'a>],
    /// The place of the last message of the user, once it has been looked for.
    last_user: Option<usize>,
    tools: &'r mut Tools<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn add(&mut self, index: usize, message: &Value<'a>) -> Result<(), Unsupported> {
        let [role, content, clear_at] = fields::read(message, ["role", "content", "clear_at"])?;
        let role = fields::required(role, ".role")?;
        let speaker = role.known(|role| match role {
            b"user" => Some(Speaker::User),
            b"assistant" => Some(Speaker::Assistant),
            b"system" => Some(Speaker::System),
            _ => None,
        });
        let speaker = speaker.ok_or_else(|| Unsupported::new(".role", "is not a known role"))?;
        let content = content.ok_or_else(|| Unsupported::new(".content", "is missing"))?;
        let blocks = self.read_content(index, speaker, &content)?;
        let is_cleared = speaker == Speaker::System
            && clear_at.is_some_and(|when| when.says("next_user_message"))
            && index < self.last_user();
        if !is_cleared {
            self.push(speaker, blocks);
        }
        Ok(())
    }

    fn read_content(
        &mut self,
        message: usize,
        speaker: Speaker,
        content: &Value<'a>,
    ) -> Result<Vec<Block<'a>>, Unsupported> {
        match content.kind {
            Kind::String => return Ok(members::text(*content).into_iter().collect()),
            Kind::Array => {}
            Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
                let why = "is neither a string nor a list";
                return Err(Unsupported::new(".content", why));
            }
        }
        let list = fields::list(content).map_err(|fault| fault.within(".content"))?;
        let mut read = Vec::with_capacity(list.len());
        for (index, block) in list.iter().enumerate() {
            let place = Place::new(message, index);
            let block = match speaker {
                Speaker::User => blocks::read_user(block, place, self.tools),
                Speaker::Assistant => blocks::read_assistant(block, self.tools),
                Speaker::System => blocks::read_system(block, self.tools),
            };
            let block = block.map_err(|fault| fault.within(format_args!(".content[{index}]")))?;
            read.extend(block);
        }
        Ok(read)
    }

    fn push(&mut self, speaker: Speaker, mut blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        if speaker != Speaker::Assistant {
            self.drop_empty_answer();
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            Some(_) | None => self.turns.push(Turn { speaker, blocks }),
        }
    }

    /// Drops the last turn if the model has said nothing in it and called nothing: its thoughts
    /// alone are no answer.
    fn drop_empty_answer(&mut self) {
        let is_empty = self.turns.last().is_some_and(|turn| {
            turn.speaker == Speaker::Assistant
                && turn
                    .blocks
                    .iter()
                    .all(|block| matches!(block.content, Content::Thought { .. }))
        });
        if is_empty {
            self.turns.pop();
        }
    }

    /// The place of the user's last message; 0: there is none behind the first message.
    fn last_user(&mut self) -> usize {
        *self.last_user.get_or_insert_with(|| {
            let is_user = |message: &Value<'_>| {
                json::member(message.text, b"role").is_some_and(|role| role.value.says("user"))
            };
            self.messages.iter().rposition(is_user).unwrap_or_default()
        })
    }
}

/// How the text begins that tells Anthropic which client is asking.
const ATTRIBUTION: &[u8] = b"x-anthropic-billing-header:";
