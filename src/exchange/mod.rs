//! The steps of one request, pure: admit, route, answer, relay, refusal.
