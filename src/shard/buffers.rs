//! What a connection needs for a request and gives back after it: an idle connection has none.

use std::cell::{Cell, RefCell};

use crate::base::limits::{LARGE_SPARE_BYTES, LARGE_SPARES_BYTES_MAX, READ_BYTES, SPARES_MAX};
use crate::wire::head::Head;

/// One shard's spare buffers and heads; the one that was given back last is taken first.
#[derive(Default)]
pub struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
    /// Capacity of the large ones, all together.
    large_bytes: Cell<usize>,
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
        let is_large = room >= LARGE_SPARE_BYTES;
        let spare = if is_large { &self.large } else { &self.small };
        let mut spare = spare.borrow_mut();
        let Some(place) = spare.iter().rposition(|buffer| buffer.capacity() >= room) else {
            return Vec::with_capacity(room);
        };
        let buffer = spare.swap_remove(place);
        if is_large {
            let left = self.large_bytes.get() - buffer.capacity();
            self.large_bytes.set(left);
        }
        buffer
    }

    /// Sees to it that `bytes` has this much room behind what it holds.
    pub fn grow(&self, bytes: &mut Vec<u8>, room: usize) {
        if bytes.capacity() - bytes.len() < room {
            let mut larger = self.take_for(bytes.len() + room);
            larger.extend_from_slice(bytes);
            self.give(std::mem::replace(bytes, larger));
        }
    }

    /// Keeps `buffer` for whoever needs one next, unless it is too small or too large for that, or
    /// enough are there.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        match buffer.capacity() {
            ..READ_BYTES => {}
            READ_BYTES..LARGE_SPARE_BYTES => {
                let mut spare = self.small.borrow_mut();
                if spare.len() < SPARES_MAX {
                    spare.push(buffer);
                }
            }
            capacity => {
                let all = self.large_bytes.get() + capacity;
                if all <= LARGE_SPARES_BYTES_MAX {
                    self.large_bytes.set(all);
                    self.large.borrow_mut().push(buffer);
                }
            }
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
        for capacity in [0, READ_BYTES - 1, LARGE_SPARES_BYTES_MAX + 1] {
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
        for room in [LARGE_SPARE_BYTES + 10, LARGE_SPARE_BYTES] {
            buffers.give(Vec::with_capacity(room));
        }
        assert!(buffers.take().capacity() < LARGE_SPARE_BYTES);
        // The last one is too small.
        let large = buffers.take_for(LARGE_SPARE_BYTES + 10);
        assert!(large.capacity() >= LARGE_SPARE_BYTES + 10);
        assert_eq!(buffers.large.borrow().len(), 1);
        assert_eq!(
            buffers.large_bytes.get(),
            buffers.large.borrow()[0].capacity()
        );
    }

    #[test]
    fn what_a_buffer_holds_moves_with_it() {
        let buffers = Buffers::default();
        let mut bytes = buffers.take();
        bytes.extend_from_slice(b"begun");
        buffers.grow(&mut bytes, LARGE_SPARE_BYTES);
        assert_eq!(bytes, b"begun");
        assert!(bytes.capacity() >= LARGE_SPARE_BYTES + 5);
        assert_eq!(buffers.small.borrow().len(), 1);
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
        for _ in 0..100 {
            buffers.give(Vec::with_capacity(LARGE_SPARES_BYTES_MAX / 10));
        }
        assert_eq!(buffers.large.borrow().len(), 10);
    }
}
