//! An instance of infermux that may die before this program does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::client::{self, Request};
use crate::compare::system::Guarded;
use crate::demo::router_address;
use crate::processes::beside;

/// An instance of infermux; it ends with its handle, or with this program.
pub(super) struct Instance {
    process: Guarded,
    bin: PathBuf,
    file: PathBuf,
    /// Where it listens.
    pub(super) address: String,
}

impl Instance {
    /// Starts one with this file, on a free port.
    pub(super) fn start(bin: &Path, file: PathBuf) -> Result<Self, String> {
        Self::start_at(bin, file, "127.0.0.1:0")
    }

    fn start_at(bin: &Path, file: PathBuf, listen: &str) -> Result<Self, String> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(bin.join("infermux"))
            .args(["serve", "--listen", listen, "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start setpriv: {e}"))?;
        let stdout = child.stdout.take().ok_or("its output is not piped")?;
        let process = Guarded(child);
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let address = lines.find_map(|line| router_address(&line));
        let address = address.ok_or("infermux does not listen")?;
        // Whatever it writes later is read, and shown as what it tells on its standard error is.
        beside("lines", move || {
            lines.for_each(|line| println!("   {line}"));
        })?;
        Ok(Self {
            process,
            bin: bin.to_path_buf(),
            file,
            address,
        })
    }

    /// It is killed with SIGKILL.
    pub(super) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
    }

    /// After [`Self::kill`], it is started with the same file and at the same address.
    pub(super) fn start_again(&mut self) -> Result<(), String> {
        *self = Self::start_at(&self.bin, self.file.clone(), &self.address)?;
        Ok(())
    }

    /// The value of the first series that begins with `series`, as the instance's metrics have it.
    pub(super) fn metric(&self, series: &str) -> Result<f64, String> {
        let request = Request {
            address: &self.address,
            method: "GET",
            path: "/_infermux/metrics",
            body: "",
        };
        let answer = client::send(&request, |_| {});
        let answer = answer.map_err(|e| format!("{}: {e}", self.address))?;
        let text = String::from_utf8_lossy(&answer.body);
        let line = text.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.ok_or_else(|| format!("{} has no {series}", self.address))
    }
}
