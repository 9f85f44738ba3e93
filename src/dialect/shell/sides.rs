//! The readers, writers and relays of all dialects, of which a stream uses one or two.

use crate::base::endpoint::Dialect;
use crate::dialect::chat::read_event::ChatReader;
use crate::dialect::chat::relay::ChatRelay;
use crate::dialect::chat::write_event::{self, ChatWriter};
use crate::dialect::event::Event;
use crate::dialect::messages::read_event::MessagesReader;
use crate::dialect::messages::relay::MessagesRelay;
use crate::dialect::messages::write_event::{self as messages, MessagesWriter};
use crate::dialect::responses::relay::ResponsesRelay;
use crate::dialect::responses::write_event::{self as responses, ResponsesWriter};
use crate::dialect::shell::books::Books;
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{BrokenEnd, Ending, Put, Reader, Relay, Said, Writer};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::wire::forms::Gap;
use crate::wire::stream_fault::StreamFault;

/// Reads what the provider says. None is asked for a response by a caller of another dialect.
#[derive(Debug, Default)]
pub(super) struct Readers {
    provider: Dialect,
    chat: ChatReader,
    messages: MessagesReader,
}

impl Reader for Readers {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.provider = plan.provider;
        match self.provider {
            Dialect::Chat | Dialect::Responses => self.chat.reset(plan),
            Dialect::Messages => self.messages.reset(plan),
        }
    }

    #[inline]
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<Said, StreamFault> {
        match self.provider {
            Dialect::Chat | Dialect::Responses => self.chat.read(data, sink),
            Dialect::Messages => self.messages.read(data, sink),
        }
    }

    fn flush(
        &mut self,
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self.provider {
            Dialect::Chat | Dialect::Responses => self.chat.flush(sink),
            Dialect::Messages => self.messages.flush(sink),
        }
    }

    fn is_whole(&self) -> bool {
        match self.provider {
            Dialect::Chat | Dialect::Responses => self.chat.is_whole(),
            Dialect::Messages => self.messages.is_whole(),
        }
    }

    fn unread(&self) -> &[Gap] {
        match self.provider {
            Dialect::Chat | Dialect::Responses => self.chat.unread(),
            Dialect::Messages => self.messages.unread(),
        }
    }
}

/// Writes what the caller is told.
#[derive(Debug, Default)]
pub(super) struct Writers {
    caller: Dialect,
    chat: ChatWriter,
    messages: MessagesWriter,
    responses: ResponsesWriter,
}

impl Writer for Writers {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.caller = plan.caller;
        match self.caller {
            Dialect::Chat => self.chat.reset(plan),
            Dialect::Messages => self.messages.reset(plan),
            Dialect::Responses => self.responses.reset(plan),
        }
    }

    #[inline]
    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put {
        match self.caller {
            Dialect::Chat => self.chat.write(event, books, out),
            Dialect::Messages => self.messages.write(event, books, out),
            Dialect::Responses => self.responses.write(event, books, out),
        }
    }

    #[inline]
    fn note_alike(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match self.caller {
            Dialect::Chat => self.chat.note_alike(text, out),
            Dialect::Messages => self.messages.note_alike(text, out),
            Dialect::Responses => self.responses.note_alike(text, out),
        }
    }

    fn waiting(&self) -> usize {
        match self.caller {
            Dialect::Chat => self.chat.waiting(),
            Dialect::Messages => self.messages.waiting(),
            Dialect::Responses => self.responses.waiting(),
        }
    }

    fn kept(&self) -> usize {
        match self.caller {
            Dialect::Chat => self.chat.kept(),
            Dialect::Messages => self.messages.kept(),
            Dialect::Responses => self.responses.kept(),
        }
    }

    fn write_error(&mut self, error: &[u8], provider: Dialect, out: &mut Vec<u8>) {
        match self.caller {
            Dialect::Chat => self.chat.write_error(error, provider, out),
            Dialect::Messages => self.messages.write_error(error, provider, out),
            Dialect::Responses => self.responses.write_error(error, provider, out),
        }
    }

    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd {
        match self.caller {
            Dialect::Chat => self.chat.break_off(reason, out),
            Dialect::Messages => self.messages.break_off(reason, out),
            Dialect::Responses => self.responses.break_off(reason, out),
        }
    }

    fn sign(&self) -> Sign {
        match self.caller {
            Dialect::Chat => self.chat.sign(),
            Dialect::Messages => self.messages.sign(),
            Dialect::Responses => self.responses.sign(),
        }
    }

    fn note_signs(&mut self, next: Sign) {
        match self.caller {
            Dialect::Chat => self.chat.note_signs(next),
            Dialect::Messages => self.messages.note_signs(next),
            Dialect::Responses => self.responses.note_signs(next),
        }
    }
}

/// Passes on what the provider says to a caller who speaks alike.
#[derive(Debug, Default)]
pub(super) struct Relays {
    dialect: Dialect,
    chat: ChatRelay,
    messages: MessagesRelay,
    responses: ResponsesRelay,
}

impl Relays {
    /// The id of the response that is relayed.
    pub(super) fn response_id(&self) -> Option<&[u8]> {
        self.responses.response_id()
    }
}

impl Relay for Relays {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.dialect = plan.caller;
        match self.dialect {
            Dialect::Chat => self.chat.reset(plan),
            Dialect::Messages => self.messages.reset(plan),
            Dialect::Responses => self.responses.reset(plan),
        }
    }

    #[inline]
    fn relay(
        &mut self,
        arrived: &Arrived<'_>,
        flow: &mut Flow,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        match self.dialect {
            Dialect::Chat => self.chat.relay(arrived, flow, out),
            Dialect::Messages => self.messages.relay(arrived, flow, out),
            Dialect::Responses => self.responses.relay(arrived, flow, out),
        }
    }

    fn note_alike(&mut self, digits: &[u8]) {
        match self.dialect {
            Dialect::Chat => self.chat.note_alike(digits),
            Dialect::Messages => self.messages.note_alike(digits),
            Dialect::Responses => self.responses.note_alike(digits),
        }
    }

    fn write_end(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match self.dialect {
            Dialect::Chat => self.chat.write_end(ending, out),
            Dialect::Messages => self.messages.write_end(ending, out),
            Dialect::Responses => self.responses.write_end(ending, out),
        }
    }

    fn is_finished(&self) -> bool {
        match self.dialect {
            Dialect::Chat => self.chat.is_finished(),
            Dialect::Messages => self.messages.is_finished(),
            Dialect::Responses => self.responses.is_finished(),
        }
    }

    fn is_usage_final(&self) -> bool {
        match self.dialect {
            Dialect::Chat => self.chat.is_usage_final(),
            Dialect::Messages => self.messages.is_usage_final(),
            Dialect::Responses => self.responses.is_usage_final(),
        }
    }

    fn is_whole(&self) -> bool {
        match self.dialect {
            Dialect::Chat => self.chat.is_whole(),
            Dialect::Messages => self.messages.is_whole(),
            Dialect::Responses => self.responses.is_whole(),
        }
    }

    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd {
        match self.dialect {
            Dialect::Chat => self.chat.break_off(reason, out),
            Dialect::Messages => self.messages.break_off(reason, out),
            Dialect::Responses => self.responses.break_off(reason, out),
        }
    }

    fn sign(&self) -> Sign {
        match self.dialect {
            Dialect::Chat => self.chat.sign(),
            Dialect::Messages => self.messages.sign(),
            Dialect::Responses => self.responses.sign(),
        }
    }
}

/// What is sent to a caller of this dialect while it waits for the first content.
#[must_use]
pub const fn early_sign(caller: Dialect) -> &'static [u8] {
    match caller {
        Dialect::Chat => write_event::HEARTBEAT,
        Dialect::Messages => messages::HEARTBEAT,
        Dialect::Responses => responses::EARLY_SIGN,
    }
}
