//! How much the model is to think.

use crate::dialect::prompt::Thinking;
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
    Thinking::of_effort(effort)
        .ok_or_else(|| Unsupported::new("reasoning_effort", "is not a known level"))
}
