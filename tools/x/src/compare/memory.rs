//! Measures a system's memory: after its start, for idle connections, for streams under way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::figures::{Figure, Figures};
use super::load::{self, Extent};
use super::system::{Contender, Folders, Provider, System};
use super::workloads::Workload;
use crate::clock;

/// Connections that are opened, used once, and left idle.
const CONNECTIONS: u32 = 4_000;
/// Streams under way at once.
const STREAMS: u32 = 1_000;
/// Requests that fill pools and buffers before anything is compared.
const WARM_UP: u32 = 10_000;
/// When all streams have begun and none has ended.
const MIDST: Duration = Duration::from_secs(3);
/// Longest wait for a byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Measures `contender`.
///
/// # Errors
///
/// When it does not start or does not answer.
pub(crate) fn measure(
    contender: &Contender,
    folders: &Folders,
    workload: &Workload,
) -> Result<Figures, String> {
    let mock = Provider::start(folders, workload.script)?;
    let mut figures = Figures::new();

    let system = System::start(contender, folders, &mock.address)?;
    figures.insert(Figure::RssStart, system.tree.rss_kib()? / 1_024.0);
    let before = warm(folders, workload, contender, &system)?;
    let held = (0..CONNECTIONS)
        .map(|_| connect_and_ask(system.port))
        .collect::<Result<Vec<TcpStream>, String>>()?;
    let more = system.tree.rss_kib()? - before;
    figures.insert(Figure::RssIdle, more / f64::from(CONNECTIONS));
    drop((held, system));

    let system = System::start(contender, folders, &mock.address)?;
    let before = warm(folders, workload, contender, &system)?;
    let streams = Workload {
        load: &["-c1000", "--stream"],
        ..*workload
    };
    let url = system.url(workload, &contender.peer);
    let mut running = load::start(folders, &streams, &url, Extent::Requests(STREAMS))?;
    clock::pause(MIDST);
    let more = system.tree.rss_kib()? - before;
    figures.insert(Figure::RssStream, more / f64::from(STREAMS));
    // The answers of the streams do not matter.
    let _ = running.kill();
    let _ = running.wait();
    Ok(figures)
}

/// Memory once everything is allocated that does not depend on the number of connections.
fn warm(
    folders: &Folders,
    workload: &Workload,
    contender: &Contender,
    system: &System,
) -> Result<f64, String> {
    let url = system.url(workload, &contender.peer);
    load::run(folders, workload, &url, (Extent::Requests(WARM_UP), None))?;
    system.tree.rss_kib()
}

/// A connection that has had one answer.
fn connect_and_ask(port: u16) -> Result<TcpStream, String> {
    let ask = || -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}"#;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nX-Infermux-Caller: load\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes())?;
        let mut held = Vec::new();
        let mut part = [0; 4_096];
        while !is_whole(&held) {
            let count = stream.read(&mut part)?;
            if count == 0 || held.len() > ANSWER_BYTES_MAX {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            held.extend_from_slice(part.get(..count).unwrap_or_default());
        }
        Ok(stream)
    };
    ask().map_err(|e| format!("a connection that was to stay idle: {e}"))
}

/// Whether an answer with a length has arrived in full.
fn is_whole(held: &[u8]) -> bool {
    let text = String::from_utf8_lossy(held).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length:").map(|(_, rest)| rest);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            assert!(!is_whole(&text[..end]), "{end}");
        }
        assert!(is_whole(text));
    }
}
