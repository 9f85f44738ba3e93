//! Checks metrics and rules with the Prometheus project's own tool.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What `promtool` with these arguments says about `input`; empty where all is well. `None`: it is
/// not installed, which is allowed everywhere but in CI.
pub fn complaints(arguments: &[&str], folder: &Path, input: &str) -> Option<String> {
    let started = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !is_ci,
            "promtool is not installed (apt-get install prometheus)"
        );
        eprintln!("not checked: promtool is not installed (apt-get install prometheus)");
        return None;
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some(if status.success() {
        String::new()
    } else {
        format!("{status}: {said}")
    })
}
