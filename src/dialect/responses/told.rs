//! One event of a stream of Responses, read in one pass.

use crate::wire::json::{self, Bracket, Kind, Member, NotJson, Value, Walk};

/// The members that matter, of any kind of event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) kind: ToldKind,
    /// The text that it adds.
    pub(super) delta: Option<Value<'a>>,
    /// What hides the length of that text.
    pub(super) obfuscation: Option<Value<'a>>,
    pub(super) sequence_number: Option<Value<'a>>,
    /// Whether it is about an item of the output.
    pub(super) has_output_index: bool,
    pub(super) item: Option<Value<'a>>,
    pub(super) response: Option<Value<'a>>,
}

/// The event's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ToldKind {
    Created,
    /// `response.queued`, `response.in_progress` and what else says only that there is a response.
    Pending,
    Keepalive,
    ItemAdded,
    ItemDone,
    /// A part of a message, or of a summary, begins.
    PartAdded,
    Delta,
    /// `response.completed` and `response.incomplete`.
    Ended,
    Failed,
    Error,
    /// Kinds that need no attention, or that OpenAI may add.
    #[default]
    Other,
}

/// The members of a response that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Response<'a> {
    pub(super) id: Option<Value<'a>>,
    pub(super) created_at: Option<Value<'a>>,
    /// At its place in the event.
    pub(super) model: Option<Value<'a>>,
    /// At its place in the event.
    pub(super) usage: Option<Value<'a>>,
    pub(super) error: Option<Value<'a>>,
}

impl<'a> Told<'a> {
    /// Reads the event in `data` into `self`.
    pub(super) fn read(&mut self, data: &'a [u8]) -> Result<(), NotJson> {
        let (mut has_type, mut has_error, mut room) = (false, false, Vec::new());
        let mut walk = Walk::new(data);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match name.read(&mut room) {
                b"type" => {
                    has_type = true;
                    self.kind = value.known(ToldKind::of).unwrap_or_default();
                }
                b"delta" => self.delta = Some(value),
                b"obfuscation" => self.obfuscation = Some(value),
                b"sequence_number" => self.sequence_number = Some(value),
                b"output_index" => self.has_output_index = true,
                b"item" => self.item = Some(value),
                b"response" => self.response = Some(value),
                b"error" => has_error = !value.is_blank(),
                _ => {}
            }
        }
        // The form of an error that a server in between sends.
        if !has_type && has_error {
            self.kind = ToldKind::Error;
        }
        walk.end()
    }

    /// The response that the event holds.
    pub(super) fn response(&self) -> Result<Response<'a>, NotJson> {
        match self.response.filter(|value| value.kind == Kind::Object) {
            Some(object) => Response::read(&object),
            None => Ok(Response::default()),
        }
    }

    /// Whether the event is content, or shows that content has begun (rule N5).
    pub(super) fn is_content(&self) -> bool {
        match self.kind {
            ToldKind::Created | ToldKind::Pending | ToldKind::Keepalive | ToldKind::PartAdded => {
                false
            }
            ToldKind::ItemAdded => !self.begins_a_text(),
            ToldKind::Delta | ToldKind::Ended | ToldKind::Failed | ToldKind::Error => true,
            ToldKind::ItemDone | ToldKind::Other => self.has_output_index,
        }
    }

    /// Whether its item is a message or reasoning, which is nothing without what follows.
    fn begins_a_text(&self) -> bool {
        let kind = self.item.and_then(|item| json::member(item.text, b"type"));
        kind.is_some_and(|kind| kind.value.says("message") || kind.value.says("reasoning"))
    }

    /// The text that it adds; `None` where it adds none.
    pub(super) fn piece(&self) -> Option<Value<'a>> {
        let is_text = |piece: &Value<'_>| piece.kind == Kind::String && !piece.is_blank();
        self.delta
            .filter(|piece| self.kind == ToldKind::Delta && is_text(piece))
    }
}

impl ToldKind {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"response.output_text.delta" => Self::Delta,
            b"response.created" => Self::Created,
            b"response.queued" | b"response.in_progress" | b"response.metadata" => Self::Pending,
            b"keepalive" => Self::Keepalive,
            b"response.output_item.added" => Self::ItemAdded,
            b"response.output_item.done" => Self::ItemDone,
            b"response.content_part.added" | b"response.reasoning_summary_part.added" => {
                Self::PartAdded
            }
            b"response.completed" | b"response.incomplete" => Self::Ended,
            b"response.failed" => Self::Failed,
            b"error" => Self::Error,
            _ if name.ends_with(b".delta") && !name.contains(&b'\\') => Self::Delta,
            _ => return None,
        })
    }
}

impl<'a> Response<'a> {
    /// Reads the members of `object`, a value of the event.
    fn read(object: &Value<'a>) -> Result<Self, NotJson> {
        let (mut read, mut room) = (Self::default(), Vec::new());
        for member in json::members(object.text) {
            let Member { name, value } = member?;
            let placed = Value {
                at: object.at + value.at,
                ..value
            };
            match name.read(&mut room) {
                b"id" => read.id = Some(value),
                b"created_at" => read.created_at = Some(value),
                b"model" => read.model = Some(placed),
                b"usage" => read.usage = Some(placed),
                b"error" => read.error = Some(value),
                _ => {}
            }
        }
        Ok(read)
    }
}
