//! Buffers that the kernel chooses from when it has bytes to hand over.

#![expect(unsafe_code, reason = "the kernel reads the list of buffers")]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The number of the only pool.
pub(crate) const GROUP: u16 = 0;
/// Buffers; a power of two.
const COUNT: u16 = 4_096;
/// Bytes of each.
const SIZE: u32 = 16 << 10;
/// What the kernel wants the list to be aligned to.
const PAGE: usize = 4_096;

/// Bytes in a buffer of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The buffer.
    pub(crate) id: u16,
    /// Where they start.
    pub(crate) at: u32,
    /// How many they are.
    pub(crate) len: u32,
}

/// The buffers, and the list from which the kernel takes them. It lives as long as the process.
pub(crate) struct Pool {
    list: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    tail: u16,
}

impl Pool {
    /// A pool whose buffers all belong to the kernel.
    ///
    /// # Errors
    ///
    /// The kernel does not take the list: it is older than Linux 5.19.
    pub(crate) fn new(submitter: &Submitter<'_>) -> io::Result<Self> {
        let list = zeroed(usize::from(COUNT) * size_of::<BufRingEntry>());
        let bytes = zeroed(usize::from(COUNT) * SIZE as usize);
        let list = list.cast::<BufRingEntry>();
        // SAFETY: the list is aligned, has room for `COUNT` entries and is never freed.
        unsafe { submitter.register_buf_ring(list.as_ptr() as u64, COUNT, GROUP)? };
        let mut pool = Self {
            list,
            bytes,
            tail: 0,
        };
        (0..COUNT).for_each(|id| pool.put(id));
        Ok(pool)
    }

    /// Gives a buffer back to the kernel.
    pub(crate) fn put(&mut self, id: u16) {
        let place = usize::from(self.tail & (COUNT - 1));
        let address = self.address(Piece { id, at: 0, len: 0 }) as u64;
        // SAFETY: `place` is below `COUNT`, and the kernel reads no entry at or after the tail.
        let entry = unsafe { &mut *self.list.as_ptr().add(place) };
        entry.set_addr(address);
        entry.set_len(SIZE);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the list has been set up; its tail is aligned, and nothing else here writes it.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.list.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail)
        };
        // The entry must be there before the kernel sees it.
        tail.store(self.tail, Ordering::Release);
    }

    /// Where the bytes of `piece` lie.
    pub(crate) fn address(&self, piece: Piece) -> *const u8 {
        let at = usize::from(piece.id) * SIZE as usize + piece.at as usize;
        debug_assert!(piece.id < COUNT && piece.at + piece.len <= SIZE);
        self.bytes.as_ptr().wrapping_add(at)
    }
}

/// `size` zeroes that start at a page, and are never freed.
fn zeroed(size: usize) -> NonNull<u8> {
    let Ok(layout) = Layout::from_size_align(size, PAGE) else {
        unreachable!("the sizes are constants");
    };
    // SAFETY: the sizes are not zero.
    let address = unsafe { alloc_zeroed(layout) };
    NonNull::new(address).unwrap_or_else(|| handle_alloc_error(layout))
}
