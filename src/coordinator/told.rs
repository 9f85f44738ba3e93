//! What the main thread is told of the store over which several instances share.

use crate::ledger::shares::quota::State;

/// What the main thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The store answers; a start may wait for what it grants.
    Connected,
    /// The instance stands otherwise with the store; with `Ok`, it grants.
    Stands(State),
    /// Another living process has this one's name: this one must end.
    Taken,
}

/// Tells the main thread.
pub type Tell = Box<dyn Fn(Told) + Send>;
