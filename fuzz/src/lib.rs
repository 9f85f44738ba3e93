//! infermux under attack: everything that reads bytes from outside, as plain functions of bytes.
//!
//! Two engines drive them: libFuzzer, which goes by coverage (`fuzz_targets/any.rs`), and the loop
//! of `main.rs`, which any toolchain can build.

pub mod corpus;
mod dialect;
pub mod meter;
pub mod mutate;
pub mod seeds;
pub mod target;
pub mod targets;

#[global_allocator]
static ALLOCATOR: meter::Meter = meter::Meter;
