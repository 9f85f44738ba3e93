//! Memory for the futures of requests, which later requests use again.
//!
//! A request needs several times as much as an idle connection, so its future has memory of its
//! own. It is built there: moving a future of several KiB would cost more than many a step of the
//! request.
//! a step of the request.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::base::limits::SPARES_MAX;

/// One shard's spare rooms, all of one size; the room that was freed last is taken first.
pub struct Rooms {
    layout: Cell<Layout>,
    spare: RefCell<Vec<NonNull<u8>>>,
}

/// A future in its room.
pub struct Housed<'r, F> {
    future: NonNull<F>,
    rooms: &'r Rooms,
    owned: PhantomData<F>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            layout: Cell::new(Layout::new::<()>()),
            spare: RefCell::default(),
        }
    }
}

#[expect(unsafe_code, reason = "memory outlives the future that was in it")]
impl Rooms {
    /// Builds the future that `make` makes in a room.
    pub fn house<F: Future>(&self, make: impl FnOnce() -> F) -> Housed<'_, F> {
        const { assert!(size_of::<F>() > 0, "there is nothing to house") };
        let room = self.take(Layout::new::<F>()).cast::<F>();
        // SAFETY: the room has the size and the alignment of `F`, and is nobody else's. Should
        // `make` panic, the room is lost, and nothing is dropped.
        unsafe { room.write(make()) };
        Housed {
            future: room,
            rooms: self,
            owned: PhantomData,
        }
    }

    fn take(&self, layout: Layout) -> NonNull<u8> {
        if self.layout.get() == layout
            && let Some(room) = self.spare.borrow_mut().pop()
        {
            return room;
        }
        // SAFETY: a future of a request is not without a size, which is what `house` checks.
        let room = unsafe { alloc::alloc(layout) };
        NonNull::new(room).unwrap_or_else(|| alloc::handle_alloc_error(layout))
    }

    fn give(&self, room: NonNull<u8>, layout: Layout) {
        let mut spare = self.spare.borrow_mut();
        if spare.is_empty() {
            self.layout.set(layout);
        }
        if self.layout.get() == layout && spare.len() < SPARES_MAX {
            spare.push(room);
        } else {
            // SAFETY: the room was allocated with this layout.
            unsafe { alloc::dealloc(room.as_ptr(), layout) };
        }
    }
}

#[expect(unsafe_code, reason = "memory outlives the future that was in it")]
impl Drop for Rooms {
    fn drop(&mut self) {
        let layout = self.layout.get();
        for room in self.spare.get_mut().drain(..) {
            // SAFETY: all spare rooms were allocated with this layout.
            unsafe { alloc::dealloc(room.as_ptr(), layout) };
        }
    }
}

/// Only the pointer moves.
impl<F> Unpin for Housed<'_, F> {}

impl<F: Future> Future for Housed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        #[expect(unsafe_code, reason = "the future is reached through its pointer")]
        // SAFETY: the future was built in the room, stays there until it is dropped, and only its
        // `Housed` reaches it.
        let future = unsafe { Pin::new_unchecked(self.future.as_mut()) };
        future.poll(context)
    }
}

impl<F> Drop for Housed<'_, F> {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "the future is reached through its pointer")]
        // SAFETY: the future has been built, and is dropped only here.
        unsafe {
            self.future.drop_in_place();
        }
        self.rooms.give(self.future.cast(), Layout::new::<F>());
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_room_is_used_again_and_what_was_in_it_is_dropped() {
        let (rooms, held) = (Rooms::default(), Rc::new(7_u64));
        let mut context = Context::from_waker(Waker::noop());
        let mut places = Vec::new();
        for _ in 0..3 {
            let inside = Rc::clone(&held);
            let mut housed = rooms.house(|| async move {
                pending::<()>().await;
                *inside
            });
            assert!(Pin::new(&mut housed).poll(&mut context).is_pending());
            assert_eq!(Rc::strong_count(&held), 2);
            places.push(housed.future.cast::<u8>());
            drop(housed);
            assert_eq!(Rc::strong_count(&held), 1);
        }
        assert!(places.iter().all(|place| *place == places[0]));
    }

    #[test]
    fn rooms_of_several_sizes_do_no_harm() {
        let rooms = Rooms::default();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut large = rooms.house(|| ready([1_u8; 100]));
            let mut small = rooms.house(|| ready(2_u8));
            assert_eq!(Pin::new(&mut small).poll(&mut context), Poll::Ready(2));
            assert!(Pin::new(&mut large).poll(&mut context).is_ready());
        }
    }
}
