//! OpenAI's Responses: what callers of them ask for, and how they are answered.
//!
//! Providers that have them get a caller's request as it is; all others are asked in their own
//! dialect (reference/responses-inbound.md).

pub mod blame;
pub mod echo;
pub mod estimate;
pub mod failure;
pub mod for_messages;
mod frames;
mod ids;
pub mod inspect;
mod item;
pub mod keepalive;
pub mod missing;
pub mod native_body;
mod object;
mod output;
pub mod read_prompt;
pub mod references;
pub mod relay;
pub mod remembered;
pub mod retell;
mod told;
pub mod write_answer;
pub mod write_event;
pub mod write_failed;

#[cfg(test)]
#[path = "strict_tests.rs"]
pub(super) mod strict;
