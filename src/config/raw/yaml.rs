//! YAML text to a tree of nodes. The only place that knows the YAML package.
//!
//! The tree keeps the text of every single value, so that `1e3`, `007` or a price with many digits
//! reach their field undamaged. The package gives either a value's shape or its text: a first pass
//! builds the tree, a second fills in the texts of numbers and truth values, where any of them is
//! written in an unusual way.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::base::limits::{CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, CONFIG_VALUES_MAX};
use crate::config::faults::{Fault, printable};
use crate::config::raw::mixed::{self, Mixed};
use crate::config::raw::{Node, Origin, Scalar, merge, pieces, plain};

/// Reads a document whose top level is a mapping; an empty one is an empty mapping.
///
/// # Errors
///
/// Why the text is not such a document, with line and column where there is one.
pub fn parse(text: &str) -> Result<Vec<(String, Node)>, Fault> {
    check(text, CONFIG_BYTES_MAX)?;
    if is_blank(text) {
        return Ok(Vec::new());
    }
    let source = prepare(text);
    let root = document(&source.text, CONFIG_VALUES_MAX)?;
    match root {
        Node::Null => Ok(Vec::new()),
        Node::Map(mut entries) => {
            merge::apply(&mut entries)?;
            if let Some(mixed) = source.mixed {
                mixed.gather(&mut entries).map_err(malformed)?;
            }
            // Keys with `x-` only held anchors, which are expanded by now.
            entries.retain(|(key, _)| !key.starts_with(EXTENSION));
            Ok(entries)
        }
        Node::Scalar(_) | Node::List(_) => Err(malformed(format!(
            "the file is {}, a mapping of fields is wanted at line {}",
            root.describe(),
            first_line(&source.text)
        ))),
    }
}

/// How large a document may be.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Most bytes.
    pub bytes: u64,
    /// Most values.
    pub values: usize,
}

/// Reads a document whose top level is a list of at most this `size`; an empty one is an empty
/// list.
///
/// # Errors
///
/// Why the text is not such a document, with line and column where there is one.
pub fn parse_list(text: &str, size: Size) -> Result<Vec<Node>, Fault> {
    check(text, size.bytes)?;
    if is_blank(text) {
        return Ok(Vec::new());
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if let Some(items) = list_in_pieces(text, size.values) {
        return Ok(items);
    }
    match document(text, size.values)? {
        Node::Null => Ok(Vec::new()),
        Node::List(items) => Ok(items),
        root @ (Node::Scalar(_) | Node::Map(_)) => Err(malformed(format!(
            "the file is {}, a list is wanted at line {}",
            root.describe(),
            first_line(text)
        ))),
    }
}

/// The first line that holds more than a comment, counted from 1; 1 where there is none.
#[must_use]
pub fn first_line(text: &str) -> usize {
    text.lines().position(|line| !is_blank(line)).unwrap_or(0) + 1
}

/// A long list, piece by piece. `None`: it is read as a whole, also to tell what is wrong with it.
fn list_in_pieces(text: &str, values_max: usize) -> Option<Vec<Node>> {
    let mut all = Vec::new();
    let mut left = values_max;
    for piece in pieces::of(text)? {
        let (root, values) = counted(piece, left).ok()?;
        let Node::List(items) = root else { return None };
        all.extend(items);
        left -= values;
    }
    Some(all)
}

/// Refuses a text that is too long, or takes too long.
fn check(text: &str, bytes_max: u64) -> Result<(), Fault> {
    if text.len() as u64 > bytes_max {
        return Err(malformed(format!(
            "the file is larger than {bytes_max} bytes"
        )));
    }
    refuse_what_takes_long(text)
}

fn document(text: &str, values_max: usize) -> Result<Node, Fault> {
    let (root, _) = counted(text, values_max)?;
    Ok(root)
}

/// A document, and how many values it has, of which there may be `values_max`.
fn counted(text: &str, values_max: usize) -> Result<(Node, usize), Fault> {
    let texts = if plain::is_plain(text) {
        Texts::OfValues
    } else {
        Texts::AsWritten
    };
    let shaped = shape(text, texts, values_max);
    let (mut root, words, values) = shaped.map_err(|error| placed(&error, text))?;
    if words == Words::Some {
        fill(text, &mut root).map_err(|error| placed(&error, text))?;
    }
    Ok((root, values))
}

/// A text in the form that the package reads; its lines are those of the file.
pub struct Source<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How its budgets were written, where they had the published form, which is not YAML.
    pub mixed: Option<Mixed>,
}

/// Makes a file's text YAML: its byte order mark is dropped, and budgets in the published form are
/// rewritten.
#[must_use]
pub fn prepare(text: &str) -> Source<'_> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    match mixed::rewrite(text) {
        Some((rewritten, mixed)) => Source {
            text: Cow::Owned(rewritten),
            mixed: Some(mixed),
        },
        None => Source {
            text: Cow::Borrowed(text),
            mixed: None,
        },
    }
}

/// Some editors put it at the beginning of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Top-level keys that begin like this are ignored: files use them for anchors.
const EXTENSION: &str = "x-";

/// Turns the package's error about `text` into a fault; for an error at the very beginning, and for
/// a second document, the package gives no position.
fn placed(error: &serde_yaml::Error, text: &str) -> Fault {
    let message = error.to_string();
    match error.location() {
        Some(at) if !message.contains(" line ") => malformed(format!(
            "{message} at line {} column {}",
            at.line(),
            at.column()
        )),
        Some(_) => malformed(message),
        None => {
            let begins = |line: &str| line.trim_end() == "---" || line.starts_with("--- ");
            let mut starts = text.lines().enumerate().filter(|(_, line)| begins(line));
            match starts.find(|(i, _)| text.lines().take(*i).any(|line| !is_blank(line))) {
                Some((i, _)) => malformed(format!("{message} at line {}", i + 1)),
                None => malformed(message),
            }
        }
    }
}

/// A fault with this message on one line: messages may quote keys and anchors of the file.
fn malformed(message: String) -> Fault {
    let on_one_line = !message.contains(char::is_control);
    let message = if on_one_line {
        message
    } else {
        message.escape_debug().to_string()
    };
    Fault::new("", message)
}

/// Whether the file has no document at all, which the package reports as an error.
fn is_blank(text: &str) -> bool {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#'))
}

/// The scanner's time grows with the square of the number of some things; real files have few of
/// them.
fn refuse_what_takes_long(text: &str) -> Result<(), Fault> {
    const BRACKETS_MAX: usize = 128;
    const DIRECTIVES_MAX: usize = 16;
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > BRACKETS_MAX {
            return Err(malformed(format!(
                "more than {BRACKETS_MAX} brackets are open at once at line {}",
                text.as_bytes()[..at].split(|byte| *byte == b'\n').count()
            )));
        }
    }
    if text.lines().filter(|line| line.starts_with('%')).count() > DIRECTIVES_MAX {
        return Err(malformed(format!(
            "there are more than {DIRECTIVES_MAX} directives"
        )));
    }
    Ok(())
}

/// Whether a tree has values whose text the first pass does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Some,
    None,
}

/// Where the texts of numbers and truth values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Texts {
    /// Their values say them: all of them are plain.
    OfValues,
    /// The file says them.
    AsWritten,
}

fn shape(
    text: &str,
    texts: Texts,
    values_max: usize,
) -> Result<(Node, Words, usize), serde_yaml::Error> {
    let (values, words) = (Cell::new(0), Cell::new(Words::None));
    let shape = Shape {
        depth: 0,
        values: &values,
        words: &words,
        texts,
        values_max,
    };
    let root = shape.deserialize(serde_yaml::Deserializer::from_str(text))?;
    Ok((root, words.get(), values.get()))
}

fn fill(text: &str, root: &mut Node) -> Result<(), serde_yaml::Error> {
    Fill(root).deserialize(serde_yaml::Deserializer::from_str(text))
}

/// First pass: the shape of the tree. [`CONFIG_DEPTH_MAX`] bounds the recursion, and
/// `values_max` the values that aliases expand to.
#[derive(Clone, Copy)]
struct Shape<'a> {
    depth: usize,
    values: &'a Cell<usize>,
    words: &'a Cell<Words>,
    texts: Texts,
    values_max: usize,
}

impl Shape<'_> {
    fn text<E>(text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar {
            text: text.to_owned(),
            origin: Origin::File,
            is_text: true,
        }))
    }

    /// A number or a truth value; unless it says its text, the second pass fills that in.
    fn word<E>(self, value: impl fmt::Display) -> Result<Node, E> {
        let text = match self.texts {
            Texts::OfValues => value.to_string(),
            Texts::AsWritten => {
                self.words.set(Words::Some);
                String::new()
            }
        };
        Ok(Node::Scalar(Scalar {
            text,
            origin: Origin::File,
            is_text: false,
        }))
    }

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth >= CONFIG_DEPTH_MAX {
            return Err(E::custom(format!(
                "nested deeper than {CONFIG_DEPTH_MAX} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Node, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > self.values_max {
            let most = self.values_max;
            return Err(D::Error::custom(format!("more than {most} values")));
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Self::text(text)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.word(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom("tags such as `!name` are not understood"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut entries: Vec<(String, Node)> = Vec::new();
        // Most mappings are small, and are looked through.
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key_seed(NewKey(&entries, &mut seen))? {
            let value = map.next_value_seed(inner)?;
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

/// A key that none of the entries before it has. The reader fails at the key itself, so that the
/// package names its place.
struct NewKey<'a>(&'a [(String, Node)], &'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<String, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        let Self(entries, seen) = self;
        let is_new = if entries.len() < FEW_ENTRIES {
            entries.iter().all(|(other, _)| other != key)
        } else {
            if seen.is_empty() {
                seen.extend(entries.iter().map(|(other, _)| other.clone()));
            }
            seen.insert(key.to_owned())
        };
        if is_new {
            return Ok(key.to_owned());
        }
        Err(E::custom(format!(
            "the mapping has the key `{}` twice",
            printable(key)
        )))
    }
}

/// A mapping with this many entries or more gets a table of its keys.
const FEW_ENTRIES: usize = 16;

/// Second pass: the text of every single value.
struct Fill<'a>(&'a mut Node);

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.0 {
            Node::Null => value.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            Node::Scalar(_) => value.deserialize_str(self),
            Node::List(_) => value.deserialize_seq(self),
            Node::Map(_) => value.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.describe())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if let Node::Scalar(scalar) = self.0 {
            text.clone_into(&mut scalar.text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Node::List(items) = self.0 else {
            return Ok(());
        };
        for item in items {
            seq.next_element_seed(Fill(item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Node::Map(entries) = self.0 else {
            return Ok(());
        };
        for (_, value) in entries {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Fill(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
