//! Token counts as a provider states them, and as they are billed.

use crate::base::tokens::{Counts, Tokens};
use crate::wire::json::{Bracket, Kind, NotJson, Value, Walk};

/// What a provider says a request has used.
///
/// Both OpenAI's shape and the translations into it count cached tokens as part of the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens, the cached ones included (`prompt_tokens`).
    pub prompt: Tokens,
    /// Everything that was generated: `completion_tokens`, and tokens that only `total_tokens`
    /// includes.
    pub completion: Tokens,
    /// Prompt tokens read from a cache.
    pub cache_read: Tokens,
    /// Prompt tokens written to a cache.
    pub cache_write: Tokens,
    /// Prompt tokens written to a cache that keeps them for an hour; they are part of
    /// `cache_write`. OpenAI's shape has no name for them.
    pub cache_write_1h: Tokens,
    /// Tokens of the answer that were thought, where that is told; they are part of `completion`.
    pub thinking: Option<Tokens>,
}

impl Usage {
    /// Reads an OpenAI `usage` object; see [`Usage::walk`]. `None` also where the value is no
    /// object.
    #[must_use]
    pub fn read(usage: &Value<'_>) -> Option<Self> {
        Self::walk(&mut Walk::new(usage.text)).ok()?
    }

    /// Reads the `usage` object of a response, which has other names for the same counts.
    #[must_use]
    pub fn of_response(usage: &Value<'_>) -> Option<Self> {
        Self::walk_response(&mut Walk::new(usage.text)).ok()?
    }

    /// As [`Usage::of_response`], of the value that `walk` stands before; see [`Usage::walk`].
    ///
    /// # Errors
    /// It is not JSON.
    pub fn walk_response(walk: &mut Walk<'_>) -> Result<Option<Self>, NotJson> {
        Ok(Told::walk(walk, &RESPONSES_NAMES)?.usage)
    }

    /// Reads the OpenAI `usage` object that `walk` stands before. `None`: it counts nothing, so
    /// that an estimate is better. (No prompt has zero tokens; Ollama sends zeros on every chunk
    /// before the last.)
    ///
    /// # Errors
    /// It is not JSON.
    pub fn walk(walk: &mut Walk<'_>) -> Result<Option<Self>, NotJson> {
        Ok(Told::walk(walk, &CHAT_NAMES)?.usage)
    }

    /// Takes in `total_tokens`. Tokens that it has beyond the two parts were generated: several
    /// providers leave reasoning tokens out of the completion. They belong to the prompt where that
    /// was not stated, or was stated without its cached tokens.
    fn take_total(&mut self, total: Tokens) {
        let listed = self.prompt.saturating_add(self.completion);
        let rest = total.saturating_sub(listed);
        let cached = self.cache_read.saturating_add(self.cache_write);
        if self.prompt == Tokens::ZERO || rest == self.cache_read || rest == cached {
            self.prompt = self.prompt.saturating_add(rest);
        } else {
            self.completion = self.completion.saturating_add(rest);
        }
    }

    /// The usage of an answer in which nothing is generated, such as an embedding's: all of it is
    /// prompt.
    #[must_use]
    pub const fn of_prompt(self) -> Self {
        Self {
            completion: Tokens::ZERO,
            ..self
        }
    }

    /// The disjoint counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // A provider that states more cached tokens than prompt tokens does not bill them twice.
        let cache_read = self.cache_read.min(self.prompt);
        let cache_write = self.cache_write.min(self.prompt.saturating_sub(cache_read));
        let cache_write_1h = self.cache_write_1h.min(cache_write);
        Counts {
            input: self
                .prompt
                .saturating_sub(cache_read)
                .saturating_sub(cache_write),
            cache_read,
            cache_write: cache_write.saturating_sub(cache_write_1h),
            cache_write_1h,
            output: self.completion,
        }
    }
}

/// All that a provider says of what a request has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What it has used; `None`: it counts nothing, as in [`Usage::walk`].
    pub usage: Option<Usage>,
    /// The tokens of the output that were thought.
    pub thinking: Option<Tokens>,
}

impl Told {
    /// Reads an OpenAI `usage` object; any other value tells nothing.
    #[must_use]
    pub fn read(usage: &Value<'_>) -> Self {
        Self::walk(&mut Walk::new(usage.text), &CHAT_NAMES).unwrap_or_default()
    }

    /// As [`Told::read`], of the value that `walk` stands before, which it steps over. A strict
    /// walk finds a fault in it on the way; any other one leaves that to nobody: such a value tells
    /// nothing.
    ///
    /// # Errors
    /// There is no value, or it is not JSON.
    pub fn step<const STRICT: bool>(walk: &mut Walk<'_, STRICT>) -> Result<Self, NotJson> {
        if STRICT {
            Self::walk(walk, &CHAT_NAMES)
        } else {
            walk.value().map(|usage| Self::read(&usage))
        }
    }

    fn walk<const STRICT: bool>(
        walk: &mut Walk<'_, STRICT>,
        names: &Names,
    ) -> Result<Self, NotJson> {
        let mut stated = Stated::default();
        each_count(walk, names, |what, value| match value {
            Some(value) if value.kind == Kind::Number => stated.take(what, number(value.text)),
            Some(_) | None => stated.take_none(what),
        })?;
        Ok(stated.told())
    }
}

/// A count of a `usage` object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The prompt, the cached tokens included.
    Prompt,
    /// The completion.
    Completion,
    /// Both together.
    Total,
    /// What was read from a cache; of two such counts the larger one is meant.
    CacheRead,
    /// What was written to a cache.
    CacheWrite,
    /// What was thought.
    Thinking,
}

/// The counts of a `usage` object, as they stand there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stated {
    read: Usage,
    total: Tokens,
    thinking: Option<Tokens>,
}

impl Stated {
    /// Takes in that this count is a number.
    #[inline]
    pub fn take(&mut self, what: Count, tokens: Tokens) {
        match what {
            Count::Prompt => self.read.prompt = tokens,
            Count::Completion => self.read.completion = tokens,
            Count::Total => self.total = tokens,
            Count::CacheRead => self.read.cache_read = self.read.cache_read.max(tokens),
            Count::CacheWrite => self.read.cache_write = tokens,
            Count::Thinking => self.thinking = Some(tokens),
        }
    }

    /// Takes in that this count is there and no number.
    #[inline]
    fn take_none(&mut self, what: Count) {
        match what {
            Count::Thinking => self.thinking = None,
            _ => self.take(what, Tokens::ZERO),
        }
    }

    /// What they tell.
    #[inline]
    #[must_use]
    pub fn told(mut self) -> Told {
        let is_counted = self.read.prompt.saturating_add(self.read.completion) > Tokens::ZERO;
        self.read.thinking = self.thinking;
        self.read.take_total(self.total);
        Told {
            usage: is_counted.then_some(self.read),
            thinking: self.thinking,
        }
    }
}

/// Tells `take` of each count of the `usage` object that `usage` is, and of its value.
///
/// # Errors
/// It is not JSON.
pub fn each_stated(
    usage: &Value<'_>,
    spelling: Spelling,
    mut take: impl FnMut(Count, &Value<'_>),
) -> Result<(), NotJson> {
    let names = match spelling {
        Spelling::Chat => &CHAT_NAMES,
        Spelling::Responses => &RESPONSES_NAMES,
    };
    each_count(&mut Walk::new(usage.text), names, |what, value| {
        value.into_iter().for_each(|value| take(what, value));
    })
}

/// Whose names the counts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Those of chat completions.
    Chat,
    /// Those of Responses.
    Responses,
}

/// Tells `take` of each count of the object that `walk` stands before, if it is one. A count
/// without a value is one that holds no more, since another object of details has begun.
#[inline]
fn each_count<'a, const STRICT: bool>(
    walk: &mut Walk<'a, STRICT>,
    names: &Names,
    mut take: impl FnMut(Count, Option<&Value<'a>>),
) -> Result<(), NotJson> {
    if !walk.enter(Bracket::Object)? {
        return Ok(());
    }
    let mut room = Vec::new();
    while let Some(name) = walk.name()? {
        // A comparison takes longer byte by byte, as a `match` makes it.
        let name = name.read(&mut room);
        let what = if name == names.prompt {
            Count::Prompt
        } else if name == names.completion {
            Count::Completion
        } else if name == b"total_tokens" {
            Count::Total
        } else if name == names.details {
            each_detail(walk, |name, value| match name {
                b"cached_tokens" => take(Count::CacheRead, Some(value)),
                b"cache_write_tokens" => take(Count::CacheWrite, Some(value)),
                _ => {}
            })?;
            continue;
        } else if name == names.completion_details {
            take(Count::Thinking, None);
            each_detail(walk, |name, value| {
                if name == b"reasoning_tokens" {
                    take(Count::Thinking, Some(value));
                }
            })?;
            continue;
        } else if name == b"prompt_cache_hit_tokens" {
            // DeepSeek's name for tokens read from a cache.
            Count::CacheRead
        } else {
            walk.value()?;
            continue;
        };
        take(what, Some(&walk.value()?));
    }
    Ok(())
}

/// What a dialect calls the counts.
struct Names {
    prompt: &'static [u8],
    completion: &'static [u8],
    details: &'static [u8],
    completion_details: &'static [u8],
}

const CHAT_NAMES: Names = Names {
    prompt: b"prompt_tokens",
    completion: b"completion_tokens",
    details: b"prompt_tokens_details",
    completion_details: b"completion_tokens_details",
};

const RESPONSES_NAMES: Names = Names {
    prompt: b"input_tokens",
    completion: b"output_tokens",
    details: b"input_tokens_details",
    completion_details: b"output_tokens_details",
};

/// The members of an object of details, if it is one.
fn each_detail<'a, const STRICT: bool>(
    walk: &mut Walk<'a, STRICT>,
    mut take: impl FnMut(&[u8], &Value<'a>),
) -> Result<(), NotJson> {
    if walk.enter(Bracket::Object)? {
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            take(name.read(&mut room), &walk.value()?);
        }
    }
    Ok(())
}

/// More than any request uses: one nonsensical count must not use up a year's budget.
const TOLD_MAX: u64 = u32::MAX as u64;

/// The number that `value` holds; fractions are cut off, and a value that is no count is zero.
#[must_use]
pub fn count(value: &Value<'_>) -> Tokens {
    if value.kind != Kind::Number {
        return Tokens::ZERO;
    }
    number(value.text)
}

/// The count that a number is, as it is written; see [`count`].
#[must_use]
pub fn number(text: &[u8]) -> Tokens {
    let told = match digits(text) {
        Some(told) => told,
        None => match serde_json::from_slice::<f64>(text) {
            Ok(told) if told >= 1.0 => saturating_u64(told),
            Ok(_) | Err(_) => 0,
        },
    };
    Tokens::new(told.min(TOLD_MAX))
}

/// The number in a few digits; `None`: it is something else, or too large to be likely.
#[must_use]
pub fn digits(text: &[u8]) -> Option<u64> {
    let is_plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 18;
    if !is_plain {
        return None;
    }
    text.iter().try_fold(0, |sum: u64, digit| {
        let value = digit.wrapping_sub(b'0');
        (value < 10).then(|| sum * 10 + u64::from(value))
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates, which is what is wanted; the caller has excluded signs"
)]
const fn saturating_u64(told: f64) -> u64 {
    told as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json;

    fn read(text: &str) -> Option<Usage> {
        let list = format!("[{text}]");
        Usage::read(&json::elements(list.as_bytes()).next().unwrap().unwrap())
    }

    /// Input, cache read, cache write, output.
    fn check(text: &str, expected: [u64; 4]) {
        let counts = read(text).unwrap().counts();
        let found = [
            counts.input,
            counts.cache_read,
            counts.cache_write,
            counts.output,
        ];
        assert_eq!(found.map(Tokens::get), expected, "{text}");
    }

    #[test]
    fn a_response_has_other_names_for_the_counts() {
        let told = |text: &str| {
            let list = format!("[{text}]");
            let value = json::elements(list.as_bytes()).next().unwrap().unwrap();
            let counts = Usage::of_response(&value)?.counts();
            Some([
                counts.input.get(),
                counts.cache_read.get(),
                counts.cache_write.get(),
                counts.output.get(),
            ])
        };
        let whole = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,
            "cache_write_tokens":10},"output_tokens":9,"output_tokens_details":
            {"reasoning_tokens":4},"total_tokens":109}"#;
        assert_eq!(told(whole), Some([30, 60, 10, 9]));
        assert_eq!(
            told(r#"{"inp\u0075t_tokens":5,"output_tokens":null}"#),
            Some([5, 0, 0, 0])
        );
        for nothing in ["null", "{}", r#"{"prompt_tokens":9,"completion_tokens":2}"#] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
        let odd = r#"{"prompt_tokens":1,"input_tokens":7,"completion_tokens":2}"#;
        check(odd, [1, 0, 0, 2]);
    }

    #[test]
    fn the_counts_are_disjoint() {
        check(
            r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}"#,
            [9, 0, 0, 2],
        );
        check(r#"{"prompt_tokens":9,"total_tokens":9}"#, [9, 0, 0, 0]);
        check(
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,
                "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30,
                    "audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":3}}"#,
            [10, 60, 30, 5],
        );
        check(
            r#"{"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":4}"#,
            [5, 4, 0, 2],
        );
    }

    #[test]
    fn odd_numbers_become_sane_ones() {
        check(
            r#"{"prompt_tokens":9.7,"completion_tokens":null}"#,
            [9, 0, 0, 0],
        );
        check(
            r#"{"prompt_tokens":9,"completion_tokens":-2}"#,
            [9, 0, 0, 0],
        );
        check(
            r#"{"prompt_tokens":"9","completion_tokens":2}"#,
            [0, 0, 0, 2],
        );
        check(
            r#"{"prompt_tokens":1e300,"completion_tokens":99999999999999999999}"#,
            [TOLD_MAX, 0, 0, TOLD_MAX],
        );
        check(
            concat!(
                r#"{"prompt_tokens":10,"#,
                r#""prompt_tokens_details":{"cached_tokens":99,"cache_write_tokens":5}}"#,
            ),
            [0, 10, 0, 0],
        );
        check(
            r#"{"prompt_tokens":10,"prompt_tokens_details":null,"completion_tokens_details":7}"#,
            [10, 0, 0, 0],
        );
    }

    #[test]
    fn what_only_the_total_tells_of_was_generated() {
        for (usage, expected) in [
            // xAI: what was thought has a count of its own.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,
                    "completion_tokens_details":{"reasoning_tokens":7}}"#,
                [10, 0, 0, 12],
            ),
            // Gemini: the total alone tells.
            (
                r#"{"total_tokens":22,"completion_tokens":5,"prompt_tokens":10}"#,
                [10, 0, 0, 12],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
                    "prompt_tokens_details":{"cached_tokens":8}}"#,
                [2, 8, 0, 25],
            ),
            (r#"{"prompt_tokens":10,"total_tokens":22}"#, [10, 0, 0, 12]),
            (
                r#"{"prompt_tokens":10,"completion_tokens":null,"total_tokens":22}"#,
                [10, 0, 0, 12],
            ),
            // Reasoning that is part of the completion is not billed twice.
            (
                r#"{"prompt_tokens":10,"completion_tokens":12,"total_tokens":22,
                    "completion_tokens_details":{"reasoning_tokens":7}}"#,
                [10, 0, 0, 12],
            ),
            // A total that says less than its parts, or nothing, takes nothing away.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":3}"#,
                [10, 0, 0, 5],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":"99"}"#,
                [10, 0, 0, 5],
            ),
        ] {
            check(usage, expected);
        }
    }

    #[test]
    fn what_the_prompt_leaves_out_was_not_generated() {
        for (usage, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":75,
                    "prompt_tokens_details":{"cached_tokens":60}}"#,
                [10, 60, 0, 5],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":79,
                    "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":4}}"#,
                [10, 60, 4, 5],
            ),
            (
                r#"{"completion_tokens":5,"total_tokens":15}"#,
                [10, 0, 0, 5],
            ),
        ] {
            check(usage, expected);
        }
        let embedding = read(r#"{"prompt_tokens":9,"total_tokens":12}"#).unwrap();
        assert_eq!(embedding.of_prompt().counts().output, Tokens::ZERO);
    }

    #[test]
    fn a_usage_that_counts_nothing_is_none() {
        for text in [
            "null",
            "{}",
            "[]",
            "7",
            r#"{"prompt_tokens":null}"#,
            r#"{"total_tokens":9}"#,
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
