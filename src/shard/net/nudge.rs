//! Wakes a task of the same shard when there is something for it to do.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A flag that one task waits for.
#[derive(Default)]
pub struct Nudge {
    given: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Nudge {
    /// Wakes the task, or lets its next wait end at once.
    pub fn give(&self) {
        self.given.set(true);
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for the next nudge.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.given.replace(false) {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
