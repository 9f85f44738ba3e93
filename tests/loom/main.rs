//! The words of `link` under every order of loads and stores that the memory model allows: `cargo x
//! loom`. The words are the product's own; the cfg `loom` gives them loom's atomics.
//!
//! Each model names a mistake that it finds: with it in the product, the model fails.

#![cfg(loom)]

mod budgets;
mod leases;
mod permits;
mod progress;
mod scopes;
mod tickets;

use loom::thread::{JoinHandle, spawn};

/// Plays every interleaving of what `model` starts.
fn every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // More changes of the running thread than that have found nothing more, and take hours.
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}

/// Most changes of the running thread that no wait asks for.
const PREEMPTIONS_MAX: usize = 2;

/// A thread that works on a clone of `words`. Whatever is to be interleaved is done by such
/// threads: loom leaves the first thread of a model only where that waits.
fn with<W: Clone + Send + 'static, R: Send + 'static>(
    words: &W,
    work: impl FnOnce(W) -> R + Send + 'static,
) -> JoinHandle<R> {
    let words = words.clone();
    spawn(move || work(words))
}

/// What the thread has returned.
fn end<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("the thread ends")
}
