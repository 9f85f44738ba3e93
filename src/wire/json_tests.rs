//! Tests of the JSON reader: against tables, against serde_json, and on arbitrary bytes.

use std::borrow::Cow;

use proptest::prelude::*;

use super::respelt::respelt;
use super::*;

/// The names and values of an object, or where reading it failed.
fn walk(text: &str) -> Result<Vec<(String, String)>, usize> {
    members(text.as_bytes())
        .map(|member| {
            let member = member.map_err(|fault| fault.at)?;
            assert_eq!(&text.as_bytes()[member.value.span()], member.value.text);
            assert_eq!(
                &text.as_bytes()[member.name.at..][..member.name.quoted.len()],
                member.name.quoted
            );
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            Ok((
                text(&member.name.quoted[1..member.name.quoted.len() - 1]),
                text(member.value.text),
            ))
        })
        .collect()
}

#[test]
fn walks_the_members_of_one_level() {
    for (text, expected) in [
        ("{}", &[][..]),
        (" { \n} ", &[]),
        (r#"{"a":1}"#, &[("a", "1")]),
        (
            r#" { "a" : "x\"}" , "b" : [ 1 , "]" , {"c":[]} ] , "d":{"e":"}"},"f":null} "#,
            &[
                ("a", r#""x\"}""#),
                ("b", r#"[ 1 , "]" , {"c":[]} ]"#),
                ("d", r#"{"e":"}"}"#),
                ("f", "null"),
            ],
        ),
        (
            r#"{"\"":-1.5e+3,"":true,"\\":false}"#,
            &[("\\\"", "-1.5e+3"), ("", "true"), ("\\\\", "false")],
        ),
    ] {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        assert_eq!(walk(text), Ok(expected), "{text}");
    }
}

#[test]
fn says_where_an_object_is_none() {
    for (text, at) in [
        ("", 0),
        ("x", 0),
        ("[]", 0),
        ("{", 1),
        ("{,}", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1", 6),
        ("{\"a\":1,}", 7),
        ("{\"a\":1}x", 7),
        ("{\"a\":1 \"b\":2}", 7),
        ("{\"a\":nul}", 5),
        ("{\"a\":tree}", 5),
        ("{\"a\":\"x", 7),
        ("{\"a\":\"x\\\"", 9),
        ("{\"a\":[1,2", 9),
        ("{\"a\":{\"b\":\"}\"", 13),
        ("{a:1}", 1),
    ] {
        assert_eq!(walk(text), Err(at), "{text}");
    }
}

#[test]
fn deep_nesting_costs_neither_stack_nor_quadratic_time() {
    for opening in ["[", "{\"a\":", "[{\"a\":"] {
        let text = format!("{{\"a\":{}", opening.repeat(1 << 20));
        assert_eq!(walk(&text), Err(text.len()));
    }
    let closed = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert_eq!(walk(&closed).unwrap().len(), 1);
}

#[test]
fn tells_blank_values_from_others() {
    for (text, blank) in [
        ("null", true),
        ("false", true),
        ("true", false),
        ("0", true),
        ("-0.0", true),
        ("0.1", false),
        ("\"\"", true),
        ("\" \"", false),
        ("[ ]", true),
        ("[0]", false),
        ("{}", true),
        ("{\"a\":null}", false),
    ] {
        let list = format!("[{text}]");
        let value = elements(list.as_bytes()).next().unwrap().unwrap();
        assert_eq!(value.is_blank(), blank, "{text}");
    }
}

#[test]
fn reads_and_measures_strings() {
    for (text, said, length) in [
        (r#""""#, "", 0),
        (r#""abc""#, "abc", 3),
        (r#""a\nb\"c\\""#, "a\nb\"c\\", 6),
        (r#""\u0041\ud83d\ude00x""#, "A😀x", 4),
        (r#""é""#, "é", 2),
    ] {
        let list = format!("[{text}]");
        let value = elements(list.as_bytes()).next().unwrap().unwrap();
        assert_eq!(value.string().as_deref(), Some(said), "{text}");
        assert_eq!(value.string_len(), length, "{text}");
    }
    for text in [r#"["\ud83d"]"#, r#"["\x"]"#, "[1]"] {
        let value = elements(text.as_bytes()).next().unwrap().unwrap();
        assert_eq!(value.string(), None, "{text}");
    }
}

#[test]
fn takes_a_member_out_with_one_comma() {
    for (text, expected) in [
        (r#"{"u":null}"#, "{}"),
        (r#"{"u":null,"a":1}"#, r#"{"a":1}"#),
        (r#"{ "u" : null , "a":1}"#, r#"{  "a":1}"#),
        (r#"{"a":1,"u":null}"#, r#"{"a":1}"#),
        (r#"{"a":1 , "u": null }"#, r#"{"a":1  }"#),
        (r#"{"a":1, "u":null, "b":2}"#, r#"{"a":1, "b":2}"#),
    ] {
        let found = member(text.as_bytes(), b"u").unwrap();
        let mut left = text.to_owned();
        left.replace_range(removal(text.as_bytes(), &found), "");
        assert_eq!(left, expected, "{text}");
    }
}

/// Any JSON value, nested a few levels.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        any::<String>().prop_map(Into::into),
        "[\\[\\]{}\",:\\\\]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_a_full_parser(value in json_value(), pretty: bool) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        match &value {
            serde_json::Value::Object(map) => {
                let read: serde_json::Map<String, serde_json::Value> = members(text.as_bytes())
                    .map(|member| {
                        let member = member.unwrap();
                        (
                            serde_json::from_slice(member.name.quoted).unwrap(),
                            serde_json::from_slice(member.value.text).unwrap(),
                        )
                    })
                    .collect();
                prop_assert_eq!(&read, map);
            }
            serde_json::Value::Array(list) => {
                let read: Vec<serde_json::Value> = elements(text.as_bytes())
                    .map(|value| serde_json::from_slice(value.unwrap().text).unwrap())
                    .collect();
                prop_assert_eq!(&read, list);
            }
            _ => prop_assert!(members(text.as_bytes()).next().unwrap().is_err()),
        }
    }

    #[test]
    fn strings_survive_writing_and_reading(text: String) {
        let list = [b"[", quoted(&text).as_slice(), b"]"].concat();
        let value = elements(&list).next().unwrap().unwrap();
        prop_assert_eq!(value.string(), Some(Cow::Borrowed(text.as_str())));
    }

    #[test]
    fn a_word_is_known_however_it_is_spelt(word in "[a-z_]{1,12}", seed: u64) {
        let text = respelt(&format!(r#"{{"{word}":"{word}"}}"#), seed);
        let member = members(text.as_bytes()).next().unwrap().unwrap();
        prop_assert!(member.name.is(word.as_bytes()), "{}", text);
        prop_assert!(member.value.says(&word), "{}", text);
        let known = member.value.known(|read| (read == word.as_bytes()).then_some(()));
        prop_assert_eq!(known, Some(()), "{}", text);
        prop_assert_eq!(&*member.value.word(), word.as_bytes());
        let longer = format!("{word}x");
        prop_assert!(!member.value.says(&longer) && !member.name.is(longer.as_bytes()));
        prop_assert!(!member.value.says(&word[1..]) && !member.name.is(&word.as_bytes()[1..]));
    }

    #[test]
    fn never_panics_on_arbitrary_bytes(
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "[\\[\\]{}\",:\\\\ntu0 -]{0,64}".prop_map(String::into_bytes),
        ]
    ) {
        for value in elements(&text).flatten() {
            let _ = (value.is_blank(), value.string(), value.string_len());
        }
        for found in members(&text).flatten() {
            let _ = removal(&text, &found);
        }
    }
}
