//! `cargo x bench`: nanoseconds and instructions of the hot steps, and whether the instructions
//! have changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::commands;

/// What is done with the counted instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// They are shown, with the nanoseconds.
    Show,
    /// They are compared with the baseline.
    Check,
    /// They become the baseline.
    Bless,
}

/// Figures by the step's name.
type Figures<T> = BTreeMap<String, T>;

/// The version of gungraun in `Cargo.toml`: its runner must be the same.
const RUNNER: &str = "0.20.0";
/// A step may need this many hundredths more than the baseline says.
const GROWTH_MAX_PERCENT: u64 = 2;

/// Runs the benches.
///
/// # Errors
///
/// The tool that is missing or fails, and with [`Aim::Check`] the steps that need more
/// instructions.
pub(crate) fn run(aim: Aim) -> Result<(), String> {
    prepare()?;
    let counts = instructions()?;
    match aim {
        Aim::Show => {
            print!("{}", table(&nanos()?, &counts));
            Ok(())
        }
        Aim::Check => {
            let faults = dearer(&baseline()?, &counts);
            if faults.is_empty() {
                println!(
                    "{} steps need no more instructions than they may",
                    counts.len()
                );
                return Ok(());
            }
            Err(format!(
                "{}\n`cargo x bench --bless` accepts it",
                faults.join("\n")
            ))
        }
        Aim::Bless => {
            let text = serde_json::to_string_pretty(&counts).map_err(|e| e.to_string())?;
            let path = baseline_path();
            std::fs::write(&path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))
        }
    }
}

/// Makes sure that valgrind and gungraun's runner are installed.
fn prepare() -> Result<(), String> {
    if !runs("valgrind", "") {
        return Err("valgrind is missing: apt-get install valgrind".to_owned());
    }
    if runs("gungraun-runner", RUNNER) {
        return Ok(());
    }
    commands::cargo(&format!(
        "install --locked --version {RUNNER} gungraun-runner"
    ))
}

/// Whether `program` can be run and is of this version.
fn runs(program: &str, version: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(version))
}

/// Nanoseconds, in the order in which a request takes the steps.
fn nanos() -> Result<Vec<(String, f64)>, String> {
    let text = bench("ask_path")?;
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .filter_map(|(name, figure)| Some((name.to_owned(), figure.parse().ok()?)))
        .collect())
}

fn instructions() -> Result<Figures<u64>, String> {
    let text = bench("instructions")?;
    let counts: Figures<u64> = text.lines().filter_map(count).collect();
    if counts.is_empty() {
        return Err(format!("no step was counted:\n{text}"));
    }
    Ok(counts)
}

/// Runs one bench and gives what it prints; gungraun is asked for JSON, a line for each step.
fn bench(name: &str) -> Result<String, String> {
    let mut command = commands::cargo_command("bench --quiet --locked --package infermux --bench");
    let output = command
        .arg(name)
        .env("GUNGRAUN_OUTPUT_FORMAT", "json")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!("the bench {name}: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The name of a step and its instructions, from a line of gungraun's.
fn count(line: &str) -> Option<(String, u64)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let name = value["id"].as_str()?;
    let total = &value["profiles"][0]["data"]["total"];
    let figure = total["metrics"]["Ir"]["values"]["new"].as_u64()?;
    Some((name.to_owned(), figure))
}

/// The figures, in the form of the table in docs/performance.md.
fn table(nanos: &[(String, f64)], counts: &Figures<u64>) -> String {
    let row = |(name, nanos): &(String, f64)| {
        let count = counts.get(name).map_or("?".to_owned(), u64::to_string);
        format!("| `{name}` | {nanos:.0} | {count} |\n")
    };
    let head = "| step | ns | instructions |\n|---|---:|---:|\n".to_owned();
    head + &nanos.iter().map(row).collect::<String>()
}

fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/instructions.json")
}

fn baseline() -> Result<Figures<u64>, String> {
    let path = baseline_path();
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The steps that need more instructions than allowed, and those that only one side has.
fn dearer(baseline: &Figures<u64>, counts: &Figures<u64>) -> Vec<String> {
    let judge = |(name, count): (&String, &u64)| match baseline.get(name) {
        None => Some(format!("{name}: not in the baseline")),
        Some(was) if count * 100 > was * (100 + GROWTH_MAX_PERCENT) => {
            Some(format!("{name}: {count} instructions instead of {was}"))
        }
        Some(_) => None,
    };
    let gone = baseline.keys().filter(|name| !counts.contains_key(*name));
    let gone = gone.map(|name| format!("{name}: in the baseline only"));
    counts.iter().filter_map(judge).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(pairs: &[(&str, u64)]) -> Figures<u64> {
        let owned = |&(name, count): &(&str, u64)| (name.to_owned(), count);
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_step_may_grow_by_a_fiftieth_and_no_more() {
        let baseline = figures(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let counts = figures(&[("a", 1020), ("b", 1021), ("c", 10), ("e", 1)]);
        assert_eq!(
            dearer(&baseline, &counts),
            [
                "b: 1021 instructions instead of 1000",
                "e: not in the baseline",
                "d: in the baseline only",
            ]
        );
    }

    #[test]
    fn a_count_is_read_from_a_line() {
        let line = concat!(
            r#"{"id":"a","profiles":[{"data":{"total":{"metrics":"#,
            r#"{"Ir":{"values":{"new":7,"old":9}}}}}}]}"#,
        );
        assert_eq!(count(line), Some(("a".to_owned(), 7)));
        assert_eq!(count("running"), None);
    }
}
