//! What a Messages stream says was used.

use crate::base::tokens::Tokens;
use crate::wire::json::{self, Kind, NotJson, Value};
use crate::wire::usage::{Usage, count};

/// Anthropic's counters. They run, and a zero at the end takes nothing back: of each the largest
/// value counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Prompt tokens beside the cached ones.
    input: Tokens,
    cache_read: Tokens,
    cache_write: Tokens,
    output: Tokens,
    /// A part of `output`; `None` where the provider does not tell it.
    thinking: Option<Tokens>,
}

impl Counters {
    /// Takes in a `usage` object; anything else tells nothing.
    pub(super) fn note(&mut self, usage: &Value<'_>) -> Result<(), NotJson> {
        if usage.kind != Kind::Object {
            return Ok(());
        }
        for member in json::members(usage.text) {
            let json::Member { name, value, .. } = member?;
            let counter = match name {
                b"input_tokens" => &mut self.input,
                b"cache_read_input_tokens" => &mut self.cache_read,
                b"cache_creation_input_tokens" => &mut self.cache_write,
                b"output_tokens" => &mut self.output,
                b"output_tokens_details" if value.kind == Kind::Object => {
                    let told = json::member(value.text, b"thinking_tokens");
                    self.thinking = self.thinking.max(told.map(|told| count(&told.value)));
                    continue;
                }
                _ => continue,
            };
            *counter = (*counter).max(count(&value));
        }
        Ok(())
    }

    pub(super) fn has_output(&self) -> bool {
        self.output > Tokens::ZERO
    }

    /// The same as OpenAI counts, whose prompt tokens include the cached ones; `None`: nothing was
    /// told. At least `seen` tokens were generated.
    pub(super) fn usage(&self, seen: Tokens) -> Option<Usage> {
        let usage = Usage {
            prompt: self.prompt(),
            completion: self.output.max(seen),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            reasoning_apart: Tokens::ZERO,
        };
        let told = usage.prompt.saturating_add(self.output);
        (told > Tokens::ZERO).then_some(usage)
    }

    /// Appends OpenAI's `usage` object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let prompt = self.prompt();
        let members: [(&[u8], Tokens); 5] = [
            (b"{\"prompt_tokens\":", prompt),
            (b",\"completion_tokens\":", self.output),
            (b",\"total_tokens\":", prompt.saturating_add(self.output)),
            (
                b",\"prompt_tokens_details\":{\"cached_tokens\":",
                self.cache_read,
            ),
            (b",\"cache_write_tokens\":", self.cache_write),
        ];
        for (name, count) in members {
            write_member(name, count, out);
        }
        out.push(b'}');
        if let Some(thinking) = self.thinking {
            let name = b",\"completion_tokens_details\":{\"reasoning_tokens\":";
            write_member(name, thinking, out);
            out.push(b'}');
        }
        out.push(b'}');
    }

    fn prompt(&self) -> Tokens {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }
}

fn write_member(name: &[u8], count: Tokens, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(count.get()).as_bytes());
}
