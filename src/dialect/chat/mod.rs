//! Chat completions, as OpenAI defines them and many servers offer them.

pub mod lessons;
pub mod model;
pub mod read_prompt;
pub mod write_prompt;
