//! Writes a stream of Responses (section 5 of reference/responses-inbound.md).

use crate::base::endpoint::Dialect;
use crate::dialect::event::Event;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::part::{BrokenEnd, Put, Writer};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;

/// What is written while nothing has been told yet: official readers insist on
/// `response.created` as the first event.
pub const EARLY_SIGN: &[u8] = b": ping\n\n";

/// Writes one stream. Kept and [reset](Writer::reset) for the next.
#[derive(Debug, Default)]
pub struct ResponsesWriter {
    caller_model: Vec<u8>,
}

impl Writer for ResponsesWriter {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.caller_model.clear();
        self.caller_model.extend_from_slice(plan.caller_model);
    }

    fn write(&mut self, _event: &Event<'_>, _books: &Books, _out: &mut Vec<u8>) -> Put {
        Put::Aside
    }

    fn note_alike(&mut self, _text: &[u8]) {}

    fn waiting(&self) -> usize {
        0
    }

    fn write_error(&mut self, _error: &[u8], _provider: Dialect, _out: &mut Vec<u8>) {}

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Numbered { number: 0, step: 1 }
    }

    fn note_signs(&mut self, _: Sign) {}
}
