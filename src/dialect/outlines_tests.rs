//! Tests: what is known of an answer by its outline is what its reader finds.

use proptest::prelude::*;

use super::*;
use crate::decide::outcome::KeyOwner;
use crate::dialect::chat;
use crate::dialect::messages;
use crate::dialect::responses;
use crate::wire::json::respelt::respelt;

const CHAT: Endpoint = Endpoint::ChatCompletions;

/// An answer as OpenAI writes it.
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1730000000,
"model":"theirs","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\"",
"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{
"prompt_tokens":9,"completion_tokens":12,"total_tokens":24,"prompt_tokens_details":{
"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}},
"service_tier":"default","system_fingerprint":"fp_1","error":null}"#;

/// An answer with calls, as others write it.
const CALLS: &str = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"call_1",
"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"function":{"name":"g"}}]},
"finish_reason":"tool_calls"}],"model":"theirs","usage":{"prompt_tokens":1,
"prompt_cache_hit_tokens":1,"completion_tokens":2},"error":""}"#;

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","error":null,
"model":"theirs","output":[{"id":"msg_1","type":"message","content":[{"type":"output_text",
"text":"Hi"}],"role":"assistant"}],"temperature":1.0,"usage":{"input_tokens":3,
"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{
"reasoning_tokens":0},"total_tokens":5}}"#;

/// A message as Anthropic writes it.
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"theirs",
"content":[{"type":"text","text":"Hi \"you\""},{"type":"tool_use","id":"toolu_1","name":"f",
"input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,
"cache_creation_input_tokens":12,"cache_read_input_tokens":4,"cache_creation":{
"ephemeral_5m_input_tokens":7,"ephemeral_1h_input_tokens":5},"output_tokens":3,
"service_tier":"standard","iterations":null}}"#;

fn read(endpoint: Endpoint, body: &[u8]) -> Option<View> {
    match endpoint {
        Endpoint::Responses => responses::inspect::inspect(body, KeyOwner::Infermux).ok(),
        Endpoint::Messages => messages::inspect::inspect(body).ok(),
        _ => chat::inspect::inspect(body, endpoint).ok(),
    }
}

/// AnswerOutlines that have learned this answer.
fn learned(endpoint: Endpoint, body: &str) -> AnswerOutlines {
    let mut outlines = AnswerOutlines::default();
    let found = read(endpoint, body.as_bytes()).unwrap();
    outlines.learn(endpoint, body.as_bytes(), &found);
    outlines
}

/// Whether an answer is known by its outline; if so, what is known is what its reader finds.
fn is_known(outlines: &mut AnswerOutlines, endpoint: Endpoint, body: &str) -> bool {
    let Some(view) = outlines.view(endpoint, body.as_bytes()) else {
        return false;
    };
    assert_eq!(Some(view), read(endpoint, body.as_bytes()), "{body}");
    true
}

#[test]
fn answers_that_differ_in_strings_and_numbers_are_known() {
    for (endpoint, body) in [
        (CHAT, ANSWER),
        (CHAT, CALLS),
        (Endpoint::Responses, RESPONSE),
        (Endpoint::Messages, MESSAGE),
        (
            Endpoint::Completions,
            r#"{"model":"m","choices":[{"text":"ab"},{"text":""}]}"#,
        ),
        (
            CHAT,
            r#"{"choices":[{"message":{"content":"x","thought":"y"}}]}"#,
        ),
    ] {
        let mut outlines = learned(endpoint, body);
        assert!(is_known(&mut outlines, endpoint, body), "{body}");
        let changes = [
            ("theirs", "other"),
            ("_1", "_\\u00e9"),
            ("Hi", "Hallo, \\n"),
            (r#":"ab""#, r#":"""#),
            (r#"{\"a\":1}"#, ""),
            (":9", ":900"),
            (":4", ":0"),
            (":5", ":77"),
            (":12", ":1"),
        ];
        for (from, to) in changes.iter().filter(|(from, _)| body.contains(from)) {
            let other = body.replacen(from, to, 1);
            assert!(is_known(&mut outlines, endpoint, &other), "{other}");
        }
        let elsewhere = Endpoint::Embeddings;
        assert!(outlines.view(elsewhere, body.as_bytes()).is_none());
    }
}

#[test]
fn what_may_make_an_answer_a_failure_stays_the_same() {
    for (endpoint, body, changes) in [
        (
            CHAT,
            ANSWER,
            &[
                (r#""stop""#, r#""error""#),
                (r#""error":null"#, r#""error":"x""#),
                (r#""error":null"#, r#""error":{"message":"x"}"#),
            ][..],
        ),
        (CHAT, CALLS, &[(r#""error":"""#, r#""error":"x""#)]),
        (
            Endpoint::Responses,
            RESPONSE,
            &[
                ("completed", "failed"),
                (r#""error":null"#, r#""error":{"code":"server_error"}"#),
                (":3", ":0"),
            ],
        ),
        (
            Endpoint::Messages,
            MESSAGE,
            &[
                (r#""stop_reason":"tool_use""#, r#""stop_reason":"error""#),
                (r#""type":"message""#, r#""type":"error""#),
                (
                    r#""iterations":null"#,
                    r#""iterations":[{"type":"compaction"}]"#,
                ),
                (r#""content":["#, r#""content":"","x":["#),
            ],
        ),
    ] {
        let mut outlines = learned(endpoint, body);
        for (from, to) in changes {
            let mut other = body.replacen(from, to, 1);
            if *from == ":3" {
                // Without usage, the text is measured.
                other = other.replace("_tokens\":2", "_tokens\":0");
            }
            assert!(!is_known(&mut outlines, endpoint, &other), "{other}");
        }
    }
}

#[test]
fn a_failure_that_is_an_answer_tells_nothing_of_others() {
    let failed = RESPONSE.replace("completed", "failed").replace(
        r#""error":null"#,
        r#""error":{"code":"invalid_prompt","message":"x"}"#,
    );
    let mut outlines = learned(Endpoint::Responses, &failed);
    for code in [
        "invalid_prompt",
        "context_length_exceeded",
        "rate_limit_exceeded",
        "insufficient_quota",
        "server_error",
    ] {
        let other = failed.replace("invalid_prompt", code);
        assert!(
            !is_known(&mut outlines, Endpoint::Responses, &other),
            "{code}"
        );
    }
}

#[test]
fn what_a_place_does_not_tell_is_not_learned() {
    let choices = r#""choices":[{"message":{"content":"x"}}]"#;
    for rest in [
        r#""model":"a","model":"b""#,
        r#""model":7"#,
        r#""choices":[{}]"#,
        r#""usage":{"prompt_tokens":1,"prompt_tokens":2}"#,
        r#""usage":{"prompt_tokens":1.5}"#,
        r#""usage":{"prompt_tokens":"7","completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":1},
            "completion_tokens_details":{}}"#,
        r#""err\u006fr":"""#,
        r#""x":01"#,
    ] {
        let body = format!("{{{choices},{rest}}}");
        let mut outlines = learned(CHAT, &body);
        assert!(!is_known(&mut outlines, CHAT, &body), "{body}");
    }
}

#[test]
fn what_a_message_does_not_tell_by_places_is_not_learned() {
    for usage in [
        r#"{"input_tokens":1,"input_tokens":2}"#,
        r#"{"input_tokens":1,"input_tokens":null}"#,
        r#"{"input_tokens":1,"iterations":[]}"#,
        r#"{"input_tokens":1,"output_tokens_details":{"thinking_tokens":1}}"#,
        r#"{"input_tokens":1,"cache_creation":7}"#,
        r#"{"input_tokens":0,"output_tokens":0}"#,
        "[1]",
    ] {
        let body = format!(r#"{{"content":[{{"type":"text","text":"x"}}],"usage":{usage}}}"#);
        let mut outlines = learned(Endpoint::Messages, &body);
        assert!(
            !is_known(&mut outlines, Endpoint::Messages, &body),
            "{body}"
        );
    }
    let twice = r#"{"content":[],"content":[],"usage":{"input_tokens":1}}"#;
    let mut outlines = learned(Endpoint::Messages, twice);
    assert!(!is_known(&mut outlines, Endpoint::Messages, twice));
}

proptest! {
    #[test]
    fn an_answer_that_is_known_says_what_its_reader_finds(
        which in 0..4_usize, at in any::<prop::sample::Index>(),
        removed in 0..3_usize,
        put in r#"(|"|\\|\\n|,|:|1|0|null|error|\{|\}|\[|\]| |x|"x":1,|é){0,3}"#,
        seed in prop::option::of(any::<u64>()),
    ) {
        let all = [
            (CHAT, ANSWER),
            (CHAT, CALLS),
            (Endpoint::Responses, RESPONSE),
            (Endpoint::Messages, MESSAGE),
        ];
        let (endpoint, body) = all[which];
        let mut outlines = learned(endpoint, body);
        let mut other = match seed {
            Some(seed) => respelt(body, seed),
            None => body.to_owned(),
        };
        let places: Vec<_> = other.char_indices().map(|(place, _)| place).collect();
        let from = places[at.index(places.len())];
        let to = places.iter().copied().find(|to| *to >= from + removed).unwrap_or(other.len());
        other.replace_range(from..to, &put);
        is_known(&mut outlines, endpoint, &other);
    }
}
