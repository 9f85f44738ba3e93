//! The one machine of a stream: provider's bytes in, caller's bytes out, in whatever dialects.

pub mod books;
pub mod flow;
pub mod part;
pub mod plan;
