//! How often a shard allocates memory: not for a small request, and not for an event of a stream.
//!
//! This program is the test and, when it starts itself with `serve`, the router: the real one,
//! under an allocator that counts the allocations of the shards' threads. The counts lie in a file
//! that both processes map, so that reading them disturbs nothing.

#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "an allocator, and memory that two processes share; a test looks at the clock"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

/// The file that holds the count, in the router's working directory.
const COUNT_FILE: &str = "count";

/// Allocates like the system, and counts the allocations of shards.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The count, in the file; null until it is mapped.
static COUNT: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    static IS_SHARD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has a shard's name; a shard has it before it allocates anything.
fn is_shard() -> bool {
    IS_SHARD.try_with(|known| {
        if !known.get() {
            let mut name = [0_u8; 16];
            // SAFETY: the kernel writes at most the 16 bytes of the name.
            unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
            known.set(name.starts_with(b"shard-"));
        }
        known.get()
    }) == Ok(true)
}

fn note() {
    // SAFETY: the pointer is null or that of the mapping, which is never taken away.
    if let Some(count) = unsafe { COUNT.load(Ordering::Relaxed).as_ref() }
        && is_shard()
    {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Maps the file at `path`, which holds a number.
fn map(path: &Path) -> &'static AtomicU64 {
    let file = File::options().read(true).write(true).open(path);
    let file = file.expect("the shared file");
    // SAFETY: the file has as many bytes as are mapped, and the mapping lasts as long as the
    // process: it is aligned to a page, and any bytes are a number.
    unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let fd = file.as_raw_fd();
        let memory = libc::mmap(ptr::null_mut(), 8, access, libc::MAP_SHARED, fd, 0);
        assert_ne!(memory, libc::MAP_FAILED, "the file is mapped");
        &*memory.cast()
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let count: *const AtomicU64 = map(Path::new(COUNT_FILE));
        COUNT.store(count.cast_mut(), Ordering::Relaxed);
        return infermux::run();
    }
    for (name, test) in TESTS {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// The router under this program's allocator, its provider, and a connection to it. The router is
/// killed and its folder removed when this is dropped.
struct Counted {
    _mock: Mock,
    child: Child,
    folder: PathBuf,
    count: &'static AtomicU64,
    caller: TcpStream,
    answer: Vec<u8>,
}

impl Counted {
    /// A router with limits, metrics, a breaker, web pages as callers, and a limit and a budget in
    /// every scope of a caller; it logs each request.
    fn start(name: &str, script: Value, provider: &str) -> Self {
        let mock = Mock::start(script).expect("the mock starts");
        let folder = std::env::temp_dir();
        let folder = folder.join(format!("infermux-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let count = folder.join(COUNT_FILE);
        std::fs::write(&count, [0; 8]).expect("the shared file");
        let allowed = "limits: {requests_per_minute: 1000000000, tokens_per_day: 1000000000000}, \
                       budgets: [{usd: 1000000, per: day}]";
        let config = format!(
            "listen: 127.0.0.1:0
server: {{shards: 1, cors: {{origins: [https://app.example]}}}}
providers:
  - name: mock
    base_url: http://{}/v1
    api_key: sk-test
    rate_limits: {{requests_per_minute: 1000000000, tokens_per_minute: 1000000000000}}
    max_in_flight: 1000
    health_check: {{disabled: true}}
{provider}
circuit_breaker: {{consecutive_failures: 5, latency_p95_ms: 60000}}
auth:
  mode: keys
  keys:
    - {{name: load, hash: 'sha256:{key}', team: all, {allowed}, per_model: [{{models: ['*'], {allowed}}}]}}
teams:
  - {{name: all, {allowed}}}
budgets:
  - {{caller: load, monthly_usd: 100000000}}
",
            mock.address(),
            key = Digest::of(KEY.as_bytes()),
        );
        std::fs::write(folder.join("infermux.yml"), config).expect("a configuration");
        let log = File::create(folder.join("log")).expect("a log");
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this)
            .args(["serve", "--config", "infermux.yml"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the router starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let listening = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        let listening = listening.expect("the router listens");
        let addr = listening.split_whitespace().next().map(str::parse);
        let addr: SocketAddr = addr.expect("an address").expect("an address");
        let caller = TcpStream::connect(addr).expect("a connection");
        caller
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| caller.set_nodelay(true))
            .expect("options of a socket");
        Self {
            _mock: mock,
            child,
            folder,
            count: map(&count),
            caller,
            answer: Vec::new(),
        }
    }

    /// Asks `times` times; returns how often the shard allocated, and how long it took.
    fn ask(&mut self, body: &Value, times: usize) -> (u64, Duration) {
        let body = body.to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n\
             Content-Type: application/json\r\nAuthorization: Bearer {KEY}\r\n\
             Origin: https://app.example\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let before = self.count.load(Ordering::Relaxed);
        let start = Instant::now();
        for _ in 0..times {
            self.caller
                .write_all(request.as_bytes())
                .expect("the router reads");
            self.read_answer();
        }
        let count = self.count.load(Ordering::Relaxed) - before;
        (count, start.elapsed())
    }

    fn read_answer(&mut self) {
        self.answer.clear();
        while !is_whole(&self.answer) {
            let mut piece = [0; 4096];
            let length = self.caller.read(&mut piece).expect("an answer");
            assert!(length > 0, "the router hangs up");
            self.answer.extend_from_slice(&piece[..length]);
        }
        let is_good = self.answer.starts_with(b"HTTP/1.1 200 ");
        assert!(is_good, "{}", String::from_utf8_lossy(&self.answer));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the whole answer has arrived.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length: Option<usize> = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    match length {
        Some(length) => body.len() == length,
        None => body.ends_with("\r\n\r\n") && body.contains("\r\n0\r\n"),
    }
}

/// The caller's key.
const KEY: &str = "a key of tests";
const OPENAI: &str = "    type: openai
    models: [gpt-4o]
    model_aliases: {renamed: gpt-4o}";
const ANTHROPIC: &str = "    type: anthropic
    model_aliases: {gpt-4o: claude-sonnet-4-5}";

fn chat(model: &str, stream: bool) -> Value {
    json!({
        "model": model, "stream": stream,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    })
}

type Test = (&'static str, fn());

const TESTS: [Test; 3] = [
    ("a_small_request_asks_for_no_memory", small_requests),
    ("an_event_of_a_stream_asks_for_no_memory", events),
    ("a_translated_event_asks_for_no_memory", translated_events),
];

/// What a shard may ask for in this time, whatever it does: each 10 ms it hands over its facts and
/// its access lines, and takes room for the next, which may turn out too small.
fn batches(time: Duration) -> u64 {
    let ticks = time.as_millis() / 10 + 2;
    4 * u64::try_from(ticks).expect("a short time")
}

fn small_requests() {
    let script = json!({"canned": true, "record": false, "body_bytes": 562});
    let mut router = Counted::start("small", script, OPENAI);
    for model in ["gpt-4o", "renamed"] {
        router.ask(&chat(model, false), 500);
        let (count, time) = router.ask(&chat(model, false), 2000);
        assert!(
            count <= batches(time),
            "{model}: {count} times in {time:?}, with 2,000 requests"
        );
    }
}

/// Streams of 1,050 events compared with as many of 50: the allocations for 1,000 events.
fn assert_events_are_free(dialect: &str, provider: &str, model: &str) {
    const STREAMS: usize = 20;
    const ROUNDS: usize = 3;
    let [short, long] = [50, 1_050].map(|events| {
        let script = json!({
            "dialect": dialect, "record": false, "events": events, "event_bytes": 233,
        });
        let mut router = Counted::start("stream", script, provider);
        router.ask(&chat(model, true), 2 * STREAMS);
        // What a loaded machine does to the sizes of reads only adds to the count.
        let rounds = (0..ROUNDS).map(|_| router.ask(&chat(model, true), STREAMS));
        rounds.min().expect("a round")
    });
    assert!(
        long.0 <= short.0 + batches(long.1),
        "{dialect}, {model}: {long:?} with 1,000 events more than {short:?}"
    );
}

fn events() {
    assert_events_are_free("openai", OPENAI, "gpt-4o");
    assert_events_are_free("openai", OPENAI, "renamed");
}

fn translated_events() {
    assert_events_are_free("anthropic", ANTHROPIC, "gpt-4o");
}
