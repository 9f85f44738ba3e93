//! Two kinds of tasks. A panic in a task that serves a single connection ends that connection; a
//! panic in a task that serves the whole event loop ends the process, since no other task does its
//! work. Long steps of both are noticed.

use std::any::Any;
use std::cell::OnceCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::ids::ShardId;
use crate::link::progress::Progress;

/// Runs `task`, which serves one connection, on this event loop. A panic in it ends it, is logged
/// by the panic hook, and leaves every other task running; its sockets close with it.
pub fn spawn_for_one(task: impl Future<Output = ()> + 'static) {
    // Dropping the handle leaves the task running.
    drop(monoio::spawn(Guarded {
        task: Some(Box::pin(task)),
        whole: None,
    }));
}

/// Runs `task`, which serves the whole event loop, on it. A panic in it unwinds the event loop: its
/// thread ends, and with that the process, which a service manager restarts.
pub fn spawn_for_all(name: Name, task: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(Guarded {
        task: Some(Box::pin(task)),
        whole: Some(name),
    }));
}

/// The log's name for a task that serves the whole event loop.
pub type Name = &'static str;

/// Has the steps of this thread's tasks, which are those of `shard`, counted in `progress`.
pub fn count_steps(shard: ShardId, progress: Arc<Progress>) {
    STEPS.with(|steps| {
        // A thread runs only one event loop.
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
    /// The name of a task that serves the whole event loop; `None` for others.
    whole: Option<Name>,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let whole = self.whole;
        let Some(task) = self.task.as_mut() else {
            return Poll::Ready(());
        };
        step();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(debug_assertions)]
            trigger::fire(whole);
            task.as_mut().poll(context)
        }));
        let polled = match (polled, whole) {
            (Ok(Poll::Pending), _) => Poll::Pending,
            (Ok(Poll::Ready(())), _) => Poll::Ready(()),
            (Err(panic), Some(task)) => give_up(task, panic),
            (Err(_), None) => {
                let task = self.task.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
                Poll::Ready(())
            }
        };
        step();
        polled
    }
}

fn give_up(task: Name, panic: Box<dyn Any + Send>) -> ! {
    tracing::error!(
        task,
        "a task that serves the whole event loop has panicked: the process ends"
    );
    resume_unwind(panic)
}

/// Lets tests of a debug build see the effects of a panic in such a task.
#[cfg(debug_assertions)]
pub mod trigger {
    use std::cell::RefCell;

    thread_local! {
        static ASKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    /// Panics at once for `1`; for a task's name, that task panics when it is next polled on this
    /// thread.
    pub fn obey(asked: Option<&[u8]>) {
        assert!(asked != Some(b"1"), "a panic was asked for");
        asked.iter().for_each(|name| ASKED.set(name.to_vec()));
    }

    /// Panics if this task was asked to.
    pub fn fire(name: Option<super::Name>) {
        let asked = name.is_some_and(|name| ASKED.with_borrow(|asked| asked == name.as_bytes()));
        assert!(!asked, "a panic was asked for");
    }
}
