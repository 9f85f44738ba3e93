//! A real store for tests of several instances: Debian's `redis-server`, or the one whose path
//! `INFERMUX_TEST_STORE` is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::eventually;
use super::router::Folder;

/// A running store. It is killed when this is dropped.
pub struct Store {
    child: Child,
    addr: SocketAddr,
    arguments: Vec<String>,
    _folder: Folder,
}

impl Store {
    /// An empty store; `None`: there is no `redis-server`, which is allowed everywhere but in CI.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let program = program();
        let is_there = Command::new(&program).arg("--version").output();
        if is_there.is_err() {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(
                !is_ci,
                "{program} is not installed (apt-get install redis-server)"
            );
            eprintln!("not tested: {program} is not installed (apt-get install redis-server)");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = free.local_addr().expect("an address");
        drop(free);
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let folder = Folder::new();
        let child = Self::spawn(addr, &arguments);
        let mut store = Self {
            child,
            addr,
            arguments,
            _folder: folder,
        };
        store.wait();
        Some(store)
    }

    fn spawn(addr: SocketAddr, arguments: &[String]) -> Child {
        let port = addr.port().to_string();
        let mut command = Command::new(program());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if !arguments.iter().any(|one| one == "--tls-port") {
            command.args(["--port", &port]);
        }
        let arguments = arguments.iter().map(|one| one.replace("PORT", &port));
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the store starts")
    }

    fn wait(&mut self) {
        eventually("the store takes connections", || {
            TcpStream::connect(self.addr).is_ok()
        });
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// It is killed, with all of its data.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// After [`Self::kill`], an empty one is in its place.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.addr, &self.arguments);
        self.wait();
    }

    /// Its answer to a command without blanks in its arguments.
    pub fn say(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("a connection");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        write!(stream, "{command}\r\n").expect("it reads");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("it answers");
        let Some(length) = line.strip_prefix('$') else {
            return line;
        };
        let mut text = vec![0; length.trim().parse().expect("a length")];
        reader.read_exact(&mut text).expect("the rest");
        String::from_utf8(text).expect("text")
    }

    /// How often it was told to run a script.
    pub fn calls(&self) -> u64 {
        let stats = self.say("INFO commandstats");
        let lines = stats
            .lines()
            .filter(|line| line.starts_with("cmdstat_eval"));
        let calls = lines.filter_map(|line| {
            let calls = line.split_once("calls=")?.1.split(',').next()?;
            calls.parse::<u64>().ok()
        });
        calls.sum()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> String {
    std::env::var("INFERMUX_TEST_STORE").unwrap_or_else(|_| "redis-server".to_owned())
}
