//! A webhook that keeps what it is told, after it has verified it by itself.

use std::net::SocketAddr;

use ring::hmac;
use serde_json::Value;

use super::canned::{Recorder, halves};
use super::eventually;

/// What notices are signed with.
pub const SECRET: &str = "hunter2-of-the-webhook";

/// A webhook.
pub struct Receiver(Recorder);

/// An answer without a body.
pub fn status(status: u16, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes()
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::answering(&[204])
    }

    /// One that answers with these statuses in turn, and with the last one from then on.
    pub fn answering(statuses: &[u16]) -> Self {
        let answers = statuses.iter().map(|one| status(*one, ""));
        Self(Recorder::in_turn(answers.collect()))
    }

    /// One that gives these answers in turn.
    pub fn giving(answers: Vec<Vec<u8>>) -> Self {
        Self(Recorder::in_turn(answers))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    /// Its entry in `webhooks`, with these further fields.
    pub fn entry(&self, more: &str) -> String {
        let addr = self.addr();
        format!(
            "  - {{url: \"http://{addr}/T0/hunter2-path?k=hunter2\", secret: {SECRET}{more}}}\n"
        )
    }

    /// The heads and bodies that it was sent.
    pub fn seen(&self) -> Vec<(String, Vec<u8>)> {
        let seen = self.0.seen();
        seen.iter().map(|message| halves(message)).collect()
    }

    /// The notices that it was told; each is signed, for a moment of now.
    pub fn told(&self) -> Vec<Value> {
        let told = self.seen().into_iter().map(|(head, body)| {
            verify(&head, &body);
            serde_json::from_slice(&body).expect("JSON")
        });
        told.collect()
    }

    /// Waits for the first notice of this event, status and subject.
    pub fn wait_for(&self, event: &str, status: &str, subject: &str) -> Value {
        let is_it = |one: &Value| {
            let subjects = one["subject"].as_str().expect("text");
            one["event"] == event && one["status"] == status && subjects.contains(subject)
        };
        let mut found = None;
        eventually(&format!("{event} {status}: {subject}"), || {
            found = self.told().into_iter().find(is_it);
            found.is_some()
        });
        found.expect("it is there")
    }
}

/// The value of a field of a head.
pub fn field<'h>(head: &'h str, name: &str) -> &'h str {
    let is_called = |line: &&str| {
        line.split(':')
            .next()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let line = head.lines().find(is_called);
    let line = line.unwrap_or_else(|| panic!("no {name} in {head}"));
    line.split_once(':').expect("a value").1.trim()
}

fn verify(head: &str, body: &[u8]) {
    assert!(
        head.starts_with("POST /T0/hunter2-path?k=hunter2 HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(field(head, "content-type"), "application/json");
    let time = field(head, "x-infermux-timestamp");
    let signed = field(head, "x-infermux-signature").strip_prefix("sha256=");
    let signed = signed.expect("a signature").as_bytes().chunks(2);
    let bytes = signed.map(|pair| {
        let digits = std::str::from_utf8(pair).expect("text");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    });
    let bytes: Vec<u8> = bytes.collect();
    let message = [time.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &message, &bytes).expect("the signature is right");
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time")
        .as_secs();
    let age = now.abs_diff(time.parse().expect("seconds"));
    assert!(age < 120, "{age}");
}
