//! The usage that an Anthropic message states.

use crate::base::tokens::Tokens;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};
use crate::wire::usage::{self, Usage};

/// The counters of a `usage` object. Unlike OpenAI's, the input does not include tokens that were
/// read from or written to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    told: Parts,
    /// What the other counters leave out: conversations that the provider has summed up on the way.
    aside: Parts,
    /// Part of the output; not every model states it.
    thinking: Option<Tokens>,
}

/// A count that a `usage` object states for a message as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// What was read from no cache.
    Input,
    /// What was generated.
    Output,
    /// What was written to a cache.
    CacheWrite,
    /// The part of it that is kept for an hour.
    CacheWrite1h,
    /// What was read from a cache.
    CacheRead,
}

/// Tokens of one or more runs of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    input: Tokens,
    output: Tokens,
    cache_write: Tokens,
    /// The part of `cache_write` that is kept for an hour, at a price of its own.
    cache_write_1h: Tokens,
    cache_read: Tokens,
}

impl Parts {
    /// Takes in the member `name`; one that is no count is zero.
    fn take(&mut self, name: &[u8], value: &Value<'_>) {
        let told = || count(value).unwrap_or_default();
        match name {
            b"input_tokens" => self.input = told(),
            b"output_tokens" => self.output = told(),
            b"cache_creation_input_tokens" => self.cache_write = told(),
            b"cache_read_input_tokens" => self.cache_read = told(),
            b"cache_creation" => {
                let kept = detail(value, b"ephemeral_1h_input_tokens");
                self.cache_write_1h = kept.unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Puts each count together with its counterpart.
    fn with(self, other: Self, put: fn(Tokens, Tokens) -> Tokens) -> Self {
        Self {
            input: put(self.input, other.input),
            output: put(self.output, other.output),
            cache_write: put(self.cache_write, other.cache_write),
            cache_write_1h: put(self.cache_write_1h, other.cache_write_1h),
            cache_read: put(self.cache_read, other.cache_read),
        }
    }

    const fn prompt(&self) -> Tokens {
        self.input
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_read)
    }
}

impl Counters {
    /// Takes in that this count is the number that is written so.
    #[inline]
    pub fn take(&mut self, what: Count, text: &[u8]) {
        let told = number(text).unwrap_or_default();
        let parts = &mut self.told;
        match what {
            Count::Input => parts.input = told,
            Count::Output => parts.output = told,
            Count::CacheWrite => parts.cache_write = told,
            Count::CacheWrite1h => parts.cache_write_1h = told,
            Count::CacheRead => parts.cache_read = told,
        }
    }

    /// Reads a `usage` object.
    #[must_use]
    pub fn read(usage: &Value<'_>) -> Self {
        let mut read = Self::default();
        // What stands before a fault counts.
        let _ = read.walk(&mut Walk::new(usage.text));
        read
    }

    /// Takes in the members of the object that `walk` stands before, each in the place of what it
    /// was; returns whether it is one.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn walk<const STRICT: bool>(
        &mut self,
        walk: &mut Walk<'_, STRICT>,
    ) -> Result<bool, NotJson> {
        if !walk.enter(Bracket::Object)? {
            return Ok(false);
        }
        let (read, mut room) = (self, Vec::new());
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match name.read(&mut room) {
                b"output_tokens_details" => {
                    read.thinking = detail(&value, b"thinking_tokens");
                }
                b"iterations" => read.aside = compactions(&value),
                name => read.told.take(name, &value),
            }
        }
        Ok(true)
    }

    /// Takes in a later `usage` object. The counters of a stream are cumulative, and a zero or
    /// `null` at its end takes nothing back: the largest value of each counts. Returns what the
    /// object states.
    pub fn note(&mut self, usage: &Value<'_>) -> Self {
        let later = Self::read(usage);
        *self = Self {
            told: self.told.with(later.told, Tokens::max),
            aside: self.aside.with(later.aside, Tokens::max),
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
        self.told.output.get() > 0
    }

    /// The usage in OpenAI's terms, where at least `seen` tokens were generated; `None`: nothing
    /// was counted, so that an estimate is better.
    #[must_use]
    pub fn usage(&self, seen: Tokens) -> Option<Usage> {
        let all = self.told.with(self.aside, Tokens::saturating_add);
        let prompt = all.prompt();
        let seen = seen.saturating_add(self.aside.output);
        (prompt > Tokens::ZERO || self.has_output()).then_some(Usage {
            prompt,
            completion: all.output.max(seen),
            cache_read: all.cache_read,
            cache_write: all.cache_write,
            cache_write_1h: all.cache_write_1h,
            thinking: self.thinking,
        })
    }

    /// The part of the output that the model has thought, where that was stated.
    #[must_use]
    pub const fn thinking(&self) -> Option<Tokens> {
        self.thinking
    }
}

/// What the `iterations` of a message say that its other counters leave out: the runs in which the
/// provider has summed the conversation up.
fn compactions(iterations: &Value<'_>) -> Parts {
    let mut all = Parts::default();
    if iterations.kind != Kind::Array {
        return all;
    }
    for one in json::elements(iterations.text).map_while(Result::ok) {
        let kind = json::member(one.text, b"type");
        if kind.is_some_and(|kind| kind.value.says("compaction")) {
            let (mut parts, mut room) = (Parts::default(), Vec::new());
            for member in json::members(one.text).map_while(Result::ok) {
                parts.take(member.name.read(&mut room), &member.value);
            }
            all = all.with(parts, Tokens::saturating_add);
        }
    }
    all
}

/// Tells `take` of each number that [`Counters::told`] goes by; returns whether it goes by nothing
/// else, and by no two of one kind.
pub fn each_count(usage: &Value<'_>, mut take: impl FnMut(Count, &Value<'_>)) -> bool {
    let mut seen = Vec::new();
    let mut add = |what: Count, value: &Value<'_>| {
        let is_first = !seen.contains(&what);
        seen.push(what);
        if value.kind == Kind::Number {
            take(what, value);
        }
        is_first
    };
    if usage.kind != Kind::Object {
        return false;
    }
    json::members(usage.text).all(|member| {
        let Ok(member) = member else { return false };
        let (mut room, value) = (Vec::new(), member.value);
        match member.name.read(&mut room) {
            b"input_tokens" => add(Count::Input, &value),
            b"output_tokens" => add(Count::Output, &value),
            b"cache_creation_input_tokens" => add(Count::CacheWrite, &value),
            b"cache_read_input_tokens" => add(Count::CacheRead, &value),
            b"cache_creation" => match value.kind {
                Kind::Null => true,
                Kind::Object => {
                    let kept = json::member(value.text, b"ephemeral_1h_input_tokens");
                    kept.is_none_or(|kept| add(Count::CacheWrite1h, &kept.value))
                }
                _ => false,
            },
            b"output_tokens_details" | b"iterations" => value.kind == Kind::Null,
            _ => true,
        }
    })
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
    number(value.text)
}

fn number(text: &[u8]) -> Option<Tokens> {
    let told = usage::digits(text).or_else(|| serde_json::from_slice(text).ok())?;
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
    fn what_it_took_to_sum_a_conversation_up_is_counted_too() {
        let last = r#"{"input_tokens":null,"output_tokens":7,"iterations":[
            {"type":"compaction","input_tokens":100,"output_tokens":20,
                "cache_creation_input_tokens":30,"cache_read_input_tokens":40,
                "cache_creation":{"ephemeral_1h_input_tokens":10}},
            {"type":"compaction","input_tokens":1,"output_tokens":2,"new":3},
            {"type":"message","input_tokens":9,"output_tokens":7},
            null, 5, {"input_tokens":9}]}"#;
        let told = counters(&[r#"{"input_tokens":9,"output_tokens":1}"#, last, last]);
        let usage = told.usage(Tokens::new(8)).unwrap();
        let counts = usage.counts();
        let found = [
            counts.input,
            counts.cache_read,
            counts.cache_write,
            counts.cache_write_1h,
            counts.output,
        ];
        // Of the message's own output, eight tokens were seen, and seven told.
        assert_eq!(found.map(Tokens::get), [9 + 101, 40, 20, 10, 8 + 22]);
        for none in ["null", "[]", "{}", "7"] {
            let usage = format!(r#"{{"input_tokens":9,"output_tokens":1,"iterations":{none}}}"#);
            let told = counters(&[&usage]).usage(Tokens::ZERO).unwrap();
            assert_eq!(told.prompt, Tokens::new(9), "{none}");
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
