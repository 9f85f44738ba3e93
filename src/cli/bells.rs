//! What wakes the event loops.

use crate::sys::bell::Ringer;

/// The bells of the event loops.
pub struct Bells {
    /// One per shard.
    pub shards: Vec<Ringer>,
    /// That of the loop for operators.
    pub control: Ringer,
}

impl Bells {
    /// Rings all of them.
    pub fn ring(&self) {
        self.shards.iter().for_each(Ringer::ring);
        self.control.ring();
    }
}
