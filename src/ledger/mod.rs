//! The books of the whole process: what shards report, and what is decided from it.
//!
//! The coordinator drives it: facts and moments go in, orders come out. It knows the Plan and what
//! threads say to each other; it never reads a clock, never does IO, and publishes nothing itself.

pub mod budgets;
pub mod limits;
pub mod state;
