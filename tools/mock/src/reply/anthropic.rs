//! Anthropic's Messages.

use super::{Event, Form, Stream, Voice, quoted};
use crate::script::UsagePolicy;

impl Voice<'_> {
    pub(super) fn message_body(&self) -> String {
        let (block, reason) = match &self.ask.tool {
            Some(name) => (
                format!(
                    "{{\"type\":\"tool_use\",\"id\":\"toolu_{}\",\"name\":{},\"input\":{}}}",
                    self.number,
                    quoted(name),
                    self.pieces().text()
                ),
                "tool_use",
            ),
            None => (
                format!(
                    "{{\"type\":\"text\",\"text\":{}}}",
                    quoted(&self.pieces().text())
                ),
                self.stop_reason(),
            ),
        };
        format!(
            "{},\"content\":[{block}],\"stop_reason\":\"{reason}\",\"stop_sequence\":null{}}}",
            self.message_start(),
            self.message_usage(self.completion_tokens()),
        )
    }

    fn stop_reason(&self) -> &'static str {
        if self.was_cut_short() {
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

    pub(super) fn message_stream(&self) -> Stream {
        let event = |name: &'static str, rest: &str| Event {
            name: Some(name),
            data: format!("{{\"type\":\"{name}\"{rest}}}"),
        };
        let start = format!(
            ",\"message\":{},\"content\":[],\"stop_reason\":null,\"stop_sequence\":null{}}}",
            self.message_start(),
            self.message_usage(1)
        );
        let (block, delta, reason) = self.block();
        let usage = match self.answer.usage {
            UsagePolicy::Never => String::new(),
            UsagePolicy::Always | UsagePolicy::Asked | UsagePolicy::OnFinishChunk => {
                format!(
                    ",\"usage\":{{\"output_tokens\":{}}}",
                    self.completion_tokens()
                )
            }
        };
        let end =
            format!(",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}}{usage}");
        Stream {
            opening: vec![
                event("message_start", &start),
                event(
                    "content_block_start",
                    &format!(",\"index\":0,\"content_block\":{block}"),
                ),
                event("ping", ""),
            ],
            content: Form {
                name: Some("content_block_delta"),
                before: format!(
                    "{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{{delta}"
                ),
                after: "}".to_owned(),
                pad: "mock_pad",
            },
            pieces: self.pieces(),
            closing: vec![
                event("content_block_stop", ",\"index\":0"),
                event("message_delta", &end),
                event("message_stop", ""),
            ],
        }
    }

    /// The start of the only block, what its deltas begin with, and why it ends.
    fn block(&self) -> (String, &'static str, &'static str) {
        match &self.ask.tool {
            Some(name) => (
                format!(
                    "{{\"type\":\"tool_use\",\"id\":\"toolu_{}\",\"name\":{},\"input\":{{}}}}",
                    self.number,
                    quoted(name)
                ),
                "\"type\":\"input_json_delta\",\"partial_json\":",
                "tool_use",
            ),
            None => (
                "{\"type\":\"text\",\"text\":\"\"}".to_owned(),
                "\"type\":\"text_delta\",\"text\":",
                self.stop_reason(),
            ),
        }
    }
}
