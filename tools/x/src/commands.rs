//! The commands that run cargo and the load tool.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Format, clippy and tidy.
///
/// # Errors
///
/// The first command that fails.
pub(crate) fn check() -> Result<(), String> {
    cargo("fmt --all --check")?;
    cargo("clippy --workspace --all-targets --locked -- -D warnings")?;
    cargo("test --quiet --locked --test tidy")
}

/// Every test of every package.
///
/// # Errors
///
/// When one fails.
pub(crate) fn test() -> Result<(), String> {
    let mut all = cargo_command("test --workspace --locked");
    all.env("INFERMUX_SIM_SEEDS", FEW_SEEDS);
    finish(all)?;
    cargo(&format!("test --locked {OPTIMIZED} --test sim"))
}

/// The simulation is built once more for its many seeds: without any optimization, each of them
/// takes five times as long.
const OPTIMIZED: &str = "--config profile.dev.package.infermux.opt-level=1";
/// Seeds that the simulation plays as it is built for all other tests.
const FEW_SEEDS: &str = "20";

/// Everything that must hold before a change is taken.
///
/// # Errors
///
/// The first command that fails.
pub(crate) fn ci() -> Result<(), String> {
    check()?;
    test()?;
    docs()?;
    deny()
}

/// The documentation; a broken link or a missing sentence is an error.
///
/// # Errors
///
/// When rustdoc warns.
pub(crate) fn docs() -> Result<(), String> {
    let mut command = cargo_command("doc --workspace --no-deps --document-private-items --locked");
    command.env("RUSTDOCFLAGS", "-D warnings");
    finish(command)
}

/// The live page, and pages of other origins, in a browser; skipped where there is none.
///
/// # Errors
///
/// When it does not show what it should.
pub(crate) fn page() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(root.join("tests/page/run"));
    command.current_dir(root);
    finish(command)
}

/// The simulation: one seed with a line for each step, or the first `seeds` of them. A fleet is
/// several instances with a shared store.
///
/// # Errors
///
/// When a promise is broken.
pub(crate) fn sim(seed: Option<u64>, fleet: Option<u64>, seeds: u64) -> Result<(), String> {
    let tests = ["promises_hold_whatever_goes_wrong", FLEETS];
    let tests = match (seed, fleet) {
        (Some(_), _) => &tests[..1],
        (None, Some(_)) => &tests[1..],
        (None, None) => &tests[..],
    };
    let what = format!("--test sim -- --exact {} --nocapture", tests.join(" "));
    let mut command = cargo_command(&format!("test --quiet --locked {OPTIMIZED} {what}"));
    match (seed, fleet) {
        (Some(seed), _) => command.env("INFERMUX_SIM_SEED", seed.to_string()),
        (None, Some(seed)) => command.env("INFERMUX_SIM_FLEET", seed.to_string()),
        (None, None) => command.env("INFERMUX_SIM_SEEDS", seeds.to_string()),
    };
    finish(command)
}

/// What the store's scripts cost it.
///
/// # Errors
///
/// When they cannot be run on `store`, a Redis or a Valkey.
pub(crate) fn costs_of_scripts(store: &str) -> Result<(), String> {
    let what = "--test store -- --exact costs::calls_cost_the_store_little --nocapture";
    let mut command = cargo_command(&format!("test --quiet --locked {what}"));
    command.env("INFERMUX_TEST_STORE", store);
    command.env("INFERMUX_TEST_COSTS", "whole");
    finish(command)
}

/// The test that plays several instances.
const FLEETS: &str = "several_instances_keep_their_promises_whatever_goes_wrong";

/// The rules of `deny.toml`.
///
/// # Errors
///
/// When a dependency breaks one, or cargo-deny is not installed.
pub(crate) fn deny() -> Result<(), String> {
    let version = cargo_command("deny --version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Err("cargo-deny is missing: cargo install --locked cargo-deny".to_owned());
    }
    cargo("deny --offline check bans licenses sources")
}

/// Builds the load tool and replaces this process by it.
///
/// # Errors
///
/// When it cannot be built, or there is no demo to send requests to.
pub(crate) fn load(flags: Vec<String>) -> Result<(), String> {
    let mut flags = flags;
    let asks = |flag: &String| matches!(flag.as_str(), "--help" | "-h" | "--version" | "-V");
    let has_url = flags
        .iter()
        .any(|flag| flag == "--url" || flag.starts_with("--url="));
    if !has_url && !flags.iter().any(asks) {
        flags.push(format!("--url={}", demo_url()?));
    }
    cargo("build --quiet --release --locked --package infermux-load")?;
    let error = Command::new(target_dir()?.join("release/infermux-load"))
        .args(flags)
        .exec();
    Err(format!("cannot run infermux-load: {error}"))
}

/// The chat address of the demo that is running.
fn demo_url() -> Result<String, String> {
    let path = demo_file()?;
    let hint = "start `cargo x demo --stay` in another terminal, or give --url";
    let text = std::fs::read_to_string(&path).map_err(|_| format!("no demo is running: {hint}"))?;
    let file: Value =
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let url = file["url"]
        .as_str()
        .ok_or_else(|| format!("{}: no url", path.display()))?;
    Ok(format!("{url}/v1/chat/completions"))
}

/// The file in which a demo that stays leaves its address.
///
/// # Errors
///
/// See [`target_dir`].
pub(crate) fn demo_file() -> Result<PathBuf, String> {
    Ok(target_dir()?.join("demo.json"))
}

/// The folder that cargo builds into: this program lies in `debug` or `release` below it.
///
/// # Errors
///
/// When the program lies somewhere else.
pub(crate) fn target_dir() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let dir = own.parent().and_then(Path::parent);
    dir.map(Path::to_owned)
        .ok_or_else(|| "this program is not in a target folder".to_owned())
}

/// Runs cargo at the root of the workspace, with its output on the terminal.
///
/// # Errors
///
/// When it fails.
pub(crate) fn cargo(flags: &str) -> Result<(), String> {
    finish(cargo_command(flags))
}

/// A call of cargo at the root of the workspace.
pub(crate) fn cargo_command(flags: &str) -> Command {
    let mut command = Command::new("cargo");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    command.args(flags.split_whitespace()).current_dir(root);
    for name in OF_THIS_PACKAGE {
        command.env_remove(name);
    }
    command
}

/// What cargo says of this package to this program. The build script of `ring` runs again when one
/// of them changes, and nearly everything is built once more after it.
const OF_THIS_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Shows a command, and runs it to its end.
///
/// # Errors
///
/// When it cannot be run, or fails.
pub(crate) fn finish(mut command: Command) -> Result<(), String> {
    let flags: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    let program = command.get_program().to_string_lossy();
    let line = format!("{program} {}", flags.join(" "));
    let line = line.trim_end();
    eprintln!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line}: {status}")),
        Err(error) => Err(format!("{line}: {error}")),
    }
}
