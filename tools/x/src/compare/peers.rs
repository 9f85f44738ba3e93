//! The systems that are compared, from a file: how each is started and configured.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The systems that are compared unless a file says otherwise.
const BUILT_IN: &str = include_str!("peers.yml");
/// Programs that this workspace builds.
pub(crate) const OWN: [&str; 2] = ["infermux", "infermux-floor"];

/// One system.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// Its name in every table.
    pub(crate) name: String,
    /// A program of the search path, a path, or one that this workspace builds.
    program: String,
    /// How to get it.
    #[serde(default)]
    install: String,
    /// The arguments that make it say its version.
    #[serde(default)]
    version: Vec<String>,
    arguments: Vec<String>,
    #[serde(default)]
    config: String,
    /// Words of workloads that it cannot take part in.
    #[serde(default)]
    without: Vec<String>,
    /// Whether it speaks `OpenAI` to callers whatever the provider speaks.
    #[serde(default)]
    pub(crate) translates: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peers {
    peers: Vec<Peer>,
}

/// The values for the marks of a template.
pub(crate) struct Setting<'a> {
    /// The file that the configuration is written to.
    pub(crate) config: &'a Path,
    /// A folder for other files.
    pub(crate) folder: &'a Path,
    /// Where to listen.
    pub(crate) port: u16,
    /// The provider's address.
    pub(crate) upstream: &'a str,
}

/// The built-in peers with those of `file` among them, which replace others of the same name; all
/// of them, or those named in `only`.
///
/// # Errors
///
/// A fault of the file, or a name that no peer has.
pub(crate) fn load(file: Option<&Path>, only: &[String]) -> Result<Vec<Peer>, String> {
    let mut peers = parse(BUILT_IN)?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        for peer in parse(&text).map_err(|e| format!("{}: {e}", path.display()))? {
            match peers.iter_mut().find(|own| own.name == peer.name) {
                Some(own) => *own = peer,
                None => peers.push(peer),
            }
        }
    }
    if let Some(unknown) = only
        .iter()
        .find(|name| peers.iter().all(|peer| peer.name != **name))
    {
        return Err(format!("no peer is called {unknown}"));
    }
    peers.retain(|peer| only.is_empty() || only.contains(&peer.name));
    Ok(peers)
}

fn parse(text: &str) -> Result<Vec<Peer>, String> {
    let peers: Peers = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
    Ok(peers.peers)
}

impl Peer {
    /// The program's path; for programs of this workspace, the one that was just built.
    ///
    /// # Errors
    ///
    /// It is not installed; how to install it.
    pub(crate) fn path(&self, bin: &Path) -> Result<PathBuf, String> {
        if OWN.contains(&self.program.as_str()) {
            return Ok(bin.join(&self.program));
        }
        let found = Command::new("which").arg(&self.program).output();
        let path = found.map_err(|e| format!("cannot run which: {e}"))?.stdout;
        match String::from_utf8_lossy(&path).trim() {
            "" if self.install.is_empty() => Err(format!("{} is missing", self.program)),
            "" => Err(format!("{} is missing: {}", self.program, self.install)),
            path => Ok(PathBuf::from(path)),
        }
    }

    /// Whether it can do what a workload with these words asks for.
    pub(crate) fn takes_part(&self, words: &[&str]) -> bool {
        !self
            .without
            .iter()
            .any(|word| words.contains(&word.as_str()))
    }

    /// The first line that the program says about its version.
    pub(crate) fn version(&self, path: &Path) -> String {
        let Ok(output) = Command::new(path).args(&self.version).output() else {
            return String::new();
        };
        let said = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        let line = text.lines().next().unwrap_or_default();
        line.split(" - ").next().unwrap_or_default().to_owned()
    }

    /// Its configuration for a workload with these words.
    pub(crate) fn config(&self, words: &[&str], setting: &Setting<'_>) -> String {
        setting.filled(&fitting(&self.config, words))
    }

    /// The arguments that start it.
    pub(crate) fn arguments(&self, setting: &Setting<'_>) -> Vec<String> {
        let arguments = self.arguments.iter();
        arguments.map(|argument| setting.filled(argument)).collect()
    }
}

impl Setting<'_> {
    fn filled(&self, text: &str) -> String {
        text.replace("@config@", &self.config.display().to_string())
            .replace("@folder@", &self.folder.display().to_string())
            .replace("@port@", &self.port.to_string())
            .replace("@upstream@", self.upstream)
    }
}

/// The lines of a template whose conditions hold for these words.
pub(crate) fn fitting(template: &str, words: &[&str]) -> String {
    let lines = template.lines().filter_map(|line| chosen(line, words));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The line without its condition, if that holds.
fn chosen<'a>(line: &'a str, words: &[&str]) -> Option<&'a str> {
    let conditional = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some((condition, rest)) = conditional else {
        return Some(line);
    };
    let holds = match condition.strip_prefix('!') {
        Some(word) => !words.contains(&word),
        None => words.contains(&condition),
    };
    holds.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting<'static> {
        Setting {
            config: Path::new("/f/c"),
            folder: Path::new("/f"),
            port: 8,
            upstream: "u:9",
        }
    }

    #[test]
    fn a_line_stands_only_where_its_condition_holds() {
        assert_eq!(chosen("a [b]", &[]), Some("a [b]"));
        for (words, both) in [
            (&["tls"][..], [Some(" x"), None]),
            (&[][..], [None, Some("x")]),
        ] {
            assert_eq!([chosen("[tls] x", words), chosen("[!tls]x", words)], both);
        }
    }

    #[test]
    fn every_mark_of_the_built_in_peers_is_filled() {
        let peers = load(None, &[]).expect("the built-in file");
        assert_eq!(peers[0].name, "haproxy");
        for peer in &peers {
            for words in [&[][..], &["logs", "tls", "stream", "alias"]] {
                let arguments = peer.arguments(&setting()).join(" ");
                let text = peer.config(words, &setting()) + &arguments;
                assert!(text.contains("u:9") && !text.contains('@'), "{text}");
                assert!(!text.contains("[!"), "{text}");
                assert_eq!(arguments.contains("/f/c"), !peer.config.is_empty());
            }
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_an_error() {
        let only = ["nginx".to_owned(), "envoy".to_owned()];
        let error = load(None, &only).expect_err("there is no envoy");
        assert_eq!(error, "no peer is called envoy");
        assert_eq!(load(None, &only[..1]).expect("nginx").len(), 1);
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let text = "peers: [{name: a, program: no-such-program, install: apt-get install a, \
                    arguments: [], config: ''}]";
        let peers = parse(text).expect("a list");
        let error = peers[0].path(Path::new("/")).expect_err("it is not there");
        assert_eq!(error, "no-such-program is missing: apt-get install a");
    }
}
