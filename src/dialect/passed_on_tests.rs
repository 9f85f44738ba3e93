//! What is read of requests and answers that are passed on.

use proptest::prelude::{any, proptest};

use super::*;

fn view(body: &str) -> View {
    inspect(body.as_bytes()).unwrap_or_else(|fault| panic!("{fault:?}: {body}"))
}

#[test]
fn usage_is_found_under_each_name() {
    for (body, expected) in [
        (
            r#"{"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
            Some((3, 0)),
        ),
        (r#"{"usage":{"total_tokens":815}}"#, Some((815, 0))),
        (
            r#"{"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#,
            Some((3, 4)),
        ),
        (
            r#"{"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":9}}}"#,
            Some((9, 0)),
        ),
        (r#"{"usage":{"type":"duration","seconds":3}}"#, None),
        (r#"{"usage":{"total_tokens":0}}"#, None),
        (r#"{"usage":null,"meta":7}"#, None),
        ("{}", None),
    ] {
        let usage = view(body).usage;
        let told = usage.map(|usage| (usage.prompt.get(), usage.completion.get()));
        assert_eq!(told, expected, "{body}");
    }
}

#[test]
fn units_are_what_an_answer_has_brought() {
    for (body, millis, images) in [
        (
            r#"{"usage":{"type":"duration","seconds":3}}"#,
            Some(3_000),
            None,
        ),
        (r#"{"duration":"8.47","segments":[]}"#, Some(8_470), None),
        (r#"{"duration":8.470000267028809}"#, Some(8_470), None),
        (
            r#"{"duration":8.4,"usage":{"seconds":9}}"#,
            Some(9_000),
            None,
        ),
        (
            r#"{"usage":{"seconds":9},"duration":null}"#,
            Some(9_000),
            None,
        ),
        (r#"{"duration":1e300}"#, Some(86_400_000), None),
        (r#"{"duration":-1}"#, None, None),
        (r#"{"duration":"NaN"}"#, None, None),
        (r#"{"duration":[1]}"#, None, None),
        (r#"{"data":[{"b64_json":"A"}, {"url":"u"}]}"#, None, Some(2)),
        (r#"{"data":[]}"#, None, Some(0)),
        (r#"{"data":{}}"#, None, None),
    ] {
        let units = view(body).units.expect("units");
        assert_eq!((units.millis, units.images), (millis, images), "{body}");
    }
}

#[test]
fn tokens_are_told_by_kind() {
    for (usage, expected) in [
        (
            r#"{"total_tokens":1260,"input_tokens":204,"output_tokens":1056,
            "input_tokens_details":{"text_tokens":10,"image_tokens":194}}"#,
            Some([10, 194, 0, 1_056]),
        ),
        (
            r#"{"type":"tokens","total_tokens":150,"input_tokens":140,"output_tokens":10,
            "input_token_details":{"text_tokens":0,"audio_tokens":140}}"#,
            Some([0, 140, 0, 10]),
        ),
        (
            r#"{"input_tokens":7,"output_tokens":9,"input_tokens_details":{"text_tokens":900},
            "output_tokens_details":{"text_tokens":4,"image_tokens":5}}"#,
            Some([7, 0, 4, 5]),
        ),
        (
            r#"{"input_tokens":7,"output_tokens":9,"input_tokens_details":null}"#,
            Some([0, 7, 0, 9]),
        ),
        (r#"{"type":"duration","seconds":3}"#, None),
        (r#"{"input_tokens":"7","output_tokens":9}"#, None),
        (r#"{"input_tokens":7}"#, None),
    ] {
        let told = |tokens: Option<TokenKinds>| {
            tokens.map(|one| [one.text_in, one.media_in, one.text_out, one.media_out])
        };
        let units = view(&format!("{{\"usage\":{usage}}}"))
            .units
            .expect("units");
        assert_eq!(told(units.tokens), expected, "{usage}");
        let tail = format!("data: {{\"type\":\"x.done\",\"usage\":{usage}}}\n\n");
        let streamed = usage_in(tail.as_bytes()).and_then(|(_, tokens)| tokens);
        assert_eq!(told(streamed), expected, "{tail}");
    }
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for (body, expected) in [
        ("", AnswerFault::Malformed),
        ("<html>", AnswerFault::Malformed),
        (r#"{"text":"a"#, AnswerFault::Malformed),
        ("[1,", AnswerFault::Malformed),
        ("7", AnswerFault::Malformed),
        (r#"{"error":{"message":"x"}}"#, AnswerFault::Error),
        (r#"{"error":"x"}"#, AnswerFault::Error),
    ] {
        assert_eq!(inspect(body.as_bytes()), Err(expected), "{body}");
    }
    assert!(inspect(b" [{\"index\":0,\"score\":0.5}]").is_ok());
    assert!(inspect(br#"{"error":null,"model":7}"#).is_ok());
    assert_eq!(view(r#"{"text":"a\u00e4b"}"#).text_bytes, 3);
}

#[test]
fn requests_ask_for_units() {
    let speech = |body: &str| asked(Endpoint::Speech, body.as_bytes()).characters;
    assert_eq!(speech(r#"{"input":"h\u00e4 \"x\""}"#), Some(6));
    assert_eq!(speech(r#"{"inp\u0075t":"ab"}"#), Some(2));
    assert_eq!(speech(r#"{"input":["ab"]}"#), None);
    assert_eq!(speech("{}"), None);
    let images = |body: &str| {
        let units = asked(Endpoint::ImageGenerations, body.as_bytes());
        (units.images, units.pixels, units.quality)
    };
    for (body, expected) in [
        ("{}", (Some(1), None, Quality::Standard)),
        (
            r#"{"n":3,"size":"1792x1024","quality":"hd"}"#,
            (Some(3), Some(1_835_008), Quality::Hd),
        ),
        (
            r#"{"n":"2","size":"auto","quality":"high"}"#,
            (Some(2), None, Quality::High),
        ),
        (r#"{"n":null,"size":7}"#, (Some(1), None, Quality::Standard)),
        (
            r#"{"size":"99999999999x99999999999"}"#,
            (Some(1), None, Quality::Standard),
        ),
    ] {
        assert_eq!(images(body), expected, "{body}");
    }
    assert_eq!(asked(Endpoint::Rerank, b"{}"), Units::default());
}

#[test]
fn the_last_event_tells_the_usage() {
    for (tail, expected) in [
        (
            r#"data: {"usage":{"input_tokens":3,"output_tokens":4}}"#,
            Some((3, 4)),
        ),
        (r#"data: {"usage" : {"total_tokens":9}}"#, Some((9, 0))),
        (
            r#"data: {"usage":{"total_tokens":9}}  data: {"a":"\"usage\":{\"total_tokens\":1}"}"#,
            Some((9, 0)),
        ),
        (r#"data: {"usage":{"total_tokens":9}"#, Some((9, 0))),
        (r#"data: {"usage":{"total_tokens":9"#, None),
        (r#"data: {"usage":null}"#, None),
        (r#""usage""#, None),
        ("", None),
    ] {
        let usage = usage_in(tail.as_bytes());
        let told = usage.map(|(usage, _)| (usage.prompt.get(), usage.completion.get()));
        assert_eq!(told, expected, "{tail}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = inspect(&bytes);
        let _ = usage_in(&bytes);
        let _ = asked(Endpoint::ImageEdits, &bytes);
        let _ = asked(Endpoint::Speech, &bytes);
    }
}
