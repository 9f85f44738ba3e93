//! What is no HTTP/1.1, on both ports, with and without TLS.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::capacity::at_rest;
use super::crowd::Crowd;
use super::stage::{CHAT, Plan, Setting, Stage};
use super::tally::Row;
use crate::chaos::dice::Dice;
use crate::demo::Folder;

/// A certificate for this run.
pub(super) struct Files(Folder);

impl Files {
    /// Writes it.
    pub(super) fn new() -> Result<Self, String> {
        let folder = Folder::named("papers")?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(|e| e.to_string())?;
        folder.write("cert.pem", &made.cert.pem())?;
        folder.write("key.pem", &made.signing_key.serialize_pem())?;
        Ok(Self(folder))
    }

    /// What the router's file says of it.
    pub(super) fn tls(&self) -> String {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        format!(
            "tls: {{cert_file: \"{}\", key_file: \"{}\"}}\n",
            path("cert.pem"),
            path("key.pem")
        )
    }
}

/// A kind of junk, and the statuses with which it may be refused; 0: it is closed without a word.
type Kind = (&'static str, fn(&mut Dice) -> Vec<u8>, &'static [u16]);

const KINDS: [Kind; 9] = [
    ("prefaces of HTTP/2", |_| PREFACE.to_vec(), &[505]),
    ("prefaces with 1,000 frames", frames, &[505]),
    ("TLS hellos", hello, &[400]),
    ("records that are too long", oversized, &[400]),
    (
        "random bytes",
        |dice| dice.bytes(20_000),
        &[0, 400, 431, 414, 505],
    ),
    ("zeros", |_| vec![0; 100_000], &[400, 431]),
    ("heads without an end", endless, &[431]),
    (
        "two hosts",
        |_| b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        &[400],
    ),
    ("chunks without an end", chunks, &[400, 404]),
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frames(_: &mut Dice) -> Vec<u8> {
    [PREFACE, &b"\0\0\0\x04\0\0\0\0\0".repeat(1_000)].concat()
}

fn hello(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    bytes.extend(dice.bytes(507));
    bytes
}

fn oversized(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = vec![0x17, 3, 3, 0xff, 0xff];
    bytes.extend(dice.bytes(65_535));
    bytes
}

fn endless(_: &mut Dice) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nX: ", &[b'a'; 200_000][..]].concat()
}

fn chunks(_: &mut Dice) -> Vec<u8> {
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
      ffffffffffffffff\r\nx"
        .to_vec()
}

/// Deadlines are short, so that a phase ends in time.
const SERVER: &str = "server: {shards: 1, header_timeout: 2s, body_timeout: 2s, idle_timeout: 4s, \
    max_connections: 12000}\n";
/// A deadline, the time for whoever is told why, and some seconds.
const CLOSED_WITHIN: Duration = Duration::from_secs(14);

/// All kinds on both ports.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(200, 40);
    let mut rows = plan.play(&Setting::quick(plan, SERVER.to_owned()), move |stage| {
        let mut rows = Vec::new();
        for (door, address) in [
            ("callers", &stage.router.callers),
            ("operators", &stage.router.operators),
        ] {
            rows.extend(kinds(
                (door, address),
                count,
                &KINDS.map(|(_, _, told)| told),
            )?);
        }
        rows.extend(goes_on(stage, (KINDS.len() * count) as u64)?);
        Ok(rows)
    })?;
    let files = Files::new()?;
    let config = format!("{SERVER}{}", files.tls());
    let more = plan.play(&Setting::quick(plan, config), move |stage| {
        let _files = &files;
        let door = ("callers, with TLS", &*stage.router.callers);
        let mut rows = kinds(door, count, &[&[0]; KINDS.len()])?;
        rows.extend(renegotiate(&stage.router.callers));
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })?;
    rows.extend(more);
    Ok(rows)
}

/// All kinds on one port, where each may be refused with one of these statuses.
fn kinds(
    (door, address): (&str, &str),
    count: usize,
    may: &[&[u16]; KINDS.len()],
) -> Result<Vec<Row>, String> {
    let mut dice = Dice::new(1, 0);
    let mut rows = Vec::new();
    for ((name, make, _), may) in KINDS.iter().zip(may) {
        let mut crowd = Crowd::open(address, count, None)?;
        crowd.say(&make(&mut dice));
        crowd.until_closed(CLOSED_WITHIN, |_, _| {});
        let (closed, statuses) = (crowd.closed(), crowd.statuses());
        let holds = closed == count && statuses.keys().all(|status| may.contains(status));
        let value = format!("{closed} of {count} closed, told {statuses:?}");
        rows.push(Row::judged(&format!("{name}, to {door}"), value, holds));
    }
    Ok(rows)
}

/// Ordinary requests are answered, and what came to the port of callers is counted, nothing else.
fn goes_on(stage: &Stage, refused: u64) -> Result<Vec<Row>, String> {
    let metrics = stage.metrics()?;
    let told = metrics.sum("infermux_requests_total", &[]);
    let status = stage.ask(CHAT)?.status();
    let mut rows = vec![
        Row::equal("refused requests of callers, by the metrics", told, refused),
        Row::equal("an ordinary request afterwards", u64::from(status), 200),
    ];
    rows.extend(at_rest(stage)?);
    Ok(rows)
}

/// A client of TLS 1.2 asks for another handshake within its session.
fn renegotiate(address: &str) -> Vec<Row> {
    let what = "renegotiation of TLS 1.2";
    let Some(said) = openssl(address) else {
        return vec![Row::shown(what, "not tried: openssl is missing")];
    };
    let is_connected = said.contains("Cipher is ECDHE");
    let is_refused = !said.contains("HTTP/1.1 200");
    let value = match (is_connected, is_refused) {
        (true, true) => "refused",
        (true, false) => "served",
        (false, _) => "no handshake",
    };
    vec![Row::judged(what, value, is_connected && is_refused)]
}

/// What openssl says of it.
fn openssl(address: &str) -> Option<String> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    // It may have ended before.
    let _ = input.write_all(b"R\n");
    crate::clock::pause(Duration::from_millis(500));
    let _ = input.write_all(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    crate::clock::pause(Duration::from_millis(500));
    drop(input);
    let output = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
