//! Numbers to text: the access line and, on top of it, the log format.

pub mod access_line;
pub mod escape;
pub mod line;
pub mod providers;
pub mod reloaded;
