//! `cargo x fleet`: three instances with one store under load, while instances and the store die;
//! in the end, the sums beside the limits.

mod instance;
mod sums;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::json;

use crate::clock::{Stopwatch, pause};
use crate::commands;
use crate::demo::Folder;
use crate::mock::mock_address;
use crate::processes::Processes;
use crate::store::{DEBIANS, Store};

use instance::Instance;
use sums::{CALLERS, LIMIT, Served, Shown};

/// What is done.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Keep everything serving until Ctrl-C
    #[arg(long, conflicts_with_all = ["quick", "script"])]
    stay: bool,
    /// Take half a minute instead of two and a half
    #[arg(long, conflicts_with = "script")]
    quick: bool,
    /// Show what calls of the script cost the store, and 20 instances with 100 limits each
    #[arg(long)]
    script: bool,
    /// The program of the store, a Redis or a Valkey
    #[arg(long, default_value = DEBIANS)]
    store: String,
}

/// When what happens, in seconds since the load began.
struct Plan {
    killed: u64,
    back: u64,
    store_killed: u64,
    store_back: u64,
    dropped: u64,
    cut: u64,
    over: u64,
    /// What the caller with a budget may spend, in cents; a request costs one.
    budget: usize,
}

const WHOLE: Plan = Plan {
    killed: 10,
    back: 25,
    store_killed: 40,
    store_back: 44,
    dropped: 70,
    cut: 90,
    over: 150,
    budget: 200,
};

const QUICK: Plan = Plan {
    killed: 4,
    back: 8,
    store_killed: 11,
    store_back: 13,
    dropped: 19,
    cut: 25,
    over: 30,
    budget: 60,
};

/// Builds and starts everything, and shows what became of it.
///
/// # Errors
///
/// A step that went wrong, or a limit that was exceeded.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if options.script {
        return commands::costs_of_scripts(&options.store);
    }
    let plan = if options.quick { QUICK } else { WHOLE };
    println!("infermux fleet: three instances, one store, {CALLERS} callers\n");
    // The packages that `cargo x instructions` builds: with others, features and so builds differ.
    let packages = ["infermux", "infermux-mock", "infermux-load"].join(" --package ");
    commands::cargo(&format!("build --release --locked --package {packages}"))?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let mut processes = Processes::new()?;
    let instance = json!({
        "name": "alpha", "listen": "127.0.0.1:0", "control": "127.0.0.1:0",
        "models": ["m", "n"], "prompt_tokens": 10, "completion_tokens": 10, "usage": "always",
    });
    let flags = ["--instance".to_owned(), instance.to_string()];
    let mock = processes.start(&bin.join("infermux-mock"), &flags, mock_address)?;
    let mut store = Store::start(&options.store)?;
    let mut fleet = Vec::new();
    for number in 0..3 {
        let state_file = folder.path().join(format!("state-{number}.json"));
        let text = config(&mock.address, (store.port, plan.budget), &state_file);
        let file = folder.write(&format!("infermux-{number}.yml"), &text)?;
        fleet.push(Instance::start(&bin, file)?);
    }
    let addresses: Vec<String> = fleet.iter().map(|one| one.address.clone()).collect();
    println!(
        "store     127.0.0.1:{}\ninstances {}",
        store.port,
        addresses.join(" ")
    );
    if options.stay {
        println!("\nEverything keeps serving until Ctrl-C.");
        return processes.wait_for_stop();
    }
    let served = under_load(&addresses, || {
        faults(&plan, (&mut store, &mut fleet[2]), &mut processes)
    })?;
    let shown: Result<Vec<Shown>, String> = fleet.iter().map(shown).collect();
    sums::judge(&served, &shown?, plan.budget)
}

/// What dies, and when.
fn faults(
    plan: &Plan,
    (store, last): (&mut Store, &mut Instance),
    processes: &mut Processes,
) -> Result<(), String> {
    let clock = Stopwatch::start();
    let mut at = |seconds: u64, what: &str| {
        let left = Duration::from_secs(seconds).saturating_sub(clock.elapsed());
        processes.watch_for(left)?;
        println!("{seconds:>4} s  {what}");
        Ok::<(), String>(())
    };
    at(plan.killed, "an instance is killed")?;
    last.kill();
    at(plan.back, "it comes back")?;
    last.start_again()?;
    at(plan.store_killed, "the store is killed")?;
    store.kill();
    at(plan.store_back, "an empty one is in its place")?;
    store.start_again()?;
    at(plan.dropped, "its data is dropped")?;
    store.say("FLUSHALL")?;
    at(plan.cut, "connections to it are cut")?;
    store.say("CLIENT KILL TYPE normal SKIPME yes")?;
    at(plan.over, "that was all")
}

/// Runs `faults` under load; returns which requests were served, and when.
fn under_load(
    addresses: &[String],
    faults: impl FnOnce() -> Result<(), String>,
) -> Result<Vec<Served>, String> {
    let (sender, served) = channel();
    let is_over = AtomicBool::new(false);
    let clock = Stopwatch::start();
    let done = std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (sender, is_over) = (sender.clone(), &is_over);
            scope.spawn(move || {
                let mut turn = caller;
                while !is_over.load(Ordering::Relaxed) {
                    turn += 1;
                    let has_budget = caller % 2 == 0;
                    ask(
                        &addresses[turn % addresses.len()],
                        has_budget,
                        (clock, &sender),
                    );
                }
            });
        }
        let done = faults();
        is_over.store(true, Ordering::Relaxed);
        done
    });
    drop(sender);
    done.map(|()| served.iter().collect())
}

fn ask(address: &str, has_budget: bool, (clock, served): (Stopwatch, &Sender<Served>)) {
    let model = if has_budget { "n" } else { "m" };
    let body = json!({
        "model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "10 bytes.."}],
    });
    match status(address, has_budget, &body.to_string()) {
        Ok(200) => {
            let at = clock.elapsed().as_secs_f64();
            let _ = served.send(Served { at, has_budget });
        }
        // Whoever is refused, or finds nobody there, tries another instance soon.
        Ok(_) | Err(_) => pause(Duration::from_millis(20)),
    }
}

/// The status of the answer to a request of the caller who has the budget, or of another one, once
/// all of it is read.
fn status(address: &str, has_budget: bool, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (length, caller) = (body.len(), if has_budget { "research" } else { "others" });
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nX-Infermux-Caller: {caller}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(status.unwrap_or_default())
}

/// What an instance says that all have spent of the budget.
fn shown(instance: &Instance) -> Result<Shown, String> {
    let spent = instance.metric("infermux_budget_spent_usd{caller=\"research\"}")?;
    Ok(Shown {
        cents: spent * 100.0,
    })
}

fn config(provider: &str, (store, budget): (u16, usize), state_file: &Path) -> String {
    format!(
        "listen: 127.0.0.1:0\nserver: {{shards: 1}}\nlog: {{level: warn}}\n\
         shared: {{url: \"redis://127.0.0.1:{store}/0\", namespace: fleet, member_ttl: 10s}}\n\
         circuit_breaker: {{consecutive_failures: 1000000, min_requests: 1000000}}\n\
         auth: {{mode: passthrough}}\n\
         providers:\n  - {{name: alpha, type: openai, api_key: sk-alpha, models: [m], \
         base_url: \"http://{provider}/v1\", rate_limits: {{requests_per_minute: {LIMIT}}}}}\n  \
         - {{name: beta, type: openai, api_key: sk-beta, models: [n], \
         base_url: \"http://{provider}/v1\"}}\n\
         pricing: {{beta: {{n: {{input_per_million: 500, output_per_million: 500}}}}}}\n\
         budgets: {{state_file: {}, callers: [{{caller: research, monthly_usd: {}}}]}}\n",
        state_file.display(),
        budget as f64 / 100.0,
    )
}
