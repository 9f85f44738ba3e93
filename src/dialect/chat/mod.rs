//! Chat completions, as OpenAI defines them and many servers offer them.

pub mod choices;
mod chunk;
pub mod inspect;
pub mod lessons;
pub mod model;
pub mod provider_error;
pub mod read_answer;
pub mod read_error;
pub mod read_event;
pub mod read_prompt;
pub mod relay;
pub mod usage;
pub mod write_answer;
pub mod write_error;
pub mod write_event;
pub mod write_prompt;
