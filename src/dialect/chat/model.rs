//! What each model behind chat completions accepts, by its name: `families.txt` is the one table of
//! it.

use std::sync::{Arc, LazyLock};

use memchr::memrchr;

use crate::dialect::prompt::Effort;
use crate::wire::path::Path;
use crate::wire::rules::{Rule, Rules};

/// What a class of models accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Whether these are OpenAI's own models, on whatever host.
    pub is_openai: bool,
    /// The field that bounds the answer.
    pub length: Length,
    /// Whether `temperature`, `top_p` and `stop` may be sent.
    pub sampling: Sampling,
    /// The levels of `reasoning_effort`, the least first; none: it is never sent.
    pub efforts: Vec<Level>,
    /// The effort of a request with tools.
    pub beside_tools: BesideTools,
    /// Whether `parallel_tool_calls` may be sent.
    pub serial: Serial,
}

/// The field that bounds an answer's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// Whether sampling parameters may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// They may.
    Accepted,
    /// Each of them is an error.
    Refused,
}

/// A level of `reasoning_effort`; `None` is the level `none`.
pub type Level = Option<Effort>;

/// The effort of a request with tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BesideTools {
    /// As wanted.
    AsWanted,
    /// `none`, whatever is wanted: the endpoint refuses tools beside any reasoning.
    Least,
}

/// Whether `parallel_tool_calls` may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serial {
    /// It may.
    Accepted,
    /// It is an error.
    Refused,
}

/// Models with names of the same form.
struct Family {
    patterns: Vec<Pattern>,
    class: Class,
    /// What OpenAI's own hosts refuse, as rules that leave it out.
    refused: Option<Arc<Rules>>,
}

/// A form of models' names.
struct Pattern {
    /// How they begin, which most names do not.
    start: &'static [u8],
    /// What follows: `*` stands for any text, `#` for a digit.
    rest: &'static [u8],
    /// The first bytes of `start`, as [`folded`] has them, and which of them there are.
    first: u64,
    there: u64,
}

impl Pattern {
    fn new(text: &'static str) -> Self {
        let text = text.as_bytes();
        let wild = text.iter().position(|byte| matches!(byte, b'*' | b'#'));
        let (start, rest) = text.split_at(wild.unwrap_or(text.len()));
        let mut there = [0; size_of::<u64>()];
        there
            .iter_mut()
            .zip(start)
            .for_each(|(there, _)| *there = u8::MAX);
        let there = u64::from_le_bytes(there);
        Self {
            start,
            rest,
            first: folded(start) & there,
            there,
        }
    }

    /// Whether it matches `name`, of which this is [`folded`].
    fn matches(&self, name: &[u8], folded: u64) -> bool {
        // Few names begin as a pattern does, and this tells most of the others apart.
        if folded & self.there != self.first {
            return false;
        }
        let Some((start, rest)) = name.split_at_checked(self.start.len()) else {
            return false;
        };
        start.eq_ignore_ascii_case(self.start) && matches(self.rest, rest)
    }
}

/// The class of the model that the provider calls `id`.
#[must_use]
pub fn class_of(id: &str) -> &'static Class {
    family_of(id).map_or(&OTHER, |family| &family.class)
}

/// What a request for the model `id` must not have at one of OpenAI's own hosts, as rules that
/// leave it out or rename it; `None`: nothing.
#[must_use]
pub fn refused_by(id: &str) -> Option<&'static Arc<Rules>> {
    family_of(id)?.refused.as_ref()
}

fn family_of(id: &str) -> Option<&'static Family> {
    let bytes = id.as_bytes();
    let name = bytes.get(memrchr(b'/', bytes).map_or(0, |slash| slash + 1)..)?;
    let folded = folded(name);
    FAMILIES.iter().find(|family| {
        let mut patterns = family.patterns.iter();
        patterns.any(|pattern| pattern.matches(name, folded))
    })
}

/// The first eight bytes of a name, the same for upper and lower case. Some other bytes are alike
/// in it, too.
fn folded(name: &[u8]) -> u64 {
    let mut first = [0; size_of::<u64>()];
    first
        .iter_mut()
        .zip(name)
        .for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(first) | u64::from_le_bytes([b' '; size_of::<u64>()])
}

/// Whether `id` contains `word`, which is in lower case, in whatever case.
#[must_use]
pub fn contains(id: &str, word: &str) -> bool {
    let mut windows = id.as_bytes().windows(word.len());
    windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `name` fits a pattern: `*` stands for any text, `#` for a digit.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*'], _) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|at| {
            let tail = name.get(at..).unwrap_or_default();
            matches(rest, tail)
        }),
        ([b'#', rest @ ..], [digit, tail @ ..]) => digit.is_ascii_digit() && matches(rest, tail),
        ([one, rest @ ..], [other, tail @ ..]) => {
            one.eq_ignore_ascii_case(other) && matches(rest, tail)
        }
        ([], _) | (_, []) => false,
    }
}

/// Reads a line of the table.
fn read(line: &'static str) -> Option<Family> {
    let mut words = line.split(' ');
    let patterns = list(words.next()?).map(Pattern::new).collect();
    let class = Class {
        is_openai: one_of(words.next()?, [("openai", true), ("-", false)])?,
        length: one_of(
            words.next()?,
            [
                ("max_tokens", Length::MaxTokens),
                ("max_completion_tokens", Length::MaxCompletionTokens),
            ],
        )?,
        sampling: one_of(
            words.next()?,
            [
                ("accepted", Sampling::Accepted),
                ("refused", Sampling::Refused),
            ],
        )?,
        efforts: list(words.next()?).map(level).collect::<Option<_>>()?,
        beside_tools: one_of(
            words.next()?,
            [
                ("as_wanted", BesideTools::AsWanted),
                ("least", BesideTools::Least),
            ],
        )?,
        serial: one_of(
            words.next()?,
            [("accepted", Serial::Accepted), ("refused", Serial::Refused)],
        )?,
    };
    let refused = list(words.next()?).map(refusal).collect();
    let refused = Rules::new(refused);
    let refused = (!refused.is_empty()).then(|| Arc::new(refused));
    words.next().is_none().then_some(Family {
        patterns,
        class,
        refused,
    })
}

fn list(words: &'static str) -> impl Iterator<Item = &'static str> {
    words.split(',').filter(|word| *word != "-")
}

fn one_of<T: Copy>(word: &str, known: [(&str, T); 2]) -> Option<T> {
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|(_, meaning)| *meaning)
}

fn level(word: &str) -> Option<Level> {
    if word == "none" {
        return Some(None);
    }
    let mut all = Effort::ALL.into_iter();
    all.find(|effort| effort.name() == word).map(Some)
}

/// `from>to` renames, any other word is left out.
fn refusal(word: &str) -> Rule {
    match word.split_once('>') {
        Some((from, to)) => Rule::rename(Path::of(&[from]), Path::of(&[to])),
        None => Rule::remove(Path::of(&[word])),
    }
}

/// Models of which nothing is known.
static OTHER: Class = Class {
    is_openai: false,
    length: Length::MaxTokens,
    sampling: Sampling::Accepted,
    efforts: Vec::new(),
    beside_tools: BesideTools::AsWanted,
    serial: Serial::Accepted,
};

/// The table. A test reads every line, so that none is left out here.
static FAMILIES: LazyLock<Vec<Family>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

const TEXT: &str = include_str!("families.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_their_classes() {
        for (model, row) in [
            ("gpt-oss-20b", 0),
            ("openai/gpt-oss-120b", 0),
            ("gpt-3.5-turbo", 1),
            ("gpt-4o-mini", 1),
            ("GPT-4.1", 1),
            ("openai/chatgpt-4o-latest", 1),
            ("gpt-5-chat-latest", 1),
            ("gpt-5.3-chat", 1),
            ("o1", 2),
            ("o3-mini", 2),
            ("o4-mini-2025-04-16", 2),
            ("gpt-5", 3),
            ("gpt-5-mini", 3),
            ("gpt-5.1", 4),
            ("gpt-5.1-codex", 4),
            ("gpt-5.2", 5),
            ("gpt-5.5-pro", 5),
            ("gpt-5.6", 6),
            ("gpt-6-astra", 6),
            ("openrouter/openai/gpt-7", 6),
        ] {
            assert_eq!(class_of(model), &FAMILIES[row].class, "{model}");
        }
        for model in [
            "",
            "gpt-",
            "gpt-neo",
            "qwen3-32b",
            "o5",
            "x/",
            "gpt-5/llama",
            "oo1",
        ] {
            assert_eq!(class_of(model), &OTHER, "{model}");
        }
    }

    #[test]
    fn the_first_bytes_pass_no_name_by() {
        for (pattern, name, is_it) in [
            ("gpt-#*", "gPt-4", true),
            ("gpt-#*", "gpt\r4", false),
            ("gpt-#*", "gpt", false),
            ("chatgpt-longer", "CHATGPT-LONGER", true),
            ("chatgpt-longer", "chatgpt-longed", false),
            ("o#", "o3", true),
            ("*x", "Zx", true),
            ("x", "", false),
        ] {
            let found = Pattern::new(pattern).matches(name.as_bytes(), folded(name.as_bytes()));
            assert_eq!(found, is_it, "{pattern}: {name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(FAMILIES.len(), lines.count());
        for line in [
            "",
            "a",
            "a - b",
            "a - max_tokens accepted - as_wanted accepted - more",
        ] {
            assert!(read(line).is_none(), "{line}");
        }
        let reasoning = class_of("gpt-5.1");
        let levels: Vec<&str> = reasoning
            .efforts
            .iter()
            .map(|level| level.map_or("none", Effort::name))
            .collect();
        assert_eq!(levels, ["none", "low", "medium", "high"]);
        assert_eq!(reasoning.sampling, Sampling::Refused);
    }

    #[test]
    fn what_reasoning_models_refuse_is_left_out_or_renamed() {
        let told = |model| -> Vec<String> {
            let rules = refused_by(model).into_iter();
            rules
                .flat_map(|rules| rules.iter())
                .map(ToString::to_string)
                .collect()
        };
        let rename = "rename max_tokens to max_completion_tokens";
        for model in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5-mini"] {
            let told = told(model);
            assert_eq!(told[0], rename, "{model}");
            for name in ["temperature", "top_p", "presence_penalty", "logprobs"] {
                assert!(told.contains(&format!("remove {name}")), "{model} {name}");
            }
        }
        // Without reasoning these take a temperature.
        assert_eq!(told("gpt-5.2"), [rename]);
        for model in ["gpt-4o", "gpt-5-chat-latest", "gpt-oss-20b", "llama", ""] {
            assert_eq!(told(model), [""; 0], "{model}");
        }
    }

    #[test]
    fn a_vendor_is_found_anywhere_in_an_id() {
        assert!(contains("deepseek-ai/R1", "deepseek"));
        assert!(contains("google/Gemini-3", "gemini"));
        assert!(!contains("kim", "kimi"));
    }
}
