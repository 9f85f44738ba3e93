//! The router as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::client::{self, Answer};
use super::{PATIENCE, eventually};

/// A running router. It is killed when this is dropped.
pub struct Router {
    child: Child,
    addr: SocketAddr,
    /// The operators' address, if it is another one.
    management: Option<SocketAddr>,
    /// What it printed until it listened.
    said: Vec<String>,
    log: Arc<Mutex<String>>,
    /// Whether its test makes it panic.
    panics: bool,
    /// Holds the configuration; removed with the router.
    folder: Folder,
}

/// A folder of its own for one test, removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// A fresh, empty folder.
    pub fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("infermux-it-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file in the temporary folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Settings for the start of a router.
pub struct Start {
    folder: Folder,
    command: Command,
}

impl Start {
    /// `infermux serve` with this configuration, on two shards unless it says otherwise.
    pub fn with(config: &str) -> Self {
        let folder = Folder::new();
        let path = folder.write("infermux.yml", config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_infermux"));
        command.arg("serve").arg("--config").arg(path);
        if !config.contains("shards:") {
            command.args(["--shards", "2"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { folder, command }
    }

    /// The folder that holds the configuration.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The command, to be changed.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Adds arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Starts it with this limit of open files.
    pub fn with_open_files(mut self, count: u32) -> Self {
        let mut command = Command::new("sh");
        let limit = format!("ulimit -n {count} && exec \"$@\"");
        command
            .args(["-c", &limit, "sh"])
            .arg(self.command.get_program());
        command.args(self.command.get_args());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it listens.
    pub fn go(mut self) -> Router {
        let mut child = self.command.spawn().expect("the router starts");
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stderr.take().expect("piped"), Arc::clone(&log));
        let lines = lines_of(child.stdout.take().expect("piped"));
        let start = Instant::now();
        let mut said = Vec::new();
        let (addr, management) = loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let Ok(line) = lines.recv_timeout(left) else {
                panic!("the router does not listen: {}", log.lock().expect("a log"));
            };
            let line = prose(line);
            said.push(line.clone());
            if let Some(rest) = line.strip_prefix("listening on ") {
                let addr = rest.split_whitespace().next().unwrap_or_default();
                let management = rest.split_once("(management: ");
                let management = management.map(|(_, rest)| reachable(rest.trim_end_matches(')')));
                break (reachable(addr), management);
            }
        };
        Router {
            child,
            addr,
            management,
            said,
            log,
            panics: false,
            folder: self.folder,
        }
    }
}

impl Router {
    /// A router with this configuration.
    pub fn start(config: &str) -> Self {
        Start::with(config).go()
    }

    /// Notes that this test makes it panic.
    pub fn expect_panics(&mut self) {
        self.panics = true;
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where operators connect.
    pub fn management(&self) -> SocketAddr {
        self.management.unwrap_or(self.addr)
    }

    /// What it printed until it listened, line by line.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// The folder that holds the configuration.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Replaces the configuration file, and has it reloaded.
    pub fn reload(&self, config: &str) -> Answer {
        self.folder.write("infermux.yml", config);
        client::post(self.management(), "/_infermux/reload")
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    /// Waits until it has logged `text`.
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || {
            self.log().contains(text)
        });
    }

    /// Sends it a signal: `TERM`, `INT`, ….
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for its end, and for the end of its log.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the router ends", || {
            status = self.child.try_wait().expect("a child to wait for");
            status.is_some()
        });
        eventually("all of its log is read", || {
            Arc::strong_count(&self.log) == 1
        });
        status.expect("it has ended")
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the router's log\n{}", self.log());
        } else if !self.panics {
            // A panic ends one connection only, so that the test may not have noticed it.
            assert!(!self.log().contains("panicked"), "{}", self.log());
        }
    }
}

/// The text of a line, without the object around it.
fn prose(line: String) -> String {
    let object = serde_json::from_str::<serde_json::Value>(&line).ok();
    let message = object.and_then(|object| object["message"].as_str().map(str::to_owned));
    message.unwrap_or(line)
}

/// The address at which a test reaches a router that says it listens on `text`.
fn reachable(text: &str) -> SocketAddr {
    let local = ["[::]:", "0.0.0.0:", "localhost:", ":"];
    let port = local.iter().find_map(|prefix| text.strip_prefix(prefix));
    let addr = port.map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    addr.parse().expect("an address")
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count) = from.read(&mut bytes)
            && count > 0
        {
            into.lock()
                .expect("a log")
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
}

fn lines_of(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Nothing receives lines any more once the address is known.
            let _ = sender.send(line);
        }
    });
    receiver
}
