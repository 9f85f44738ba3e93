//! What the log is told of the store over which instances share limits and budgets.

use crate::ledger::shares::quota::State;

/// The instance called `id` stands otherwise with the store of `namespace`.
pub fn tell(state: State, (namespace, id): (&str, &str), members: u64) {
    match state {
        State::Ok => tracing::info!(
            namespace,
            id,
            members,
            "limits and budgets are shared over all instances"
        ),
        State::Learning => tracing::warn!(
            namespace,
            "the shared store has no data, or older data: instances tell it what they hold, \
             and it grants nothing for 2 s"
        ),
        State::Away => tracing::warn!(
            namespace,
            "the shared store is out of reach: this instance goes on with what it has leased"
        ),
        State::Lost => tracing::error!(
            namespace,
            "the shared store has been out of reach for longer than a lease: shared limits \
             and budgets go by shared.on_loss"
        ),
    }
}
