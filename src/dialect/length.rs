//! How long the parts of a prompt are, as nobody has counted their tokens: of each character, a
//! quarter of a token is estimated.

use crate::dialect::compose::between_quotes;
use crate::wire::json::{self, Kind, Value, string};

/// The elements of a list, up to the first that cannot be read.
pub(super) fn elements<'a>(list: &Value<'a>) -> impl Iterator<Item = Value<'a>> {
    json::elements(list.text).map_while(Result::ok)
}

/// The characters of a string's text; none where the value is no string.
pub(super) fn chars_of_string(value: &Value<'_>) -> usize {
    if value.kind != Kind::String {
        return 0;
    }
    let inner = between_quotes(value.text);
    json::text_len(inner).saturating_sub(continuations(inner))
}

/// The characters of JSON as it is without the white space between its parts.
pub(super) fn chars_of_compact(text: &[u8]) -> usize {
    let (mut at, mut space) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string::end(text, at + 1).unwrap_or(text.len()),
            b' ' | b'\t' | b'\n' | b'\r' => {
                space += 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    text.len() - space - continuations(text)
}

/// The bytes that continue a character.
fn continuations(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 == 0x80).count()
}

/// What a picture counts: 1,600 tokens.
pub(super) const IMAGE_CHARS: usize = 4 * 1_600;
/// What a PDF counts: 3,000 tokens.
pub(super) const PDF_CHARS: usize = 4 * 3_000;
