//! infermux: an LLM inference router.
//!
//! The program is all there is: the rooms are private. `tests/tidy.rs` knows their floors.

#![expect(
    unreachable_pub,
    reason = "`pub` is for the other rooms: nothing leaves the crate but what is named below"
)]

mod base;
mod cli;
mod config;
mod coordinator;
mod decide;
mod dialect;
mod exchange;
mod ledger;
mod link;
mod report;
mod shard;
mod sys;
mod wire;

#[doc(hidden)]
pub mod testing;

pub use cli::run;
