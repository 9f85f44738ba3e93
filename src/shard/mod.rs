//! One event loop per core, in four storeys: sockets and time (`net`), the two ends of a message
//! (`http`), the loop with the configuration on it (`state`), the way of one request (`request`).
//! Beside them stand health checks and the listener, above all `run`.
//!
//! Everything here belongs to one thread (`Rc`, `Cell`); nothing is shared but what `link`
//! publishes.

pub mod health;
pub mod http;
pub mod listener;
pub mod net;
pub mod request;
pub mod run;
pub mod state;
