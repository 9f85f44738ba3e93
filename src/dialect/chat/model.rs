//! What each model behind chat completions accepts, by its name: the one table of it (section 0 of
//! reference/messages-inbound.md).

use crate::dialect::prompt::Effort;

/// What a class of models accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Whether these are OpenAI's own models, on whatever host.
    pub is_openai: bool,
    /// The field that bounds the answer.
    pub length: Length,
    /// Whether `temperature`, `top_p` and `stop` may be sent.
    pub sampling: Sampling,
    /// The levels of `reasoning_effort`, the least first; none: it is never sent.
    pub efforts: &'static [Level],
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

/// The class of the model that the provider calls `id`.
#[must_use]
pub fn class_of(id: &str) -> &'static Class {
    let name = id.rsplit('/').next().unwrap_or(id).as_bytes();
    let row = TABLE.iter().find(|(patterns, _)| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| matches(pattern.as_bytes(), name))
    });
    row.map_or(&OTHER, |(_, class)| class)
}

/// Whether `id` contains `word`, which is in lower case, in whatever case.
#[must_use]
pub fn contains(id: &str, word: &str) -> bool {
    let mut windows = id.as_bytes().windows(word.len());
    windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a model's `name` fits a pattern: `*` stands for any text, `#` for a digit.
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

/// The first matching row counts.
const TABLE: [(&[&str], Class); 7] = [
    (
        &["gpt-oss*"],
        Class {
            efforts: LOW_TO_HIGH,
            ..OTHER
        },
    ),
    (&["gpt-3*", "gpt-4*", "chatgpt-*", "gpt-*-chat*"], OPENAI),
    (
        &["o1*", "o3*", "o4*"],
        Class {
            serial: Serial::Refused,
            ..reasoning(LOW_TO_HIGH)
        },
    ),
    (
        &["gpt-5", "gpt-5-*"],
        reasoning(&[
            Some(Effort::Minimal),
            Some(Effort::Low),
            Some(Effort::Medium),
            Some(Effort::High),
        ]),
    ),
    (
        &["gpt-5.1*"],
        reasoning(&[
            None,
            Some(Effort::Low),
            Some(Effort::Medium),
            Some(Effort::High),
        ]),
    ),
    (
        &["gpt-5.2*", "gpt-5.3*", "gpt-5.4*", "gpt-5.5*"],
        Class {
            beside_tools: BesideTools::Least,
            ..reasoning(&[
                None,
                Some(Effort::Low),
                Some(Effort::Medium),
                Some(Effort::High),
                Some(Effort::Xhigh),
            ])
        },
    ),
    (
        &["gpt-#*"],
        Class {
            beside_tools: BesideTools::Least,
            ..reasoning(&[
                None,
                Some(Effort::Low),
                Some(Effort::Medium),
                Some(Effort::High),
                Some(Effort::Xhigh),
                Some(Effort::Max),
            ])
        },
    ),
];

/// Models that are not OpenAI's.
const OTHER: Class = Class {
    is_openai: false,
    length: Length::MaxTokens,
    sampling: Sampling::Accepted,
    efforts: &[],
    beside_tools: BesideTools::AsWanted,
    serial: Serial::Accepted,
};

/// OpenAI's models that do not reason.
const OPENAI: Class = Class {
    is_openai: true,
    length: Length::MaxCompletionTokens,
    ..OTHER
};

const LOW_TO_HIGH: &[Level] = &[Some(Effort::Low), Some(Effort::Medium), Some(Effort::High)];

const fn reasoning(efforts: &'static [Level]) -> Class {
    Class {
        sampling: Sampling::Refused,
        efforts,
        ..OPENAI
    }
}

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
            assert_eq!(class_of(model), &TABLE[row].1, "{model}");
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
    fn a_vendor_is_found_anywhere_in_an_id() {
        assert!(contains("deepseek-ai/R1", "deepseek"));
        assert!(contains("google/Gemini-3", "gemini"));
        assert!(!contains("kim", "kimi"));
    }
}
