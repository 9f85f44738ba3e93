//! A caller that sees bytes: what it sends, what it receives, and when.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;

/// A caller's connection.
pub struct Client {
    stream: TcpStream,
    /// Bytes that have arrived and were not read.
    bytes: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, its transfer coding removed.
    pub body: Vec<u8>,
    /// The trailer fields, names in lower case.
    pub trailers: Vec<(String, String)>,
    /// Whether the body ended as its framing demands.
    pub complete: bool,
}

impl Client {
    /// A new connection.
    pub fn connect(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).expect("a connection"))
    }

    /// A client over an existing connection.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Sends raw bytes; false where the router has closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a POST with a JSON body.
    pub fn post(&mut self, path: &str, body: &str) {
        self.post_with(path, "", body);
    }

    /// Sends a POST with further header lines, each with its CR LF.
    pub fn post_with(&mut self, path: &str, headers: &str, body: &str) {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(text);
    }

    /// Sends a GET.
    pub fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }

    /// Posts a chat request and reads the answer.
    pub fn chat(&mut self, body: &str) -> Answer {
        self.post("/v1/chat/completions", body);
        self.answer()
    }

    /// Reads one answer to its end.
    pub fn answer(&mut self) -> Answer {
        self.answer_to("POST")
    }

    /// Reads one answer to a request with this method to its end.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").map(str::parse::<usize>);
        if method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304) {
            answer.complete = true;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk(&mut answer) {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = length {
            let length = length.expect("a number");
            while self.bytes.len() < length && self.fill() {}
            let there = length.min(self.bytes.len());
            answer.body = self.bytes.drain(..there).collect();
            answer.complete = there == length;
        } else {
            while self.fill() {}
            answer.body = std::mem::take(&mut self.bytes);
            answer.complete = true;
        }
        answer
    }

    /// Reads an answer's head.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self
                .bytes
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
            assert!(
                self.fill(),
                "the connection ended before an answer: {:?}",
                String::from_utf8_lossy(&self.bytes)
            );
        };
        let head = String::from_utf8(self.bytes.drain(..end).collect()).expect("text");
        let (start, fields) = head.split_once("\r\n").expect("a status line");
        let status = start.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("a status in {start:?}")),
            headers: fields_of(fields),
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        }
    }

    /// Reads the next chunk of a chunked body; `None` at its end, and then the trailers are filled
    /// in, or where the connection ended before (then `complete` stays false).
    pub fn chunk(&mut self, answer: &mut Answer) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line()?, 16).expect("a chunk's size");
        if size == 0 {
            let mut fields = String::new();
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    break;
                }
                fields.push_str(&line);
                fields.push_str("\r\n");
            }
            answer.trailers = fields_of(&fields);
            answer.complete = true;
            return None;
        }
        while self.bytes.len() < size + 2 {
            if !self.fill() {
                return None;
            }
        }
        let chunk = self.bytes.drain(..size).collect();
        assert_eq!(self.bytes.drain(..2).collect::<Vec<u8>>(), b"\r\n");
        Some(chunk)
    }

    /// Whether the router closes the connection, within the patience of a test, without more bytes.
    pub fn is_closed(&mut self) -> bool {
        self.bytes.is_empty() && !self.fill()
    }

    /// Whether nothing arrives for `span`.
    pub fn is_silent(&mut self, span: Duration) -> bool {
        self.stream.set_read_timeout(Some(span)).expect("a timeout");
        let mut byte = [0; 1];
        let silent = match self.stream.peek(&mut byte) {
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Ok(_) => false,
        };
        self.stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        silent && self.bytes.is_empty()
    }

    /// Reads until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.bytes)
    }

    /// The next `count` bytes; fewer where the connection ends.
    pub fn some(&mut self, count: usize) -> Vec<u8> {
        while self.bytes.len() < count && self.fill() {}
        let there = count.min(self.bytes.len());
        self.bytes.drain(..there).collect()
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.bytes.windows(2).position(|window| window == b"\r\n") {
                let line = self.bytes.drain(..at + 2).collect::<Vec<u8>>();
                return Some(String::from_utf8(line[..at].to_vec()).expect("text"));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads once; false when the connection has ended.
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        let start = Instant::now();
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.bytes.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) => panic!("reading failed after {:?}: {error}", start.elapsed()),
        }
    }
}

impl Answer {
    /// The first header field with this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first trailer field with this name, in lower case.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {:?}", self.text()))
    }

    /// The `code` of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The data of the events of a stream.
    pub fn events(&self) -> Vec<String> {
        events_of(&self.text())
    }

    /// The events of its stream, each of which has its type as its name.
    pub fn named_events(&self) -> Vec<Value> {
        let text = self.text();
        let events = text.split_terminator("\n\n").map(|event| {
            let (name, data) = event.split_once("\ndata: ").expect("a name and data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            let kind = data["type"].as_str().expect("a type");
            assert_eq!(name, format!("event: {kind}"), "{text}");
            data
        });
        events.collect()
    }
}

/// GETs `path` on a fresh connection.
pub fn get(addr: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.get(path);
    client.answer_to("GET")
}

/// POSTs nothing to `path` on a fresh connection.
pub fn post(addr: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.post(path, "");
    client.answer()
}

/// The data of the events in `text`.
pub fn events_of(text: &str) -> Vec<String> {
    let data = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    data.map(str::to_owned).collect()
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

fn fields_of(text: &str) -> Vec<(String, String)> {
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    let fields = lines.map(|line| line.split_once(':').expect("a field"));
    fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}
