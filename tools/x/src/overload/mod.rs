//! `cargo x overload`: more of everything than the router can take, one thing after the other, and
//! a verdict on each. What callers saw, what the metrics say and what the provider saw must come to
//! the same sums. Times are compared within one run only.

mod capacity;
mod crowd;
mod deaf;
mod idle;
mod junk;
mod load;
mod many;
mod slow;
mod stage;
mod tally;

use std::path::PathBuf;

use clap::Args;

use self::stage::Plan;
use self::tally::Row;
use crate::clock::Stopwatch;
use crate::commands;

/// Flags of the command.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer of everything, and no verdict that depends on how busy the machine is
    #[arg(long)]
    quick: bool,
    /// A folder with infermux, infermux-mock and infermux-load, in place of a release build
    #[arg(long, value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// Only the phases whose names contain this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// One kind of overload: its name, and what it does and judges.
type Phase = (&'static str, fn(&Plan) -> Result<Vec<Row>, String>);

const PHASES: [Phase; 9] = [
    ("capacity", capacity::run),
    ("refusals", capacity::refuse),
    ("idle", idle::run),
    ("places", idle::contend),
    ("slow", slow::run),
    ("deaf", deaf::run),
    ("scrape", many::scrape),
    ("many", many::run),
    ("junk", junk::run),
];

/// Plays all phases, and prints their rows.
///
/// # Errors
///
/// A promise that did not hold, or a part that does not start.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let plan = Plan {
        bin: binaries(options)?,
        is_quick: options.quick,
    };
    let clock = Stopwatch::start();
    println!("| phase | figure | value | verdict |\n|---|---|---:|---|");
    let mut broken = Vec::new();
    for (name, phase) in PHASES {
        if options
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(&**only))
        {
            continue;
        }
        let rows = phase(&plan).map_err(|error| format!("{name}: {error}"))?;
        for row in rows {
            println!(
                "| {name} | {} | {} | {} |",
                row.what,
                row.value,
                row.verdict()
            );
            broken.extend(
                row.is_broken()
                    .then(|| format!("{name}: {}: {}", row.what, row.value)),
            );
        }
    }
    println!("\n{:.0} s", clock.elapsed().as_secs_f64());
    match broken.as_slice() {
        [] => Ok(()),
        broken => Err(format!(
            "{} did not hold:\n  {}",
            broken.len(),
            broken.join("\n  ")
        )),
    }
}

fn binaries(options: &Options) -> Result<PathBuf, String> {
    if let Some(bin) = &options.bin {
        return Ok(bin.clone());
    }
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!("build --release --locked --package {packages}"))?;
    Ok(commands::target_dir()?.join("release"))
}
