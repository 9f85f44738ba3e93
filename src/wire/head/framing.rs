//! How a body is delimited, and what a head's fields say about that.

use crate::wire::field;
use crate::wire::head::fault::HeadFault;
use crate::wire::known::{Known, Names};

/// How a body is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection ends; answers only.
    Close,
}

/// What the fields say that decides framing and persistence.
#[derive(Default)]
pub(super) struct FieldFacts {
    pub(super) hosts: u32,
    pub(super) host_is_none: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expect: Expect,
    /// `Connection` may name fields.
    pub(super) lists_fields: bool,
    length: Option<u64>,
    length_is_none: bool,
    lengths: u32,
    encodings: u32,
    chunked: bool,
}

#[derive(Default)]
pub(super) enum Expect {
    #[default]
    None,
    Continue,
    Other,
}

impl FieldFacts {
    /// The fields that say something about it.
    pub(super) const TOLD_BY: Names = Names::of(&[
        Known::Host,
        Known::Expect,
        Known::Connection,
        Known::ContentLength,
        Known::TransferEncoding,
    ]);

    /// Takes over what one of those fields says.
    pub(super) fn note(&mut self, name: Known, value: &[u8]) {
        if name == Known::Host {
            self.hosts += 1;
            self.host_is_none |= !field::is_host(value);
        } else if name == Known::Connection {
            self.note_connection(value);
        } else if name == Known::ContentLength {
            self.lengths += 1;
            self.length = decimal(value);
            self.length_is_none |= self.length.is_none();
        } else if name == Known::TransferEncoding {
            self.encodings += 1;
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if name == Known::Expect {
            self.expect = if value.eq_ignore_ascii_case(b"100-continue") {
                Expect::Continue
            } else {
                Expect::Other
            };
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        // Most say nothing else.
        if field::is(value, b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        self.lists_fields = true;
        for token in value.split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Whether the connection may carry another message, in HTTP/1 of this minor version.
    pub(super) const fn keep_alive(&self, minor: u8) -> bool {
        !self.close && (self.keep_alive || minor != 0)
    }

    /// Checks that each length is a number.
    ///
    /// # Errors
    ///
    /// One is not.
    pub(super) const fn check_lengths(&self) -> Result<(), HeadFault> {
        if self.length_is_none {
            return Err(HeadFault::ContentLength);
        }
        Ok(())
    }

    /// How the body is delimited, in HTTP/1 of this minor version.
    ///
    /// # Errors
    ///
    /// Two parsers could disagree about it.
    pub(super) fn framing(&self, minor: u8) -> Result<Framing, HeadFault> {
        match (self.encodings, self.lengths) {
            (0, 0) => Ok(Framing::Close),
            (0, 1) => Ok(self.length.map_or(Framing::Close, Framing::Length)),
            (0, _) => Err(HeadFault::ContentLength),
            (1, 0) if self.chunked && minor == 1 => Ok(Framing::Chunked),
            (_, 0) => Err(HeadFault::TransferEncoding),
            (_, _) => Err(HeadFault::LengthAndEncoding),
        }
    }
}

/// The number that `digits` stands for, if it is nothing but digits and fits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let digit = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, digit))?
}
