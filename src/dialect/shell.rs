//! The one machine of a stream: provider's bytes in, caller's bytes out, in whatever dialects.
//!
//! Where both sides speak the same, a [relay](part::Relay) passes each event on; else a
//! [reader](part::Reader) tells what happens in it, and a [writer](part::Writer) says so in the
//! caller's words. All else is here: where an event ends, what is held back before the first
//! content, what has been used, how the stream ends, and the [forms](crate::wire::forms) of events
//! that need not be read.

pub mod books;
pub mod flow;
pub mod part;
pub mod plan;
mod sides;
pub mod sign;
mod translation;

use std::cell::Cell;

use crate::base::endpoint::Dialect;
use crate::base::limits::REPEATED_BYTES_MAX;
use crate::dialect::chat::write_event::DONE;
use crate::dialect::verbatim;
use crate::wire::json;
use crate::wire::sse::{Event, Item, Splitter};
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::Usage;

use flow::{Arrived, Flow};
use part::{BrokenEnd, Ending, Reader, Relay, Said, Writer};
use plan::StreamPlan;
use sides::{Readers, Relays, Writers};
use sign::Sign;
use translation::{Teller, Translation};

pub use sides::early_sign;

/// The machine of one stream. Kept and [reset](Self::reset) for the next, it allocates nothing.
///
/// A fault ends the stream: what is pushed after it, or after the end, is ignored.
#[derive(Debug, Default)]
pub struct Shell {
    splitter: Splitter,
    course: Course,
    /// Whether the last pushed bytes were part of an event.
    has_moved: bool,
}

impl Shell {
    /// Begins a stream and forgets the former one.
    pub fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.splitter.reset(plan.event_bytes_max);
        self.course.reset(plan);
        self.course.flow.check();
    }

    /// What is pushed from here on came with another read.
    pub const fn begin_read(&mut self) {
        self.has_moved = false;
        self.course.flow.has_unseen = false;
    }

    /// Takes bytes of the provider's body, without their transfer coding, and appends the caller's
    /// bytes to `out`: nothing before the stream is committed, whole events from then on.
    ///
    /// # Errors
    /// The stream is over. Before the commit, another provider may be tried; after it, the caller
    /// must be sent an error frame, except for `StreamFault::ErrorRelayed`.
    #[inline]
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let rest = self.pass_alike(bytes, out);
        if rest.is_empty() && !bytes.is_empty() {
            return self.check_kept();
        }
        self.push_unlike(rest, bytes.len() - rest.len(), out)
    }

    /// Takes the bytes behind `passed` ones that fitted a form.
    fn push_unlike(
        &mut self,
        mut bytes: &[u8],
        passed: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let before = out.len();
        let (mut is_alive, mut has_split) = (false, false);
        while !self.course.flow.is_over() {
            has_split = true;
            let is_between_events = self.splitter.is_between_events();
            let first = bytes;
            match self.splitter.next(&mut bytes) {
                Ok(Some(Item::Event(Event { data, name }))) => {
                    let event = first.split_at(first.len() - bytes.len()).0;
                    let event = is_between_events.then_some(event);
                    let arrived = Arrived { data, name, event };
                    let said = self.course.on_data(&arrived, out)?;
                    self.has_moved |= said != Said::Nothing;
                    is_alive |= said == Said::Nothing || self.course.is_translated();
                }
                Ok(Some(Item::Comment)) => is_alive = true,
                Ok(None) => break,
                Err(fault) => return Err(self.course.flow.fail(fault.into())),
            }
            bytes = self.pass_alike(bytes, out);
            if bytes.is_empty() {
                break;
            }
        }
        // Events that fit a form do not go through the splitter.
        if has_split {
            self.has_moved |= self.splitter.is_within_event();
            self.splitter.shrink();
        }
        self.check_kept()?;
        // The caller's own idle timeout must not fire while the provider works on something that
        // the caller does not see. There is one sign per read, so that a provider cannot inflate
        // the caller's side.
        let has_written = passed > 0 || out.len() > before;
        if is_alive && !has_written && self.is_committed() && !self.course.flow.is_over() {
            self.course.write_sign(out);
        }
        self.course.flow.check();
        Ok(())
    }

    /// Writes the events at the front of `bytes` that fit a form, where an event begins; returns
    /// the bytes behind them.
    #[inline]
    fn pass_alike<'i>(&mut self, bytes: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        if !self.splitter.is_between_events() || self.course.flow.is_over() {
            return bytes;
        }
        let rest = self.course.pass_alike(bytes, out);
        self.has_moved |= rest.len() < bytes.len();
        rest
    }

    /// Checks how much is kept of an answer that waits to be written or will be repeated.
    #[inline]
    fn check_kept(&mut self) -> Result<(), StreamFault> {
        if self.course.kept() > REPEATED_BYTES_MAX {
            return Err(self.course.flow.fail(StreamFault::EventTooLong));
        }
        Ok(())
    }

    /// The provider's body has ended properly. Appends the end of the stream that some providers
    /// leave out after the reason why the model stops.
    ///
    /// # Errors
    /// The answer is not complete, or the last event, which lacked its blank line, has a fault.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.course.flow.is_over()
            && let Some(Event { data, name }) = self.splitter.finish()
            && (data.starts_with(DONE) || json::members(data).all(|member| member.is_ok()))
        {
            let arrived = Arrived {
                data,
                name,
                event: None,
            };
            self.course.on_data(&arrived, out)?;
        }
        let ended = self.course.finish(out);
        self.course.flow.check();
        ended
    }

    /// The stream has been committed and cannot be completed, for the reason that infermux itself
    /// gives: appends the event that says so, where the caller's dialect has one.
    #[must_use]
    pub fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd {
        debug_assert!(self.is_committed() && !self.is_done());
        let course = &mut self.course;
        if !course.flow.is_over() {
            course.flow.fail(StreamFault::Cut);
        }
        if course.is_translated() {
            course.writers.break_off(reason, out)
        } else {
            course.relays.break_off(reason, out)
        }
    }

    /// Whether the body ends properly even where the stream cannot be completed: the event that
    /// says so cannot be taken for success.
    #[must_use]
    pub fn ends_broken_bodies(&self) -> bool {
        match self.course.caller {
            Dialect::Chat | Dialect::Messages => false,
            Dialect::Responses => true,
        }
    }

    /// What the caller is sent while it has had content and nothing follows.
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.course.sign()
    }

    /// The caller was sent signs of life: `next` would be the next one.
    pub fn note_signs(&mut self, next: Sign) {
        if self.course.is_translated() {
            self.course.writers.note_signs(next);
        }
    }

    /// Whether the last pushed bytes were part of an event: comments, pings and other empty events
    /// do not count.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// Whether the last read shows that the model is at work on what its caller does not see,
    /// before any content: thoughts that nobody has asked for.
    #[must_use]
    pub const fn works_unseen(&self) -> bool {
        self.course.flow.has_unseen
    }

    /// How much is kept of an unfinished event, and of an answer that waits to be written or will
    /// be repeated, in bytes.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.splitter.kept() + self.course.kept()
    }

    /// Whether the caller has been sent anything, so that no other provider can take over.
    #[must_use]
    pub const fn is_committed(&self) -> bool {
        self.course.flow.is_committed
    }

    /// Whether the caller has been sent the end of the stream.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.course.flow.is_done
    }

    /// Whether all content may have arrived while the usage has not.
    #[must_use]
    pub fn awaits_usage(&self) -> bool {
        let course = &self.course;
        course.is_whole() && !course.is_usage_final() && !course.flow.is_over()
    }

    /// Whether silence ends the answer as `[DONE]` would (rule MS4 of
    /// reference/messages-inbound.md): some servers of chat completions leave that out, and their
    /// connection open. A stream of Responses may lack the end of its body.
    #[must_use]
    pub fn may_end_in_silence(&self) -> bool {
        let course = &self.course;
        let is_left_out = course.is_translated() && course.provider == Dialect::Chat;
        let has_stopped = is_left_out && course.flow.has_stopped && !course.flow.is_over();
        has_stopped || self.awaits_end()
    }

    /// The usage; `None`: the provider has not stated it, and it must be estimated.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.course.flow.books.usage()
    }

    /// Length of the text that was passed on or held back, for an estimate.
    #[must_use]
    pub const fn text_bytes(&self) -> usize {
        self.course.flow.books.text_bytes
    }

    /// The model's name as the provider gives it: the inside of a JSON string, empty when unknown.
    #[must_use]
    pub fn upstream_model(&self) -> &[u8] {
        self.course.flow.upstream_model()
    }

    /// Whether the caller has had all of the answer, and nothing but the end of the provider's body
    /// is missing.
    #[must_use]
    pub fn awaits_end(&self) -> bool {
        let course = &self.course;
        let is_relayed = course.provider == Dialect::Responses && !course.is_translated();
        is_relayed && course.relays.is_finished() && !course.flow.is_over()
    }

    /// Whether the provider has sent an error, after which it may go on.
    #[must_use]
    pub const fn has_error(&self) -> bool {
        self.course.flow.has_error()
    }

    /// The id of the response that a provider with Responses has begun.
    #[must_use]
    pub fn response_id(&self) -> Option<&[u8]> {
        let is_native = !self.course.is_translated() && self.course.caller == Dialect::Responses;
        self.course.relays.response_id().filter(|_| is_native)
    }

    /// Has the id of the answer kept, from here on.
    pub const fn want_id(&mut self) {
        self.course.flow.want_id();
    }

    /// The provider's id of the answer, where it is kept, and has come.
    #[must_use]
    pub fn answer_id(&self) -> Option<&[u8]> {
        self.response_id().or_else(|| self.course.flow.answer_id())
    }

    /// The events with which the stream has ended before any content, as a caller is told of them
    /// where nobody else answers; empty where it ended otherwise.
    #[must_use]
    pub fn last_words(&self) -> &[u8] {
        let is_native = !self.course.is_translated() && self.course.caller == Dialect::Responses;
        let is_told = is_native && self.error().is_some();
        if is_told {
            self.course.flow.held()
        } else {
            &[]
        }
    }

    /// The error event that the provider sent, a JSON object in its dialect.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        self.course.flow.error()
    }
}

/// The machine without the splitting into events.
#[derive(Debug, Default)]
struct Course {
    provider: Dialect,
    caller: Dialect,
    flow: Flow,
    relays: Relays,
    readers: Readers,
    writers: Writers,
}

impl Course {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        (self.provider, self.caller) = (plan.provider, plan.caller);
        self.flow.reset(plan);
        if self.is_translated() {
            self.readers.reset(plan);
            self.writers.reset(plan);
        } else {
            self.relays.reset(plan);
        }
    }

    /// Whether the sides speak different dialects. The provider may then say what the caller is not
    /// told.
    fn is_translated(&self) -> bool {
        self.provider != self.caller
    }

    fn translation<'t>(&'t mut self, out: &'t mut Vec<u8>) -> Translation<'t, Readers, Writers> {
        Translation {
            reader: &mut self.readers,
            teller: Teller {
                writer: &mut self.writers,
                provider: self.provider,
                flow: &mut self.flow,
                out,
            },
        }
    }

    fn sign(&self) -> Sign {
        if self.is_translated() {
            self.writers.sign()
        } else {
            self.relays.sign()
        }
    }

    fn write_sign(&mut self, out: &mut Vec<u8>) {
        let mut sign = self.sign();
        sign.write(out);
        if self.is_translated() {
            self.writers.note_signs(sign);
        }
    }

    /// Writes the events at the front of `bytes` that fit a form; returns the bytes behind them.
    #[inline]
    fn pass_alike<'i>(&mut self, bytes: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        if self.is_translated() {
            let last = Cell::new(&[][..]);
            let accept = |text: &'i [u8]| {
                last.set(text);
                verbatim::is_inside(text)
            };
            let note = |_: &[u8], out: &mut Vec<u8>| self.writers.note_alike(last.get(), out);
            self.flow.pass_alike(bytes, accept, note, out)
        } else {
            let mut last = &[][..];
            let note = |digits, _: &mut Vec<u8>| last = digits;
            let rest = self.flow.pass_alike(bytes, |_| true, note, out);
            if !last.is_empty() {
                self.relays.note_alike(last);
            }
            rest
        }
    }

    /// Takes in an event.
    fn on_data(&mut self, arrived: &Arrived<'_>, out: &mut Vec<u8>) -> Result<Said, StreamFault> {
        let said = self.try_data(arrived, out);
        said.map_err(|fault| self.flow.fail(fault))
    }

    fn try_data(&mut self, arrived: &Arrived<'_>, out: &mut Vec<u8>) -> Result<Said, StreamFault> {
        if arrived.data.starts_with(DONE) {
            return self.end(Ending::Said, out).map(|()| Said::Something);
        }
        // To a browser, an event without data is none; to OpenAI's reader it is a syntax error.
        if arrived.data.trim_ascii().is_empty() {
            return Ok(Said::Nothing);
        }
        if self.is_translated() {
            self.translation(out).take(arrived)
        } else {
            self.relays.relay(arrived, &mut self.flow, out)
        }
    }

    /// The answer is complete.
    fn end(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.is_translated() {
            return self.translation(out).end();
        }
        if !self.flow.is_committed {
            return Err(StreamFault::NoContent);
        }
        self.relays.write_end(ending, out)?;
        self.flow.done();
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let Some(fault) = self.flow.fault {
            return Err(fault);
        }
        if self.flow.is_done {
            return Ok(());
        }
        let is_finished = if self.is_translated() {
            self.flow.has_stopped
        } else {
            self.relays.is_finished()
        };
        let ended = if is_finished {
            self.end(Ending::Left, out)
        } else {
            Err(StreamFault::Cut)
        };
        ended.map_err(|fault| self.flow.fail(fault))
    }

    fn kept(&self) -> usize {
        if self.is_translated() {
            self.writers.kept()
        } else {
            0
        }
    }

    fn is_whole(&self) -> bool {
        if self.is_translated() {
            self.flow.is_committed && self.readers.is_whole()
        } else {
            self.relays.is_whole()
        }
    }

    fn is_usage_final(&self) -> bool {
        if self.is_translated() {
            self.flow.has_stopped && self.flow.books.is_total
        } else {
            self.relays.is_usage_final()
        }
    }
}

#[cfg(test)]
#[path = "shell/driven_tests.rs"]
mod driven;

#[cfg(test)]
#[path = "shell/chat_to_messages_tests.rs"]
mod chat_to_messages_tests;

#[cfg(test)]
#[path = "shell/messages_tests.rs"]
mod messages_tests;

#[cfg(test)]
#[path = "shell/responses_tests.rs"]
mod responses_tests;

#[cfg(test)]
#[path = "shell/chat_tests.rs"]
mod chat_tests;

#[cfg(test)]
#[path = "shell/to_responses_tests.rs"]
pub(in crate::dialect) mod to_responses_tests;

#[cfg(test)]
#[path = "shell/messages_to_chat_tests.rs"]
mod messages_to_chat_tests;
