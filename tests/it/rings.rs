//! The event loops: io_uring, epoll where it is refused, how many there are and on which cores.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;

use infermux_mock::Goals;
use serde_json::json;

use crate::support::client::Client;
use crate::support::router::{Router, Start};
use crate::support::{PATIENCE, chat, config_for, eventually, mock, streamed_chat};

/// Instructions of a filter of system calls: load a word, jump if equal, return.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// The number of the system call.
const IO_URING_SETUP: u32 = 425;

/// Forbids `io_uring_setup` to the calling process, as the filters of container runtimes do.
#[expect(unsafe_code, reason = "a filter of system calls is set by prctl(2)")]
fn forbid_io_uring() -> std::io::Result<()> {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        // The system call's number is the first word of what the filter looks at.
        step(LOAD, 0, 0, 0),
        step(IF_EQUAL, 0, 1, IO_URING_SETUP),
        step(
            RETURN,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
        ),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: both calls only read their arguments; `program` and its steps live until they return.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    if set {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// A router that gets no io_uring.
#[expect(unsafe_code, reason = "the filter is set between fork and exec")]
fn without_io_uring(config: &str) -> Router {
    let mut start = Start::with(config);
    // SAFETY: between fork and exec only prctl(2) is called, which is safe there; nothing is
    // allocated and no lock is taken.
    unsafe { start.command().pre_exec(forbid_io_uring) };
    start.go()
}

/// What must work on every kind of loop.
fn assert_it_works(start: fn(&str) -> Router) -> Router {
    let alpha = mock(json!({"name": "alpha", "events": 20}));
    let beta = mock(json!({"name": "beta", "answers": [503, "cut_before_head"], "then": "loop"}));
    let router = start(&config_for(&[&alpha, &beta], ""));
    let mut client = Client::connect(router.addr());
    // Every other request starts at beta, which always fails.
    for _ in 0..8 {
        let answer = client.chat(&chat("x"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
    }
    assert!(beta.stats().requests >= 3, "there were failovers");
    let answer = client.chat(&streamed_chat("a stream of some words"));
    assert!(answer.complete);
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let large = chat(&"x".repeat(3_000_000));
    assert_eq!(client.chat(&large).status, 200);
    alpha
        .set_script(json!({"do": "stall_mid_stream"}))
        .expect("a script");
    beta.set_script(json!({"do": "stall_mid_stream"}))
        .expect("a script");
    for body in [chat("x"), streamed_chat("x")] {
        let mut leaving = Client::connect(router.addr());
        let before = alpha.stats().requests + beta.stats().requests;
        leaving.post("/v1/chat/completions", &body);
        eventually("the request is under way", || {
            alpha.stats().requests + beta.stats().requests > before
        });
        drop(leaving);
        for mock in [&alpha, &beta] {
            let idle = Goals {
                in_flight: Some(0),
                ..Goals::default()
            };
            assert!(
                mock.wait(&idle, PATIENCE),
                "the hang-up reaches the provider"
            );
        }
    }
    assert_eq!(alpha.stats().peer_closed + beta.stats().peer_closed, 2);
    router
}

#[test]
fn io_uring_is_used_where_it_is_to_be_had() {
    let router = assert_it_works(Router::start);
    // Some machines have none; then the log says so, once.
    if !router.log().contains("epoll") {
        let rings = std::fs::read_dir(format!("/proc/{}/fd", router.pid())).expect("its files");
        let target =
            |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
        let is_ring = |path: &std::path::PathBuf| path.to_string_lossy().contains("io_uring");
        assert_eq!(
            rings.filter_map(target).filter(is_ring).count(),
            3,
            "one per shard, and one for operators"
        );
    }
}

#[test]
fn epoll_does_where_io_uring_is_forbidden_and_one_warning_says_so() {
    let router = assert_it_works(without_io_uring);
    let log = router.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("epoll")).collect();
    let [line] = told[..] else {
        panic!("one warning for all shards: {told:?}");
    };
    assert!(line.contains("io_uring is forbidden"), "{line}");
    assert!(line.contains("seccomp"), "{line}");
    assert!(line.to_lowercase().contains("warn"), "{line}");
}

/// The cores that each thread of a process may use, by the thread's name.
fn threads(pid: u32) -> BTreeMap<String, String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let thread = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        Some((
            field(&status, "Name:"),
            field(&status, "Cpus_allowed_list:"),
        ))
    };
    tasks.filter_map(thread).collect()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

/// The cores of each shard, once there are `count` of them: a thread names and pins itself.
fn shards_of(router: &Router, count: usize) -> BTreeMap<String, String> {
    let mut shards = BTreeMap::new();
    eventually("there are as many shards as there should be", || {
        shards = threads(router.pid());
        shards.retain(|name, _| name.starts_with("shard-"));
        shards.len() == count
    });
    shards
}

/// Returns once the cores of the shards are these.
fn assert_pinned(router: &Router, cores: &[&str]) {
    eventually(&format!("the shards are pinned to {cores:?}"), || {
        let shards = shards_of(router, cores.len());
        shards.into_values().eq(cores.iter().copied())
    });
}

/// What this process may use in all, and the first and the last core of it.
fn own_cores() -> (String, String, String) {
    let status = std::fs::read_to_string("/proc/self/status").expect("its status");
    let all = field(&status, "Cpus_allowed_list:");
    let (first, last) = (
        all.split(['-', ',']).next(),
        all.split(['-', ',']).next_back(),
    );
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    (first.to_owned(), last.to_owned(), all)
}

#[test]
fn shards_are_pinned_on_request_only() {
    let (first, last, all) = own_cores();
    let alpha = mock(json!({"name": "alpha"}));
    let config = |server: &str| config_for(&[&alpha], &format!("server: {{{server}}}\n"));
    assert_pinned(&Router::start(&config("shards: 2")), &[&all, &all]);
    let one = Router::start(&config(&format!("shards: 1, cores: \"{last}\"")));
    assert_pinned(&one, &[&last]);
    let flag = Start::with(&config("shards: 1")).args(&["--cores", &first]);
    assert_pinned(&flag.go(), &[&first]);
    if first != last {
        let two = Router::start(&config(&format!("shards: 2, cores: \"{last},{first}\"")));
        assert_pinned(&two, &[&last, &first]);
    }
}

#[test]
fn there_are_as_many_shards_as_asked_for_and_the_flag_beats_the_file() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_for(&[&alpha], "server: {shards: 3}\n");
    let by_file = Router::start(&config);
    shards_of(&by_file, 3);
    let by_flag = Start::with(&config).args(&["--shards", "1"]).go();
    shards_of(&by_flag, 1);
    let automatic = Router::start(&config.replace("shards: 3", "shards: 0"));
    let usable = std::thread::available_parallelism()
        .expect("a number")
        .get();
    shards_of(&automatic, usable);
    for router in [by_file, by_flag, automatic] {
        assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 200);
    }
}
