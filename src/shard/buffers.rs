//! What a connection needs for a request and gives back after it: an idle connection has none.

use std::cell::RefCell;

use crate::base::limits::{LARGE_SPARE_BYTES, READ_BYTES, SPARE_BUFFER_BYTES_MAX, SPARES_MAX};
use crate::wire::head::Head;

/// One shard's spare buffers and heads; the one that was given back last is taken first.
#[derive(Default)]
pub struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
    heads: RefCell<Vec<Head>>,
}

impl Buffers {
    /// An empty buffer with room for one read at least.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.take_for(READ_BYTES)
    }

    /// An empty buffer with this much room at least.
    #[must_use]
    pub fn take_for(&self, room: usize) -> Vec<u8> {
        let mut buffer = self.spare(room).borrow_mut().pop().unwrap_or_default();
        buffer.reserve_exact(room);
        buffer
    }

    /// Keeps `buffer` for whoever needs one next, unless it is too small or too large for that.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let mut spare = self.spare(capacity).borrow_mut();
        let fits = (READ_BYTES..=SPARE_BUFFER_BYTES_MAX).contains(&capacity);
        if fits && spare.len() < SPARES_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Apart from each other, so that a large buffer serves what needs one, and a small one need
    /// not grow.
    fn spare(&self, room: usize) -> &RefCell<Vec<Vec<u8>>> {
        if room < LARGE_SPARE_BYTES {
            &self.small
        } else {
            &self.large
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
        assert!(buffers.small.borrow().is_empty() && buffers.large.borrow().is_empty());
        let mut used = Vec::with_capacity(2 * READ_BYTES);
        used.extend_from_slice(b"another caller's");
        buffers.give(used);
        let taken = buffers.take();
        assert!(taken.is_empty() && taken.capacity() >= 2 * READ_BYTES);
        assert!(buffers.take().capacity() >= READ_BYTES);
    }

    #[test]
    fn large_and_small_are_kept_apart() {
        let buffers = Buffers::default();
        buffers.give(buffers.take_for(LARGE_SPARE_BYTES + 1));
        assert!(buffers.take().capacity() < LARGE_SPARE_BYTES);
        assert_eq!(buffers.large.borrow().len(), 1);
        let large = buffers.take_for(LARGE_SPARE_BYTES + 10);
        assert!(large.capacity() > LARGE_SPARE_BYTES && buffers.large.borrow().is_empty());
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
        assert_eq!(buffers.small.borrow().len(), SPARES_MAX);
        assert_eq!(buffers.heads.borrow().len(), SPARES_MAX);
    }
}
