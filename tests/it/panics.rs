//! What a panic in something that serves everybody does: the process ends, and says why.

use std::net::TcpStream;

use serde_json::json;

use crate::support::client::Client;
use crate::support::command::{end, infermux, text};
use crate::support::router::{Folder, Router};
use crate::support::{chat, config_for, mock};

/// The exit code of a process that cannot go on.
const FAILED: Option<i32> = Some(3);

// proves: panic.one-connection
#[test]
fn a_panic_in_a_task_of_the_whole_event_loop_ends_the_process() {
    let alpha = mock(json!({"name": "alpha"}));
    for shards in [1, 2] {
        let config = config_for(&[&alpha], &format!("server: {{shards: {shards}}}\n"));
        for task in ["deadlines", "sends", "pool", "facts", "log", "accepts"] {
            let mut router = Router::start(&config);
            router.expect_panics();
            let mut client = Client::connect(router.addr());
            let header = format!("X-Infermux-Test-Panic: {task}\r\n");
            client.post_with("/v1/chat/completions", &header, &chat("x"));
            // Whichever shard it was, it has something to do for each of its tasks.
            while let Ok(stream) = TcpStream::connect(router.addr()) {
                let mut other = Client::over(stream);
                let header = "Connection: close\r\n";
                other.post_with("/v1/chat/completions", header, &chat("x"));
                other.rest();
            }
            assert_eq!(router.wait().code(), FAILED, "{task}");
            let log = router.log();
            let told = "a task that serves the whole event loop has panicked: the process ends";
            assert!(log.contains(&format!("{told} task={task}")), "{log}");
            assert!(log.contains("a shard has ended"), "{log}");
        }
    }
}

#[test]
fn a_panic_in_any_thread_ends_the_process() {
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let path = folder.write(
        "infermux.yml",
        format!(
            "listen: '127.0.0.1:0'\nproviders: [{{name: a, type: ollama, \
             base_url: 'http://127.0.0.1:9'}}]\nbudgets: {{state_file: '{}'}}\n",
            text(&state)
        ),
    );
    for (thread, told) in [
        ("signals", "the watch for signals has ended"),
        ("log", "the writer of the log has ended"),
        ("chores", "the look-up of names has ended"),
        ("reports", "panicked"),
        ("catalogue", "panicked"),
        ("coordinator", "panicked"),
        ("state", "panicked"),
        ("control", "panicked"),
        ("reload", "the reloading of the configuration has ended"),
        ("shard-1", "a shard has ended shard=1 fault=panicked"),
    ] {
        let mut command = infermux(&["serve", "--shards", "2", "--config", text(&path)]);
        let ended = end(command.env("INFERMUX_TEST_PANIC", thread));
        assert_eq!(ended.code, FAILED, "{thread}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{thread}: {}", ended.stderr);
    }
}
