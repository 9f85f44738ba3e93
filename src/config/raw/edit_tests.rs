//! Tests of changes in the text of a file.

use proptest::prelude::*;

use super::*;
use crate::config::raw::yaml::Size;
use crate::config::raw::{Node, Scalar, yaml};

const SIZE: Size = Size {
    bytes: 1 << 20,
    values: 1 << 10,
};

/// Sets a field of an item of the list that `text` is.
fn set_in(text: &str, place: usize, name: &str, value: &str) -> String {
    let items = items(text, &document(text));
    set(text, &items[place], name, value)
}

#[test]
fn a_field_is_added_behind_the_others() {
    for (text, place, expected) in [
        ("- a: 1\n", 0, "- a: 1\n  x: y\n"),
        ("- a: 1", 0, "- a: 1\n  x: y"),
        ("- {a: 1}\n", 0, "- {a: 1, x: y}\n"),
        ("- {a: 1, }\n- {}\n", 0, "- {a: 1, x: y }\n- {}\n"),
        ("- {a: 1, }\n- {}\n", 1, "- {a: 1, }\n- {x: y}\n"),
        ("[{a: 1}, {b: [2]}]", 1, "[{a: 1}, {b: [2], x: y}]"),
        (
            "# ours\n\n- a: 1   # one\n  # between\n  b: 'it''s, {'  # two\n\n# next\n- a: 2\n",
            0,
            "# ours\n\n- a: 1   # one\n  # between\n  b: 'it''s, {'  # two\n  x: y\n\n# next\n\
             - a: 2\n",
        ),
        (
            "  - a: 1\r\n    b: # nothing\r\n  -\r\n    a: \"#\\\"\"\r\n",
            1,
            "  - a: 1\r\n    b: # nothing\r\n  -\r\n    a: \"#\\\"\"\r\n    x: y\r\n",
        ),
        (
            "---\n- a:\n  - b: 1\n  - {b: 2,\n     c: 3}  # end\n- a: 2\n",
            0,
            "---\n- a:\n  - b: 1\n  - {b: 2,\n     c: 3}  # end\n  x: y\n- a: 2\n",
        ),
        (
            "\u{feff}- nämlich: 'ü'\n- \"a b\": é\n",
            1,
            "\u{feff}- nämlich: 'ü'\n- \"a b\": é\n  x: y\n",
        ),
    ] {
        assert_eq!(set_in(text, place, "x", "y"), expected, "{text}");
    }
}

#[test]
fn the_value_of_a_field_is_replaced_and_nothing_else() {
    for (text, expected) in [
        ("- {a: 1, x: z}\n", "- {a: 1, x: y}\n"),
        ("- {a: 1, \"x\":z}\n", "- {a: 1, \"x\":y}\n"),
        ("- x: z # why\n  a: 1\n", "- x: y # why\n  a: 1\n"),
        ("- a: {x: 1}\n  x:\n", "- a: {x: 1}\n  x: y\n"),
        ("- a: 'x: 2'\n  'x': \"z\"\n", "- a: 'x: 2'\n  'x': y\n"),
        (
            "- a: http://x\n  # x: 3\n  x  : z\n",
            "- a: http://x\n  # x: 3\n  x  : y\n",
        ),
        (
            "- a:\n    x: 1\n  x: {b: [1, 2]}\n",
            "- a:\n    x: 1\n  x: y\n",
        ),
    ] {
        assert_eq!(set_in(text, 0, "x", "y"), expected, "{text}");
    }
}

#[test]
fn an_item_is_added_behind_the_others() {
    for (text, expected) in [
        (
            "- a  # one\n- b  # two\n\n# end\n",
            "- a  # one\n- b  # two\n- c\n\n# end\n",
        ),
        ("  - a", "  - a\n  - c"),
        ("[a, b]\n", "[a, b, c]\n"),
        ("[\n  a,\n  b, # last\n]\n", "[\n  a,\n  b, c # last\n]\n"),
    ] {
        assert_eq!(push(text, &document(text), "c"), expected, "{text}");
    }
}

/// A list of mappings as people write them.
#[derive(Clone, Debug)]
struct Written {
    items: Vec<Vec<(String, String)>>,
    is_flow: Vec<bool>,
    comment: String,
    indent: usize,
}

impl Written {
    fn text(&self) -> String {
        let (indent, comment) = (" ".repeat(self.indent), &self.comment);
        let mut text = format!("#{comment}\n");
        for (fields, is_flow) in self.items.iter().zip(&self.is_flow) {
            let fields = fields.iter().enumerate();
            if *is_flow {
                let fields: Vec<String> = fields.map(|(i, (_, v))| format!("f{i}: {v}")).collect();
                text += &format!("{indent}- {{{}}} #{comment}\n", fields.join(", "));
                continue;
            }
            for (i, (comment, value)) in fields {
                let mark = if i == 0 { "- " } else { "  " };
                text += &format!("{indent}{mark}f{i}: {value}  #{comment}\n\n");
            }
        }
        text
    }
}

fn written() -> impl Strategy<Value = Written> {
    let value = prop_oneof![
        "[a-z0-9*/-]{1,8}".prop_map(|word| format!("w{word}")),
        "[a-z #:,{}\\[\\]\"é-]{0,8}".prop_map(|text| format!("'{text}'")),
        "[a-z #:,{}\\[\\]'é-]{0,8}".prop_map(|text| format!("\"{text}\"")),
        "[a-z ]{0,5}".prop_map(|text| format!("[w, '{text}', {{k: 'v'}}]")),
    ];
    let comment = "[a-z #:,{}\\[\\]\"'é-]{0,8}";
    let item = proptest::collection::vec((comment, value), 1..5);
    let items = proptest::collection::vec(item, 1..5);
    let is_flow = proptest::collection::vec(any::<bool>(), 5);
    (items, is_flow, comment, 0..4_usize).prop_map(|(items, is_flow, comment, indent)| Written {
        items,
        is_flow,
        comment,
        indent,
    })
}

fn text_node(text: &str) -> Node {
    Node::Scalar(Scalar {
        text: text.to_owned(),
        origin: crate::config::raw::Origin::File,
        is_text: true,
    })
}

proptest! {
    #[test]
    fn one_field_of_one_item_changes_and_all_comments_stay(
        written in written(),
        place in 0..4_usize,
        name in 0..6_usize,
    ) {
        let text = written.text();
        let mut expected = yaml::parse_list(&text, SIZE).unwrap();
        let place = place % expected.len();
        let name = format!("f{name}");
        let Node::Map(entries) = &mut expected[place] else {
            panic!("no mapping");
        };
        match entries.iter_mut().find(|(key, _)| *key == name) {
            Some((_, value)) => *value = text_node("new"),
            None => entries.push((name.clone(), text_node("new"))),
        }
        let changed = set_in(&text, place, &name, "new");
        prop_assert_eq!(yaml::parse_list(&changed, SIZE).unwrap(), expected, "{}", changed);
        // Only one stretch of the text is another one.
        let before = text.bytes().zip(changed.bytes()).take_while(|(a, b)| a == b).count();
        let after = text.bytes().rev().zip(changed.bytes().rev()).take_while(|(a, b)| a == b);
        let same = before + after.count();
        let removed = text.len().saturating_sub(same);
        prop_assert!(!text.as_bytes()[before..before + removed].contains(&b'\n'), "{}", changed);
    }

    #[test]
    fn no_text_panics(text in "[a-c \n\r:,#'\"{}\\[\\]é&*-]{0,60}") {
        let span = document(&text);
        for item in items(&text, &span) {
            let _ = set(&text, &item, "a", "b");
        }
        let _ = (push(&text, &span, "c"), set(&text, &span, "a", "b"));
    }
}
