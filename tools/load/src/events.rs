//! What a load test must know of an event stream: the number of events, where content starts, and
//! how it ends.

use memchr::memmem;

/// Longest line that is looked into; the rest of a longer one is skipped.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Keys whose non-empty text is content.
const CONTENT_KEYS: [&[u8]; 5] = [
    b"\"content\":",
    b"\"text\":",
    b"\"reasoning_content\":",
    b"\"arguments\":",
    b"\"delta\":",
];

/// What the last event of a stream of Messages or Responses starts with.
const ENDS: [&[u8]; 3] = [
    b"{\"type\":\"message_stop\"",
    b"{\"type\":\"response.completed\"",
    b"{\"type\":\"response.incomplete\"",
];
/// What an event with an error starts with, in any dialect.
const ERRORS: [&[u8]; 3] = [
    b"{\"error\"",
    b"{\"type\":\"error\"",
    b"{\"type\":\"response.failed\"",
];
/// Where the mock puts the time at which it wrote an event.
const STAMP_FIELD: &[u8] = b"\"mock_sent_ns\":";
/// Digits of such a time, from 2001 to 2286.
const STAMP_DIGITS: usize = 19;

/// The reader of one stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// When the events since the last look were sent, in nanoseconds since 1970.
    pub(crate) stamps: Vec<u64>,
    is_stamped: bool,
    /// Events that carried data, `[DONE]` not among them.
    pub(crate) count: u64,
    /// Whether an event with content has come.
    pub(crate) has_content: bool,
    /// Whether `[DONE]`, or the last event of a stream of Messages or Responses, has come.
    pub(crate) is_done: bool,
    /// Whether an event carried an error.
    pub(crate) has_error: bool,
    held: Vec<u8>,
}

impl Events {
    /// A reader that also looks for the time at which each event was sent, if `is_stamped`.
    pub(crate) fn new(is_stamped: bool) -> Self {
        Self {
            is_stamped,
            ..Self::default()
        }
    }

    /// Makes it ready for another stream.
    pub(crate) fn restart(&mut self) {
        let (mut held, mut stamps) = (
            std::mem::take(&mut self.held),
            std::mem::take(&mut self.stamps),
        );
        held.clear();
        stamps.clear();
        *self = Self {
            held,
            stamps,
            is_stamped: self.is_stamped,
            ..Self::default()
        };
    }

    /// Takes the next `bytes` of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (now, after) = rest.split_at(end);
            if self.held.is_empty() {
                self.line(now);
            } else {
                self.hold(now);
                let line = std::mem::take(&mut self.held);
                self.line(&line);
                self.held = line;
                self.held.clear();
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.hold(rest);
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Every dialect puts a whole event's data on one line, so a data line is an event.
    fn line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.is_done = true;
            return;
        }
        self.count += 1;
        self.is_done |= ENDS.iter().any(|start| data.starts_with(start));
        self.has_error |= ERRORS.iter().any(|start| data.starts_with(start));
        if self.is_stamped {
            self.stamps.extend(stamp(data));
        }
        self.has_content |= !self.has_content && has_content(data);
    }
}

/// When the event was sent: the mock's own field, or a text that begins with the time.
fn stamp(data: &[u8]) -> Option<u64> {
    let digits = match memmem::find(data, STAMP_FIELD) {
        Some(at) => data.get(at + STAMP_FIELD.len()..)?,
        None => text(data)?,
    };
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    let digits = digits
        .get(..end)
        .filter(|digits| digits.len() == STAMP_DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The event's first text, without its opening quote.
fn text(data: &[u8]) -> Option<&[u8]> {
    let after = |key: &&[u8]| data.get(memmem::find(data, key)? + key.len()..);
    CONTENT_KEYS.iter().find_map(after)?.strip_prefix(b"\"")
}

fn has_content(data: &[u8]) -> bool {
    CONTENT_KEYS.iter().any(|key| {
        memmem::find_iter(data, key).any(|at| {
            let value = data
                .get(at + key.len()..)
                .unwrap_or_default()
                .trim_ascii_start();
            value.starts_with(b"\"") && !value.starts_with(b"\"\"")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        ": ping\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\": \"Hi\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn any_split_gives_the_same_counts() {
        for step in 1..=STREAM.len() {
            let mut events = Events::default();
            for piece in STREAM.as_bytes().chunks(step) {
                events.push(piece);
            }
            assert_eq!(events.count, 3, "by {step}");
            assert!(
                events.has_content && events.is_done && !events.has_error,
                "by {step}"
            );
        }
    }

    #[test]
    fn a_role_alone_is_not_content() {
        for (data, content) in [
            (r#"{"delta":{"role":"assistant","content":""}}"#, false),
            (r#"{"delta":{"role":"assistant","content":null}}"#, false),
            (r#"{"delta":{"content":"a"}}"#, true),
            (
                r#"{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}"#,
                true,
            ),
            (r#"{"choices":[{"text":"a"}]}"#, true),
        ] {
            assert_eq!(has_content(data.as_bytes()), content, "{data}");
        }
    }

    #[test]
    fn reads_the_time_at_which_an_event_was_sent() {
        for data in [
            r#"{"choices":[{"delta":{"content":"a"}}],"mock_sent_ns":1763900000000000001}"#,
            r#"{"choices":[{"delta":{"content":"1763900000000000001 "}}]}"#,
            r#"{"type":"content_block_delta","delta":{"text":"1763900000000000001 "}}"#,
            r#"{"type":"response.output_text.delta","delta":"1763900000000000001 "}"#,
        ] {
            assert_eq!(
                stamp(data.as_bytes()),
                Some(1_763_900_000_000_000_001),
                "{data}"
            );
        }
        for data in [
            "{}",
            r#"{"delta":{"content":"12 "}}"#,
            r#"{"mock_sent_ns":9"#,
        ] {
            assert_eq!(stamp(data.as_bytes()), None, "{data}");
        }
    }

    #[test]
    fn a_messages_stream_ends_with_its_stop() {
        let mut events = Events::default();
        events.push(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        assert!(events.is_done && !events.has_error);
    }

    #[test]
    fn a_stream_of_responses_ends_with_its_last_state() {
        for (last, is_done, has_error) in [
            ("completed", true, false),
            ("incomplete", true, false),
            ("failed", false, true),
            ("in_progress", false, false),
        ] {
            let mut events = Events::default();
            events.push(br#"data: {"type":"response.output_text.delta","delta":"a"}"#);
            let end = format!("\n\ndata: {{\"type\":\"response.{last}\",\"response\":{{}}}}\n\n");
            events.push(end.as_bytes());
            assert!(events.has_content && events.count == 2, "{last}");
            assert_eq!(
                (events.is_done, events.has_error),
                (is_done, has_error),
                "{last}"
            );
        }
    }

    #[test]
    fn sees_an_error_and_a_missing_end() {
        let mut events = Events::default();
        events.push(b"data: {\"error\":{\"message\":\"x\"}}\n\n");
        assert!(events.has_error && !events.is_done);
        events.restart();
        assert!(!events.has_error && events.count == 0);
    }
}
