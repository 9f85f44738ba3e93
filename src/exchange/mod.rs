//! The steps of one request, pure: authenticate, route, answer, relay, refusal.
//!
//! It gets gates and gives facts, both plain values, and does not know where the books are kept.

pub mod affinity;
pub mod answer_head;
pub mod attribution;
pub mod auth;
pub mod callers;
pub mod carried;
pub mod catalogue;
pub mod checkup;
pub mod cors;
pub mod course;
pub mod door;
pub mod explain;
pub mod headers;
pub mod inbound;
pub mod masks;
pub mod media;
pub mod model_list;
pub mod origin;
pub mod other_endpoints;
pub mod outbound;
pub mod overrides;
pub mod page;
pub mod parameters;
pub mod passed;
pub mod path_hint;
pub mod pins;
pub mod principal;
pub mod purse;
mod query;
pub mod quota;
pub mod recent_keys;
pub mod refusal;
pub mod remembered;
pub mod request;
pub mod request_id;
pub mod route;
pub mod scopes;
pub mod segments;
pub mod stored;
pub mod target;
pub mod trace;
pub mod unsettled;
pub mod version;
pub mod windows;
