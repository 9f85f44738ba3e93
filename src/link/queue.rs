//! Work that one thread hands to another.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

/// The end that hands work over.
#[derive(Debug)]
pub struct Giver<T>(Sender<T>);

/// The end that does the work; several threads may share it.
#[derive(Debug)]
pub struct Taker<T>(Receiver<T>);

/// What a wait for work has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// A piece of work.
    Work(T),
    /// No work came in time.
    Nothing,
    /// No thread is left that could hand any over.
    Gone,
}

impl<T> Clone for Taker<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Both ends of a queue with room for this many pieces of work.
#[must_use]
pub fn queue<T>(room: usize) -> (Giver<T>, Taker<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(room);
    (Giver(sender), Taker(receiver))
}

impl<T> Giver<T> {
    /// Hands `work` over if there is room; returns whether there was.
    pub fn give(&self, work: T) -> bool {
        self.offer(work).is_ok()
    }

    /// Hands `work` over if there is room.
    ///
    /// # Errors
    ///
    /// There is no room: the work comes back.
    pub fn offer(&self, work: T) -> Result<(), T> {
        self.0.try_send(work).map_err(TrySendError::into_inner)
    }
}

impl<T> Taker<T> {
    /// A piece of work, if one is waiting.
    #[must_use]
    pub fn ready(&self) -> Option<T> {
        self.0.try_recv().ok()
    }

    /// Waits for the next piece of work, for at most `wait`.
    #[must_use]
    pub fn within(&self, wait: Duration) -> Taken<T> {
        match self.0.recv_timeout(wait) {
            Ok(work) => Taken::Work(work),
            Err(RecvTimeoutError::Timeout) => Taken::Nothing,
            Err(RecvTimeoutError::Disconnected) => Taken::Gone,
        }
    }

    /// Waits for the next piece of work; `None`: no thread is left that could hand any over.
    #[must_use]
    pub fn next(&self) -> Option<T> {
        self.0.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_taken_in_order_and_refused_without_room() {
        let (giver, taker) = queue(2);
        assert!(giver.give(1) && giver.give(2) && !giver.give(3));
        assert_eq!((taker.next(), taker.ready()), (Some(1), Some(2)));
        assert_eq!(taker.ready(), None);
        assert_eq!(taker.within(Duration::ZERO), Taken::Nothing);
        drop(giver);
        assert_eq!(taker.next(), None);
        assert_eq!(taker.within(Duration::MAX), Taken::Gone);
    }
}
