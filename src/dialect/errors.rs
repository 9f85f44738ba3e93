//! Errors of providers, read in one dialect and written in another.

use crate::base::endpoint::Dialect;
use crate::dialect::complaint::Complaint;
use crate::dialect::{chat, messages};

/// Reads the body of an error answer of a provider that speaks this dialect, or without a `status`
/// the data of an event that tells of an error.
#[must_use]
pub fn read(provider: Dialect, status: Option<u16>, body: &[u8]) -> Complaint<'_> {
    match provider {
        Dialect::Chat | Dialect::Responses => chat::read_error::read(status, body),
        Dialect::Messages => messages::read_error::read(status, body),
    }
}

/// Appends the body that tells a caller of an error, or the data of an event that does.
pub fn write(complaint: &Complaint<'_>, caller: Dialect, request_id: &str, out: &mut Vec<u8>) {
    match caller {
        Dialect::Chat | Dialect::Responses => chat::write_error::write(complaint, out),
        Dialect::Messages => messages::write_error::write(complaint, request_id, out),
    }
}
