//! Streams: events, and their way from one dialect to another.

use infermux::testing::readers::base::endpoint::Dialect;
use infermux::testing::readers::base::money::Price;
use infermux::testing::readers::decide::outcome::KeyOwner;
use infermux::testing::readers::decide::pricing::Row;
use infermux::testing::readers::dialect::responses::Echo;
use infermux::testing::readers::dialect::shell::{
    BrokenEnd, IncludeUsage, Shell, StreamPlan, Tariff, Thoughts, UsageChunk, Wanted, early_sign,
};
use infermux::testing::readers::wire::sse::{Event, Item, Splitter, write_event};
use infermux::testing::readers::wire::stream_fault::StreamFault;
use serde::de::IgnoredAny;

use super::splits;
use crate::target::Target;

/// Events, wherever they are split, as the specification of HTML has them.
pub(super) const SSE: Target = Target {
    name: "sse",
    run: sse,
    times: 256,
    folders: &["anthropic/stream"],
    fronts: &[],
};

/// Longest event of the attack on the splitter.
const EVENT_BYTES_MAX: usize = 4 << 10;

/// An event's name and data; a comment has neither.
type Told = (Option<Vec<u8>>, Option<Vec<u8>>);

fn sse(bytes: &[u8]) {
    let whole = events(&[bytes]);
    for reads in splits::of(bytes) {
        assert_eq!(events(&reads), whole, "{reads:?}");
    }
    if let Some((told, _)) = &whole {
        assert_eq!(*told, by_the_book(bytes));
    }
    // What is written is read again, on one line.
    let mut out = Vec::new();
    write_event(bytes, &mut out);
    if bytes.len() < EVENT_BYTES_MAX / 2 {
        let flat = bytes.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => *byte,
        });
        let (told, rest) = events(&[&out]).expect("a short event");
        assert_eq!(
            (told, rest),
            (vec![(None, Some(flat.collect::<Vec<u8>>()))], None)
        );
    }
}

/// The events and comments, and an event that has no end; `None`: one is too long.
fn events(reads: &[&[u8]]) -> Option<(Vec<Told>, Option<Told>)> {
    let told = |event: Event<'_>| (event.name.map(<[u8]>::to_vec), Some(event.data.to_vec()));
    let mut splitter = Splitter::default();
    splitter.reset(EVENT_BYTES_MAX);
    let mut all = Vec::new();
    for read in reads {
        let mut rest = *read;
        while let Some(item) = splitter.next(&mut rest).ok()? {
            all.push(match item {
                Item::Event(event) => told(event),
                Item::Comment => (None, None),
            });
        }
        assert!(rest.is_empty());
        assert!(splitter.kept() <= 4 * EVENT_BYTES_MAX);
    }
    Some((all, splitter.finish().map(told)))
}

/// The same by the rules as they are written, of a stream that is there as a whole.
fn by_the_book(bytes: &[u8]) -> Vec<Told> {
    let mut lines = Vec::new();
    let (mut line, mut rest) = (Vec::new(), bytes);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\r' | b'\n' => {
                if *byte == b'\r' {
                    rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                }
                lines.push(std::mem::take(&mut line));
            }
            byte => line.push(*byte),
        }
    }
    if let Some(first) = lines.first_mut()
        && let Some(behind) = first.strip_prefix("\u{feff}".as_bytes())
    {
        *first = behind.to_vec();
    }
    let (mut told, mut name, mut data) = (Vec::new(), None, None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            let name = name.take();
            if let Some(data) = data.take() {
                told.push((name, Some(data)));
            }
            continue;
        }
        if line[0] == b':' {
            told.push((None, None));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = Some(value.to_vec()),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    told
}

/// A stream of each dialect for each that can read it. Byte by byte no form fits, so that the
/// forms are held against the readers, too.
pub(super) const STREAM: Target = Target {
    name: "stream",
    run: stream,
    times: 512,
    folders: &[
        "anthropic/stream",
        "messages/stream",
        "messages/passthrough",
        "responses/stream",
        "responses/passthrough",
        "passthrough",
    ],
    fronts: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "A", "O", "]"],
};

/// Who reads, and who writes.
const SIDES: [(Dialect, Dialect); 7] = [
    (Dialect::Chat, Dialect::Chat),
    (Dialect::Messages, Dialect::Messages),
    (Dialect::Responses, Dialect::Responses),
    (Dialect::Chat, Dialect::Messages),
    (Dialect::Messages, Dialect::Chat),
    (Dialect::Responses, Dialect::Chat),
    (Dialect::Responses, Dialect::Messages),
];

fn stream(bytes: &[u8]) {
    let (choice, stream) = splits::front(bytes);
    let (caller, provider) = SIDES[choice % SIDES.len()];
    let variant = choice / SIDES.len();
    let is_plain = variant.is_multiple_of(2);
    let echo = Echo::read(br#"{"model":"m","tools":[],"metadata":{"a":"b"}}"#);
    let prices = Row::flat(Price::per_million(2_000), Price::per_million(8_000));
    let stops = [Box::<str>::from("x"), Box::from("")];
    let plan = StreamPlan {
        caller,
        provider,
        endpoint: caller.conversation(),
        caller_model: b"\"mine\"",
        usage: if is_plain {
            UsageChunk::Untouched
        } else {
            UsageChunk::Injected
        },
        include_usage: if is_plain {
            IncludeUsage::Yes
        } else {
            IncludeUsage::No
        },
        notes_apart: variant % 3 == 2,
        wanted: Wanted {
            echo: (caller == Dialect::Responses).then_some(&echo),
            thoughts: if variant % 4 == 3 {
                Thoughts::Hidden
            } else {
                Thoughts::Shown
            },
            stops: if is_plain { &[] } else { &stops },
            request_id: "req-1",
            seed: [3, 4],
            key: if is_plain {
                KeyOwner::Infermux
            } else {
                KeyOwner::Caller
            },
            ..Wanted::NOTHING
        },
        tariff: (variant % 4 == 1).then_some(Tariff {
            row: prices,
            prompt_bytes: 100,
        }),
        created: 7,
        event_bytes_max: 1 << 20,
    };
    let whole = drive(&plan, &[stream]);
    for reads in splits::of(stream) {
        assert_eq!(drive(&plan, &reads), whole, "{reads:?}");
    }
}

/// How a stream went.
#[derive(Debug, PartialEq)]
struct Run {
    out: String,
    end: Result<(), StreamFault>,
    is_committed: bool,
    text_bytes: usize,
    usage: String,
    error: Option<Vec<u8>>,
    last_words: Vec<u8>,
}

fn drive(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    let mut shell = Shell::default();
    shell.reset(plan);
    let (mut out, mut end) = (Vec::new(), Ok(()));
    for read in reads {
        shell.begin_read();
        end = end.and_then(|()| shell.push(read, &mut out));
        assert!(shell.is_committed() || out.is_empty());
        let _ = (
            shell.awaits_usage(),
            shell.may_end_in_silence(),
            shell.awaits_end(),
        );
    }
    end = end.and_then(|()| shell.finish(&mut out));
    assert_eq!(shell.is_done(), end.is_ok());
    if let Err(fault) = end
        && fault != StreamFault::ErrorRelayed
        && shell.is_committed()
    {
        let told = shell.break_off("cut", &mut out);
        assert!(told == BrokenEnd::Told || plan.caller != Dialect::Responses);
    }
    let is_relayed = plan.provider == plan.caller;
    let out = if is_relayed {
        String::from_utf8_lossy(&out).into_owned()
    } else {
        String::from_utf8(out).expect("what is written is text")
    };
    if !is_relayed {
        check_events(&out);
    }
    Run {
        out: without_signs(plan, &out),
        end,
        is_committed: shell.is_committed(),
        text_bytes: shell.text_bytes(),
        usage: format!("{:?}", shell.usage()),
        error: shell.error().map(<[u8]>::to_vec),
        last_words: shell.last_words().to_vec(),
    }
}

/// What infermux writes itself: each event is JSON on one line.
fn check_events(out: &str) {
    for event in out.split_terminator("\n\n") {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        match data {
            Some("[DONE]") => {}
            Some(data) => {
                assert!(serde_json::from_str::<IgnoredAny>(data).is_ok(), "{data}");
            }
            None => assert!(event.starts_with(':'), "{event}"),
        }
    }
}

/// Signs of life depend on when reads come.
fn without_signs(plan: &StreamPlan<'_>, out: &str) -> String {
    if plan.caller == Dialect::Responses {
        let mut number = 0;
        let events = out.split_inclusive("\n\n").map(|event| {
            if event.starts_with("event: keepalive\n") {
                return String::new();
            }
            if plan.provider == Dialect::Responses {
                return event.to_owned();
            }
            number += 1;
            match event.rsplit_once("\"sequence_number\":") {
                Some((before, _)) => format!("{before}{number}"),
                None => event.to_owned(),
            }
        });
        return events.collect();
    }
    let sign = String::from_utf8_lossy(early_sign(plan.caller)).into_owned();
    out.replace(&sign, "")
        .replace(&sign.replace(":\"", ": \""), "")
}
