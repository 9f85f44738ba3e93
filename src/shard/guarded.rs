//! A task that panics ends alone, and one whose step takes long is noticed.

use std::cell::OnceCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::ids::ShardId;
use crate::link::progress::Progress;

/// Runs `task` on this shard. A panic in it ends it, is logged by the panic hook, and leaves every
/// other task running; its sockets close with it.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    // Dropping the handle leaves the task running.
    drop(monoio::spawn(Guarded {
        task: Some(Box::pin(task)),
    }));
}

/// Lets `progress` know of the steps of this thread's tasks, which are those of `shard`.
pub(super) fn count_steps(shard: ShardId, progress: Arc<Progress>) {
    STEPS.with(|steps| {
        // A thread runs one event loop.
        let _ = steps.set((shard, progress));
    });
}

thread_local! {
    static STEPS: OnceCell<(ShardId, Arc<Progress>)> = const { OnceCell::new() };
}

/// A task's step begins or ends.
fn step() {
    STEPS.with(|steps| {
        if let Some((shard, progress)) = steps.get() {
            progress.step(*shard);
        }
    });
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
        step();
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        let polled = match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Err(_) => {
                let task = self.task.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
                Poll::Ready(())
            }
        };
        step();
        polled
    }
}
