//! One event loop per core: callers' connections, the upstream pool, timers; it drives exchanges.
//!
//! Everything here belongs to one thread (`Rc`, `Cell`); nothing is shared but what `link` publishes.
//! A future with an operation in the ring is never dropped to stop it: the socket is shut down and the
//! operation ends by itself ([`timers`]).

mod guarded;
pub mod ring;
pub mod socket;
pub mod timers;
pub mod tls;
