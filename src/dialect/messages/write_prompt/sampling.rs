//! Sampling: numbers that are passed on as they were written.

use crate::dialect::messages::model::{Class, Sampling};
use crate::dialect::prompt::Prompt;

/// The sampling parameters that are sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Sampled<'a> {
    pub(super) temperature: Option<&'a [u8]>,
    pub(super) top_p: Option<&'a [u8]>,
    pub(super) top_k: Option<&'a [u8]>,
}

impl<'a> Sampled<'a> {
    /// The parameters that may be sent: none with thinking, and never both of the first two.
    pub(super) fn allowed(prompt: &Prompt<'a>, class: &Class, is_thinking: bool) -> Self {
        if is_thinking || class.sampling == Sampling::Refused {
            return Self::default();
        }
        let asked = Self {
            temperature: prompt.temperature,
            top_p: prompt.top_p,
            top_k: prompt.top_k,
        };
        let (Some(given), value) = (asked.temperature, float(asked.temperature)) else {
            return asked;
        };
        // 1 is the default of both APIs: then the caller's choice is the other parameter.
        if value == Some(1.0) && asked.top_p.is_some() && float(asked.top_p) != Some(1.0) {
            return Self {
                temperature: None,
                ..asked
            };
        }
        let is_high = value.is_some_and(|value| value > 1.0);
        Self {
            temperature: Some(if is_high { b"1" } else { given }),
            top_p: None,
            top_k: asked.top_k,
        }
    }
}

fn float(number: Option<&[u8]>) -> Option<f64> {
    std::str::from_utf8(number?).ok()?.parse().ok()
}
