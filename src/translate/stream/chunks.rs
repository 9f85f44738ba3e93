//! The chunks of a chat completion's stream.

use crate::base::limits::LABEL_BYTES_MAX;

/// What follows the delta of a chunk without a finish reason.
pub(super) const END: &[u8] = b",\"finish_reason\":null}]}\n\n";

/// Writes chunks that differ in their delta and finish reason alone. The rest of a chunk is put
/// together once per stream.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// An event from `data:` to where its delta begins.
    head: Vec<u8>,
    /// Where the first choice begins in `head`.
    choice_at: usize,
    /// What follows the id, up to the choices.
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
        // Callers count on an id; servers that give none are told apart by their start at least.
        self.build(&[b"chatcmpl-", created]);
    }

    /// Gives the message its id, the inside of a JSON string. A long one would be repeated in every
    /// chunk and is not taken.
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

    /// Appends a chunk without choices, whose usage is what `write` appends.
    pub(super) fn write_usage(&self, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.get(..self.choice_at).unwrap_or_default());
        out.extend_from_slice(b"],\"usage\":");
        write(out);
        out.extend_from_slice(b"}\n\n");
    }
}
