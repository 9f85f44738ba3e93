//! Servers for a test, and the few words of their protocol.
//!
//! They are Debian's `redis-server` and those whose paths `INFERMUX_TEST_STORES` has, with `:`
//! between them: `tests/store/servers` installs an older Redis and a Valkey, and prints the paths.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A real server on a socket in a folder of its own; it ends with this value.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    stream: BufReader<UnixStream>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nothing,
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
}

impl Server {
    /// Calls `test` with one of each; with none where `redis-server` is not installed, which is
    /// allowed everywhere but in CI.
    pub(crate) fn each(mut test: impl FnMut(Self)) {
        let more = std::env::var("INFERMUX_TEST_STORES").unwrap_or_default();
        let more = more.split(':').filter(|path| !path.is_empty());
        for program in std::iter::once("redis-server").chain(more) {
            if let Some(server) = Self::start(program) {
                test(server);
            }
        }
    }

    /// Starts one; `None`: there is no such program, and none is needed.
    pub(crate) fn start(program: &str) -> Option<Self> {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("infermux-store-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = folder.join("socket");
        let started = Command::new(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(&socket)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            let is_needed = is_ci || program != "redis-server";
            assert!(
                !is_needed,
                "{program} cannot be started (apt-get install redis-server)"
            );
            eprintln!("not compared: redis-server is not installed (apt-get install redis-server)");
            return None;
        };
        let since = Instant::now();
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(since.elapsed() < LONGEST, "it does not listen: {error}"),
            }
            std::thread::yield_now();
        };
        stream.set_read_timeout(Some(LONGEST)).expect("a timeout");
        let stream = BufReader::new(stream);
        let mut server = Self {
            child,
            folder,
            stream,
        };
        println!("{}", server.version());
        Some(server)
    }

    /// What it is: `redis_version:7.0.15` or `valkey_version:9.1.2`.
    pub(crate) fn version(&mut self) -> String {
        let info = self.call(&["INFO", "server"]).texts().concat();
        let line = |name: &str| info.lines().find(|line| line.starts_with(name));
        let line = line("valkey_version:").or_else(|| line("redis_version:"));
        line.expect("a version").to_owned()
    }

    /// Loads a script; returns the name to run it by.
    pub(crate) fn load(&mut self, script: &str) -> String {
        let loaded = self.call(&["SCRIPT", "LOAD", script]);
        let Value::Bytes(name) = loaded else {
            panic!("{loaded:?}");
        };
        String::from_utf8(name).expect("a digest")
    }

    /// Runs a loaded script.
    pub(crate) fn run(&mut self, script: &str, keys: &[String], arguments: &[String]) -> Value {
        let count = keys.len().to_string();
        let parts = ["EVALSHA", script, &count].into_iter();
        let more = keys.iter().chain(arguments).map(String::as_str);
        let parts: Vec<&str> = parts.chain(more).collect();
        self.call(&parts)
    }

    /// Runs a command.
    pub(crate) fn call(&mut self, parts: &[&str]) -> Value {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.call_bytes(&parts)
    }

    /// Runs a command whose parts are no text.
    pub(crate) fn call_bytes(&mut self, parts: &[&[u8]]) -> Value {
        let mut text = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            text.extend(format!("${}\r\n", part.len()).into_bytes());
            text.extend_from_slice(part);
            text.extend(b"\r\n");
        }
        self.stream.get_mut().write_all(&text).expect("it reads");
        self.read()
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("it answers");
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            "+" => Value::Bytes(rest.into()),
            ":" => Value::Number(number()),
            "$" | "*" if number() < 0 => Value::Nothing,
            "$" => {
                let mut bytes = vec![0; usize::try_from(number()).expect("a length") + 2];
                self.stream.read_exact(&mut bytes).expect("it answers");
                bytes.truncate(bytes.len() - 2);
                Value::Bytes(bytes)
            }
            "*" => Value::List((0..number()).map(|_| self.read()).collect()),
            _ => panic!("{line}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Value {
    /// A list of whole numbers, or one number.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        match self {
            Self::Number(number) => vec![*number],
            Self::List(list) => list.iter().flat_map(Self::numbers).collect(),
            Self::Nothing | Self::Bytes(_) => panic!("{self:?}"),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::Bytes(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
            Self::List(list) => list.iter().flat_map(Self::texts).collect(),
            Self::Nothing | Self::Number(_) => panic!("{self:?}"),
        }
    }
}

const LONGEST: Duration = Duration::from_secs(20);
