//! One run: the router under callgrind, between the load tool and the mock provider.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::profile::{self, Profile};
use super::rows::{Row, SHARED};
use crate::compare::peers;
use crate::compare::system::{self, Folders, Guarded, Provider};
use crate::store::{DEBIANS, Store};

/// The router's configuration.
const TEMPLATE: &str = include_str!("router.yml");
/// What the router says where it has no ring.
const NO_RING: &str = "epoll is used";

/// The router, running under callgrind.
struct Router {
    process: Guarded,
    port: u16,
    log: PathBuf,
    out: PathBuf,
}

/// Counts the instructions of run `index` of `row`; callgrind's file stays in the folder.
///
/// # Errors
///
/// A program does not start, or a request is not answered well.
pub(crate) fn run(folders: &Folders, row: &Row, index: usize) -> Result<Profile, String> {
    let provider = Provider::start(folders, &row.script(index))?;
    let is_shared = row.words.contains(&SHARED);
    let store = is_shared.then(|| Store::start(DEBIANS)).transpose()?;
    let name = format!("{}.{}", row.name, ["few", "many"][index]);
    let addresses = (&*provider.address, store.as_ref().map_or(0, |one| one.port));
    let router = Router::start(folders, row, &name, addresses)?;
    let url = format!("http://127.0.0.1:{}{}", router.port, row.path);
    load(folders, row, index, &url)?;
    router.stop()
}

impl Router {
    fn start(
        folders: &Folders,
        row: &Row,
        name: &str,
        (upstream, store): (&str, u16),
    ) -> Result<Self, String> {
        let path = |end: &str| folders.folder.join(format!("{name}.{end}"));
        let [config, log, out] = ["yml", "log", "out"].map(path);
        let port = system::free_port()?;
        let text = peers::fitting(TEMPLATE, row.words)
            .replace("@port@", &port.to_string())
            .replace("@upstream@", upstream)
            .replace("@store@", &store.to_string())
            .replace("@hash@", KEY_HASH);
        write(&config, &text)?;
        // A file of an earlier run must not be taken for this one's.
        let _ = fs::remove_file(&out);
        let file = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let child = command(folders, &config, &out)?
            .stdout(file.try_clone().map_err(|e| e.to_string())?)
            .stderr(file)
            .spawn()
            .map_err(|e| format!("cannot start setpriv: {e}"))?;
        let mut process = Guarded(child);
        system::wait(&mut process, port).map_err(|why| said(&log, &format!("infermux {why}")))?;
        Ok(Self {
            process,
            port,
            log,
            out,
        })
    }

    /// Ends it and reads what callgrind has counted.
    fn stop(mut self) -> Result<Profile, String> {
        terminate(&mut self.process.0)?;
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        if !text.contains(NO_RING) {
            return Err(said(&self.log, "infermux has not fallen back to epoll"));
        }
        let text = fs::read_to_string(&self.out).map_err(|e| said(&self.log, &e.to_string()))?;
        profile::read(&text).map_err(|e| format!("{}: {e}", self.out.display()))
    }
}

/// The router under callgrind, without a ring; it ends when this process does.
fn command(folders: &Folders, config: &Path, out: &Path) -> Result<Command, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(own)
        .args(["without-ring", "valgrind", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(folders.bin.join("infermux"))
        .args(["serve", "--config"])
        .arg(config)
        .stdin(Stdio::null());
    Ok(command)
}

/// Sends the requests of run `index`; each must be answered as its row says.
fn load(folders: &Folders, row: &Row, index: usize, url: &str) -> Result<(), String> {
    let output = Command::new(folders.bin.join("infermux-load"))
        .args(row.flags(index))
        .args(["--url", url])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run infermux-load: {e}"))?;
    let result: Value = serde_json::from_slice(&output.stdout).map_err(|e| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("infermux-load: {e}\n{said}")
    })?;
    let (count, answers) = (u64::from(row.requests(index)), &result["answers"]);
    let errors = &result["errors_by_kind"];
    let told = errors[format!("status_{}", row.status)].as_u64();
    let is_as_told = match row.status {
        200 => result["errors"] == 0 && *answers == count,
        // A limit lets the first one pass.
        _ => told.is_some_and(|told| told == count || told == count - 1 && *answers == 1),
    };
    match is_as_told {
        true => Ok(()),
        false => Err(format!(
            "not every request was answered as it should be: {answers} answers, {errors}"
        )),
    }
}

/// Asks a process to end, and waits for it.
fn terminate(child: &mut Child) -> Result<(), String> {
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status();
    asked.map_err(|e| format!("cannot run kill: {e}"))?;
    let status = child.wait().map_err(|e| e.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("infermux has ended ({status})")),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// `what` happened, and the router's last words.
fn said(log: &Path, what: &str) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(LINES_MAX).collect();
    let last: Vec<&str> = lines.into_iter().rev().collect();
    format!("{what}:\n{}", last.join("\n"))
}

/// Most lines of the router's that are shown.
const LINES_MAX: usize = 20;

/// The SHA-256 of the caller's key.
const KEY_HASH: &str = "416990c83b2d77c5da45e08b47b403d570cdafc4462edb56662dc3a45f76151e";

#[cfg(test)]
mod tests {
    use super::super::rows::{self, KEY};
    use super::*;

    #[test]
    fn every_line_of_the_configuration_is_of_some_row() {
        for row in rows::ALL {
            let text = peers::fitting(TEMPLATE, row.words);
            assert!(text.contains("@upstream@"), "{text}");
            let yaml = text.replace('@', "0");
            let value: Result<serde_yaml::Value, _> = serde_yaml::from_str(&yaml);
            assert!(value.is_ok(), "{}: {yaml}", row.name);
        }
        let words: Vec<&str> = rows::ALL
            .iter()
            .flat_map(|row| row.words)
            .copied()
            .collect();
        for line in TEMPLATE.lines().filter_map(|line| line.strip_prefix('[')) {
            let (word, _) = line.split_once(']').expect("a condition");
            let word = word.trim_start_matches('!');
            assert!(words.contains(&word), "{word}");
        }
    }

    #[test]
    fn the_hash_is_the_keys() {
        let output = Command::new("sh")
            .args(["-c", "printf %s \"$1\" | sha256sum", "sh", KEY])
            .output()
            .expect("sha256sum");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.split(' ').next(), Some(KEY_HASH));
    }
}
