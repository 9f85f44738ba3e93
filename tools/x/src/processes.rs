//! Child processes that never outlive this one, and messages from them and from the user.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::clock::Stopwatch;

/// How long a process may take to print the awaited line.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most lines of a process that are kept, to be shown if it fails.
const LINES_MAX: usize = 1_000;

/// Something that happened beside the main thread.
pub(crate) enum Message {
    /// A child wrote this line.
    Line(String),
    /// The user wants to stop.
    Stop,
    /// The work of [`Processes::watch`] has ended with this result.
    Finished(Result<(), String>),
}

/// The children; dropping it kills them.
pub(crate) struct Processes {
    children: Vec<(String, Child)>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

impl Processes {
    /// No children yet. From here on Ctrl-C and SIGTERM stop the children before this process ends.
    ///
    /// # Errors
    ///
    /// When the signals cannot be caught.
    pub(crate) fn new() -> Result<Self, String> {
        let (sender, receiver) = channel();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|e| format!("cannot catch signals: {e}"))?;
        let stop = sender.clone();
        beside("signals", move || {
            for _ in signals.forever() {
                let _ = stop.send(Message::Stop);
            }
        })?;
        Ok(Self {
            children: Vec::new(),
            sender,
            receiver,
        })
    }

    /// Starts `program` and waits until `wanted` returns something for a line that it prints.
    ///
    /// # Errors
    ///
    /// When it does not start, ends, or takes too long; its last lines are in the message.
    pub(crate) fn start<T>(
        &mut self,
        program: &Path,
        flags: &[String],
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, String> {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut child = Command::new(program)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        self.children.push((name.clone(), child));
        self.listen(stdout)?;
        self.listen(stderr)?;

        let mut said: Vec<String> = Vec::new();
        let clock = Stopwatch::start();
        while clock.elapsed() < PATIENCE {
            match self.receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(Message::Line(line)) => {
                    if let Some(found) = wanted(&line) {
                        return Ok(found);
                    }
                    if said.len() < LINES_MAX {
                        said.push(line);
                    }
                }
                Ok(Message::Stop) => return Err("stopped".to_owned()),
                Ok(Message::Finished(_)) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(end) = self.ended() {
                        return Err(format!("{end} before it was ready:\n{}", said.join("\n")));
                    }
                }
            }
        }
        Err(format!(
            "{name} is not ready after {PATIENCE:?}:\n{}",
            said.join("\n")
        ))
    }

    /// The process id of the child that was started last.
    pub(crate) fn last_id(&self) -> Option<u32> {
        self.children.last().map(|(_, child)| child.id())
    }

    /// Runs `work` on a thread of its own until it ends, a child ends, or the user stops it.
    ///
    /// # Errors
    ///
    /// The error of `work`, or the child that has ended.
    pub(crate) fn watch(
        &mut self,
        work: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let sender = self.sender.clone();
        beside("work", move || {
            let _ = sender.send(Message::Finished(work()));
        })?;
        loop {
            match self.next()? {
                Message::Finished(result) => return result,
                Message::Stop => return Err("stopped".to_owned()),
                Message::Line(_) => {}
            }
        }
    }

    /// Shows what the children write until the user stops them.
    ///
    /// # Errors
    ///
    /// When a child has ended by itself.
    pub(crate) fn wait_for_stop(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                Message::Line(line) => println!("   {line}"),
                Message::Stop => return Ok(()),
                Message::Finished(_) => {}
            }
        }
    }

    /// Lets `time` pass.
    ///
    /// # Errors
    ///
    /// When the user stops everything, or a child has ended by itself.
    pub(crate) fn watch_for(&mut self, time: Duration) -> Result<(), String> {
        let clock = Stopwatch::start();
        while let Some(left) = time.checked_sub(clock.elapsed()) {
            match self
                .receiver
                .recv_timeout(left.min(Duration::from_millis(200)))
            {
                Ok(Message::Stop) => return Err("stopped".to_owned()),
                Ok(Message::Line(_) | Message::Finished(_)) => {}
                Err(_) => {
                    if let Some(end) = self.ended() {
                        return Err(end);
                    }
                }
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Message, String> {
        loop {
            match self.receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(message) => return Ok(message),
                // Ctrl-C reaches the children too: their end then comes with its message.
                Err(_) => match (self.ended(), self.receiver.try_recv()) {
                    (_, Ok(message)) => return Ok(message),
                    (Some(end), Err(_)) => return Err(end),
                    (None, Err(_)) => {}
                },
            }
        }
    }

    /// Which child has ended by itself, and how.
    fn ended(&mut self) -> Option<String> {
        self.children
            .iter_mut()
            .find_map(|(name, child)| match child.try_wait() {
                Ok(Some(status)) => Some(format!("{name} has ended ({status})")),
                Ok(None) | Err(_) => None,
            })
    }

    fn listen(&self, from: Option<impl Read + Send + 'static>) -> Result<(), String> {
        let Some(from) = from else { return Ok(()) };
        let sender = self.sender.clone();
        beside("listen", move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let _ = sender.send(Message::Line(line));
            }
        })
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            // It may have ended already; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs `work` on a thread that is not waited for.
///
/// # Errors
///
/// When there is no thread.
pub(crate) fn beside(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    thread
        .map(drop)
        .map_err(|e| format!("cannot start a thread: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_child_says_and_kills_it_at_the_end() {
        let mut processes = Processes::new().expect("signals");
        let script = "echo noise; echo pid $$ >&2; exec cat /dev/zero > /dev/null";
        let flags = ["-c".to_owned(), script.to_owned()];
        let pid = processes
            .start(Path::new("/bin/sh"), &flags, |line| {
                line.strip_prefix("pid ").map(str::to_owned)
            })
            .expect("a child");
        let place = format!("/proc/{pid}");
        assert!(Path::new(&place).exists());
        drop(processes);
        assert!(!Path::new(&place).exists());
    }

    #[test]
    fn a_child_that_ends_early_is_an_error_with_its_words() {
        let mut processes = Processes::new().expect("signals");
        let flags = ["-c".to_owned(), "echo no such port".to_owned()];
        let result = processes.start(Path::new("/bin/sh"), &flags, |_| None::<()>);
        let message = result.expect_err("it has ended");
        assert!(
            message.contains("has ended") && message.contains("no such port"),
            "{message}"
        );
    }
}
