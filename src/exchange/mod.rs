//! The steps of one request, pure: admit, route, answer, relay, refusal.

pub mod answer;
mod choices;
pub mod provider_error;
pub mod relay;
