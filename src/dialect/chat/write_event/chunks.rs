//! The chunks of a chat completion's stream.

use crate::base::limits::LABEL_BYTES_MAX;

/// The end of a chunk without a finish reason, behind its delta.
pub(super) const END: &[u8] = b",\"finish_reason\":null}]}\n\n";

/// Writes chunks that differ only in their delta and finish reason. The other parts of a chunk are
/// put together once per stream.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// The beginning of an event, from `data:` to its delta.
    head: Vec<u8>,
    /// Where the first choice begins in `head`.
    choice_at: usize,
    /// The part behind the id, up to the choices.
    after_id: Vec<u8>,
}

impl Chunks {
    /// Begins a stream whose message has no id yet.
    pub(super) fn reset(&mut self, caller_model: &[u8], created: u64) {
        let mut digits = itoa::Buffer::new();
        let created = digits.format(created).as_bytes();
        self.after_id.clear();
        for part in [
            b"\",\"object\":\"chat.completion.chunk\",\"created\":".as_slice(),
            created,
            b",\"model\":",
            caller_model,
            b",\"choices\":[",
        ] {
            self.after_id.extend_from_slice(part);
        }
        // Callers rely on an id; where a server sends none, the time of the start is used.
        self.build(&[b"chatcmpl-", created]);
    }

    /// Sets the message's id, the inside of a JSON string. A long id is not used, since every chunk
    /// would repeat it.
    pub(super) fn name(&mut self, id: &[u8]) {
        if !id.is_empty() && id.len() <= LABEL_BYTES_MAX {
            self.build(&[id]);
        }
    }

    fn build(&mut self, id: &[&[u8]]) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":\"");
        for part in id {
            self.head.extend_from_slice(part);
        }
        self.head.extend_from_slice(&self.after_id);
        self.choice_at = self.head.len();
        self.head.extend_from_slice(b"{\"index\":0,\"delta\":");
    }

    /// Appends a chunk whose delta is made of `delta`, JSON without a line break.
    pub(super) fn write(&self, delta: &[&[u8]], out: &mut Vec<u8>) {
        self.write_delta(delta, out);
        out.extend_from_slice(END);
    }

    /// Appends a chunk with a finish reason, which is JSON too.
    pub(super) fn write_finishing(&self, delta: &[&[u8]], reason: &[u8], out: &mut Vec<u8>) {
        self.write_delta(delta, out);
        out.extend_from_slice(b",\"finish_reason\":");
        out.extend_from_slice(reason);
        out.extend_from_slice(b"}]}\n\n");
    }

    fn write_delta(&self, delta: &[&[u8]], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        for part in delta {
            out.extend_from_slice(part);
        }
    }

    /// Appends a chunk without choices; `write` appends its usage.
    pub(super) fn write_usage(&self, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.get(..self.choice_at).unwrap_or_default());
        out.extend_from_slice(b"],\"usage\":");
        write(out);
        out.extend_from_slice(b"}\n\n");
    }
}
