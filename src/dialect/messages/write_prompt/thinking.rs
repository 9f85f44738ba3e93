//! How a model is told how much it is to think.

use super::turns;
use crate::dialect::compose::Composer;
use crate::dialect::fields;
use crate::dialect::messages::model::{Class, Thinking as Kind};
use crate::dialect::prompt::{Choice, Effort, Prompt, Thinking};
use crate::wire::json;

/// The thinking that is sent.
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

/// What a prompt wishes, as a budget and as a level of effort.
struct Wish {
    /// Of tokens.
    budget: u64,
    /// The level's name.
    level: &'static str,
}

impl<'a> Thought<'a> {
    /// The thinking for a prompt whose turns are shaped, with a model of `class`.
    pub(super) fn choose(prompt: &Prompt<'a>, class: &Class, max_tokens: &[u8]) -> Self {
        // What is no count is the API's to refuse.
        let count = || serde_json::from_slice(max_tokens).unwrap_or(0);
        let (wish, max_tokens) = match prompt.thinking {
            Thinking::Given(object) => return Self::Given(object),
            // A model that is not asked to think does not.
            Thinking::Unsaid | Thinking::Off | Thinking::Named(_) => return Self::Unsaid,
            // A forced call and thinking exclude each other.
            Thinking::Effort(_) | Thinking::Budget(_) if is_forced(prompt.choice.as_ref()) => {
                return Self::Unsaid;
            }
            Thinking::Effort(effort) => {
                let count = count();
                (Wish::of_effort(effort, count), count)
            }
            Thinking::Budget(tokens) => {
                let count = count();
                (Wish::of_budget(tokens, count), count)
            }
        };
        match class.thinking {
            Kind::Never => Self::Unsaid,
            Kind::Budget if max_tokens <= BUDGET_MIN => Self::Unsaid,
            // The API wants the signed thoughts of a turn that goes on.
            Kind::Budget if turns::goes_on_without_thoughts(&prompt.turns) => Self::Unsaid,
            Kind::Budget => Self::Budget(wish.budget),
            Kind::Adaptive(levels) => {
                let has_level = levels.contains(&wish.level);
                Self::Adaptive(if has_level { wish.level } else { "high" })
            }
        }
    }

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

impl Wish {
    /// Half of the tokens are left for the answer.
    fn of_effort(effort: Effort, max_tokens: u64) -> Self {
        let (budget, level) = match effort {
            Effort::Minimal | Effort::Low => (1_024, "low"),
            Effort::Medium => (2_048, "medium"),
            Effort::High => (4_096, "high"),
            Effort::Xhigh => (8_192, "xhigh"),
            Effort::Max => (16_384, "max"),
        };
        Self {
            budget: budget.min((max_tokens / 2).max(BUDGET_MIN)),
            level,
        }
    }

    /// As many tokens as the caller says. A budget is a bound and no wish, so that it never
    /// stands for more than high effort.
    fn of_budget(tokens: u64, max_tokens: u64) -> Self {
        let level = match tokens {
            0..2_048 => "low",
            2_048..8_192 => "medium",
            8_192.. => "high",
        };
        Self {
            budget: tokens.min(max_tokens.saturating_sub(1)).max(BUDGET_MIN),
            level,
        }
    }
}

/// Whether a tool must be called.
const fn is_forced(choice: Option<&Choice<'_>>) -> bool {
    match choice {
        Some(Choice::Any | Choice::Tool(_)) => true,
        Some(Choice::Auto | Choice::None) | None => false,
    }
}

/// The smallest budget that the API takes; it must be below `max_tokens`.
const BUDGET_MIN: u64 = 1_024;
