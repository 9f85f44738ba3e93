//! How far the books are: whoever has had an answer finds it in a report.

use std::sync::Arc;

use infermux::testing::base::ids::ShardId;
use infermux::testing::link::progress::Progress;
use loom::sync::atomic::{AtomicU64, Ordering};

use super::{end, every_order, with};

const SHARD: ShardId = ShardId(0);

/// The words, and what goes beside them: the batch on its way, the books, and the answer.
#[derive(Default)]
struct World {
    batch: AtomicU64,
    books: AtomicU64,
    answered: AtomicU64,
}

/// Finds: a fact is announced after the answer, or with a relaxed store; a batch is said to be
/// merged before it is.
#[test]
fn a_report_has_every_answer_that_was_sent_before_it() {
    every_order(|| {
        let words = Arc::new((Progress::new(1), World::default()));
        let shard = with(&words, |words| {
            let (progress, world) = &*words;
            progress.announce(SHARD, 1);
            world.answered.store(1, Ordering::Release);
            world.batch.store(1, Ordering::Release);
        });
        let coordinator = with(&words, |words| {
            let (progress, world) = &*words;
            if world.batch.load(Ordering::Acquire) == 1 {
                world.books.store(1, Ordering::Relaxed);
                progress.merged(SHARD, 1);
            }
        });
        let asker = with(&words, |words| {
            let (progress, world) = &*words;
            if world.answered.load(Ordering::Acquire) == 0 {
                return;
            }
            let pending = progress.pending();
            assert_eq!(pending, [1], "the answer's fact is waited for");
            if progress.are_merged(&pending) {
                assert_eq!(world.books.load(Ordering::Relaxed), 1);
            }
        });
        end(shard);
        end(coordinator);
        end(asker);
    });
}

/// Finds: a loop that was seen not to turn stays so in its next step.
#[test]
fn a_loop_that_goes_on_is_waited_for_again() {
    every_order(|| {
        let progress = Arc::new(Progress::new(1));
        progress.step(SHARD);
        let shard = with(&progress, |progress| {
            progress.step(SHARD);
            progress.adopted(SHARD, 2);
            progress.step(SHARD);
        });
        let watch = with(&progress, |progress| {
            if let Some(step) = progress.step_of(SHARD) {
                progress.stall(SHARD, step);
            }
        });
        // Whoever has reloaded waits for all loops that turn.
        let reload = with(&progress, |progress| {
            let goes_on = progress.step_of(SHARD) != Some(1);
            if goes_on && progress.have_adopted(2) {
                assert!(progress.left_out(2).is_empty());
            }
        });
        end(shard);
        end(watch);
        end(reload);
        assert!(progress.have_adopted(2) && progress.left_out(2).is_empty());
    });
}
