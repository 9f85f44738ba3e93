//! The simulation of several instances: processes with the real shares and windows, the shared
//! store as a machine, and a network that loses, repeats, delays and cuts.
//!
//! Each process has a clock of its own, up to 2 % fast or slow, and the store has one, too. What a
//! process counts as a window is then up to 2 % shorter than it is, so promises are judged by
//! windows that are as much shorter.

pub(crate) mod allowed;
mod calm;
pub(crate) mod process;
pub(crate) mod setting;
#[path = "../support/store.rs"]
pub(crate) mod store;
pub(crate) mod wire;
pub(crate) mod world;
