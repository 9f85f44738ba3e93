//! A part of a buffer that is being sent, in the form that the ring takes.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use monoio::buf::IoBuf;

/// A part of a buffer that is to be sent.
pub struct Part {
    bytes: Bytes,
    from: usize,
    to: usize,
}

/// The buffer, and who else uses it.
enum Bytes {
    Own(Vec<u8>),
    /// Another attempt may need it again.
    Shared(Rc<Vec<u8>>),
    /// Other threads send it, too.
    Published(Arc<Vec<u8>>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Published(bytes) => bytes,
        }
    }
}

impl Part {
    /// All of `bytes`.
    #[must_use]
    pub fn own(bytes: Vec<u8>) -> Self {
        Self {
            from: 0,
            to: bytes.len(),
            bytes: Bytes::Own(bytes),
        }
    }

    /// The bytes of `range`, which is cut to what there is.
    #[must_use]
    pub fn shared(bytes: Rc<Vec<u8>>, range: Range<usize>) -> Self {
        let to = range.end.min(bytes.len());
        Self {
            from: range.start.min(to),
            to,
            bytes: Bytes::Shared(bytes),
        }
    }

    /// All of `bytes`, from where they are.
    #[must_use]
    pub fn published(bytes: Arc<Vec<u8>>) -> Self {
        Self {
            from: 0,
            to: bytes.len(),
            bytes: Bytes::Published(bytes),
        }
    }

    /// How much memory it has for itself; shared buffers are counted by their owner.
    #[must_use]
    pub fn own_room(&self) -> usize {
        match &self.bytes {
            Bytes::Own(bytes) => bytes.capacity(),
            Bytes::Shared(_) | Bytes::Published(_) => 0,
        }
    }

    /// The bytes to be sent next: a large part goes in pieces, so that other tasks have their turn.
    #[must_use]
    pub fn next(&self) -> &[u8] {
        let left = self.left();
        left.get(..SENT_AT_ONCE).unwrap_or(left)
    }

    /// What is left to send.
    #[must_use]
    pub fn left(&self) -> &[u8] {
        self.bytes
            .as_slice()
            .get(self.from..self.to)
            .unwrap_or_default()
    }

    /// The next `count` bytes have been sent.
    pub fn advance(&mut self, count: usize) {
        self.from = self.to.min(self.from + count);
    }

    /// Whether all of it is sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.from >= self.to
    }

    /// The buffer; a new one where it was shared.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.bytes {
            Bytes::Own(bytes) => bytes,
            Bytes::Shared(_) | Bytes::Published(_) => Vec::new(),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "monoio's contract for buffers that the kernel reads from"
)]
// SAFETY: `from <= to <= len` always holds. An own vector is not touched while the ring owns the
// value; a shared one cannot be touched by anybody as long as the ring holds its count.
unsafe impl IoBuf for Part {
    fn read_ptr(&self) -> *const u8 {
        // SAFETY: `from` is within the buffer.
        unsafe { self.bytes.as_slice().as_ptr().add(self.from) }
    }

    fn bytes_init(&self) -> usize {
        (self.to - self.from).min(SENT_AT_ONCE)
    }
}

/// Most bytes that one send takes: the kernel copies them while other tasks wait.
const SENT_AT_ONCE: usize = 256 << 10;
