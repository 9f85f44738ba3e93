//! The conversation: the system's text, and turns of neighbours with different speakers (rules B2,
//! B4 and B5).
//!
//! Providers want the results of a turn's calls directly behind it. So a turn of the model is open
//! while results of its calls are to come: what the model says meanwhile joins it, and what others
//! say waits behind the results.

use std::borrow::Cow;

use super::items::Item;
use super::naming::Naming;
use super::parts::{self, Member, Place};
use crate::dialect::fields;
use crate::dialect::names::ToolKind;
use crate::dialect::prompt::{Block, CallInput, Content, Input, Speaker, Turn};
use crate::dialect::signature::ThoughtField;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// The conversation while its items are read.
pub(super) struct Conversation<'n, 'a> {
    system: Vec<Block<'a>>,
    turns: Vec<Turn<'a>>,
    /// The turn of the model that is open.
    answer: Answer<'a>,
    /// How many results of its calls are still to come.
    pending: usize,
    /// The results that have come.
    results: Vec<Block<'a>>,
    /// What others have said meanwhile.
    waiting: Vec<(Speaker, Vec<Block<'a>>)>,
    /// How many texts of the system stand outside of the input.
    instructions: usize,
    naming: &'n mut Naming<'a>,
}

/// A turn of the model.
#[derive(Default)]
struct Answer<'a> {
    thoughts: Vec<Block<'a>>,
    /// A string.
    text: Option<Cow<'a, [u8]>>,
    calls: Vec<Block<'a>>,
}

impl<'n, 'a> Conversation<'n, 'a> {
    /// Nothing has been said yet; tools are called by their names in `naming`.
    pub(super) fn new(naming: &'n mut Naming<'a>) -> Self {
        Self {
            system: Vec::new(),
            turns: Vec::new(),
            answer: Answer::default(),
            pending: 0,
            results: Vec::new(),
            waiting: Vec::new(),
            instructions: 0,
            naming,
        }
    }

    /// Reads `instructions`.
    pub(super) fn add_instructions(
        &mut self,
        instructions: Option<Value<'a>>,
    ) -> Result<(), Unsupported> {
        if instructions.is_some() {
            let text = fields::required(instructions, "instructions")?;
            self.system = parts::read_system(&text)?;
            self.instructions = self.system.len();
        }
        Ok(())
    }

    /// Adds the item at `index`.
    pub(super) fn add(&mut self, index: usize, item: &Item<'a>) -> Result<(), Unsupported> {
        match item {
            Item::Message { speaker, content } => {
                let place = Place {
                    item: index,
                    member: Member::Content,
                };
                match speaker {
                    Speaker::User => self.say(*speaker, parts::read_user(content, place)?),
                    Speaker::System => self.say(*speaker, parts::read_system(content)?),
                    Speaker::Assistant => {
                        if let Some(text) = parts::read_answer(content)? {
                            self.answer.add_text(text);
                        }
                    }
                }
            }
            Item::Call {
                id,
                tool,
                said,
                is_answered,
            } => {
                self.pending += usize::from(*is_answered);
                self.answer.calls.push(Block::new(Content::ToolUse {
                    id: fields::text_of(id),
                    name: self.naming.of(*tool),
                    input: arguments(tool.kind, *said),
                }));
            }
            Item::Output {
                id,
                said,
                is_answer,
            } => {
                let place = Place {
                    item: index,
                    member: Member::Output,
                };
                let result = Block::new(Content::ToolResult {
                    id: fields::text_of(id),
                    said: parts::read_output(*said, place)?,
                    is_error: false,
                });
                self.add_result(result, *is_answer);
            }
            Item::Thought {
                summary,
                content,
                field,
            } => self.answer.add_thought([*content, *summary], *field)?,
            Item::Nothing => {}
        }
        Ok(())
    }

    /// The system's text and the turns.
    pub(super) fn end(mut self) -> Result<(Vec<Block<'a>>, Vec<Turn<'a>>), Unsupported> {
        self.close();
        if self.turns.is_empty() && self.system.len() == self.instructions {
            return Err(Unsupported::new("input", "holds nothing that is not blank"));
        }
        Ok((self.system, self.turns))
    }

    /// Adds what a user or the system says.
    fn say(&mut self, speaker: Speaker, mut blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        if self.pending > 0 {
            self.waiting.push((speaker, blocks));
            return;
        }
        self.close();
        if speaker == Speaker::System && self.turns.is_empty() {
            self.system.append(&mut blocks);
        } else {
            self.push(speaker, blocks);
        }
    }

    /// Adds the result of a call, or what looks like one: the provider judges.
    fn add_result(&mut self, result: Block<'a>, is_answer: bool) {
        self.results.push(result);
        self.pending -= usize::from(is_answer && self.pending > 0);
        if self.pending == 0 {
            self.close();
        }
    }

    /// Ends the open turn of the model: its results and what has waited follow it.
    fn close(&mut self) {
        if self.answer.is_empty() && self.results.is_empty() && self.waiting.is_empty() {
            return;
        }
        let answer = std::mem::take(&mut self.answer).blocks();
        self.push(Speaker::Assistant, answer);
        let results = std::mem::take(&mut self.results);
        self.push(Speaker::User, results);
        for (speaker, blocks) in std::mem::take(&mut self.waiting) {
            self.push(speaker, blocks);
        }
    }

    fn push(&mut self, speaker: Speaker, mut blocks: Vec<Block<'a>>) {
        match self.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            Some(_) | None => self.turns.push(Turn { speaker, blocks }),
        }
    }
}

impl<'a> Answer<'a> {
    /// Adds the text of a message, a string.
    fn add_text(&mut self, text: Cow<'a, [u8]>) {
        match &mut self.text {
            Some(said) => parts::append(said, b"\\n", &text),
            said @ None => *said = Some(text),
        }
    }

    /// Adds a thought: the texts of the first of these lists that has any.
    fn add_thought(
        &mut self,
        lists: [Option<Value<'a>>; 2],
        field: Option<ThoughtField>,
    ) -> Result<(), Unsupported> {
        for list in lists.into_iter().flatten() {
            if let Some(text) = joined(&list)? {
                self.thoughts.push(Block::new(Content::Thought {
                    text,
                    signature: field.map(signature),
                    is_free: true,
                }));
                break;
            }
        }
        Ok(())
    }

    const fn is_empty(&self) -> bool {
        self.thoughts.is_empty() && self.text.is_none() && self.calls.is_empty()
    }

    /// The blocks of the turn; models want their thoughts back beside calls alone.
    fn blocks(self) -> Vec<Block<'a>> {
        let mut blocks = self.thoughts;
        if self.calls.is_empty() {
            blocks.clear();
        }
        blocks.extend(self.text.map(|text| Block::new(Content::Text(text))));
        blocks.extend(self.calls);
        blocks
    }
}

/// The texts of a list of parts, a line break between two of them; `None`: there is none.
fn joined<'a>(list: &Value<'a>) -> Result<Option<Cow<'a, [u8]>>, Unsupported> {
    let parts = match list.kind {
        Kind::Array => fields::list(list)?,
        Kind::String | Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
            return Ok(None);
        }
    };
    let mut joined: Option<Cow<'a, [u8]>> = None;
    for part in parts.iter().filter(|part| part.kind == Kind::Object) {
        let [text] = fields::read(part, ["text"])?;
        let text = text.filter(|text| text.kind == Kind::String && !parts::is_blank(text.text));
        match (text, &mut joined) {
            (None, _) => {}
            (Some(text), Some(joined)) => parts::append(joined, b"\\n", text.text),
            (Some(text), joined @ None) => *joined = Some(Cow::Borrowed(text.text)),
        }
    }
    Ok(joined)
}

/// The signature of a thought that came in this field, a string.
const fn signature(field: ThoughtField) -> &'static [u8] {
    match field {
        ThoughtField::ReasoningContent => br#""infermux.reasoning_content""#,
        ThoughtField::Reasoning => br#""infermux.reasoning""#,
    }
}

fn arguments(kind: ToolKind, said: Option<Value<'_>>) -> CallInput<'_> {
    match (kind, said) {
        (ToolKind::Custom, Some(input)) => CallInput::Text(input.text),
        (ToolKind::Function, Some(text)) if text.kind == Kind::String => {
            if parts::is_blank(text.text) {
                EMPTY
            } else {
                CallInput::Unread(text.text)
            }
        }
        (ToolKind::Function, Some(value)) if value.kind == Kind::Object => {
            CallInput::Parsed(Input::Object(Cow::Borrowed(value.text)))
        }
        (ToolKind::Function, Some(value)) => {
            CallInput::Parsed(Input::Other(Cow::Borrowed(value.text)))
        }
        (ToolKind::Function | ToolKind::Custom, None) => EMPTY,
    }
}

/// No arguments.
const EMPTY: CallInput<'_> = CallInput::Parsed(Input::Object(Cow::Borrowed(b"{}")));
