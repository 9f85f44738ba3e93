//! Writes a stream of Responses (section 5 of reference/responses-inbound.md).

use crate::base::endpoint::Dialect;
use crate::dialect::event::Event;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::part::{Put, Writer};
use crate::dialect::shell::plan::StreamPlan;

/// What is written while nothing happens and nothing has been told yet.
pub const HEARTBEAT: &[u8] = b":\n\n";

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
}
