//! Systems under test and the mock provider: started on their cores, stopped when dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::peers::{Peer, Setting};
use super::process::Tree;
use super::workloads::Workload;
use crate::clock::{self, Stopwatch};

/// The core of the system under test, as an argument of `taskset`.
pub(crate) const SYSTEM_CORE: &str = "0";
/// The core of the load tool and the provider.
pub(crate) const LOAD_CORE: &str = "1";
/// How long a system may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most lines of a failed system's output that are shown.
const LINES_MAX: usize = 20;

/// The folders of programs and files.
pub(crate) struct Folders {
    /// The folder with this workspace's release programs.
    pub(crate) bin: PathBuf,
    /// The folder of this run.
    pub(crate) folder: PathBuf,
}

/// A participant of a workload: a peer, perhaps in a special form.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// Its name.
    pub(crate) label: String,
    /// The peer.
    pub(crate) peer: Peer,
    /// The words that choose lines of its configuration.
    pub(crate) words: Vec<&'static str>,
    /// The cores it may use.
    pub(crate) cores: &'static str,
    /// Flags of the load tool.
    pub(crate) load: &'static [&'static str],
}

/// A process that ends with its handle, or with this program.
pub(crate) struct Guarded(pub(crate) Child);

/// A system that accepts connections.
pub(crate) struct System {
    process: Guarded,
    /// Where it listens.
    pub(crate) port: u16,
    /// Its processes.
    pub(crate) tree: Tree,
}

/// The mock provider.
pub(crate) struct Provider {
    _process: Guarded,
    /// Its host and port.
    pub(crate) address: String,
}

/// The command that runs `program` on `cores`; the program ends when this one does.
fn on_cores(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "taskset", "-c", cores])
        .arg(program)
        .stdin(Stdio::null());
    command
}

impl System {
    /// Starts `contender` in front of the provider at `upstream` and waits until it listens.
    ///
    /// # Errors
    ///
    /// It does not start; its output.
    pub(crate) fn start(
        contender: &Contender,
        folders: &Folders,
        upstream: &str,
    ) -> Result<Self, String> {
        let name = contender.label.replace([' ', '/'], "-");
        let config = folders.folder.join(format!("{name}.conf"));
        let setting = Setting {
            config: &config,
            folder: &folders.folder,
            port: free_port()?,
            upstream,
        };
        let text = contender.peer.config(&contender.words, &setting);
        fs::write(&config, text).map_err(|e| format!("{}: {e}", config.display()))?;
        let log = folders.folder.join(format!("{name}.log"));
        let out = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let err = out.try_clone().map_err(|e| e.to_string())?;
        let program = contender.peer.path(&folders.bin)?;
        let child = on_cores(contender.cores, &program)
            .args(contender.peer.arguments(&setting))
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let mut process = Guarded(child);
        wait(&mut process, setting.port).map_err(|why| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = said.lines().take(LINES_MAX).collect();
            format!("{name} {why}:\n{}", lines.join("\n"))
        })?;
        let tree = Tree::of(process.0.id());
        Ok(Self {
            process,
            port: setting.port,
            tree,
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.process.0.try_wait(), Ok(None))
    }

    /// The URL for requests of `workload`; for a peer that only relays, with the provider's own
    /// path.
    pub(crate) fn url(&self, workload: &Workload, peer: &Peer) -> String {
        let scheme = if workload.words.contains(&"tls") {
            "https"
        } else {
            "http"
        };
        let path = if workload.words.contains(&"anthropic") && !peer.translates {
            "/v1/messages"
        } else {
            "/v1/chat/completions"
        };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }
}

impl Provider {
    /// Starts the mock with `script`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start(folders: &Folders, script: &str) -> Result<Self, String> {
        let mut child = on_cores(LOAD_CORE, &folders.bin.join("infermux-mock"))
            .args(["--script-json", script])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start infermux-mock: {e}"))?;
        let out = child.stdout.take();
        let process = Guarded(child);
        let mut line = String::new();
        if let Some(out) = out {
            let read = BufReader::new(out).read_line(&mut line);
            read.map_err(|e| format!("infermux-mock: {e}"))?;
        }
        let address = line
            .split_once(" listening on ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        let address = address.ok_or_else(|| format!("infermux-mock: {line:?}"))?;
        Ok(Self {
            _process: process,
            address: address.to_owned(),
        })
    }
}

/// Waits until `process` accepts connections.
///
/// # Errors
///
/// It has ended, or takes too long.
pub(crate) fn wait(process: &mut Guarded, port: u16) -> Result<(), String> {
    let clock = Stopwatch::start();
    while clock.elapsed() < PATIENCE {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if let Ok(Some(status)) = process.0.try_wait() {
            return Err(format!("has ended ({status})"));
        }
        clock::pause(Duration::from_millis(20));
    }
    Err(format!("does not listen after {PATIENCE:?}"))
}

/// A port that was free a moment ago.
///
/// # Errors
///
/// There is none.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no port: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    Ok(address.port())
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
