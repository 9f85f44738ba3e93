//! Why a request is not read to its end.

use crate::base::limits::TARGET_BYTES_MAX;
use crate::exchange::refusal::Refusal;
use crate::wire::head::HeadFault;

/// Why a request's head or body was not read.
#[derive(Debug)]
pub enum Stop {
    /// The caller is refused.
    Refused(Refusal<'static>),
    /// The caller hung up.
    Gone,
}

impl From<HeadFault> for Stop {
    fn from(fault: HeadFault) -> Self {
        Self::Refused(match fault {
            HeadFault::Version => Refusal::HttpVersionNotSupported,
            HeadFault::TooLarge => Refusal::HeaderTooLarge,
            HeadFault::TargetTooLong => Refusal::UriTooLong {
                limit: TARGET_BYTES_MAX,
            },
            HeadFault::Malformed
            | HeadFault::BareLf
            | HeadFault::Host
            | HeadFault::ContentLength
            | HeadFault::TransferEncoding
            | HeadFault::LengthAndEncoding
            | HeadFault::Expectation => Refusal::Malformed(fault.sentence()),
        })
    }
}
