//! Messages, as Anthropic defines them.

pub mod estimate;
pub mod headers;
pub mod inspect;
pub mod model;
pub mod own_thoughts;
pub mod read_answer;
pub mod read_error;
pub mod read_event;
pub mod read_models;
pub mod read_prompt;
pub mod relay;
pub mod retell;
mod stop;
mod told;
pub mod usage;
pub mod write_answer;
pub mod write_error;
pub mod write_event;
pub mod write_models;
pub mod write_prompt;

#[cfg(test)]
#[path = "strict_tests.rs"]
pub(super) mod strict;
