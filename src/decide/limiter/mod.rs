//! Rate limits: what leaves the rolling window, and how long a provider is left alone.

mod cooldown;
mod window;

pub use cooldown::Cooldown;
pub use window::{Returned, Window60};
