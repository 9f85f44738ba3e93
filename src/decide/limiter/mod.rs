//! Rate limits: what leaves the rolling window, what is left of the day, and how long a provider is
//! left alone.

mod cooldown;
mod day_word;
mod window;

pub use cooldown::Cooldown;
pub use day_word::DayWord;
pub use window::{Returned, Window60};
