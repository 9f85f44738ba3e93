//! What each model of the Messages API accepts, by its name: the one table of it.

/// What a class of models accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The `max_tokens` of a request that sets none; the API requires one.
    pub max_tokens: u64,
    /// Whether `temperature`, `top_p` and `top_k` may be sent.
    pub sampling: Sampling,
    /// How a request turns thinking on.
    pub thinking: Thinking,
    /// How a request asks for JSON of a certain schema.
    pub schema: SchemaSupport,
}

/// Whether sampling parameters may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// They may.
    Accepted,
    /// Each of them is an error, even with its default value.
    Refused,
}

/// How a request turns a model's thinking on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// The model does not think.
    Never,
    /// With a budget of tokens.
    Budget,
    /// With one of these levels of effort.
    Adaptive(&'static [&'static str]),
}

/// Whether `output_config.format` is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaSupport {
    /// It is.
    Native,
    /// It is not; the model can only be asked in words.
    Instruction,
}

/// The class of the model that the provider calls `model`.
#[must_use]
pub fn class_of(model: &str) -> &'static Class {
    let Some(name) = model.strip_prefix("claude-") else {
        return &COMPATIBLE;
    };
    let row = TABLE
        .iter()
        .find(|(patterns, _)| patterns.iter().any(|pattern| matches(pattern, name)));
    row.map_or(&COMPATIBLE, |(_, class)| class)
}

/// A `*` at the end of a pattern stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let (own, other) = (pattern.as_bytes().first(), name.as_bytes().first());
    if own != other && own != Some(&b'*') {
        return false;
    }
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The first matching row counts, of patterns for what stands behind `claude-`. Where Google serves
/// the model, an `@` precedes the date.
const TABLE: [(&[&str], Class); 8] = [
    (
        &["3-opus*", "3-sonnet*", "3-haiku*"],
        old(4_096, Thinking::Never),
    ),
    (
        &["3-5-*", "haiku-3-5", "sonnet-3-5"],
        old(8_192, Thinking::Never),
    ),
    (&["3-7-*"], old(64_000, Thinking::Budget)),
    (
        &[
            "opus-4",
            "opus-4@*",
            "opus-4-0",
            "opus-4-1",
            "opus-4-1-*",
            "opus-4-1@*",
            "opus-4-2025*",
        ],
        old(32_000, Thinking::Budget),
    ),
    (
        &["sonnet-4", "sonnet-4@*", "sonnet-4-0", "sonnet-4-2025*"],
        old(64_000, Thinking::Budget),
    ),
    (
        &["opus-4-5*", "sonnet-4-5*", "haiku-4-5*"],
        Class {
            schema: SchemaSupport::Native,
            ..old(64_000, Thinking::Budget)
        },
    ),
    (
        &["opus-4-6*", "sonnet-4-6*"],
        Class {
            schema: SchemaSupport::Native,
            ..old(
                64_000,
                Thinking::Adaptive(&["low", "medium", "high", "max"]),
            )
        },
    ),
    (
        &["*"],
        Class {
            max_tokens: 64_000,
            sampling: Sampling::Refused,
            thinking: Thinking::Adaptive(&["low", "medium", "high", "xhigh", "max"]),
            schema: SchemaSupport::Native,
        },
    ),
];

/// Models of other makers, behind compatible servers.
const COMPATIBLE: Class = old(4_096, Thinking::Never);

const fn old(max_tokens: u64, thinking: Thinking) -> Class {
    Class {
        max_tokens,
        sampling: Sampling::Accepted,
        thinking,
        schema: SchemaSupport::Instruction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_their_classes() {
        for (model, row) in [
            ("claude-3-opus-20240229", 0),
            ("claude-3-sonnet-20240229", 0),
            ("claude-3-haiku-20240307", 0),
            ("claude-3-5-haiku-20241022", 1),
            ("claude-haiku-3-5", 1),
            ("claude-sonnet-3-5", 1),
            ("claude-3-7-sonnet-latest", 2),
            ("claude-opus-4", 3),
            ("claude-opus-4-0", 3),
            ("claude-opus-4-20250514", 3),
            ("claude-opus-4-1", 3),
            ("claude-opus-4-1-20250805", 3),
            ("claude-sonnet-4", 4),
            ("claude-sonnet-4-0", 4),
            ("claude-sonnet-4-20250514", 4),
            ("claude-sonnet-4@20250514", 4),
            ("claude-opus-4-5", 5),
            ("claude-sonnet-4-5-20250929", 5),
            ("claude-haiku-4-5-20251001", 5),
            ("claude-opus-4-6", 6),
            ("claude-sonnet-4-6", 6),
            ("claude-haiku-4-6", 7),
            ("claude-opus-4-7", 7),
            ("claude-opus-4-10", 7),
            ("claude-sonnet-5-5", 7),
            ("claude-fable-1", 7),
            ("claude-mythos-1", 7),
        ] {
            assert_eq!(class_of(model), &TABLE[row].1, "{model}");
        }
        for model in ["", "MiniMax-M2", "anthropic.claude-3", "Claude-opus-4-7"] {
            assert_eq!(class_of(model), &COMPATIBLE, "{model}");
        }
    }

    #[test]
    fn classes_accept_what_the_api_accepts_of_them() {
        use {Sampling::*, SchemaSupport::*, Thinking::*};
        for (model, max_tokens, sampling, thinking, schema) in [
            ("claude-3-opus-x", 4_096, Accepted, Never, Instruction),
            ("claude-3-5-x", 8_192, Accepted, Never, Instruction),
            ("claude-3-7-x", 64_000, Accepted, Budget, Instruction),
            ("claude-opus-4", 32_000, Accepted, Budget, Instruction),
            ("claude-sonnet-4", 64_000, Accepted, Budget, Instruction),
            ("claude-haiku-4-5", 64_000, Accepted, Budget, Native),
            (
                "claude-opus-4-6",
                64_000,
                Accepted,
                Adaptive(&["low", "medium", "high", "max"]),
                Native,
            ),
            (
                "claude-opus-5",
                64_000,
                Refused,
                Adaptive(&["low", "medium", "high", "xhigh", "max"]),
                Native,
            ),
            ("other", 4_096, Accepted, Never, Instruction),
        ] {
            let expected = Class {
                max_tokens,
                sampling,
                thinking,
                schema,
            };
            assert_eq!(class_of(model), &expected, "{model}");
        }
    }
}
