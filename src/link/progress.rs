//! How far each event loop has come, and how far the coordinator has come with its reports.

use crate::link::atomic::{AtomicU64, Ordering};

use crate::base::ids::{ProviderId, ShardId};
use crate::base::limits::PROVIDER_SEATS_MAX;
use crate::link::Padded;

/// For each shard: how far it has reported, how far the coordinator has merged that, which
/// configuration it goes by, how many successes have ended on it, and whether it turns.
///
/// No thread waits for a loop that does not turn: its counts can be read all the same, and it
/// adopts the latest configuration before it takes the next request.
#[derive(Debug)]
pub struct Progress {
    shards: Box<[Padded<ShardProgress>]>,
}

#[derive(Debug)]
struct ShardProgress {
    /// Number of the batch that holds, or will hold, the shard's latest fact.
    pending: AtomicU64,
    /// Number of the last batch that is merged.
    merged: AtomicU64,
    /// Number of the configuration that the shard's next request goes by; `u64::MAX` once it takes
    /// no more requests.
    adopted: AtomicU64,
    /// Counts the beginnings and ends of its tasks' steps: odd while a step is under way. A step
    /// ends only when the loop turns.
    steps: AtomicU64,
    /// The step during which the loop was last seen not to turn.
    stalled_in: AtomicU64,
    /// How often the loop was seen not to turn.
    stalls: AtomicU64,
    /// By provider, how many of its answers were successes.
    successes: Box<[AtomicU64]>,
}

/// A model of interleavings keeps the history of each word, and asks for no provider.
const SEATS: usize = if cfg!(loom) { 1 } else { PROVIDER_SEATS_MAX };

impl Default for ShardProgress {
    fn default() -> Self {
        Self {
            pending: AtomicU64::default(),
            merged: AtomicU64::default(),
            adopted: AtomicU64::default(),
            steps: AtomicU64::default(),
            stalled_in: AtomicU64::default(),
            stalls: AtomicU64::default(),
            successes: (0..SEATS).map(|_| AtomicU64::default()).collect(),
        }
    }
}

impl Progress {
    /// Nothing reported yet.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Padded::default()).collect(),
        }
    }

    /// The shard has a fact that will be in the batch of this number; only the shard calls this.
    pub fn announce(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .pending
            .store(number, Ordering::Release);
    }

    /// The batch is merged; only the coordinator calls this.
    pub fn merged(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .merged
            .store(number, Ordering::Release);
    }

    /// Whether a shard's batch is merged.
    #[must_use]
    pub fn is_merged(&self, shard: ShardId, number: u64) -> bool {
        self.shards[shard.index()].0.merged.load(Ordering::Acquire) >= number
    }

    /// A success has ended on the shard; only the shard calls this.
    pub fn succeeded(&self, shard: ShardId, provider: ProviderId) {
        if let Some(count) = self.shards[shard.index()].0.successes.get(provider.index()) {
            let next = count.load(Ordering::Relaxed) + 1;
            count.store(next, Ordering::Release);
        }
    }

    /// How many successes of a provider have ended so far, over all shards.
    #[must_use]
    pub fn successes(&self, provider: ProviderId) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| shard.0.successes.get(provider.index()))
            .map(|count| count.load(Ordering::Acquire))
            .sum()
    }

    /// The shard goes by this configuration; only the shard calls this.
    pub fn adopted(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .adopted
            .store(number, Ordering::Release);
    }

    /// Whether all shards that turn go by this configuration or a later one.
    #[must_use]
    pub fn have_adopted(&self, number: u64) -> bool {
        self.left_out(number).iter().all(|id| self.is_stalled(*id))
    }

    /// The shards that do not go by this configuration yet.
    #[must_use]
    pub fn left_out(&self, number: u64) -> Vec<ShardId> {
        let has_not = |id: &ShardId| {
            let adopted = &self.shards[id.index()].0.adopted;
            adopted.load(Ordering::Acquire) < number
        };
        self.ids().filter(has_not).collect()
    }

    /// For each shard, the batch that holds, or will hold, its latest fact.
    #[must_use]
    pub fn pending(&self) -> Vec<u64> {
        self.shards
            .iter()
            .map(|shard| shard.0.pending.load(Ordering::Acquire))
            .collect()
    }

    /// Whether these batches are merged, except those of shards that do not turn.
    #[must_use]
    pub fn are_merged(&self, numbers: &[u64]) -> bool {
        let mut shards = self.ids().zip(numbers);
        shards.all(|(id, number)| self.is_merged(id, *number) || self.is_stalled(id))
    }

    /// A step of a task begins or ends; only the shard calls this.
    pub fn step(&self, shard: ShardId) {
        let steps = &self.shards[shard.index()].0.steps;
        let next = steps.load(Ordering::Relaxed) + 1;
        steps.store(next, Ordering::Release);
    }

    /// The step that is under way on a shard; `None`: the shard sleeps, or is between two steps.
    #[must_use]
    pub fn step_of(&self, shard: ShardId) -> Option<u64> {
        let steps = self.shards[shard.index()].0.steps.load(Ordering::Acquire);
        (steps % 2 == 1).then_some(steps)
    }

    /// Notes that the shard does not turn, since this step takes too long. Only the watching thread
    /// calls this.
    pub fn stall(&self, shard: ShardId, step: u64) {
        let words = &self.shards[shard.index()].0;
        if words.stalled_in.swap(step, Ordering::AcqRel) != step {
            words.stalls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The step during which the shard was last seen not to turn; 0: there was none.
    #[must_use]
    pub fn stalled_in(&self, shard: ShardId) -> u64 {
        self.shards[shard.index()]
            .0
            .stalled_in
            .load(Ordering::Acquire)
    }

    /// How often the shard was seen not to turn.
    #[must_use]
    pub fn stalls(&self, shard: ShardId) -> u64 {
        self.shards[shard.index()].0.stalls.load(Ordering::Relaxed)
    }

    /// Whether the shard does not turn: it is still in the step in which that was noted.
    #[must_use]
    pub fn is_stalled(&self, shard: ShardId) -> bool {
        self.step_of(shard) == Some(self.stalled_in(shard))
    }

    /// The names of these shards, as in metrics; the last shard is the operators' event loop.
    pub fn names(&self, shards: impl IntoIterator<Item = ShardId>) -> Vec<String> {
        let last = self.shards.len() - 1;
        let name = |id: ShardId| match id.index() {
            index if index == last => "control".to_owned(),
            index => index.to_string(),
        };
        shards.into_iter().map(name).collect()
    }

    /// The names of the shards that do not turn.
    #[must_use]
    pub fn stalled(&self) -> Vec<String> {
        self.names(self.ids().filter(|id| self.is_stalled(*id)))
    }

    /// All shards.
    pub fn ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..=u16::MAX).take(self.shards.len()).map(ShardId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_complete_when_all_that_was_pending_is_merged() {
        let progress = Progress::new(2);
        progress.announce(ShardId(1), 3);
        let pending = progress.pending();
        assert_eq!(pending, [0, 3]);
        progress.merged(ShardId(1), 2);
        assert!(!progress.are_merged(&pending) && !progress.is_merged(ShardId(1), 3));
        progress.merged(ShardId(1), 3);
        assert!(progress.are_merged(&pending) && progress.is_merged(ShardId(1), 3));
    }

    #[test]
    fn successes_are_counted_over_all_shards() {
        let progress = Progress::new(3);
        for (shard, provider) in [(0, 1), (2, 1), (2, 1), (2, 0)] {
            progress.succeeded(ShardId(shard), ProviderId(provider));
        }
        let counts = [0, 1, 2].map(|provider| progress.successes(ProviderId(provider)));
        assert_eq!(counts, [1, 3, 0]);
    }

    #[test]
    fn nobody_waits_for_a_shard_that_does_not_turn() {
        let progress = Progress::new(3);
        let id = ShardId(1);
        progress.announce(id, 1);
        for id in [ShardId(0), ShardId(2)] {
            progress.adopted(id, 4);
        }
        progress.step(id);
        let step = progress.step_of(id).unwrap();
        assert!(!progress.is_stalled(id) && !progress.are_merged(&progress.pending()));
        progress.stall(id, step);
        progress.stall(id, step);
        assert_eq!(progress.stalled(), ["1"]);
        assert!(progress.are_merged(&progress.pending()) && progress.have_adopted(4));
        assert_eq!(progress.left_out(4), [id]);
        assert!(!progress.have_adopted(5));
        // The loop turns again, and other threads wait for it again.
        progress.step(id);
        assert_eq!((progress.step_of(id), progress.stalls(id)), (None, 1));
        assert!(progress.stalled().is_empty() && progress.stalled_in(id) == step);
        assert!(!progress.are_merged(&progress.pending()) && !progress.have_adopted(4));
        assert_eq!(progress.names(progress.ids()), ["0", "1", "control"]);
    }
}
