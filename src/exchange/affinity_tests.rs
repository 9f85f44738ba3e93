//! Tests of what tells a conversation.

use super::*;
use crate::wire::head::Arrival;

fn sought(by: By, dialect: Dialect) -> Sought {
    Sought {
        by,
        dialect,
        model: 1,
        owner: 7,
    }
}

fn found(by: By, dialect: Dialect, body: &str) -> Option<Found> {
    of_body(&sought(by, dialect), body.as_bytes())
}

fn named(name: &str) -> Option<Key> {
    session(7, name.as_bytes(), "").map(|found| found.key)
}

#[test]
fn the_first_header_with_a_name_counts() {
    for (fields, expected) in [
        ("", None),
        ("X-Infermux-Session: a\r\nsession-id: b\r\n", Some(("a", 0))),
        (
            "session_id: b\r\nx-claude-code-session-id: a\r\n",
            Some(("a", 1)),
        ),
        ("x-session-id: c\r\nSession-Id: b\r\n", Some(("b", 2))),
        ("X-SESSION-ID: c\r\nsession_id: b\r\n", Some(("b", 3))),
        ("X-Session-Id: c\r\n", Some(("c", 4))),
        (
            "X-Infermux-Session: \r\nX-Session-Id: c\r\n",
            Some(("c", 4)),
        ),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let mut head = Head::default();
        assert_eq!(head.parse_request(text.as_bytes(), 0), Ok(Arrival::Whole));
        let found = of_head(7, &head, text.as_bytes());
        let expected = expected.map(|(name, place)| (named(name).unwrap(), HEADERS[place]));
        assert_eq!(
            found.map(|found| (found.key, found.source)),
            expected,
            "{fields}"
        );
    }
}

#[test]
fn a_body_names_its_session() {
    for (dialect, body, expected) in [
        (
            Dialect::Chat,
            r#"{"prompt_cache_key":"s"}"#,
            Some(("s", "prompt_cache_key")),
        ),
        (
            Dialect::Responses,
            r#"{"prompt\u005fcache_key":"\u0073"}"#,
            Some(("s", "prompt_cache_key")),
        ),
        (
            Dialect::Messages,
            r#"{"metadata":{"user_id":"user_1_account_2_session_s"}}"#,
            Some(("s", "metadata.user_id")),
        ),
        (
            Dialect::Messages,
            r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s\"}"}}"#,
            Some(("s", "metadata.user_id")),
        ),
        (
            Dialect::Chat,
            r#"{"metadata":{"user_id":"x_session_t"},"prompt_cache_key":"s"}"#,
            Some(("s", "prompt_cache_key")),
        ),
        (
            Dialect::Chat,
            r#"{"metadata":{"user_id":"x_session_s"},"prompt_cache_key":" "}"#,
            Some(("s", "metadata.user_id")),
        ),
        // Somebody, but no session.
        (Dialect::Messages, r#"{"metadata":{"user_id":"me"}}"#, None),
        (
            Dialect::Messages,
            r#"{"metadata":{"user_id":"x_session_"}}"#,
            None,
        ),
        (
            Dialect::Messages,
            r#"{"metadata":{"user_id":"{\"session_id\":5}"}}"#,
            None,
        ),
        (Dialect::Messages, r#"{"metadata":{"user_id":"{"}}"#, None),
        (
            Dialect::Messages,
            r#"{"metadata":7,"prompt_cache_key":7}"#,
            None,
        ),
        (Dialect::Messages, r#"{"metadata":{"user_id":null}}"#, None),
    ] {
        let found = found(By::Session, dialect, body);
        let expected = expected.map(|(name, source)| (named(name).unwrap(), source));
        assert_eq!(
            found.map(|found| (found.key, found.source)),
            expected,
            "{body}"
        );
    }
}

#[test]
fn names_are_kept_apart_by_caller() {
    let one = session(1, b"s", "x");
    let other = session(2, b"s", "x");
    assert_ne!(one, other);
}

/// Dialect | a conversation's first request | its second one | whether they begin alike
const BEGINNINGS: &[(Dialect, &str, &str, bool)] = &[
    (
        Dialect::Chat,
        r#"{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"}]}"#,
        r#"{"n":1,"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"},
            {"role":"user","content":"c"}]}"#,
        true,
    ),
    (
        Dialect::Chat,
        r#"{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"}]}"#,
        r#"{"messages":[{"role":"system","content":"A"},{"role":"user","content":"b"}]}"#,
        false,
    ),
    (
        Dialect::Chat,
        r#"{"messages":[{"role":"user","content":"b"}]}"#,
        r#"{"messages":[{"role":"user","content":"c"}]}"#,
        false,
    ),
    (
        Dialect::Chat,
        r#"{"messages":[{"role":"user","content":"b"}]}"#,
        r#"{"messages":[{"role":"user","content":"b"}],"tools":[{"type":"function"}]}"#,
        false,
    ),
    (
        Dialect::Messages,
        r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],
            "tools":[{"name":"t","cache_control":{"type":"ephemeral"}}],
            "messages":[{"role":"user","content":[
            {"type":"text","text":"b","cache_control":{}}]}]}"#,
        r#"{"system":[{"type":"text","text":"a"}], "tools":[{"name":"t"}],
            "messages":[{"role":"user","content":[{"type":"text","text":"b"}]},
            {"role":"assistant","content":"c"},{"role":"user","content":"d"}]}"#,
        true,
    ),
    (
        Dialect::Messages,
        r#"{"system":"a","messages":[{"role":"user","content":"b"}]}"#,
        r#"{"system":"c","messages":[{"role":"user","content":"b"}]}"#,
        false,
    ),
    (
        Dialect::Responses,
        r#"{"instructions":"a","input":"b"}"#,
        r#"{"input":"b","instructions":"a"}"#,
        true,
    ),
    (
        Dialect::Responses,
        r#"{"instructions":"a","input":[{"role":"user","content":"b"}]}"#,
        r#"{"instructions":"a","input":[{"role":"user","content":"b"},{"type":"reasoning"}]}"#,
        true,
    ),
    (
        Dialect::Responses,
        r#"{"instructions":"a","input":"b"}"#,
        r#"{"instructions":"a","input":"c"}"#,
        false,
    ),
];

#[test]
fn requests_of_a_conversation_begin_alike() {
    for (dialect, first, second, alike) in BEGINNINGS {
        let of = |body| found(By::Auto, *dialect, body).unwrap();
        assert_eq!(of(first) == of(second), *alike, "{first} {second}");
        assert_eq!(of(first).source, PREFIX);
    }
}

#[test]
fn what_counts_is_what_the_file_says() {
    let body = r#"{"prompt_cache_key":"s","messages":[{"role":"user","content":"b"}]}"#;
    let source = |by| found(by, Dialect::Chat, body).map(|found| found.source);
    assert_eq!(source(By::Auto), Some("prompt_cache_key"));
    assert_eq!(source(By::Session), Some("prompt_cache_key"));
    assert_eq!(source(By::Prefix), Some(PREFIX));
    let body = r#"{"messages":[{"role":"user","content":"b"}]}"#;
    let source = |by| found(by, Dialect::Chat, body).map(|found| found.source);
    assert_eq!(source(By::Auto), Some(PREFIX));
    assert_eq!(source(By::Session), None);
    for nothing in [
        "{}",
        r#"{"messages":[]}"#,
        r#"{"messages":null}"#,
        r#"{"input":"x"}"#,
        "[]",
        "x",
    ] {
        assert_eq!(found(By::Auto, Dialect::Chat, nothing), None, "{nothing}");
    }
}

#[test]
fn another_model_or_caller_is_another_beginning() {
    let body = br#"{"messages":[{"role":"user","content":"b"}]}"#;
    let usual = sought(By::Prefix, Dialect::Chat);
    let model = Sought { model: 2, ..usual };
    let owner = Sought { owner: 8, ..usual };
    let key = |sought| of_body(sought, body).unwrap().key;
    assert_ne!(key(&usual), key(&model));
    assert_ne!(key(&usual), key(&owner));
}
