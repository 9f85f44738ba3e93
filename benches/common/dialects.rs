//! Steps between dialects: requests, answers and events that are written in another one.

use std::hint::black_box;

use infermux::testing::base::endpoint::{Dialect, Endpoint};
use infermux::testing::dialect::answers::{self, AnswerPlan};
use infermux::testing::dialect::ask;
use infermux::testing::dialect::request::{
    self as requests, Destination, Host, Keys, Nothing, Received, Stream,
};
use infermux::testing::dialect::shell::{IncludeUsage, Shell, StreamPlan, UsageChunk, Wanted};

use super::messages::{
    answer_body, event, message_body, message_event, messages_request_body, request_body,
    response_event, responses_request_body,
};
use super::run::{Run, kept};

/// Reads a chat request's body of 229 bytes and writes it as Messages.
pub(crate) fn request() -> Run {
    rewrite(Dialect::Chat, Dialect::Messages, kept(request_body(229)))
}

/// Reads a Messages request's body of 229 bytes and writes it as a chat request.
pub(crate) fn messages_request() -> Run {
    let body = kept(messages_request_body(229));
    rewrite(Dialect::Messages, Dialect::Chat, body)
}

/// Reads a request for a response, of 229 bytes, and writes it as a chat request.
pub(crate) fn responses_request() -> Run {
    let body = kept(responses_request_body(229));
    rewrite(Dialect::Responses, Dialect::Chat, body)
}

fn rewrite(from: Dialect, to: Dialect, body: &'static [u8]) -> Run {
    let mut out = Vec::new();
    Box::new(move || {
        let body = black_box(body);
        let ask = ask::read_ask(from, body).expect("a request");
        let stream = match (ask.stream, to) {
            (false, _) => Stream::No,
            (true, Dialect::Messages) => Stream::Plain,
            (true, Dialect::Chat | Dialect::Responses) => Stream::WithUsage,
        };
        let received = Received {
            dialect: from,
            body,
            remembered: &Nothing,
        };
        let to = Destination {
            dialect: to,
            model: match to {
                Dialect::Messages => "claude-sonnet-4-5",
                Dialect::Chat | Dialect::Responses => "gpt-4o-mini",
            },
            host: Host::Other,
            max_output: None,
            left_out: Keys::default(),
            stream,
        };
        out.clear();
        requests::write(received, &to, &mut out).expect("a translation");
        black_box(&out);
    })
}

/// Reads a Messages request's body of 229 bytes and puts the provider's model into it.
pub(crate) fn messages_edit() -> Run {
    let model = b"\"claude-sonnet-4-5-20250929\"";
    edit(Dialect::Messages, kept(messages_request_body(229)), model)
}

/// Reads a request for a response, of 229 bytes, and puts the provider's model into it.
pub(crate) fn responses_edit() -> Run {
    let model = b"\"gpt-4o-mini-2024-07-18\"";
    edit(Dialect::Responses, kept(responses_request_body(229)), model)
}

fn edit(dialect: Dialect, body: &'static [u8], model: &'static [u8]) -> Run {
    let mut out = Vec::new();
    Box::new(move || {
        let body = black_box(body);
        let ask = ask::read_ask(dialect, body).expect("a request");
        let edits = ask::RequestEdits {
            model: Some(model),
            ..ask::RequestEdits::default()
        };
        out.clear();
        ask::edit_request(body, &ask, &edits).write(&mut out);
        black_box(&out);
    })
}

/// Writes an answer of Messages as a chat completion.
pub(crate) fn answer() -> Run {
    retell(Dialect::Messages, Dialect::Chat, message_body())
}

/// Writes a chat completion as an answer of Messages.
pub(crate) fn messages_answer() -> Run {
    retell(Dialect::Chat, Dialect::Messages, answer_body())
}

/// Writes a chat completion as a response.
pub(crate) fn responses_answer() -> Run {
    retell(Dialect::Chat, Dialect::Responses, answer_body())
}

fn retell(provider: Dialect, caller: Dialect, body: Vec<u8>) -> Run {
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let plan = AnswerPlan {
            caller,
            provider,
            caller_model: b"\"gpt-4o\"",
            created: 1_795_428_000,
            wanted: Wanted::NOTHING,
        };
        answers::write(black_box(&body), &plan, &mut out).expect("an answer");
        black_box(&out);
    })
}

/// Translates an event with a piece of text that fits the form of the one before, as long as the
/// event that is relayed unchanged.
pub(crate) fn delta() -> Run {
    translate(Dialect::Messages, Dialect::Chat, message_event())
}

/// Translates an event that has to be read, since its line end fits no form.
pub(crate) fn delta_read() -> Run {
    translate(Dialect::Messages, Dialect::Chat, unlike(message_event()))
}

/// The same as [`delta`], for a caller of Messages and a chat provider.
pub(crate) fn messages_delta() -> Run {
    translate(Dialect::Chat, Dialect::Messages, event(""))
}

/// The same as [`delta_read`], for a caller of Messages and a chat provider.
pub(crate) fn messages_delta_read() -> Run {
    translate(Dialect::Chat, Dialect::Messages, unlike(event("")))
}

/// The same as [`delta`], where both sides speak Messages.
pub(crate) fn messages_relay() -> Run {
    translate(Dialect::Messages, Dialect::Messages, message_event())
}

/// The same as [`delta`], for a caller of Responses and a chat provider.
pub(crate) fn responses_delta() -> Run {
    translate(Dialect::Chat, Dialect::Responses, event(""))
}

/// The same as [`delta_read`], for a caller of Responses and a chat provider.
pub(crate) fn responses_delta_read() -> Run {
    translate(Dialect::Chat, Dialect::Responses, unlike(event("")))
}

/// The same as [`delta`], where both sides speak Responses.
pub(crate) fn responses_relay() -> Run {
    translate(Dialect::Responses, Dialect::Responses, response_event())
}

/// The event with a line end that fits no form.
fn unlike(mut event: Vec<u8>) -> Vec<u8> {
    event.truncate(event.len() - 2);
    event.extend_from_slice(b"\r\n\r\n");
    event
}

fn translate(provider: Dialect, caller: Dialect, event: Vec<u8>) -> Run {
    let mut stream = Shell::default();
    stream.reset(&StreamPlan {
        caller,
        provider,
        endpoint: match provider {
            Dialect::Chat => Endpoint::ChatCompletions,
            Dialect::Messages => Endpoint::Messages,
            Dialect::Responses => Endpoint::Responses,
        },
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
    if provider == Dialect::Messages {
        for start in START {
            stream.push(start.as_bytes(), &mut out).expect("the start");
        }
    }
    // The event that commits, and the one whose form is learned.
    for _ in 0..2 {
        stream.push(&event, &mut out).expect("a chunk");
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
