//! What a load test wants to know of an event stream: how many events, where content starts, how
//! it ends.

use memchr::memmem;

/// Longest line that is looked into; the rest of a longer one is skipped.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Keys whose non-empty text is content.
const CONTENT_KEYS: [&[u8]; 4] = [
    b"\"content\":",
    b"\"text\":",
    b"\"reasoning_content\":",
    b"\"arguments\":",
];

/// The reader of one stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Events that carried data, `[DONE]` not among them.
    pub(crate) count: u64,
    /// Whether an event with content has come.
    pub(crate) has_content: bool,
    /// Whether `[DONE]` has come.
    pub(crate) is_done: bool,
    /// Whether an event carried an error.
    pub(crate) has_error: bool,
    held: Vec<u8>,
}

impl Events {
    /// Makes it ready for another stream.
    pub(crate) fn restart(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.clear();
        *self = Self {
            held,
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

    /// Both dialects put a whole event's data on one line, so a data line is an event.
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
        self.has_error |= data.starts_with(b"{\"error\"");
        self.has_content |= !self.has_content && has_content(data);
    }
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
    fn sees_an_error_and_a_missing_end() {
        let mut events = Events::default();
        events.push(b"data: {\"error\":{\"message\":\"x\"}}\n\n");
        assert!(events.has_error && !events.is_done);
        events.restart();
        assert!(!events.has_error && events.count == 0);
    }
}
