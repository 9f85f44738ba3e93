//! The way of log lines to the one thread that writes them: shards never wait for a disk or a pipe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

/// The end that threads log to.
#[derive(Clone, Debug)]
pub struct LogSender {
    lines: Sender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// The end that the writing thread reads.
#[derive(Debug)]
pub struct LogReceiver {
    lines: Receiver<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// Both ends. At most 1,024 pieces wait; a shard's piece is at most about 64 KiB.
#[must_use]
pub fn channel() -> (LogSender, LogReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(1_024);
    let dropped = Arc::new(AtomicU64::new(0));
    (
        LogSender {
            lines: sender,
            dropped: Arc::clone(&dropped),
        },
        LogReceiver {
            lines: receiver,
            dropped,
        },
    )
}

impl LogSender {
    /// Hands `lines` (whole lines) over. Where nobody keeps up with writing, they are dropped and
    /// counted: requests do not wait for their log.
    pub fn send(&self, lines: Vec<u8>) {
        match self.lines.try_send(lines) {
            Ok(()) => {}
            Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines)) => {
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                self.dropped.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }
}

impl LogReceiver {
    /// The next lines; `None` once every sender is gone.
    #[must_use]
    pub fn next(&self) -> Option<Vec<u8>> {
        self.lines.recv().ok()
    }

    /// The next lines, unless none come within `wait` or every sender is gone.
    #[must_use]
    pub fn next_within(&self, wait: Duration) -> Option<Vec<u8>> {
        match self.lines.recv_timeout(wait) {
            Ok(lines) => Some(lines),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Lines dropped since this was last asked.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted() {
        let (sender, receiver) = channel();
        for _ in 0..1_030 {
            sender.send(b"a\nb\n".to_vec());
        }
        assert_eq!(receiver.take_dropped(), 12);
        assert_eq!(receiver.take_dropped(), 0);
        drop(sender);
        assert_eq!(std::iter::from_fn(|| receiver.next()).count(), 1_024);
    }
}
