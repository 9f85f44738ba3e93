//! `cargo x demo`: infermux between two mock providers, for people who see it for the first time.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::commands;
use crate::mock::{Mock, mock_address};
use crate::processes::Processes;
use crate::steps;

/// What happens after the last step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything is stopped.
    Leave,
    /// Everything serves on until Ctrl-C.
    Stay,
}

/// Builds, starts and shows everything.
///
/// # Errors
///
/// A step that went wrong.
pub(crate) fn run(ending: Ending) -> Result<(), String> {
    println!("infermux demo: one router in front of two mock providers, alpha and beta\n");
    commands::cargo("build --release --locked --package infermux --package infermux-mock")?;
    let bin = commands::target_dir()?.join("release");
    let folder = Folder::new()?;
    let mut processes = Processes::new()?;

    let alpha = start_mock(&mut processes, &bin, "alpha")?;
    let beta = start_mock(&mut processes, &bin, "beta")?;
    let config = folder.write("infermux.yml", &config(&alpha, &beta))?;
    let flags = [
        "serve".to_owned(),
        "--config".to_owned(),
        config.display().to_string(),
    ];
    let router = processes.start(&bin.join("infermux"), &flags, router_address)?;
    println!(
        "\nalpha     http://{}\nbeta      http://{}",
        alpha.address, beta.address
    );
    println!("infermux  http://{router}\nconfig    {}", config.display());

    let address = router.clone();
    processes.watch(move || steps::show(&address, &alpha))?;
    match ending {
        Ending::Leave => {
            println!(
                "\nThat was all. `cargo x demo --stay` keeps it serving for your own requests."
            );
            Ok(())
        }
        Ending::Stay => stay(&mut processes, &router),
    }
}

fn stay(processes: &mut Processes, router: &str) -> Result<(), String> {
    let _note = Note::write(router)?;
    println!(
        "\nEverything keeps serving until Ctrl-C. The page is at http://{router}/_infermux/.\n\
         In another terminal:\n\n  \
         curl -sN http://{router}/v1/chat/completions -H 'Content-Type: application/json' \\\n    \
         -d '{{\"model\":\"gpt-4o\",\"stream\":true,\
         \"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n  \
         curl -s http://{router}/_infermux/providers\n  \
         cargo x load -c 64 -d 5s\n"
    );
    processes.wait_for_stop()?;
    println!("\nstopped");
    Ok(())
}

/// Each provider is a process of its own, as in production.
fn start_mock(processes: &mut Processes, bin: &Path, name: &str) -> Result<Mock, String> {
    let instance = json!({
        "name": name,
        "listen": "127.0.0.1:0",
        "control": "127.0.0.1:0",
        "key": format!("sk-{name}"),
        "models": ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"],
        "tokens_per_second": 20,
    });
    let flags = ["--instance".to_owned(), instance.to_string()];
    processes.start(&bin.join("infermux-mock"), &flags, mock_address)
}

fn config(alpha: &Mock, beta: &Mock) -> String {
    let provider = |mock: &Mock| {
        let Mock { name, address, .. } = mock;
        format!(
            "  - name: {name}\n    type: openai\n    api_key: sk-{name}\n    \
             base_url: http://{address}/v1\n    \
             models: [gpt-4o, gpt-4o-mini, text-embedding-3-small]\n"
        )
    };
    format!(
        "listen: 127.0.0.1:0\n\nproviders:\n{}{}\nrouting:\n  strategy: round_robin\n  \
         groups:\n    - name: chat\n      models: [gpt-4o]\n      strategy: priority\n      \
         providers: [alpha, beta]\n",
        provider(alpha),
        provider(beta)
    )
}

/// Reads `… listening on ADDR …`.
pub(crate) fn router_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let word = rest.split([' ', ',', '"']).next()?;
    let (_, port) = word.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    Some(format!("127.0.0.1:{port}"))
}

/// A folder of this run; dropping it removes it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates it.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub(crate) fn new() -> Result<Self, String> {
        Self::with(format!("infermux-x-{}", std::process::id()))
    }

    /// Creates one more, for what this name says.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        Self::with(format!("infermux-x-{}-{name}", std::process::id()))
    }

    fn with(name: String) -> Result<Self, String> {
        let path = std::env::temp_dir().join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(e) => Err(format!("cannot create {}: {e}", path.display())),
        }
    }

    /// Writes a file into it and gives the file's path.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(e) => Err(format!("cannot write {}: {e}", path.display())),
        }
    }
}

impl Folder {
    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The file that tells `cargo x load` where a demo is running; dropping it removes it.
struct Note(PathBuf);

impl Note {
    fn write(router: &str) -> Result<Self, String> {
        let path = commands::demo_file()?;
        let text = json!({ "url": format!("http://{router}") }).to_string();
        let mut file = std::fs::File::create(&path)
            .map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        file.write_all(text.as_bytes())
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_addresses_in_what_the_processes_say() {
        let mock = mock_address("mock alpha listening on 127.0.0.1:4001 (control 127.0.0.1:4002)");
        let mock = mock.expect("an address");
        assert_eq!(
            (mock.name.as_str(), mock.control.as_str()),
            ("alpha", "127.0.0.1:4002")
        );
        for line in [
            "listening on 127.0.0.1:8080",
            "INFO listening on :8080 (management: :8081)",
            "{\"msg\":\"listening on 0.0.0.0:8080\"}",
        ] {
            assert_eq!(
                router_address(line).as_deref(),
                Some("127.0.0.1:8080"),
                "{line}"
            );
        }
        assert_eq!(router_address("listening on 127.0.0.1:0"), None);
        assert_eq!(mock_address("mock alpha"), None);
    }
}
