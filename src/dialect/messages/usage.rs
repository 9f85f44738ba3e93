//! The usage that an Anthropic message states.

use crate::base::tokens::Tokens;
use crate::wire::json::{self, Bracket, Kind, Value, Walk};
use crate::wire::usage::{self, Usage};

/// The counters of a `usage` object. Unlike OpenAI's, the input does not include tokens that were
/// read from or written to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    input: Tokens,
    output: Tokens,
    cache_write: Tokens,
    /// The part of `cache_write` that is kept for an hour, at a price of its own.
    cache_write_1h: Tokens,
    cache_read: Tokens,
    /// Part of the output; not every model states it.
    thinking: Option<Tokens>,
}

impl Counters {
    /// Reads a `usage` object; a member that is no count is zero.
    #[must_use]
    pub fn read(usage: &Value<'_>) -> Self {
        let (mut read, mut room) = (Self::default(), Vec::new());
        let mut walk = Walk::new(usage.text);
        if !matches!(walk.enter(Bracket::Object), Ok(true)) {
            return read;
        }
        while let Ok(Some(name)) = walk.name()
            && let Ok(value) = walk.value()
        {
            let told = count(&value);
            match name.read(&mut room) {
                b"input_tokens" => read.input = told.unwrap_or_default(),
                b"output_tokens" => read.output = told.unwrap_or_default(),
                b"cache_creation_input_tokens" => read.cache_write = told.unwrap_or_default(),
                b"cache_read_input_tokens" => read.cache_read = told.unwrap_or_default(),
                b"cache_creation" => {
                    let kept = detail(&value, b"ephemeral_1h_input_tokens");
                    read.cache_write_1h = kept.unwrap_or_default();
                }
                b"output_tokens_details" => {
                    read.thinking = detail(&value, b"thinking_tokens");
                }
                _ => {}
            }
        }
        read
    }

    /// Takes in a later `usage` object. The counters of a stream are cumulative, and a zero or
    /// `null` at its end takes nothing back: the largest value of each counts. Returns what the
    /// object states.
    pub fn note(&mut self, usage: &Value<'_>) -> Self {
        let later = Self::read(usage);
        *self = Self {
            input: self.input.max(later.input),
            output: self.output.max(later.output),
            cache_write: self.cache_write.max(later.cache_write),
            cache_write_1h: self.cache_write_1h.max(later.cache_write_1h),
            cache_read: self.cache_read.max(later.cache_read),
            thinking: self.thinking.max(later.thinking),
        };
        later
    }

    /// The usage of a message in OpenAI's terms.
    #[must_use]
    pub fn told(usage: &Value<'_>) -> Option<Usage> {
        Self::read(usage).usage(Tokens::ZERO)
    }

    /// Whether any output was counted.
    #[must_use]
    pub const fn has_output(&self) -> bool {
        self.output.get() > 0
    }

    /// The usage in OpenAI's terms, where at least `seen` tokens were generated; `None`: nothing
    /// was counted, so that an estimate is better.
    #[must_use]
    pub fn usage(&self, seen: Tokens) -> Option<Usage> {
        let prompt = self.prompt();
        (prompt > Tokens::ZERO || self.has_output()).then_some(Usage {
            prompt,
            completion: self.output.max(seen),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            thinking: self.thinking,
        })
    }

    /// The part of the output that the model has thought, where that was stated.
    #[must_use]
    pub const fn thinking(&self) -> Option<Tokens> {
        self.thinking
    }

    const fn prompt(&self) -> Tokens {
        self.input
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_read)
    }
}

fn detail(details: &Value<'_>, name: &[u8]) -> Option<Tokens> {
    if details.kind != Kind::Object {
        return None;
    }
    json::member(details.text, name).and_then(|member| count(&member.value))
}

fn count(value: &Value<'_>) -> Option<Tokens> {
    if value.kind != Kind::Number {
        return None;
    }
    let told = usage::digits(value.text).or_else(|| serde_json::from_slice(value.text).ok())?;
    Some(Tokens::new(told.min(TOLD_MAX)))
}

/// More than any request uses: one nonsensical count must not use up a year's budget.
const TOLD_MAX: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(usages: &[&str]) -> Counters {
        let list = format!("[{}]", usages.join(","));
        let mut counters = Counters::default();
        for usage in json::elements(list.as_bytes()) {
            counters.note(&usage.unwrap());
        }
        counters
    }

    #[test]
    fn a_streams_counters_are_cumulative() {
        let told = counters(&[
            r#"{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1}"#,
            r#"{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":15}"#,
        ]);
        let usage = told.usage(Tokens::ZERO).unwrap();
        let counts = usage.counts();
        assert_eq!(usage.prompt, Tokens::new(13));
        assert_eq!(counts.input, Tokens::new(9));
        assert_eq!(counts.cache_read, Tokens::new(4));
        assert_eq!(counts.output, Tokens::new(15));
    }

    #[test]
    fn what_a_cache_keeps_for_an_hour_is_counted_apart() {
        for (usages, expected) in [
            (
                &[
                    r#"{"input_tokens":3,"cache_creation_input_tokens":100,"cache_creation":
                    {"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}}"#,
                    r#"{"output_tokens":1}"#,
                ][..],
                [3, 40, 60],
            ),
            // A part larger than what was written is not billed twice.
            (
                &[
                    r#"{"input_tokens":3,"cache_creation_input_tokens":100,"cache_creation":
                    {"ephemeral_1h_input_tokens":900}}"#,
                ],
                [3, 0, 100],
            ),
            (
                &[r#"{"input_tokens":3,"cache_creation_input_tokens":9,"cache_creation":null}"#],
                [3, 9, 0],
            ),
        ] {
            let counts = counters(usages).usage(Tokens::ZERO).unwrap().counts();
            let found = [counts.input, counts.cache_write, counts.cache_write_1h];
            assert_eq!(found.map(Tokens::get), expected, "{usages:?}");
        }
    }

    #[test]
    fn nonsense_counts_nothing_or_little() {
        for text in [
            "null",
            "[]",
            "{}",
            r#"{"input_tokens":-1,"output_tokens":"7"}"#,
        ] {
            let told = counters(&[text]);
            assert_eq!(told.usage(Tokens::new(9)), None, "{text}");
        }
        let huge = counters(&[r#"{"input_tokens":18446744073709551615,"output_tokens":1}"#]);
        let usage = huge.usage(Tokens::new(9)).unwrap();
        assert_eq!(usage.prompt, Tokens::new(TOLD_MAX));
        assert_eq!(usage.completion, Tokens::new(9));
    }
}
