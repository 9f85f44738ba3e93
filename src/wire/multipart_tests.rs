//! Forms: what they are made of, wherever they are split, and what is refused.

use std::convert::Infallible;

use futures_util::FutureExt;
use futures_util::stream;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::*;

const TYPE: &[u8] = b"multipart/form-data; boundary=XX";

/// A part: its name, whether it is a file, where its content begins, and its content.
type Read = (String, bool, usize, Vec<u8>);

/// Reads a form in pieces of `step` bytes.
fn read(content_type: &[u8], form: &[u8], step: usize) -> Result<Vec<Read>, FormFault> {
    let mut reader = Multipart::new(content_type)?;
    let mut parts: Vec<Read> = Vec::new();
    let mut open = false;
    for piece in form.chunks(step.max(1)) {
        reader.push(piece, |event| {
            match event {
                Event::Part(part) => {
                    assert!(!open, "a part begins in a part");
                    open = true;
                    let name = String::from_utf8_lossy(part.name).into_owned();
                    parts.push((name, part.is_file, 0, Vec::new()));
                }
                Event::Content(at, bytes) => {
                    assert!(open && !bytes.is_empty(), "content outside of a part");
                    let part = parts.last_mut().expect("a part");
                    if part.3.is_empty() {
                        part.2 = at;
                    }
                    assert_eq!(part.2 + part.3.len(), at, "content in one piece");
                    part.3.extend_from_slice(bytes);
                }
                Event::PartEnd => {
                    assert!(std::mem::take(&mut open), "no part has begun");
                }
            }
            Ok::<_, FormFault>(())
        })?;
    }
    reader.finish()?;
    Ok(parts)
}

fn text(parts: &[Read]) -> Vec<(&str, bool, &str)> {
    parts
        .iter()
        .map(|(name, is_file, _, content)| {
            let content = std::str::from_utf8(content).expect("text");
            (name.as_str(), *is_file, content)
        })
        .collect()
}

#[test]
fn parts_are_found_wherever_the_form_is_split() {
    let form = b"--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --XX\r\ncontent-type: audio/mpeg\r\nCONTENT-DISPOSITION:form-data; name=file; \
        filename=\"a \\\"b\\\".mp3\"\r\n\r\n\r\n--X\r\n--\r\nab--XX\r\n\n\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"empty\"\r\nContent-Type: text/plain; charset=UTF-8\
        \r\n\r\n\r\n--XX--\r\n";
    for step in 1..=form.len() {
        let parts = read(TYPE, form, step).unwrap_or_else(|fault| panic!("{step}: {fault}"));
        let expected = [
            ("model", false, "whisper-1"),
            ("file", true, "\r\n--X\r\n--\r\nab--XX\r\n\n"),
            ("empty", false, ""),
        ];
        assert_eq!(text(&parts), expected, "{step}");
        let model = &parts[0];
        assert_eq!(form.get(model.2..model.2 + 9), Some(&b"whisper-1"[..]));
    }
    assert_eq!(read(TYPE, b"--XX--", 6), Ok(Vec::new()));
}

#[test]
fn a_boundary_is_found_in_its_own_beginnings() {
    let kind = b"multipart/form-data; boundary=\"----\"";
    let form = b"------\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\
        x---------\r\n-----\r\n------\r\n\
        Content-Disposition: form-data; name=\"b\"\r\n\r\ny\r\n--------\r\n";
    for step in 1..=form.len() {
        let parts = read(kind, form, step).unwrap_or_else(|fault| panic!("{step}: {fault}"));
        let expected = [("a", false, "x---------\r\n-----"), ("b", false, "y")];
        assert_eq!(text(&parts), expected, "{step}");
    }
}

#[test]
fn boundaries_are_of_the_usual_kind() {
    let long = "b".repeat(70);
    for (kind, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        (
            "Multipart/Form-Data;boundary=\"a'b(c)+_,-./:=?\"; x=y",
            Some("a'b(c)+_,-./:=?"),
        ),
        ("multipart/form-data; charset=utf-8; BOUNDARY=a;", Some("a")),
        (
            &format!("multipart/form-data; boundary={long}"),
            Some(&*long),
        ),
        (&format!("multipart/form-data; boundary={long}b"), None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"\"", None),
        ("multipart/form-data; boundary=\"a b\"", None),
        ("multipart/form-data; boundary=\"a\\b\"", None),
        ("multipart/form-data; boundary=\"a", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=a b", None),
        ("multipart/form-data; boundary=\"\u{e4}\"", None),
        ("multipart/mixed; boundary=a", None),
        ("application/json", None),
        ("", None),
    ] {
        let reader = Multipart::new(kind.as_bytes());
        let found = reader.as_ref().map(Multipart::boundary);
        let expected = expected.map(str::as_bytes).ok_or(FormFault::Boundary);
        assert_eq!(found.map_err(|fault| *fault), expected, "{kind}");
    }
}

#[test]
fn what_readers_read_differently_is_refused() {
    const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";
    let part = |head: &str| format!("--XX\r\n{head}\r\n\r\nx\r\n--XX--\r\n");
    let named = |content: &str| format!("--XX\r\n{NAMED}\r\n\r\n{content}");
    let long = format!("{NAMED}\r\nX: {}", "x".repeat(PART_HEAD_BYTES_MAX));
    let many = format!("--XX\r\n{NAMED}\r\n\r\nx\r\n").repeat(PARTS_MAX + 1);
    for (form, fault) in [
        (String::new(), FormFault::Incomplete),
        ("--X".to_owned(), FormFault::Incomplete),
        (named("x\r\n--XX"), FormFault::Incomplete),
        (named("x\r\n--X"), FormFault::Incomplete),
        (named("x\r\n--XX-"), FormFault::Incomplete),
        ("preamble\r\n--XX--".to_owned(), FormFault::Start),
        ("\r\n--XX--".to_owned(), FormFault::Start),
        ("--XX \r\n".to_owned(), FormFault::Delimiter),
        ("--XX\nX".to_owned(), FormFault::Delimiter),
        (named("x\r\n--XXY\r\n"), FormFault::Delimiter),
        (named("x\r\n--XX \r\n"), FormFault::Delimiter),
        (named("x\n--XX--\r\n"), FormFault::Delimiter),
        (named("x\r--XX--\r\n"), FormFault::Delimiter),
        (named("--XX--\r\n"), FormFault::Delimiter),
        (named("x\r\n--XX--\r\nmore"), FormFault::Epilogue),
        (named("x\r\n--XX--\r\n\r\n"), FormFault::Epilogue),
        (named("x\r\n--XX--\r"), FormFault::Epilogue),
        (named("x\r\n--XX----XX--"), FormFault::Epilogue),
        (part("X: y"), FormFault::Disposition),
        (
            part("Content-Disposition: form-data"),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: attachment; name=a"),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=\"\""),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=\"a"),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=a; name=b"),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=a; name*=b"),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=\"mod\\el\""),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=\"mod%65l\""),
            FormFault::Disposition,
        ),
        (
            part("Content-Disposition: form-data; name=a b"),
            FormFault::Disposition,
        ),
        (part(&format!("{NAMED}\r\n{NAMED}")), FormFault::Disposition),
        (part(&format!("{NAMED}\r\n folded: x")), FormFault::PartHead),
        (part(&format!("{NAMED}\r\nno colon")), FormFault::PartHead),
        (part(&format!("{NAMED}\r\nX : y")), FormFault::PartHead),
        (part(&format!("{NAMED}\nX: y")), FormFault::PartHead),
        (part(&format!("{NAMED}\r\nX: \0")), FormFault::PartHead),
        (part(&long), FormFault::PartHeadTooLong),
        (
            part(&format!("{NAMED}\r\nContent-Transfer-Encoding: base64")),
            FormFault::Encoded,
        ),
        (
            part(&format!(
                "{NAMED}\r\nContent-Type: text/plain; charset=utf-16"
            )),
            FormFault::Encoded,
        ),
        (
            part(&format!(
                "{NAMED}\r\nContent-Type: multipart/mixed; boundary=b"
            )),
            FormFault::Encoded,
        ),
        (many, FormFault::TooManyParts),
    ] {
        for step in [1, 7, form.len().max(1)] {
            let found = read(TYPE, form.as_bytes(), step);
            assert_eq!(found, Err(fault), "{step}: {form:?}");
        }
    }
}

#[test]
fn names_that_readers_find_in_different_ways_are_refused() {
    let form = |head: &[u8]| [b"--XX\r\n", head, b"\r\n\r\nx\r\n--XX--\r\n"].concat();
    // A reader that leaves the byte out would find another `model`.
    let named = form(b"Content-Disposition: form-data; name=\"mo\xffdel\"");
    // One that leaves the file's name out would find a `model` that is no file.
    let file = form(b"Content-Disposition: form-data; name=model; filename=\"\xff\"");
    for step in [1, 7, 200] {
        for form in [&named, &file] {
            assert_eq!(read(TYPE, form, step), Err(FormFault::Disposition));
        }
    }
    // Readers that look for `name` in the line find another one in each of these.
    for odd in [
        "Name=model",
        "x-name=other; name=model",
        "filename=\"; name=other\"; name=model",
        "name=\"a=b\"",
        "name=model\t; filename=x",
        "name=model\t",
    ] {
        let form = form(format!("Content-Disposition: form-data; {odd}").as_bytes());
        assert_eq!(read(TYPE, &form, 7), Err(FormFault::Disposition), "{odd}");
    }
    let file = form("Content-Disposition: form-data; name=a; filename=\"gr\u{fc}n\"".as_bytes());
    assert!(read(TYPE, &file, 7).is_ok());
    assert!(by_multer(&file).is_some());
}

/// What a library makes of a form.
fn by_multer(form: &[u8]) -> Option<Vec<(String, bool, Vec<u8>)>> {
    let pieces = vec![Ok::<_, Infallible>(form.to_vec())];
    let mut reader = multer::Multipart::new(stream::iter(pieces), "XX");
    let mut parts = Vec::new();
    while let Some(field) = reader.next_field().now_or_never()?.ok()? {
        let (name, is_file) = (field.name()?.to_owned(), field.file_name().is_some());
        let content = field.bytes().now_or_never()?.ok()?;
        parts.push((name, is_file, content.to_vec()));
    }
    Some(parts)
}

/// Forms and what is nearly one: pieces that matter to a reader, in any order.
fn nearly_forms() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        &b"--XX\r\n"[..],
        b"\r\n--XX\r\n",
        b"\r\n--XX--\r\n",
        b"--XX",
        b"--XX--",
        b"\r\n",
        b"\n",
        b"--",
        b"X",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=\"a\"\r\n\r\n",
        b"Content-Disposition: form-data; name=b; filename=\"c\"\r\nX: y\r\n\r\n",
        b"text",
        b"\xff\0",
    ]);
    proptest::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_parts(
        form in nearly_forms(), start in any::<bool>(), step in 1..40_usize,
    ) {
        let form = if start { [&b"--XX\r\n"[..], &form].concat() } else { form };
        let whole = read(TYPE, &form, form.len());
        prop_assert_eq!(read(TYPE, &form, step), whole);
    }

    #[test]
    fn a_library_reads_the_same_parts(form in nearly_forms()) {
        let head = b"--XX\r\nContent-Disposition: form-data; name=\"first\"\r\n\r\n";
        for form in [[&head[..], &form, b"\r\n--XX--\r\n"].concat(), form] {
            if let Ok(parts) = read(TYPE, &form, form.len()) {
                let parts: Vec<_> = parts.into_iter().map(|(name, is_file, _, content)| {
                    (name, is_file, content)
                }).collect();
                prop_assert_eq!(by_multer(&form), Some(parts));
            }
        }
    }

    #[test]
    fn any_content_comes_back(
        contents in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..200), 0..5,
        ),
        step in 1..300_usize,
    ) {
        let mut form = Vec::new();
        for (place, content) in contents.iter().enumerate() {
            let head = format!(
                "--XX\r\nContent-Disposition: form-data; name=\"f{place}\"; filename=\"x\"\r\n\r\n"
            );
            form.extend_from_slice(head.as_bytes());
            form.extend_from_slice(content);
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(b"--XX--\r\n");
        let parts = read(TYPE, &form, step);
        let parts: Option<Vec<_>> = parts.ok().map(|parts| {
            parts.into_iter().map(|part| part.3).collect()
        });
        // A boundary among random bytes may be refused.
        let is_plain = contents.iter().all(|content| memmem::find(content, b"--XX").is_none());
        prop_assert!(!is_plain || parts.as_ref() == Some(&contents));
    }

    #[test]
    fn nothing_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1..50_usize,
    ) {
        let _ = read(TYPE, &bytes, step);
        let _ = read(&bytes, b"--XX", step);
    }
}
