//! How much the model is to think.

use crate::dialect::fields;
use crate::dialect::prompt::{Effort, Thinking};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads `reasoning_effort`, and Anthropic's `thinking`, which counts where it is given.
pub(super) fn read<'a>(
    effort: Option<Value<'a>>,
    thinking: Option<Value<'a>>,
) -> Result<Thinking<'a>, Unsupported> {
    let effort = effort.map_or(Ok(Thinking::Unsaid), |effort| level(&effort))?;
    match thinking {
        None => Ok(effort),
        Some(given) if given.kind == Kind::Object => Ok(Thinking::Given(given.text)),
        Some(_) => Err(Unsupported::new("thinking", "is not an object")),
    }
}

fn level<'a>(effort: &Value<'_>) -> Result<Thinking<'a>, Unsupported> {
    let known = LEVELS.iter().find(|(name, _)| fields::says(effort, name));
    let known = known.map(|(_, level)| level.map_or(Thinking::Off, Thinking::Effort));
    known.ok_or_else(|| Unsupported::new("reasoning_effort", "is not a known level"))
}

/// The names of the levels.
const LEVELS: [(&str, Option<Effort>); 7] = [
    ("none", None),
    ("minimal", Some(Effort::Minimal)),
    ("low", Some(Effort::Low)),
    ("medium", Some(Effort::Medium)),
    ("high", Some(Effort::High)),
    ("xhigh", Some(Effort::Xhigh)),
    ("max", Some(Effort::Max)),
];
