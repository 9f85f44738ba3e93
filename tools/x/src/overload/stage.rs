//! One router with its provider, for one phase.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::tally::Metrics;
use crate::client::{self, Answer, Request};
use crate::clock::{Stopwatch, pause};
use crate::compare::process::Tree;
use crate::demo::Folder;
use crate::mock::{Mock, mock_address};
use crate::processes::Processes;
use crate::scrape::{self, Addresses};

/// What is the same for all phases.
pub(super) struct Plan {
    pub(super) bin: PathBuf,
    pub(super) is_quick: bool,
}

/// What a phase's router and provider are.
pub(super) struct Setting {
    /// How the provider answers.
    pub(super) script: Value,
    /// The file, without its listeners and its providers.
    pub(super) config: String,
    /// The providers beside the first one, each on a line of its own, in which `MOCK` stands for
    /// the address.
    pub(super) providers: String,
    /// More keys of the first provider, each behind a comma.
    pub(super) limits: &'static str,
    /// How many files the router may have open.
    pub(super) files: usize,
}

/// A router that serves, and its provider.
pub(super) struct Stage {
    pub(super) bin: PathBuf,
    pub(super) folder: Folder,
    pub(super) mock: Mock,
    pub(super) router: Addresses,
    pub(super) tree: Tree,
    /// How long the router took to start.
    pub(super) ready_after: Duration,
}

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

impl Setting {
    /// A provider that answers without thinking, and a router with these settings.
    pub(super) fn quick(plan: &Plan, config: String) -> Self {
        Self {
            script: json!({"canned": true, "record": false, "body_bytes": 562}),
            config,
            providers: String::new(),
            limits: "",
            files: plan.files(),
        }
    }
}

impl Plan {
    /// How many files the router may have open, and this program: as many as the system allows.
    pub(super) fn files(&self) -> usize {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        soft.unwrap_or(1_024)
    }

    /// The first in a whole run, the second in a quick one.
    pub(super) fn of<T>(&self, whole: T, quick: T) -> T {
        if self.is_quick { quick } else { whole }
    }

    /// Starts provider and router, and has `work` done with them.
    pub(super) fn play<T: Send + 'static>(
        &self,
        setting: &Setting,
        work: impl FnOnce(&Stage) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let mut processes = Processes::new()?;
        let stage = self.start(&mut processes, setting)?;
        let (sender, receiver) = std::sync::mpsc::channel();
        // The lines that the router logs must be read meanwhile.
        processes.watch(move || {
            let done = work(&stage)?;
            // The receiver waits for it.
            let _ = sender.send(done);
            Ok(())
        })?;
        receiver.recv().map_err(|e| e.to_string())
    }

    fn start(&self, processes: &mut Processes, setting: &Setting) -> Result<Stage, String> {
        let folder = Folder::new()?;
        let instance = json!({"name": "mock", "listen": "127.0.0.1:0", "control": "127.0.0.1:0"});
        let mut instance = instance;
        if let (Some(all), Some(more)) = (instance.as_object_mut(), setting.script.as_object()) {
            all.extend(more.clone());
        }
        let program = self.bin.join("infermux-mock").display().to_string();
        // Callers that ask for too much take all of a core. The provider shares it, and goes first:
        // what is measured is the router. Where that is not allowed, `nice` starts it all the same.
        let instance = instance.to_string();
        let words = [
            "-n",
            "-10",
            "taskset",
            "-c",
            "1",
            &program,
            "--instance",
            &instance,
        ];
        let mock = processes.start(Path::new("nice"), &words.map(str::to_owned), mock_address)?;
        let config = folder.write("infermux.yml", &config(&mock, setting))?;
        let program = self.bin.join("infermux").display().to_string();
        let config = config.display().to_string();
        let files = format!("--nofile={}", setting.files);
        let words = [
            &files, "taskset", "-c", "0", &program, "serve", "--config", &config,
        ];
        let clock = Stopwatch::start();
        let router = processes.start(
            Path::new("prlimit"),
            &words.map(str::to_owned),
            scrape::addresses,
        )?;
        let pid = processes.last_id().ok_or("the router has no process id")?;
        Ok(Stage {
            bin: self.bin.clone(),
            folder,
            mock,
            router,
            tree: Tree::of(pid),
            ready_after: clock.elapsed(),
        })
    }
}

fn config(mock: &Mock, setting: &Setting) -> String {
    let mut text = format!(
        "listen: 127.0.0.1:0\nmanagement_listen: 127.0.0.1:0\nlog: {{level: warn}}\n{}providers:\n",
        setting.config
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  - {{name: mock, type: openai, base_url: \"http://{}/v1\", api_key: sk-mock, \
         health_check: {{disabled: true}}, models: [gpt-4o]{}}}",
        mock.address, setting.limits
    );
    text += &setting.providers.replace("MOCK", &mock.address);
    text
}

impl Stage {
    /// What the router counts.
    pub(super) fn metrics(&self) -> Result<Metrics, String> {
        // On a busy machine, the thread that writes it may wait for long: its priority is low.
        let clock = Stopwatch::start();
        loop {
            match scrape::scrape(&self.router) {
                Ok(text) => return Ok(Metrics::read(&text)),
                Err(error) if clock.elapsed() > PATIENCE => return Err(error),
                Err(_) => pause(Duration::from_millis(100)),
            }
        }
    }

    /// What the provider counts.
    pub(super) fn provided(&self) -> Result<Value, String> {
        let answer = send(&self.mock.control, ("GET", "/_mock/stats"), "")?;
        serde_json::from_slice(&answer.body).map_err(|e| e.to_string())
    }

    /// Memory in RAM, in KiB.
    pub(super) fn memory(&self) -> Result<f64, String> {
        self.tree.rss_kib()
    }

    /// Waits until the metrics are as wished; gives the last ones in any case.
    pub(super) fn eventually(&self, is_so: impl Fn(&Metrics) -> bool) -> Result<Metrics, String> {
        let clock = Stopwatch::start();
        loop {
            let metrics = self.metrics()?;
            if is_so(&metrics) || clock.elapsed() > PATIENCE {
                return Ok(metrics);
            }
            pause(Duration::from_millis(100));
        }
    }

    /// Waits until the provider's counts are as wished; gives the last ones in any case.
    pub(super) fn until_provided(&self, is_so: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let clock = Stopwatch::start();
        loop {
            let stats = self.provided()?;
            if is_so(&stats) || clock.elapsed() > PATIENCE {
                return Ok(stats);
            }
            pause(Duration::from_millis(50));
        }
    }

    /// A request of a caller; its whole answer.
    pub(super) fn ask(&self, body: &str) -> Result<Answer, String> {
        send(&self.router.callers, ("POST", "/v1/chat/completions"), body)
    }
}

/// Sends a request on a connection of its own.
pub(super) fn send(
    address: &str,
    (method, path): (&str, &str),
    body: &str,
) -> Result<Answer, String> {
    let request = Request {
        address,
        method,
        path,
        body,
    };
    client::send(&request, |_| {}).map_err(|e| format!("{method} {path}: {e}"))
}

/// A chat request.
pub(super) const CHAT: &str =
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello there"}]}"#;
/// One that asks for a stream.
pub(super) const STREAM: &str =
    r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hello there"}]}"#;
