//! An allocator that counts, so that memory without a bound is found.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, and a count of what the thread holds.
pub struct Meter;

thread_local! {
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The most that `run` held at one time, in bytes.
pub fn peak_of(run: impl FnOnce()) -> usize {
    HELD.set((0, 0));
    run();
    usize::try_from(HELD.get().1).unwrap_or_default()
}

fn count(change: isize) {
    // A thread that ends has no count any more.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = now + change;
        held.set((now, peak.max(now)));
    });
}

fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps what is asked of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_held_is_told() {
        let peak = peak_of(|| {
            drop(vec![0_u8; 5_000]);
            drop(vec![0_u8; 3_000]);
        });
        assert!((5_000..6_000).contains(&peak), "{peak}");
    }
}
