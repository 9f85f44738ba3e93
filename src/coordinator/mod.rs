//! The threads beside the shards: the one that keeps the books, and those that block.

pub mod alerts;
mod allowances;
pub mod calls;
pub mod catalogue;
pub mod changes;
pub mod chores;
mod describe;
pub mod fleet;
mod keys;
pub mod known;
pub mod metrics;
pub mod names;
pub mod notices;
pub mod opening;
pub mod outages;
pub mod publish;
pub mod quotas;
mod recent;
pub mod reports;
pub mod run;
pub mod save;
mod scopes;
pub mod state_file;
pub mod store;
pub mod time;
pub mod webhooks;
