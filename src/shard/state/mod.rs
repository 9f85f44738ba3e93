//! One event loop, and one configuration on it.

pub mod access_log;
pub mod era;
pub mod meters;
pub mod relay;
pub mod reports;
