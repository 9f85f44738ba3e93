//! A collector of traces that holds every request against the JSON of OTLP: it knows each field,
//! and takes no other. It uses nothing of infermux.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};

use super::eventually;

/// What a collector does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It answers with this status, these header lines and this body.
    Say(u16, &'static str, &'static str),
    /// It never answers.
    Hang,
}

/// A collector.
pub struct Collector {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    heads: Vec<String>,
    bodies: Vec<Value>,
    /// Spans of requests that were answered 200.
    spans: Vec<Value>,
    faults: Vec<String>,
    replies: Vec<Reply>,
}

impl Collector {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::replying(Vec::new())
    }

    /// One that replies so in turn, and takes everything that follows.
    pub fn replying(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen {
            replies,
            ..Seen::default()
        }));
        let keep = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                std::thread::spawn(move || serve(stream, &keep));
            }
        });
        Self { addr, seen }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The file's section that has traces told there, with these further keys.
    pub fn telemetry(&self, keys: &str) -> String {
        let comma = if keys.is_empty() { "" } else { ", " };
        let addr = self.addr;
        format!("telemetry: {{otlp: {{endpoint: 'http://{addr}'{comma}{keys}}}}}\n")
    }

    /// How many requests have come.
    pub fn posts(&self) -> usize {
        self.look(|seen| seen.heads.len())
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.look(|seen| seen.heads.clone())
    }

    /// The attributes of the process, as the last request told them.
    pub fn resource(&self) -> Map<String, Value> {
        let resource = |seen: &Seen| {
            let last = seen.bodies.last().expect("a request");
            attributes(&last["resourceSpans"][0]["resource"])
        };
        self.look(resource)
    }

    /// The spans that it has taken.
    pub fn spans(&self) -> Vec<Span> {
        self.look(|seen| seen.spans.iter().cloned().map(Span).collect())
    }

    /// Waits until it has taken this many spans, and returns them, those that began first before
    /// the others.
    pub fn wait(&self, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans"), || self.spans().len() >= count);
        let mut spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:?}");
        spans.sort_by_key(|span| (span.start(), span.kind() == "client"));
        spans
    }

    fn look<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        let seen = self.seen.lock().expect("no panic");
        assert!(seen.faults.is_empty(), "{:?}", seen.faults);
        read(&seen)
    }
}

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Span(pub Value);

impl Span {
    /// A field that is a text; empty where it is absent.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// `server` or `client`.
    pub fn kind(&self) -> &'static str {
        match self.0["kind"].as_u64() {
            Some(2) => "server",
            Some(3) => "client",
            _ => panic!("{:?}", self.0),
        }
    }

    /// When it began.
    pub fn start(&self) -> u64 {
        self.text("startTimeUnixNano").parse().expect("a number")
    }

    /// When it ended.
    pub fn end(&self) -> u64 {
        self.text("endTimeUnixNano").parse().expect("a number")
    }

    /// Its attributes: texts, numbers and flags.
    pub fn attributes(&self) -> Map<String, Value> {
        attributes(&self.0)
    }

    /// One of its attributes; `null` where it has none of this name.
    pub fn attribute(&self, name: &str) -> Value {
        self.attributes().remove(name).unwrap_or_default()
    }

    /// The value of `traceparent` that a provider gets from it.
    pub fn traceparent(&self) -> String {
        let flags = self.0["flags"].as_u64().expect("flags") & 0xff;
        let (trace, span) = (self.text("traceId"), self.text("spanId"));
        format!("00-{trace}-{span}-{flags:02x}")
    }
}

fn attributes(of: &Value) -> Map<String, Value> {
    let list = of["attributes"].as_array().expect("attributes");
    let pairs = list.iter().map(|one| {
        let value = one["value"].as_object().expect("a value");
        let (kind, value) = value.iter().next().expect("one value");
        let value = match kind.as_str() {
            "intValue" => {
                let number: i64 = value.as_str().expect("text").parse().expect("a number");
                number.into()
            }
            _ => value.clone(),
        };
        (one["key"].as_str().expect("a key").to_owned(), value)
    });
    let count = list.len();
    let map: Map<String, Value> = pairs.collect();
    assert_eq!(
        map.len(),
        count,
        "an attribute stands there twice: {list:?}"
    );
    map
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) {
    let Some((head, body)) = read(&mut stream) else {
        return;
    };
    let mut guard = seen.lock().expect("no panic");
    if let Err(fault) = check_head(&head) {
        guard.faults.push(fault);
    }
    let packed = head.contains("\r\ncontent-encoding: gzip\r\n");
    let body = if packed { unpacked(&body) } else { body };
    let value: Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(fault) => {
            guard.faults.push(format!("no JSON: {fault}"));
            return;
        }
    };
    if let Err(fault) = check(&EXPORT, &value) {
        guard.faults.push(fault);
    }
    let place = guard.heads.len();
    guard.heads.push(head);
    let reply = guard.replies.get(place).cloned();
    let reply = reply.unwrap_or(Reply::Say(200, "", "{\"partialSuccess\":{}}"));
    if matches!(reply, Reply::Say(200..=299, ..)) {
        let spans = value["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
        guard.spans.extend(spans.into_iter().flatten().cloned());
    }
    guard.bodies.push(value);
    drop(guard);
    match reply {
        Reply::Say(status, fields, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(text.as_bytes());
        }
        Reply::Hang => {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
            let _ = stream.read(&mut [0; 1]);
        }
    }
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(body);
    decoder.read_to_end(&mut out).expect("gzip");
    out
}

/// The head of a request, field names in lower case, and its body.
fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end + 2].to_vec()).ok()?;
            let head: String = head.split_inclusive("\r\n").map(lowered).collect();
            let length = head.split("content-length: ").nth(1)?;
            let length: usize = length.split("\r\n").next()?.parse().ok()?;
            while bytes.len() < end + 4 + length {
                let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
                bytes.extend_from_slice(&piece[..count]);
            }
            return Some((head, bytes[end + 4..].to_vec()));
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn lowered(line: &str) -> String {
    match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    }
}

fn check_head(head: &str) -> Result<(), String> {
    for wanted in [
        "POST /v1/traces HTTP/1.1\r\n",
        "\r\ncontent-type: application/json\r\n",
    ] {
        if !head.contains(wanted) {
            return Err(format!("{wanted:?} is not in {head:?}"));
        }
    }
    Ok(())
}

/// What a message of the protocol may have, by the names of its fields in JSON.
struct Message(&'static [(&'static str, Field, bool)]);

/// The type of a field.
#[derive(Clone, Copy)]
enum Field {
    Text,
    /// So many hexadecimal digits in lower case, not all zeros.
    Id(usize),
    /// A number of 64 bits, unsigned: a string of digits.
    Number64,
    /// The same, signed.
    Signed64,
    /// A number of 32 bits, unsigned.
    Number32,
    /// One of these numbers.
    OneOf(&'static [u64]),
    Double,
    Flag,
    One(&'static Message),
    Many(&'static Message),
}

use Field::{Double, Flag, Id, Many, Number32, Number64, One, OneOf, Signed64, Text};

static EXPORT: Message = Message(&[("resourceSpans", Many(&RESOURCE_SPANS), true)]);
static RESOURCE_SPANS: Message = Message(&[
    ("resource", One(&RESOURCE), true),
    ("scopeSpans", Many(&SCOPE_SPANS), true),
]);
static RESOURCE: Message = Message(&[("attributes", Many(&ATTRIBUTE), true)]);
static SCOPE_SPANS: Message =
    Message(&[("scope", One(&SCOPE), true), ("spans", Many(&SPAN), true)]);
static SCOPE: Message = Message(&[("name", Text, true), ("version", Text, false)]);
static SPAN: Message = Message(&[
    ("traceId", Id(32), true),
    ("spanId", Id(16), true),
    ("traceState", Text, false),
    ("parentSpanId", Id(16), false),
    ("flags", Number32, true),
    ("name", Text, true),
    ("kind", OneOf(&[2, 3]), true),
    ("startTimeUnixNano", Number64, true),
    ("endTimeUnixNano", Number64, true),
    ("attributes", Many(&ATTRIBUTE), true),
    ("events", Many(&EVENT), false),
    ("links", Many(&LINK), false),
    ("status", One(&STATUS), false),
]);
static EVENT: Message = Message(&[("timeUnixNano", Number64, true), ("name", Text, true)]);
static LINK: Message = Message(&[
    ("traceId", Id(32), true),
    ("spanId", Id(16), true),
    ("traceState", Text, false),
    ("flags", Number32, true),
]);
static STATUS: Message = Message(&[("message", Text, true), ("code", OneOf(&[2]), true)]);
static ATTRIBUTE: Message = Message(&[("key", Text, true), ("value", One(&VALUE), true)]);
static VALUE: Message = Message(&[
    ("stringValue", Text, false),
    ("intValue", Signed64, false),
    ("doubleValue", Double, false),
    ("boolValue", Flag, false),
]);

fn check(message: &Message, value: &Value) -> Result<(), String> {
    let object = value
        .as_object()
        .ok_or_else(|| format!("no object: {value}"))?;
    for (name, value) in object {
        let field = message.0.iter().find(|(known, ..)| known == name);
        let (_, field, _) = field.ok_or_else(|| format!("unknown field {name}"))?;
        check_field(*field, value).map_err(|fault| format!("{name}: {fault}"))?;
    }
    for (name, _, is_required) in message.0 {
        if *is_required && !object.contains_key(*name) {
            return Err(format!("{name} is missing in {value}"));
        }
    }
    if std::ptr::eq(message, &VALUE) && object.len() != 1 {
        return Err(format!("not one value: {value}"));
    }
    if std::ptr::eq(message, &SPAN) {
        check_times(value)?;
    }
    Ok(())
}

fn check_field(field: Field, value: &Value) -> Result<(), String> {
    let wrong = || format!("{value}");
    let text = || value.as_str().ok_or_else(wrong);
    let fits = match field {
        Text => !text()?.is_empty(),
        Id(length) => {
            let text = text()?;
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.len() == length && text.bytes().all(is_digit) && text.bytes().any(|b| b != b'0')
        }
        Number64 => text()?
            .parse::<u64>()
            .is_ok_and(|n| value.as_str() == Some(&*n.to_string())),
        Signed64 => text()?
            .parse::<i64>()
            .is_ok_and(|n| value.as_str() == Some(&*n.to_string())),
        Number32 => value
            .as_u64()
            .is_some_and(|number| u32::try_from(number).is_ok()),
        OneOf(numbers) => value
            .as_u64()
            .is_some_and(|number| numbers.contains(&number)),
        Double => value.is_number(),
        Flag => value.is_boolean(),
        One(message) => return check(message, value),
        Many(message) => {
            let all = value.as_array().ok_or_else(wrong)?;
            return all.iter().try_for_each(|one| check(message, one));
        }
    };
    if fits { Ok(()) } else { Err(wrong()) }
}

/// A span ends after it has begun, and neither is in another century.
fn check_times(span: &Value) -> Result<(), String> {
    let span = Span(span.clone());
    let is_near = |nanos: u64| (1_700_000_000..4_000_000_000).contains(&(nanos / 1_000_000_000));
    if is_near(span.start()) && is_near(span.end()) && span.start() <= span.end() {
        return Ok(());
    }
    Err(format!("from {} to {}", span.start(), span.end()))
}
