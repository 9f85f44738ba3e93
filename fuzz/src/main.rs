//! Runs the attacks with any toolchain: every input that is kept, then changed ones for a while.
//!
//! Coverage does not lead this loop, as it leads libFuzzer; it is for machines without a nightly
//! toolchain, and for a quick look. What libFuzzer has found is in the corpus, where it starts.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of developers reads the clock, its arguments and its environment"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use infermux_fuzz::corpus::{self, home};
use infermux_fuzz::mutate::Mutator;
use infermux_fuzz::seeds;
use infermux_fuzz::target::Target;
use infermux_fuzz::targets::{self, named};

const USAGE: &str = "usage:
  smoke [SECONDS [SEED]]    every target: the corpus, then changed inputs for so long in all
  try TARGET [SECONDS]      one target
  replay TARGET FILE        one input, as it is in the file
  unpack TARGET FOLDER      the inputs that the target begins with, a file each
  pack TARGET FOLDER BYTES  keeps the smallest of the folder's inputs, so many bytes in all
  add TARGET FILE           keeps one more input
  list                      the targets";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Deep input must not need more stack than a shard has.
    let run = std::thread::Builder::new().stack_size(STACK_BYTES);
    let ended = std::thread::scope(|scope| {
        let run = run.spawn_scoped(scope, || command(&words));
        run.map(|run| run.join().unwrap_or(ExitCode::FAILURE))
    });
    ended.unwrap_or(ExitCode::FAILURE)
}

/// The standard library's default for threads, which the product leaves as it is.
const STACK_BYTES: usize = 2 << 20;

fn command(words: &[&str]) -> ExitCode {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match *words {
        ["smoke"] => smoke(60, 1),
        ["smoke", seconds] => smoke(number(seconds), 1),
        ["smoke", seconds, seed] => smoke(number(seconds), number(seed)),
        ["try", name] => attempt(target(name), Duration::from_secs(60), 1),
        ["try", name, seconds] => attempt(target(name), Duration::from_secs(number(seconds)), 1),
        ["replay", name, file] => {
            target(name).check(&std::fs::read(file).expect("the file"));
            ExitCode::SUCCESS
        }
        ["unpack", name, folder] => {
            std::fs::create_dir_all(folder).expect("a folder");
            for (place, bytes) in seeds::all(target(name)).iter().enumerate() {
                let file = Path::new(folder).join(format!("seed-{place}"));
                std::fs::write(file, bytes).expect("a file");
            }
            ExitCode::SUCCESS
        }
        ["pack", name, folder, bytes] => {
            pack(target(name), Path::new(folder), number(bytes));
            ExitCode::SUCCESS
        }
        ["add", name, file] => {
            let mut kept = corpus::read(name);
            kept.push(std::fs::read(file).expect("the file"));
            corpus::write(target(name).name, &kept);
            ExitCode::SUCCESS
        }
        ["list"] => {
            targets::ALL
                .iter()
                .for_each(|target| println!("{}", target.name));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn target(name: &str) -> &'static Target {
    named(name).unwrap_or_else(|| panic!("no target is called {name}"))
}

fn smoke(seconds: u64, seed: u64) -> ExitCode {
    let count = u32::try_from(targets::ALL.len()).unwrap_or(u32::MAX);
    let each = Duration::from_secs(seconds) / count;
    let ends = targets::ALL
        .iter()
        .map(|target| attempt(target, each, seed));
    let failed = ends.filter(|end| *end != ExitCode::SUCCESS).count();
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Attacks one target: every input that there is, and changed ones for the span. Stops at the first
/// input that breaks a promise, and keeps it.
fn attempt(target: &Target, span: Duration, seed: u64) -> ExitCode {
    let seeds = seeds::all(target);
    let begin = Instant::now();
    let (mut runs, mut longest) = (0_u64, Duration::ZERO);
    let mut mutator = Mutator::new(seed, &seeds);
    let (mut bytes, mut slowest) = (Vec::new(), Vec::new());
    loop {
        let place = usize::try_from(runs).unwrap_or(usize::MAX);
        match seeds.get(place) {
            Some(seed) => bytes.clone_from(seed),
            None if begin.elapsed() >= span => break,
            None => {
                bytes.clear();
                bytes.extend_from_slice(mutator.other());
                mutator.change(&mut bytes);
            }
        }
        let started = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| target.check(&bytes))).is_err() {
            let file = keep(target, &bytes);
            println!("{}: broken by {}", target.name, file.display());
            return ExitCode::FAILURE;
        }
        if started.elapsed() > longest {
            longest = started.elapsed();
            slowest.clone_from(&bytes);
        }
        runs += 1;
    }
    if longest > SLOW {
        println!(
            "{}: slow with {}",
            target.name,
            keep(target, &slowest).display()
        );
    }
    let (name, inputs) = (target.name, seeds.len());
    println!("{name:16} {runs:>9} runs, {inputs:>5} inputs kept, longest {longest:?}");
    ExitCode::SUCCESS
}

/// What takes longer is kept, to be looked at.
const SLOW: Duration = Duration::from_millis(500);

fn keep(target: &Target, bytes: &[u8]) -> PathBuf {
    let folder = home().join("artifacts").join(target.name);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let file = folder.join(format!("{hash:016x}"));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, bytes));
    written.expect("the input can be kept");
    file
}

/// Keeps what is not a seed anyway, the smallest inputs first.
fn pack(target: &Target, folder: &Path, bytes_max: u64) {
    let former = corpus::read(target.name);
    corpus::write(target.name, &[]);
    let given = seeds::all(target);
    let entries = std::fs::read_dir(folder).expect("a folder");
    let inputs = entries.filter_map(|entry| std::fs::read(entry.ok()?.path()).ok());
    let mut inputs: Vec<Vec<u8>> = inputs.filter(|bytes| !given.contains(bytes)).collect();
    inputs.sort_by_key(|bytes| (bytes.len(), bytes.clone()));
    // What has broken something once stays.
    let mut kept = former;
    inputs.retain(|bytes| !kept.contains(bytes));
    let mut size: usize = kept
        .iter()
        .map(|bytes| corpus::escaped(bytes).len() + 1)
        .sum();
    for bytes in inputs {
        size += corpus::escaped(&bytes).len() + 1;
        if size as u64 > bytes_max {
            break;
        }
        kept.push(bytes);
    }
    println!("{}: {} inputs", target.name, kept.len());
    corpus::write(target.name, &kept);
}
