//! Chat completions, as OpenAI defines them and many servers offer them.

pub mod read_prompt;
