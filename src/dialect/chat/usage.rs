//! Writes the usage of an answer.

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::dialect::compose::Composer;
use crate::dialect::tariff;
use crate::wire::usage::Usage;

/// Appends a `usage` object, with the part of the output that the model has thought, where that is
/// known, and with `cost` where the caller wants it.
pub fn write(usage: &Usage, thinking: Option<Tokens>, cost: Option<NanoUsd>, out: &mut Vec<u8>) {
    let mut told = Composer::object(out);
    let total = usage.prompt.saturating_add(usage.completion);
    told.number("prompt_tokens", usage.prompt.get());
    told.number("completion_tokens", usage.completion.get());
    told.number("total_tokens", total.get());
    let mut details = Composer::object(told.member("prompt_tokens_details"));
    details.number("cached_tokens", usage.cache_read.get());
    details.number("cache_write_tokens", usage.cache_write.get());
    details.end();
    if let Some(thinking) = thinking {
        let mut details = Composer::object(told.member("completion_tokens_details"));
        details.number("reasoning_tokens", thinking.get());
        details.end();
    }
    if let Some(cost) = cost {
        cost.write(told.member(tariff::NAME));
    }
    told.end();
}
