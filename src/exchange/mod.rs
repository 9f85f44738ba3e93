//! The steps of one request, pure: admit, route, answer, relay, refusal.

pub mod admit;
pub mod attribution;
pub mod headers;
pub mod refusal;
pub mod request_id;
pub mod route;
