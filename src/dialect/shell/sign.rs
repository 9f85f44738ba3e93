//! Signs of life: what a caller is sent while its answer pauses, so that its own idle timeout does
//! not fire.

use crate::dialect::responses::keepalive;

/// The next sign of life of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// All signs are alike.
    Fixed(&'static [u8]),
    /// An event that has a number, as all events of the stream have.
    Numbered {
        /// The number of the next one.
        number: u64,
        /// By how much the number after it is higher: by nothing where the numbers are those of a
        /// provider, which are not shifted.
        step: u64,
    },
}

impl Sign {
    /// Appends the sign, and prepares the next one.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(sign) => out.extend_from_slice(sign),
            Self::Numbered { number, step } => {
                keepalive::write(*number, out);
                *number = number.saturating_add(*step);
            }
        }
    }
}
