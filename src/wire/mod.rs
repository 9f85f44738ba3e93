//! What bytes mean: HTTP/1 heads and bodies, JSON by byte range, server-sent events, usage.
//!
//! It holds no policy: what is allowed, who is asked and what a status leads to is decided above.

pub mod azure;
pub mod body;
pub mod chunked;
pub mod draft;
pub mod field;
pub mod forms;
pub mod head;
pub mod inflate;
pub mod json;
pub mod known;
pub mod multipart;
pub mod needle;
pub mod outline;
pub mod path;
pub mod plain;
pub mod provider_error;
pub mod retry_after;
pub mod rules;
pub mod scan;
pub mod seen;
pub mod splice;
pub mod sse;
pub mod status;
pub mod stream_fault;
pub mod trace_context;
pub mod usage;
