//! JSON: the check, the walk and the edits, against serde_json.

use infermux::testing::readers::wire::draft::Draft;
use infermux::testing::readers::wire::json::check::{self, pieces::Pieces};
use infermux::testing::readers::wire::json::{
    Bracket, Kind, Value, Walk, elements, member, members, text_len,
};
use infermux::testing::readers::wire::path::Path;
use infermux::testing::readers::wire::rules::{Rule, Rules};
use serde::de::IgnoredAny;
use serde_json::Value as Tree;

use super::splits;
use crate::target::Target;

/// Valid or not, and what it says.
pub(super) const JSON: Target = Target {
    name: "json",
    run: json,
    times: 1_024,
    folders: &["anthropic/response", "messages/response", "matrix"],
    fronts: &[],
};

fn json(bytes: &[u8]) {
    let is_valid =
        serde_json::from_slice::<IgnoredAny>(bytes).is_ok() && std::str::from_utf8(bytes).is_ok();
    assert_eq!(check::is_json(bytes), is_valid);
    if let Some(end) = check::value_end(bytes, 0) {
        assert!(end <= bytes.len());
        if std::str::from_utf8(bytes).is_ok() {
            let value = &bytes[..end];
            assert!(
                serde_json::from_slice::<IgnoredAny>(value).is_ok(),
                "{value:?}"
            );
        }
    }
    arriving(bytes, is_valid);
    // On any bytes, every reader ends.
    read_all(bytes, 0);
    let _ = member(bytes, b"model");
    if is_valid && let Ok(tree) = serde_json::from_slice::<Tree>(bytes) {
        let mut walk = Walk::new(bytes);
        compare(&mut walk, &tree);
        assert!(walk.end().is_ok());
    }
}

/// An object that arrives in pieces.
fn arriving(bytes: &[u8], is_valid: bool) {
    let mut told = Vec::new();
    for reads in splits::of(bytes) {
        let (mut pieces, mut members, mut end) = (Pieces::default(), Vec::new(), 0);
        let mut is_odd = false;
        for read in reads {
            end += read.len();
            let arrived = &bytes[..end];
            if pieces
                .take_in(arrived, |member| members.push(member))
                .is_err()
            {
                is_odd = true;
                break;
            }
        }
        if !is_odd && pieces.is_whole(bytes) {
            // Whoever asks has made sure that the text is UTF-8.
            assert!(is_valid || std::str::from_utf8(bytes).is_err());
            told.push(members);
        }
    }
    for pair in told.windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

fn read_all(text: &[u8], depth: usize) {
    if depth > 8 {
        return;
    }
    for member in members(text).map_while(Result::ok) {
        assert_eq!(&text[member.value.span()], member.value.text);
        read_value(&member.value, depth);
    }
    for element in elements(text).map_while(Result::ok) {
        read_value(&element, depth);
    }
}

fn read_value(value: &Value<'_>, depth: usize) {
    let _ = (
        value.is_blank(),
        value.word(),
        value.says("model"),
        value.string_len(),
    );
    read_all(value.text, depth + 1);
}

/// Walks a valid text beside its tree.
fn compare(walk: &mut Walk<'_>, tree: &Tree) {
    match tree {
        Tree::Object(_) => {
            assert!(walk.enter(Bracket::Object).expect("valid"));
            let mut found = serde_json::Map::new();
            let mut room = Vec::new();
            while let Some(name) = walk.name().expect("valid") {
                let value = walk.value().expect("valid");
                let name = String::from_utf8(name.read(&mut room).to_vec()).expect("UTF-8");
                let inner = serde_json::from_slice(value.text).expect("valid");
                compare(&mut Walk::new(value.text), &inner);
                // The last one counts, for both.
                found.insert(name, inner);
            }
            assert_eq!(&Tree::Object(found), tree);
        }
        Tree::Array(all) => {
            assert!(walk.enter(Bracket::Array).expect("valid"));
            for inner in all {
                assert!(walk.element().expect("valid"));
                let value = walk.value().expect("valid");
                compare(&mut Walk::new(value.text), inner);
            }
            assert!(!walk.element().expect("valid"));
        }
        Tree::String(text) => {
            let value = walk.value().expect("valid");
            assert_eq!(value.kind, Kind::String);
            assert_eq!(value.string().as_deref(), Some(text.as_str()));
            assert_eq!(&*value.word(), text.as_bytes());
            assert!(value.says(text));
            let inner = &value.text[1..value.text.len() - 1];
            assert_eq!(value.string_len(), text_len(inner));
            assert!(value.string_len() <= inner.len());
        }
        Tree::Number(_) => assert_eq!(walk.value().expect("valid").kind, Kind::Number),
        Tree::Bool(true) => assert_eq!(walk.value().expect("valid").kind, Kind::True),
        Tree::Bool(false) => assert_eq!(walk.value().expect("valid").kind, Kind::False),
        Tree::Null => assert_eq!(walk.value().expect("valid").kind, Kind::Null),
    }
}

/// An object that is edited: a line for each rule, then the body.
pub(super) const DRAFT: Target = Target {
    name: "draft",
    run: draft,
    times: 256,
    folders: &[],
    fronts: &[],
};

fn draft(bytes: &[u8]) {
    let Some(body) = bytes.iter().position(|byte| *byte == b'{') else {
        return;
    };
    // A value of a rule may be an object, too: the body begins a line.
    let body = match bytes.windows(2).position(|pair| pair == b"\n{") {
        Some(end) => end + 1,
        None if body == 0 => 0,
        None => return,
    };
    let (rules, body) = bytes.split_at(body);
    let Ok(rules) = std::str::from_utf8(rules) else {
        return;
    };
    let rules = Rules::new(rules.lines().filter_map(rule).take(16).collect());
    let mut names = Vec::new();
    rules.name(&mut names);
    let mut draft = Draft::new(body, names);
    rules.apply(&mut draft, |_| true, |_| {});
    let Some(edited) = draft.finish() else {
        return;
    };
    let mut out = Vec::new();
    edited.splice(body).write(&mut out);
    // What was changed and changed back is an edit of nothing.
    assert!(!edited.is_empty() || out == body);
    if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        assert!(
            serde_json::from_slice::<IgnoredAny>(&out).is_ok(),
            "{out:?}"
        );
    }
}

fn rule(line: &str) -> Option<Rule> {
    let mut words = line.splitn(3, ' ');
    let (kind, at, rest) = (words.next()?, words.next()?, words.next());
    let path = Path::parse(at).ok()?;
    let value = || {
        let text = rest?;
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        Some(text.as_bytes().into())
    };
    Some(match kind {
        "rename" => Rule::rename(path, Path::parse(rest?).ok()?),
        "remove" => Rule::remove(path),
        "default" => Rule::default(path, value()?),
        "set" => Rule::set(path, value()?),
        _ => return None,
    })
}
