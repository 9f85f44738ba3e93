//! The doors to the world: clock, cores, signals, files, sockets, name look-up, entropy.
//!
//! Each door is a few lines around one system call; nothing here decides anything.

pub mod bell;
pub mod clock;
pub mod cores;
pub mod entropy;
pub mod files;
pub mod http;
pub mod listen;
pub mod names;
pub mod notify;
pub mod process;
pub mod redis;
pub mod signals;
pub mod stream;
pub mod terminal;
pub mod tls;
