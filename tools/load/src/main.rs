//! infermux-load: measures throughput and latency of an HTTP server, event streams included.

mod answer;
mod args;
mod clock;
mod connection;
mod events;
mod kind;
mod pace;
mod plots;
mod report;
mod request;
mod tally;
mod target;
mod tls;
mod worker;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::Parser;

use crate::args::{Args, Extent, Plan};
use crate::clock::Clock;
use crate::connection::Server;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::target::Target;
use crate::tls::Tls;
use crate::worker::{Job, Worker};

fn main() -> ExitCode {
    let plan = match Args::parse().plan() {
        Ok(plan) => plan,
        Err(message) => return fail(&message),
    };
    match run(&plan) {
        Ok((tally, window)) => {
            print!("{}", report::render(&plan, &tally, window));
            if let Some(path) = &plan.html {
                let page = plots::page(&plan, &tally, window);
                if let Err(e) = std::fs::write(path, page) {
                    return fail(&format!("{}: {e}", path.display()));
                }
            }
            ExitCode::from(u8::from(tally.latency.len() == 0))
        }
        Err(message) => fail(&message),
    }
}

/// Exit code 2 for a run that never began, as in clap; 1 for a run without one good answer.
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(2)
}

/// Runs the plan: the sum over all threads, and the time that rates refer to.
fn run(plan: &Plan) -> Result<(Tally, Duration), String> {
    let address = plan
        .target
        .resolve()
        .map_err(|e| format!("cannot resolve {}: {e}", plan.target))?;
    let tls = |target: &Target| Tls::new(&target.host, &plan.trust);
    let server = Server {
        address,
        tls: plan
            .target
            .is_https
            .then(|| tls(&plan.target))
            .transpose()?,
    };
    let progress: Vec<AtomicU64> = (0..plan.threads).map(|_| AtomicU64::new(0)).collect();
    let clock = Clock::start();
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for (index, progress) in (0..plan.threads).zip(&progress) {
            let job = Job {
                server: server.clone(),
                request: plan.request.of_thread(index, plan.threads),
                connections: part(u64::from(plan.connections), index, plan.threads),
                kind: plan.kind,
                timeout: plan.timeout,
                pace: pace(plan, index),
                measured_from: plan.warmup,
                window_end: match plan.extent {
                    Extent::Time(span) => Some(plan.warmup + span),
                    Extent::Requests(_) => None,
                },
                clock,
                progress,
            };
            let core = plan
                .pin
                .as_ref()
                .and_then(|cores| cores.0.get(index as usize).copied());
            let sender = sender.clone();
            scope.spawn(move || {
                let result = pin(core).and_then(|()| {
                    Worker::new(job)
                        .and_then(Worker::run)
                        .map_err(|e| e.to_string())
                });
                // The receiver outlives every thread of this scope.
                let _ = sender.send(result);
            });
        }
        drop(sender);
        Ok(collect(plan, &receiver, &progress, clock))
    })
}

fn pin(core: Option<usize>) -> Result<(), String> {
    match core {
        Some(id) if !core_affinity::set_for_current(core_affinity::CoreId { id }) => {
            Err(format!("cannot pin a thread to core {id}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The share of thread `index` in the run.
fn pace(plan: &Plan, index: u32) -> Pace {
    let pace = match plan.extent {
        Extent::Time(span) => Pace::until(plan.warmup + span, plan.warmup),
        Extent::Requests(count) => Pace::count(part(count, index, plan.threads), plan.warmup),
    };
    match plan.rate {
        None => pace,
        Some(rate) => {
            let step = Duration::from_secs_f64(1.0 / rate);
            pace.every(step * plan.threads, step * index)
        }
    }
}

/// The share of one of `parts` when `total` is divided as evenly as possible.
fn part(total: u64, index: u32, parts: u32) -> u64 {
    let (index, parts) = (u64::from(index), u64::from(parts));
    total / parts + u64::from(index < total % parts)
}

/// Waits for every thread, with a line on the terminal meanwhile.
fn collect(
    plan: &Plan,
    receiver: &Receiver<Result<Tally, String>>,
    progress: &[AtomicU64],
    clock: Clock,
) -> (Tally, Duration) {
    let mut total = Tally::new();
    let mut line = ProgressLine {
        is_shown: std::io::stderr().is_terminal(),
        answers: 0,
    };
    loop {
        match receiver.recv_timeout(Duration::from_millis(500)) {
            Ok(Ok(tally)) => total.add(&tally),
            Ok(Err(message)) => {
                // The other threads would run to their end for nothing.
                line.clear();
                eprintln!("error: {message}");
                std::process::exit(2);
            }
            Err(RecvTimeoutError::Timeout) => {
                line.show(
                    clock.now(),
                    progress.iter().map(|n| n.load(Ordering::Relaxed)).sum(),
                );
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    line.clear();
    let window = match plan.extent {
        Extent::Time(span) => span,
        Extent::Requests(_) => total.last_end.saturating_sub(plan.warmup),
    };
    (total, window)
}

/// The line on the terminal that says how the run goes.
struct ProgressLine {
    is_shown: bool,
    answers: u64,
}

impl ProgressLine {
    fn show(&mut self, now: Duration, answers: u64) {
        let rate = (answers - self.answers) * 2;
        self.answers = answers;
        if self.is_shown {
            eprint!(
                "\r{:6.1} s  {answers:>12} answers  {rate:>9}/s ",
                now.as_secs_f64()
            );
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.is_shown {
            eprint!("\r{:60}\r", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_out_everything_evenly() {
        for (total, parts) in [(10, 3), (2, 4), (7, 1)] {
            let all: Vec<u64> = (0..parts).map(|index| part(total, index, parts)).collect();
            assert_eq!(all.iter().sum::<u64>(), total);
            assert!(all.iter().max().unwrap() - all.iter().min().unwrap() <= 1);
        }
    }
}
