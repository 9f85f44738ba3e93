//! What callers, pages and collectors say beside requests and answers: traces, origins, and what
//! became of spans.

use std::time::Duration;

use infermux::testing::readers::config::cors::{self, Origins, origin};
use infermux::testing::readers::coordinator::collector::judged;
use infermux::testing::readers::exchange::cors::Cors;
use infermux::testing::readers::sys::http::Answer;
use infermux::testing::readers::wire::head::{Arrival, Head};
use infermux::testing::readers::wire::trace_context::{Context, read, write_parent};

use super::splits;
use crate::target::Target;

/// `traceparent` and `tracestate`: the first line, and all others.
pub(super) const TRACE: Target = Target {
    name: "trace",
    run: trace,
    times: 64,
    folders: &[],
    fronts: &[],
};

fn trace(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let parent = lines.next().unwrap_or_default();
    let states: Vec<&[u8]> = lines.collect();
    let context = read([parent].into_iter(), states.iter().copied());
    assert_eq!(
        context.is_some(),
        follows(parent),
        "{:?}",
        parent.escape_ascii().to_string()
    );
    assert_eq!(read([parent, parent].into_iter(), [].into_iter()), None);
    let Some(context) = context else {
        return;
    };
    let members: Vec<&str> = context.state.split(',').collect();
    assert!(context.state.len() <= 512 && members.len() <= 32);
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~');
    assert!(context.state.bytes().all(is_visible), "{}", context.state);
    let mut again = Vec::new();
    write_parent(context.trace, context.span, context.flags, &mut again);
    let state = context.state.as_bytes();
    let told: Option<Context> = read([&*again].into_iter(), [state].into_iter());
    assert_eq!(
        told,
        Some(context.clone()),
        "what is passed on is read alike"
    );
}

/// Whether it follows the recommendation, in its own words.
fn follows(text: &[u8]) -> bool {
    // A later version may have bytes of any kind behind the fields.
    let text = String::from_utf8_lossy(text);
    let mut fields = text.splitn(5, '-');
    let is_hex = |field: &str, len: usize| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        field.len() == len && field.bytes().all(is_digit)
    };
    let [version, trace, span, flags] = [2, 32, 16, 2].map(|len| {
        let field = fields.next().unwrap_or_default();
        if is_hex(field, len) { field } else { "" }
    });
    let is_zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    let is_known = version != "00" || fields.next().is_none();
    is_known
        && !matches!(version, "" | "ff")
        && !is_zero(trace)
        && !is_zero(span)
        && !flags.is_empty()
}

/// Origins of a file, and of the heads of pages' requests.
pub(super) const CORS: Target = Target {
    name: "cors",
    run: origins,
    times: 64,
    folders: &[],
    fronts: &["0", "1"],
};

fn origins(bytes: &[u8]) {
    let (choice, bytes) = splits::front(bytes);
    let (first, head_bytes) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    let named = std::str::from_utf8(first)
        .ok()
        .and_then(|text| origin(text).ok());
    if let Some(named) = &named {
        assert!(
            !named.bytes().any(|byte| byte <= b' ' || byte >= 0x7f),
            "{named}"
        );
        assert_eq!(
            origin(named).as_ref(),
            Ok(named),
            "what is written is read alike"
        );
    }
    let listed = [named.unwrap_or_default(), "https://app.example".into()];
    let cors = Cors::new(&cors::Cors {
        origins: match choice % 2 {
            0 => Origins::Listed(listed.into()),
            _ => Origins::Any,
        },
        max_age: Duration::from_secs(60),
    });
    if let Some(grant) = cors.grant_unread(head_bytes) {
        check_lines(std::str::from_utf8(cors.lines(grant)).expect("text"));
    }
    let mut head = Head::default();
    if head.parse_request(head_bytes, 0) != Ok(Arrival::Whole) {
        return;
    }
    let grant = cors.grant(&head, head_bytes);
    check_lines(std::str::from_utf8(cors.lines(grant)).expect("text"));
    if let Some(unread) = cors.grant_unread(&head_bytes[..head.len]) {
        assert_eq!(unread, grant, "read or not, it comes from one origin");
    }
    if let Some(lines) = cors.preflight(grant, &head, head_bytes) {
        assert!(cors.may_call(grant));
        check_lines(&lines);
    }
}

/// Whether all of it is lines of a head.
fn check_lines(lines: &str) {
    for line in lines.split_terminator("\r\n") {
        let (name, value) = line.split_once(": ").expect("a field");
        assert!(!name.is_empty() && !name.contains(' '), "{line}");
        assert!(
            !value.contains(|c: char| c.is_control() && c != '\t'),
            "{line}"
        );
    }
    assert!(lines.is_empty() || lines.ends_with("\r\n"), "{lines}");
}

/// What a collector says of spans that it was sent.
pub(super) const COLLECTOR: Target = Target {
    name: "collector",
    run: collector,
    times: 64,
    folders: &[],
    fronts: &["200 ", "400 ", "429 ", "503 "],
};

fn collector(bytes: &[u8]) {
    let (status, body) = bytes.split_at(bytes.len().min(4));
    let status = std::str::from_utf8(status)
        .ok()
        .and_then(|text| text.trim_end().parse().ok());
    let handed = judged(&Answer {
        status: status.unwrap_or(200),
        body: body.to_vec(),
        retry_after: None,
    });
    if let Some(fault) = handed.fault {
        assert!(
            fault.len() <= 4_096 && !fault.contains(char::is_control),
            "{fault:?}"
        );
    }
}
