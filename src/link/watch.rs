//! Watches whether event loops turn.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ShardId;
use crate::base::time::Instant;
use crate::link::progress::Progress;

/// Looks again and again which step each loop is in.
#[derive(Debug)]
pub struct Watch {
    progress: Arc<Progress>,
    /// For each loop, the step in which it was last seen, and when it was first seen there.
    seen: Vec<(Option<u64>, Instant)>,
}

impl Watch {
    /// No loop has been seen yet.
    #[must_use]
    pub fn new(progress: Arc<Progress>) -> Self {
        let seen = progress.ids().map(|_| (None, Instant::ZERO)).collect();
        Self { progress, seen }
    }

    /// Looks at all loops, and notes that those which have been in one step for [`STALLED_AFTER`]
    /// do not turn; returns how long the worst of them has been in its step.
    pub fn look(&mut self, now: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        for (id, seen) in self.progress.ids().zip(&mut self.seen) {
            longest = longest.max(look_at(&self.progress, id, seen, now));
        }
        longest
    }
}

fn look_at(
    progress: &Progress,
    id: ShardId,
    seen: &mut (Option<u64>, Instant),
    now: Instant,
) -> Duration {
    let step = progress.step_of(id);
    if step.is_none() || step != seen.0 {
        *seen = (step, now);
        return Duration::ZERO;
    }
    let span = now.since(seen.1);
    if let Some(step) = step
        && span >= STALLED_AFTER
    {
        progress.stall(id, step);
    }
    span
}

/// How long a step takes until its loop counts as one that does not turn.
pub const STALLED_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_loop_that_sleeps_is_well_and_one_that_stays_in_a_step_is_not() {
        let progress = Arc::new(Progress::new(2));
        let mut watch = Watch::new(Arc::clone(&progress));
        assert_eq!(watch.look(at(60_000)), Duration::ZERO);
        progress.step(ShardId(0));
        assert_eq!(watch.look(at(60_010)), Duration::ZERO);
        assert_eq!(watch.look(at(60_109)), Duration::from_millis(99));
        assert!(progress.stalled().is_empty());
        assert_eq!(watch.look(at(60_110)), Duration::from_millis(100));
        assert_eq!(progress.stalled(), ["0"]);
        assert_eq!(watch.look(at(95_010)), Duration::from_secs(35));
        progress.step(ShardId(0));
        assert!(progress.stalled().is_empty());
        assert_eq!(watch.look(at(95_020)), Duration::ZERO);
        // Time in another step is counted anew.
        for millis in [95_030, 95_100, 95_170] {
            progress.step(ShardId(0));
            progress.step(ShardId(0));
            progress.step(ShardId(0));
            assert_eq!(watch.look(at(millis)), Duration::ZERO);
            progress.step(ShardId(0));
        }
        assert_eq!(progress.stalls(ShardId(0)), 1);
    }
}
