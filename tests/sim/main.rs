//! The simulation: shards, coordinator, providers and callers in one thread, from one seed.
//!
//! The ledger, the gates, the coordinator and the facts' way to it are the real ones. Callers,
//! providers and the shards' requests are played, time is a number, and everything that can go
//! wrong does. After every step the judge checks the promises. A run is its seed: the same seed
//! takes the same steps.
//!
//! `fleet` plays several instances with a shared store, likewise.
//!
//! `cargo x sim SEED` replays one with a line for each step, `cargo x sim --seeds N` runs many.

#![expect(
    clippy::disallowed_methods,
    reason = "`cargo x sim` says by variables what to run"
)]

mod allowed;
mod body;
mod circuit;
mod dice;
mod fleet;
mod judge;
mod memory;
mod money;
mod play;
mod promise;
mod request;
mod scene;
mod scopes;
mod tap;
mod told;
mod way;
mod window;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use world::{Trace, run};

/// Seeds of an ordinary run: as many as play in two minutes in a debug build on two cores.
const SEEDS: u64 = 1_000;
/// Seeds of several instances, in an ordinary run.
const SEEDS_OF_FLEETS: u64 = 2_000;
/// Further seeds, which have broken a promise once: what was wrong then has a test of its own
/// where it was, since a seed's world changes with the simulation.
const ONCE_BROKEN: [u64; 3] = [1511, 6586, 13995];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs a seed; what it broke, in one line.
fn outcome(seed: u64, trace: Trace) -> Result<u64, String> {
    let replay = format!("cargo x sim {seed}");
    match catch_unwind(AssertUnwindSafe(|| run(seed, trace))) {
        Ok(Ok((steps, _))) => Ok(steps),
        Ok(Err(fault)) => {
            let (step, now, broken) = (fault.step, fault.now, fault.broken);
            let (promise, how) = (broken.promise, broken.how);
            let at = now.since(infermux::testing::base::time::Instant::ZERO);
            Err(format!(
                "seed {seed}, step {step}, at {at:?}: {promise} is broken: {how} ({replay})"
            ))
        }
        Err(_) => Err(format!("seed {seed}: a panic ({replay})")),
    }
}

#[test]
fn promises_hold_whatever_goes_wrong() {
    // proves: attempt.once
    // proves: stream.never-short
    // proves: memory.bounded
    // proves: overflow.larger-only
    // proves: overflow.told-last
    // proves: breaker.one-probe
    // proves: breaker.in-order
    // proves: breaker.always-ends
    // proves: verdict.before-cause
    // proves: limit.never-over
    // proves: scope.each-counts
    // proves: refused.uses-nothing
    // proves: refused.for-a-reason
    // proves: budget.never-over
    // proves: reservation.settled-once
    // proves: spend.equals-told
    if let Some(seed) = number("INFERMUX_SIM_SEED") {
        let steps = outcome(seed, Trace::Printed).unwrap_or_else(|fault| panic!("{fault}"));
        println!("seed {seed}: {steps} steps, all promises kept");
        return;
    }
    let seeds: Vec<u64> = match number("INFERMUX_SIM_SEEDS") {
        Some(seeds) => (1..=seeds).collect(),
        None => (1..=SEEDS).chain(ONCE_BROKEN).collect(),
    };
    match sweep(&seeds, |seed| outcome(seed, Trace::None)) {
        Ok(steps) => println!("{} seeds, {steps} steps, all promises kept", seeds.len()),
        Err(faults) => panic!("{}", faults.join("\n")),
    }
}

/// Runs these seeds on all cores: the steps they took, or what was broken, the lowest seed first.
fn sweep(
    seeds: &[u64],
    outcome: impl Fn(u64) -> Result<u64, String> + Sync,
) -> Result<u64, Vec<String>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut steps, mut faults) = (0, Vec::new());
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            match outcome(*seed) {
                Ok(taken) => steps += taken,
                Err(fault) => faults.push((*seed, fault)),
            }
        }
        (steps, faults)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|part| part.expect("seeds' panics are caught"))
            .collect::<Vec<_>>()
    });
    let steps = parts.iter().map(|(steps, _)| steps).sum();
    let mut faults: Vec<_> = parts.into_iter().flat_map(|(_, faults)| faults).collect();
    faults.sort();
    if faults.is_empty() {
        return Ok(steps);
    }
    Err(faults.into_iter().map(|(_, fault)| fault).collect())
}

/// Runs a fleet's seed; what it broke, in one line.
fn outcome_of_fleet(seed: u64, trace: bool) -> Result<u64, String> {
    let replay = format!("cargo x sim --fleet {seed}");
    match catch_unwind(AssertUnwindSafe(|| fleet::world::run(seed, trace))) {
        Ok(Ok(steps)) => Ok(steps),
        Ok(Err((now, broken))) => {
            let (promise, how) = (broken.promise, broken.how);
            let at = now.since(infermux::testing::base::time::Instant::ZERO);
            Err(format!(
                "fleet {seed}, at {at:?}: {promise} is broken: {how} ({replay})"
            ))
        }
        Err(_) => Err(format!("fleet {seed}: a panic ({replay})")),
    }
}

#[test]
fn several_instances_keep_their_promises_whatever_goes_wrong() {
    if let Some(seed) = number("INFERMUX_SIM_FLEET") {
        let steps = outcome_of_fleet(seed, true).unwrap_or_else(|fault| panic!("{fault}"));
        println!("fleet {seed}: {steps} steps, all promises kept");
        return;
    }
    let seeds = number("INFERMUX_SIM_SEEDS").map_or(SEEDS_OF_FLEETS, |seeds| seeds * 2);
    let seeds: Vec<u64> = (1..=seeds).collect();
    match sweep(&seeds, |seed| outcome_of_fleet(seed, false)) {
        Ok(steps) => println!("{} fleets, {steps} steps, all promises kept", seeds.len()),
        Err(faults) => panic!("{}", faults.join("\n")),
    }
}

#[test]
fn a_seed_takes_the_same_steps_every_time() {
    for seed in [1, 7, 42] {
        let trace = || {
            run(seed, Trace::Kept(String::new()))
                .ok()
                .map(|(_, trace)| trace)
        };
        let first = trace();
        assert!(first.is_some(), "seed {seed} breaks a promise");
        assert_eq!(first, trace(), "seed {seed}");
    }
}
