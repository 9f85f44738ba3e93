//! One event of a Messages stream, read in one pass.

use crate::wire::json::{Bracket, Kind, NotJson, Value, Walk};

/// An event's members, as far as any kind of event has one that matters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Event<'a> {
    pub(super) kind: EventKind,
    /// Which content block it is about; zero where a server leaves it out.
    pub(super) index: u64,
    pub(super) delta: Delta<'a>,
    pub(super) block: Option<Value<'a>>,
    pub(super) message: Option<Value<'a>>,
    pub(super) usage: Option<Value<'a>>,
}

/// What an event calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EventKind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
    Ping,
    /// What the vendor adds one day.
    Other,
    #[default]
    Unnamed,
}

/// What changes: of a content block or of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delta<'a> {
    pub(super) kind: DeltaKind,
    /// The string that belongs to the kind of delta.
    text: Option<Value<'a>>,
    partial_json: Option<Value<'a>>,
    thinking: Option<Value<'a>>,
    pub(super) stop_reason: Option<Value<'a>>,
    pub(super) stop_details: Option<Value<'a>>,
}

/// What a content block's delta calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DeltaKind {
    Text,
    InputJson,
    Thinking,
    /// Signatures, citations, and what the vendor adds one day.
    #[default]
    Other,
}

impl<'a> Event<'a> {
    pub(super) fn read(data: &'a [u8]) -> Result<Self, NotJson> {
        let mut event = Self::default();
        let mut has_error = false;
        let mut walk = Walk::new(data);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            let known = name.read();
            if *known == *b"delta" {
                event.delta = Delta::read(&mut walk)?;
                continue;
            }
            let value = walk.value()?;
            match &*known {
                b"type" => event.kind = EventKind::of(&value),
                b"index" => event.index = number(&value),
                b"content_block" => event.block = Some(value),
                b"message" => event.message = Some(value),
                b"usage" => event.usage = Some(value),
                b"error" => has_error = !value.is_blank(),
                _ => {}
            }
        }
        // What a proxy in between says when it fails.
        if event.kind == EventKind::Unnamed && has_error {
            event.kind = EventKind::Error;
        }
        walk.end().map(|()| event)
    }
}

impl EventKind {
    fn of(value: &Value<'_>) -> Self {
        match &*value.word() {
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_start" => Self::BlockStart,
            b"content_block_stop" => Self::BlockStop,
            b"message_start" => Self::MessageStart,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"error" => Self::Error,
            b"ping" => Self::Ping,
            _ => Self::Other,
        }
    }
}

impl<'a> Delta<'a> {
    fn read(walk: &mut Walk<'a>) -> Result<Self, NotJson> {
        let mut delta = Self::default();
        if !walk.enter(Bracket::Object)? {
            return Ok(delta);
        }
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match &*name.read() {
                b"type" => delta.kind = DeltaKind::of(&value),
                b"text" => delta.text = Some(value),
                b"partial_json" => delta.partial_json = Some(value),
                b"thinking" => delta.thinking = Some(value),
                b"stop_reason" => delta.stop_reason = Some(value),
                b"stop_details" => delta.stop_details = Some(value),
                _ => {}
            }
        }
        Ok(delta)
    }

    /// The piece of text that it adds, unless it adds none.
    pub(super) fn piece(&self) -> Option<Value<'a>> {
        let piece = match self.kind {
            DeltaKind::Text => self.text,
            DeltaKind::InputJson => self.partial_json,
            DeltaKind::Thinking => self.thinking,
            DeltaKind::Other => None,
        };
        piece.filter(|piece| !piece.is_blank())
    }
}

impl DeltaKind {
    fn of(value: &Value<'_>) -> Self {
        match &*value.word() {
            b"text_delta" => Self::Text,
            b"input_json_delta" => Self::InputJson,
            b"thinking_delta" => Self::Thinking,
            _ => Self::Other,
        }
    }
}

/// A string that says something.
pub(super) fn telling<'a>(value: Option<Value<'a>>) -> Option<Value<'a>> {
    value.filter(|value| value.kind == Kind::String && !value.is_blank())
}

fn number(value: &Value<'_>) -> u64 {
    std::str::from_utf8(value.text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
