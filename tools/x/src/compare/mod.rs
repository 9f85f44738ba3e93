//! `cargo x compare`: infermux beside HAProxy, nginx and further systems that a file names, under
//! the same load in one run, in processor time, latency, system calls and memory.
//!
//! The system under test has one core, the load tool and the mock provider the other. The base runs
//! first and last in every round, to show whether the machine changes meanwhile.

mod contest;
mod figures;
mod load;
mod memory;
mod options;
pub(crate) mod peers;
pub(crate) mod process;
mod report;
mod syscalls;
pub(crate) mod system;
mod workloads;

use std::path::Path;
use std::process::Command;

use crate::commands;
use crate::demo::Folder;

use contest::Measured;
use peers::Peer;
use report::Setup;
use system::Folders;

pub(crate) use options::Options;

/// Measures, prints and writes.
///
/// # Errors
///
/// A program that is missing, does not start or does not answer.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let chosen = workloads::chosen(&options.workloads)?;
    let peers = peers::load(options.peers.as_deref(), &options.only)?;
    if peers.iter().all(|peer| peer.name != options.base) {
        return Err(format!("the base, {}, is no peer", options.base));
    }
    if !options.no_build {
        let tools = ["infermux-mock", "infermux-load"];
        let packages = [peers::OWN, tools].concat().join(" --package ");
        commands::cargo(&format!("build --release --locked --package {packages}"))?;
    }
    let bin = commands::target_dir()?.join("release");
    let setup = setup(&peers, &bin)?;
    let folder = Folder::new()?;
    let folders = Folders {
        bin,
        folder: folder.path().to_owned(),
    };
    write_papers(&folder)?;
    load::write_prompt(&folders.folder)?;

    let mut measured = Vec::new();
    for workload in &chosen {
        eprintln!("{}: {}", workload.name, workload.title);
        measured.push(contest::hold(workload, &peers, options, &folders)?);
    }
    publish(options, &setup, &measured)
}

fn publish(options: &Options, setup: &Setup, measured: &[Measured]) -> Result<(), String> {
    let text = report::markdown(setup, measured);
    println!("{text}");
    let out = match &options.out {
        Some(out) => out.clone(),
        None => commands::target_dir()?.join("compare"),
    };
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    for (name, text) in [
        ("compare.md", text),
        ("compare.json", report::json(setup, measured)),
        ("compare.html", report::html(setup, measured)),
    ] {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Looks for all programs that are needed, before anything is measured.
fn setup(peers: &[Peer], bin: &Path) -> Result<Setup, String> {
    let mut missing = Vec::new();
    let mut versions = Vec::new();
    for peer in peers {
        match peer.path(bin) {
            Ok(path) => versions.push(format!("{} ({})", peer.name, peer.version(&path))),
            Err(what) => missing.push(what),
        }
    }
    for tool in ["taskset", "setpriv"] {
        if Command::new(tool).arg("--version").output().is_err() {
            missing.push(format!("{tool} is missing: apt-get install util-linux"));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        missing.push("two cores are needed: one for the system, one for the load".to_owned());
    }
    if !missing.is_empty() {
        return Err(missing.join("\n"));
    }
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let words: Vec<String> = std::env::args().skip(1).collect();
    Ok(Setup {
        command: format!("cargo x {}", words.join(" ")),
        date: said("date", &["-u", "+%F"]),
        machine: format!(
            "{}, {cores} cores, Linux {}",
            model.unwrap_or_default(),
            said("uname", &["-r"])
        ),
        versions,
    })
}

/// The output of a small program.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

/// Writes a certificate for this run, in the form that each of the systems needs.
fn write_papers(folder: &Folder) -> Result<(), String> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| e.to_string())?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    folder.write("both.pem", &format!("{cert}{key}"))?;
    folder.write("cert.pem", &cert)?;
    folder.write("key.pem", &key)?;
    Ok(())
}
