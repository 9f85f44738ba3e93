//! What the router reads of an answer that goes to the caller as it is, and the caller's name for
//! the model put back.

use std::ops::Range;

use crate::decide::units::Units;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// What the router reads of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Place of the value of `model`.
    pub model: Option<Range<usize>>,
    /// The usage that the provider states; `None`: it must be estimated.
    pub usage: Option<Usage>,
    /// Length of the text that was produced, for an estimate; none in embeddings.
    pub text_bytes: usize,
    /// Whether it says that the prompt is longer than the model's window: it is told only where no
    /// model with a larger one answers.
    pub is_overflow: bool,
    /// What it has brought besides tokens, where its price may be for that.
    pub units: Option<Box<Units>>,
}

impl View {
    /// The answer for the caller, with the caller's name for the model, a JSON string with its
    /// quotes. The view was read from `body`.
    #[must_use]
    pub fn edit<'a>(&self, body: &'a [u8], caller_model: &'a [u8]) -> Splice<'a> {
        let mut splice = Splice::new(body);
        if let Some(model) = self.model.clone()
            && body.get(model.clone()) != Some(caller_model)
        {
            splice.replace(model, caller_model);
        }
        splice
    }
}
