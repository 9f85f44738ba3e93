//! Steps of the translation from and to Anthropic's Messages.

use std::hint::black_box;

use infermux::testing::base::endpoint::{Dialect, Endpoint};
use infermux::testing::dialect::ask;
use infermux::testing::dialect::request::{Destination, Host, Keys, Stream};
use infermux::testing::dialect::shell::{IncludeUsage, Shell, StreamPlan, UsageChunk, Wanted};
use infermux::testing::dialect::{answer as answers, request as requests};

use super::messages::{message_body, message_event, request_body};
use super::run::{Run, kept};

/// Reads a request's body of 229 bytes and writes it as Messages.
pub(crate) fn request() -> Run {
    let body = kept(request_body(229));
    let mut out = Vec::new();
    Box::new(move || {
        let body = black_box(body);
        let ask = ask::read_ask(Dialect::Chat, body).expect("a request");
        let to = Destination {
            dialect: Dialect::Messages,
            model: "claude-sonnet-4-5",
            host: Host::Other,
            max_output: None,
            left_out: Keys::default(),
            stream: if ask.stream {
                Stream::Plain
            } else {
                Stream::No
            },
        };
        out.clear();
        requests::write(Dialect::Chat, body, &to, &mut out).expect("a translation");
        black_box(&out);
    })
}

/// Writes an answer of Messages as a chat completion.
pub(crate) fn answer() -> Run {
    let body = message_body();
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let answer = answers::read(black_box(&body)).expect("an answer");
        answers::write(&answer, b"\"gpt-4o\"", 1_795_428_000, &mut out);
        black_box(&out);
    })
}

/// Translates an event with a piece of text that fits the form of the one before, as long as the
/// event that is relayed unchanged.
pub(crate) fn delta() -> Run {
    translate(message_event())
}

/// Translates an event that has to be read, since its line end fits no form.
pub(crate) fn delta_read() -> Run {
    let mut event = message_event();
    event.truncate(event.len() - 2);
    event.extend_from_slice(b"\r\n\r\n");
    translate(event)
}

fn translate(event: Vec<u8>) -> Run {
    let mut stream = Shell::default();
    stream.reset(&StreamPlan {
        caller: Dialect::Chat,
        provider: Dialect::Messages,
        endpoint: Endpoint::ChatCompletions,
        caller_model: b"\"gpt-4o\"",
        usage: UsageChunk::Untouched,
        include_usage: IncludeUsage::No,
        notes_apart: false,
        wanted: Wanted::NOTHING,
        tariff: None,
        created: 1_795_428_000,
        event_bytes_max: 16 << 20,
    });
    let mut out = Vec::new();
    for start in START {
        stream.push(start.as_bytes(), &mut out).expect("the start");
    }
    Box::new(move || {
        out.clear();
        stream.push(black_box(&event), &mut out).expect("a chunk");
        assert!(!out.is_empty(), "nothing is held back");
    })
}

/// The events before the first text.
const START: [&str; 2] = [
    concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",",
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",",
        "\"content\":[],",
        "\"stop_reason\":null,\"stop_sequence\":null,",
        "\"usage\":{\"input_tokens\":19,\"output_tokens\":1}}}\n\n",
    ),
    concat!(
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    ),
];
