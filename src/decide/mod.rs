//! Facts to decisions: strategies, failover, breakers, limits.
//!
//! It knows ids, tokens, durations and outcomes only: no JSON, no HTTP, no provider name. Time and
//! randomness come in as arguments.

pub mod affinity;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod circuit;
pub mod delivery;
pub mod eligible;
pub mod ewma;
pub mod failover;
pub mod limiter;
pub mod outcome;
pub mod percentile;
pub mod policy;
pub mod pricing;
pub mod retry_budget;
pub mod room;
pub mod rotation;
pub mod rows;
pub mod sampling;
pub mod slices;
pub mod slowness;
pub mod spread;
pub mod strategy;
pub mod units;
pub mod window;
