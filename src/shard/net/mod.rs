//! Ring, sockets and time of one event loop; it knows no HTTP. monoio is named here alone.
//!
//! A future with an operation in the ring is never dropped to stop it: the socket is shut down and
//! the operation ends by itself ([`timers`]).

mod at_once;
pub mod bell;
pub mod buffers;
pub mod guarded;
pub mod io;
pub mod nudge;
pub mod outbox;
pub mod part;
pub mod ring;
pub mod rooms;
pub mod sleep;
pub mod socket;
pub mod tcp;
pub mod timers;
pub mod tls;
pub mod writer;
