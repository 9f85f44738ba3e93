//! Why a candidate is not sent the request.

use crate::dialect::unsupported::Unsupported;
use crate::exchange::refusal::Refusal;

/// Why a request is not translated.
pub enum NotTranslated {
    /// The dialect cannot express the request: another candidate may.
    Unsupported(Unsupported),
    /// infermux cannot go on with it.
    Refused(Refusal<'static>),
}
