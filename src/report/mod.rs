//! Numbers to text: the log, and what the management API shows.

pub mod access_line;
pub mod costs;
pub mod escape;
pub mod line;
pub mod metrics;
pub mod providers;
pub mod status;
