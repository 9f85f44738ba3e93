//! Messages, as Anthropic defines them.

pub mod model;
pub mod write_prompt;
