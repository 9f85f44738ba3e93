//! OpenAI chat completions to Anthropic Messages and back (reference/translation.md).
//!
//! Text in, text out: what is not understood is copied from the caller's or the provider's own
//! bytes, so that numbers and strings survive as they were written. A request whose content cannot
//! be expressed is refused with its place. It knows no socket, no provider's address and no policy.

pub mod answer;
mod compose;
pub mod error;
mod fields;
pub mod headers;
pub mod model;
pub mod models;
pub mod request;
pub mod stream;
pub mod usage;
