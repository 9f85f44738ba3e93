//! Starts mock providers from the command line and says where they listen.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use infermux_mock::{Running, Setup};
use serde_json::{Map, Value};

/// A scriptable stand-in for LLM providers.
///
/// Prints one line per instance when it listens:
/// `mock a listening on 127.0.0.1:41234 (control 127.0.0.1:41235)`
#[derive(Debug, Parser)]
#[command(version, term_width = 0, after_long_help = include_str!("../README.md"))]
struct Flags {
    /// Where the instance listens; several instances take a free port each unless it is named
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A second listener for /_mock/* only, which also answers while the script refuses
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// A file with the script, JSON
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The script itself, JSON; its fields lie over those of --script
    #[arg(long, value_name = "JSON")]
    script_json: Option<String>,
    /// How many instances of the script to start: NAME-1, NAME-2, …
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    instances: usize,
    /// One instance: a script with `listen` and `control` beside it, laid over --script; repeatable
    #[arg(long, value_name = "JSON", conflicts_with = "instances")]
    instance: Vec<String>,
    /// How many threads serve every instance
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match setups(&flags).and_then(|setups| infermux_mock::start(setups, flags.threads)) {
        Ok(running) => {
            announce(&running);
            running.join();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("infermux-mock: {error}");
            ExitCode::FAILURE
        }
    }
}

fn announce(running: &Running) {
    let mut lines = String::new();
    for seat in running.seats() {
        let control = match seat.control() {
            Some(control) => format!(" (control {control})"),
            None => String::new(),
        };
        lines.push_str(&format!(
            "mock {} listening on {}{control}\n",
            seat.name(),
            seat.address()
        ));
    }
    let mut out = std::io::stdout();
    // Nothing may read the standard output.
    let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
}

fn setups(flags: &Flags) -> Result<Vec<Setup>, String> {
    let mut base = Map::new();
    if let Some(path) = &flags.script {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        base.extend(object(&text, &path.display().to_string())?);
    }
    if let Some(text) = &flags.script_json {
        base.extend(object(text, "--script-json")?);
    }
    if !flags.instance.is_empty() {
        return flags
            .instance
            .iter()
            .map(|text| named_setup(flags, &base, text))
            .collect();
    }
    let name = base
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("mock")
        .to_owned();
    let numbered = |number: usize| {
        let mut script = base.clone();
        if flags.instances > 1 {
            script.insert("name".to_owned(), format!("{name}-{number}").into());
        }
        Setup {
            script: Value::Object(script),
            listen: shifted(flags.listen, number - 1),
            control: flags.control.map(|address| shifted(address, number - 1)),
        }
    };
    Ok((1..=flags.instances.max(1)).map(numbered).collect())
}

/// The address of a further instance: the next ports, or a free one each.
fn shifted(mut address: SocketAddr, by: usize) -> SocketAddr {
    if address.port() != 0 {
        let by = u16::try_from(by).unwrap_or(u16::MAX);
        address.set_port(address.port().saturating_add(by));
    }
    address
}

fn named_setup(flags: &Flags, base: &Map<String, Value>, text: &str) -> Result<Setup, String> {
    let mut script = base.clone();
    script.extend(object(text, "--instance")?);
    let mut address = |key: &str| match script.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|error| format!("--instance: {key}: {error}")),
        Some(_) => Err(format!("--instance: {key}: not a string")),
    };
    let any = SocketAddr::new(flags.listen.ip(), 0);
    let listen = address("listen")?.unwrap_or(any);
    let control = address("control")?.or(flags.control);
    Ok(Setup {
        script: Value::Object(script),
        listen,
        control,
    })
}

fn object(text: &str, place: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("{place}: {error}"))
}
