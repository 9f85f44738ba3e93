//! The tool calls of an answer.

use serde_json::json;

use super::{Pieces, Voice};
use crate::answer::ScriptedCall;

/// One call of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// The arguments, as JSON.
    pub(super) arguments: String,
}

impl Call {
    /// The arguments, cut behind each space, colon and comma.
    pub(super) fn pieces(&self) -> Pieces {
        let parts: Vec<String> = self
            .arguments
            .split_inclusive([':', ' ', ','])
            .map(str::to_owned)
            .collect();
        let count = parts.len();
        Pieces {
            parts,
            joint: "",
            count,
            events: count,
        }
    }
}

impl Voice<'_> {
    /// The calls of this answer: those of the script, where the request has come to that turn and
    /// offers the tools; else the one that the request forces or its text names.
    pub(super) fn calls(&self) -> Vec<Call> {
        let scripted = self.answer.calls.get(self.ask.call_turns);
        let offered = scripted.filter(|calls| {
            let offered = |name| self.ask.offered.contains(name);
            calls.list().iter().all(|call| offered(&call.name))
        });
        match offered {
            Some(calls) => calls
                .list()
                .iter()
                .enumerate()
                .map(|(place, call)| Call {
                    id: self.call_id(place),
                    name: call.name.clone(),
                    arguments: self.arguments(call),
                })
                .collect(),
            None => self
                .ask
                .tool
                .iter()
                .map(|name| Call {
                    id: self.call_id(0),
                    name: name.clone(),
                    arguments: self.asked_arguments(name),
                })
                .collect(),
        }
    }

    /// The arguments of a scripted call; for a tool that takes text, the text.
    fn arguments(&self, call: &ScriptedCall) -> String {
        let text = call
            .input
            .as_str()
            .or_else(|| call.input.get("input")?.as_str());
        match text {
            Some(text) if self.takes_text(&call.name) => text.to_owned(),
            _ if call.input.is_string() => json!({ "input": call.input }).to_string(),
            _ => call.input.to_string(),
        }
    }

    /// The arguments of a call that the request asks for.
    fn asked_arguments(&self, name: &str) -> String {
        let text = self.start_of_question();
        if self.takes_text(name) {
            return text;
        }
        json!({ "input": text }).to_string()
    }

    fn takes_text(&self, name: &str) -> bool {
        let offered = self.ask.kinds.get(name);
        offered.is_some_and(|offered| offered.is_custom)
    }

    /// An id that no other answer of any instance has.
    fn call_id(&self, place: usize) -> String {
        let name = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("{name}_{}_{place}", self.number)
    }
}
