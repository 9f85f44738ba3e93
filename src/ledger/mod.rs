//! The books of the whole process: facts of shards go in, orders to shards come out.
//!
//! It is pure: the coordinator drives it, gives it facts and the time, and publishes its orders. It
//! never knows how facts arrive or where orders go.

pub mod books;
pub mod breakers;
pub mod budgets;
pub mod days;
pub mod lately;
pub mod limits;
pub mod shares;
pub mod state;
pub mod terms;
pub mod timeline;
pub mod totals;
pub mod webhooks;
