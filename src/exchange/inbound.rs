//! The head of an answer to the caller: its status line, and the provider's fields that cross.

use crate::exchange::headers;
use crate::wire::head::Head;

/// Appends the status line.
pub fn write_status(status: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the provider's fields that cross, but for the type and the coding of the body, which
/// whoever writes the body states.
pub fn write_fields(head: &Head, bytes: &[u8], out: &mut Vec<u8>) {
    let listed = head.listed_by_connection(bytes);
    let any = listed.clone().next().is_some();
    let listed = listed.take(if any { usize::MAX } else { 0 });
    for field in &head.fields {
        let (name, value) = (&bytes[field.name.clone()], &bytes[field.value.clone()]);
        let stated = match name.len() {
            12 => name.eq_ignore_ascii_case(b"content-type"),
            // No coded body is relayed: one that the reader understands has none.
            16 => name.eq_ignore_ascii_case(b"content-encoding"),
            _ => false,
        };
        if !stated && headers::crosses_to_caller(name, listed.clone()) {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The usual phrase for a status; readers ignore it (RFC 9112, section 4).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Arrival, Asked};

    #[test]
    fn only_what_crosses_is_passed_on() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Encoding: br\r\n\
            X-Kept: 1\r\nServer: s\r\n\
            Connection: X-Hop\r\nX-Hop: 2\r\nX-Infermux-Cost: 9\r\nContent-Length: 3\r\n\r\n";
        let mut head = Head::default();
        assert_eq!(
            head.parse_answer(bytes, 0, Asked::Other),
            Ok(Arrival::Whole)
        );
        let mut out = Vec::new();
        write_status(head.status, &mut out);
        write_fields(&head, bytes, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 200 OK\r\nX-Kept: 1\r\n"
        );
    }
}
