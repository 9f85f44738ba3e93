//! `cargo x grow`: what more shards, providers, models, callers with budgets and callers' keys
//! cost: processor time for each request, memory, and time until a router is ready. The routers of
//! one row, small to large, take turns under the same load on one core, so that other work on the
//! machine affects all of them alike.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::clock::Stopwatch;
use crate::commands;
use crate::compare::process::Tree;
use crate::demo::Folder;
use crate::overhead::{self, median};
use crate::processes::Processes;
use crate::scrape::{self, Addresses};

/// Rounds; each router is loaded once in each.
const ROUNDS: usize = 7;
/// How long a router is loaded in a round.
const SPAN: &str = "800ms";
/// How long it is loaded before the first: every series has begun, every connection is there.
const WARM_SPAN: &str = "3s";
/// The body of every request, without its model.
const BODY: &str = r#"{"max_tokens":64,"messages":[{"role":"user","content":"The quick brown
    fox jumps over the lazy dog, and what the dog thinks of it nobody has ever asked."}]}"#;

/// A thing of which a router can have more.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    sizes: &'static [usize],
    /// The router's size with this many.
    size: fn(usize) -> Size,
}

const ROWS: [Row; 6] = [
    Row {
        name: "shards",
        sizes: &[1, 2, 4, 16, 64],
        size: |shards| Size { shards, ..ONE },
    },
    Row {
        name: "providers",
        sizes: &[1, 10, 100, 1_000],
        size: |providers| Size { providers, ..ONE },
    },
    Row {
        name: "models",
        sizes: &[1, 10, 100, 1_000],
        size: |models| Size { models, ..ONE },
    },
    Row {
        name: "callers with budgets",
        sizes: &[1, 10, 100, 1_000],
        size: |callers| Size { callers, ..ONE },
    },
    Row {
        name: "keys without limits",
        sizes: &[1, 1_000, 50_000],
        size: |keys| Size { keys, ..ONE },
    },
    Row {
        name: "keys, each with limits and two budgets",
        sizes: &[1, 1_000, 50_000],
        size: |limited_keys| Size {
            limited_keys,
            ..ONE
        },
    },
];

/// How much of everything a router has.
#[derive(Clone, Copy)]
struct Size {
    shards: usize,
    providers: usize,
    models: usize,
    callers: usize,
    /// Callers' keys in a file of keys; none where both are 0.
    keys: usize,
    /// Such keys, each with limits and budgets of its own.
    limited_keys: usize,
}

const ONE: Size = Size {
    shards: 1,
    providers: 1,
    models: 1,
    callers: 1,
    keys: 0,
    limited_keys: 0,
};

/// Measures and prints, as a table in Markdown.
///
/// # Errors
///
/// A program that does not start or does not answer.
pub(crate) fn run() -> Result<(), String> {
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!("build --release --locked --package {packages}"))?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let template = folder.write("body.json", &BODY.replace("\n    ", " "))?;
    println!(
        "| what | how many | CPU per request, us | to the first | coordinator's part, us | \
         RSS, MiB | series | a scrape, ms | ready after, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for row in ROWS {
        let mut processes = Processes::new()?;
        let mock = overhead::mock(&mut processes, &bin)?;
        let mut routers = Vec::new();
        for &count in row.sizes {
            let size = (row.size)(count);
            let keys = match size.all_keys() {
                0 => None,
                _ => Some(folder.write(&format!("{count}-keys.yml"), &keys_file(size))?),
            };
            let text = config(&mock, size, keys.as_deref());
            let config = folder.write(&format!("{count}.yml"), &text)?;
            routers.push(Router::start(&mut processes, &bin, &config, size)?);
        }
        let (bin, template) = (bin.clone(), template.clone());
        // The lines that the routers log must be read meanwhile.
        processes.watch(move || measure(&bin, &template, row, &routers))?;
    }
    Ok(())
}

fn config(mock: &str, size: Size, keys: Option<&Path>) -> String {
    let models: Vec<String> = (0..size.models).map(|n| format!("m{n:012}")).collect();
    let models = models.join(", ");
    let mut text = format!(
        "listen: 127.0.0.1:0\nmanagement_listen: 127.0.0.1:0\nlog: {{level: warn}}\n\
         server: {{shards: {}}}\n",
        size.shards
    );
    // Writing to a String cannot fail.
    if let Some(keys) = keys {
        let _ = writeln!(
            text,
            "auth: {{mode: keys, keys_file: \"{}\"}}",
            keys.display()
        );
    }
    text += "providers:\n";
    for provider in 0..size.providers {
        let _ = writeln!(
            text,
            "  - {{name: p{provider}, type: openai, base_url: \"http://{mock}/v1\", \
             api_key: sk-grow, health_check: {{disabled: true}}, max_in_flight: 100000, \
             rate_limits: {{requests_per_minute: 1000000000, tokens_per_minute: 1000000000000}}, \
             models: [{models}]}}"
        );
    }
    text += "budgets:\n";
    for caller in 0..size.callers {
        let _ = writeln!(
            text,
            "  - {{caller: \"c{caller:012}\", monthly_usd: 100000000}}"
        );
    }
    text
}

impl Size {
    fn all_keys(self) -> usize {
        self.keys.max(self.limited_keys)
    }
}

/// The secret of the key with this number, as the load tool writes it, too.
pub(crate) fn secret(number: &str) -> String {
    format!("sk-grow-{number}-0123456789abcdef0123456789abcdef")
}

/// A file of so many keys, each with limits and two budgets.
pub(crate) fn limited_keys(count: usize) -> String {
    keys_file(Size {
        limited_keys: count,
        ..ONE
    })
}

/// A file of keys.
fn keys_file(size: Size) -> String {
    let allowance = match size.limited_keys {
        0 => "",
        _ => {
            ", limits: {requests_per_minute: 1000000000, requests_per_day: 1000000000}, \
             budgets: [{usd: 100000.5, per: day}, {usd: 1000000.5, per: month}]"
        }
    };
    let mut text = String::new();
    for number in 0..size.all_keys() {
        let number = format!("{number:012}");
        let hash = digest(&SHA256, secret(&number).as_bytes());
        let _ = write!(text, "- {{name: k{number}, hash: \"sha256:");
        for byte in hash.as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text, "\"{allowance}}}");
    }
    text
}

/// One router.
struct Router {
    addresses: Addresses,
    tree: Tree,
    size: Size,
    /// How long it took to start.
    ready_after: Duration,
}

/// What a router costs for each request, in microseconds: the whole process, and its coordinator.
#[derive(Clone, Copy)]
struct Cost {
    all: f64,
    coordinator: f64,
}

impl Router {
    fn start(
        processes: &mut Processes,
        bin: &Path,
        config: &Path,
        size: Size,
    ) -> Result<Self, String> {
        let program = bin.join("infermux").display().to_string();
        let config = config.display().to_string();
        let flags = ["-c", "0", &program, "serve", "--config", &config].map(str::to_owned);
        let clock = Stopwatch::start();
        let addresses = processes.start(Path::new("taskset"), &flags, scrape::addresses)?;
        let ready_after = clock.elapsed();
        let pid = processes.last_id().ok_or("the router has no process id")?;
        Ok(Self {
            addresses,
            tree: Tree::of(pid),
            size,
            ready_after,
        })
    }

    /// Loads it for a time.
    fn load(&self, bin: &Path, template: &PathBuf, span: &str) -> Result<Cost, String> {
        let url = format!("http://{}/v1/chat/completions", self.addresses.callers);
        let keys = self.size.all_keys();
        let cycle = self.size.models.max(self.size.callers).max(keys);
        let cycle = cycle.to_string();
        let key = match keys {
            0 | 1 => secret("000000000000"),
            _ => secret("{{ number }}"),
        };
        // Where there is only one, its number is 0.
        let (model, caller) = match (self.size.models, self.size.callers) {
            (1, _) => ("m000000000000", "c{{ number }}"),
            (_, _) => ("m{{ number }}", "c000000000000"),
        };
        let before = self.spent()?;
        let output = Command::new(bin.join("infermux-load"))
            .args(["--json", "--pin=1", "-c64", "-d", span, "--url", &url])
            .args(["--header", &format!("X-Infermux-Caller: {caller}")])
            .args(["--header", &format!("Authorization: Bearer {key}")])
            .args(["--model", model, "--cycle", &cycle, "--template"])
            .arg(template)
            .output()
            .map_err(|e| format!("cannot run infermux-load: {e}"))?;
        let after = self.spent()?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        let result: Value = serde_json::from_slice(&output.stdout)
            .map_err(|e| format!("infermux-load: {e}\n{}", said()))?;
        let (answers, errors) = (result["answers"].as_f64(), result["errors"].as_f64());
        match (answers, errors) {
            (Some(answers), Some(0.0)) if answers > 0.0 => Ok(Cost {
                all: (after.all - before.all) / answers,
                coordinator: (after.coordinator - before.coordinator) / answers,
            }),
            (_, _) => Err(format!("not all is well: {}", result["errors_by_kind"])),
        }
    }

    fn spent(&self) -> Result<Cost, String> {
        Ok(Cost {
            all: self.tree.cpu_micros()?,
            coordinator: self.tree.cpu_micros_of(|thread| thread == "coordinator")?,
        })
    }
}

/// Loads the routers of a row in turns, and prints a line for each.
fn measure(bin: &Path, template: &PathBuf, row: Row, routers: &[Router]) -> Result<(), String> {
    for router in routers {
        router.load(bin, template, WARM_SPAN)?;
    }
    let mut costs = vec![Vec::new(); routers.len()];
    for round in 0..ROUNDS {
        for turn in 0..routers.len() {
            // The last one of a round is the first of the next.
            let place = if round % 2 == 0 {
                turn
            } else {
                routers.len() - 1 - turn
            };
            costs[place].push(routers[place].load(bin, template, SPAN)?);
        }
    }
    for (router, (costs_here, count)) in routers.iter().zip(costs.iter().zip(row.sizes)) {
        let of =
            |part: fn(&Cost) -> f64| median(&mut costs_here.iter().map(part).collect::<Vec<_>>());
        let pairs = costs_here.iter().zip(&costs[0]);
        let ratio = median(
            &mut pairs
                .map(|(here, first)| here.all / first.all)
                .collect::<Vec<_>>(),
        );
        let memory = router.tree.rss_kib()? / 1024.0;
        let clock = Stopwatch::start();
        let metrics = scrape::scrape(&router.addresses)?;
        let took = clock.elapsed();
        let is_series = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
        println!(
            "| {} | {count} | {:.2} | {ratio:.2} | {:.2} | {:.1} | {} | {:.1} | {} |",
            row.name,
            of(|cost| cost.all),
            of(|cost| cost.coordinator),
            memory,
            metrics
                .split(|byte| *byte == b'\n')
                .filter(is_series)
                .count(),
            took.as_secs_f64() * 1e3,
            router.ready_after.as_millis(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_grows_in_one_thing_alone() {
        for row in ROWS {
            assert!(row.sizes.is_sorted() && row.sizes[0] == 1, "{}", row.name);
            let size = (row.size)(7);
            let all = [size.shards, size.providers, size.models, size.callers];
            let more = all.iter().filter(|count| **count != 1).count();
            let keys = [size.keys, size.limited_keys];
            assert_eq!(more + keys.iter().filter(|count| **count != 0).count(), 1);
        }
    }

    #[test]
    fn a_configuration_has_as_much_as_it_says() {
        let text = config(
            "127.0.0.1:9",
            Size {
                providers: 3,
                callers: 2,
                ..ONE
            },
            None,
        );
        assert_eq!(text.matches("name: p").count(), 3);
        assert_eq!(text.matches("caller: ").count(), 2);
        assert!(text.contains("models: [m000000000000]"), "{text}");
    }

    #[test]
    fn a_file_of_keys_has_as_many_as_it_says() {
        for (keys, limited_keys, budgets) in [(3, 0, 0), (0, 2, 2)] {
            let size = Size {
                keys,
                limited_keys,
                ..ONE
            };
            let text = keys_file(size);
            let list: Vec<Value> = serde_yaml::from_str(&text).expect("a list");
            assert_eq!(list.len(), size.all_keys());
            for key in list {
                let hash = key["hash"].as_str().expect("a hash");
                assert_eq!(hash.len(), "sha256:".len() + 64);
                assert_eq!(key["budgets"].as_array().map_or(0, Vec::len), budgets);
            }
            let config = config("127.0.0.1:9", size, Some(Path::new("/k.yml")));
            assert!(config.contains("keys_file: \"/k.yml\""), "{config}");
        }
    }
}
