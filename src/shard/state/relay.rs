//! The machine of a stream with the bytes for its caller, kept for the next stream.

use std::ops::Range;

use crate::base::endpoint::Dialect;
use crate::base::limits::{READ_BYTES, STREAM_READ_BYTES};
use crate::decide::outcome::{KeyOwner, Outcome, Topic};
use crate::dialect::chat::provider_error::{Circumstances, error_in_openai_shape};
use crate::dialect::errors;
use crate::dialect::messages::read_error;
use crate::dialect::responses::blame::Blame;
use crate::dialect::shell::Shell;
use crate::dialect::shell::part::BrokenEnd;
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::net::buffers::Buffers;
use crate::wire::chunked::{fill_chunk_head, write_chunk_head};
use crate::wire::stream_fault::StreamFault;

/// The machine of a stream, which the next stream can use again.
#[derive(Default)]
pub struct Spare {
    shell: Shell,
    provider: Dialect,
    caller: Dialect,
    /// Bytes for the caller, behind room for the head of their chunk.
    payload: Vec<u8>,
}

/// Room for the head of a chunk whose size has five digits, leading zeros included (RFC 9112,
/// section 7.1).
const HEAD_ROOM: usize = 7;
/// Reads from this size on become chunks in place; smaller ones are copied, which is faster.
const IN_PLACE: usize = 4 << 10;
/// Reads from this size on find their room taken; what is smaller lets the room grow once.
const TAKEN_FOR: usize = 1 << 10;
/// The sizes of payloads that become chunks in place.
const IN_PLACE_SIZES: Range<usize> = IN_PLACE..1 << 20;

impl Spare {
    /// The stream.
    #[must_use]
    pub const fn stream(&self) -> &Shell {
        &self.shell
    }

    /// See [`Shell::begin_read`].
    pub const fn begin_read(&mut self) {
        self.shell.begin_read();
    }

    /// The outcome for an error that the provider sent, where its dialect says more than the error
    /// itself.
    #[must_use]
    pub fn told_error(&self, key: KeyOwner) -> Option<Outcome> {
        match self.provider {
            Dialect::Chat => {
                let complaint = errors::read(self.provider, None, self.shell.error()?);
                (complaint.topic == Topic::Length).then_some(Outcome::Overflowed)
            }
            Dialect::Responses => Some(Blame::of(self.shell.error()?).outcome(key)),
            Dialect::Messages => {
                let complaint = read_error::read(None, self.shell.error()?);
                Some(read_error::outcome(&complaint, key))
            }
        }
    }

    /// The caller's answer in place of a stream that ended with this outcome before any content,
    /// where the request itself is at fault: the status and the body.
    #[must_use]
    pub fn told(&self, outcome: Outcome) -> Option<(u16, Vec<u8>)> {
        let status = match outcome {
            Outcome::RequestRefused(status) | Outcome::CallerKeyRefused(status) => status,
            Outcome::AccessRefused => 403,
            // Callers look for this status.
            Outcome::Overflowed => 400,
            Outcome::Answered
            | Outcome::StaleConnection
            | Outcome::ConnectFailed(_)
            | Outcome::TimedOut(_)
            | Outcome::Failed(_)
            | Outcome::RateLimited
            | Outcome::OwnKeyRefused(_)
            | Outcome::NotMine
            | Outcome::Untranslatable
            | Outcome::TooLarge
            | Outcome::StreamCut
            | Outcome::StreamStalled
            | Outcome::CallerGone => return None,
        };
        let event = self.shell.error()?;
        let mut body = Vec::new();
        match (self.provider, self.caller) {
            (Dialect::Responses, Dialect::Responses) => {
                body.extend_from_slice(self.shell.last_words());
            }
            (Dialect::Chat, Dialect::Chat) => {
                let circumstances = Circumstances {
                    status,
                    topic: Topic::Length,
                    content_type: None,
                };
                error_in_openai_shape(circumstances, event, &mut body);
            }
            (Dialect::Messages, Dialect::Messages) => body.extend_from_slice(event),
            (_, _) => {
                let complaint = errors::read(self.provider, None, event);
                errors::write(&complaint, self.caller, "", &mut body);
            }
        }
        Some((status, body))
    }

    /// Begins a stream.
    pub fn reset(&mut self, buffers: &Buffers, plan: &StreamPlan<'_>) {
        self.empty(buffers);
        (self.provider, self.caller) = (plan.provider, plan.caller);
        self.shell.reset(plan);
    }

    /// Has the id of the answer kept.
    pub const fn want_id(&mut self) {
        self.shell.want_id();
    }

    /// Makes room for the output of a read of `count` bytes that is sent to the caller at once.
    pub fn make_room(&mut self, count: usize, buffers: &Buffers) {
        if count < TAKEN_FOR || self.has_payload() {
            return;
        }
        // An event may become longer, and the end of its chunk follows.
        let room = HEAD_ROOM + count + count / 4;
        if self.payload.capacity() < room {
            // What is not large is as large as any other spare buffer, so that it is used again.
            self.payload = buffers.take_for(room.max(READ_BYTES));
        }
    }

    /// Moves the bytes for the caller into its buffer, as one chunk where the version has chunks.
    pub fn write_payload(&mut self, version: Version, caller: &mut Caller, buffers: &Buffers) {
        let Some((room, payload)) = self.payload.split_first_chunk_mut::<HEAD_ROOM>() else {
            return;
        };
        if payload.is_empty() {
            // The read had no bytes for the caller, and the next ones may be long in coming.
            return self.empty(buffers);
        }
        if version == Version::Http11
            && caller.out.is_empty()
            && IN_PLACE_SIZES.contains(&payload.len())
        {
            fill_chunk_head(payload.len(), room);
            self.payload.extend_from_slice(b"\r\n");
            std::mem::swap(&mut self.payload, &mut caller.out);
            return self.empty(buffers);
        }
        caller.make_room();
        let out = &mut caller.out;
        out.reserve_exact(HEAD_ROOM + payload.len() + 2);
        match version {
            Version::Http11 => {
                write_chunk_head(payload.len(), out);
                out.extend_from_slice(payload);
                out.extend_from_slice(b"\r\n");
            }
            Version::Http10 => out.extend_from_slice(payload),
        }
        self.empty(buffers);
    }

    /// Drops the bytes for a caller that has left.
    pub fn drop_payload(&mut self, buffers: &Buffers) {
        self.empty(buffers);
    }

    fn has_payload(&self) -> bool {
        self.payload.len() > HEAD_ROOM
    }

    /// The bytes for the caller, to be added to.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        if self.payload.is_empty() {
            self.payload.resize(HEAD_ROOM, 0);
        }
        &mut self.payload
    }

    /// Empties the payload; the room that a large one took is given back.
    pub(super) fn empty(&mut self, buffers: &Buffers) {
        self.payload.clear();
        if self.payload.capacity() >= IN_PLACE {
            buffers.give(std::mem::take(&mut self.payload));
        }
    }

    /// Takes in bytes of the provider's body; see [`Shell::push`].
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StreamFault> {
        self.payload();
        self.shell.push(bytes, &mut self.payload)
    }

    /// The provider's body has ended; see [`Shell::finish`].
    ///
    /// # Errors
    ///
    /// The answer is not complete.
    pub fn finish(&mut self) -> Result<(), StreamFault> {
        self.payload();
        self.shell.finish(&mut self.payload)
    }

    /// See [`Shell::break_off`].
    #[must_use]
    pub fn break_off(&mut self, reason: &str) -> BrokenEnd {
        self.payload();
        self.shell.break_off(reason, &mut self.payload)
    }

    /// See [`Shell::note_signs`].
    pub fn note_signs(&mut self, next: Sign) {
        self.shell.note_signs(next);
    }

    /// How much it holds of this stream beyond one read, in bytes.
    #[must_use]
    pub fn kept(&self) -> usize {
        (self.shell.kept() + self.payload.len()).saturating_sub(STREAM_READ_BYTES)
    }
}
