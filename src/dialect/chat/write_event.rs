//! Writes the stream of a chat completion.
//!
//! Text is copied from JSON string to JSON string unchanged; all other parts of a chunk are
//! prebuilt.

mod chunks;

use crate::base::endpoint::Dialect;
use crate::dialect::chat::{provider_error, usage, write_error};
use crate::dialect::errors;
use crate::dialect::event::{Event, Stop};
use crate::dialect::shell::books::Books;
use crate::dialect::shell::part::{BrokenEnd, Put, Writer};
use crate::dialect::shell::plan::{IncludeUsage, StreamPlan};
use crate::dialect::shell::sign::Sign;
use crate::wire::sse;

use chunks::Chunks;

/// The data of an event that ends the stream.
pub const DONE: &[u8] = b"[DONE]";

/// What is written while nothing happens, so that the caller's own idle timeout does not fire.
pub const HEARTBEAT: &[u8] = b": ping\n\n";

/// Writes one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug, Default)]
pub struct ChatWriter {
    chunks: Chunks,
    include_usage: IncludeUsage,
    /// Whether the assistant's role has been written, which begins every stream.
    has_begun: bool,
    /// How many calls have begun.
    calls: u32,
    /// Calls that have begun and have no arguments yet.
    bare: Vec<u32>,
}

impl Writer for ChatWriter {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.chunks.reset(plan.caller_model, plan.created);
        self.bare.clear();
        self.include_usage = plan.include_usage;
        self.has_begun = false;
        self.calls = 0;
    }

    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put {
        match *event {
            Event::Text(piece) => return self.write_text(CONTENT, piece.text, out),
            Event::Thought(piece) => return self.write_text(REASONING, piece.text, out),
            Event::Refusal(piece) => return self.write_text(REFUSAL, piece.text, out),
            Event::ToolArguments { call, text } => {
                return self.write_arguments(call, text.text, out);
            }
            Event::ToolStart { call, id, name, .. } => match id {
                Some(id) => self.start_call(call, [id, name], out),
                // Every caller needs one.
                None => self.start_call(call, [format!("call_{call}").as_bytes(), name], out),
            },
            // Callers parse the arguments of a call, and what is empty cannot be parsed.
            Event::ToolEnd { call } => {
                if self.bare.contains(&call) {
                    self.write_arguments(call, b"{}", out);
                }
            }
            Event::Start { id, .. } => {
                // All chunks of a stream have the same id.
                if let Some(id) = id
                    && !self.has_begun
                {
                    self.chunks.name(id);
                }
            }
            Event::Stop {
                reason,
                explanation,
                ..
            } => self.finish(reason, explanation, out),
            Event::Done => self.end(books, out),
            Event::Signature(_)
            | Event::Logprobs(_)
            | Event::Tier(_)
            | Event::Usage { .. }
            | Event::Error(_) => {}
        }
        Put::Aside
    }

    fn note_alike(&mut self, _: &[u8], _: &mut Vec<u8>) {}

    fn waiting(&self) -> usize {
        0
    }

    fn kept(&self) -> usize {
        0
    }

    fn write_error(&mut self, data: &[u8], provider: Dialect, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        let start = out.len();
        match provider {
            Dialect::Chat | Dialect::Responses => provider_error::write_in_shape(data, out),
            Dialect::Messages => write_error::write(&errors::read(provider, None, data), out),
        }
        sse::end_event(start, out);
    }

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Fixed(HEARTBEAT)
    }

    fn note_signs(&mut self, _: Sign) {}
}

impl ChatWriter {
    /// Writes the assistant's role before the first content; says whether it had been written.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        let had_begun = std::mem::replace(&mut self.has_begun, true);
        if !had_begun {
            let role = b"{\"role\":\"assistant\",\"content\":\"\"}";
            self.chunks.write(&[role], out);
        }
        had_begun
    }

    /// Writes a text under the key that `delta` begins with.
    fn write_text(&mut self, delta: &[u8], text: &[u8], out: &mut Vec<u8>) -> Put {
        let is_alike = self.begin(out);
        self.chunks.write(&[delta, text, TEXT_END], out);
        if is_alike {
            Put::At(out.len() - chunks::END.len() - TEXT_END.len() - text.len())
        } else {
            Put::Aside
        }
    }

    fn start_call(&mut self, call: u32, [id, name]: [&[u8]; 2], out: &mut Vec<u8>) {
        self.begin(out);
        self.calls = self.calls.saturating_add(1);
        self.bare.push(call);
        let mut digits = itoa::Buffer::new();
        let delta = [
            b"{\"tool_calls\":[{\"index\":".as_slice(),
            digits.format(call).as_bytes(),
            b",\"id\":\"",
            id,
            b"\",\"type\":\"function\",\"function\":{\"name\":\"",
            name,
            b"\",\"arguments\":\"\"}}]}",
        ];
        self.chunks.write(&delta, out);
    }

    /// Appends to the arguments of a call.
    fn write_arguments(&mut self, call: u32, text: &[u8], out: &mut Vec<u8>) -> Put {
        self.bare.retain(|bare| *bare != call);
        let mut digits = itoa::Buffer::new();
        let delta = [
            b"{\"tool_calls\":[{\"index\":".as_slice(),
            digits.format(call).as_bytes(),
            b",\"function\":{\"arguments\":\"",
            text,
            ARGUMENTS_END,
        ];
        self.chunks.write(&delta, out);
        Put::At(out.len() - chunks::END.len() - ARGUMENTS_END.len() - text.len())
    }

    /// Ends the one choice.
    fn finish(&mut self, reason: Stop, explanation: Option<&[u8]>, out: &mut Vec<u8>) {
        self.begin(out);
        while let Some(call) = self.bare.first().copied() {
            self.write_arguments(call, b"{}", out);
        }
        let delta: [&[u8]; 3] = match explanation {
            Some(explanation) => [REFUSAL, explanation, TEXT_END],
            None => [b"{", b"", b"}"],
        };
        let reason: &[u8] = match reason {
            Stop::Length => b"\"length\"",
            Stop::ToolUse if self.calls > 0 => b"\"tool_calls\"",
            Stop::Refusal => b"\"content_filter\"",
            Stop::ToolUse | Stop::End => b"\"stop\"",
        };
        self.chunks.write_finishing(&delta, reason, out);
    }

    fn end(&self, books: &Books, out: &mut Vec<u8>) {
        if self.include_usage == IncludeUsage::Yes {
            let told = books.told.unwrap_or_default();
            self.chunks.write_usage(
                |out| usage::write(&told, books.thinking, books.cost(), out),
                out,
            );
        }
        sse::write_event(DONE, out);
    }
}

/// The beginning of a delta with text.
const CONTENT: &[u8] = b"{\"content\":\"";
/// The beginning of a delta with reasoning.
const REASONING: &[u8] = b"{\"reasoning_content\":\"";
/// The beginning of a delta with a reason for not answering.
const REFUSAL: &[u8] = b"{\"refusal\":\"";
/// The end of a delta with text.
const TEXT_END: &[u8] = b"\"}";
/// The end of a delta with arguments.
const ARGUMENTS_END: &[u8] = b"\"}}]}";
