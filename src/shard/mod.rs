//! One event loop per core: callers' connections, the upstream pool, timers; it drives exchanges.
//!
//! Everything here belongs to one thread (`Rc`, `Cell`); nothing is shared but what `link`
//! publishes. A future with an operation in the ring is never dropped to stop it: the socket is
//! shut down and the operation ends by itself ([`timers`]).

pub mod ask;
pub mod attempt;
mod bell;
pub mod body;
pub mod buffers;
pub mod caller;
pub mod choose;
pub mod conclude;
pub mod connect;
pub mod connection;
pub mod decode;
pub mod drive;
pub mod era;
pub mod fetch;
mod guarded;
pub mod head_end;
pub mod health;
pub mod help;
pub mod kind;
pub mod listener;
pub mod lists;
pub mod local;
pub mod log;
pub mod lost;
pub mod manage;
pub mod meters;
#[cfg(debug_assertions)]
mod mishap;
pub mod models;
pub mod nudge;
pub mod outbox;
pub mod part;
pub mod permit;
pub mod place;
pub mod pool;
pub mod receive;
pub mod refuse;
pub mod reports;
pub mod retold;
pub mod ring;
pub mod rooms;
pub mod run;
pub mod settle;
pub mod socket;
pub mod spare;
pub mod spend;
pub mod stream;
pub mod timers;
pub mod tls;
pub mod translated;
pub mod upstream;
pub mod whole;
pub mod words;
pub mod writer;
