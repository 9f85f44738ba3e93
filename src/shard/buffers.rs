//! What a connection needs for a request and gives back after it: an idle connection has none.

use std::cell::RefCell;

use crate::base::limits::{READ_BYTES, SPARE_BUFFER_BYTES_MAX, SPARES_MAX};
use crate::wire::head::Head;

/// One shard's spare buffers and heads; the one that was given back last is taken first.
#[derive(Default)]
pub struct Buffers {
    bytes: RefCell<Vec<Vec<u8>>>,
    heads: RefCell<Vec<Head>>,
}

impl Buffers {
    /// An empty buffer with room for one read at least.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let spare = self.bytes.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(READ_BYTES))
    }

    /// Keeps `buffer` for whoever needs one next, unless it is too small or too large for that.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.bytes.borrow_mut();
        let fits = (READ_BYTES..=SPARE_BUFFER_BYTES_MAX).contains(&buffer.capacity());
        if fits && spare.len() < SPARES_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Room for a head's fields.
    #[must_use]
    pub fn take_head(&self) -> Head {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a head's room.
    pub fn give_head(&self, head: Head) {
        let mut spare = self.heads.borrow_mut();
        if head.fields.capacity() > 0 && spare.len() < SPARES_MAX {
            spare.push(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_empty_and_of_a_common_size() {
        let buffers = Buffers::default();
        for capacity in [0, READ_BYTES - 1, SPARE_BUFFER_BYTES_MAX + 1] {
            buffers.give(Vec::with_capacity(capacity));
        }
        assert!(buffers.bytes.borrow().is_empty());
        let mut used = Vec::with_capacity(2 * READ_BYTES);
        used.extend_from_slice(b"another caller's");
        buffers.give(used);
        let taken = buffers.take();
        assert!(taken.is_empty() && taken.capacity() >= 2 * READ_BYTES);
        assert!(buffers.take().capacity() >= READ_BYTES);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let buffers = Buffers::default();
        for _ in 0..=SPARES_MAX {
            buffers.give(Vec::with_capacity(READ_BYTES));
            let mut head = Head::default();
            head.fields.reserve(1);
            buffers.give_head(head);
        }
        assert_eq!(buffers.bytes.borrow().len(), SPARES_MAX);
        assert_eq!(buffers.heads.borrow().len(), SPARES_MAX);
    }
}
