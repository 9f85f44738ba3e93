//! Headers as providers send them, valid or not.

use proptest::prelude::*;

use super::*;

/// 2026-11-23T09:24:05Z
const WALL: WallTime = WallTime::from_unix_millis(1_795_425_845_000);

/// Calls `which` with the headers of this text.
fn read(text: &str, which: fn(Headers<'_, '_>, WallTime) -> Option<Duration>) -> Option<Duration> {
    let headers = |known| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| Known::of(key.trim().as_bytes()) == known);
        found.map(|(_, value)| value.as_bytes())
    };
    which(&headers, WALL)
}

fn check(headers: &str, expected_ms: Option<f64>) {
    let asked = |headers: Headers<'_, '_>, wall| asked(headers, b"", wall);
    let found = read(headers, asked).map(|span| span.as_secs_f64() * 1_000.0);
    assert_eq!(found, expected_ms, "{headers}");
}

fn check_used_up(headers: &str, expected_ms: Option<u64>) {
    let expected = expected_ms.map(Duration::from_millis);
    assert_eq!(read(headers, used_up), expected, "{headers}");
}

#[test]
fn what_is_said_outright_comes_first() {
    for (headers, expected) in [
        ("", None),
        ("retry-after-ms: 1500\nretry-after: 7", Some(1_500.0)),
        ("Retry-After-Ms: 20.5", Some(20.5)),
        ("retry-after-ms: soon\nRetry-After: 7", Some(7_000.0)),
        ("Retry-After: 0", Some(0.0)),
        ("Retry-After: 1.5", Some(1_500.0)),
        ("retry-after: 20s", Some(20_000.0)),
        ("retry-after: -5", None),
        ("retry-after:", None),
        (
            "retry-after: 3\nx-ratelimit-reset-tokens: 6m0s",
            Some(3_000.0),
        ),
        ("Retry-After: Mon, 23 Nov 2026 09:24:35 GMT", Some(30_000.0)),
        (
            "Retry-After: Monday, 23-Nov-26 09:24:35 GMT",
            Some(30_000.0),
        ),
        ("Retry-After: Mon, 23 Nov 2026 09:24:00 GMT", Some(0.0)),
        ("Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", Some(0.0)),
        ("Retry-After: Mon, 32 Nov 2026 09:24:35 GMT", None),
        ("Retry-After: 1000000000", Some(1e12)),
        ("Retry-After: 1795425875", Some(30_000.0)),
        ("Retry-After: 1795425845", Some(0.0)),
        ("Retry-After: 1000000001", Some(0.0)),
    ] {
        check(headers, expected);
    }
}

#[test]
fn a_refusal_waits_for_the_limit_that_is_used_up() {
    for (headers, expected) in [
        ("x-ratelimit-reset-requests: 1s", Some(1_000.0)),
        (
            "x-ratelimit-reset-requests: 1s\nx-ratelimit-reset-tokens: 6m0s",
            Some(360_000.0),
        ),
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 12ms\n\
             x-ratelimit-remaining-tokens: 99\nx-ratelimit-reset-tokens: 6m0s",
            Some(12.0),
        ),
        ("x-ratelimit-reset-tokens: 1h2m3.5s", Some(3_723_500.0)),
        ("x-ratelimit-reset-tokens: 10", Some(10_000.0)),
        ("x-ratelimit-reset-tokens: 1795425875", Some(30_000.0)),
        ("x-ratelimit-reset-tokens: 1795425875.25", Some(30_250.0)),
        ("X-RateLimit-Reset: 1795425875500", Some(30_500.0)),
        ("x-ratelimit-reset-tokens: 1795425844000", Some(0.0)),
        ("x-ratelimit-reset-requests: 2000000000s", Some(2e12)),
        (
            "anthropic-ratelimit-tokens-reset: 2026-11-23T09:24:35Z",
            Some(30_000.0),
        ),
        (
            "anthropic-ratelimit-tokens-reset: 2026-11-23T09:24:35.25Z",
            Some(30_250.0),
        ),
        (
            "anthropic-ratelimit-input-tokens-reset: 2026-11-23T10:24:35+01:00",
            Some(30_000.0),
        ),
        (
            "anthropic-ratelimit-requests-reset: 2026-11-23T04:54:35-04:30",
            Some(30_000.0),
        ),
        (
            "anthropic-ratelimit-output-tokens-reset: 2026-11-22T09:24:35Z",
            Some(0.0),
        ),
    ] {
        check(headers, expected);
    }
}

#[test]
fn a_body_tells_what_no_header_does() {
    let delay = r#"[{"@type":"x"},{"@type":"RetryInfo","retryDelay":"9.5s"}]"#;
    for (headers, body, expected) in [
        (
            "",
            format!(r#"{{"error":{{"details":{delay}}}}}"#),
            Some(9_500),
        ),
        (
            "",
            format!(r#"[{{"error":{{"details":{delay}}}}}]"#),
            Some(9_500),
        ),
        (
            "retry-after: 3",
            format!(r#"{{"error":{{"details":{delay}}}}}"#),
            Some(3_000),
        ),
        (
            "x-ratelimit-reset-tokens: 6m0s",
            format!(r#"{{"error":{{"details":{delay}}}}}"#),
            Some(9_500),
        ),
        (
            "",
            r#"{"error":{"details":[{"retryDelay":"soon"}]}}"#.into(),
            None,
        ),
        (
            "",
            r#"{"error":{"details":{"retryDelay":"1s"}}}"#.into(),
            None,
        ),
        ("", "<html>try again in 3s".into(), None),
        ("", String::new(), None),
    ] {
        let headers = |known| {
            let (key, value) = headers.split_once(": ")?;
            (Known::of(key.as_bytes()) == known).then_some(value.as_bytes())
        };
        let found = asked(&headers, body.as_bytes(), WALL);
        assert_eq!(found, expected.map(Duration::from_millis), "{body}");
    }
    for (sentence, expected) in [
        (
            "Limit 3, Used 3. Please try again in 20s. Visit",
            Some(20_000),
        ),
        ("Please try again in 6m1.5s.", Some(361_500)),
        ("please TRY AGAIN IN 120ms", Some(120)),
        ("Please retry in 9.5s.", Some(9_500)),
        ("Please retry after 20 seconds.", Some(20_000)),
        ("Try again in 2 minutes, or", Some(120_000)),
        ("Retry after 1 hour.", Some(3_600_000)),
        ("try again in 250 milliseconds", Some(250)),
        ("Try again in a moment", None),
        ("try again in 20", None),
        ("try again in 20 parsecs", None),
        ("try again in", None),
        ("try again in ", None),
    ] {
        let body = serde_json::json!({"error": {"message": sentence}}).to_string();
        let found = outright(&|_| None, body.as_bytes(), WALL);
        assert_eq!(found, expected.map(Duration::from_millis), "{sentence}");
    }
}

#[test]
fn an_answer_that_says_a_limit_is_used_up_puts_aside_until_it_starts_over() {
    for (headers, expected) in [
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 2s",
            Some(2_000),
        ),
        (
            "x-ratelimit-remaining-requests: 1\nx-ratelimit-reset-requests: 2s",
            None,
        ),
        ("x-ratelimit-remaining-requests: 0", None),
        (
            "x-ratelimit-remaining-requests: -1\nx-ratelimit-reset-requests: 2s",
            None,
        ),
        (
            "x-ratelimit-remaining-requests: none\nx-ratelimit-reset-requests: 2s",
            None,
        ),
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 0s",
            None,
        ),
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-tokens: 2s",
            None,
        ),
        (
            "anthropic-ratelimit-tokens-remaining: 0\n\
             anthropic-ratelimit-tokens-reset: 2026-11-23T09:25:05Z\n\
             anthropic-ratelimit-requests-remaining: 0\n\
             anthropic-ratelimit-requests-reset: 2026-11-23T09:24:06Z",
            Some(60_000),
        ),
        ("retry-after: 9", None),
    ] {
        check_used_up(headers, expected);
    }
}

#[test]
fn what_is_no_span_is_none() {
    for text in [
        "", ".", "s", "1x", "1s2", "1.2.3s", "1 s", "-1s", "+1", "1e3", "∞", "1m.s", "٣",
    ] {
        assert_eq!(spans(text, "s"), None, "{text}");
    }
    let most = Duration::from_nanos(u64::MAX);
    assert_eq!(spans("99999999999999999999999d", "s"), Some(most));
    assert_eq!(spans("0.0000000001s", "s"), Some(Duration::ZERO));
}

#[test]
fn what_is_no_moment_is_none() {
    for text in [
        "",
        "2026-11-23",
        "2026-11-23T09:24:35",
        "2026-11-31T09:24:35Z",
        "2026-02-29T09:24:35Z",
        "2026-11-00T09:24:35Z",
        "2026-11-23T24:24:35Z",
        "2026-11-23T09:60:35Z",
        "2026-11-23T09:24:35.Z",
        "2026-11-23T09:24:35,5Z",
        "2026-11-23T09:24:35.1.2Z",
        "2026-11-23T09:24:35ZZ",
        "2026-11-23T09:24:35+1:00",
        "2026-11-23T09:24:35+99:00",
        "1969-11-23T09:24:35Z",
        "+026-11-23T09:24:35Z",
        "2026-11-23T09:24:35é",
    ] {
        assert_eq!(rfc_3339(text), None, "{text}");
    }
    assert_eq!(rfc_3339("2026-11-23t09:24:05z"), Some(WALL));
}

proptest! {
    #[test]
    fn never_panics(value in "\\PC{0,40}", digits in "[0-9]{0,30}[.:smhTZ+-]{0,3}[0-9.]{0,30}") {
        let wall = WALL;
        for value in [value.as_str(), digits.as_str()] {
            let headers = |_: Known| Some(value.as_bytes());
            let _ = (asked(&headers, value.as_bytes(), wall), rfc_3339(value));
        }
    }

    #[test]
    fn never_panics_on_bytes(value in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = asked(&|_: Known| Some(value.as_slice()), &value, WALL);
        let _ = used_up(&|_: Known| Some(value.as_slice()), WALL);
    }

    #[test]
    fn every_moment_is_read_back(millis in 0..253_402_300_799_999_u64) {
        let wall = WallTime::from_unix_millis(millis);
        prop_assert_eq!(rfc_3339(&wall.to_string()), Some(wall));
    }

    #[test]
    fn every_date_is_read_back(seconds in 0..253_402_300_799_u64) {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let expected = Duration::from_secs(seconds);
        prop_assert_eq!(seconds_or_date(&date, WallTime::default()), Some(expected));
    }
}
