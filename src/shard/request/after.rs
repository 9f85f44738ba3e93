//! What becomes of a caller's connection.

use crate::exchange::refusal::Connection;
use crate::shard::state::shard::Shard;

/// What becomes of the caller's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The connection takes another request.
    KeepAlive,
    /// The connection is closed.
    Close,
}

/// What becomes of the connection after a complete answer.
#[must_use]
pub fn after(shard: &Shard, connection: Connection) -> After {
    match shard.connection(connection) {
        Connection::KeepAlive => After::KeepAlive,
        Connection::Close => After::Close,
    }
}
