//! Buffers that a connection takes for a request and gives back after it: an idle connection has
//! none.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::limits::{
    AT_ONCE_BYTES_MAX, LARGE_SPARE_BYTES, LARGE_SPARES_BYTES_MAX, READ_BYTES, SPARES_MAX,
};
use crate::link::buffered::{Held, Lease};
use crate::wire::head::Head;

/// One shard's spare buffers and heads; the one that was given back last is taken first.
#[derive(Default)]
pub struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
    /// Capacity of all large buffers together.
    large_bytes: Cell<usize>,
    heads: RefCell<Vec<Head>>,
    /// Says how much more may be held.
    lease: Option<Rc<Lease>>,
}

/// A body that is being read: where it begins in its buffer, and how much of it is still to come,
/// as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    /// Where it begins.
    pub start: usize,
    /// How many bytes are missing at most.
    pub missing: usize,
}

impl Buffers {
    /// No spare buffer yet; `lease` says how much more may be held.
    #[must_use]
    pub fn new(lease: Rc<Lease>) -> Self {
        Self {
            lease: Some(lease),
            ..Self::default()
        }
    }

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
        // A much larger buffer would be counted whole, and serves another request better.
        let fitting = room..=2 * room.max(LARGE_SPARE_BYTES);
        let fits = |buffer: &Vec<u8>| fitting.contains(&buffer.capacity());
        let Some(place) = spare.iter().rposition(fits) else {
            return Vec::with_capacity(room);
        };
        let buffer = spare.swap_remove(place);
        if is_large {
            let left = self.large_bytes.get() - buffer.capacity();
            self.large_bytes.set(left);
        }
        buffer
    }

    /// An empty buffer for one read of this size; a small one where no more may be held, so that
    /// waiting connections go on slowly.
    #[must_use]
    pub fn take_for_read(&self, room: usize) -> Vec<u8> {
        // The bytes may have to wait for their receiver, in a larger buffer, and in TLS records
        // besides.
        let is_short = |lease: &Rc<Lease>| !lease.has_room(5 * room);
        if room >= LARGE_SPARE_BYTES && self.lease.as_ref().is_some_and(is_short) {
            // A spare buffer may have more room, and the read would use it.
            return Vec::with_capacity(READ_BYTES);
        }
        self.take_for(room)
    }

    /// Makes sure that `bytes` has room for the next read of a body, and that `held` counts the
    /// room before it exists. As much room is made as has arrived already, so that a peer that
    /// announces a large body and does not send it takes none. Returns false where no more may be
    /// held.
    #[must_use]
    pub fn make_room(&self, bytes: &mut Vec<u8>, held: &mut Held, coming: Coming) -> bool {
        let arrived = bytes.len() - coming.start;
        let spare = bytes.capacity() - bytes.len();
        let missing = coming.missing.saturating_add(READ_ROOM);
        if spare >= missing.min(READ_ROOM) {
            return held.grow_to(arrived + spare.min(missing).min(AT_ONCE_BYTES_MAX));
        }
        let room = missing.min(arrived.max(AT_ONCE_BYTES_MAX));
        if !held.grow_to(arrived + room) {
            return false;
        }
        if bytes.len() + room > COPIED_BYTES_MAX {
            // The system moves large allocations without copying them.
            bytes.reserve_exact(room);
        } else {
            self.grow(bytes, room);
        }
        true
    }

    /// Makes sure that `bytes` has this much room behind its content.
    pub fn grow(&self, bytes: &mut Vec<u8>, room: usize) {
        if bytes.capacity() - bytes.len() < room {
            let mut larger = self.take_for(bytes.len() + room);
            larger.extend_from_slice(bytes);
            self.give(std::mem::replace(bytes, larger));
        }
    }

    /// Keeps `buffer` for its next user, unless it is too small or too large, or there are enough
    /// already.
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
            capacity if capacity <= LARGE_SPARES_BYTES_MAX => {
                let mut spare = self.large.borrow_mut();
                let mut all = self.large_bytes.get() + capacity;
                // The buffer that has not been used for longest is dropped.
                while all > LARGE_SPARES_BYTES_MAX {
                    all -= spare.remove(0).capacity();
                }
                self.large_bytes.set(all);
                spare.push(buffer);
            }
            _ => {}
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

/// Spare room behind a body: bytes that follow it on the connection may come with its end.
const READ_ROOM: usize = 1 << 10;
/// Buffers up to this size are copied into larger ones, as the allocator would do, too.
const COPIED_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::link::buffered::Pool;

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
        // The buffer that was given back last is too small.
        let large = buffers.take_for(LARGE_SPARE_BYTES + 10);
        assert!(large.capacity() >= LARGE_SPARE_BYTES + 10);
        assert_eq!(buffers.large.borrow().len(), 1);
        assert_eq!(
            buffers.large_bytes.get(),
            buffers.large.borrow()[0].capacity()
        );
        buffers.give(Vec::with_capacity(1 << 20));
        let fitting = buffers.take_for(100_000);
        assert!(fitting.capacity() < 1 << 20, "it is much too large");
        assert!(buffers.take_for(600_000).capacity() >= 1 << 20);
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
    fn room_is_made_for_what_comes_and_not_for_what_is_announced() {
        let lease = Lease::new(Arc::new(Pool::new(8 << 20, 1)), Arc::default());
        let buffers = Buffers::new(Rc::clone(&lease));
        let (mut bytes, mut held) = (buffers.take(), lease.hold());
        bytes.extend_from_slice(b"HEAD{");
        let coming = |missing| Coming { start: 4, missing };
        assert!(buffers.make_room(&mut bytes, &mut held, coming(1 << 30)));
        assert!(bytes.capacity() <= READ_BYTES && held.bytes() <= READ_BYTES);
        let (mut moves, mut place) = (0, bytes.as_ptr());
        while bytes.len() < 3 << 20 {
            let missing = (4 << 20) - bytes.len();
            assert!(buffers.make_room(&mut bytes, &mut held, coming(missing)));
            assert!(held.bytes() <= (2 * bytes.len()).max(bytes.len() + AT_ONCE_BYTES_MAX));
            bytes.resize(bytes.capacity().min(bytes.len() + 20_000), b'x');
            assert!(held.bytes() >= bytes.len() - 4 - READ_ROOM);
            moves += usize::from(std::mem::replace(&mut place, bytes.as_ptr()) != place);
        }
        assert!(moves < 10, "{moves}: it grows by as much as there is");
        let more = coming(16 << 20);
        while buffers.make_room(&mut bytes, &mut held, more) {
            bytes.resize(bytes.capacity(), b'x');
        }
        assert!(
            held.bytes() > 4 << 20,
            "refused before there is room for it"
        );
        assert!(bytes.capacity() <= 8 << 20);
    }

    #[test]
    fn a_read_is_small_where_no_more_may_be_held() {
        let lease = Lease::new(Arc::new(Pool::new(1 << 20, 1)), Arc::default());
        let buffers = Buffers::new(Rc::clone(&lease));
        assert!(buffers.take_for_read(64 << 10).capacity() >= 64 << 10);
        let mut held = lease.hold();
        assert!(held.grow_to(1_000_000));
        assert!(buffers.take_for_read(64 << 10).capacity() < LARGE_SPARE_BYTES);
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
