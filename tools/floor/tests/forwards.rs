//! The real binary between callers and the mock provider.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use infermux_mock::{Goals, Mock};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

/// A forwarder; dropping it ends it.
struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    fn start(upstream: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_infermux-floor"))
            .args(["--listen", "127.0.0.1:0", "--upstream", upstream])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Bytes of which each position can be told from the others.
fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

#[test]
fn requests_are_answered_and_ends_are_handed_on() {
    let mock = Mock::start(json!({})).unwrap();
    let floor = Floor::start(&mock.address().to_string());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let callers: Vec<TcpStream> = (0..5).map(|_| floor.connect()).collect();
    for mut caller in &callers {
        for _ in 0..3 {
            let length = body.len();
            let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length:";
            write!(caller, "{head} {length}\r\n\r\n{body}").unwrap();
            let mut answer = [0; 15];
            caller.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            // The rest of the answer is one that the next request follows.
            let mut reader = BufReader::new(caller);
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let value = line.to_lowercase();
                if let Some(value) = value.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
        }
    }
    drop(callers);
    let goals = Goals {
        connections_open: Some(0),
        ..Goals::default()
    };
    assert!(mock.wait(&goals, PATIENCE));
}

#[test]
fn many_bytes_arrive_whole_and_in_order_both_ways() {
    // More than the pool has room for: receives must stop and go on.
    const SIZE: usize = 96 << 20;
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let floor = Floor::start(&provider.local_addr().unwrap().to_string());
    let mut caller = floor.connect();
    let (mut there, _) = provider.accept().unwrap();
    let all = bytes(SIZE);
    let read_all = |from: &mut TcpStream| {
        let mut arrived = vec![0; SIZE];
        from.read_exact(&mut arrived).unwrap();
        assert!(arrived == all);
    };
    let mut writer = caller.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&all).unwrap());
        read_all(&mut there);
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            there.write_all(&all).unwrap();
            drop(there);
        });
        read_all(&mut caller);
        assert_eq!(caller.read(&mut [0]).unwrap(), 0, "the end follows");
    });
}
