//! A block of content that has begun and not ended.

use super::frames::Delta;
use crate::dialect::arguments::Arguments;
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::queue;
use crate::wire::json;
use crate::wire::json::check::is_json;

#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The block as its start has it, where that is not always the same.
    start: Vec<u8>,
    /// What has come of it and was not sent: the inside of a JSON string.
    pub(super) waiting: Vec<u8>,
    /// How far the arguments of a call have come.
    pub(super) arguments: Arguments,
    /// Whether its provider has said that nothing follows.
    pub(super) has_ended: bool,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    /// The call with this number.
    Tool(u32),
}

impl Kind {
    /// How it grows.
    pub(super) const fn delta(self) -> Delta {
        match self {
            Self::Text => Delta::Text,
            Self::Thinking => Delta::Thinking,
            Self::Tool(_) => Delta::Arguments,
        }
    }
}

impl Block {
    pub(super) fn new(kind: Kind, start: Vec<u8>) -> Self {
        Self {
            kind,
            start,
            waiting: Vec::new(),
            arguments: Arguments::default(),
            has_ended: false,
        }
    }

    /// The block as its start has it: without what comes in deltas.
    pub(super) fn start(&self) -> &[u8] {
        match self.kind {
            Kind::Text => br#"{"type":"text","text":""}"#,
            Kind::Thinking => br#"{"type":"thinking","thinking":"","signature":""}"#,
            Kind::Tool(_) => &self.start,
        }
    }
}

impl queue::Block for Block {
    fn room(&self) -> usize {
        size_of::<Self>() + self.start.len() + self.waiting.len()
    }

    fn is_finished(&self) -> bool {
        match self.kind {
            Kind::Text | Kind::Thinking => true,
            Kind::Tool(_) => self.has_ended || self.arguments.are_whole(),
        }
    }

    fn call(&self) -> Option<u32> {
        match self.kind {
            Kind::Text | Kind::Thinking => None,
            Kind::Tool(call) => Some(call),
        }
    }
}

/// Arguments that are no object as the member of one (rule MA2); both are the inside of a JSON
/// string.
pub(super) fn as_object(arguments: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", arguments, b"\""].concat();
    let text = json::word(&quoted);
    let mut object = Vec::new();
    let mut composer = Composer::object(&mut object);
    let value = if is_json(&text) { &text[..] } else { &quoted };
    compact(value, composer.member("arguments"));
    composer.end();
    between_quotes(&json::quoted(&String::from_utf8_lossy(&object))).to_vec()
}
