//! `cargo x fleet`: three instances with one store under load, while instances and the store die;
//! in the end, the sums beside the limits.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::json;

use crate::clock::{Stopwatch, pause};
use crate::commands;
use crate::demo::{Ending, Folder, router_address};
use crate::mock::mock_address;
use crate::processes::Processes;

/// Requests that the provider may be sent in any 60 s.
const LIMIT: usize = 600;
/// What the caller may spend, in cents; a request costs one.
const BUDGET: usize = 900;
/// Whose budget it is.
const CALLER: &str = "research";
/// Callers at once.
const CALLERS: usize = 12;
/// How long the load lasts.
const SPAN: Duration = Duration::from_secs(150);

/// Builds and starts everything, and shows what became of it.
///
/// # Errors
///
/// A step that went wrong, or a limit that was exceeded.
pub(crate) fn run(ending: Ending) -> Result<(), String> {
    println!("infermux fleet: three instances, one store, {CALLERS} callers\n");
    commands::cargo("build --release --locked --package infermux --package infermux-mock")?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let mut processes = Processes::new()?;
    let instance = json!({
        "name": "alpha", "listen": "127.0.0.1:0", "control": "127.0.0.1:0",
        "models": ["m"], "prompt_tokens": 10, "completion_tokens": 10, "usage": "always",
    });
    let flags = ["--instance".to_owned(), instance.to_string()];
    let mock = processes.start(&bin.join("infermux-mock"), &flags, mock_address)?;
    let mut store = Own::store()?;
    let mut fleet = Vec::new();
    for number in 0..3 {
        let state_file = folder.path().join(format!("state-{number}.json"));
        let text = config(&mock.address, store.port, &state_file);
        let file = folder.write(&format!("infermux-{number}.yml"), &text)?;
        fleet.push(Instance::start(&bin, file)?);
    }
    let addresses: Vec<String> = fleet.iter().map(|one| one.address.clone()).collect();
    println!(
        "store     127.0.0.1:{}\ninstances {}",
        store.port,
        addresses.join(" ")
    );
    if ending == Ending::Stay {
        println!("\nEverything keeps serving until Ctrl-C.");
        return processes.wait_for_stop();
    }
    let times = under_load(&addresses, || faults(&mut store, &mut fleet[2]))?;
    judge(&times)
}

/// What dies, and when.
fn faults(store: &mut Own, last: &mut Instance) -> Result<(), String> {
    let clock = Stopwatch::start();
    let at = |seconds: u64, what: &str| {
        pause(Duration::from_secs(seconds).saturating_sub(clock.elapsed()));
        println!("{seconds:>4} s  {what}");
    };
    at(10, "an instance is killed");
    last.own.kill();
    at(25, "it comes back");
    *last = Instance::start_at(&last.bin, last.file.clone(), &last.address)?;
    at(40, "the store is killed");
    store.kill();
    at(44, "an empty one is in its place");
    store.start_again()?;
    at(70, "its data is dropped");
    store.say("FLUSHALL")?;
    at(90, "connections to it are cut");
    store.say("CLIENT KILL TYPE normal SKIPME yes")?;
    at(SPAN.as_secs(), "that was all");
    Ok(())
}

/// Runs `faults` under load; returns when requests were served, as seconds since the start.
fn under_load(
    addresses: &[String],
    faults: impl FnOnce() -> Result<(), String>,
) -> Result<Vec<f64>, String> {
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
                    ask(&addresses[turn % addresses.len()], clock, &sender);
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

fn ask(address: &str, clock: Stopwatch, served: &Sender<f64>) {
    let body = json!({
        "model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "10 bytes.."}],
    });
    match status(address, &body.to_string()) {
        Ok(200) => {
            let _ = served.send(clock.elapsed().as_secs_f64());
        }
        // Whoever is refused, or finds nobody there, tries another instance soon.
        Ok(_) | Err(_) => pause(Duration::from_millis(20)),
    }
}

/// The status of the answer to a request of the caller who has the budget, once all of it is read.
fn status(address: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nX-Infermux-Caller: {CALLER}\r\n\
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

/// Prints the sums, and compares them with the limits.
fn judge(times: &[f64]) -> Result<(), String> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let most = times.iter().enumerate().map(|(first, began)| {
        let within = times[first..].iter().take_while(|at| **at < began + 59.5);
        within.count()
    });
    let most = most.max().unwrap_or_default();
    println!("\n{:>8} requests served", times.len());
    println!("{most:>8} of {LIMIT} in the fullest minute");
    println!("{:>8} of {BUDGET} cents spent", times.len());
    if most > LIMIT {
        return Err("the limit was exceeded".to_owned());
    }
    // A last request's excess, for each instance that died or was cut off with one under way.
    if times.len() > BUDGET + 3 {
        return Err("the budget was exceeded".to_owned());
    }
    if times.len() < BUDGET / 2 {
        return Err("hardly anything was served".to_owned());
    }
    Ok(())
}

fn config(provider: &str, store: u16, state_file: &Path) -> String {
    format!(
        "listen: 127.0.0.1:0\nserver: {{shards: 1}}\nlog: {{level: warn}}\n\
         shared: {{url: \"redis://127.0.0.1:{store}/0\", namespace: fleet, member_ttl: 10s}}\n\
         circuit_breaker: {{consecutive_failures: 1000000, min_requests: 1000000}}\n\
         auth: {{mode: passthrough}}\n\
         providers:\n  - {{name: alpha, type: openai, api_key: sk-alpha, models: [m], \
         base_url: \"http://{provider}/v1\", rate_limits: {{requests_per_minute: {LIMIT}}}}}\n\
         pricing: {{alpha: {{m: {{input_per_million: 500, output_per_million: 500}}}}}}\n\
         budgets: {{state_file: {}, callers: [{{caller: {CALLER}, monthly_usd: {}}}]}}\n",
        state_file.display(),
        BUDGET / 100,
    )
}

/// A child process of its own, which may die before this one does.
struct Own {
    child: Child,
    port: u16,
}

impl Own {
    fn store() -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.map_err(|e| format!("no free port: {e}"))?.port();
        let child = Self::spawn_store(port)?;
        Ok(Self { child, port })
    }

    fn spawn_store(port: u16) -> Result<Child, String> {
        let port_text = port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port_text, "--save", ""])
            .args(["--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| format!("redis-server: {e} (apt-get install redis-server)"))?;
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(child);
            }
            pause(Duration::from_millis(50));
        }
        Err("redis-server does not take connections".to_owned())
    }

    fn start_again(&mut self) -> Result<(), String> {
        self.child = Self::spawn_store(self.port)?;
        Ok(())
    }

    fn say(&self, command: &str) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port));
        let said = stream.and_then(|mut stream| {
            write!(stream, "{command}\r\n")?;
            stream.read(&mut [0; 64]).map(drop)
        });
        said.map_err(|e| format!("{command}: {e}"))
    }

    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An instance of infermux.
struct Instance {
    own: Own,
    bin: PathBuf,
    file: PathBuf,
    address: String,
}

impl Instance {
    fn start(bin: &Path, file: PathBuf) -> Result<Self, String> {
        Self::start_at(bin, file, "127.0.0.1:0")
    }

    fn start_at(bin: &Path, file: PathBuf, listen: &str) -> Result<Self, String> {
        let mut child = Command::new(bin.join("infermux"))
            .args(["serve", "--listen", listen, "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start infermux: {e}"))?;
        let stdout = child.stdout.take().ok_or("its output is not piped")?;
        let lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| router_address(&line));
        let address = address.ok_or("infermux does not listen")?;
        Ok(Self {
            own: Own { child, port: 0 },
            bin: bin.to_path_buf(),
            file,
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_minute_and_the_sum_are_judged() {
        let times = |count: usize, span: f64| -> Vec<f64> {
            let step = span / f64::from(u32::try_from(count).unwrap_or(1));
            (0..count)
                .scan(0.0, |at, _| Some(std::mem::replace(at, *at + step)))
                .collect()
        };
        assert!(judge(&times(900, 150.0)).is_ok());
        assert!(judge(&times(700, 50.0)).is_err());
        assert!(judge(&times(1_000, 150.0)).is_err());
        assert!(judge(&times(10, 150.0)).is_err());
    }
}
