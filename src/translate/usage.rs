//! What an Anthropic message says it has used.

use crate::base::tokens::Tokens;
use crate::translate::compose::Composer;
use crate::wire::json::{self, Kind, Value};
use crate::wire::usage::Usage;

/// The counters of a `usage` object. Other than OpenAI's, the input does not include what a cache
/// had a part in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    input: Tokens,
    output: Tokens,
    cache_write: Tokens,
    cache_read: Tokens,
    /// Part of the output; not every model tells it.
    thinking: Option<Tokens>,
}

impl Counters {
    /// Reads a `usage` object; what is no count counts as none.
    #[must_use]
    pub fn read(usage: &Value<'_>) -> Self {
        let mut read = Self::default();
        if usage.kind != Kind::Object {
            return read;
        }
        for member in json::members(usage.text).map_while(Result::ok) {
            let told = count(&member.value);
            match member.name {
                b"input_tokens" => read.input = told.unwrap_or_default(),
                b"output_tokens" => read.output = told.unwrap_or_default(),
                b"cache_creation_input_tokens" => read.cache_write = told.unwrap_or_default(),
                b"cache_read_input_tokens" => read.cache_read = told.unwrap_or_default(),
                b"output_tokens_details" if member.value.kind == Kind::Object => {
                    let thinking = json::member(member.value.text, b"thinking_tokens");
                    read.thinking = thinking.and_then(|member| count(&member.value));
                }
                _ => {}
            }
        }
        read
    }

    /// The larger one of each counter: those of a stream are cumulative, and a zero or `null` at
    /// its end takes nothing back.
    #[must_use]
    pub fn max(self, later: Self) -> Self {
        Self {
            input: self.input.max(later.input),
            output: self.output.max(later.output),
            cache_write: self.cache_write.max(later.cache_write),
            cache_read: self.cache_read.max(later.cache_read),
            thinking: self.thinking.max(later.thinking),
        }
    }

    /// In OpenAI's terms; `None`: nothing was counted, so that an estimate is better.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let prompt = self.prompt();
        (prompt > Tokens::ZERO || self.output > Tokens::ZERO).then_some(Usage {
            prompt,
            completion: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            reasoning_apart: Tokens::ZERO,
        })
    }

    /// Appends OpenAI's `usage` object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut usage = Composer::object(out);
        let total = self.prompt().saturating_add(self.output);
        usage.number("prompt_tokens", self.prompt().get());
        usage.number("completion_tokens", self.output.get());
        usage.number("total_tokens", total.get());
        let mut details = Composer::object(usage.member("prompt_tokens_details"));
        details.number("cached_tokens", self.cache_read.get());
        details.number("cache_write_tokens", self.cache_write.get());
        details.end();
        if let Some(thinking) = self.thinking {
            let mut details = Composer::object(usage.member("completion_tokens_details"));
            details.number("reasoning_tokens", thinking.get());
            details.end();
        }
        usage.end();
    }

    const fn prompt(&self) -> Tokens {
        self.input
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_read)
    }
}

fn count(value: &Value<'_>) -> Option<Tokens> {
    if value.kind != Kind::Number {
        return None;
    }
    let told: u64 = serde_json::from_slice(value.text).ok()?;
    Some(Tokens::new(told.min(TOLD_MAX)))
}

/// More than any request uses: a provider's nonsense must not eat a year's budget.
const TOLD_MAX: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Counters {
        let list = format!("[{text}]");
        Counters::read(&json::elements(list.as_bytes()).next().unwrap().unwrap())
    }

    #[test]
    fn a_streams_counters_are_cumulative() {
        let start = read(r#"{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1}"#);
        let end = read(r#"{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":15}"#);
        let usage = start.max(end).usage().unwrap();
        let counts = usage.counts();
        assert_eq!(usage.prompt, Tokens::new(13));
        assert_eq!(counts.input, Tokens::new(9));
        assert_eq!(counts.cache_read, Tokens::new(4));
        assert_eq!(counts.output, Tokens::new(15));
    }

    #[test]
    fn nonsense_counts_nothing_or_little() {
        for text in [
            "null",
            "[]",
            "{}",
            r#"{"input_tokens":-1,"output_tokens":"7"}"#,
        ] {
            assert_eq!(read(text).usage(), None, "{text}");
        }
        let huge = read(r#"{"input_tokens":18446744073709551615,"output_tokens":1}"#);
        assert_eq!(huge.usage().unwrap().prompt, Tokens::new(TOLD_MAX));
    }
}
