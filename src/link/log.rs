//! The way of log lines to the one thread that writes them: shards never wait for a disk or a pipe.

use crate::link::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

/// The end that threads log to.
#[derive(Clone, Debug)]
pub struct LogSender {
    commands: Sender<LogCommand>,
    dropped: Arc<AtomicU64>,
}

/// The end that the writing thread reads.
#[derive(Debug)]
pub struct LogReceiver {
    commands: Receiver<LogCommand>,
    dropped: Arc<AtomicU64>,
}

/// A command to the writing thread.
#[derive(Debug)]
pub enum LogCommand {
    /// Write these lines.
    Lines(Vec<u8>),
    /// Say when everything before this is written.
    Flush(Flush),
}

/// A thread that waits until lines are written.
#[derive(Debug)]
pub struct Flush(Sender<()>);

impl Flush {
    /// Says that they are.
    pub fn done(self) {
        let _ = self.0.try_send(());
    }
}

/// Both ends. At most 1,024 commands wait; the lines of one are at most about 64 KiB.
#[must_use]
pub fn channel() -> (LogSender, LogReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(1_024);
    let dropped = Arc::new(AtomicU64::new(0));
    (
        LogSender {
            commands: sender,
            dropped: Arc::clone(&dropped),
        },
        LogReceiver {
            commands: receiver,
            dropped,
        },
    )
}

impl LogSender {
    /// Hands `lines` (whole lines) over. Where the writer does not keep up, they are dropped and
    /// counted: requests do not wait for their log.
    pub fn send(&self, lines: Vec<u8>) {
        match self.commands.try_send(LogCommand::Lines(lines)) {
            Ok(()) => {}
            Err(TrySendError::Full(command) | TrySendError::Disconnected(command)) => {
                let LogCommand::Lines(lines) = command else {
                    return;
                };
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                self.dropped.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }

    /// Waits until everything sent before is written, for about `wait` at most; returns whether it
    /// is.
    #[must_use]
    pub fn flush(&self, wait: Duration) -> bool {
        let (done, written) = crossbeam_channel::bounded(1);
        let asked = self
            .commands
            .send_timeout(LogCommand::Flush(Flush(done)), wait);
        asked.is_ok() && written.recv_timeout(wait).is_ok()
    }
}

impl LogReceiver {
    /// The next command; `None` once every sender is gone.
    #[must_use]
    pub fn next(&self) -> Option<LogCommand> {
        self.commands.recv().ok()
    }

    /// The next command; `None` where none comes within `wait` or every sender is gone.
    #[must_use]
    pub fn next_within(&self, wait: Duration) -> Option<LogCommand> {
        self.commands.recv_timeout(wait).ok()
    }

    /// How many lines were dropped since the last call.
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

    #[test]
    fn a_flush_waits_for_the_writer_and_no_longer_than_it_may() {
        let (sender, receiver) = channel();
        assert!(!sender.flush(Duration::ZERO));
        std::thread::scope(move |scope| {
            scope.spawn(move || {
                while let Some(command) = receiver.next() {
                    match command {
                        LogCommand::Lines(lines) => assert_eq!(lines, b"a\n"),
                        LogCommand::Flush(flush) => flush.done(),
                    }
                }
            });
            sender.send(b"a\n".to_vec());
            assert!(sender.flush(Duration::from_secs(10)));
            drop(sender);
        });
    }
}
