//! The threads beside the shards: name look-up and other blocking work (chores).

pub mod chores;
pub mod names;
pub mod state_file;
