//! Messages, as Anthropic defines them.

pub mod model;
