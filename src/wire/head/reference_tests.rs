//! The rules of heads once more, byte by byte and with `httparse`: what the parser is held against.
//!
//! The fuzzer reads this file, too: all that it takes comes from the module above it.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::Status;

use super::{
    ANSWER_HEAD_BYTES_MAX, Arrival, Asked, Framing, HEADERS_MAX, Head, HeadFault, Known, Names,
    REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX, field, origin_form,
};

type Ranges = Vec<(Range<usize>, Range<usize>)>;

/// What a parser makes of bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    len: usize,
    line: (Range<usize>, Range<usize>, u16, u8),
    fields: Ranges,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

pub type Verdict = Result<Option<Made>, HeadFault>;

/// Whose head it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Request,
    Answer(Asked),
}

pub const KINDS: [Kind; 3] = [
    Kind::Request,
    Kind::Answer(Asked::Head),
    Kind::Answer(Asked::Other),
];

/// What [`Head`] makes of `bytes`, of which it has seen some before.
pub fn own(head: &mut Head, kind: Kind, bytes: &[u8], seen: usize) -> Verdict {
    let arrival = match kind {
        Kind::Request => head.parse_request(bytes, seen)?,
        Kind::Answer(asked) => head.parse_answer(bytes, seen, asked)?,
    };
    if arrival == Arrival::Partial {
        return Ok(None);
    }
    let mut names = Names::NONE;
    for field in &head.fields {
        assert_eq!(field.known, Known::of(&bytes[field.name.clone()]));
        names.add(field.known);
    }
    assert_eq!(names, head.names);
    let fields = head.fields.iter();
    let (method, target) = match kind {
        Kind::Request => (head.method.clone(), head.target.clone()),
        Kind::Answer(_) => (0..0, 0..0),
    };
    Ok(Some(Made {
        len: head.len,
        line: (method, target, head.status, head.minor),
        fields: fields
            .map(|one| (one.name.clone(), one.value.clone()))
            .collect(),
        framing: head.framing,
        keep_alive: head.keep_alive,
        expects_continue: head.expects_continue,
    }))
}

/// What the rules make of them, byte by byte and with `httparse`.
pub fn reference(kind: Kind, bytes: &[u8]) -> Verdict {
    let most = match kind {
        Kind::Request => REQUEST_HEAD_BYTES_MAX,
        Kind::Answer(_) => ANSWER_HEAD_BYTES_MAX,
    };
    match (end_of_head(bytes)?, kind) {
        (Some(end), _) if end <= most => whole(kind, &bytes[..end]).map(Some),
        (None, Kind::Request) if bytes.len() < most => {
            let start = bytes.trim_ascii_start();
            let method = start.iter().take(32).take_while(|byte| **byte != b' ');
            let may_be_one = method.copied().all(|byte| field::is_name(&[byte]));
            may_be_one.then_some(None).ok_or(HeadFault::Malformed)
        }
        (None, Kind::Answer(_)) if bytes.len() < most => {
            let start = &bytes[..bytes.len().min(5)];
            let may_be_one = b"HTTP/".starts_with(start);
            may_be_one.then_some(None).ok_or(HeadFault::Malformed)
        }
        (_, Kind::Request) => {
            let line = bytes.split(|byte| *byte == b'\n').next();
            Err(match line.map(<[u8]>::len) {
                Some(length) if length > TARGET_BYTES_MAX => HeadFault::TargetTooLong,
                _ => HeadFault::TooLarge,
            })
        }
        (_, Kind::Answer(_)) => Err(HeadFault::TooLarge),
    }
}

/// Where the first empty line ends that follows another.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
    let is_of_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().take_while(is_of_line_end).count();
    for at in (0..bytes.len()).filter(|at| bytes[*at] == b'\n') {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(HeadFault::BareLf);
        }
        if at > start && bytes[..at].ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

fn whole(kind: Kind, bytes: &[u8]) -> Result<Made, HeadFault> {
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let (len, line, headers) = match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut []);
            let parsed = request.parse_with_uninit_headers(bytes, &mut slots);
            let Status::Complete(len) = parsed.map_err(fault)? else {
                return Err(HeadFault::Malformed);
            };
            let (method, target) = (request.method.unwrap(), request.path.unwrap());
            if target.len() > TARGET_BYTES_MAX {
                return Err(HeadFault::TargetTooLong);
            }
            let target = range_in(bytes, origin_form(target).as_bytes());
            let line = (range_in(bytes, method.as_bytes()), target, 0);
            (len, (line, request.version.unwrap()), request.headers)
        }
        Kind::Answer(_) => {
            let mut answer = httparse::Response::new(&mut []);
            let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut answer,
                bytes,
                &mut slots,
            );
            let Status::Complete(len) = parsed.map_err(fault)? else {
                return Err(HeadFault::Malformed);
            };
            let line = (0..0, 0..0, answer.code.unwrap());
            (len, (line, answer.version.unwrap()), answer.headers)
        }
    };
    let ((method, target, status), minor) = line;
    let mut made = Made {
        len,
        line: (method, target, status, minor),
        fields: Vec::new(),
        framing: Framing::None,
        keep_alive: false,
        expects_continue: false,
    };
    for header in &*headers {
        let (name, value) = (header.name.as_bytes(), header.value.trim_ascii());
        made.fields
            .push((range_in(bytes, name), range_in(bytes, value)));
    }
    judge(kind, bytes, &mut made)?;
    Ok(made)
}

/// Takes over what the fields say about the body and the connection.
fn judge(kind: Kind, bytes: &[u8], made: &mut Made) -> Result<(), HeadFault> {
    let minor = made.line.3;
    let all = |wanted: &str| {
        let fields = made.fields.iter();
        let is = |(name, _): &&(Range<usize>, _)| {
            bytes[name.clone()].eq_ignore_ascii_case(wanted.as_bytes())
        };
        fields
            .filter(is)
            .map(|(_, value)| &bytes[value.clone()])
            .collect::<Vec<_>>()
    };
    let number = |value: &&[u8]| {
        let digits = std::str::from_utf8(value)
            .ok()
            .filter(|text| !text.starts_with('+'))?;
        digits.parse::<u64>().ok()
    };
    let lengths = all("content-length");
    let encodings = all("transfer-encoding");
    if lengths.iter().any(|length| number(length).is_none()) {
        return Err(HeadFault::ContentLength);
    }
    if let Kind::Request = kind {
        let hosts = all("host");
        let is_host = |value: &&[u8]| field::is_host(value);
        if hosts.len() > 1 || (hosts.is_empty() && minor == 1) || !hosts.iter().all(is_host) {
            return Err(HeadFault::Host);
        }
        made.expects_continue = match all("expect").last() {
            None => false,
            Some(one) if one.eq_ignore_ascii_case(b"100-continue") => minor == 1,
            Some(_) => return Err(HeadFault::Expectation),
        };
    }
    let framing = match (&*encodings, &*lengths) {
        ([], []) => Framing::Close,
        ([], [length]) => Framing::Length(number(length).unwrap()),
        ([], _) => return Err(HeadFault::ContentLength),
        ([one], []) if one.eq_ignore_ascii_case(b"chunked") && minor == 1 => Framing::Chunked,
        (_, []) => return Err(HeadFault::TransferEncoding),
        (_, _) => return Err(HeadFault::LengthAndEncoding),
    };
    let is_bodyless = match kind {
        Kind::Request => framing == Framing::Close,
        Kind::Answer(Asked::Head) => true,
        Kind::Answer(Asked::Other) => matches!(made.line.2, 100..=199 | 204 | 304),
    };
    made.framing = if is_bodyless { Framing::None } else { framing };
    let connections = all("connection");
    let says = |wanted: &str| {
        let mut tokens = connections
            .iter()
            .flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    made.keep_alive = !says("close") && (minor == 1 || says("keep-alive"));
    made.keep_alive &= made.framing != Framing::Close;
    Ok(())
}

fn fault(error: httparse::Error) -> HeadFault {
    match error {
        httparse::Error::TooManyHeaders => HeadFault::TooLarge,
        httparse::Error::Version => HeadFault::Version,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => HeadFault::Malformed,
    }
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let from = part.as_ptr() as usize - whole.as_ptr() as usize;
    from..from + part.len()
}

/// Compares the two, for each way in which the bytes may arrive in two reads, and one by one.
pub fn check(bytes: &[u8]) {
    for kind in KINDS {
        let expected = reference(kind, bytes);
        assert_eq!(
            own(&mut Head::default(), kind, bytes, 0),
            expected,
            "{kind:?}"
        );
        for split in 0..bytes.len() {
            check_split(kind, bytes, split, &expected);
        }
        let (mut head, mut seen) = (Head::default(), 0);
        for end in 0..=bytes.len() {
            let verdict = own(&mut head, kind, &bytes[..end], seen);
            assert_eq!(verdict, reference(kind, &bytes[..end]), "{kind:?}, {end}");
            if verdict != Ok(None) {
                break;
            }
            seen = end;
        }
    }
}

pub fn check_split(kind: Kind, bytes: &[u8], split: usize, expected: &Verdict) {
    let mut head = Head::default();
    let first = own(&mut head, kind, &bytes[..split], 0);
    assert_eq!(first, reference(kind, &bytes[..split]), "{kind:?}, {split}");
    if first == Ok(None) {
        assert_eq!(
            &own(&mut head, kind, bytes, split),
            expected,
            "{kind:?}, {split}"
        );
    }
}
