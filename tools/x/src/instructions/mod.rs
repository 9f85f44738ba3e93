//! `cargo x instructions`: how many instructions the whole router takes for a request, and for an
//! event of a stream.
//!
//! The router that was built for release runs under callgrind twice, with few and with many
//! requests or events. Its start and its end are in both, so the difference is what the others
//! took, in all threads.

mod options;
mod profile;
mod router;
mod rows;
mod table;

use std::process::Command;

use crate::baseline::{Baseline, Counts, dearer};
use crate::commands;
use crate::compare::system::Folders;

use profile::Profile;
use rows::{Row, Unit};
use table::Counted;

pub(crate) use options::Options;

/// Counts, prints, and compares with the baseline or replaces it.
///
/// # Errors
///
/// A program that is missing, does not start or does not answer, and with `--check` the rows that
/// need more instructions than they may.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let chosen = rows::chosen(&options.rows)?;
    prepare(options)?;
    let folder = match &options.out {
        Some(out) => out.clone(),
        None => commands::target_dir()?.join("instructions"),
    };
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let bin = match &options.bin {
        Some(bin) => bin.clone(),
        None => commands::target_dir()?.join("release"),
    };
    let folders = Folders { bin, folder };
    let baseline = Baseline::new("instructions-per-request.json");
    let mut was = baseline.read()?;
    let (mut counted, mut faults) = (Vec::new(), Vec::new());
    for row in &chosen {
        eprintln!("{}", row.name);
        let mut now = counted_once(&folders, row);
        for _ in 0..RECOUNTS_MAX {
            if !options.check || is_as_before(&now, &was) {
                break;
            }
            // Whatever else the machine does adds to a count, and may end a run.
            eprintln!("{} once more", row.name);
            now = lesser(now, counted_once(&folders, row));
        }
        match now {
            Ok(one) => counted.push(one),
            Err(fault) => faults.push(format!("{}: {fault}", row.name)),
        }
    }
    print!("{}", table::rows(&counted, &was));
    if let Some(top) = options.top {
        print!("{}", table::functions(&counted, top));
    }
    let counts = table::counts(&counted);
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    if options.bless {
        was.retain(|name, _| rows::ALL.iter().any(|row| row.name == name));
        was.extend(counts);
        return baseline.write(&was);
    }
    if options.check {
        was.retain(|name, _| options.rows.is_empty() || counts.contains_key(name));
        return check(&was, &counts);
    }
    Ok(())
}

fn counted_once(folders: &Folders, row: &Row) -> Result<Counted, String> {
    let profile = count(folders, row)?;
    Ok(Counted { row: *row, profile })
}

/// Whether a row was counted and needs no more than it may.
fn is_as_before(counted: &Result<Counted, String>, was: &Counts) -> bool {
    let Ok(one) = counted else { return false };
    let now = Counts::from([(one.row.name.to_owned(), one.count())]);
    let was = was.get_key_value(one.row.name);
    let was = was.map(|(name, count)| (name.clone(), *count));
    dearer(&was.into_iter().collect(), &now).is_empty()
}

/// The lesser of two counts of one row.
fn lesser(one: Result<Counted, String>, other: Result<Counted, String>) -> Result<Counted, String> {
    match (one, other) {
        (Ok(one), Ok(other)) if other.count() < one.count() => Ok(other),
        (Ok(one), _) => Ok(one),
        (Err(_), other) => other,
    }
}

/// Whether no row needs more than it may.
fn check(was: &Counts, counts: &Counts) -> Result<(), String> {
    let faults = dearer(was, counts);
    if !faults.is_empty() {
        let hint = "`cargo x instructions --bless` accepts it";
        return Err(format!("{}\n{hint}", faults.join("\n")));
    }
    let count = counts.len();
    println!("{count} rows need no more instructions than they may");
    Ok(())
}

/// Builds what is needed and looks for the tools.
fn prepare(options: &Options) -> Result<(), String> {
    for (tool, package) in [("valgrind", "valgrind"), ("setpriv", "util-linux")] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Err(format!("{tool} is missing: apt-get install {package}"));
        }
    }
    if options.bin.is_some() {
        return Ok(());
    }
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!(
        "build --quiet --release --locked --package {packages}"
    ))
}

/// What one unit of `row` takes.
fn count(folders: &Folders, row: &Row) -> Result<Profile, String> {
    if !matches!(row.unit, Unit::Paced(_)) {
        let [few, many] = runs(folders, row)?;
        return Ok(many.beyond(&few, f64::from(row.units())));
    }
    set_niceness("-15");
    let counted = count_paced(folders, row);
    set_niceness("0");
    counted
}

/// The short run and the long one.
fn runs(folders: &Folders, row: &Row) -> Result<[Profile; 2], String> {
    let few = router::run(folders, row, 0)?;
    Ok([few, router::run(folders, row, 1)?])
}

/// What one event of a paced stream takes, if each came by itself.
fn count_paced(folders: &Folders, row: &Row) -> Result<Profile, String> {
    let mut best: Option<(f64, Profile)> = None;
    for _ in 0..ATTEMPTS_MAX {
        let [few, many] = runs(folders, row)?;
        let turns = many.calls_of(WAIT) - few.calls_of(WAIT);
        let share = (turns / f64::from(row.units()) - 1.0).abs();
        if best.as_ref().is_none_or(|(other, _)| share < *other) {
            best = Some((share, many.beyond(&few, turns)));
        }
        if share <= TOGETHER_MAX {
            break;
        }
    }
    let best = best.filter(|(share, _)| *share <= TOGETHER_AT_ALL_MAX);
    let together = "events have come together: the machine is too busy for a pace of 2 ms";
    best.map(|(_, profile)| profile)
        .ok_or_else(|| together.to_owned())
}

/// The niceness of what is started from here on. Those who may not be less nice than others run at
/// the usual one.
fn set_niceness(niceness: &str) {
    let own = std::process::id().to_string();
    let _ = Command::new("renice")
        .args(["-n", niceness, "-p", &own])
        .output();
}

/// With `--check`, a row that needs more than it may is counted so often again, and its least count
/// is the one that counts.
const RECOUNTS_MAX: u32 = 3;
/// What the loop calls once in each of its turns.
const WAIT: &str = "epoll_wait";
/// Where a busy machine holds a stream up, events come together and are relayed in one turn of the
/// loop. The turns are counted then, and a run with a larger share of such events is repeated.
const TOGETHER_MAX: f64 = 0.01;
/// With more of them, the best run counts for nothing.
const TOGETHER_AT_ALL_MAX: f64 = 0.1;
/// So often at most.
const ATTEMPTS_MAX: u32 = 4;
