//! `cargo x bench`: nanoseconds and instructions of the hot steps, and whether the instructions
//! have changed.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::baseline::{Baseline, Counts, dearer};
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

/// The version of gungraun in `Cargo.toml`: its runner must be the same.
const RUNNER: &str = "0.20.0";

/// Runs the benches.
///
/// # Errors
///
/// The tool that is missing or fails, and with [`Aim::Check`] the steps that need more
/// instructions.
pub(crate) fn run(aim: Aim) -> Result<(), String> {
    prepare()?;
    let counts = instructions()?;
    let baseline = Baseline::new("instructions.json");
    match aim {
        Aim::Show => {
            print!("{}", table(&nanos()?, &counts));
            Ok(())
        }
        Aim::Check => {
            let faults = dearer(&baseline.read()?, &counts);
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
        Aim::Bless => baseline.write(&counts),
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

fn instructions() -> Result<Counts, String> {
    let text = bench("instructions")?;
    let counts: Counts = text.lines().filter_map(count).collect();
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
fn table(nanos: &[(String, f64)], counts: &Counts) -> String {
    let row = |(name, nanos): &(String, f64)| {
        let count = counts.get(name).map_or("?".to_owned(), u64::to_string);
        format!("| `{name}` | {nanos:.0} | {count} |\n")
    };
    let head = "| step | ns | instructions |\n|---|---:|---:|\n".to_owned();
    head + &nanos.iter().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

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
