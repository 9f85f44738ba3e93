//! How much the model is to think.

use super::messages::Conversation;
use super::tools::Tools;
use crate::dialect::compose::Composer;
use crate::dialect::fields;
use crate::dialect::messages::model::{Class, Thinking};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Value};

/// The thinking that a request asks for.
pub(super) enum Thought<'a> {
    /// Nothing.
    Unsaid,
    /// The caller's own `thinking` object.
    Given(&'a [u8]),
    /// So many tokens.
    Budget(u64),
    /// As the model sees fit, with this effort.
    Adaptive(&'static str),
}

/// The levels of `reasoning_effort`.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    name: &'static str,
    budget: u64,
    /// The level's name for adaptive models.
    level: &'static str,
}

/// Reads `reasoning_effort`; `None`: the caller wants none.
pub(super) fn read_effort(value: Option<Value<'_>>) -> Result<Option<Effort>, Unsupported> {
    let Some(value) = value else {
        return Ok(None);
    };
    if fields::says(&value, "none") {
        return Ok(None);
    }
    let known = EFFORTS
        .iter()
        .find(|effort| fields::says(&value, effort.name));
    known
        .map(|effort| Some(*effort))
        .ok_or_else(|| Unsupported::new("reasoning_effort", "is not a known level"))
}

/// The thinking for an effort with a model of `class`.
pub(super) fn choose<'a>(
    effort: Option<Effort>,
    class: &Class,
    max_tokens: u64,
    tools: &Tools<'_>,
    conversation: &Conversation<'_>,
) -> Thought<'a> {
    // A forced call and thinking exclude each other.
    let Some(effort) = effort.filter(|_| !tools.is_forced()) else {
        return Thought::Unsaid;
    };
    match class.thinking {
        Thinking::Never => Thought::Unsaid,
        // The API would want the signed thinking of the open turn, which this history does not
        // have.
        Thinking::Budget if conversation.ends_with_tool_results() => Thought::Unsaid,
        Thinking::Budget if max_tokens <= BUDGET_MIN => Thought::Unsaid,
        // Half of the tokens are left for the answer.
        Thinking::Budget => Thought::Budget(effort.budget.min((max_tokens / 2).max(BUDGET_MIN))),
        Thinking::Adaptive(levels) => {
            let has_level = levels.contains(&effort.level);
            Thought::Adaptive(if has_level { effort.level } else { "high" })
        }
    }
}

impl Thought<'_> {
    /// Whether the model thinks.
    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Unsaid => false,
            Self::Given(object) => !json::member(object, b"type")
                .is_some_and(|member| fields::says(&member.value, "disabled")),
            Self::Budget(_) | Self::Adaptive(_) => true,
        }
    }

    /// The value of `output_config.effort`.
    pub(super) const fn effort(&self) -> Option<&'static str> {
        match self {
            Self::Adaptive(level) => Some(level),
            Self::Unsaid | Self::Given(_) | Self::Budget(_) => None,
        }
    }

    /// Writes `thinking`.
    pub(super) fn write(&self, body: &mut Composer<'_>) {
        match self {
            Self::Unsaid => {}
            Self::Given(object) => body.raw("thinking", object),
            Self::Budget(tokens) => {
                let mut thinking = Composer::object(body.member("thinking"));
                thinking.string("type", "enabled");
                thinking.number("budget_tokens", *tokens);
                thinking.end();
            }
            // Without `display` the text of the thoughts would be empty.
            Self::Adaptive(_) => {
                body.raw("thinking", br#"{"type":"adaptive","display":"summarized"}"#);
            }
        }
    }
}

/// The smallest budget that the API takes; it must be below `max_tokens`.
const BUDGET_MIN: u64 = 1_024;

const EFFORTS: [Effort; 6] = [
    effort("minimal", 1_024, "low"),
    effort("low", 1_024, "low"),
    effort("medium", 2_048, "medium"),
    effort("high", 4_096, "high"),
    effort("xhigh", 8_192, "xhigh"),
    effort("max", 16_384, "max"),
];

const fn effort(name: &'static str, budget: u64, level: &'static str) -> Effort {
    Effort {
        name,
        budget,
        level,
    }
}
