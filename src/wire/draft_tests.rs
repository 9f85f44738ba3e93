//! Edits by path, compared with the same edits of a parsed document.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::wire::rules::{Kind, Rule, Rules};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// A rule as the file has it: `set a.b 5`, `rename a b`.
fn rule(text: &str) -> Rule {
    let mut words = text.splitn(3, ' ');
    let (kind, at, rest) = (words.next().unwrap(), words.next().unwrap(), words.next());
    let value = || rest.unwrap().as_bytes().into();
    match kind {
        "rename" => Rule::rename(path(at), path(rest.unwrap())),
        "remove" => Rule::remove(path(at)),
        "default" => Rule::default(path(at), value()),
        "set" => Rule::set(path(at), value()),
        other => panic!("{other}"),
    }
}

/// The body after these rules, and what they have changed.
fn edited(body: &str, rules: &[&str]) -> (String, Vec<String>) {
    let rules = Rules::new(rules.iter().map(|text| rule(text)).collect());
    let mut names = Vec::new();
    rules.name(&mut names);
    let mut draft = Draft::new(body.as_bytes(), names);
    let mut changed = Vec::new();
    rules.apply(&mut draft, |_| true, |rule| changed.push(rule.to_string()));
    let edited = draft.finish().unwrap();
    let mut out = Vec::new();
    edited.splice(body.as_bytes()).write(&mut out);
    assert_eq!(edited.is_empty(), out == body.as_bytes());
    (String::from_utf8(out).unwrap(), changed)
}

fn check(body: &str, rules: &[&str], expected: &str) {
    assert_eq!(edited(body, rules).0, expected, "{rules:?}");
}

#[test]
fn nothing_else_changes() {
    let body = "{ \"a\" : 1.50e1 ,\n\t\"b\":\"\\u00e9\\/\", \"c\": \
                {\"d\" :  [1,2 ] , \"e\":0.10}, \"z\":null }\n";
    check(body, &[], body);
    check(body, &["set a 2"], &body.replace("1.50e1", "2"));
    check(body, &["set a 1.50e1", "remove q", "default b 5"], body);
    check(
        body,
        &["remove a"],
        &body.replace("\"a\" : 1.50e1 ,\n\t", ""),
    );
    check(
        body,
        &["remove b"],
        &body.replace(" ,\n\t\"b\":\"\\u00e9\\/\"", ""),
    );
    check(body, &["remove z"], &body.replace(", \"z\":null", ""));
    check(body, &["rename a x"], &body.replace("\"a\"", "\"x\""));
    check(body, &["rename c.e c.f"], &body.replace("\"e\"", "\"f\""));
    check(body, &["set c.e 7"], &body.replace("0.10", "7"));
    check(
        body,
        &["remove c.d"],
        &body.replace("\"d\" :  [1,2 ] , ", ""),
    );
    check(body, &["default z 5"], &body.replace("null", "5"));
    check(body, &["default y 5"], &body.replacen('{', "{\"y\":5,", 1));
    check(
        body,
        &["set c.x.y true"],
        &body.replace("{\"d\"", "{\"x\":{\"y\":true},\"d\""),
    );
    check(
        body,
        &["rename c.d t"],
        &body
            .replace("\"d\" :  [1,2 ] , ", "")
            .replacen('{', "{\"t\":[1,2 ],", 1),
    );
}

#[test]
fn every_place_of_a_comma() {
    let body = r#"{"a":1,"b":2,"c":3}"#;
    for (rules, expected) in [
        (&["remove a"][..], r#"{"b":2,"c":3}"#),
        (&["remove a", "remove b"], r#"{"c":3}"#),
        (&["remove b", "remove c"], r#"{"a":1}"#),
        (&["remove a", "remove c"], r#"{"b":2}"#),
        (&["remove a", "remove b", "remove c"], "{}"),
        (
            &["remove a", "remove b", "remove c", "set d 4", "set e 5"],
            r#"{"d":4,"e":5}"#,
        ),
        (&["remove a", "set d 4"], r#"{"d":4,"b":2,"c":3}"#),
        (&["remove c", "set d 4"], r#"{"d":4,"a":1,"b":2}"#),
    ] {
        check(body, rules, expected);
    }
    check(
        "{}",
        &["remove a", "default b.c.d [1]"],
        r#"{"b":{"c":{"d":[1]}}}"#,
    );
    check(" { } ", &["set a 1"], " {\"a\":1 } ");
    check(
        r#"{"a":{}}"#,
        &["set a.b 1", "default a.c 2"],
        r#"{"a":{"c":2,"b":1}}"#,
    );
}

#[test]
fn a_rename_moves_a_value_unless_the_target_has_one() {
    for (body, expected) in [
        (r#"{"a":1}"#, r#"{"b":1}"#),
        (r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (r#"{"a":1,"b":null}"#, r#"{"b":1}"#),
        (r#"{"b":2}"#, r#"{"b":2}"#),
        (r#"{"a":null}"#, r#"{"b":null}"#),
        (r#"{"a":1,"x":0,"a":2}"#, r#"{"x":0,"b":2}"#),
    ] {
        check(body, &["rename a b"], expected);
    }
    for (body, expected) in [
        (r#"{"a":1}"#, r#"{"b":{"c":1}}"#),
        (r#"{"a":1,"b":{"d":2}}"#, r#"{"b":{"c":1,"d":2}}"#),
        (r#"{"a":1,"b":{"c":2}}"#, r#"{"b":{"c":2}}"#),
        (r#"{"a":1,"b":null}"#, r#"{"b":{"c":1}}"#),
        // There is no way into a list: the value stays.
        (r#"{"a":1,"b":[2]}"#, r#"{"a":1,"b":[2]}"#),
    ] {
        check(body, &["rename a b.c"], expected);
    }
    check(
        r#"{"a":{"x":1},"k":0}"#,
        &["rename a b.c", "set b.c.y 2", "remove b.c.x"],
        r#"{"b":{"c":{"y":2}},"k":0}"#,
    );
    check(r#"{"a":1}"#, &["rename a b", "rename b c"], r#"{"c":1}"#);
}

#[test]
fn values_that_are_no_objects_are_not_entered() {
    for body in [
        r#"{"a":1}"#,
        r#"{"a":"b"}"#,
        r#"{"a":[{"b":1}]}"#,
        r#"{"a":true}"#,
    ] {
        check(
            body,
            &["set a.b 1", "default a.b 2", "remove a.b", "rename a.b c"],
            body,
        );
    }
    check(r#"{"a":null}"#, &["set a.b 1"], r#"{"a":{"b":1}}"#);
    check(r#"{"a":null}"#, &["remove a.b"], r#"{"a":null}"#);
}

#[test]
fn hostile_names_are_the_names_that_json_reads() {
    check(r#"{"\u0061":1,"b":2}"#, &["remove a"], r#"{"b":2}"#);
    check(r#"{"\u0061":1}"#, &["rename a b"], r#"{"b":1}"#);
    check(
        r#"{"a":1,"\u0061":2,"A":3}"#,
        &["set a 5"],
        r#"{"a":5,"A":3}"#.replace("\"a\"", "\"\\u0061\"").as_str(),
    );
    check(
        r#"{"a":{"b":1},"a":{"b":2}}"#,
        &["remove a.b"],
        r#"{"a":{}}"#,
    );
    check(r#"{"a":{"b":1},"a":3}"#, &["set a.b 5"], r#"{"a":3}"#);
    // Half a surrogate pair is no name that a rule can have.
    check(r#"{"\ud800":1,"a":2}"#, &["remove a"], r#"{"\ud800":1}"#);
    check(
        r#"{"b":"\"a\":1,{","a":2}"#,
        &["remove a"],
        r#"{"b":"\"a\":1,{"}"#,
    );
    let deep = format!(
        r#"{{"x":{}{},"a":1}}"#,
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    check(&deep, &["remove a"], &deep.replace(",\"a\":1", ""));
    check("{\"a\":1}", &["rename a q\"\\x"], r#"{"q\"\\x":1}"#);
}

#[test]
fn too_many_members_of_one_name_are_too_many() {
    let body = |count| format!("{{{}\"b\":1}}", "\"a\":1,".repeat(count));
    let of = |count| {
        let body = body(count);
        let a = path("a");
        let mut draft = Draft::new(body.as_bytes(), vec![b"a"]);
        draft.remove(&a);
        draft.finish().is_some()
    };
    assert!(of(MEMBERS_MAX) && !of(MEMBERS_MAX + 1) && !of(100_000));
    assert_eq!(edited(&body(MEMBERS_MAX), &["remove a"]).0, r#"{"b":1}"#);
    let others = format!("{{{}\"a\":1}}", "\"b\":1,".repeat(100_000));
    check(&others, &["remove a"], &others.replace(",\"a\":1", ""));
    for text in ["", "[]", "5", "{\"a\":", "{\"a\":1"] {
        assert!(
            Draft::new(text.as_bytes(), vec![b"a"]).finish().is_none(),
            "{text}"
        );
    }
}

#[test]
fn what_has_changed_is_told_without_values() {
    let rules = [
        "set a 1",
        "set b 2",
        "remove c",
        "rename d e.f",
        "default g 3",
        "default h 4",
    ];
    let (_, changed) = edited(r#"{"a":1,"c":0,"d":"secret","g":9}"#, &rules);
    assert_eq!(
        changed,
        ["rename d to e.f", "remove c", "default h", "set b"]
    );
}

#[test]
fn many_edits_are_joined_where_they_are_near() {
    let names: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    let members: Vec<String> = names
        .iter()
        .enumerate()
        .flat_map(|(i, name)| {
            let long = if i % 7 == 0 { 200 } else { 3 };
            [
                format!("\"{name}\": {i}"),
                format!("\"o{i}\":\"{}\"", "x".repeat(long)),
            ]
        })
        .collect();
    let body = format!("{{{}}}", members.join(" , "));
    let rules: Vec<String> = names
        .iter()
        .map(|name| format!("set {name} true"))
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let (out, changed) = edited(&body, &rules);
    assert_eq!(changed.len(), 40);
    let mut expected = body;
    for i in 0..40 {
        expected = expected.replace(&format!("\"k{i}\": {i} "), &format!("\"k{i}\": true "));
    }
    assert_eq!(out, expected);
}

/// The same rules on a parsed document.
fn apply(document: &mut Value, text: &str) {
    let mut words = text.splitn(3, ' ');
    let (kind, at, rest) = (words.next().unwrap(), words.next().unwrap(), words.next());
    let value = || serde_json::from_str::<Value>(rest.unwrap()).unwrap();
    match kind {
        "rename" => {
            let Some(moved) = get(document, at).cloned() else {
                return;
            };
            let is_taken = get(document, rest.unwrap()).is_some_and(|value| !value.is_null());
            if is_taken || put(document, rest.unwrap(), moved) {
                take(document, at);
            }
        }
        "remove" => take(document, at),
        "default" if get(document, at).is_none_or(Value::is_null) => {
            put(document, at, value());
        }
        "default" => {}
        _ => {
            put(document, at, value());
        }
    }
}

fn get<'v>(document: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.')
        .try_fold(document, |value, name| value.as_object()?.get(name))
}

fn put(document: &mut Value, path: &str, value: Value) -> bool {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let Some(object) = document.as_object_mut() else {
        return false;
    };
    let Some(rest) = rest else {
        object.insert(first.to_owned(), value);
        return true;
    };
    let inner = object.entry(first).or_insert(Value::Null);
    if inner.is_null() {
        *inner = Value::Object(Map::new());
    }
    put(inner, rest, value)
}

fn take(document: &mut Value, path: &str) {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let Some(object) = document.as_object_mut() else {
        return;
    };
    match rest {
        None => {
            object.remove(first);
        }
        Some(rest) => {
            if let Some(inner) = object.get_mut(first) {
                take(inner, rest);
            }
        }
    }
}

/// JSON text of a small object, with blanks, escapes in names, repeated names and long values.
fn object() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("1"),
        Just("null"),
        Just("\"a\""),
        Just("[1, {\"a\":2}]"),
        Just("{}"),
        Just("-0.10")
    ]
    .prop_map(str::to_owned);
    let name = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("\\u0061"),
        Just("other")
    ];
    scalar.prop_recursive(3, 24, 5, move |inner| {
        let member = (name.clone(), "[ \n]{0,2}", inner);
        proptest::collection::vec(member, 0..5).prop_map(|members| {
            let members: Vec<String> = members
                .iter()
                .map(|(name, space, value)| {
                    format!("{space}\"{name}\"{space}:{space}{value}{space}")
                })
                .collect();
            format!("{{{}}}", members.join(","))
        })
    })
}

fn rules() -> impl Strategy<Value = Vec<String>> {
    let path = "(a|b|c|d)(\\.(a|b|d)){0,2}";
    let value = prop_oneof![
        Just("5"),
        Just("null"),
        Just("{\"a\":{\"b\":1},\"x\":2}"),
        Just("[]")
    ];
    let rule =
        (0..4_usize, path, path, value).prop_filter_map("within", |(kind, one, two, value)| {
            let (from, to) = (self::path(&one), self::path(&two));
            match Kind::ALL[kind] {
                Kind::Rename if from.is_within(&to) || to.is_within(&from) => None,
                Kind::Rename => Some(format!("rename {one} {two}")),
                Kind::Remove => Some(format!("remove {one}")),
                Kind::Default => Some(format!("default {one} {value}")),
                Kind::Set => Some(format!("set {one} {value}")),
            }
        });
    proptest::collection::vec(rule, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn edits_are_those_of_the_parsed_document(body in object(), rules in rules()) {
        prop_assume!(body.starts_with('{'));
        let mut expected: Value = serde_json::from_str(&body).unwrap();
        let mut sorted: Vec<&str> = rules.iter().map(String::as_str).collect();
        sorted.sort_by_key(|text| rule(text).kind());
        for text in &sorted {
            apply(&mut expected, text);
        }
        let (out, _) = edited(&body, &sorted);
        let found: Value = serde_json::from_str(&out).expect(&out);
        prop_assert_eq!(found, expected, "{} with {:?}: {}", body, sorted, out);
    }

    #[test]
    fn never_panics(body in "[{}\\[\\]\",:ab\\\\ 1]{0,40}") {
        let (a, b) = (path("a.b"), path("b"));
        let mut draft = Draft::new(body.as_bytes(), vec![b"a", b"b"]);
        draft.set(&a, b"1");
        draft.rename(&b, &a);
        draft.remove(&b);
        let _ = draft.finish().map(|edited| edited.splice(body.as_bytes()).len());
    }
}

#[test]
fn the_model_of_the_property_is_right() {
    let mut document = json!({"a": {"b": 1}, "c": 2});
    apply(&mut document, "rename a.b d.e");
    apply(&mut document, "set c.x 1");
    assert_eq!(document, json!({"a": {}, "d": {"e": 1}, "c": 2}));
}
