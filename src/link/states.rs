//! The way of the durable state to the thread that writes it to a file.

use crate::link::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

/// The coordinator's end; `S` is the durable state.
#[derive(Debug)]
pub struct StateSender<S> {
    states: Sender<S>,
    told: Arc<Told>,
}

/// The writer's end.
#[derive(Debug)]
pub struct StateReceiver<S> {
    states: Receiver<S>,
    told: Arc<Told>,
}

/// What the writer reports.
#[derive(Debug, Default)]
struct Told {
    /// How long the last write took, in nanoseconds.
    took: AtomicU64,
    /// Writes that failed.
    failures: AtomicU64,
}

/// What the writer receives.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<S> {
    /// A state to write.
    State(S),
    /// No state came in time.
    Nothing,
    /// No state will come any more.
    Never,
}

/// Both ends. One state waits at most; the sender keeps a later one until there is room.
#[must_use]
pub fn channel<S>() -> (StateSender<S>, StateReceiver<S>) {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let told = Arc::<Told>::default();
    (
        StateSender {
            states: sender,
            told: Arc::clone(&told),
        },
        StateReceiver {
            states: receiver,
            told,
        },
    )
}

impl<S> StateSender<S> {
    /// Hands `state` over, unless another one still waits.
    ///
    /// # Errors
    ///
    /// Another state waits: this one comes back.
    pub fn offer(&self, state: S) -> Result<(), S> {
        self.states.try_send(state).map_err(|error| match error {
            TrySendError::Full(state) | TrySendError::Disconnected(state) => state,
        })
    }

    /// Hands the last state over, waiting until there is room.
    ///
    /// # Errors
    ///
    /// The writer is gone: the state comes back.
    pub fn give(&self, state: S) -> Result<(), S> {
        self.states.send(state).map_err(|error| error.0)
    }

    /// How long the last write took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.told.took.load(Ordering::Relaxed))
    }

    /// Whether there is room for a state.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.states.is_full()
    }

    /// How many writes have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.told.failures.load(Ordering::Relaxed)
    }
}

impl<S> StateReceiver<S> {
    /// The next state, waiting for at most `wait`, or without a limit.
    #[must_use]
    pub fn next(&self, wait: Option<Duration>) -> Received<S> {
        let Some(wait) = wait else {
            return self.states.recv().map_or(Received::Never, Received::State);
        };
        if wait.is_zero() && self.states.is_empty() {
            // With a zero timeout the channel would give up this thread's time slice first.
            return Received::Nothing;
        }
        match self.states.recv_timeout(wait) {
            Ok(state) => Received::State(state),
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::Never,
        }
    }

    /// Reports how long the last write took: to a slow disk, the state is written less often.
    pub fn tell(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.told.took.store(nanos, Ordering::Relaxed);
    }

    /// Counts a write that failed.
    pub fn count_failure(&self) {
        self.told.failures.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_waits_and_the_next_comes_back() {
        let (sender, receiver) = channel();
        assert_eq!(sender.offer("a"), Ok(()));
        assert_eq!(sender.offer("b"), Err("b"));
        assert_eq!(receiver.next(None), Received::State("a"));
        assert_eq!(receiver.next(Some(Duration::ZERO)), Received::Nothing);
        receiver.tell(Duration::from_millis(3));
        receiver.count_failure();
        assert_eq!(
            (sender.took(), sender.failures()),
            (Duration::from_millis(3), 1)
        );
        assert!(sender.has_room());
        assert_eq!(sender.give("c"), Ok(()));
        drop(sender);
        assert_eq!(receiver.next(None), Received::State("c"));
        assert_eq!(receiver.next(None), Received::Never);
    }
}
