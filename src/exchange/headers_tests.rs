//! Headers: what is added, and what crosses.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const BARE: Added<'_> = Added {
    request_id: "r-1",
    provider: "openai",
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

/// Name; whether it goes to a provider with the caller's key, with infermux's; to the caller.
const CROSSINGS: &str = "
    Content-Type                   yes yes yes
    Content-Encoding               no  no  yes
    Accept                         yes yes yes
    User-Agent                     yes yes yes
    X-Stainless-Lang               yes yes yes
    OpenAI-Beta                    yes yes yes
    traceparent                    yes yes yes
    x-ratelimit-remaining-requests yes yes yes
    Retry-After                    yes yes yes
    OpenAI-Organization            yes no  yes
    openai-project                 yes no  yes
    Set-Cookie                     yes yes no
    Alt-Svc                        yes yes no
    Strict-Transport-Security      yes yes no
    Server                         yes yes no
    Host                           no  no  yes
    Expect                         no  no  yes
    Accept-Encoding                no  no  yes
    Authorization                  no  no  yes
    X-Api-Key                      no  no  yes
    API-KEY                        no  no  yes
    x-goog-api-key                 no  no  yes
    Cookie                         no  no  yes
    Forwarded                      no  no  yes
    X-Forwarded-For                no  no  yes
    x-forwarded-proto              no  no  yes
    X-Real-IP                      no  no  yes
    True-Client-IP                 no  no  yes
    CF-Connecting-IP               no  no  yes
    Via                            no  no  yes
    X-Infermux-Caller              no  no  no
    x-infermux-cost                no  no  no
    X-Request-Id                   no  no  no
    Connection                     no  no  no
    Keep-Alive                     no  no  no
    Proxy-Connection               no  no  no
    Proxy-Authenticate             no  no  no
    Proxy-Authorization            no  no  no
    TE                             no  no  no
    Trailer                        no  no  no
    Transfer-Encoding              no  no  no
    Upgrade                        no  no  no
    Content-Length                 no  no  no
    X-Hop                          no  no  no
    x-other-hop                    no  no  no
";

#[test]
fn headers_cross_or_stay() {
    let connection = || [&b"close, x-HOP"[..], b" X-Other-Hop ,"];
    for row in CROSSINGS.lines().filter(|line| !line.is_empty()) {
        let (name, expected) = row.trim().split_once(' ').unwrap();
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let name = name.as_bytes();
            let got = [
                crosses_to_provider(name, KeyOwner::Caller, connection()),
                crosses_to_provider(name, KeyOwner::Infermux, connection()),
                crosses_to_caller(name, connection()),
            ];
            let got = got.map(|crosses| if crosses { "yes" } else { "no" });
            assert!(expected.split_whitespace().eq(got), "{row}");
        }
    }
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
