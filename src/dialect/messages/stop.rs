//! Why a message has ended, in the words of Messages (rule MA3).

use crate::base::limits::KEPT_BUFFER_BYTES_MAX;
use crate::dialect::compose::Composer;
use crate::dialect::event::{Event, Stop};

/// Why a message has ended.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    reason: Option<Stop>,
    /// The stop sequence that was met, the inside of a JSON string.
    sequence: Option<Vec<u8>>,
    /// Why the model does not answer, the inside of a JSON string; empty where it does not say.
    explanation: Vec<u8>,
}

impl Stopped {
    pub(super) fn reset(&mut self) {
        (self.reason, self.sequence) = (None, None);
        self.explanation.clear();
        self.explanation.shrink_to(KEPT_BUFFER_BYTES_MAX);
    }

    /// Keeps what an [`Event::Stop`] says.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let Event::Stop {
            reason,
            sequence,
            explanation,
        } = *event
        else {
            return;
        };
        self.reset();
        let refuses = explanation.is_some_and(|text| !text.is_empty());
        self.reason = Some(if refuses { Stop::Refusal } else { reason });
        self.sequence = sequence.map(<[u8]>::to_vec);
        self.explanation
            .extend_from_slice(explanation.unwrap_or_default());
    }

    /// Appends the members that tell of it, without brackets.
    pub(super) fn write(&self, has_calls: bool, out: &mut Vec<u8>) {
        let reason = match (self.reason, &self.sequence) {
            (Some(Stop::Length), _) => "max_tokens",
            (Some(Stop::Refusal), _) => "refusal",
            (Some(Stop::End | Stop::ToolUse) | None, Some(_)) => "stop_sequence",
            // The calls count, whatever the provider says.
            (Some(Stop::End | Stop::ToolUse) | None, None) if has_calls => "tool_use",
            (Some(Stop::End | Stop::ToolUse) | None, None) => "end_turn",
        };
        let sequence = self
            .sequence
            .as_deref()
            .filter(|_| reason == "stop_sequence");
        out.extend_from_slice(b"\"stop_reason\":\"");
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\",\"stop_sequence\":");
        write_quoted(sequence, out);
        if self.reason == Some(Stop::Refusal) {
            out.extend_from_slice(b",\"stop_details\":");
            let mut details = Composer::object(out);
            details.word("type", "refusal");
            details.raw("category", b"null");
            let explanation = Some(&*self.explanation).filter(|text| !text.is_empty());
            write_quoted(explanation, details.member("explanation"));
            details.end();
        }
    }
}

/// Appends a string with this inside, or `null`.
fn write_quoted(inside: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(inside) = inside else {
        return out.extend_from_slice(b"null");
    };
    out.push(b'"');
    out.extend_from_slice(inside);
    out.push(b'"');
}
