//! What threads tell each other; the only room that holds atomics and channels.
//!
//! There is no lock: each word is read and written by itself, and channels are bounded and never
//! block a shard.

pub mod addresses;
pub mod atomic;
pub mod budget_gate;
pub mod buffered;
pub mod caller_gates;
pub mod complaint;
pub mod counter;
pub mod events;
pub mod facts;
pub mod gate;
pub mod gathered;
mod headroom;
pub mod held;
pub mod helpers;
pub mod histogram;
mod in_flight;
pub mod index;
pub mod journal;
pub mod latest;
pub mod lease;
pub mod lists;
pub mod log;
pub mod marks;
pub mod memory;
pub mod meters;
pub mod noted;
pub mod orders;
pub mod origin;
pub mod owners;
pub mod pause;
pub mod progress;
pub mod provider_gate;
mod provider_parts;
pub mod queue;
pub mod recent;
pub mod recorder;
pub mod reloads;
pub mod reports;
pub mod retries;
pub mod scope_gate;
mod scope_limits;
mod scope_parts;
mod scope_taken;
mod standing;
pub mod states;
pub mod store;
mod taking;
pub mod trace;
pub mod watch;
pub mod webhooks;

/// A value on a cache line of its own, so that writers of neighbours do not slow each other down.
/// 128 bytes: x86 fetches lines in pairs, and some ARM cores have lines that long.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);
