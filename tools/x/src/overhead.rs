//! `cargo x overhead`: what limits, budgets, breakers and health checks cost, as processor time for
//! each request. Two routers, one with all of them and one with none, take turns under the same
//! load, so that other work on the machine affects both alike.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::commands;
use crate::compare::process::Tree;
use crate::demo::{self, Folder};
use crate::processes::Processes;

/// Rounds; each router is loaded once in each.
const ROUNDS: usize = 7;
/// How long one router is loaded in a round.
const SPAN: &str = "4s";
/// The aim: with everything, at most this many times the processor time.
const RATIO_MAX: f64 = 1.03;

/// Measures and prints.
///
/// # Errors
///
/// A program that does not start, or a ratio above the aim.
pub(crate) fn run() -> Result<(), String> {
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!("build --release --locked --package {packages}"))?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let mut processes = Processes::new()?;
    let mock = mock(&mut processes, &bin)?;
    let mut router = |name: &str, features: &str| {
        let text = format!(
            "listen: 127.0.0.1:0\nproviders:\n  - name: mock\n    type: openai\n    \
             base_url: http://{mock}/v1\n    models: [gpt-4o]\n{features}"
        );
        let config = folder.write(&format!("{name}.yml"), &text)?;
        Router::start(&mut processes, &bin, &config)
    };
    let routers = [router("without", WITHOUT)?, router("with", WITH)?];
    // The lines that the routers log must be read meanwhile.
    processes.watch(move || compare(&bin, &routers))
}

/// Loads one router and the other in turns, and compares.
fn compare(bin: &Path, routers: &[Router; 2]) -> Result<(), String> {
    println!("\nround  without      with  microseconds of processor time for each request");
    let mut figures = [Vec::new(), Vec::new()];
    for round in 1..=ROUNDS {
        // The second one of a round is the first of the next.
        for place in [round % 2, 1 - round % 2] {
            figures[place].push(routers[place].micros_per_request(bin)?);
        }
        println!(
            "{round:5}  {:7.2}  {:8.2}",
            figures[0][round - 1],
            figures[1][round - 1]
        );
    }
    let mut ratios: Vec<_> = figures[0]
        .iter()
        .zip(&figures[1])
        .map(|(a, b)| b / a)
        .collect();
    let [without, with] = figures.map(|mut figures| median(&mut figures));
    let ratio = median(&mut ratios);
    println!("median {without:7.2}  {with:8.2}  median of the ratios {ratio:.3}");
    if ratio > RATIO_MAX {
        return Err(format!("the ratio is above {RATIO_MAX}"));
    }
    Ok(())
}

/// Without everything that can be left out.
const WITHOUT: &str = "    health_check: {disabled: true}
circuit_breaker: {consecutive_failures: 1000000000, min_requests: 1000000000}
";

/// With everything, under limits that are never reached.
const WITH: &str = "    health_check: {interval: 1s}
    max_in_flight: 100000
    rate_limits: {requests_per_minute: 1000000000, tokens_per_minute: 1000000000000}
circuit_breaker: {consecutive_failures: 5, latency_p95_ms: 5000}
budgets:
  - {caller: load, monthly_usd: 1000000}
";

struct Router {
    url: String,
    tree: Tree,
}

impl Router {
    fn start(processes: &mut Processes, bin: &Path, config: &Path) -> Result<Self, String> {
        let config = config.display().to_string();
        let flags = ["serve", "--shards=1", "--cores=0", "--config", &config];
        let flags = flags.map(str::to_owned);
        let address = processes.start(&bin.join("infermux"), &flags, demo::router_address)?;
        let pid = processes.last_id().ok_or("the router has no process id")?;
        let url = format!("http://{address}/v1/chat/completions");
        let tree = Tree::of(pid);
        Ok(Self { url, tree })
    }

    /// Loads it once.
    fn micros_per_request(&self, bin: &Path) -> Result<f64, String> {
        let before = self.tree.cpu_micros()?;
        let output = Command::new(bin.join("infermux-load"))
            .args(["--json", "--pin=1", "-c64", "-d", SPAN, "--url", &self.url])
            .args(["--header", "X-Infermux-Caller: load"])
            .output()
            .map_err(|e| format!("cannot run infermux-load: {e}"))?;
        let micros = self.tree.cpu_micros()? - before;
        let result: Value = serde_json::from_slice(&output.stdout).map_err(|e| {
            format!(
                "infermux-load: {e}\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let requests = result["answers"]
            .as_f64()
            .filter(|requests| *requests > 0.0);
        Ok(micros / requests.ok_or("no request was answered")?)
    }
}

/// A provider that answers without thinking, beside the load tool on the second core.
///
/// # Errors
///
/// When it does not start.
pub(crate) fn mock(processes: &mut Processes, bin: &Path) -> Result<String, String> {
    let program = bin.join("infermux-mock").display().to_string();
    let script = r#"{"canned":true,"record":false,"body_bytes":562}"#;
    let flags = ["-c", "1", &program, "--script-json", script].map(str::to_owned);
    processes.start(Path::new("taskset"), &flags, |line| {
        let (_, rest) = line.split_once(" listening on ")?;
        rest.split_whitespace().next().map(str::to_owned)
    })
}

/// The middle of `figures`.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
