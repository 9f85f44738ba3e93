//! Long computations, done beside the shards: a few threads take them from one bounded queue.
//!
//! A shard that has handed work over looks for the result each millisecond, and serves others
//! meanwhile. If work panics, only its result is lost. The threads end when nobody is left who
//! could hand them work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::base::limits::HELP_WAITING_MAX;
use crate::link::queue::{self, Giver, Taker};

/// A piece of work.
pub type Work = Box<dyn FnOnce() + Send>;

/// The end that hands work over.
pub struct Helpers(Giver<Work>);

/// The end that does the work; several threads have one.
#[derive(Clone)]
pub struct Helper(Taker<Work>);

/// Receives the result of a piece of work.
#[derive(Debug)]
pub struct Made<T>(Receiver<T>);

/// The result of a piece of work, as far as it is known.
#[derive(Debug, PartialEq, Eq)]
pub enum Look<T> {
    /// The work is waiting or under way.
    NotYet,
    /// The work is done; its result.
    Done(T),
    /// There will be no result: the work has panicked.
    Lost,
}

/// Both ends.
#[must_use]
pub fn channel() -> (Helpers, Helper) {
    let (giver, taker) = queue::queue(HELP_WAITING_MAX);
    (Helpers(giver), Helper(taker))
}

/// Turns `make` into a piece of work; returns it with the receiver of its result.
#[must_use]
pub fn work<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> (Work, Made<T>) {
    let (sender, receiver) = bounded(1);
    let work = move || {
        // The receiver may be gone.
        let _ = sender.try_send(make());
    };
    (Box::new(work), Made(receiver))
}

impl Helpers {
    /// Has `work` done.
    ///
    /// # Errors
    ///
    /// The queue is full: the work comes back.
    pub fn give(&self, work: Work) -> Result<(), Work> {
        self.0.offer(work)
    }
}

impl Helper {
    /// Does work until nobody is left who could hand any over.
    pub fn run(&self) {
        while let Some(work) = self.0.next() {
            // The panic hook logs the panic; the receiver finds the work lost.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }
}

impl<T> Made<T> {
    /// The result, if it is there by now.
    pub fn look(&self) -> Look<T> {
        match self.0.try_recv() {
            Ok(made) => Look::Done(made),
            Err(TryRecvError::Empty) => Look::NotYet,
            Err(TryRecvError::Disconnected) => Look::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_in_order_and_a_panic_loses_one_piece() {
        let (helpers, helper) = channel();
        let (first, one) = work(|| 1);
        let (second, lost) = work(|| -> u8 { std::panic::resume_unwind(Box::new(())) });
        let (third, three) = work(|| 3);
        for work in [first, second, third] {
            assert!(helpers.give(work).is_ok());
        }
        assert_eq!(one.look(), Look::NotYet);
        drop(helpers);
        helper.run();
        assert_eq!(one.look(), Look::Done(1));
        assert_eq!(lost.look(), Look::Lost);
        assert_eq!(three.look(), Look::Done(3));
    }

    #[test]
    fn what_finds_no_room_comes_back() {
        let (helpers, helper) = channel();
        for _ in 0..HELP_WAITING_MAX {
            assert!(helpers.give(work(|| ()).0).is_ok());
        }
        let (late, made) = work(|| 7);
        let Err(late) = helpers.give(late) else {
            unreachable!("the queue is full");
        };
        assert_eq!(made.look(), Look::NotYet);
        late();
        assert_eq!(made.look(), Look::Done(7));
        drop(helpers);
        helper.run();
    }
}
