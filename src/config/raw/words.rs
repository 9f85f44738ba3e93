//! What several keys may have as their values.

use std::time::Duration;

use crate::config::raw::kinds::Kind::{self, Whole, Word};

/// The longest span of time.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// A span of time.
pub(super) const SPAN: Kind = Kind::Span(Duration::from_millis(1), DAY);
/// A span of time, or none.
pub(super) const SPAN_OR_ZERO: Kind = Kind::Span(Duration::ZERO, DAY);
/// The shortest span of some keys.
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// How many.
pub(super) const COUNT: Kind = Whole(1, 1_000_000_000);
/// What happens when a budget is used up.
pub(super) const ACTIONS: Kind = Word(&["hard_stop", "alert", "model_override"]);
/// What happens when the shared store is out of reach.
pub(super) const ON_LOSS: Kind = Word(&["share", "closed", "open"]);
/// What tells conversations apart.
pub(super) const AFFINITIES: Kind = Word(&["off", "auto", "session", "prefix"]);
/// How a provider is chosen.
pub(super) const STRATEGIES: Kind = Word(&[
    "round_robin",
    "least_latency",
    "cost_weighted",
    "random",
    "priority",
]);
