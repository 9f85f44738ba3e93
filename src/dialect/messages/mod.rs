//! Messages, as Anthropic defines them.

pub mod estimate;
pub mod inspect;
pub mod model;
pub mod own_thoughts;
pub mod read_event;
pub mod read_prompt;
pub mod write_models;
pub mod write_prompt;

#[cfg(test)]
#[path = "strict_tests.rs"]
pub(super) mod strict;
