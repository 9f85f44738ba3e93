//! Reads the stream of a chat completion (section 5 of reference/messages-inbound.md).

use super::chunk::{Choice, Chunk, Of, telling};
use crate::base::limits::{HELD_BACK_BYTES_MAX, KEPT_BUFFER_BYTES_MAX};
use crate::dialect::event::{Event, Piece, Stop};
use crate::dialect::shell::part::{Reader, Said};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::signature::ThoughtField;
use crate::dialect::verbatim;
use crate::wire::forms::Gap;
use crate::wire::json::{self, NotJson, Value};
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::Told;
use calls::{Calls, Sink};

mod calls;

/// Reads one stream. Kept and [reset](Reader::reset) for the next.
#[derive(Debug, Default)]
pub struct ChatReader {
    stops: Vec<Box<str>>,
    calls: Calls,
    /// The member in which the last thought came.
    thought_field: Option<ThoughtField>,
    /// Why the model does not answer, as far as it has said so: the inside of a JSON string.
    refusal: Vec<u8>,
    /// Whether the caller is told all that the provider says.
    tells_all: bool,
    /// How the request is served, as far as that was told.
    tier: Vec<u8>,
    has_started: bool,
    has_stopped: bool,
    /// Whether usage has come elsewhere than in Groq's own member.
    has_usage: bool,
    /// What differs between chunks without being read.
    unread: Vec<Gap>,
}

impl Reader for ChatReader {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        old.calls.reset(plan.wanted.read_names());
        for buffer in [&mut old.refusal, &mut old.tier] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
        old.stops.clear();
        old.stops.extend_from_slice(plan.wanted.stops);
        *self = Self {
            stops: old.stops,
            calls: old.calls,
            refusal: old.refusal,
            tells_all: plan.wanted.is_response(),
            tier: old.tier,
            unread: old.unread,
            ..Self::default()
        };
    }

    fn read(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<Said, StreamFault> {
        let chunk = Chunk::read(data)?;
        self.unread.clear();
        chunk.write_gaps(&mut self.unread);
        if chunk.error.is_some() {
            return sink(Event::Error(data)).map(|()| Said::Something);
        }
        if let Some(error) = chunk.choice.and_then(|choice| choice.error()) {
            return sink(Event::Error(error)).map(|()| Said::Something);
        }
        let usage = self.usage(&chunk);
        if chunk.is_ping || (chunk.choice.is_none() && usage.is_none()) {
            return Ok(Said::Nothing);
        }
        let is_alike = self.has_started && usage.is_none();
        self.start(&chunk, sink)?;
        if self.tells_all {
            self.tell_tier(&chunk, sink)?;
        }
        usage.map_or(Ok(()), &mut *sink)?;
        let said = match &chunk.choice {
            Some(choice) => self.read_choice(choice, sink)?,
            None => Said::Something,
        };
        // Nothing follows the usage but the mark of the end, which some servers leave out.
        if usage.is_some() && !chunk.has_choices && self.has_stopped {
            sink(Event::Done)?;
        }
        Ok(if is_alike { said } else { Said::Something })
    }

    fn flush(
        &mut self,
        _: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        // A mark of the end alone may stand at the end of half an answer.
        Err(StreamFault::Cut)
    }

    fn is_whole(&self) -> bool {
        self.has_stopped
    }

    fn unread(&self) -> &[Gap] {
        &self.unread
    }
}

impl ChatReader {
    fn start(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        if std::mem::replace(&mut self.has_started, true) {
            return Ok(());
        }
        let inside = |value| verbatim::string(&telling(value)?).ok();
        sink(Event::Start {
            id: inside(chunk.id),
            model: inside(chunk.model),
        })
    }

    fn tell_tier(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Result<(), StreamFault> {
        let Some(tier) = telling(chunk.tier) else {
            return Ok(());
        };
        let tier = verbatim::string(&tier)?;
        if self.tier == tier {
            return Ok(());
        }
        self.tier.clear();
        self.tier.extend_from_slice(tier);
        sink(Event::Tier(tier))
    }

    /// What the chunk says about usage: each time anew, and the last word counts.
    fn usage(&mut self, chunk: &Chunk<'_>) -> Option<Event<'static>> {
        let of = |told: Told| {
            Some(Event::Usage {
                usage: told.usage?,
                thinking: told.thinking,
                is_total: true,
            })
        };
        if let Some(usage) = of(chunk.usage) {
            self.has_usage = true;
            return Some(usage);
        }
        let groq = chunk.x_groq.filter(|_| !self.has_usage)?;
        of(Told::read(&json::member(groq.text, b"usage")?.value))
    }

    /// Tells what a choice says, in the order of the blocks that come of it.
    fn read_choice(
        &mut self,
        choice: &Choice<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Said, StreamFault> {
        let (calls, mut said) = (self.calls.len(), Said::Nothing);
        let sink: &mut Sink<'_> = &mut |event| {
            said = Said::More;
            sink(event)
        };
        let field = choice
            .said
            .thoughts(|text| sink(Event::Thought(piece(text)?)))?;
        if let Some(field) = field
            && self.thought_field.replace(field) != Some(field)
        {
            sink(Event::Signature(field.signature().as_bytes()))?;
        }
        let mut logprobs = choice.logprobs.filter(|_| self.tells_all);
        choice.said.texts(Of::Text, |text| {
            if logprobs.take().is_some()
                && let Some(logprobs) = choice.logprobs()
            {
                sink(Event::Logprobs(&logprobs))?;
            }
            sink(Event::Text(piece(text)?))
        })?;
        if let Some(refusal) = &choice.said.refusal {
            let piece = piece(refusal)?;
            if self.refusal.len() + piece.text.len() <= HELD_BACK_BYTES_MAX {
                self.refusal.extend_from_slice(piece.text);
            }
            sink(Event::Refusal(piece))?;
        }
        self.calls.begin_chunk();
        choice.said.calls(|call| self.calls.read(call, sink))?;
        if let Some(reason) = choice.finish_reason.filter(|_| !self.has_stopped) {
            self.has_stopped = true;
            sink(self.stop(&reason, choice))?;
            return Ok(Said::Something);
        }
        // A later piece may belong to another call than an earlier one like it, and all of a
        // refusal is told again at the end.
        let is_alike = self.calls.len() == calls && choice.said.refusal.is_none();
        Ok(if is_alike { said } else { Said::Something })
    }

    fn stop<'e>(&'e self, reason: &Value<'_>, choice: &Choice<'e>) -> Event<'e> {
        let explanation = Some(self.refusal.as_slice()).filter(|text| !text.is_empty());
        Event::Stop {
            reason: stop_of(&reason.word()),
            sequence: stop_sequence(choice, &self.stops),
            explanation,
        }
    }
}

/// Why a model stops, from the word of its provider (rule MA3).
pub(super) fn stop_of(finish_reason: &[u8]) -> Stop {
    match finish_reason {
        b"tool_calls" | b"function_call" => Stop::ToolUse,
        b"length" | b"model_length" => Stop::Length,
        b"content_filter" => Stop::Refusal,
        _ => Stop::End,
    }
}

/// The stop sequence that was met, if it is one of `stops`: the inside of a JSON string.
pub(super) fn stop_sequence<'a>(choice: &Choice<'a>, stops: &[Box<str>]) -> Option<&'a [u8]> {
    let met = [choice.stop_reason, choice.matched_stop];
    let mut met = met.into_iter().flatten();
    let met = met.find(|met| stops.iter().any(|stop| met.says(stop)))?;
    verbatim::string(&met).ok()
}

fn piece<'a>(text: &Value<'a>) -> Result<Piece<'a>, NotJson> {
    Ok(Piece {
        text: verbatim::string(text)?,
        at: Some(text.at + 1),
    })
}
