//! Nanoseconds of each hot step, one line per step: `name nanoseconds`. An argument that is no flag
//! selects the steps whose names contain it.

mod common;

use std::time::{Duration, Instant};

/// Rounds of one step; the fastest counts, since other work on the machine only adds time.
const ROUNDS: u32 = 15;
/// Length of a round.
const ROUND: Duration = Duration::from_millis(5);

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, _) in common::STEPS {
        if wanted.as_ref().is_none_or(|wanted| name.contains(wanted)) {
            println!("{name} {:.1}", nanos(&mut *common::step(name)));
        }
    }
}

/// Nanoseconds of one run.
fn nanos(run: &mut dyn FnMut()) -> f64 {
    let mut runs = 1;
    while took(runs, run) < ROUND {
        runs *= 2;
    }
    let best = (0..ROUNDS).map(|_| took(runs, run)).min();
    best.unwrap_or_default().as_secs_f64() * 1e9 / f64::from(runs)
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is real time that is measured"
)]
fn took(runs: u32, run: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..runs {
        run();
    }
    start.elapsed()
}
