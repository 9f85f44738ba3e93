//! The encoded attachments of a body, whose size says nothing about their tokens.

use memchr::{memchr, memmem};

use crate::base::endpoint::Dialect;

/// A search for attachments in a body that may still be arriving.
#[derive(Debug)]
pub(super) struct Attachments {
    dialect: Dialect,
    /// Everything before this place is searched.
    at: usize,
    /// Where the attachment begins whose end has not arrived.
    open: Option<usize>,
}

/// The part of an attachment that does not count as prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beyond {
    /// Where the attachment begins.
    pub(super) place: usize,
    /// The length of the part.
    pub(super) bytes: usize,
}

/// What stands behind a mark.
enum Behind {
    /// An attachment, from this place on.
    Attachment(usize),
    /// Something else.
    Other,
    /// It has not arrived.
    Unknown,
}

impl Attachments {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            at: 0,
            open: None,
        }
    }

    /// Searches on; `body` is everything that has arrived by now. Attachments of which a part does
    /// not count are `found`.
    pub(super) fn take_in(&mut self, body: &[u8], mut found: impl FnMut(Beyond)) {
        let mark = mark(self.dialect);
        while let Some(rest) = body.get(self.at..) {
            let Some(start) = self.open else {
                let Some(step) = memmem::find(rest, mark) else {
                    // The last bytes may be the beginning of a mark.
                    let searched = (body.len() + 1).saturating_sub(mark.len());
                    self.at = self.at.max(searched);
                    return;
                };
                self.at += step;
                match behind(self.dialect, body, self.at) {
                    Behind::Attachment(start) => {
                        self.at = start;
                        self.open = Some(start);
                    }
                    Behind::Other => self.at += mark.len(),
                    Behind::Unknown => return,
                }
                continue;
            };
            let Some(step) = memchr(b'"', rest) else {
                self.at = body.len();
                return;
            };
            self.at += step;
            self.open = None;
            let attachment = body.get(start..self.at).unwrap_or_default();
            if let Some((counted, beyond)) =
                attachment.split_at_checked(attachment_bytes(self.dialect))
                && is_encoded(self.dialect, counted)
            {
                let bytes = beyond.len();
                found(Beyond {
                    place: start,
                    bytes,
                });
            }
        }
    }
}

/// The bytes before an attachment.
const fn mark(dialect: Dialect) -> &'static [u8] {
    match dialect {
        // RFC 2397.
        Dialect::Chat | Dialect::Responses => b";base64,",
        Dialect::Messages => b"\"data\"",
    }
}

/// What stands behind the mark at `place`.
fn behind(dialect: Dialect, body: &[u8], place: usize) -> Behind {
    let string = match dialect {
        Dialect::Chat | Dialect::Responses => return Behind::Attachment(place),
        Dialect::Messages => place + mark(dialect).len(),
    };
    let near = body.get(string..).unwrap_or_default();
    let near = near.get(..SPACE_BYTES_MAX).unwrap_or(near);
    let mut skipped = near.iter().enumerate();
    let mut next = || skipped.find(|(_, byte)| !byte.is_ascii_whitespace());
    match (next(), next()) {
        (Some((_, b':')), Some((quote, b'"'))) => Behind::Attachment(string + quote + 1),
        (None | Some((_, b':')), None) if near.len() < SPACE_BYTES_MAX => Behind::Unknown,
        (_, _) => Behind::Other,
    }
}

/// Whether the beginning of what stands behind a mark is no text: Messages has documents as plain
/// text in the same place.
fn is_encoded(dialect: Dialect, start: &[u8]) -> bool {
    match dialect {
        Dialect::Chat | Dialect::Responses => true,
        Dialect::Messages => {
            let is_digit = |byte: &u8| {
                // A line break and a slash may be escaped.
                byte.is_ascii_alphanumeric() || b"+/-_=\\".contains(byte)
            };
            start.iter().all(is_digit)
        }
    }
}

/// What an encoded attachment counts for in the estimate, in bytes. Its size says nothing about its
/// tokens.
pub(super) const fn attachment_bytes(dialect: Dialect) -> usize {
    match dialect {
        // About a thousand tokens, a picture's usual price.
        Dialect::Chat | Dialect::Responses => 4 << 10,
        // What a PDF counts in a count of tokens (rule MC2): no less is reserved for it.
        Dialect::Messages => 4 * 3_000,
    }
}

/// Most bytes between a name and its value that are looked at.
const SPACE_BYTES_MAX: usize = 64;
