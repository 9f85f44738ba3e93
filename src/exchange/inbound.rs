//! The fields of a provider's head that are passed on to the caller.

use crate::decide::outcome::KeyOwner;
use crate::exchange::headers;
use crate::exchange::masks::OwnMasks;
use crate::wire::head::{Field, Head};
use crate::wire::known::Known;

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
    let names = headers::to_caller(crossing.key);
    for field in &head.fields {
        if !names.has(field.known) {
            continue;
        }
        let name = &bytes[field.name.clone()];
        if !headers::is_named(name, head.listed_by_connection(bytes)) {
            out.extend_from_slice(name);
            write_value(&bytes[field.value.clone()], crossing.masks, out);
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
    let mut ids = IDS.iter().filter(|known| head.names.has(**known));
    ids.find_map(|known| {
        let is_one = |field: &&Field| field.known == *known && !field.value.is_empty();
        let field = head.fields.iter().rfind(is_one)?;
        Some(&bytes[field.value.clone()])
    })
}

/// The headers with a provider's id for the request, that with the most specific name first.
const IDS: [Known; 4] = [
    Known::XAmznRequestid,
    Known::ApimRequestId,
    Known::RequestId,
    Known::XRequestId,
];

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
