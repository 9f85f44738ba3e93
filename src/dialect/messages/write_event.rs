//! Writes a Messages stream (section 5 of reference/messages-inbound.md).
//!
//! The blocks of a message follow each other, while those of other dialects may grow side by side.
//! So blocks stand in a queue: the first is sent as it grows, and the others wait for its end.

use super::stop::Stopped;
use super::write_error;
use crate::base::endpoint::Dialect;
use crate::base::limits::KEPT_BUFFER_BYTES_MAX;
use crate::base::tokens::Tokens;
use crate::dialect::errors;
use crate::dialect::event::{Event, Piece};
use crate::dialect::fresh::Fresh;
use crate::dialect::queue::Queue;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::part::{BrokenEnd, Put, Writer};
use crate::dialect::shell::plan::{StreamPlan, Thoughts};
use crate::dialect::shell::sign::Sign;
use block::{Block, Kind};
use frames::Delta;
use ids::Ids;

mod block;
pub(super) mod frames;
pub(super) mod ids;

/// What is written while nothing happens, so that the caller's own idle timeout does not fire.
pub const HEARTBEAT: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Writes one stream. Kept and [reset](Writer::reset) for the next.
#[derive(Debug, Default)]
pub struct MessagesWriter {
    /// The model's name as the caller wrote it, a JSON string with its quotes.
    caller_model: Vec<u8>,
    request_id: String,
    thoughts: Thoughts,
    prompt: Tokens,
    ids: Ids,
    has_begun: bool,
    /// The blocks that have begun and not ended; the first one is open.
    queue: Queue<Block>,
    /// The number of the first one.
    index: u32,
    /// How much of the first one waits for its end, in bytes.
    held: usize,
    /// Whether there was a call.
    has_calls: bool,
    /// The signature of the thoughts, the inside of a JSON string.
    signature: Vec<u8>,
    stopped: Stopped,
}

impl Writer for MessagesWriter {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        old.queue.clear();
        for buffer in [&mut old.caller_model, &mut old.signature] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
        old.caller_model.extend_from_slice(plan.caller_model);
        old.request_id.clear();
        old.request_id.push_str(plan.wanted.request_id);
        old.ids.reset(Fresh::new(plan.wanted.seed));
        old.stopped.reset();
        *self = Self {
            caller_model: old.caller_model,
            request_id: old.request_id,
            thoughts: plan.wanted.thoughts,
            prompt: plan.wanted.prompt,
            ids: old.ids,
            queue: old.queue,
            signature: old.signature,
            stopped: old.stopped,
            ..Self::default()
        };
    }

    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put {
        match *event {
            Event::Thought(_) if self.thoughts == Thoughts::Hidden => return Put::Aside,
            Event::Thought(piece) => return self.write_text(Kind::Thinking, piece, books, out),
            Event::Text(piece) | Event::Refusal(piece) => {
                return self.write_text(Kind::Text, piece, books, out);
            }
            Event::ToolArguments { call, text } => return self.write_arguments(call, text, out),
            Event::Signature(signature) => {
                self.signature.clear();
                self.signature.extend_from_slice(signature);
                return Put::Aside;
            }
            Event::ToolStart {
                id,
                name,
                signature,
                call,
            } => {
                self.has_calls = true;
                self.begin(books, out);
                let mut start = Vec::new();
                self.ids.write_call([id, signature], name, &mut start);
                self.append(Block::new(Kind::Tool(call), start), out);
            }
            Event::ToolEnd { call } => {
                if let Some(block) = self.queue.call(call) {
                    block.has_ended = true;
                }
                self.settle(out);
            }
            Event::Stop { .. } => {
                self.begin(books, out);
                self.stopped.note(event);
            }
            Event::Done => self.end(books, out),
            Event::Start { .. }
            | Event::Logprobs(_)
            | Event::Tier(_)
            | Event::Usage { .. }
            | Event::Error(_) => return Put::Aside,
        }
        Put::Anew
    }

    fn note_alike(&mut self, text: &[u8], _: &mut Vec<u8>) {
        if let Some(head) = self.queue.head()
            && let Kind::Tool(_) = head.kind
        {
            head.arguments.take(text);
        }
    }

    fn waiting(&self) -> usize {
        self.queue.waiting() + self.held
    }

    fn kept(&self) -> usize {
        self.waiting()
    }

    fn write_error(&mut self, error: &[u8], provider: Dialect, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let complaint = errors::read(provider, None, error);
        write_error::write(&complaint, &self.request_id, &mut data);
        frames::write("error", &[&data], out);
    }

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Fixed(HEARTBEAT)
    }

    fn note_signs(&mut self, _: Sign) {}
}

impl MessagesWriter {
    /// Writes the beginning of the message, which goes before its first block or its end.
    fn begin(&mut self, books: &Books, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let mut start = br#"{"type":"message_start","message":{"id":""#.to_vec();
        self.ids.write_fresh(b"msg_", &mut start);
        start.extend_from_slice(br#"","type":"message","role":"assistant","model":"#);
        start.extend_from_slice(&self.caller_model);
        let rest = br#","content":[],"stop_reason":null,"stop_sequence":null,"usage":"#;
        start.extend_from_slice(rest);
        frames::write_first_usage(books, self.prompt, &mut start);
        frames::write("message_start", &[&start, b"}}"], out);
    }

    /// Text goes to the last block, if that is of its kind.
    fn write_text(
        &mut self,
        kind: Kind,
        piece: Piece<'_>,
        books: &Books,
        out: &mut Vec<u8>,
    ) -> Put {
        self.begin(books, out);
        let is_of_last = self.queue.last().is_some_and(|last| last.kind == kind);
        if !is_of_last {
            self.append(Block::new(kind, Vec::new()), out);
        }
        let is_head = self.queue.is_one();
        let Some(last) = self.queue.last() else {
            return Put::Anew;
        };
        let at = if is_head {
            frames::write_delta(self.index, kind.delta(), piece.text, out)
        } else {
            last.waiting.extend_from_slice(piece.text);
            self.queue.grow(piece.text.len());
            0
        };
        match (is_of_last, is_head) {
            (true, true) => Put::At(at),
            (true, false) => Put::Aside,
            (false, _) => Put::Anew,
        }
    }

    fn write_arguments(&mut self, call: u32, text: Piece<'_>, out: &mut Vec<u8>) -> Put {
        let (is_head, is_alone) = (self.queue.is_head(call), self.queue.is_one());
        // What comes for a block that was closed as whole has no place any more.
        let Some(block) = self.queue.call(call) else {
            return Put::Aside;
        };
        block.arguments.take(text.text);
        // Official readers parse what has come so far, and fail on white space alone.
        if !block.arguments.is_some {
            return Put::Aside;
        }
        if !is_head {
            block.waiting.extend_from_slice(text.text);
            self.queue.grow(text.text.len());
            return Put::Aside;
        }
        // An input is an object, and official readers fail on what is no JSON: arguments of
        // another kind are told once they are whole.
        if block.arguments.is_odd {
            block.waiting.extend_from_slice(text.text);
            self.held += text.text.len();
            return Put::Aside;
        }
        let at = frames::write_delta(self.index, Delta::Arguments, text.text, out);
        if is_alone {
            return Put::At(at);
        }
        self.settle(out);
        Put::Anew
    }

    /// Adds a block behind the others; the first one is open at once.
    fn append(&mut self, block: Block, out: &mut Vec<u8>) {
        self.queue.push(block);
        if self.queue.is_one() {
            self.open(out);
        }
        self.settle(out);
    }

    /// Closes the first block as long as it is finished and another one waits.
    fn settle(&mut self, out: &mut Vec<u8>) {
        while self.queue.is_head_due() {
            self.close(out);
            self.open(out);
        }
    }

    /// Starts the first block, with what it has so far.
    fn open(&mut self, out: &mut Vec<u8>) {
        if let Some(head) = self.queue.head() {
            frames::write_start(self.index, head.start(), out);
            if head.arguments.is_odd {
                self.held = head.waiting.len();
                return;
            }
            let waiting = std::mem::take(&mut head.waiting);
            if !waiting.is_empty() {
                frames::write_delta(self.index, head.kind.delta(), &waiting, out);
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(head) = self.queue.pop() else {
            return;
        };
        self.held = 0;
        match head.kind {
            Kind::Text => {}
            Kind::Thinking => {
                frames::write_delta(self.index, Delta::Signature, &self.signature, out);
            }
            // Callers parse the arguments.
            Kind::Tool(_) if !head.arguments.is_some => {
                frames::write_delta(self.index, Delta::Arguments, b"{}", out);
            }
            Kind::Tool(_) if head.arguments.is_odd => {
                let object = block::as_object(&head.waiting);
                frames::write_delta(self.index, Delta::Arguments, &object, out);
            }
            Kind::Tool(_) => {}
        }
        frames::write_stop(self.index, out);
        self.index = self.index.saturating_add(1);
    }

    /// Writes what still waits, and the end of the message.
    fn end(&mut self, books: &Books, out: &mut Vec<u8>) {
        self.begin(books, out);
        while !self.queue.is_empty() {
            self.close(out);
            self.open(out);
        }
        let mut delta = br#"{"type":"message_delta","delta":{"#.to_vec();
        self.stopped.write(self.has_calls, &mut delta);
        delta.extend_from_slice(br#"},"usage":"#);
        frames::write_usage(books, self.prompt, &mut delta);
        frames::write("message_delta", &[&delta, b"}"], out);
        frames::write("message_stop", &[br#"{"type":"message_stop"}"#], out);
    }
}
