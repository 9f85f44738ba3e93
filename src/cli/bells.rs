//! The bells that wake the event loops.

use crate::sys::bell::Ringer;

/// The bells of the event loops.
pub struct Bells {
    /// One per shard.
    pub shards: Vec<Ringer>,
    /// The bell of the operators' loop.
    pub control: Ringer,
}

impl Bells {
    /// Rings all of them.
    pub fn ring(&self) {
        self.shards.iter().for_each(Ringer::ring);
        self.control.ring();
    }
}
