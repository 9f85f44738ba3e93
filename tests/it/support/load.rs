//! Many callers at once.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::client::{Answer, Client};

/// An answer, and when its request began and its last byte was read.
pub struct Timed {
    /// Before the connection was made.
    pub began: Instant,
    /// After the last byte.
    pub read: Instant,
    /// The answer.
    pub answer: Answer,
}

/// Starts `count` callers, each on a thread of its own; they begin together.
pub fn start<T, F>(count: usize, call: F) -> Vec<JoinHandle<T>>
where
    T: Send + 'static,
    F: Fn(usize) -> T + Clone + Send + 'static,
{
    let gate = Arc::new(Barrier::new(count));
    (0..count)
        .map(|number| {
            let (gate, call) = (Arc::clone(&gate), call.clone());
            let caller = Builder::new().stack_size(512 << 10).spawn(move || {
                gate.wait();
                call(number)
            });
            caller.expect("a thread")
        })
        .collect()
}

/// The results of `count` callers that run at once.
pub fn together<T, F>(count: usize, call: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(usize) -> T + Clone + Send + 'static,
{
    let callers = start(count, call).into_iter();
    callers
        .map(|caller| caller.join().expect("a caller"))
        .collect()
}

/// One chat request on a fresh connection.
pub fn ask(addr: SocketAddr, body: &str) -> Answer {
    Client::connect(addr).chat(body)
}

/// One chat request of a named caller on a fresh connection.
pub fn ask_as(addr: SocketAddr, caller: &str, body: &str) -> Answer {
    let mut client = Client::connect(addr);
    let name = format!("X-Infermux-Caller: {caller}\r\n");
    client.post_with("/v1/chat/completions", &name, body);
    client.answer()
}

/// One chat request on a fresh connection, and its times.
pub fn timed(addr: SocketAddr, body: &str) -> Timed {
    let began = Instant::now();
    let answer = ask(addr, body);
    Timed {
        began,
        read: Instant::now(),
        answer,
    }
}
