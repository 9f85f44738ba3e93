//! The way of the durable state to the thread that writes it to a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

/// The coordinator's end.
#[derive(Debug)]
pub struct StateSender {
    states: Sender<String>,
    told: Arc<Told>,
}

/// The writer's end.
#[derive(Debug)]
pub struct StateReceiver {
    states: Receiver<String>,
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
pub enum Received {
    /// A state to write.
    State(String),
    /// No state came in time.
    Nothing,
    /// No state will come any more.
    Never,
}

/// Both ends. One state waits at most; the sender keeps a later one until there is room.
#[must_use]
pub fn channel() -> (StateSender, StateReceiver) {
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

impl StateSender {
    /// Hands `text` over, unless another state still waits.
    ///
    /// # Errors
    ///
    /// Another state waits: the text comes back.
    pub fn offer(&self, text: String) -> Result<(), String> {
        self.states.try_send(text).map_err(|error| match error {
            TrySendError::Full(text) | TrySendError::Disconnected(text) => text,
        })
    }

    /// Hands the last state over, waiting until there is room.
    ///
    /// # Errors
    ///
    /// The writer is gone: the text comes back.
    pub fn give(&self, text: String) -> Result<(), String> {
        self.states.send(text).map_err(|error| error.0)
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

impl StateReceiver {
    /// The next state, waiting for at most `wait`, or without a limit.
    #[must_use]
    pub fn next(&self, wait: Option<Duration>) -> Received {
        let Some(wait) = wait else {
            return self.states.recv().map_or(Received::Never, Received::State);
        };
        if wait.is_zero() && self.states.is_empty() {
            // With a zero timeout the channel would give up this thread's time slice first.
            return Received::Nothing;
        }
        match self.states.recv_timeout(wait) {
            Ok(text) => Received::State(text),
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
        assert_eq!(sender.offer("a".into()), Ok(()));
        assert_eq!(sender.offer("b".into()), Err("b".into()));
        assert_eq!(receiver.next(None), Received::State("a".into()));
        assert_eq!(receiver.next(Some(Duration::ZERO)), Received::Nothing);
        receiver.tell(Duration::from_millis(3));
        receiver.count_failure();
        assert_eq!(
            (sender.took(), sender.failures()),
            (Duration::from_millis(3), 1)
        );
        assert!(sender.has_room());
        assert_eq!(sender.give("c".into()), Ok(()));
        drop(sender);
        assert_eq!(receiver.next(None), Received::State("c".into()));
        assert_eq!(receiver.next(None), Received::Never);
    }
}
