//! The items of `input` (section 1 of reference/responses-inbound.md), and which output answers
//! which call (rule B2).

use std::borrow::Cow;
use std::collections::VecDeque;

use smallvec::SmallVec;

use super::naming::Called;
use crate::base::map::Map;
use crate::dialect::fields;
use crate::dialect::names::ToolKind;
use crate::dialect::prompt::Speaker;
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::signature::{ThoughtField, text_of};
use crate::dialect::unsent::Given;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// The items of a request.
pub(super) struct Items<'a> {
    /// By their places.
    pub(super) all: SmallVec<[Item<'a>; 1]>,
    /// The lists of tools that items add.
    pub(super) added: Vec<Added<'a>>,
}

/// Tools that an item adds.
pub(super) struct Added<'a> {
    /// The item's place.
    pub(super) item: usize,
    /// A list.
    pub(super) tools: Value<'a>,
}

/// An item.
pub(super) enum Item<'a> {
    Message {
        speaker: Speaker,
        content: Value<'a>,
    },
    Call {
        /// A string.
        id: Value<'a>,
        tool: Called<'a>,
        /// The arguments, or what a custom tool is given.
        said: Option<Value<'a>>,
        /// Whether an output answers it.
        is_answered: bool,
    },
    Output {
        /// That of its call, a string.
        id: Value<'a>,
        said: Option<Value<'a>>,
        /// Whether it answers a call.
        is_answer: bool,
    },
    Thought {
        summary: Option<Value<'a>>,
        content: Option<Value<'a>>,
        /// The field that it came in, where infermux has noted that.
        field: Option<ThoughtField>,
    },
    /// What is not sent.
    Nothing,
}

impl<'a> Items<'a> {
    /// Reads `input`. What it refers to is looked up in `remembered`.
    pub(super) fn read(
        input: &Value<'a>,
        remembered: &'a dyn Remembered,
        given: &mut Given,
    ) -> Result<Self, Unsupported> {
        let mut items = Self {
            all: SmallVec::new(),
            added: Vec::new(),
        };
        if input.kind == Kind::String {
            items.all.push(Item::Message {
                speaker: Speaker::User,
                content: *input,
            });
            return Ok(items);
        }
        let list = fields::elements(input).map_err(|fault| fault.within("input"))?;
        for (index, value) in list.enumerate() {
            let read = value.and_then(|value| items.read_item(&value, remembered, given));
            let item = read.map_err(|fault| fault.within(format_args!("input[{index}]")))?;
            items.all.push(item);
        }
        items.pair();
        Ok(items)
    }

    fn read_item(
        &mut self,
        value: &Value<'a>,
        remembered: &'a dyn Remembered,
        given: &mut Given,
    ) -> Result<Item<'a>, Unsupported> {
        let members = Members::read(value)?;
        if !members.is_reference() {
            return self.item(&members, given);
        }
        let id = fields::required(members.id, ".id")?;
        let id = fields::text_of(&id);
        if let Some(text) = remembered.item(&id) {
            let value = Value {
                text,
                at: 0,
                kind: Kind::Object,
            };
            return self.item(&Members::read(&value)?, given);
        }
        // The model thinks anew.
        if id.starts_with("rs_") {
            given.lose("item_reference");
            return Ok(Item::Nothing);
        }
        let why = "refers to an item that is not remembered: \
                   send the item itself, or `store: false`";
        Err(Unsupported::new("", why))
    }

    fn item(&mut self, members: &Members<'a>, given: &mut Given) -> Result<Item<'a>, Unsupported> {
        let kind = match members.kind {
            Some(_) => fields::required(members.kind, ".type")?.word(),
            None => Cow::Borrowed(&b"message"[..]),
        };
        match &*kind {
            b"message" => members.message(),
            b"function_call" => members.call(ToolKind::Function, members.arguments),
            b"custom_tool_call" => {
                let input = fields::required(members.input, ".input")?;
                members.call(ToolKind::Custom, Some(input))
            }
            b"function_call_output" | b"custom_tool_call_output" => Ok(Item::Output {
                id: fields::required(members.call_id, ".call_id")?,
                said: members.output,
                is_answer: false,
            }),
            b"reasoning" => Ok(members.thought(given)),
            b"additional_tools" | b"tool_search_output" => {
                if let Some(tools) = members.tools {
                    let item = self.all.len();
                    self.added.push(Added { item, tools });
                }
                Ok(Item::Nothing)
            }
            kind => match TRACES.iter().find(|trace| trace.as_bytes() == kind) {
                Some(trace) => {
                    given.lose(trace);
                    Ok(Item::Nothing)
                }
                None => Err(Unsupported::new("", "has a type that cannot be expressed")),
            },
        }
    }

    /// Finds the call that each output answers: the first earlier one with its id that has no
    /// answer. Some servers number their calls anew in each turn.
    fn pair(&mut self) {
        let is_output = |item: &Item<'_>| matches!(item, Item::Output { .. });
        if !self.all.iter().any(is_output) {
            return;
        }
        let mut open: Map<Cow<'a, [u8]>, VecDeque<usize>> = Map::default();
        let mut answered = Vec::new();
        for (index, item) in self.all.iter_mut().enumerate() {
            match item {
                Item::Call { id, .. } => open.entry(id.word()).or_default().push_back(index),
                Item::Output { id, is_answer, .. } => {
                    let calls = open.get_mut(&id.word());
                    let call = calls.and_then(VecDeque::pop_front);
                    *is_answer = call.is_some();
                    answered.extend(call);
                }
                Item::Message { .. } | Item::Thought { .. } | Item::Nothing => {}
            }
        }
        for call in answered {
            if let Some(Item::Call { is_answered, .. }) = self.all.get_mut(call) {
                *is_answered = true;
            }
        }
    }
}

/// The members of an item that are known.
struct Members<'a> {
    kind: Option<Value<'a>>,
    role: Option<Value<'a>>,
    content: Option<Value<'a>>,
    call_id: Option<Value<'a>>,
    name: Option<Value<'a>>,
    arguments: Option<Value<'a>>,
    output: Option<Value<'a>>,
    id: Option<Value<'a>>,
    input: Option<Value<'a>>,
    namespace: Option<Value<'a>>,
    summary: Option<Value<'a>>,
    encrypted: Option<Value<'a>>,
    tools: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    fn read(item: &Value<'a>) -> Result<Self, Unsupported> {
        let [
            kind,
            role,
            content,
            call_id,
            name,
            arguments,
            output,
            id,
            input,
            namespace,
            summary,
            encrypted,
            tools,
        ] = fields::read(item, NAMES)?;
        Ok(Self {
            kind,
            role,
            content,
            call_id,
            name,
            arguments,
            output,
            id,
            input,
            namespace,
            summary,
            encrypted,
            tools,
        })
    }

    /// Whether the item stands for another one; such an item may do without a type.
    fn is_reference(&self) -> bool {
        match self.kind {
            Some(kind) => kind.says("item_reference"),
            None => self.role.is_none() && self.id.is_some(),
        }
    }

    fn message(&self) -> Result<Item<'a>, Unsupported> {
        let role = fields::required(self.role, ".role")?;
        let speaker = role.known(|role| match role {
            b"user" => Some(Speaker::User),
            b"assistant" => Some(Speaker::Assistant),
            b"system" | b"developer" => Some(Speaker::System),
            _ => None,
        });
        let unknown = || Unsupported::new(".role", "is not a known role");
        let missing = || Unsupported::new(".content", "is missing");
        Ok(Item::Message {
            speaker: speaker.ok_or_else(unknown)?,
            content: self.content.ok_or_else(missing)?,
        })
    }

    fn call(&self, kind: ToolKind, said: Option<Value<'a>>) -> Result<Item<'a>, Unsupported> {
        let namespace = match self.namespace {
            None => None,
            namespace => Some(fields::required(namespace, ".namespace")?),
        };
        Ok(Item::Call {
            id: fields::required(self.call_id, ".call_id")?,
            tool: Called {
                namespace,
                name: fields::required(self.name, ".name")?,
                kind,
            },
            said,
            is_answered: false,
        })
    }

    /// A thought, unless it is another vendor's, who alone can read it.
    fn thought(&self, given: &mut Given) -> Item<'a> {
        let encrypted = self.encrypted.filter(|encrypted| !encrypted.is_blank());
        let field = encrypted.and_then(|mark| ThoughtField::of_signature(&text_of(mark.text)));
        if encrypted.is_some() && field.is_none() {
            given.lose("reasoning");
            return Item::Nothing;
        }
        Item::Thought {
            summary: self.summary,
            content: self.content,
            field,
        }
    }
}

/// The members of an item that are read; the most frequent ones come first.
const NAMES: [&str; 13] = [
    "type",
    "role",
    "content",
    "call_id",
    "name",
    "arguments",
    "output",
    "id",
    "input",
    "namespace",
    "summary",
    "encrypted_content",
    "tools",
];

/// The types of items that tell what a provider itself has run; the rest of its answer holds what
/// came of it.
const TRACES: [&str; 8] = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "tool_search_call",
];
