//! The ground floor: time, money, tokens, ids, limits, bounded containers and secrets.
//!
//! It knows nothing of HTTP, JSON, providers or the outside world, and every other room may use it.
//! It never reads a clock, never does IO, and never holds anything that grows without a bound.

pub mod caller_key;
pub mod digest;
pub mod endpoint;
pub mod fingerprint;
pub mod ids;
pub mod limits;
pub mod map;
pub mod money;
pub mod month;
pub mod notice;
pub mod period;
pub mod random;
pub mod range;
pub mod reach;
pub mod secret;
pub mod shelves;
pub mod spent;
pub mod time;
pub mod tokens;
pub mod trace;
