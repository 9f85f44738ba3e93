//! YAML text to a checked Plan, or every fault with its path.
//!
//! `raw` is the only place that names a key. Nothing here reads a file, the environment or a clock:
//! the text and a look-up for variables are arguments.

pub mod aliases;
pub mod cores;
pub mod decimal;
pub mod duration;
pub mod listen;
pub mod plan;
pub mod suggest;
pub mod url;
