//! A Messages event stream in, a chat completion's stream out.
//!
//! The translator has the same functions as the relay of a stream in the caller's own dialect. Text
//! of the model is copied from JSON string to JSON string unchanged; all other parts of a chunk are
//! prebuilt. Nothing must be held back: before the first content, only the role is to be sent.

use crate::base::tokens::Tokens;
use crate::wire::json;
use crate::wire::sse::{Item, Splitter};
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::Usage;
use machine::{DONE, Said, Stream};

pub use plan::{IncludeUsage, StreamPlan};

mod blocks;
mod chunks;
mod event;
mod machine;
mod plan;

/// Translates one stream. Kept and [reset](Self::reset) for the next, it allocates nothing.
///
/// A fault ends the stream: what is pushed after it, or after `[DONE]`, is ignored.
#[derive(Debug, Default)]
pub struct StreamTranslator {
    splitter: Splitter,
    stream: Stream,
    /// Whether the last pushed bytes were part of an event.
    has_moved: bool,
}

impl StreamTranslator {
    /// Begins a stream and forgets the former one.
    pub fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.splitter.reset(plan.event_bytes_max);
        self.stream.reset(plan);
        self.check();
    }

    /// Takes bytes of the provider's body, without their transfer coding, and appends the caller's
    /// bytes to `out`: nothing before the stream is committed, whole events from then on.
    ///
    /// # Errors
    /// The stream is over. Before the commit, another provider may be tried; after it, the caller
    /// must be sent an error frame, except for `StreamFault::ErrorRelayed`.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let before = out.len();
        let (mut is_alive, mut has_split) = (false, false);
        self.has_moved = false;
        while !self.stream.is_over() {
            let is_between_events = self.splitter.is_between_events();
            if is_between_events {
                let all = bytes.len();
                bytes = self.stream.translate_alike(bytes, out);
                self.has_moved |= bytes.len() < all;
                if bytes.is_empty() {
                    break;
                }
            }
            has_split = true;
            let first = bytes;
            match self.splitter.next(&mut bytes) {
                Ok(Some(Item::Data(data))) => {
                    let event = first.split_at(first.len() - bytes.len()).0;
                    let whole = is_between_events.then_some(event);
                    self.has_moved |= self.stream.on_data(data, whole, out)? == Said::Something;
                }
                Ok(Some(Item::Comment)) => {}
                Ok(None) => break,
                Err(fault) => return Err(self.stream.fail(fault.into())),
            }
            is_alive = true;
        }
        // Events that fit a form do not go through the splitter.
        if has_split {
            self.has_moved |= self.splitter.is_within_event();
            self.splitter.shrink();
        }
        // The caller's own idle timeout must not fire while the provider works on something that
        // the caller does not see, such as a signature or a search.
        if is_alive && out.len() == before && self.is_committed() && !self.stream.is_over() {
            out.extend_from_slice(b": ping\n\n");
        }
        self.check();
        Ok(())
    }

    /// The provider's body has ended properly. Appends the end of the stream that some servers
    /// leave out after the stop reason.
    ///
    /// # Errors
    /// The answer is not complete, or the last event, which lacked its blank line, has a fault.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.stream.is_over()
            && let Some(data) = self.splitter.finish()
            && (data.starts_with(DONE) || json::members(data).all(|member| member.is_ok()))
        {
            self.stream.on_data(data, None, out)?;
        }
        let ended = self.stream.finish(out);
        self.check();
        ended
    }

    /// Whether the last pushed bytes were part of an event: comments and pings do not count.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// How much of an unfinished event is kept, in bytes.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.splitter.kept()
    }

    /// Whether the caller has been sent anything, so that no other provider can take over.
    #[must_use]
    pub const fn is_committed(&self) -> bool {
        self.stream.is_committed
    }

    /// Whether the caller has been sent `[DONE]`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.stream.is_done
    }

    /// Whether all content may have arrived (no block is open) while the usage has not.
    #[must_use]
    pub const fn awaits_usage(&self) -> bool {
        let stream = &self.stream;
        let is_content_whole = stream.is_committed && stream.blocks.is_none_open();
        is_content_whole && !stream.is_usage_final() && !stream.is_over()
    }

    /// The usage; `None`: the provider has not stated it, and it must be estimated. The output is
    /// stated at the end: without that, at least the text that was seen counts.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.stream.usage()
    }

    /// Length of the text that was translated, for an estimate.
    #[must_use]
    pub const fn text_bytes(&self) -> usize {
        self.stream.text_bytes
    }

    /// The model's name as the provider gives it: the inside of a JSON string, empty when unknown.
    #[must_use]
    pub fn upstream_model(&self) -> &[u8] {
        &self.stream.upstream_model
    }

    /// The error event that the provider sent, as it came: a JSON object of its dialect.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        match self.stream.fault {
            Some(StreamFault::Error | StreamFault::ErrorRelayed) => Some(&self.stream.error),
            None
            | Some(
                StreamFault::Malformed
                | StreamFault::EventTooLong
                | StreamFault::HeldBackTooLong
                | StreamFault::NoContent
                | StreamFault::Cut,
            ) => None,
        }
    }

    fn check(&self) {
        let stream = &self.stream;
        debug_assert!(!stream.is_done || (stream.is_committed && stream.fault.is_none()));
        debug_assert!(!stream.has_finish_reason || stream.is_committed);
    }
}

impl Stream {
    /// See [`StreamTranslator::usage`].
    fn usage(&self) -> Option<Usage> {
        let seen = if self.is_usage_final() {
            Tokens::ZERO
        } else {
            Tokens::estimated(self.text_bytes)
        };
        self.counters.usage(seen)
    }

    /// Whether the output was stated at the end.
    const fn is_usage_final(&self) -> bool {
        self.has_finish_reason && self.is_output_told
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
