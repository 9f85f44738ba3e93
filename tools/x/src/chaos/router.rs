//! The router under attack: a process that is started, told, limited and killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::doors::{Doors, connect};
use super::secrets::TOKEN;
use crate::client::{self, Answer};
use crate::clock::{Stopwatch, pause};

/// How long a start, or an orderly end, may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// How the router is started.
pub(super) struct Launch {
    /// The words of the command, the flags included.
    pub(super) words: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) doors: Doors,
}

/// A line that a router has written.
pub(super) struct Said {
    /// The number of the router's start.
    pub(super) start: u32,
    pub(super) line: String,
}

/// The process.
pub(super) struct Router {
    child: Child,
    doors: Doors,
}

impl Router {
    /// Starts it and waits until it is ready; what it writes goes to `said`.
    ///
    /// # Errors
    ///
    /// When it ends, or is not ready in time.
    pub(super) fn start(launch: &Launch, start: u32, said: &Sender<Said>) -> Result<Self, String> {
        // Somebody else's connection may have got a port of a router that was gone.
        for door in [launch.doors.callers, launch.doors.operators] {
            wait_free(door)?;
        }
        let (program, flags) = launch.words.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(flags)
            .envs(launch.environment.iter().cloned())
            .env("INFERMUX_MANAGEMENT_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{program}: {e}"))?;
        listen(child.stdout.take(), start, said)?;
        listen(child.stderr.take(), start, said)?;
        let mut router = Self {
            child,
            doors: launch.doors.clone(),
        };
        let clock = Stopwatch::start();
        while clock.elapsed() < PATIENCE {
            if let Ok(Some(status)) = router.child.try_wait() {
                return Err(format!("the router ended while it started ({status})"));
            }
            if router
                .ask("GET", "/_infermux/ready")
                .is_ok_and(|answer| answer.status() == 200)
            {
                return Ok(router);
            }
            pause(Duration::from_millis(50));
        }
        Err("the router is not ready in time".to_owned())
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Why it is gone, if it has ended by itself.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("the router has ended by itself ({status})"))
    }

    /// An operator's request, which is sent once more where there is no answer: on a machine that
    /// is busy, this program may be silent for so long that its connection is closed.
    ///
    /// # Errors
    ///
    /// When there is no whole answer.
    pub(super) fn ask(&self, method: &str, path: &str) -> Result<Answer, String> {
        self.ask_once(method, path)
            .or_else(|_| self.ask_once(method, path))
    }

    fn ask_once(&self, method: &str, path: &str) -> Result<Answer, String> {
        let mut stream = connect(self.doors.operators).ok_or("operators find nobody")?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: chaos\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let told = |error| format!("{method} {path}: {error}");
        stream.write_all(head.as_bytes()).map_err(told)?;
        let mut stream = BufReader::new(stream);
        let mut answer = client::receive_head(&mut stream).map_err(told)?;
        client::receive_body(&mut stream, &mut answer, &mut |_| {}).map_err(told)?;
        Ok(answer)
    }

    /// Sends a signal, such as `HUP`.
    pub(super) fn signal(&self, name: &str) {
        run("kill", &[&format!("-{name}"), &self.id().to_string()]);
    }

    /// Lets it have this many descriptors at most.
    pub(super) fn limit_descriptors(&self, most: usize) {
        let pid = self.id().to_string();
        run("prlimit", &["--pid", &pid, &format!("--nofile={most}:")]);
    }

    /// How many descriptors it has open.
    pub(super) fn descriptors(&self) -> usize {
        let folder = PathBuf::from(format!("/proc/{}/fd", self.id()));
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// Kills it at once.
    pub(super) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// When it takes too long, or ends with another code than 0.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.signal("TERM");
        let clock = Stopwatch::start();
        while clock.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("after SIGTERM it ended with {status}")),
                Ok(None) | Err(_) => pause(Duration::from_millis(20)),
            }
        }
        Err("it does not end after SIGTERM".to_owned())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until nobody has the port of `door`.
fn wait_free(door: SocketAddr) -> Result<(), String> {
    let clock = Stopwatch::start();
    loop {
        match TcpListener::bind(door) {
            Ok(_) => return Ok(()),
            Err(error) if clock.elapsed() > PATIENCE => return Err(format!("{door}: {error}")),
            Err(_) => pause(Duration::from_millis(50)),
        }
    }
}

/// Runs a small program; what it does shows, or shows that it is missing, in what follows.
pub(super) fn run(program: &str, flags: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

fn listen(
    from: Option<impl Read + Send + 'static>,
    start: u32,
    said: &Sender<Said>,
) -> Result<(), String> {
    let Some(from) = from else { return Ok(()) };
    let said = said.clone();
    let reading = move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            // Nobody listens any more at the very end.
            let _ = said.send(Said { start, line });
        }
    };
    let thread = std::thread::Builder::new().name("listen".to_owned());
    let started = thread.spawn(reading);
    started.map(drop).map_err(|e| format!("a thread: {e}"))
}
