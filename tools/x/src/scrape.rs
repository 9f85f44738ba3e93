//! `cargo x scrape`: how a Prometheus that reads a thousand series ten times a second affects
//! callers. The same load is measured with and without it, in turns, so that other work on the
//! machine affects both alike.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{self, Request};
use crate::clock::{Stopwatch, pause};
use crate::commands;
use crate::demo::{self, Folder};
use crate::overhead;
use crate::processes::Processes;

/// Providers, and models of each.
const PROVIDERS: usize = 50;
const MODELS: usize = 20;
/// Rounds; each has a run with scrapes and one without.
const ROUNDS: usize = 6;
/// How long a run is.
const SPAN: &str = "5s";
/// Requests per second, sent at fixed times: about a third of what one core can do.
const RATE: &str = "--rate=8000";
/// Pause between the starts of two scrapes.
const EVERY: Duration = Duration::from_millis(100);
/// The percentiles of callers' latency that are shown.
const PERCENTILES: [&str; 3] = ["p50", "p99", "p99.9"];
/// infermux's own figures: its requests, and those to which it added at most a millisecond.
const ADDED: [&str; 2] = [
    "infermux_overhead_seconds_count",
    "infermux_overhead_seconds_bucket{le=\"0.001\"}",
];
/// Figures of a run: the percentiles, and the share of requests to which more was added.
type Figures = [f64; 4];

/// Measures and prints.
///
/// # Errors
///
/// A program that does not start or does not answer.
pub(crate) fn run() -> Result<(), String> {
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!("build --release --locked --package {packages}"))?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let mut processes = Processes::new()?;
    let mock = overhead::mock(&mut processes, &bin)?;
    let config = folder.write("infermux.yml", &config(&mock))?;
    let config = config.display().to_string();
    let flags = ["serve", "--shards=1", "--cores=0", "--config", &config].map(str::to_owned);
    let router = processes.start(&bin.join("infermux"), &flags, addresses)?;
    // The lines that the router logs must be read meanwhile.
    processes.watch(move || compare(&bin, &router))
}

fn config(mock: &str) -> String {
    let mut text = String::from(
        "listen: 127.0.0.1:0\nmanagement_listen: 127.0.0.1:0\nlog: {level: warn}\nproviders:\n",
    );
    for provider in 0..PROVIDERS {
        let models: Vec<String> = (0..MODELS).map(|model| name(provider, model)).collect();
        let _ = writeln!(
            text,
            "  - {{name: provider-{provider}, type: openai, base_url: \"http://{mock}/v1\", \
             health_check: {{disabled: true}}, models: [{}]}}",
            models.join(", ")
        );
    }
    text
}

fn name(provider: usize, model: usize) -> String {
    format!("model-{provider}-{model}")
}

/// The addresses of callers and operators.
pub(crate) struct Addresses {
    /// The callers' address.
    pub(crate) callers: String,
    /// The operators' address.
    pub(crate) operators: String,
}

/// Reads `listening on ADDR (management: ADDR)`.
pub(crate) fn addresses(line: &str) -> Option<Addresses> {
    let (_, operators) = line.split_once("(management: ")?;
    Some(Addresses {
        callers: demo::router_address(line)?,
        operators: operators.split(')').next()?.to_owned(),
    })
}

/// Figures about the scrapes of one run.
#[derive(Default)]
struct Scrapes {
    count: usize,
    bytes: usize,
    longest: Duration,
}

fn compare(bin: &Path, router: &Addresses) -> Result<(), String> {
    fill(router)?;
    let first = scrape(router)?;
    let lines = first.split(|byte| *byte == b'\n').count();
    println!(
        "\n{PROVIDERS} providers with {MODELS} models each: {lines} lines, {} KB",
        first.len() / 1_000
    );
    println!("microseconds for callers; share of requests to which infermux added over 1 ms");
    println!("          without scrapes                         with 10 scrapes a second");
    println!(
        "round         p50       p99     p99.9    > 1 ms         p50       p99     p99.9    > 1 ms"
    );
    let mut all = [Vec::new(), Vec::new()];
    let mut last = Scrapes::default();
    for round in 1..=ROUNDS {
        // The second one of a round is the first of the next.
        for place in [round % 2, 1 - round % 2] {
            let figures = if place == 0 {
                load(bin, router)?
            } else {
                let (figures, scrapes) = scraped(bin, router)?;
                last = scrapes;
                figures
            };
            all[place].push(figures);
        }
        let (without, with) = (all[0][round - 1], all[1][round - 1]);
        println!("{round:5}   {}   {}", shown(without), shown(with));
    }
    let [without, with] = all.each_ref().map(|rounds| medians(rounds));
    println!("median  {}   {}", shown(without), shown(with));
    println!(
        "last run: {} scrapes, {} KB each, the longest took {:.1} ms",
        last.count,
        last.bytes / 1_000,
        last.longest.as_secs_f64() * 1e3
    );
    Ok(())
}

/// Makes every series begin, streams included.
fn fill(router: &Addresses) -> Result<(), String> {
    for number in 0..PROVIDERS * MODELS * 2 {
        let (series, stream) = (number / 2, number % 2 == 1);
        let body = json!({
            "model": name(series / MODELS, series % MODELS), "stream": stream,
            "messages": [{"role": "user", "content": "hello"}],
        });
        let request = Request {
            address: &router.callers,
            method: "POST",
            path: "/v1/chat/completions",
            body: &body.to_string(),
        };
        let answer = client::send(&request, |_| {}).map_err(|e| e.to_string())?;
        if answer.status() != 200 {
            return Err(format!("{}: {body}", answer.status_line));
        }
    }
    Ok(())
}

/// Reads all metrics.
///
/// # Errors
///
/// When the answer does not come.
pub(crate) fn scrape(router: &Addresses) -> Result<Vec<u8>, String> {
    let request = Request {
        address: &router.operators,
        method: "GET",
        path: "/_infermux/metrics",
        body: "",
    };
    let answer = client::send(&request, |_| {}).map_err(|e| format!("a scrape: {e}"))?;
    match answer.status() {
        200 => Ok(answer.body),
        _ => Err(format!("a scrape: {}", answer.status_line)),
    }
}

/// A run during which all metrics are read ten times a second.
fn scraped(bin: &Path, router: &Addresses) -> Result<(Figures, Scrapes), String> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| -> Result<Scrapes, String> {
            let mut scrapes = Scrapes::default();
            while !stop.load(Ordering::Relaxed) {
                let clock = Stopwatch::start();
                scrapes.bytes = scrape(router)?.len();
                scrapes.count += 1;
                scrapes.longest = scrapes.longest.max(clock.elapsed());
                pause(EVERY.saturating_sub(clock.elapsed()));
            }
            Ok(scrapes)
        });
        let figures = load(bin, router);
        stop.store(true, Ordering::Relaxed);
        let scrapes = scraper.join().map_err(|_| "the scraper panicked")?;
        Ok((figures?, scrapes?))
    })
}

/// One run of the load tool.
fn load(bin: &Path, router: &Addresses) -> Result<Figures, String> {
    let before = added(router)?;
    let url = format!("http://{}/v1/chat/completions", router.callers);
    let model = name(0, 0);
    let output = Command::new(bin.join("infermux-load"))
        .args(["--json", "--pin=1", "-c64", "--warmup=500ms", RATE])
        .args(["-d", SPAN, "--url", &url, "--model", &model])
        .output()
        .map_err(|e| format!("cannot run infermux-load: {e}"))?;
    let result: Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("{e}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    if result["errors"].as_f64() != Some(0.0) {
        return Err(format!("errors: {}", result["errors_by_kind"]));
    }
    let after = added(router)?;
    let (requests, quick) = (after[0] - before[0], after[1] - before[1]);
    let percentile = |name| result["latency_us"][name].as_f64().unwrap_or_default();
    let [p50, p99, p999] = PERCENTILES.map(percentile);
    Ok([p50, p99, p999, 1.0 - quick / requests])
}

/// The counts of [`ADDED`].
fn added(router: &Addresses) -> Result<[f64; 2], String> {
    let text = scrape(router)?;
    let text = String::from_utf8_lossy(&text);
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok())
    };
    let found = ADDED.map(|series| value(series).ok_or(format!("{series} is missing")));
    let [requests, quick] = found;
    Ok([requests?, quick?])
}

fn shown([p50, p99, p999, slow]: Figures) -> String {
    format!("{p50:9.0} {p99:9.0} {p999:9.0} {:8.3} %", slow * 100.0)
}

fn medians(rounds: &[Figures]) -> Figures {
    [0, 1, 2, 3].map(|place| {
        let mut all: Vec<f64> = rounds.iter().map(|round| round[place]).collect();
        overhead::median(&mut all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_both_addresses() {
        let found = addresses("listening on 127.0.0.1:4001 (management: 127.0.0.1:4002)");
        let found = found.expect("addresses");
        assert_eq!(found.callers, "127.0.0.1:4001");
        assert_eq!(found.operators, "127.0.0.1:4002");
        assert!(addresses("listening on 127.0.0.1:4001").is_none());
    }
}
