//! Lengths and sampling: numbers that are passed on as they were written.

use std::borrow::Cow;

use crate::dialect::messages::model::{Class, Sampling};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// How long the answer may be.
pub(super) struct Lengths<'a> {
    /// What is sent.
    pub(super) max_tokens: Cow<'a, [u8]>,
}

impl<'a> Lengths<'a> {
    pub(super) fn read(
        max_completion_tokens: Option<Value<'a>>,
        max_tokens: Option<Value<'a>>,
        class: &Class,
    ) -> Result<Self, Unsupported> {
        let newer = number(max_completion_tokens, "max_completion_tokens")?;
        let given = newer.or(number(max_tokens, "max_tokens")?);
        let default = || Cow::Owned(class.max_tokens.to_string().into_bytes());
        Ok(Self {
            max_tokens: given.map_or_else(default, Cow::Borrowed),
        })
    }

    /// The length as a count; zero where it is no count.
    pub(super) fn count(&self) -> u64 {
        serde_json::from_slice(&self.max_tokens).unwrap_or(0)
    }
}

/// The sampling parameters.
#[derive(Clone, Copy)]
pub(super) struct Sampled<'a> {
    pub(super) temperature: Option<&'a [u8]>,
    pub(super) top_p: Option<&'a [u8]>,
    pub(super) top_k: Option<&'a [u8]>,
}

impl<'a> Sampled<'a> {
    /// Reads `temperature`, `top_p` and `top_k`.
    pub(super) fn read(
        [temperature, top_p, top_k]: [Option<Value<'a>>; 3],
    ) -> Result<Self, Unsupported> {
        Ok(Self {
            temperature: number(temperature, "temperature")?,
            top_p: number(top_p, "top_p")?,
            top_k: number(top_k, "top_k")?,
        })
    }

    /// The parameters that may be sent: none with thinking, and never both of the first two.
    pub(super) fn allowed(self, class: &Class, is_thinking: bool) -> Self {
        if is_thinking || class.sampling == Sampling::Refused {
            return Self {
                temperature: None,
                top_p: None,
                top_k: None,
            };
        }
        let (Some(given), value) = (self.temperature, float(self.temperature)) else {
            return self;
        };
        // 1 is the default of both APIs: then the caller's choice is the other parameter.
        if value == Some(1.0) && self.top_p.is_some() && float(self.top_p) != Some(1.0) {
            return Self {
                temperature: None,
                ..self
            };
        }
        let is_high = value.is_some_and(|value| value > 1.0);
        Self {
            temperature: Some(if is_high { b"1" } else { given }),
            top_p: None,
            top_k: self.top_k,
        }
    }
}

fn number<'a>(value: Option<Value<'a>>, place: &str) -> Result<Option<&'a [u8]>, Unsupported> {
    match value {
        Some(value) if value.kind != Kind::Number => {
            Err(Unsupported::new(place, "is not a number"))
        }
        value => Ok(value.map(|value| value.text)),
    }
}

fn float(number: Option<&[u8]>) -> Option<f64> {
    std::str::from_utf8(number?).ok()?.parse().ok()
}
