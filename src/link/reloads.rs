//! The way of a wish to reload the configuration to the thread that reloads, one wish after the
//! other.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::base::limits::RELOADS_MAX;

/// The end of those who wish for a reload.
#[derive(Clone, Debug)]
pub struct ReloadSender(Sender<Arc<Reload>>);

/// The end of the thread that reloads.
#[derive(Debug)]
pub struct ReloadReceiver(Receiver<Arc<Reload>>);

/// Wished is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// The configuration, and the files that it names.
    Configuration,
    /// The file of callers' keys, which has changed.
    Keys,
}

/// What the thread that reloads receives.
#[derive(Debug)]
pub enum Next {
    /// A wish.
    Wish(Arc<Reload>),
    /// No wish came in time.
    Nothing,
    /// No wish will come any more: every sender is gone.
    Never,
}

/// A wish, and room for its result.
#[derive(Debug)]
pub struct Reload {
    what: Wished,
    result: ArcSwapOption<ReloadResult>,
}

/// The result of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The file is in force.
    Done {
        /// Wished changes.
        changes: Changes,
        /// Event loops that do not turn: they adopt the file as soon as they do.
        stalled: Vec<String>,
    },
    /// The file cannot be used, and nothing has changed; all faults of the file.
    Refused(Vec<String>),
    /// The process is stopping.
    Stopping,
}

/// Wished a reload changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Wished takes effect, in words.
    pub changed: Vec<String>,
    /// Keys whose change takes effect only with a restart.
    pub needs_restart: Vec<&'static str>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (ReloadSender, ReloadReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(RELOADS_MAX);
    (ReloadSender(sender), ReloadReceiver(receiver))
}

impl ReloadSender {
    /// Wishes for a reload; `None` where the queue is full: the file is then read after this call
    /// anyway.
    #[must_use]
    pub fn wish(&self, what: Wished) -> Option<Arc<Reload>> {
        let result = ArcSwapOption::default();
        let reload = Arc::new(Reload { what, result });
        self.0.try_send(Arc::clone(&reload)).ok().map(|()| reload)
    }
}

impl ReloadReceiver {
    /// The next wish, waiting for at most `wait`, or without a limit.
    #[must_use]
    pub fn next(&self, wait: Option<Duration>) -> Next {
        let Some(wait) = wait else {
            return self.0.recv().map_or(Next::Never, Next::Wish);
        };
        match self.0.recv_timeout(wait) {
            Ok(wish) => Next::Wish(wish),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Never,
        }
    }
}

impl Reload {
    /// Wished is to be read again.
    #[must_use]
    pub const fn what(&self) -> Wished {
        self.what
    }

    /// Gives the result.
    pub fn tell(&self, result: ReloadResult) {
        self.result.store(Some(Arc::new(result)));
    }

    /// The result, once it is known.
    #[must_use]
    pub fn result(&self) -> Option<Arc<ReloadResult>> {
        self.result.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn wishes_wait_and_those_beyond_are_fulfilled_by_the_last() {
        let (sender, receiver) = channel();
        let wishes: Vec<_> = std::iter::from_fn(|| sender.wish(Wished::Keys)).collect();
        assert_eq!(wishes.len(), RELOADS_MAX);
        let next = || match receiver.next(None) {
            Next::Wish(wish) => Some(wish),
            Next::Nothing | Next::Never => None,
        };
        let wish = next().unwrap();
        assert!(wishes[0].result().is_none());
        wish.tell(ReloadResult::Stopping);
        assert_eq!(wishes[0].result().as_deref(), Some(&ReloadResult::Stopping));
        assert_eq!(wish.what(), Wished::Keys);
        assert!(sender.wish(Wished::Configuration).is_some());
        let left = std::iter::repeat_with(next).take(RELOADS_MAX);
        assert!(left.into_iter().all(|wish| wish.is_some()));
        assert!(matches!(receiver.next(Some(SOON)), Next::Nothing));
        drop(sender);
        assert!(matches!(receiver.next(Some(SOON)), Next::Never));
        assert!(next().is_none());
    }
}
