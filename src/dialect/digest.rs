//! Short forms of names and ids.

use crate::base::digest::Digest;

/// The SHA-256 of `text`, in hexadecimal digits.
pub(super) fn hex(text: &[u8]) -> String {
    Digest::of(text).to_string()
}
