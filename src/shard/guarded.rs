//! A task that panics ends alone.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `task` on this shard. A panic in it ends it, is logged by the panic hook, and leaves every
/// other task running; its sockets close with it.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    // Dropping the handle leaves the task running.
    drop(monoio::spawn(Guarded {
        task: Some(Box::pin(task)),
    }));
}

struct Guarded<F> {
    /// `None` once it has ended: a task that panicked is not polled again, and is dropped within
    /// the guard, too.
    task: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(task) = self.task.as_mut() else {
            return Poll::Ready(());
        };
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Err(_) => {
                let task = self.task.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
                Poll::Ready(())
            }
        }
    }
}
