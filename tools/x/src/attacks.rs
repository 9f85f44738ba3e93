//! The commands that attack infermux: bytes from outside, every order of threads, and memory that
//! is touched where it must not be.

use std::path::Path;
use std::process::Command;

use crate::commands::{cargo_command, finish, target_dir};

/// What is attacked with bytes, and for how long.
#[derive(clap::Args)]
pub(crate) struct FuzzOptions {
    /// One target alone; `cargo x fuzz list` names them
    target: Option<String>,
    /// Seconds in all
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another seed changes the inputs in another way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With libFuzzer, which goes by coverage (needs a nightly toolchain and cargo-fuzz)
    #[arg(long, requires = "target")]
    guided: bool,
}

/// Runs the attacks of `fuzz` with the toolchain that is there, or one of them with libFuzzer.
///
/// # Errors
///
/// When a promise is broken, or the program cannot be built.
pub(crate) fn fuzz(options: &FuzzOptions) -> Result<(), String> {
    let FuzzOptions { seconds, seed, .. } = options;
    let what = match &options.target {
        None => format!("smoke {seconds} {seed}"),
        Some(list) if list == "list" => list.clone(),
        Some(target) if options.guided => {
            let mut guided = Command::new(root().join("fuzz/guided"));
            guided.args([target, &seconds.to_string()]);
            return finish(guided);
        }
        Some(target) => format!("try {target} {seconds}"),
    };
    let run = "run --quiet --locked --manifest-path fuzz/Cargo.toml --";
    finish(cargo_command(&format!("{run} {what}")))
}

/// Plays every order in which threads may load and store the words of `link`.
///
/// # Errors
///
/// When an order breaks a promise.
pub(crate) fn loom() -> Result<(), String> {
    let mut models = cargo_command("test --quiet --locked --test loom");
    models.env("RUSTFLAGS", "--cfg loom");
    // What is built so has a folder of its own: everything else would be built anew.
    models.env("CARGO_TARGET_DIR", target_dir()?.join("loom"));
    // Orders are tried one after the other, in as many processes as there are cores.
    models.env("RUST_TEST_THREADS", "2");
    finish(models)
}

/// Runs the unit tests of the files with `unsafe` under valgrind, which watches every access to
/// memory.
///
/// # Errors
///
/// When one of them touches what it must not, or valgrind is not installed.
pub(crate) fn memcheck() -> Result<(), String> {
    let islands = "wire::scan shard::net::rooms sys::clock sys::cores sys::process";
    let mut tests = cargo_command(&format!("test --quiet --locked --lib -- {islands}"));
    let watched = "valgrind --quiet --error-exitcode=9";
    tests.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", watched);
    // It takes thirty times as long.
    tests.env("PROPTEST_CASES", "16");
    finish(tests)
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
