//! One event of a Messages stream, read in one pass.

use crate::wire::json::{Bracket, Kind, NotJson, Value, Walk};

/// The members that matter, of any kind of event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) kind: ToldKind,
    /// The content block that it is about; zero where a server leaves the number out.
    pub(super) index: u64,
    pub(super) delta: Delta<'a>,
    pub(super) block: Option<Value<'a>>,
    pub(super) message: Option<Value<'a>>,
    pub(super) usage: Option<Value<'a>>,
}

/// The event's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ToldKind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
    Ping,
    /// Kinds that Anthropic may add.
    Other,
    #[default]
    Unnamed,
}

/// A change of a content block or of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delta<'a> {
    pub(super) kind: DeltaKind,
    /// The string that this kind of delta has.
    text: Option<Value<'a>>,
    partial_json: Option<Value<'a>>,
    thinking: Option<Value<'a>>,
    pub(super) stop_reason: Option<Value<'a>>,
    pub(super) stop_sequence: Option<Value<'a>>,
    pub(super) stop_details: Option<Value<'a>>,
    signature: Option<Value<'a>>,
}

/// The `type` of a content block's delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DeltaKind {
    Text,
    InputJson,
    Thinking,
    Signature,
    /// Citations, and kinds that Anthropic may add.
    #[default]
    Other,
}

impl<'a> Told<'a> {
    /// Reads the event in `data` into `self`.
    pub(super) fn read(&mut self, data: &'a [u8]) -> Result<(), NotJson> {
        let (mut has_error, mut room) = (false, Vec::new());
        let mut walk = Walk::new(data);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            let known = name.read(&mut room);
            if known == b"delta" {
                self.delta.read(&mut walk)?;
                continue;
            }
            let value = walk.value()?;
            match known {
                b"type" => self.kind = value.known(ToldKind::of).unwrap_or(ToldKind::Other),
                b"index" => self.index = number(&value),
                b"content_block" => self.block = Some(value),
                b"message" => self.message = Some(value),
                b"usage" => self.usage = Some(value),
                b"error" => has_error = !value.is_blank(),
                _ => {}
            }
        }
        // The form of an error that a proxy in between sends.
        if self.kind == ToldKind::Unnamed && has_error {
            self.kind = ToldKind::Error;
        }
        walk.end()
    }
}

impl ToldKind {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_start" => Self::BlockStart,
            b"content_block_stop" => Self::BlockStop,
            b"message_start" => Self::MessageStart,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"error" => Self::Error,
            b"ping" => Self::Ping,
            _ => return None,
        })
    }
}

impl<'a> Delta<'a> {
    /// Reads the next delta of `walk` into `self`.
    fn read(&mut self, walk: &mut Walk<'a>) -> Result<(), NotJson> {
        *self = Self::default();
        if !walk.enter(Bracket::Object)? {
            return Ok(());
        }
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match name.read(&mut room) {
                b"type" => self.kind = value.known(DeltaKind::of).unwrap_or_default(),
                b"text" => self.text = Some(value),
                b"partial_json" => self.partial_json = Some(value),
                b"thinking" => self.thinking = Some(value),
                b"stop_reason" => self.stop_reason = Some(value),
                b"stop_sequence" => self.stop_sequence = Some(value),
                b"signature" => self.signature = Some(value),
                b"stop_details" => self.stop_details = Some(value),
                _ => {}
            }
        }
        Ok(())
    }

    /// The text that the delta adds; `None` where it adds none.
    pub(super) fn piece(&self) -> Option<Value<'a>> {
        let piece = match self.kind {
            DeltaKind::Text => self.text,
            DeltaKind::InputJson => self.partial_json,
            DeltaKind::Thinking => self.thinking,
            DeltaKind::Signature => self.signature,
            DeltaKind::Other => None,
        };
        piece.filter(|piece| !piece.is_blank())
    }
}

impl DeltaKind {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"text_delta" => Some(Self::Text),
            b"input_json_delta" => Some(Self::InputJson),
            b"thinking_delta" => Some(Self::Thinking),
            b"signature_delta" => Some(Self::Signature),
            _ => None,
        }
    }
}

/// The string, if it is one and not empty.
pub(super) fn telling<'a>(value: Option<Value<'a>>) -> Option<Value<'a>> {
    value.filter(|value| value.kind == Kind::String && !value.is_blank())
}

fn number(value: &Value<'_>) -> u64 {
    if let [digit @ b'0'..=b'9'] = value.text {
        return u64::from(digit - b'0');
    }
    std::str::from_utf8(value.text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
