//! `cargo x chaos`: the real binary between providers and callers that do everything wrong, from a
//! seed. Rounds of chaos end in calm; then what callers saw, the access lines and the books must be
//! one story, and nothing may be held any more.

pub(crate) mod books;
mod callers;
pub(crate) mod dice;
mod doors;
mod ends;
mod faults;
mod hostile;
mod judge;
mod play;
mod rounds;
mod router;
mod scene;
mod secrets;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use clap::Args;

use self::books::Books;
use self::dice::Dice;
use self::play::Play;
use self::scene::{AT_ONCE, LIMIT, LIMITED, Scene};
use self::watch::{Measured, Sample};
use crate::clock::Stopwatch;
use crate::commands;
use crate::processes::Processes;

/// Most memory at any time: bodies may take 64 MiB, and the rest is for everything else.
const MEMORY_MAX: f64 = 320.0;
/// What a router at rest may have more at the end than in the first quarter of the run: memory in
/// MiB, descriptors, threads. The allocator keeps what a round has fragmented; idle connections to
/// providers and to the store come and go.
const GROWTH_MAX: [f64; 3] = [32.0, 40.0, 2.0];

/// Flags of the command.
#[derive(Args)]
pub(crate) struct Options {
    /// What is drawn, drawn again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long, such as 60s or 10m
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = seconds)]
    time: u64,
    /// A folder with infermux and infermux-mock, in place of a debug build
    #[arg(long, value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// Build with optimization
    #[arg(long, conflicts_with = "bin")]
    release: bool,
}

/// Reads `90`, `90s` or `10m`.
fn seconds(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let count: u64 = digits.parse().map_err(|_| "not a time like 60s or 10m")?;
    Ok(count * factor)
}

/// Plays, judges, and prints what was seen.
///
/// # Errors
///
/// A broken promise, with the last acts; or a part that does not start.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let bin = binaries(options)?;
    let mut processes = Processes::new()?;
    let mut dice = Dice::new(options.seed, 0);
    let scene = Scene::build(&bin, &mut processes, &mut dice)?;
    let out = commands::target_dir()?.join("chaos");
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let name = format!("seed-{}", options.seed);
    let books = Books::new(&out.join(format!("{name}.log")))?;
    println!(
        "chaos, seed {}, {} s: {}",
        options.seed,
        options.time,
        scene.told()
    );
    let id = AtomicU32::new(0);
    let clock = Stopwatch::start();
    let control = scene.mocks[LIMITED].control.clone();
    let mut play = Play::begin(scene, books, &id, clock)?;
    let is_over = AtomicBool::new(false);
    let (rests, measured) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let limited = (control.as_str(), AT_ONCE);
            Measured::until(&is_over, &id, limited, clock)
        });
        let rests = rounds::play(&mut play, (options.seed, options.time));
        is_over.store(true, Ordering::Relaxed);
        (rests, watch.join())
    });
    let measured = measured.map_err(|_| "the watch panicked")?;
    measured.write(&out, &name)?;
    play.hear();
    play.books.flush();
    let trace = out.join(format!("{name}.trace"));
    std::fs::write(&trace, play.trace.join("\n")).map_err(|e| format!("the trace: {e}"))?;
    match rests {
        Ok(rests) => {
            let broken = flat(&rests, &measured, &play.forgets());
            play.broken.extend(broken);
        }
        Err(error) => play.broken.push(error),
    }
    let pages = out.join(&name);
    println!("written: {}.{{csv,svg,log,trace}}", pages.display());
    verdict(&play, options.seed)
}

fn binaries(options: &Options) -> Result<PathBuf, String> {
    if let Some(bin) = &options.bin {
        return Ok(bin.clone());
    }
    let profile = if options.release { "--release " } else { "" };
    let packages = "--package infermux --package infermux-mock";
    commands::cargo(&format!("build {profile}--locked {packages}"))?;
    let folder = if options.release { "release" } else { "debug" };
    Ok(commands::target_dir()?.join(folder))
}

/// What grew, and which limit of the provider was exceeded.
fn flat(rests: &[Sample], measured: &Measured, forgets: &[Duration]) -> Vec<String> {
    let mut broken = Vec::new();
    let most = measured
        .samples
        .iter()
        .map(|sample| sample.memory)
        .fold(0.0, f64::max);
    let minute = measured.fullest_minute(forgets);
    println!("at most {most:.0} MiB; {minute} of {LIMIT} requests in a minute at the limit");
    if most > MEMORY_MAX {
        broken.push(format!("{most:.0} MiB, where {MEMORY_MAX} are enough"));
    }
    if minute > LIMIT {
        broken.push(format!(
            "{minute} requests in a minute, where {LIMIT} are the limit"
        ));
    }
    if measured.longest_over > 5 {
        let looks = measured.longest_over;
        broken.push(format!(
            "more than {AT_ONCE} requests in flight at {looks} looks in a row"
        ));
    }
    let quarter = rests.len().div_ceil(4);
    let figures = |sample: &Sample| [sample.memory, sample.descriptors, sample.threads];
    let Some(last) = rests.last().map(figures) else {
        broken.push("nothing was ever at rest".to_owned());
        return broken;
    };
    let names = ["MiB", "descriptors", "threads"];
    for (place, name) in names.into_iter().enumerate() {
        let first = rests[..quarter].iter().map(|rest| figures(rest)[place]);
        let first = first.fold(0.0, f64::max);
        println!(
            "at rest: {first:.0} {name} in the first quarter, {:.0} at the end",
            last[place]
        );
        if last[place] > first + GROWTH_MAX[place] {
            broken.push(format!("{name} grew from {first:.0} to {:.0}", last[place]));
        }
    }
    broken
}

fn verdict(play: &Play<'_>, seed: u64) -> Result<(), String> {
    let mut broken = play.broken.clone();
    broken.extend(play.books.faults.iter().cloned());
    if broken.is_empty() {
        println!("every promise held");
        return Ok(());
    }
    println!("\nthe last acts:");
    let first = play.trace.len().saturating_sub(30);
    for line in &play.trace[first..] {
        println!("{}", line.chars().take(400).collect::<String>());
    }
    println!("\nbroken promises ({}):", broken.len());
    for what in broken.iter().take(10) {
        println!("  - {}", what.chars().take(3_000).collect::<String>());
    }
    let count = broken.len();
    Err(format!(
        "{count} broken promises; again: cargo x chaos --seed {seed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("60s"), Ok(60));
        assert_eq!(seconds("10m"), Ok(600));
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn growth_is_seen() {
        let rest = |memory| Sample {
            memory,
            ..Sample::default()
        };
        let rests = [20.0, 30.0, 40.0, 50.0].map(rest);
        assert_eq!(
            flat(&rests, &Measured::default(), &[]),
            Vec::<String>::new()
        );
        let rests = [20.0, 30.0, 40.0, 60.0].map(rest);
        assert_eq!(flat(&rests, &Measured::default(), &[]).len(), 1);
    }
}
