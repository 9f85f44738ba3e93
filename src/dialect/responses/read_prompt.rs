//! Reads a request for a response (section 3 of reference/responses-inbound.md).

use crate::dialect::names::Names;
use crate::dialect::prompt::Prompt;
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::unsent::Given;
use crate::dialect::unsupported::Unsupported;

/// A request for a response, read.
pub struct Read<'a> {
    /// What it asks for.
    pub prompt: Prompt<'a>,
    /// What may be left out.
    pub given: Given,
    /// The names under which its tools are sent.
    pub names: Names,
}

/// Reads the request `body`, which is JSON. What it refers to is looked up in `remembered`.
///
/// # Errors
/// A part of it that shapes the answer has no equivalent in other dialects.
pub fn read<'a>(_body: &'a [u8], _remembered: &'a dyn Remembered) -> Result<Read<'a>, Unsupported> {
    Ok(Read {
        prompt: Prompt::default(),
        given: Given::default(),
        names: Names::default(),
    })
}
