//! How many system calls a system makes, counted by `perf`, or by `strace` where perf cannot.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::process::Tree;
use crate::clock;

/// How long a tracer gets to attach.
const ATTACH: Duration = Duration::from_millis(700);

/// Counts the system calls of `tree` while `work` runs.
///
/// # Errors
///
/// When neither tool can count, or the work fails.
pub(crate) fn count(tree: &Tree, work: &dyn Fn() -> Result<f64, String>) -> Result<f64, String> {
    let ids: Vec<String> = tree.ids().iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p"])
        .arg(ids.join(","));
    let (said, done) = trace(perf, work)?;
    if let Some(calls) = perf_count(&said) {
        return Ok(calls / done);
    }
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f"]);
    for id in &ids {
        strace.args(["-p", id]);
    }
    let (said, done) = trace(strace, work)?;
    let calls = strace_count(&said);
    calls
        .map(|calls| calls / done)
        .ok_or_else(|| "system calls need perf or strace: apt-get install strace".to_owned())
}

/// Runs `work` under `tracer`; returns the tracer's output and the work's result.
fn trace(
    mut tracer: Command,
    work: &dyn Fn() -> Result<f64, String>,
) -> Result<(String, f64), String> {
    tracer.stdin(Stdio::null()).stdout(Stdio::null());
    let Ok(mut child) = tracer.stderr(Stdio::piped()).spawn() else {
        return Ok((String::new(), 1.0));
    };
    clock::pause(ATTACH);
    let done = work();
    interrupt(&child);
    let mut said = String::new();
    if let Some(mut out) = child.stderr.take() {
        // Output that cannot be read counts nothing.
        let _ = out.read_to_string(&mut said);
    }
    let _ = child.wait();
    Ok((said, done?))
}

/// Asks a tracer for its sum, as Ctrl-C does.
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let _ = Command::new("kill").args(["-INT", &id]).status();
}

/// The first field of the event's line.
fn perf_count(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains("sys_enter"))?;
    let count: f64 = line.split(',').next()?.parse().ok()?;
    (count > 0.0).then_some(count)
}

/// The fourth field of the line that ends with `total`.
fn strace_count(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_tracers_say() {
        let perf = "52312,,raw_syscalls:sys_enter,4001234567,100.00,,\n";
        assert_eq!(perf_count(perf), Some(52_312.0));
        assert_eq!(
            perf_count("<not counted>,,raw_syscalls:sys_enter,0,0.00,,"),
            None
        );
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n\
                      ------ ----------- ----------- --------- --------- ------------\n \
                      60.00    0.000300           1       300           io_uring_enter\n\
                      100.00    0.000500           1       420         7 total\n";
        assert_eq!(strace_count(strace), Some(420.0));
        assert_eq!(strace_count("strace: Process 1 attached"), None);
    }
}
