//! Writes the usage of an answer.

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::dialect::compose::{self, Composer};
use crate::dialect::tariff;
use crate::wire::usage::Usage;

/// Appends a `usage` object, with the part of the output that the model has thought, where that is
/// known, and with `cost` where the caller wants it.
pub fn write(usage: &Usage, thinking: Option<Tokens>, cost: Option<NanoUsd>, out: &mut Vec<u8>) {
    let total = usage.prompt.saturating_add(usage.completion);
    let counts: [(&[u8], Tokens); 5] = [
        (br#"{"prompt_tokens":"#, usage.prompt),
        (br#","completion_tokens":"#, usage.completion),
        (br#","total_tokens":"#, total),
        (
            br#","prompt_tokens_details":{"cached_tokens":"#,
            usage.cache_read,
        ),
        (br#","cache_write_tokens":"#, usage.cache_write),
    ];
    compose::counts(&counts, out);
    out.push(b'}');
    if let Some(thinking) = thinking {
        let thought: &[u8] = br#","completion_tokens_details":{"reasoning_tokens":"#;
        compose::counts(&[(thought, thinking)], out);
        out.push(b'}');
    }
    let mut told = Composer::within(out);
    if let Some(cost) = cost {
        cost.write(told.member(tariff::NAME));
    }
    told.end();
}
