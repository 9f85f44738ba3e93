//! infermux: an LLM inference router.

pub mod base;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod decide;
pub mod exchange;
pub mod ledger;
pub mod link;
pub mod report;
pub mod shard;
pub mod sys;
pub mod translate;
pub mod wire;
