//! Rate limits: what leaves the rolling window, and how long a provider is left alone.

mod cooldown;
mod window;

pub use cooldown::Cooldown;
pub use window::{Returned, Window60};

use crate::base::tokens::Tokens;

/// What a request takes from a limit on tokens: its estimate, but never more than the limit itself,
/// so that a request larger than the whole window is admitted when the window is empty.
#[must_use]
pub fn reservation(estimate: Tokens, limit: Tokens) -> Tokens {
    estimate.min(limit)
}
