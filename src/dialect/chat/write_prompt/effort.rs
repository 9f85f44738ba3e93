//! How a model is told how much it is to think (rule MR10, and B9 of
//! reference/responses-inbound.md).

use std::borrow::Cow;

use super::{Host, Writer};
use crate::dialect::chat::model::{BesideTools, Level};
use crate::dialect::prompt::{Effort, Thinking};
use crate::wire::json::{Kind, Value};

impl<'w> Writer<'w> {
    /// The value of `reasoning_effort`, a string; `None`: none is sent.
    pub(super) fn effort(&self) -> Option<Cow<'w, [u8]>> {
        let (prompt, class) = (self.prompt, self.class);
        // Of the models of other vendors nothing is known, and Ollama takes what its models take.
        let is_unknown = class.efforts.is_empty() && !class.is_openai;
        let takes_any = is_unknown || self.model.host == Host::Ollama;
        let is_bound = !prompt.tools.is_empty() && class.beside_tools == BesideTools::Least;
        let thinking = match prompt.thinking {
            Thinking::Named(name) if takes_any => return Some(Cow::Borrowed(name)),
            Thinking::Named(name) => {
                let known = Thinking::of_effort(&Value {
                    text: name,
                    at: 0,
                    kind: Kind::String,
                });
                // The model may have newer levels than the table.
                let is_newer = known.is_none() && !class.efforts.is_empty() && !is_bound;
                if is_newer {
                    return Some(Cow::Borrowed(name));
                }
                known.unwrap_or_default()
            }
            thinking @ (Thinking::Unsaid
            | Thinking::Off
            | Thinking::Effort(_)
            | Thinking::Budget(_)
            | Thinking::Given(_)) => thinking,
        };
        let least = *class.efforts.first()?;
        let level = if is_bound {
            least
        } else {
            level(thinking, &class.efforts, least)?
        };
        let name = level.map_or("none", Effort::name);
        Some(Cow::Owned([b"\"", name.as_bytes(), b"\""].concat()))
    }
}

/// The level for what is wished, of those that the model has; `None`: nothing is wished.
fn level(thinking: Thinking<'_>, levels: &[Level], least: Level) -> Option<Level> {
    let wanted = match thinking {
        Thinking::Unsaid | Thinking::Named(_) | Thinking::Given(_) => return None,
        Thinking::Off => return Some(least),
        Thinking::Effort(effort) => effort,
        // A budget is a cap, not a wish: never above high.
        Thinking::Budget(..2_048) => Effort::Low,
        Thinking::Budget(..8_192) => Effort::Medium,
        Thinking::Budget(_) => Effort::High,
    };
    let known = levels.iter().rev().find(|level| **level <= Some(wanted));
    Some(known.copied().unwrap_or(least))
}
