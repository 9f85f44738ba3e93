//! Steps on bytes: what a shard does between reading from one socket and writing to the other.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use infermux::testing::base::endpoint::{Dialect, Endpoint};
use infermux::testing::base::ids::{ProviderId, ShardId};
use infermux::testing::base::money::{NanoUsd, Price};
use infermux::testing::base::secret::Secret;
use infermux::testing::base::spent::Spent;
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::base::tokens::{Counts, Tokens};
use infermux::testing::config::prices::PriceTable;
use infermux::testing::decide::outcome::KeyOwner;
use infermux::testing::decide::pricing::{self, Row};
use infermux::testing::decide::strategy::Strategy;
use infermux::testing::dialect::ask::{self, RequestEdits};
use infermux::testing::dialect::chat;
use infermux::testing::dialect::shell::{IncludeUsage, Shell, StreamPlan, UsageChunk, Wanted};
use infermux::testing::exchange::answer_head::{AnswerHead, HeadEnd, JSON, PassedOn, length};
use infermux::testing::exchange::attribution::{Attribution, Label};
use infermux::testing::exchange::auth::Credential;
use infermux::testing::exchange::headers::{self, Added, Totals};
use infermux::testing::exchange::inbound::Crossing;
use infermux::testing::exchange::masks::OwnMasks;
use infermux::testing::exchange::outbound::{Outbound, Prefixes};
use infermux::testing::exchange::refusal::Connection;
use infermux::testing::exchange::request::Request;
use infermux::testing::exchange::version::Version;
use infermux::testing::link::facts::MonthTag;
use infermux::testing::link::meters::{self, Kept, Priced};
use infermux::testing::report::access_line::{self as log, Access, Counted};
use infermux::testing::report::line::{Format, Level, Lines, Timestamps};
use infermux::testing::shard::state::meters::{Meters, SeriesKey};
use infermux::testing::wire::body::BodyDecoder;
use infermux::testing::wire::chunked::{Piece, write_chunk_head};
use infermux::testing::wire::head::{Asked, Framing, Head};
use infermux::testing::wire::retry_after;

use super::messages::{ANSWER_HEAD, REQUEST_HEAD, answer_body, event, request_body};
use super::run::{Run, kept, plan};

/// Parses a request's head.
pub(crate) fn head_parse() -> Run {
    let mut head = Head::default();
    Box::new(move || {
        let _ = black_box(head.parse_request(black_box(REQUEST_HEAD.as_bytes()), 0));
    })
}

/// Reads the head's fields about the request: its id, and the names that it is counted for.
pub(crate) fn request_read() -> Run {
    let head = request_head();
    Box::new(move || {
        let bytes = black_box(REQUEST_HEAD.as_bytes());
        black_box(Request::read(&head, bytes, [1, 2], Instant::ZERO));
    })
}

/// Reads a request's body of `bytes` bytes.
pub(crate) fn ask(bytes: usize) -> Run {
    let body = request_body(bytes);
    Box::new(move || {
        let _ = black_box(ask::read_ask(Dialect::Chat, black_box(&body)));
    })
}

/// Renames the model of a streamed request, asks for the usage chunk, and writes the body.
pub(crate) fn edit_request() -> Run {
    let body = kept(request_body(229));
    let ask = ask::read_ask(Dialect::Chat, body).expect("a request");
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let edits = RequestEdits {
            model: Some(black_box(b"\"gpt-4o-mini-2024-07-18\"")),
            inject_usage: true,
            copy_max_tokens: false,
        };
        ask::edit_request(black_box(body), &ask, &edits).write(&mut out);
        black_box(&out);
    })
}

/// Looks up a price in the table, as for models that the file does not name.
pub(crate) fn price_row() -> Run {
    let (plan, table) = (plan(1), PriceTable::built_in());
    Box::new(move || {
        let model = black_box("gpt-4o-mini");
        black_box(table.row_for(&plan.providers[0], model, &plan.pricing));
    })
}

/// Writes the head of a request to a provider.
pub(crate) fn outbound_head() -> Run {
    let head = request_head();
    let bytes = REQUEST_HEAD.as_bytes();
    let prefixes = Prefixes::new(&plan(1).providers[0]);
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let key = head.value(bytes, "authorization").expect("a key");
        let request = Outbound {
            dialect: Dialect::Chat,
            model: "gpt-4o-mini",
            credential: Credential::Caller(key),
            key: KeyOwner::Caller,
            request_id: b"0123456789abcdef0123456789abcdef",
            caller: (&head, black_box(bytes)),
            trace: None,
        };
        prefixes.write(Endpoint::ChatCompletions, &request, 229, &mut out);
        black_box(&out);
    })
}

/// Parses the head of a provider's answer.
pub(crate) fn answer_head_parse() -> Run {
    let mut head = Head::default();
    Box::new(move || {
        let bytes = black_box(ANSWER_HEAD.as_bytes());
        let _ = black_box(head.parse_answer(bytes, 0, Asked::Other));
    })
}

/// Looks for used-up limits in the head of an answer.
pub(crate) fn used_up() -> Run {
    let head = answer_head();
    let wall = WallTime::from_unix_millis(1_795_428_000_000);
    Box::new(move || {
        let bytes = black_box(ANSWER_HEAD.as_bytes());
        black_box(retry_after::used_up(
            &|known| head.value_of(bytes, known),
            wall,
        ));
    })
}

/// Inspects an answer, and writes it with its head and the caller's name for the model.
pub(crate) fn answer() -> Run {
    let (mut body, head) = (answer_body(), answer_head());
    let mut plan = plan(1);
    plan.providers[0].api_key = Some(Secret::new("sk-proj-0123456789abcdef0123456789abcdef"));
    let masks = OwnMasks::of(&plan.providers[0]);
    let mut out = Vec::new();
    Box::new(move || {
        let body = black_box(&mut body);
        masks.mask_answer(body);
        let view = chat::inspect(body, Endpoint::ChatCompletions).expect("an answer");
        let splice = view.edit(body, b"\"gpt-4o-mini\"");
        out.clear();
        let crossing = Crossing {
            key: KeyOwner::Infermux,
            masks: &masks,
        };
        let head = AnswerHead {
            status: black_box(200),
            media_type: JSON,
            framing: length(splice.len()),
            passed_on: PassedOn::Head(&head, ANSWER_HEAD.as_bytes(), crossing),
        };
        let end = HeadEnd::new(Version::Http11, Connection::KeepAlive, b"");
        let added = added();
        head.write(end, &mut out, |out| headers::add(out, &added));
        splice.write(&mut out);
        black_box(&out);
    })
}

/// Relays an event that has to be read, since its line end fits no form.
pub(crate) fn relay_read() -> Run {
    let mut event = event("");
    event.truncate(event.len() - 2);
    event.extend_from_slice(b"\r\n\r\n");
    relay(UsageChunk::Untouched, b"\"gpt-4o-mini\"", event)
}

/// Relays an event that stays as it is and fits the form of the one before.
pub(crate) fn relay_unchanged() -> Run {
    relay(UsageChunk::Untouched, b"\"gpt-4o-mini\"", event(""))
}

/// Relays an event from which an empty usage is taken out.
pub(crate) fn relay_usage_null() -> Run {
    let event = event(",\"usage\":null");
    relay(UsageChunk::Injected, b"\"gpt-4o-mini\"", event)
}

/// Relays an event in which the caller's name for the model is put back.
pub(crate) fn relay_model() -> Run {
    relay(UsageChunk::Untouched, b"\"fast\"", event(""))
}

/// Takes 64 events out of a chunk each, relays them, and frames them as one chunk, as for a read of
/// a stream in full flow.
pub(crate) fn relay_flow_64() -> Run {
    let (event, mut chunks) = (event(""), Vec::new());
    for _ in 0..64 {
        write_chunk_head(event.len(), &mut chunks);
        chunks.extend_from_slice(&event);
        chunks.extend_from_slice(b"\r\n");
    }
    let mut relay = begun(UsageChunk::Untouched, b"\"gpt-4o-mini\"");
    let mut body = BodyDecoder::new(Framing::Chunked);
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    Box::new(move || {
        let (bytes, mut at) = (black_box(&chunks), 0);
        while let Piece::Payload(range) = body.next(bytes, &mut at).expect("chunks") {
            let event = bytes.get(range).unwrap_or_default();
            relay.push(event, &mut payload).expect("a chunk");
        }
        out.clear();
        write_chunk_head(payload.len(), &mut out);
        out.extend_from_slice(&payload);
        out.extend_from_slice(b"\r\n");
        payload.clear();
        black_box(&out);
    })
}

fn begun(usage: UsageChunk, caller_model: &'static [u8]) -> Shell {
    let mut relay = Shell::default();
    relay.reset(&StreamPlan {
        caller: Dialect::Chat,
        provider: Dialect::Chat,
        endpoint: Endpoint::ChatCompletions,
        caller_model,
        usage,
        include_usage: IncludeUsage::Yes,
        notes_apart: false,
        wanted: Wanted::NOTHING,
        tariff: None,
        created: 1_795_428_000,
        event_bytes_max: 16 << 20,
    });
    relay
}

fn relay(usage: UsageChunk, caller_model: &'static [u8], event: Vec<u8>) -> Run {
    let mut relay = begun(usage, caller_model);
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        relay.push(black_box(&event), &mut out).expect("a chunk");
        assert!(!out.is_empty(), "nothing is held back");
    })
}

/// Counts a request: by provider and model, and by its attribution.
pub(crate) fn count() -> Run {
    // The receiver is kept, so that new counters have a reader.
    let (sender, _reader) = kept(meters::channel());
    let meters = Meters::new(ShardId(0), sender.clone());
    let attribution = Attribution {
        caller: Label::of(b"team-a"),
        ..Attribution::default()
    };
    let spent = Spent {
        cost: NanoUsd::new(8_850),
        requests: 1,
        prompt_tokens: 19,
        completion_tokens: 10,
    };
    let key = SeriesKey {
        provider: ProviderId(0),
        name: "p0",
        model: "gpt-4o-mini",
        kept: Kept::Always,
        priced: Priced::Yes,
    };
    Box::new(move || {
        meters.series(Some(black_box(key)), |series| {
            series.count(200);
            series.latency.observe(Duration::from_millis(412));
            series.input_tokens.add(19);
            series.output_tokens.add(10);
            series.account.book(MonthTag(2), spent);
        });
        meters.book(MonthTag(2), spent, black_box(&attribution), None, |_, _| {
            Kept::Always
        });
    })
}

/// Computes the cost of a request's tokens.
pub(crate) fn cost() -> Run {
    let row = Row::flat(
        Price::per_million(150_000_000),
        Price::per_million(600_000_000),
    );
    let counts = Counts {
        input: Tokens::new(19),
        output: Tokens::new(10),
        ..Counts::default()
    };
    Box::new(move || {
        black_box(pricing::cost(black_box(&counts), black_box(&row)));
    })
}

/// Writes a request's line in the log.
pub(crate) fn access_line() -> Run {
    let mut lines = Lines::new(Format::Json, Timestamps::On);
    let mut out = Vec::new();
    let mut now = 1_795_428_000_000;
    Box::new(move || {
        out.clear();
        now += 1;
        let wall = WallTime::from_unix_millis(now);
        log::access_line(&mut lines, &mut out, wall, black_box(&access()));
        black_box(&out);
    })
}

fn access() -> Access<'static> {
    Access {
        request_id: b"0123456789abcdef0123456789abcdef",
        level: Level::Info,
        address: Some(Ipv4Addr::LOCALHOST.into()),
        method: Some("POST"),
        path: Some("/v1/chat/completions"),
        endpoint: Some("chat_completions"),
        dialect: Some("chat"),
        responses: None,
        stream: Some(false),
        key: None,
        team: None,
        caller: Some("team-a"),
        project: None,
        env: None,
        provider: Some("openai"),
        model: Some("gpt-4o-mini"),
        strategy: Some(Strategy::RoundRobin),
        group: None,
        status: 200,
        attempts: 1,
        latency: Duration::from_micros(412_345),
        first_byte: Some(Duration::from_micros(412_300)),
        prompt_tokens: Some(Tokens::new(19)),
        completion_tokens: Some(Tokens::new(10)),
        cost: Some(NanoUsd::new(8_850)),
        failed_cost: None,
        counted: Counted::ByProvider,
        model_override: None,
        dropped: None,
        changed: None,
        upstream_request_id: None,
        provider_error: None,
        error: None,
        trace_id: None,
    }
}

fn added() -> Added<'static> {
    Added {
        request_id: b"0123456789abcdef0123456789abcdef",
        provider_line: b"X-Infermux-Provider: openai\r\n",
        model: "gpt-4o-mini",
        strategy: Strategy::RoundRobin,
        group: None,
        latency: Duration::from_millis(412),
        attempts: 1,
        model_override: None,
        totals: Totals {
            prompt: Some(Tokens::new(19)),
            completion: Some(Tokens::new(10)),
            cost: Some(NanoUsd::new(8_850)),
        },
    }
}

fn request_head() -> Head {
    let mut head = Head::default();
    let parsed = head.parse_request(REQUEST_HEAD.as_bytes(), 0);
    parsed.expect("a head");
    head
}

fn answer_head() -> Head {
    let mut head = Head::default();
    let parsed = head.parse_answer(ANSWER_HEAD.as_bytes(), 0, Asked::Other);
    parsed.expect("a head");
    head
}
