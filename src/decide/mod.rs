//! Facts to decisions: strategies, failover, breakers, limits.
//!
//! It knows ids, tokens, durations and outcomes only: no JSON, no HTTP, no provider name. Time and
//! randomness come in as arguments.

pub mod failover;
pub mod policy;
pub mod strategy;
