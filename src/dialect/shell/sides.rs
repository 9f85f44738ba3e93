//! The readers, writers and relays of all dialects, of which a stream uses one or two.

use crate::base::endpoint::Dialect;
use crate::dialect::chat::relay::ChatRelay;
use crate::dialect::chat::write_event::{self, ChatWriter};
use crate::dialect::event::Event;
use crate::dialect::messages::read_event::MessagesReader;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{Put, Reader, Relay, Said, Writer};
use crate::dialect::shell::plan::StreamPlan;
use crate::wire::forms::Gap;
use crate::wire::stream_fault::StreamFault;

/// Reads what the provider says.
#[derive(Debug, Default)]
pub(super) struct Readers {
    messages: MessagesReader,
}

impl Reader for Readers {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.messages.reset(plan);
    }

    #[inline]
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<Said, StreamFault> {
        self.messages.read(data, sink)
    }

    fn flush(
        &mut self,
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        self.messages.flush(sink)
    }

    fn is_whole(&self) -> bool {
        self.messages.is_whole()
    }

    fn unread(&self) -> &[Gap] {
        self.messages.unread()
    }
}

/// Writes what the caller is told.
#[derive(Debug, Default)]
pub(super) struct Writers {
    chat: ChatWriter,
}

impl Writer for Writers {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.chat.reset(plan);
    }

    #[inline]
    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put {
        self.chat.write(event, books, out)
    }

    fn write_error(&mut self, error: &[u8], provider: Dialect, out: &mut Vec<u8>) {
        self.chat.write_error(error, provider, out);
    }
}

/// Passes on what the provider says to a caller who speaks alike.
#[derive(Debug, Default)]
pub(super) struct Relays {
    chat: ChatRelay,
}

impl Relay for Relays {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.chat.reset(plan);
    }

    #[inline]
    fn relay(
        &mut self,
        arrived: &Arrived<'_>,
        flow: &mut Flow,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        self.chat.relay(arrived, flow, out)
    }

    fn write_end(&mut self, out: &mut Vec<u8>) {
        self.chat.write_end(out);
    }

    fn is_finished(&self) -> bool {
        self.chat.is_finished()
    }

    fn is_usage_final(&self) -> bool {
        self.chat.is_usage_final()
    }

    fn is_whole(&self) -> bool {
        self.chat.is_whole()
    }
}

/// What is sent to a caller of this dialect while nothing happens: its own idle timeout must not
/// fire.
#[must_use]
pub const fn heartbeat(caller: Dialect) -> &'static [u8] {
    match caller {
        Dialect::Chat => write_event::HEARTBEAT,
        Dialect::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
    }
}
