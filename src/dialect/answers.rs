//! Whole answers, read in one dialect and written in another.

use crate::base::endpoint::Dialect;
use crate::dialect::answer::{AnswerFault, Known};
use crate::dialect::shell::plan::Wanted;
use crate::dialect::{chat, messages, responses};

/// What the translation of an answer must know.
#[derive(Clone, Copy, Debug)]
pub struct AnswerPlan<'a> {
    /// The dialect that the caller reads.
    pub caller: Dialect,
    /// The dialect that the provider writes.
    pub provider: Dialect,
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// The time of the answer, in Unix seconds.
    pub created: u64,
    /// What the request and its attempt say of the answer.
    pub wanted: Wanted<'a>,
}

/// Appends the caller's answer for the provider's `body`, of status 2xx.
///
/// # Errors
/// The body is no answer, and another provider may be tried; nothing has been appended.
pub fn write(body: &[u8], plan: &AnswerPlan<'_>, out: &mut Vec<u8>) -> Result<Known, AnswerFault> {
    let answer = match plan.provider {
        Dialect::Chat | Dialect::Responses => chat::read_answer::read(body, &plan.wanted)?,
        Dialect::Messages => messages::read_answer::read(body)?,
    };
    // Who writes a response knows how long it gets.
    if plan.caller != Dialect::Responses {
        out.reserve(body.len() + AROUND_BYTES);
    }
    let mut known = answer.known();
    match plan.caller {
        Dialect::Chat => chat::write_answer::write(&answer, plan.caller_model, plan.created, out),
        Dialect::Messages => {
            messages::write_answer::write(&answer, plan.caller_model, &plan.wanted, out);
        }
        Dialect::Responses => {
            let (model, created) = (plan.caller_model, plan.created);
            known.items =
                responses::write_answer::write(&answer, model, created, &plan.wanted, out);
        }
    }
    Ok(known)
}

/// Approximate length of what an answer has around its content, in bytes.
const AROUND_BYTES: usize = 256;
