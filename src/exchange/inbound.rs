//! The fields of a provider's head that are passed on to the caller.

use crate::decide::outcome::KeyOwner;
use crate::exchange::headers;
use crate::exchange::masks::OwnMasks;
use crate::wire::field;
use crate::wire::head::{Field, Head};

/// What decides which of a provider's fields are passed on, and in what form.
#[derive(Clone, Copy)]
pub struct Crossing<'a> {
    /// Whose key the request was sent with.
    pub key: KeyOwner,
    /// The keys that the provider was sent.
    pub masks: &'a OwnMasks,
}

/// Appends the provider's fields that are passed on, and its own id for the request. The type of
/// the body is stated by the function that writes the body.
pub fn write_fields(head: &Head, bytes: &[u8], crossing: Crossing<'_>, out: &mut Vec<u8>) {
    let listed = head.listed_by_connection(bytes);
    let any = listed.clone().next().is_some();
    let listed = listed.take(if any { usize::MAX } else { 0 });
    for field in &head.fields {
        let (name, value) = (&bytes[field.name.clone()], &bytes[field.value.clone()]);
        if headers::crosses_to_caller(name, crossing.key)
            && !headers::is_named(name, listed.clone())
        {
            out.extend_from_slice(name);
            write_value(value, crossing.masks, out);
        }
    }
    if let Some(id) = request_id(head, bytes) {
        out.extend_from_slice(b"X-Infermux-Upstream-Request-Id");
        write_value(id, crossing.masks, out);
    }
}

/// The provider's own id for the request. Of several, the one with the most specific name counts:
/// `x-request-id` may be that of a gateway in front, or the one that infermux itself has sent.
#[must_use]
pub fn request_id<'b>(head: &Head, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let rank = |field: &Field| {
        let name = &bytes[field.name.clone()];
        let (is_one, rank) = match name.len() {
            12 => (field::is(name, b"x-request-id"), 0),
            10 => (field::is(name, b"request-id"), 1),
            15 => (field::is(name, b"apim-request-id"), 2),
            16 => (field::is(name, b"x-amzn-requestid"), 3),
            _ => return None,
        };
        (is_one && !field.value.is_empty()).then_some(rank)
    };
    let ranked = head
        .fields
        .iter()
        .filter_map(|field| Some((rank(field)?, field)));
    let (_, field) = ranked.max_by_key(|(rank, _)| *rank)?;
    Some(&bytes[field.value.clone()])
}

fn write_value(value: &[u8], masks: &OwnMasks, out: &mut Vec<u8>) {
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value);
    masks.mask_value(&mut out[start..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::auth;
    use crate::wire::head::{Arrival, Asked};

    #[test]
    fn only_what_crosses_is_passed_on() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Encoding: br\r\n\
            openai-version: sk-1234567\r\nServer: s\r\nX-Request-Id: echo\r\n\
            Request-Id: theirs\r\nX-RateLimit-Limit-Tokens: 7\r\nRetry-After: 1\r\n\
            Connection: Retry-After\r\nX-Infermux-Cost: 9\r\nContent-Length: 3\r\n\r\n";
        let mut head = Head::default();
        assert_eq!(
            head.parse_answer(bytes, 0, Asked::Other),
            Ok(Arrival::Whole)
        );
        let masks = OwnMasks::of(&auth::tests::provider(Some("sk-1234567"), false));
        let written = |key| {
            let mut out = Vec::new();
            let crossing = Crossing { key, masks: &masks };
            write_fields(&head, bytes, crossing, &mut out);
            String::from_utf8(out).unwrap()
        };
        let start = "openai-version: **********\r\n";
        let end = "X-Infermux-Upstream-Request-Id: theirs\r\n";
        assert_eq!(written(KeyOwner::Infermux), format!("{start}{end}"));
        let limits = "X-RateLimit-Limit-Tokens: 7\r\n";
        assert_eq!(written(KeyOwner::Caller), format!("{start}{limits}{end}"));
    }
}
