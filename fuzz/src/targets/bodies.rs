//! Bodies as they are framed: chunks, forms with files, compressed ones.

use std::convert::Infallible;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures_util::{FutureExt, stream};
use infermux::testing::readers::wire::body::BodyDecoder;
use infermux::testing::readers::wire::chunked::{Chunked, Piece, Progress, write_chunk_head};
use infermux::testing::readers::wire::head::Framing;
use infermux::testing::readers::wire::inflate::{Coding, Inflate};
use infermux::testing::readers::wire::multipart::{Event, FormFault, Multipart};

use super::splits;
use crate::target::Target;

/// Chunks against the grammar, wherever they are split, and back.
pub(super) const CHUNKED: Target = Target {
    name: "chunked",
    run: chunked,
    times: 64,
    folders: &[],
    fronts: &[],
};

/// The payload of a body, and where the next message starts; `None`: it goes on.
type Decoded = (Vec<u8>, Option<usize>);

fn chunked(bytes: &[u8]) {
    let expected = by_grammar(bytes);
    for reads in splits::of(bytes) {
        assert_eq!(decoded(&reads), expected, "{reads:?}");
        assert_eq!(compacted(&reads), expected, "{reads:?}");
    }
    // What is written is read as it was.
    let mut out = Vec::new();
    for piece in bytes.chunks(1 + splits::seed_of(bytes) % 999) {
        write_chunk_head(piece.len(), &mut out);
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(decoded(&[&out]), Some((bytes.to_vec(), Some(out.len()))));
}

/// `None`: the body is refused.
fn decoded(reads: &[&[u8]]) -> Option<Decoded> {
    let mut body = BodyDecoder::new(Framing::Chunked);
    let (mut payload, mut before) = (Vec::new(), 0);
    for read in reads {
        let mut at = 0;
        loop {
            match body.next(read, &mut at).ok()? {
                Piece::Payload(range) => payload.extend_from_slice(&read[range]),
                Piece::More => break,
                Piece::End(end) => return Some((payload, Some(before + end))),
            }
        }
        before += read.len();
    }
    assert!(!body.may_end());
    Some((payload, None))
}

/// The same, decoded in place.
fn compacted(reads: &[&[u8]]) -> Option<Decoded> {
    let mut body = Chunked::default();
    let (mut bytes, mut filled, mut before) = (Vec::new(), 0, 0);
    for read in reads {
        bytes.extend_from_slice(read);
        before += read.len();
        if body.compact(&mut bytes, &mut filled).ok()? == Progress::Ended {
            let behind = bytes.len() - filled;
            bytes.truncate(filled);
            return Some((bytes, Some(before - behind)));
        }
        assert_eq!(bytes.len(), filled);
    }
    Some((bytes, None))
}

/// RFC 9112, section 7.1, for a body that is there as far as it goes.
fn by_grammar(bytes: &[u8]) -> Option<Decoded> {
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let line = &bytes[at..];
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let mut size = 0_u64;
        for (place, byte) in line[..digits].iter().enumerate() {
            let digit = u64::from(char::from(*byte).to_digit(16)?);
            if size >> 56 != 0 || place >= LINE_BYTES_MAX {
                return None;
            }
            size = size << 4 | digit;
        }
        let Some(next) = line.get(digits) else {
            return Some((payload, None));
        };
        if digits == 0 || !matches!(next, b'\r' | b';' | b' ' | b'\t') {
            return None;
        }
        let Some(end) = end_of_line(line, digits, LINE_BYTES_MAX)? else {
            return Some((payload, None));
        };
        at += end;
        if size == 0 {
            return trailer(bytes, at).map(|end| (payload, end));
        }
        let rest = &bytes[at..];
        let take = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        payload.extend_from_slice(&rest[..take]);
        at += take;
        for expected in *b"\r\n" {
            match bytes.get(at) {
                None => return Some((payload, None)),
                Some(byte) if *byte != expected => return None,
                Some(_) => at += 1,
            }
        }
    }
}

/// The place behind a line's end, from `from` on; `Some(None)`: it has not come; `None`: a byte
/// that may not be there, or too many.
fn end_of_line(line: &[u8], from: usize, most: usize) -> Option<Option<usize>> {
    for (at, byte) in line.iter().enumerate().skip(from) {
        match byte {
            b'\r' => {
                return match line.get(at + 1) {
                    None => Some(None),
                    Some(b'\n') => Some(Some(at + 2)),
                    Some(_) => None,
                };
            }
            b'\n' | 0 => return None,
            _ if at > from && at >= most => return None,
            _ => {}
        }
    }
    Some(None)
}

/// The end of the body behind its last chunk.
fn trailer(bytes: &[u8], mut at: usize) -> Option<Option<usize>> {
    let start = at;
    loop {
        let line = &bytes[at..];
        let Some(end) = end_of_line(line, 0, usize::MAX)? else {
            let counted = bytes.len() - start;
            return (counted <= TRAILER_BYTES_MAX).then_some(None);
        };
        if at + end - start > TRAILER_BYTES_MAX + 2 {
            return None;
        }
        at += end;
        if end == 2 {
            return Some(Some(at));
        }
    }
}

use infermux::testing::readers::base::limits::{
    CHUNK_LINE_BYTES_MAX as LINE_BYTES_MAX, TRAILER_BYTES_MAX,
};

/// A form in any pieces, and as a library reads it.
pub(super) const MULTIPART: Target = Target {
    name: "multipart",
    run: multipart,
    times: 64,
    folders: &[],
    fronts: &[],
};

/// A part: its name, whether it is a file, and its content.
type Part = (Vec<u8>, bool, Vec<u8>);

fn multipart(bytes: &[u8]) {
    let Some(line) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (kind, form) = (&bytes[..line], &bytes[line + 1..]);
    let whole = parts(kind, &[form]);
    for reads in splits::of(form) {
        assert_eq!(parts(kind, &reads), whole, "{reads:?}");
    }
    let Ok(expected) = whole else {
        return;
    };
    let reader = Multipart::new(kind).expect("it was read");
    let boundary = std::str::from_utf8(reader.boundary()).expect("usual characters");
    // The library looks for a file's name in the field's name, too.
    let is_misread = |part: &Part| part.0.windows(8).any(|name| name == b"filename");
    // It takes no more than this many lines of a head.
    let lines = form.iter().filter(|byte| **byte == b'\n').count();
    if lines <= LINES_MAX && !expected.iter().any(is_misread) {
        assert_eq!(by_multer(form, boundary), Some(expected));
    }
}

/// Most lines of a form that the library is asked about.
const LINES_MAX: usize = 30;

fn parts(kind: &[u8], reads: &[&[u8]]) -> Result<Vec<Part>, FormFault> {
    let mut reader = Multipart::new(kind)?;
    let mut parts: Vec<Part> = Vec::new();
    for read in reads {
        reader.push(read, |event| {
            match event {
                Event::Part(part) => parts.push((part.name.to_vec(), part.is_file, Vec::new())),
                Event::Content(_, bytes) => {
                    let part = parts.last_mut().expect("content stands in a part");
                    part.2.extend_from_slice(bytes);
                }
                Event::PartEnd => {}
            }
            Ok::<_, FormFault>(())
        })?;
    }
    reader.finish()?;
    Ok(parts)
}

fn by_multer(form: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let pieces = vec![Ok::<_, Infallible>(form.to_vec())];
    let mut reader = multer::Multipart::new(stream::iter(pieces), boundary);
    let mut parts = Vec::new();
    while let Some(field) = reader.next_field().now_or_never()?.ok()? {
        let (name, is_file) = (
            field.name()?.as_bytes().to_vec(),
            field.file_name().is_some(),
        );
        let content = field.bytes().now_or_never()?.ok()?;
        parts.push((name, is_file, content.to_vec()));
    }
    Some(parts)
}

/// Compressed bodies: what comes out is what a library makes of them at once.
pub(super) const INFLATE: Target = Target {
    name: "inflate",
    run: inflate,
    // A compressed body may become a thousand times as large.
    times: 4_096,
    folders: &[],
    fronts: &[],
};

fn inflate(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    let coding = [Coding::Gzip, Coding::Deflate][choice % 2];
    let body = if choice & 4 == 0 {
        body.to_vec()
    } else {
        compressed(coding, body)
    };
    let body = body.as_slice();
    let mut ends = splits::of(body)
        .into_iter()
        .map(|reads| inflated(coding, &reads));
    let whole = ends.next().expect("one way");
    for end in ends {
        assert_eq!(end, whole);
    }
    let Some(whole) = whole else {
        return;
    };
    let mut by_library = Vec::new();
    let most = whole.len() as u64 + 1;
    let read = match coding {
        Coding::Gzip => MultiGzDecoder::new(body)
            .take(most)
            .read_to_end(&mut by_library),
        Coding::Deflate if body.first().is_some_and(|byte| byte & 0x0f == 8) => {
            ZlibDecoder::new(body)
                .take(most)
                .read_to_end(&mut by_library)
        }
        _ => DeflateDecoder::new(body)
            .take(most)
            .read_to_end(&mut by_library),
    };
    if !body.is_empty() && read.is_ok() {
        assert_eq!(by_library, whole);
    }
}

fn compressed(coding: Coding, body: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let (out, fast) = (Vec::new(), flate2::Compression::fast());
    let done = match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, fast);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        _ => {
            let mut encoder = flate2::write::ZlibEncoder::new(out, fast);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
    };
    done.expect("memory takes all")
}

fn inflated(coding: Coding, reads: &[&[u8]]) -> Option<Vec<u8>> {
    let mut inflate = Inflate::new(coding)?;
    let mut out = Vec::new();
    for read in reads {
        let mut rest = *read;
        while !rest.is_empty() {
            let before = out.len();
            let taken = inflate.step(rest, &mut out).ok()?;
            assert!(taken <= rest.len() && out.len() - before <= STEP_GIVEN_MAX);
            rest = &rest[taken..];
        }
    }
    inflate.finish(&mut out).ok()?;
    Some(out)
}

/// Most bytes that one step may give.
const STEP_GIVEN_MAX: usize = 4 << 20;
