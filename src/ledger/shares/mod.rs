//! This instance's shares of the limits and budgets that hold over all instances.

pub mod message;
pub mod quota;
