//! Forms with files: small ones are held, large ones are sent on as they arrive.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

use crate::support::canned::{Recorder, canned, chunk, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{Nobody, config_of, eventually};

const JSON: &str = "Content-Type: application/json\r\n";
const PATH: &str = "/v1/audio/transcriptions";

/// A provider at `addr`, for the model `m` and its alias `nick`.
fn at(name: &str, addr: SocketAddr, fields: &str) -> String {
    format!(
        "  - name: {name}\n    type: openai\n    api_key: sk-{name}\n    \
         base_url: \"http://{addr}/v1\"\n    models: [m]\n    model_aliases: {{nick: m}}\n    \
         health_check: {{disabled: true}}\n{fields}"
    )
}

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

/// A form with this model, and a file of so many bytes.
fn form(model: &str, bytes: usize) -> Vec<u8> {
    let file: Vec<u8> = (0..bytes)
        .map(|at| ((at * 31) >> 3).to_le_bytes()[0])
        .collect();
    [
        part("name=\"model\"", model.as_bytes()),
        part("name=\"response_format\"", b"json"),
        part("name=\"file\"; filename=\"a.mp3\"", &file),
        b"--XX--\r\n".to_vec(),
    ]
    .concat()
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\ncookie: a=b\r\n\
         Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn post(client: &mut Client, path: &str, form: &[u8]) -> Answer {
    client.send([head(path, form.len()).as_bytes(), form].concat());
    client.answer()
}

/// A provider that reads whatever comes, and answers once it has all of it.
struct Sink {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What it has read of a request.
#[derive(Clone, Default)]
struct Seen {
    head: String,
    body: Vec<u8>,
    is_whole: bool,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let keep = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                std::thread::spawn(move || swallow(stream, &keep));
            }
        });
        Self { addr, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn swallow(mut stream: TcpStream, keep: &Mutex<Vec<Seen>>) {
    let mut bytes = Vec::new();
    let mut room = vec![0; 1 << 16];
    loop {
        let mut seen = Seen::default();
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                seen.head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                bytes.drain(..end + 4);
                break;
            }
            match stream.read(&mut room) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&room[..count]),
                Ok(_) | Err(_) => return,
            }
        }
        let length = seen.head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        let is_there = |bytes: &[u8]| match length {
            Some(length) => bytes.len() >= length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        };
        while !is_there(&bytes) {
            match stream.read(&mut room) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&room[..count]),
                Ok(_) | Err(_) => {
                    seen.body = bytes;
                    keep.lock().expect("no panic").push(seen);
                    return;
                }
            }
        }
        seen.body = std::mem::take(&mut bytes);
        seen.is_whole = true;
        keep.lock().expect("no panic").push(seen);
        let answer = whole(
            JSON,
            br#"{"text":"hi","model":"m","usage":{"type":"duration","seconds":3}}"#,
        );
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// The payload of a chunked body.
fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|two| two == b"\r\n")
            .expect("a size");
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        body = &body[end + 2..];
        if size == 0 {
            assert_eq!(body, b"\r\n");
            return payload;
        }
        payload.extend_from_slice(&body[..size]);
        assert_eq!(&body[size..size + 2], b"\r\n");
        body = &body[size + 2..];
    }
}

#[test]
fn forms_cross_but_for_the_model() {
    let alpha = Sink::start();
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, "")], ""));
    let mut client = Client::connect(router.addr());
    for (path, own) in [
        (PATH, PATH),
        ("/v1/audio/translations", "/v1/audio/translations"),
        ("/images/edits", "/v1/images/edits"),
        ("/openai/deployments/nick/audio/transcriptions", PATH),
    ] {
        // Held, and sent on as it arrives.
        for bytes in [0, 10, 5_000, 200_000, 1_500_000, 3_000_000] {
            let form = form("nick", bytes);
            let answer = post(&mut client, path, &form);
            assert_eq!(answer.status, 200, "{path} {bytes}: {}", answer.text());
            assert_eq!(answer.json()["model"], "nick");
            assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
            let seen = alpha.seen().pop().expect("a request");
            assert!(
                seen.head.starts_with(&format!("post {own} http/1.1")),
                "{}",
                seen.head
            );
            assert!(
                seen.head
                    .contains("content-type: multipart/form-data; boundary=xx")
            );
            assert!(seen.head.contains("authorization: bearer sk-alpha"));
            assert!(!seen.head.contains("cookie"), "{}", seen.head);
            let expected = crate::uploads::form("m", bytes);
            assert!(seen.body == expected, "{path} {bytes}: {}", seen.body.len());
        }
    }
}

#[test]
fn a_deployment_names_the_model_of_a_form_that_names_none() {
    let alpha = Sink::start();
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, "")], ""));
    let path = "/openai/deployments/nick/audio/transcriptions?api-version=1";
    for bytes in [10, 2_000_000] {
        let form = form("nick", bytes);
        let without = &form[part("name=\"model\"", b"nick").len()..];
        let answer = post(&mut Client::connect(router.addr()), path, without);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = alpha.seen().pop().expect("a request");
        assert!(seen.body == crate::uploads::form("m", bytes), "{bytes}");
        let answer = post(&mut Client::connect(router.addr()), PATH, without);
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_request".to_owned())
        );
    }
}

#[test]
fn chunked_uploads_are_sent_on_in_chunks() {
    let alpha = Sink::start();
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, "")], ""));
    let mut client = Client::connect(router.addr());
    for (bytes, held) in [(10, true), (900_000, true), (3_000_000, false)] {
        let form = form("nick", bytes);
        let mut sent = format!(
            "POST {PATH} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\
             Content-Type: multipart/form-data; boundary=XX\r\n\r\n"
        )
        .into_bytes();
        form.chunks(77_777)
            .for_each(|piece| sent.extend(chunk(piece)));
        sent.extend_from_slice(b"0\r\n\r\n");
        client.send(sent);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{bytes}: {}", answer.text());
        let seen = alpha.seen().pop().expect("a request");
        let is_chunked = seen.head.contains("transfer-encoding: chunked");
        assert_eq!(is_chunked, !held, "{}", seen.head);
        let body = if is_chunked {
            dechunked(&seen.body)
        } else {
            seen.body
        };
        assert!(body == crate::uploads::form("m", bytes), "{bytes}");
    }
}

#[test]
fn what_two_readers_could_read_differently_reaches_nobody() {
    let alpha = Sink::start();
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, "")], ""));
    let late = [
        part("name=\"file\"; filename=\"a\"", &vec![b'x'; 100_000]),
        form("m", 2_000_000),
    ];
    let again = [
        form("m", 2_000_000)
            .strip_suffix(b"--XX--\r\n")
            .expect("an end")
            .to_vec(),
        part("name=\"model\"", b"dear"),
        b"--XX--\r\n".to_vec(),
    ];
    let cut = form("m", 2_000_000)
        .strip_suffix(b"--\r\n")
        .expect("an end")
        .to_vec();
    for (what, form, reaches) in [
        ("a late model", late.concat(), false),
        ("a second model", again.concat(), true),
        ("no end", cut, true),
        ("a small one without end", b"--XX\r\n".to_vec(), false),
    ] {
        let before = alpha.seen().len();
        let mut client = Client::connect(router.addr());
        let answer = post(&mut client, PATH, &form);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.code(), "invalid_request", "{what}");
        if reaches {
            // What was sent of it has no end.
            eventually("the provider's connection ends", || {
                alpha.seen().len() > before
            });
        }
        assert!(
            alpha.seen().iter().skip(before).all(|seen| !seen.is_whole),
            "{what}"
        );
    }
    // What is no form, or has no boundary.
    for (kind, status) in [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=\"a b\"", 400),
        ("multipart/mixed; boundary=XX", 415),
        ("application/octet-stream", 400),
    ] {
        let mut client = Client::connect(router.addr());
        let form = form("m", 10);
        client.send(head(PATH, form.len()).replace("multipart/form-data; boundary=XX", kind));
        client.send(&form);
        assert_eq!(client.answer().status, status, "{kind}");
    }
}

#[test]
fn a_provider_may_answer_before_it_has_all() {
    let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Type: application/json\r\n\
                    Content-Length: 33\r\n\r\n{\"error\":{\"message\":\"too large\"}} ";
    let addr = canned_early(refusal.to_vec());
    let router = Router::start(&config_of(&[at("alpha", addr, "")], ""));
    let form = form("m", 20_000_000);
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, PATH, &form);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("too large"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

/// A provider that answers when it has a request's head, and reads no more.
fn canned_early(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut room = [0; 1_000];
            let _ = stream.read(&mut room);
            let _ = stream.write_all(&answer);
            kept.push(stream);
        }
    });
    addr
}

#[test]
fn an_upload_goes_to_one_provider_once_it_has_begun() {
    let dead = Nobody::here();
    let beta = Sink::start();
    let rest = "routing: {strategy: priority}\n";
    let config = config_of(
        &[at("alpha", dead.addr(), ""), at("beta", beta.addr, "")],
        rest,
    );
    let router = Router::start(&config);
    // Nothing of it was sent: another provider takes over.
    let answer = post(
        &mut Client::connect(router.addr()),
        PATH,
        &form("m", 2_000_000),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    assert!(beta.seen()[0].body == form("m", 2_000_000));
    drop(router);
    let broken = Recorder::start(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_vec());
    let config = config_of(
        &[at("alpha", broken.addr(), ""), at("beta", beta.addr, "")],
        rest,
    );
    let router = Router::start(&config);
    let mut client = Client::connect(router.addr());
    let answer = post(&mut client, PATH, &form("m", 2_000_000));
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_error".to_owned())
    );
    assert_eq!(beta.seen().len(), 1);
    // A small one was held.
    let answer = post(&mut client, PATH, &form("m", 2_000));
    assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
    let (_, body) = halves(&broken.seen()[1]);
    assert!(body == form("m", 2_000));
}

#[test]
fn who_leaves_or_stops_ends_the_upload() {
    let alpha = Sink::start();
    let rest = "server: {body_timeout: 200ms}\n";
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, "")], rest));
    let form = form("m", 3_000_000);
    for leaves in [true, false] {
        let before = alpha.seen().len();
        let mut client = Client::connect(router.addr());
        client.send(head(PATH, form.len()));
        client.send(&form[..2_000_000]);
        if leaves {
            drop(client);
        } else {
            let answer = client.answer();
            assert_eq!(answer.status, 408, "{}", answer.text());
        }
        eventually("the provider's connection ends", || {
            alpha.seen().len() > before
        });
        let seen = alpha.seen().pop().expect("a request");
        assert!(!seen.is_whole);
    }
    router.wait_for_log("error=caller_gone");
}

#[test]
fn sound_is_priced_by_its_length() {
    let alpha = Sink::start();
    let text = canned(
        whole("Content-Type: text/plain; charset=utf-8\r\n", b"hello\n"),
        b"",
    );
    let rest = "pricing:\n  alpha: {m: {per_second: 0.5}}\n  beta: {n: {per_second: 0.5}}\n\
                budgets: [{caller: team, monthly_usd: 1000, action: hard_stop}]\n";
    let beta = at("beta", text, "")
        .replace("[m]", "[n]")
        .replace("nick: m", "x: n");
    let router = Router::start(&config_of(&[at("alpha", alpha.addr, ""), beta], rest));
    let ask = |model: &str, bytes: usize| {
        let form = form(model, bytes);
        let head = head(PATH, form.len());
        let head = head.replace("cookie: a=b", "x-infermux-caller: team");
        let mut client = Client::connect(router.addr());
        client.send([head.as_bytes(), &form].concat());
        client.answer()
    };
    for bytes in [48_000, 1_600_000] {
        let answer = ask("m", bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-cost"), Some("1.5"));
    }
    // Where no length is told, 16,000 bytes count as a second.
    let answer = ask("n", 48_000);
    assert_eq!((answer.status, answer.text()), (200, "hello\n".to_owned()));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("x-infermux-cost"), Some("1.5"));
    // More than the budget has left for what it is likely to cost.
    let answer = ask("n", 32_000_000 - 1_000_000);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(ask("n", 30_000_000).code(), "budget_exceeded");
}

/// What the system says of the router's memory, in bytes.
fn memory(router: &Router, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.pid()));
    let status = status.expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.expect("a number") << 10
}

/// A provider that reads nothing before the sender is dropped, and then all; it keeps nothing.
fn drain(wait: Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Those that it accepts have as little room.
    let room = SockRef::from(&listener).set_recv_buffer_size(1 << 16);
    room.expect("room");
    let addr = listener.local_addr().expect("an address");
    let wait = Arc::new(Mutex::new(wait));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let wait = Arc::clone(&wait);
            std::thread::spawn(move || {
                let _ = wait.lock().expect("no panic").recv();
                drained(stream);
            });
        }
    });
    addr
}

/// Reads one request to its end, and answers with the number of its bytes.
fn drained(mut stream: TcpStream) {
    let mut room = vec![0; 1 << 16];
    let mut head = Vec::new();
    let body_at = loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut room) {
            Ok(count) if count > 0 => head.extend_from_slice(&room[..count]),
            Ok(_) | Err(_) => return,
        }
    };
    let text = String::from_utf8_lossy(&head[..body_at]).to_lowercase();
    let length = text.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    let length: usize = length.expect("a length");
    let mut count = head.len() - body_at;
    let mut end = head;
    while count < length {
        match stream.read(&mut room) {
            Ok(more) if more > 0 => {
                count += more;
                end.drain(..end.len().saturating_sub(8));
                end.extend_from_slice(&room[more.saturating_sub(8)..more]);
            }
            Ok(_) | Err(_) => return,
        }
    }
    let is_whole = count == length && end.ends_with(b"--XX--\r\n");
    let answer = format!(r#"{{"text":"{count} {is_whole}","model":"m"}}"#);
    let _ = stream.write_all(&whole(JSON, answer.as_bytes()));
}

/// Uploads of `bytes` each: all are stuck at a provider that does not read, and then end. Most
/// memory that the router takes for them stays small.
fn upload_many_at_once(bytes: usize) {
    const COUNT: usize = 200;
    let (go, wait) = channel();
    let config = config_of(&[at("alpha", drain(wait), "")], "");
    let router = Router::start(&config);
    let form = Arc::new(form("m", bytes));
    // From here on the most that it has taken is counted anew.
    std::fs::write(format!("/proc/{}/clear_refs", router.pid()), "5").expect("its own child");
    let before = memory(&router, "VmRSS:");
    let (stalled, reports) = channel();
    let (end, ends) = channel::<()>();
    let ends = Arc::new(Mutex::new(ends));
    let start = std::time::Instant::now();
    let senders: Vec<_> = (0..COUNT)
        .map(|_| {
            let (form, stalled, ends) = (Arc::clone(&form), stalled.clone(), Arc::clone(&ends));
            let mut stream = TcpStream::connect(router.addr()).expect("a connection");
            let room = SockRef::from(&stream).set_send_buffer_size(1 << 16);
            room.expect("room");
            let timeout = |stream: &TcpStream, time| {
                stream.set_write_timeout(Some(time)).expect("a timeout");
            };
            timeout(&stream, Duration::from_millis(500));
            std::thread::spawn(move || {
                stream
                    .write_all(head(PATH, form.len()).as_bytes())
                    .expect("room for a head");
                let mut sent = 0;
                // Until nobody takes any more of it, once it is more than is held.
                while sent < form.len() {
                    match stream.write(&form[sent..]) {
                        Ok(count) => sent += count,
                        Err(_) if sent > 1 << 20 => break,
                        Err(fault) => assert!(start.elapsed() < LONG, "{sent}: {fault}"),
                    }
                }
                stalled.send(sent).expect("somebody waits");
                drop(stalled);
                let _ = ends.lock().expect("no panic").recv();
                timeout(&stream, LONG);
                stream.write_all(&form[sent..]).expect("all is taken");
                let mut answer = Vec::new();
                let mut room = [0; 1_000];
                while !answer.ends_with(b"}") {
                    let count = stream.read(&mut room).expect("an answer");
                    assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
                    answer.extend_from_slice(&room[..count]);
                }
                String::from_utf8(answer).expect("text")
            })
        })
        .collect();
    drop(stalled);
    let sent: Vec<usize> = reports.iter().collect();
    assert_eq!(sent.len(), COUNT);
    let is_under_way = |sent: &usize| (1 << 20..form.len()).contains(sent);
    assert!(sent.iter().all(is_under_way), "{sent:?}");
    let held = start.elapsed();
    drop((go, end));
    let told = format!("{} true", form.len());
    for sender in senders {
        let answer = sender.join().expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(&told), "{answer}");
    }
    let grown = memory(&router, "VmHWM:").saturating_sub(before);
    println!(
        "{COUNT} uploads of {} MiB: {} KiB more at most, held {} KiB each, {held:?} and {:?}",
        bytes >> 20,
        grown >> 10,
        sent.iter().max().unwrap_or(&0) >> 10,
        start.elapsed()
    );
    assert!(grown < 64 << 20, "{grown} bytes more");
}

#[test]
fn many_large_uploads_at_once_take_little_memory() {
    let size = std::env::var("INFERMUX_TEST_UPLOAD_MIB");
    let mib = size.map_or(UPLOAD_MIB, |size| size.parse().expect("a number"));
    upload_many_at_once(mib << 20);
}

/// The usual size of those uploads: more than sockets and the router hold of one. `.ci/run` asks
/// for 25 MiB, for which 10 GB cross the loopback.
const UPLOAD_MIB: usize = 6;
/// When an upload is given up.
const LONG: Duration = Duration::from_secs(60);
