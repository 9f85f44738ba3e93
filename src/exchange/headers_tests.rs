//! Headers: which are added, and which are passed on.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const BARE: Added<'_> = Added {
    request_id: b"r-1",
    provider_line: b"X-Infermux-Provider: openai\r\n",
    model: "gpt-4o",
    strategy: Strategy::Priority,
    group: None,
    latency: Duration::from_micros(12_999),
    attempts: 1,
    model_override: None,
    totals: Totals {
        prompt: None,
        completion: None,
        cost: None,
    },
};

fn lines(added: &Added<'_>) -> String {
    let mut out = Vec::new();
    add(&mut out, added);
    String::from_utf8(out).unwrap()
}

#[test]
fn says_how_the_answer_came_about() {
    assert_eq!(
        lines(&BARE),
        "X-Request-Id: r-1\r\n\
         X-Infermux-Provider: openai\r\n\
         X-Infermux-Model: gpt-4o\r\n\
         X-Infermux-Strategy: priority\r\n\
         X-Infermux-Latency-Ms: 12\r\n"
    );
    let full = Added {
        group: Some("fast lane"),
        attempts: 2,
        model_override: Some("mini"),
        totals: Totals {
            prompt: Some(Tokens::new(12)),
            completion: Some(Tokens::new(0)),
            cost: Some(NanoUsd::new(1_500)),
        },
        ..BARE
    };
    assert_eq!(
        lines(&full),
        "X-Request-Id: r-1\r\n\
         X-Infermux-Provider: openai\r\n\
         X-Infermux-Model: gpt-4o\r\n\
         X-Infermux-Strategy: priority\r\n\
         X-Infermux-Route-Group: fast%20lane\r\n\
         X-Infermux-Latency-Ms: 12\r\n\
         X-Infermux-Attempts: 2\r\n\
         X-Infermux-Model-Override: mini\r\n\
         X-Infermux-Prompt-Tokens: 12\r\n\
         X-Infermux-Completion-Tokens: 0\r\n\
         X-Infermux-Cost: 0.0000015\r\n"
    );
}

#[test]
fn announces_exactly_the_trailers_there_can_be() {
    let mut out = Vec::new();
    let one = Some(Tokens::new(1));
    totals(
        &mut out,
        &Totals {
            prompt: one,
            completion: one,
            cost: Some(NanoUsd::new(1)),
        },
    );
    let sent = String::from_utf8(out).unwrap();
    let announced = std::str::from_utf8(TRAILER_ANNOUNCEMENT).unwrap();
    let announced = announced.strip_prefix("Trailer: ").unwrap().trim_end();
    let sent: Vec<_> = sent
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(sent.join(", "), announced);
}

#[test]
fn a_name_cannot_end_its_line() {
    for (model, expected) in [
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("50%", "50%25"),
        ("\0\u{7f}", "%00%7F"),
        ("meta-llama/Llama-3.1:free", "meta-llama/Llama-3.1:free"),
    ] {
        let text = lines(&Added { model, ..BARE });
        assert!(
            text.contains(&format!("X-Infermux-Model: {expected}\r\n")),
            "{text}"
        );
    }
}

/// Name; whether it is passed on to providers of OpenAI's dialect with the caller's key, and with
/// infermux's; whether it is passed on to a caller that owns the key, and to another one.
const CROSSINGS: &str = "
    Accept                         yes yes no  no
    User-Agent                     yes yes no  no
    Idempotency-Key                yes yes no  no
    OpenAI-Beta                    yes yes no  no
    HTTP-Referer                   yes yes no  no
    X-Title                        yes yes no  no
    traceparent                    yes yes no  no
    tracestate                     yes yes no  no
    OpenAI-Organization            yes no  no  no
    openai-project                 yes no  no  no
    Retry-After                    no  no  yes yes
    retry-after-ms                 no  no  yes yes
    x-should-retry                 no  no  yes yes
    openai-processing-ms           no  no  yes yes
    openai-version                 no  no  yes yes
    x-ratelimit-remaining-requests no  no  yes no
    anthropic-ratelimit-tokens-reset no no yes no
    x-ratelimit                    no  no  no  no
    Content-Type                   no  no  no  no
    Content-Length                 no  no  no  no
    Authorization                  no  no  no  no
    X-Api-Key                      no  no  no  no
    Cookie                         no  no  no  no
    Set-Cookie                     no  no  no  no
    Referer                        no  no  no  no
    Origin                         no  no  no  no
    X-Stainless-Lang               no  no  no  no
    X-Forwarded-For                no  no  no  no
    X-Infermux-Caller              no  no  no  no
    X-Request-Id                   no  no  no  no
    OpenAI-Betas                   no  no  no  no
    Accepts                        no  no  no  no
    x                              no  no  no  no
";

#[test]
fn only_listed_headers_cross() {
    for row in CROSSINGS.lines().filter(|line| !line.is_empty()) {
        let (name, expected) = row.trim().split_once(' ').unwrap();
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let known = Known::of(name.as_bytes());
            let got = [
                TO_ANY_PROVIDER.and(to_openai(KeyOwner::Caller)),
                TO_ANY_PROVIDER.and(to_openai(KeyOwner::Infermux)),
                to_caller(KeyOwner::Caller),
                to_caller(KeyOwner::Infermux),
            ];
            let got = got.map(|names| if names.has(known) { "yes" } else { "no" });
            assert!(expected.split_whitespace().eq(got), "{row}");
        }
    }
}

#[test]
fn a_connection_names_what_ends_with_it() {
    let connection = || [&b"close, x-HOP"[..], b" X-Other-Hop ,"];
    for name in [&b"X-Hop"[..], b"x-other-hop", b"close"] {
        assert!(is_named(name, connection()));
    }
    assert!(!is_named(b"x-kept", connection()));
}

#[test]
fn the_providers_line_is_ready_for_the_head() {
    let line = provider_line("my provider");
    assert_eq!(&*line, b"X-Infermux-Provider: my%20provider\r\n");
}

proptest! {
    #[test]
    fn any_name_makes_one_visible_line(model in any::<String>()) {
        let text = lines(&Added { model: &model, ..BARE });
        prop_assert_eq!(text.lines().count(), 5);
        prop_assert!(text.bytes().all(|byte| byte == b' ' || byte == b'\r' || byte == b'\n'
            || byte.is_ascii_graphic()));
    }
}

#[test]
fn pages_of_other_origins_may_read_what_infermux_says() {
    let exposed: Vec<&str> = EXPOSED.split(", ").collect();
    let text = lines(&Added {
        group: Some("g"),
        attempts: 2,
        model_override: Some("m"),
        totals: Totals {
            prompt: Some(Tokens::new(1)),
            completion: Some(Tokens::new(1)),
            cost: Some(NanoUsd::ZERO),
        },
        ..BARE
    });
    let trailers = std::str::from_utf8(TRAILER_ANNOUNCEMENT).unwrap();
    let trailers = trailers.trim_start_matches("Trailer: ").trim().split(", ");
    let names = text
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.0));
    for name in names.chain(trailers) {
        assert!(exposed.contains(&name), "{name}");
    }
}
