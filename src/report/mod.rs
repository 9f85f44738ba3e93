//! Numbers to text: log lines, the answers to operators, and tables for their terminals.

pub mod access_line;
pub mod escape;
pub mod line;
pub mod overview;
pub mod providers;
pub mod table;
