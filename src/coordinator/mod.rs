//! The threads beside the shards: name look-up and other blocking work (chores).

pub mod chores;
pub mod names;
pub mod publish;
pub mod run;
pub mod save;
pub mod state_file;
