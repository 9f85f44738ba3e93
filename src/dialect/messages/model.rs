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
    let row = TABLE
        .iter()
        .find(|(patterns, _)| patterns.iter().any(|pattern| matches(pattern, model)));
    row.map_or(&COMPATIBLE, |(_, class)| class)
}

/// A `*` at the end of a pattern stands for any text.
fn matches(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => model.starts_with(start),
        None => model == pattern,
    }
}

/// The first matching row counts. Where Google serves the model, an `@` precedes the date.
const TABLE: [(&[&str], Class); 8] = [
    (
        &["claude-3-opus*", "claude-3-sonnet*", "claude-3-haiku*"],
        old(4_096, Thinking::Never),
    ),
    (
        &["claude-3-5-*", "claude-haiku-3-5", "claude-sonnet-3-5"],
        old(8_192, Thinking::Never),
    ),
    (&["claude-3-7-*"], old(64_000, Thinking::Budget)),
    (
        &[
            "claude-opus-4",
            "claude-opus-4@*",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-1-*",
            "claude-opus-4-1@*",
            "claude-opus-4-2025*",
        ],
        old(32_000, Thinking::Budget),
    ),
    (
        &[
            "claude-sonnet-4",
            "claude-sonnet-4@*",
            "claude-sonnet-4-0",
            "claude-sonnet-4-2025*",
        ],
        old(64_000, Thinking::Budget),
    ),
    (
        &[
            "claude-opus-4-5*",
            "claude-sonnet-4-5*",
            "claude-haiku-4-5*",
        ],
        Class {
            schema: SchemaSupport::Native,
            ..old(64_000, Thinking::Budget)
        },
    ),
    (
        &["claude-opus-4-6*", "claude-sonnet-4-6*"],
        Class {
            schema: SchemaSupport::Native,
            ..old(
                64_000,
                Thinking::Adaptive(&["low", "medium", "high", "max"]),
            )
        },
    ),
    (
        &["claude-*"],
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
            ("claude-3-haiku-20240307", 0),
            ("claude-3-5-haiku-20241022", 1),
            ("claude-haiku-3-5", 1),
            ("claude-3-7-sonnet-latest", 2),
            ("claude-opus-4-20250514", 3),
            ("claude-opus-4-1", 3),
            ("claude-opus-4-1-20250805", 3),
            ("claude-sonnet-4-0", 4),
            ("claude-sonnet-4@20250514", 4),
            ("claude-haiku-4-5-20251001", 5),
            ("claude-opus-4-6", 6),
            ("claude-haiku-4-6", 7),
            ("claude-opus-4-7", 7),
            ("claude-opus-4-10", 7),
            ("claude-sonnet-5-5", 7),
        ] {
            assert_eq!(class_of(model), &TABLE[row].1, "{model}");
        }
        for model in ["", "MiniMax-M2", "anthropic.claude-3", "Claude-opus-4-7"] {
            assert_eq!(class_of(model), &COMPATIBLE, "{model}");
        }
    }
}
