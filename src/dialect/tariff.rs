//! Puts a stream's cost into its usage, for callers who ask for that: no client library shows
//! trailers.

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::decide::pricing::{self, Row};
use crate::wire::json;
use crate::wire::json::Value;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// What a stream's cost is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// The prices of its model.
    pub row: Row,
    /// Length of its prompt, for an estimate.
    pub prompt_bytes: usize,
}

impl Tariff {
    /// The cost of `usage`; where the provider has stated none, a token is estimated for every four
    /// characters.
    #[must_use]
    pub fn cost(&self, usage: Option<Usage>, text_bytes: usize) -> NanoUsd {
        let usage = usage.unwrap_or_else(|| Usage {
            prompt: Tokens::estimated(self.prompt_bytes),
            completion: Tokens::estimated(text_bytes),
            ..Usage::default()
        });
        pricing::cost(&usage.counts(), &self.row)
    }
}

/// `cost` as the text of a number.
#[must_use]
pub fn number(cost: NanoUsd) -> Vec<u8> {
    let mut text = Vec::new();
    cost.write(&mut text);
    text
}

/// Puts `cost` into the object `usage`, replacing a former one.
pub fn insert<'a>(usage: &Value<'a>, cost: &'a [u8], splice: &mut Splice<'a>) {
    if let Some(told) = json::member(usage.text, NAME.as_bytes()) {
        let at = usage.at + told.value.at;
        splice.replace(at..at + told.value.text.len(), cost);
        return;
    }
    let end = usage.end() - 1;
    let is_empty = json::members(usage.text).next().is_none();
    splice.insert(
        end,
        if is_empty {
            b"\"cost_usd\":"
        } else {
            b",\"cost_usd\":"
        },
    );
    splice.insert(end, cost);
}

/// The cost's name in a usage.
pub const NAME: &str = "cost_usd";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_stands_in_the_usage_once() {
        for (usage, expected) in [
            (r#"{"a":1}"#, r#"{"a":1,"cost_usd":0.5}"#),
            ("{ }", r#"{ "cost_usd":0.5}"#),
            ("{}", r#"{"cost_usd":0.5}"#),
            (
                r#"{"cost_usd" : null, "a":1}"#,
                r#"{"cost_usd" : 0.5, "a":1}"#,
            ),
            (r#"{"cost\u005fusd":{"x":[]}}"#, r#"{"cost\u005fusd":0.5}"#),
        ] {
            let text = format!(r#"[0, {usage} ]"#);
            let value = json::elements(text.as_bytes()).nth(1).unwrap().unwrap();
            let cost = number(NanoUsd::new(500_000_000));
            let mut splice = Splice::new(text.as_bytes());
            insert(&value, &cost, &mut splice);
            let mut out = Vec::new();
            splice.write(&mut out);
            assert_eq!(out, format!("[0, {expected} ]").as_bytes());
        }
    }
}
