//! Tests of strict walks: what they come to the end of is JSON.

use proptest::prelude::*;

use super::*;
use crate::wire::json::respelt::respelt;

/// Walks through a value; the bits of `deep` say which containers are entered, the others are
/// stepped over.
fn walk_value(walk: &mut Walk<'_, true>, deep: &mut u64) -> Result<(), NotJson> {
    *deep = deep.rotate_right(1);
    let bracket = match walk.peek() {
        Some(b'{') if *deep & 1 != 0 => Bracket::Object,
        Some(b'[') if *deep & 1 != 0 => Bracket::Array,
        _ => return walk.value().map(drop),
    };
    assert!(walk.enter(bracket)?);
    loop {
        let has_entry = match bracket {
            Bracket::Object => walk.name()?.is_some(),
            Bracket::Array => walk.element()?,
        };
        if !has_entry {
            return Ok(());
        }
        walk_value(walk, deep)?;
    }
}

/// Whether a strict walk comes to the end of `text`.
fn is_walked(text: &[u8], mut deep: u64) -> bool {
    let mut walk = Walk::strict(text);
    walk_value(&mut walk, &mut deep).is_ok() && walk.end().is_ok()
}

/// JSON without escapes of four digits, which are put in elsewhere.
const TEXT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","n":[0,-1.5e3,10,null],
    "choices":[{"index":0,"message":{"role":"assistant","content":"a \n\"b","x":{}},
    "finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":9,"total":true},
    "a name of more than sixteen bytes":false,"last":[]}"#;

#[test]
fn json_is_walked_and_nothing_else() {
    for text in ["{}", "[]", " [ { } , 1 ] ", "0", "\"\"", TEXT] {
        assert!(is_walked(text.as_bytes(), u64::MAX), "{text}");
    }
    let fill = "x".repeat(40);
    for broken in [
        r#"{"a":01,"fill":"_"}"#,
        r#"{"a":-,"fill":"_"}"#,
        "{\"a\":\"\t\",\"fill\":\"_\"}",
        "{\"a\tb\":1,\"fill\":\"_\"}",
        r#"{"\x":1,"fill":"_"}"#,
        r#"{"a":"\x","fill":"_"}"#,
        r#"{"a":nulll,"fill":"_"}"#,
        r#"{"a":[1,],"fill":"_"}"#,
        r#"{"a":[1 2],"fill":"_"}"#,
        r#"{"a":{"b":[}]},"fill":"_"}"#,
        r#"{"a":1,,"fill":"_"}"#,
        r#"{"a":1,"fill":"_",}"#,
        r#"{"fill":"_"} x"#,
        r#"{"fill":"_""#,
    ] {
        let broken = broken.replace('_', &fill);
        assert!(!check::is_json(broken.as_bytes()), "{broken}");
        for deep in [0, 1, u64::MAX] {
            assert!(!is_walked(broken.as_bytes(), deep), "{broken}");
        }
    }
}

proptest! {
    #[test]
    fn text_is_walked_to_its_end_if_it_is_json(
        text in concat!(
            r#"(\{|\}|\[|\]|"a{0,40}"|"\\n"|"|\\u00e9|:|,"#,
            r#"|0?1|-2\.5e3|0|true|null| |\t|é){0,16}"#,
        ),
        deep: u64,
    ) {
        let text = text.as_bytes();
        prop_assert_eq!(is_walked(text, deep), check::is_json(text));
    }

    #[test]
    fn a_byte_more_or_less_is_noticed(
        seed: u64, deep: u64, at: prop::sample::Index,
        extra in prop::option::of("[\"\\\\{},:x0\\[\n]"),
    ) {
        let mut text = respelt(TEXT, seed);
        prop_assert!(is_walked(text.as_bytes(), deep));
        let at = at.index(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
        match extra {
            Some(extra) => text.insert_str(at, &extra),
            None => drop(text.remove(at)),
        }
        let text = text.as_bytes();
        prop_assert_eq!(is_walked(text, deep), check::is_json(text));
    }
}
