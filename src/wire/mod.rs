//! What bytes mean: HTTP/1 heads and bodies, JSON by byte range, server-sent events, usage, each
//! provider dialect. It holds no policy.

pub mod json;
pub mod openai;
pub mod splice;
pub mod sse;
pub mod usage;
