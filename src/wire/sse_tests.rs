//! Tests of the splitter: every rule of the framing, at every split.

use proptest::prelude::*;

use super::*;

/// Longest event in these tests.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// The content of a stream in `reads`: data as it is, behind the event's name and `=` where it has
/// one; a comment as `:`, an unfinished event behind `…`.
fn read(reads: &[&[u8]]) -> Result<Vec<String>, EventTooLong> {
    let text = |event: Event<'_>| {
        let [name, data] = [event.name.unwrap_or_default(), event.data];
        let [name, data] = [name, data].map(String::from_utf8_lossy);
        let mark = if event.name.is_some() { "=" } else { "" };
        format!("{name}{mark}{data}")
    };
    let mut splitter = Splitter::default();
    splitter.reset(EVENT_BYTES_MAX);
    let mut items = Vec::new();
    for mut bytes in reads.iter().copied() {
        while let Some(item) = splitter.next(&mut bytes)? {
            items.push(match item {
                Item::Event(event) => text(event),
                Item::Comment => ":".to_owned(),
            });
        }
        assert!(bytes.is_empty());
    }
    items.extend(splitter.finish().map(|event| format!("…{}", text(event))));
    Ok(items)
}

/// Reads `stream` whole, byte by byte and at every split in two.
fn check(stream: &str, expected: &[&str]) {
    let stream = stream.as_bytes();
    let expected = Ok(expected.iter().map(|item| (*item).to_owned()).collect());
    assert_eq!(read(&[stream]), expected);
    assert_eq!(read(&stream.chunks(1).collect::<Vec<_>>()), expected);
    for at in 0..=stream.len() {
        assert_eq!(
            read(&[&stream[..at], &stream[at..]]),
            expected,
            "split at {at}"
        );
    }
}

#[test]
fn events_end_at_any_kind_of_blank_line() {
    check(
        "data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\rdata:e\r\n\ndata: f\n\n",
        &["a", "b", "c", "d", "e", "f"],
    );
}

#[test]
fn lines_of_one_event_are_joined() {
    check(
        "data: {\ndata:  \"a\":1\ndata\ndata: }\n\n",
        &["{\n \"a\":1\n\n}"],
    );
    check("data: a\r\ndata: b\r\n\r\n", &["a\nb"]);
}

#[test]
fn only_data_and_comments_are_told() {
    check(
        "event: x\nid: 7\nretry: 10\nfoo\ndatax: 1\n\n: hello\n\n\n\nevent: y\ndata: a\nid: 8\n\n",
        &[":", "y=a"],
    );
    check(
        "event\ndata: a\n\ndata: b\n\nevent:x\nevent: y\rdata:\ndata: c\nid: 1\n\nevent: z",
        &["=a", "b", "y=\nc"],
    );
    check("event: x\ndata: a", &["…x=a"]);
    check("data\n\ndata:\n\ndata: \n\n", &["", "", ""]);
    check(":\ndata: a\n: between\ndata: b\n\n", &[":", ":", "a\nb"]);
}

#[test]
fn a_byte_order_mark_is_skipped_once_at_the_start() {
    check(
        "\u{feff}data: a\n\n\u{feff}data: b\n\ndata: \u{feff}c\n\n",
        &["a", "\u{feff}c"],
    );
    check("\u{feff}\n\u{feff}data: b\n\ndata: c\n\n", &["c"]);
}

#[test]
fn an_event_without_its_blank_line_is_told_apart() {
    check("data: a\n\ndata: b", &["a", "…b"]);
    check("data: a\n\ndata: b\ndata: c\r", &["a", "…b\nc"]);
    check("data: a\n\nevent: x\n", &["a"]);
    check("data: a\n\n", &["a"]);
    check("", &[]);
}

#[test]
fn characters_may_be_cut_anywhere() {
    check(
        "data: {\"a\":\"é😀\"}\n\ndata: ü\n\n",
        &["{\"a\":\"é😀\"}", "ü"],
    );
}

#[test]
fn an_event_beyond_the_cap_is_refused_however_it_comes() {
    let fits = format!("data: {}\n\n", "x".repeat(EVENT_BYTES_MAX - 6));
    assert_eq!(
        read(&[fits.as_bytes()]).unwrap()[0].len(),
        EVENT_BYTES_MAX - 6
    );
    let half = EVENT_BYTES_MAX / 2;
    for stream in [
        format!("data: {}\n\n", "x".repeat(EVENT_BYTES_MAX - 5)),
        format!(": {}", "x".repeat(EVENT_BYTES_MAX)),
        format!("data: {0}\ndata: {0}\n", "x".repeat(half)),
        "data: xxxxxxx\n".repeat(half / 3),
    ] {
        let stream = stream.as_bytes();
        assert!(read(&[stream]).is_err());
        assert_eq!(
            read(&stream.chunks(4096).collect::<Vec<_>>()),
            Err(EventTooLong)
        );
    }
}

#[test]
fn a_written_event_is_one_line() {
    let mut out = Vec::new();
    write_event(b"{\n\"a\":\r\n1}", &mut out);
    assert_eq!(out, b"data: { \"a\":  1}\n\n");
}

#[test]
fn a_reset_splitter_has_forgotten_everything() {
    for rest in [
        "data: a\r",
        "data: a\ndata",
        "x",
        "data: a\n\n",
        "event: x\n",
    ] {
        let mut splitter = Splitter::default();
        splitter.reset(EVENT_BYTES_MAX);
        let mut bytes = rest.as_bytes();
        while splitter.next(&mut bytes).unwrap().is_some() {}
        splitter.reset(EVENT_BYTES_MAX);
        let mut bytes = "\u{feff}data: b\n\n".as_bytes();
        assert_eq!(
            splitter.next(&mut bytes),
            Ok(Some(Item::Event(Event {
                data: b"b",
                name: None
            }))),
            "{rest}"
        );
        assert_eq!(splitter.finish(), None);
    }
}

/// `stream` cut at `cuts`, each taken modulo what is left.
fn cut<'a>(mut stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for cut in cuts {
        let (head, rest) = stream.split_at(cut % (stream.len() + 1));
        reads.push(head);
        stream = rest;
    }
    reads.push(stream);
    reads
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in "(data: ?|event: ?y|data|:|\r|\n|\r\n|\n\n|x|id: 1|\u{feff}){0,24}",
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let stream = stream.as_bytes();
        prop_assert_eq!(read(&cut(stream, &cuts)), read(&[stream]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        stream in prop::collection::vec(any::<u8>(), 0..128),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
    ) {
        prop_assert_eq!(read(&cut(&stream, &cuts)), read(&[&stream]));
    }
}
