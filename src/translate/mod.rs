//! OpenAI chat completions to Anthropic Messages and back.
//!
//! Text in, text out: strings and numbers are copied as they were written. It knows no socket, no
//! provider's address and no policy.

pub mod stream;
