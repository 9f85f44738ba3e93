//! Patterns in `models`: `gpt-4o*` claims every model whose name begins with `gpt-4o`.
//!
//! Which providers claim a model by their patterns depends only on the set of patterns that match
//! the name. So there is one route for each set of patterns that a name can match, made in advance.

use std::fmt;

use crate::base::ids::RouteId;
use crate::base::map::Map;

/// A pattern with one `*`, which stands for any text, also the empty one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    head: Box<str>,
    tail: Box<str>,
}

/// Which patterns match a name, a bit for each.
pub type Set = [u64; SET_WORDS];

/// Most different patterns in one file.
pub const PATTERNS_MAX: usize = 64 * SET_WORDS;
const SET_WORDS: usize = 4;

/// The routes of models that only patterns claim.
#[derive(Clone, Debug, Default)]
pub struct PatternRoutes {
    /// All patterns, each once.
    pub all: Box<[Pattern]>,
    /// Chat completions, by the patterns that match.
    pub chat: Map<Set, RouteId>,
    /// Completions and embeddings, likewise.
    pub other: Map<Set, RouteId>,
}

/// Whether an entry of `models` is a pattern.
#[must_use]
pub fn is_pattern(entry: &str) -> bool {
    entry.contains('*')
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence that starts with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, tail) = text.split_once('*').unwrap_or((text, ""));
        if tail.contains('*') {
            return Err(String::from("has more than one `*`"));
        }
        if head.is_empty() && !tail.is_empty() {
            return Err(String::from(
                "begins with `*`, which may stand at the end or in the middle",
            ));
        }
        Ok(Self {
            head: head.into(),
            tail: tail.into(),
        })
    }

    /// As the file has it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}*{}", self.head, self.tail)
    }

    /// Whether it claims the model called `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let between = name.strip_prefix(&*self.head);
        between.is_some_and(|between| between.ends_with(&*self.tail))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.head, self.tail)
    }
}

/// The patterns among `all` that match `name`.
#[must_use]
pub fn matching(all: &[Pattern], name: &str) -> Set {
    let mut set = Set::default();
    for (place, pattern) in all.iter().enumerate() {
        if pattern.matches(name) {
            set[place / 64] |= 1 << (place % 64);
        }
    }
    set
}

/// A list of names such that every set of patterns that some name matches is matched by one of
/// them.
///
/// Which patterns match a name depends on the longest head that it begins with, on the longest tail
/// that it ends with, and on how far these two overlap.
#[must_use]
pub fn specimens(all: &[Pattern]) -> Vec<String> {
    let tails = all.iter().map(|pattern| &*pattern.tail).chain([""]);
    let mut names = Vec::new();
    for tail in tails {
        for Pattern { head, .. } in all {
            names.push(format!("{head}{FILLER}{tail}"));
            let ends = tail.char_indices().map(|(at, _)| at).skip(1);
            for overlap in ends.chain([tail.len()]) {
                if head.ends_with(&tail[..overlap]) {
                    names.push(format!("{head}{}", &tail[overlap..]));
                }
            }
        }
    }
    names
}

/// A character that no pattern has: names in a file have no control characters.
const FILLER: char = '\u{1}';

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, yes, no) in [
            (
                "gpt-4o*",
                &["gpt-4o", "gpt-4o-mini"][..],
                &["gpt-4", "xgpt-4o"][..],
            ),
            (
                "gpt-*-mini",
                &["gpt-4o-mini", "gpt--mini"],
                &["gpt-mini", "gpt-4o"],
            ),
            ("ab*ba", &["abba", "abxba"], &["aba", "ab", "ba"]),
            ("*", &["", "anything"], &[]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.to_string(), pattern);
            assert!(yes.iter().all(|name| parsed.matches(name)), "{pattern}");
            assert!(!no.iter().any(|name| parsed.matches(name)), "{pattern}");
        }
        for (pattern, problem) in [
            ("a*b*", "has more than one `*`"),
            ("**", "has more than one `*`"),
            (
                "*-mini",
                "begins with `*`, which may stand at the end or in the middle",
            ),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(problem.to_owned()));
        }
    }

    proptest::proptest! {
        #[test]
        fn a_specimen_matches_whatever_a_name_matches(
            texts in proptest::collection::vec("[ab]{0,3}", 1..6),
            tails in proptest::collection::vec("[ab]{0,3}", 6),
            names in proptest::collection::vec("[abc]{0,7}", 20),
        ) {
            let pair = |(head, tail): (&String, &String)| {
                let tail = if head.is_empty() { "" } else { tail.as_str() };
                Pattern::parse(&format!("{head}*{tail}")).unwrap()
            };
            let all: Vec<Pattern> = texts.iter().zip(&tails).map(pair).collect();
            let known: HashSet<Set> =
                specimens(&all).iter().map(|name| matching(&all, name)).collect();
            for name in names {
                let set = matching(&all, &name);
                proptest::prop_assert!(set == Set::default() || known.contains(&set), "{name}");
            }
        }
    }

    #[test]
    fn every_pattern_has_a_bit() {
        let texts: Vec<String> = (0..PATTERNS_MAX).map(|i| format!("{i}-*")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all = patterns(&texts);
        assert_eq!(matching(&all, "255-x"), [0, 0, 0, 1 << 63]);
        assert_eq!(matching(&all, "64-x"), [0, 1, 0, 0]);
        assert_eq!(matching(&all, "x"), Set::default());
    }
}
