//! Writes a whole response (section 4 of reference/responses-inbound.md).

use crate::dialect::answer::Answer;
use crate::dialect::shell::plan::Wanted;

/// Appends the response that tells `answer`, made at `created`.
pub fn write(
    _answer: &Answer<'_>,
    _caller_model: &[u8],
    _created: u64,
    _wanted: &Wanted<'_>,
    _out: &mut Vec<u8>,
) {
}
