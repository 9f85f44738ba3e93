//! Anthropic's Messages.

use super::calls::Call;
use super::{Event, Form, Stream, Voice, quoted};
use crate::answer::UsagePolicy;

impl Voice<'_> {
    pub(super) fn message_body(&self) -> String {
        let calls: Vec<String> = self
            .calls()
            .iter()
            .map(|call| tool_use(call, &call.arguments))
            .collect();
        let blocks = if calls.is_empty() {
            let text = quoted(&self.pieces().text());
            format!("{{\"type\":\"text\",\"text\":{text}}}")
        } else {
            calls.join(",")
        };
        format!(
            "{},\"content\":[{blocks}],\"stop_reason\":\"{}\",\"stop_sequence\":null{}}}",
            self.message_start(),
            self.stop_reason(),
            self.message_usage(self.completion_tokens()),
        )
    }

    fn stop_reason(&self) -> &'static str {
        if !self.calls().is_empty() {
            "tool_use"
        } else if self.was_cut_short() {
            "max_tokens"
        } else {
            "end_turn"
        }
    }

    fn message_start(&self) -> String {
        format!(
            "{{\"id\":\"{}\",\"type\":\"message\",\"role\":\"assistant\",\"model\":{}",
            self.id(),
            self.model()
        )
    }

    fn message_usage(&self, output: u64) -> String {
        if self.answer.usage == UsagePolicy::Never {
            return String::new();
        }
        let cached = self.answer.cached_tokens;
        format!(
            ",\"usage\":{{\"input_tokens\":{},\"cache_creation_input_tokens\":0,\
             \"cache_read_input_tokens\":{cached},\"output_tokens\":{output}}}",
            self.prompt_tokens().saturating_sub(cached),
        )
    }

    /// A message without a block.
    pub(super) fn empty_message_body(&self) -> String {
        format!(
            "{},\"content\":[],\"stop_reason\":\"end_turn\",\"stop_sequence\":null{}}}",
            self.message_start(),
            self.message_usage(0)
        )
    }

    /// A stream that begins and ends a message without a block.
    pub(super) fn empty_message_stream(&self) -> Stream {
        let mut stream = self.message_stream();
        stream.opening.truncate(1);
        stream.closing.remove(0);
        stream.pieces.events = 0;
        stream
    }

    /// The events of a message; calls in front of the last one come whole.
    pub(super) fn message_stream(&self) -> Stream {
        let start = format!(
            ",\"message\":{},\"content\":[],\"stop_reason\":null,\"stop_sequence\":null{}}}",
            self.message_start(),
            self.message_usage(1)
        );
        let calls = self.calls();
        let (block, form) = match calls.last() {
            Some(call) => (tool_use(call, "{}"), ARGUMENTS),
            None => ("{\"type\":\"text\",\"text\":\"\"}".to_owned(), TEXT),
        };
        let last = calls.len().saturating_sub(1);
        let mut opening = vec![event("message_start", &start)];
        for (index, call) in calls.iter().take(last).enumerate() {
            let arguments = quoted(&call.arguments);
            opening.extend([
                block_start(index, &tool_use(call, "{}")),
                event(
                    "content_block_delta",
                    &format!(",\"index\":{index},\"delta\":{{{ARGUMENTS}{arguments}}}"),
                ),
                block_stop(index),
            ]);
        }
        opening.extend([block_start(last, &block), event("ping", "")]);
        let end = format!(
            ",\"delta\":{{\"stop_reason\":\"{}\",\"stop_sequence\":null}}{}",
            self.stop_reason(),
            self.message_usage(self.completion_tokens())
        );
        Stream {
            opening,
            content: Form {
                name: Some("content_block_delta"),
                before: format!(
                    "{{\"type\":\"content_block_delta\",\"index\":{last},\"delta\":{{{form}"
                ),
                after: "}".to_owned(),
                pad: "mock_pad",
            },
            pieces: self.pieces(),
            closing: vec![
                block_stop(last),
                event("message_delta", &end),
                event("message_stop", ""),
            ],
            numbered: false,
        }
    }
}

/// A block that calls a tool.
fn tool_use(call: &Call, input: &str) -> String {
    format!(
        "{{\"type\":\"tool_use\",\"id\":\"toolu_{}\",\"name\":{},\"input\":{input}}}",
        call.id,
        quoted(&call.name),
    )
}

fn block_start(index: usize, block: &str) -> Event {
    let rest = format!(",\"index\":{index},\"content_block\":{block}");
    event("content_block_start", &rest)
}

fn block_stop(index: usize) -> Event {
    event("content_block_stop", &format!(",\"index\":{index}"))
}

fn event(name: &'static str, rest: &str) -> Event {
    Event {
        name: Some(name),
        data: format!("{{\"type\":\"{name}\"{rest}}}"),
    }
}

/// What the delta of a call begins with.
const ARGUMENTS: &str = "\"type\":\"input_json_delta\",\"partial_json\":";
/// What the delta of a text begins with.
const TEXT: &str = "\"type\":\"text_delta\",\"text\":";
