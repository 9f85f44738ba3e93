//! What the router reads of a whole answer of a provider that has Responses.

use crate::dialect::answer::AnswerFault;
use crate::dialect::view::View;

/// Reads the answer `body`.
///
/// # Errors
/// It is none.
pub fn inspect(_body: &[u8]) -> Result<View, AnswerFault> {
    Err(AnswerFault::Malformed)
}
