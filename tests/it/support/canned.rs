//! A provider that answers every request with given bytes, for answers that no script of the mock
//! can produce: compressed ones, and ones that never end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Starts a provider that sends `answer` to each request, and behind it `sign` every twenty
/// milliseconds, unless `sign` is empty.
pub fn canned(answer: Vec<u8>, sign: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    answer_on(listener, answer, sign);
    addr
}

/// A provider that sends given answers and keeps what it was sent.
pub struct Recorder {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// Starts one that sends the same answer to each request.
    pub fn start(answer: Vec<u8>) -> Self {
        Self::in_turn(vec![answer])
    }

    /// Starts one that sends these answers in turn, and the last one to whatever follows.
    pub fn in_turn(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, keep) = (answers.clone(), Arc::clone(&keep));
                std::thread::spawn(move || {
                    serve(stream, b"", |request| {
                        let mut seen = keep.lock().expect("no panic");
                        seen.push(request);
                        let last = answers.len() - 1;
                        answers[last.min(seen.len() - 1)].clone()
                    });
                });
            }
        });
        Self { addr, seen }
    }

    /// Starts one whose answer depends on the head and the body of the request.
    pub fn by(answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let keep = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, keep) = (Arc::clone(&answer), Arc::clone(&keep));
                std::thread::spawn(move || {
                    serve(stream, b"", |request| {
                        let (head, body) = halves(&request);
                        let answer = answer(&head, &body);
                        keep.lock().expect("no panic").push(request);
                        answer
                    });
                });
            }
        });
        Self { addr, seen }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The requests that it has read, heads and bodies as they came.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// Begins to answer as [`canned`] does, also those who have connected and asked before.
pub fn answer_on(listener: TcpListener, answer: Vec<u8>, sign: &'static [u8]) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, sign, |_| answer.clone()));
        }
    });
}

/// Ends when the peer does; each request gets the answer that `answer` gives.
fn serve(mut stream: TcpStream, sign: &[u8], answer: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut bytes = Vec::new();
    while let Some(length) = read_request(&mut stream, &mut bytes) {
        let answer = answer(bytes.drain(..length).collect());
        if stream.write_all(&answer).is_err() {
            return;
        }
        while !sign.is_empty() {
            std::thread::park_timeout(Duration::from_millis(20));
            if stream.write_all(sign).is_err() {
                return;
            }
        }
    }
}

fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.split("content-length:").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            let end = head + 4 + length.unwrap_or(0);
            if bytes.len() >= end {
                return Some(end);
            }
        }
        let mut room = [0; 65_536];
        match stream.read(&mut room) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&room[..count]),
            Ok(_) | Err(_) => return None,
        }
    }
}

/// A whole answer of status 200: its fields, each ended by CRLF, and its body.
pub fn whole(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The head and the body of a message.
pub fn halves(message: &[u8]) -> (String, Vec<u8>) {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a whole head");
    let head = String::from_utf8_lossy(&message[..end]).into_owned();
    (head, message[end + 4..].to_vec())
}

/// The beginning of a chunked stream: its fields, each ended by CRLF, and its first bytes.
pub fn begun(fields: &str, first: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), &chunk(first)].concat()
}

/// One chunk.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
