//! A mapping of another router's file. It notes which of its keys are read, so that the others can
//! be told.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use crate::base::limits::FAULTS_MAX;
use crate::config::faults::{Fault, printable};
use crate::config::raw::{Node, Scalar};

/// What has no counterpart.
#[derive(Debug, Default)]
pub(super) struct Left {
    all: RefCell<Vec<Fault>>,
    literal_keys: Cell<usize>,
}

impl Left {
    /// Notes what is to be said of `path`.
    pub(super) fn note(&self, path: &str, message: impl Into<String>) {
        let mut all = self.all.borrow_mut();
        if all.len() < FAULTS_MAX {
            all.push(Fault::new(path, message.into()));
        }
    }

    /// Counts a key that is written in the file.
    pub(super) fn count_literal_key(&self) {
        self.literal_keys.set(self.literal_keys.get() + 1);
    }

    /// All that was noted, and how many keys are written in the file.
    pub(super) fn into_parts(self) -> (Vec<Fault>, usize) {
        (self.all.into_inner(), self.literal_keys.get())
    }
}

/// A mapping.
pub(super) struct Source<'a> {
    path: String,
    entries: &'a [(String, Node)],
    left: &'a Left,
    used: RefCell<HashSet<&'a str>>,
}

impl<'a> Source<'a> {
    /// The mapping with these `entries` at `path`, which is empty for the file as a whole.
    pub(super) fn new(path: &str, entries: &'a [(String, Node)], left: &'a Left) -> Self {
        Self {
            path: path.to_owned(),
            entries,
            left,
            used: RefCell::default(),
        }
    }

    /// Where what has no counterpart is noted.
    pub(super) const fn left(&self) -> &'a Left {
        self.left
    }

    /// The path of one of its keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        let key = printable(key);
        if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`; an empty one is none.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        let (name, node) = self.entries.iter().find(|(name, _)| name == key)?;
        self.used.borrow_mut().insert(name);
        (*node != Node::Null).then_some(node)
    }

    /// The text of a single value, as it is written.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.scalar(key).map(|scalar| scalar.text.trim())
    }

    /// A single value.
    pub(super) fn scalar(&self, key: &str) -> Option<&'a Scalar> {
        match self.node(key)? {
            Node::Scalar(scalar) => Some(scalar),
            other @ (Node::Null | Node::List(_) | Node::Map(_)) => {
                let found = other.describe();
                self.note(key, format!("is {found}, a single value is wanted"));
                None
            }
        }
    }

    /// A text in which references are infermux's.
    pub(super) fn reference(&self, key: &str) -> Option<String> {
        self.text(key)
            .filter(|text| !text.is_empty())
            .map(reference)
    }

    /// A positive whole number, as text.
    pub(super) fn count(&self, key: &str) -> Option<u64> {
        let text = self.text(key)?;
        let count = text.parse().ok().filter(|count| *count > 0);
        if count.is_none() {
            self.note(key, "is no whole number above 0, and is left out");
        }
        count
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, key: &str) -> Option<bool> {
        let text = self.text(key)?;
        Some(text.eq_ignore_ascii_case("true"))
    }

    /// A mapping below this one.
    pub(super) fn block(&self, key: &str) -> Option<Source<'a>> {
        match self.node(key)? {
            Node::Map(entries) => Some(Source::new(&self.path_of(key), entries, self.left)),
            other @ (Node::Null | Node::Scalar(_) | Node::List(_)) => {
                let found = other.describe();
                self.note(key, format!("is {found}, a mapping is wanted"));
                None
            }
        }
    }

    /// The items of a list, each with its path.
    pub(super) fn list(&self, key: &str) -> Vec<(String, &'a Node)> {
        match self.node(key) {
            None => Vec::new(),
            Some(Node::List(items)) => {
                let path = self.path_of(key);
                let items = items.iter().enumerate();
                items
                    .map(|(at, item)| (format!("{path}[{at}]"), item))
                    .collect()
            }
            Some(other) => {
                let found = other.describe();
                self.note(key, format!("is {found}, a list is wanted"));
                Vec::new()
            }
        }
    }

    /// The mappings of a list.
    pub(super) fn blocks(&self, key: &str) -> Vec<Source<'a>> {
        let items = self.list(key).into_iter();
        let blocks = items.filter_map(|(path, item)| match item {
            Node::Map(entries) => Some(Source::new(&path, entries, self.left)),
            other => {
                let found = other.describe();
                self.left
                    .note(&path, format!("is {found}, a mapping is wanted"));
                None
            }
        });
        blocks.collect()
    }

    /// Its keys and their values; all of them count as read.
    pub(super) fn entries(&self) -> &'a [(String, Node)] {
        let names = self.entries.iter().map(|(name, _)| name.as_str());
        self.used.borrow_mut().extend(names);
        self.entries
    }

    /// Notes what is to be said of the value of `key`.
    pub(super) fn note(&self, key: &str, message: impl Into<String>) {
        if let Some((name, _)) = self.entries.iter().find(|(name, _)| name == key) {
            self.used.borrow_mut().insert(name);
        }
        self.left.note(&self.path_of(key), message);
    }

    /// Notes all keys that are there and were not read; those in `told` with what is to be said of
    /// them.
    pub(super) fn rest(&self, told: &[(&str, &str)]) {
        let used = self.used.borrow();
        let rest = self
            .entries
            .iter()
            .filter(|(name, node)| !used.contains(name.as_str()) && *node != Node::Null);
        for (name, _) in rest {
            let known = told.iter().find(|(key, _)| key == name);
            let message = known.map_or(NO_COUNTERPART, |(_, message)| message);
            if !message.is_empty() {
                self.left.note(&self.path_of(name), message);
            }
        }
    }
}

/// A text of the other file: its references become infermux's, and a `$` stays one.
pub(super) fn reference(text: &str) -> String {
    match text.strip_prefix(ENVIRONMENT) {
        Some(name) if is_variable(name) => format!("${{{name}}}"),
        Some(_) | None => text.replace('$', "$$"),
    }
}

/// Whether a text of infermux's file names a variable.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("${")
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    !name.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const ENVIRONMENT: &str = "os.environ/";
const NO_COUNTERPART: &str = "has no counterpart";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::yaml;

    #[test]
    fn references_become_infermuxs_and_a_dollar_stays_one() {
        for (text, expected) in [
            ("os.environ/KEY_1", "${KEY_1}"),
            ("os.environ/", "os.environ/"),
            ("os.environ/A B", "os.environ/A B"),
            ("a$b ${X}", "a$$b $${X}"),
        ] {
            assert_eq!(reference(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_noted_with_its_path() {
        let entries = yaml::parse("a: 1\nb: {c: [x, {d: 2}], e: 3}\nf:\ng: [1]\nh: 0\n").unwrap();
        let left = Left::default();
        let root = Source::new("", &entries, &left);
        assert_eq!(root.text("a"), Some("1"));
        assert_eq!(root.text("g"), None);
        assert_eq!(root.count("h"), None);
        let block = root.block("b").unwrap();
        assert_eq!(block.blocks("c").len(), 1);
        block.rest(&[("e", "is told so")]);
        root.rest(&[]);
        let (all, _) = left.into_parts();
        let told: Vec<String> = all.iter().map(ToString::to_string).collect();
        let expected = [
            "g: is a list, a single value is wanted",
            "h: is no whole number above 0, and is left out",
            "b.c[0]: is a single value, a mapping is wanted",
            "b.e: is told so",
        ];
        assert_eq!(told, expected);
    }
}
