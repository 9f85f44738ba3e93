//! A Valkey or Redis of this program's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::compare::system::{Guarded, free_port, wait};

/// Debian's server.
pub(crate) const DEBIANS: &str = "redis-server";

/// A store that keeps everything in memory; it ends with its handle, or with this program.
pub(crate) struct Store {
    program: String,
    process: Guarded,
    /// Where it listens, on this host.
    pub(crate) port: u16,
}

impl Store {
    /// Starts `program`, a Redis or a Valkey, on a free port.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start(program: &str) -> Result<Self, String> {
        let port = free_port()?;
        let mut process = Guarded(spawn(program, port)?);
        wait(&mut process, port).map_err(|why| format!("{program} {why}"))?;
        Ok(Self {
            program: program.to_owned(),
            process,
            port,
        })
    }

    /// It is killed, with all of its data.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
    }

    /// After [`Self::kill`], an empty one is in its place.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        self.process = Guarded(spawn(&self.program, self.port)?);
        wait(&mut self.process, self.port).map_err(|why| format!("{} {why}", self.program))
    }

    /// Carries out a command.
    ///
    /// # Errors
    ///
    /// When it is not answered.
    pub(crate) fn say(&self, command: &str) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port));
        let said = stream.and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "{command}\r\n")?;
            stream.read(&mut [0; 64]).map(drop)
        });
        said.map_err(|e| format!("{command}: {e}"))
    }
}

fn spawn(program: &str, port: u16) -> Result<Child, String> {
    let port = port.to_string();
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", program])
        .args(["--bind", "127.0.0.1", "--port", &port])
        .args(["--save", "", "--appendonly", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot start setpriv: {e}"))
}

const PATIENCE: Duration = Duration::from_secs(20);
