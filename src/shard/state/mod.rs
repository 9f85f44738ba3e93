//! One event loop, and one configuration on it.

pub mod access_log;
pub mod callers;
pub mod common;
pub mod current;
pub mod desk;
pub mod era;
pub mod event_loop;
pub mod idle;
pub mod journals;
pub mod lobby;
pub mod meters;
pub mod relay;
pub mod reports;
pub mod shard;
pub mod yielding;
