//! Everything that takes part: providers, store, disk, clock, and the router's file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::dice::Dice;
use super::doors::Doors;
use super::faults::{self, Range};
use super::router::{Launch, run};
use super::secrets::{CALLERS, KEY};
use crate::client::{self, Request};
use crate::clock::pause;
use crate::compare::system::free_port;
use crate::demo::Folder;
use crate::mock::{Mock, mock_address};
use crate::processes::Processes;
use crate::store::{DEBIANS, Store};

/// Requests that the provider `delta` may be sent in a minute.
pub(super) const LIMIT: u64 = 240;
/// Requests that it may have at once.
pub(super) const AT_ONCE: u64 = 6;
/// Requests that the callers' team may have at once.
const TEAM_AT_ONCE: u64 = 14;
/// What the caller `spender` may spend, in dollars.
pub(super) const BUDGET: u64 = 3;
/// The place of the provider with limits among all.
pub(super) const LIMITED: usize = 3;
/// Providers: name, dialect, models.
const PROVIDERS: [(&str, &str, &str); 5] = [
    ("alpha", "openai", "chat, embed"),
    ("beta", "openai", "chat"),
    ("gamma", "anthropic", "chat"),
    ("delta", "openai", "limited"),
    ("epsilon", "openai", "paid"),
];
/// The library that gives a program another clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The scene of one run.
pub(super) struct Scene {
    pub(super) doors: Doors,
    pub(super) shards: u64,
    pub(super) mocks: Vec<Mock>,
    pub(super) store: Option<Store>,
    pub(super) disk: Option<Disk>,
    /// The file that says how far the router's clock is off.
    pub(super) clock: Option<PathBuf>,
    config: PathBuf,
    folder: Folder,
    bin: PathBuf,
}

impl Scene {
    /// Starts everything but the router; the seed says what there is.
    ///
    /// # Errors
    ///
    /// A part that does not start.
    pub(super) fn build(
        bin: &Path,
        processes: &mut Processes,
        dice: &mut Dice,
    ) -> Result<Self, String> {
        let folder = Folder::new()?;
        let mocks = mocks(bin, processes)?;
        let has_store = dice.chance(50) && run(DEBIANS, &["--version"]);
        let has_clock = dice.chance(50) && Path::new(FAKETIME).exists();
        let disk = Disk::mount(folder.path());
        let config = folder.path().join("infermux.yml");
        let mut scene = Self {
            doors: Doors {
                callers: free_address()?,
                operators: free_address()?,
            },
            shards: dice.between(2, 5),
            mocks,
            store: if has_store {
                Some(Store::start(DEBIANS)?)
            } else {
                None
            },
            disk,
            clock: has_clock.then(|| folder.path().join("clock")),
            config,
            folder,
            bin: bin.to_path_buf(),
        };
        scene.set_clock(0)?;
        scene.write_config(dice)?;
        Ok(scene)
    }

    /// What takes part and what does not, in words.
    pub(super) fn told(&self) -> String {
        let has = |part: bool, name: &str| if part { "" } else { "no " }.to_owned() + name;
        format!(
            "{} shards, {}, {}, {}",
            self.shards,
            has(self.store.is_some(), "store"),
            has(self.disk.is_some(), "disk that gets full"),
            has(self.clock.is_some(), "clock that steps"),
        )
    }

    /// How the router is started.
    pub(super) fn launch(&self) -> Launch {
        let mut words = Vec::new();
        if let Some(disk) = &self.disk {
            let holder = disk.holder.id().to_string();
            words = ["nsenter", "--mount", "--target", &holder, "--"]
                .map(str::to_owned)
                .to_vec();
        }
        words.push(self.bin.join("infermux").display().to_string());
        let shards = self.shards.to_string();
        let config = self.config.display().to_string();
        words.extend(["serve", "--shards", &shards, "--config", &config].map(str::to_owned));
        let mut environment = Vec::new();
        if let Some(clock) = &self.clock {
            let file = clock.display().to_string();
            for (name, value) in [
                ("LD_PRELOAD", FAKETIME),
                ("FAKETIME_TIMESTAMP_FILE", &file),
                ("FAKETIME_CACHE_DURATION", "1"),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("FAKETIME_DONT_RESET", "1"),
            ] {
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        Launch {
            words,
            environment,
            doors: self.doors.clone(),
        }
    }

    /// Sets the router's clock off by this many seconds, if it has one of its own.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn set_clock(&self, seconds: i64) -> Result<(), String> {
        let Some(clock) = &self.clock else {
            return Ok(());
        };
        std::fs::write(clock, format!("{seconds:+}")).map_err(|e| format!("the clock: {e}"))
    }

    /// Writes a file that is right; strategy and weights are drawn.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write_config(&mut self, dice: &mut Dice) -> Result<(), String> {
        let text = self.config_text(dice);
        self.folder.write("infermux.yml", &text).map(drop)
    }

    /// Writes a file with a fault.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write_bad_config(&mut self, dice: &mut Dice) -> Result<(), String> {
        let good = self.config_text(dice);
        let text = match dice.below(4) {
            0 => String::new(),
            1 => good.replace("strategy:", "strategy: x"),
            2 => good.get(..good.len() / 2).unwrap_or_default().to_owned() + "\n  - {",
            _ => good.replace("name: beta", "name: alpha"),
        };
        self.folder.write("infermux.yml", &text).map(drop)
    }

    fn config_text(&self, dice: &mut Dice) -> String {
        let state = match &self.disk {
            Some(disk) => disk.folder.join("state.json"),
            None => self.folder.path().join("state.json"),
        };
        let strategies = [
            "round_robin",
            "random",
            "least_latency",
            "cost_weighted",
            "priority",
        ];
        let strategy = dice.one(&strategies);
        let mut text = format!(
            "listen: \"{}\"\nmanagement_listen: \"{}\"\nlog: {{format: json}}\n{SETTINGS}\
             routing: {{strategy: {strategy}, failover: {{deadline: 8s}}}}\n\
             budgets:\n  state_file: {}\n  callers:\n    - {{caller: spender, \
             monthly_usd: {BUDGET}, action: hard_stop}}\n",
            self.doors.callers,
            self.doors.operators,
            state.display(),
        );
        if let Some(store) = &self.store {
            text += &format!(
                "shared: {{url: \"redis://127.0.0.1:{}/0\", namespace: chaos, member_ttl: 10s}}\n",
                store.port
            );
        }
        text += &auth();
        text += "providers:\n";
        for (mock, (name, dialect, models)) in self.mocks.iter().zip(PROVIDERS) {
            let base = if dialect == "openai" { "/v1" } else { "" };
            let weight = dice.between(1, 5);
            text += &format!(
                "  - {{name: {name}, type: {dialect}, api_key: {}-{name}, models: [{models}], \
                 base_url: \"http://{}{base}\", weight: {weight}, timeout: 2s, \
                 connect_timeout: 1s, {}}}\n",
                KEY,
                mock.address,
                rest(name),
            );
        }
        text += "pricing:\n";
        for (name, _, models) in PROVIDERS {
            text += &format!("  {name}:\n");
            for model in models.split(", ") {
                text +=
                    &format!("    {model}: {{input_per_million: 311, output_per_million: 1127}}\n");
            }
        }
        text
    }

    /// Gives a provider another script.
    ///
    /// # Errors
    ///
    /// When the provider does not take it.
    pub(super) fn direct(&self, place: usize, script: &Value) -> Result<(), String> {
        let mock = &self.mocks[place];
        let request = Request {
            address: &mock.control,
            method: "PUT",
            path: "/_mock/script",
            body: &script.to_string(),
        };
        let answer = client::send(&request, |_| {}).map_err(|e| format!("{}: {e}", mock.name))?;
        match answer.status() {
            200..300 => Ok(()),
            _ => Err(format!(
                "{}: {script}: {}",
                mock.name,
                String::from_utf8_lossy(&answer.body)
            )),
        }
    }

    /// Lets all providers answer as they should.
    ///
    /// # Errors
    ///
    /// See [`Self::direct`].
    pub(super) fn heal(&self) -> Result<(), String> {
        (0..self.mocks.len()).try_for_each(|place| self.direct(place, &faults::healed()))
    }

    /// A script with faults that the provider at `place` may have.
    pub(super) fn script(&self, place: usize, dice: &mut Dice) -> Value {
        let (name, _, models) = PROVIDERS[place];
        let range = if models == "paid" {
            Range::SameSize
        } else {
            Range::All
        };
        faults::script(dice, range, &format!("{}-{name}", KEY))
    }
}

/// Callers' keys and their team, with limits and budgets: some of them refuse, and all of them
/// count.
fn auth() -> String {
    let mut text = format!(
        "teams:\n  - {{name: crew, limits: {{max_in_flight: {TEAM_AT_ONCE}}}, \
         budgets: [{{usd: 1000000, per: month, action: alert}}]}}\nauth:\n  mode: keys\n  keys:\n"
    );
    for (name, key) in CALLERS {
        let hash = digest(&SHA256, key.as_bytes());
        let hash: String = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        text += &format!(
            "    - {{name: {name}, hash: \"sha256:{hash}\", team: crew, callers: [\"*\"], \
             limits: {{requests_per_minute: 100000, tokens_per_day: 900000000}}, \
             budgets: [{{usd: 1000000, per: month, action: hard_stop}}]}}\n"
        );
    }
    text
}

/// What is particular to a provider.
fn rest(name: &str) -> String {
    let checks = "health_check: {interval: 5s, timeout: 2s}";
    match name {
        // All that reaches this one are callers' requests, so that they can be counted there.
        "delta" => format!(
            "health_check: {{disabled: true}}, max_in_flight: {AT_ONCE}, \
             rate_limits: {{requests_per_minute: {LIMIT}}}"
        ),
        _ => checks.to_owned(),
    }
}

/// Deadlines that a minute has room for, and bounds that are reached.
const SETTINGS: &str = "server: {max_connections: 400, max_body_bytes: 4194304, \
    max_buffered_bytes: 67108864, max_event_bytes: 1048576, header_timeout: 2s, \
    body_timeout: 2s, idle_timeout: 4s, heartbeat: 1s}\n\
    circuit_breaker: {recovery_window: 1s, consecutive_failures: 12, min_requests: 40}\n";

fn mocks(bin: &Path, processes: &mut Processes) -> Result<Vec<Mock>, String> {
    let mut mocks = Vec::new();
    for (name, dialect, models) in PROVIDERS {
        let models: Vec<&str> = models.split(", ").collect();
        let instance = json!({
            "name": name, "dialect": dialect, "listen": "127.0.0.1:0", "control": "127.0.0.1:0",
            "models": models, "key": format!("{}-{name}", KEY), "usage": "always",
        });
        let flags = ["--instance".to_owned(), instance.to_string()];
        mocks.push(processes.start(&bin.join("infermux-mock"), &flags, mock_address)?);
    }
    Ok(mocks)
}

fn free_address() -> Result<SocketAddr, String> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

/// A small disk of the router's own, which can be filled.
pub(super) struct Disk {
    /// Keeps the disk while routers come and go.
    holder: Child,
    folder: PathBuf,
}

impl Disk {
    /// Mounts it where only the router sees it; nothing where the system does not allow that.
    fn mount(folder: &Path) -> Option<Self> {
        let folder = folder.join("disk");
        std::fs::create_dir(&folder).ok()?;
        let place = folder.display();
        let script = format!("mount -t tmpfs -o size=256k tmpfs {place} && exec sleep infinity");
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mounts = format!("/proc/{}/mounts", holder.id());
        for _ in 0..100 {
            let is_there = std::fs::read_to_string(&mounts)
                .is_ok_and(|mounts| mounts.contains(&format!("tmpfs {place} ")));
            if is_there {
                return Some(Self { holder, folder });
            }
            pause(Duration::from_millis(20));
        }
        let _ = holder.kill();
        let _ = holder.wait();
        None
    }

    fn filler(&self) -> PathBuf {
        let inside = self.folder.strip_prefix("/").unwrap_or(&self.folder);
        Path::new("/proc")
            .join(self.holder.id().to_string())
            .join("root")
            .join(inside)
            .join("filler")
    }

    /// Leaves no room on it.
    pub(super) fn fill(&self) {
        // It ends when there is no room left, which is what is wanted.
        let _ = std::fs::write(self.filler(), vec![b'x'; 512 << 10]);
    }

    /// Makes room again.
    pub(super) fn empty(&self) {
        // There may have been nothing on it.
        let _ = std::fs::remove_file(self.filler());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
