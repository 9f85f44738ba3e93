//! A Messages event stream in, a chat completion's stream out.
//!
//! It has the doors of the relay of a stream in the caller's own dialect. What a model wrote is
//! copied from JSON string to JSON string as it stands; everything else of a chunk is prebuilt.
//! Nothing has to be held back: before the first content there is nothing but the role to tell.

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
mod verbatim;

/// Translates one stream. Kept and [reset](Self::reset) for the next, it allocates nothing.
///
/// A fault ends the stream: what is pushed after it, or after `[DONE]`, is ignored.
#[derive(Debug, Default)]
pub struct StreamTranslator {
    splitter: Splitter,
    stream: Stream,
    /// Whether the bytes pushed last brought any of an event.
    has_moved: bool,
}

impl StreamTranslator {
    /// Begins a stream and forgets the one before.
    pub fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.splitter.reset(plan.event_bytes_max);
        self.stream.reset(plan);
        self.check();
    }

    /// Takes bytes of the provider's body, their transfer coding removed, and appends the caller's
    /// to `out`: nothing before the stream is committed, whole events from then on.
    ///
    /// # Errors
    /// The stream is over. Unless it was committed, another provider may be tried; if it was, the
    /// caller is owed an error frame, but for [`StreamFault::ErrorRelayed`].
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
        // What looks alike does not go through the splitter.
        if has_split {
            self.has_moved |= self.splitter.is_within_event();
            self.splitter.shrink();
        }
        // The caller's own idle timeout must not fire while the provider is at work on something
        // that the caller does not see, such as a signature or a search.
        if is_alive && out.len() == before && self.is_committed() && !self.stream.is_over() {
            out.extend_from_slice(b": ping\n\n");
        }
        self.check();
        Ok(())
    }

    /// The provider's body has ended as HTTP says it should. Appends the end that some servers
    /// leave out after the stop reason.
    ///
    /// # Errors
    /// The answer is not complete, or the last event, which lacked its blank line, brought a fault.
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

    /// Whether the bytes pushed last brought any of an event: comments and pings do not count.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// How much of an unfinished event is kept, in bytes.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.splitter.kept()
    }

    /// Whether the caller has been given anything, so that no other provider can take over.
    #[must_use]
    pub const fn is_committed(&self) -> bool {
        self.stream.is_committed
    }

    /// Whether the caller has been given its `[DONE]`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.stream.is_done
    }

    /// Whether the content may be complete, since no block is open, and what it has used is still
    /// to be told.
    #[must_use]
    pub const fn awaits_usage(&self) -> bool {
        let stream = &self.stream;
        let is_content_whole = stream.is_committed && stream.blocks.is_none_open();
        is_content_whole && !stream.is_usage_final() && !stream.is_over()
    }

    /// What was used; `None`: the provider has not told, estimate it. Output is told at the end: of
    /// a stream that lacks one, or does not tell, at least what was seen counts.
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

    /// The event that the provider sent as its error, as it came: a JSON object of its dialect.
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

    /// Whether the output was told at the end.
    const fn is_usage_final(&self) -> bool {
        self.has_finish_reason && self.is_output_told
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
