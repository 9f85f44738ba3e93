//! Finds the line of the file that a fault is about.
//!
//! The YAML package gives a position only with an error. So the text is read once more for each
//! fault, by a reader that fails on purpose where the fault's path begins.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::config::faults::{Fault, printable};
use crate::config::raw::merge::MERGE;
use crate::config::raw::yaml;

/// Fills in the line of each of `faults`, which are about `text`. A path that the file does not
/// have, such as that of a missing field, gets the line of the block that it belongs to.
pub fn find<'a>(text: &str, faults: impl Iterator<Item = &'a mut Fault>) {
    let source = yaml::prepare(text);
    let reader = Reader {
        text: &source.text,
        left: Cell::new(BYTES_READ_MAX),
    };
    for fault in faults.filter(|fault| !fault.path.is_empty()) {
        let mut path = fault.path.as_str();
        fault.line = loop {
            let places = match &source.mixed {
                Some(mixed) => mixed.places(path),
                None => vec![path.to_owned()],
            };
            let line = places.iter().find_map(|place| reader.line_of(place));
            match (line, shorter(path)) {
                (None, Some(shorter)) => path = shorter,
                (line, _) => break line,
            }
        };
    }
}

/// Gives those of `faults` a line that are about a key which is missing at the top level of `text`:
/// the one where the file's own block begins.
pub fn find_missing<'a>(text: &str, faults: impl Iterator<Item = &'a mut Fault>) {
    let is_missing = |fault: &&mut Fault| {
        fault.line.is_none() && !fault.path.is_empty() && shorter(&fault.path).is_none()
    };
    let first = yaml::first_line(text);
    faults
        .filter(is_missing)
        .for_each(|fault| fault.line = Some(first));
}

/// The path one level up; `None` for the file as a whole.
fn shorter(path: &str) -> Option<&str> {
    let cut = path.rfind(['.', '['])?;
    path.get(..cut)
}

/// The text, and how much of it may still be read.
struct Reader<'a> {
    text: &'a str,
    left: Cell<usize>,
}

impl Reader<'_> {
    /// The line where `path` begins, in the block itself or else in the mappings that are merged
    /// into it.
    fn line_of(&self, path: &str) -> Option<usize> {
        let has_merges = self.text.contains(MERGE);
        let own = self.seek(path, Merged::LeftOut);
        own.or_else(|| has_merges.then(|| self.seek(path, Merged::Included))?)
    }

    fn seek(&self, path: &str, merged: Merged) -> Option<usize> {
        self.left.set(self.left.get().checked_sub(self.text.len())?);
        let seek = Seek {
            rest: path,
            merged,
            is_merge: false,
        };
        let error = seek
            .deserialize(serde_yaml::Deserializer::from_str(self.text))
            .err()?;
        let is_found = error.to_string().contains(FOUND);
        is_found.then(|| error.location().map(|at| at.line()))?
    }
}

/// Whether the values of merge keys are searched too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merged {
    LeftOut,
    Included,
}

/// Looks for the rest of a path, and fails at the place where it begins.
#[derive(Clone, Copy)]
struct Seek<'p> {
    rest: &'p str,
    merged: Merged,
    /// Whether this is the value of a merge key: a mapping, or a list of mappings.
    is_merge: bool,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'p> Seek<'p> {
    /// A single value contains nothing to look for.
    fn single<E: Error>(self) -> Result<(), E> {
        if self.rest.is_empty() {
            return Err(E::custom(FOUND));
        }
        Ok(())
    }

    /// The rest of the path behind `key`, if the path continues with that key.
    fn behind(self, key: &str) -> Option<&'p str> {
        let rest = self.rest.strip_prefix('.').unwrap_or(self.rest);
        let behind = rest.strip_prefix(printable(key).as_str())?;
        (behind.is_empty() || behind.starts_with(['.', '['])).then_some(behind)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.single()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.single()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.single()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.single()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.single()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.single()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.single()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.single()
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.single()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.single::<A::Error>()?;
        if self.is_merge {
            let item = Seek {
                is_merge: false,
                ..self
            };
            while seq.next_element_seed(item)?.is_some() {}
            return Ok(());
        }
        let item = self.rest.strip_prefix('[');
        let item = item.and_then(|rest| rest.split_once(']'));
        let item = item.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
        let (number, rest) = item.unwrap_or((usize::MAX, ""));
        for _ in 0..number {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Seek { rest, ..self })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.single::<A::Error>()?;
        while let Some(key) = map.next_key_seed(SeekKey(self))? {
            match key {
                KeyFound::Another => {
                    map.next_value::<IgnoredAny>()?;
                }
                KeyFound::Within(rest) => {
                    let is_merge = false;
                    let value = Seek {
                        rest,
                        is_merge,
                        ..self
                    };
                    map.next_value_seed(value)?;
                }
                KeyFound::Merge => {
                    let is_merge = true;
                    map.next_value_seed(Seek { is_merge, ..self })?;
                }
            }
        }
        Ok(())
    }
}

/// What a key of a mapping means for the path.
enum KeyFound<'p> {
    /// The path does not continue with this key.
    Another,
    /// The path continues below the key with this rest.
    Within(&'p str),
    /// The path may continue in a merged mapping.
    Merge,
}

/// Reads a key, and fails where the path ends with it.
struct SeekKey<'p>(Seek<'p>);

impl<'de, 'p> DeserializeSeed<'de> for SeekKey<'p> {
    type Value = KeyFound<'p>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<KeyFound<'p>, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for SeekKey<'p> {
    type Value = KeyFound<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<KeyFound<'p>, E> {
        if key == MERGE && self.0.merged == Merged::Included {
            return Ok(KeyFound::Merge);
        }
        match self.0.behind(key) {
            None => Ok(KeyFound::Another),
            Some("") => Err(E::custom(FOUND)),
            Some(rest) => Ok(KeyFound::Within(rest)),
        }
    }
}

/// The error that the reader fails with. Text from the file cannot look like it: its control
/// characters are escaped in errors.
const FOUND: &str = "\u{1}found";

/// How many bytes are read at most to find lines. A file with so many faults that this is not
/// enough leaves the last of them without a line: these are still told by their paths. It takes
/// about a second.
const BYTES_READ_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, expected: Option<usize>) {
        let mut fault = Fault {
            path: path.to_owned(),
            line: None,
            message: String::new(),
        };
        find(text, std::iter::once(&mut fault));
        assert_eq!(fault.line, expected, "{path} in {text}");
    }

    #[test]
    fn a_path_begins_in_the_line_of_its_key_or_item() {
        let text = "\
# a comment
listen:
  \":1\"
providers:
  - name: a
    model_aliases:
      gpt-4.1: x
      gpt-4.1-mini: y

  - {name: b, timeout: 5s,
     base_url: x}
pricing:
  a:
    gpt-4.1: {input_per_million: x}
";
        for (path, line) in [
            ("listen", 2),
            ("providers", 4),
            ("providers[0]", 5),
            ("providers[0].name", 5),
            ("providers[0].model_aliases", 6),
            ("providers[0].model_aliases.gpt-4.1", 7),
            ("providers[0].model_aliases.gpt-4.1-mini", 8),
            ("providers[1].timeout", 10),
            ("providers[1].base_url", 11),
            // A missing field gets the line of the block that is there.
            ("providers[1].api_key", 10),
            ("providers[0].rate_limits.requests_per_minute", 5),
            ("pricing.a.gpt-4.1.input_per_million", 14),
            ("pricing.a.gpt-4.1.output_per_million", 14),
        ] {
            check(text, path, Some(line));
        }
        check(text, "budgets", None);
        check(text, "", None);
    }

    #[test]
    fn what_is_merged_has_the_line_where_it_is_written() {
        let text = "\
x-defaults: &defaults
  timeout: 1
  weight: 0
providers:
  - <<: *defaults
    name: a
    weight: 2
  - name: b
    <<: [*defaults, {type: x}]
";
        check(text, "providers[0].timeout", Some(2));
        check(text, "providers[0].weight", Some(7));
        check(text, "providers[1].weight", Some(3));
        check(text, "providers[1].type", Some(9));
    }

    #[test]
    fn the_published_form_of_budgets_keeps_its_lines() {
        let text = "\
\u{feff}budgets:
  state_file: x
  - caller: a
    monthly_usd: y
  other: 1
  - caller: b
";
        check(text, "budgets.state_file", Some(2));
        check(text, "budgets.callers[0].monthly_usd", Some(4));
        check(text, "budgets.other", Some(5));
        check(text, "budgets.callers[1].monthly_usd", Some(6));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-c<*&:\\[\\]{}, \n-]{0,60}", path in "[a-c.\\[\\]0-9]{0,12}") {
            let mut fault = Fault { path, line: None, message: String::new() };
            find(&text, std::iter::once(&mut fault));
            let lines = text.lines().count();
            proptest::prop_assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)));
        }
    }
}
