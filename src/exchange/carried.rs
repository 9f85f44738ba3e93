//! How a request is sent that is passed on as it is.

use crate::wire::head::Framing;

/// How a request is sent that is passed on as it is.
#[derive(Clone, Copy)]
pub struct Carried<'a> {
    /// The method.
    pub method: &'a [u8],
    /// What stands behind the endpoint's own path, a slash at its beginning.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a [u8],
    /// The type of the body, as the caller states it.
    pub media: Option<&'a [u8]>,
    /// How the body is delimited.
    pub framing: Framing,
}

impl Carried<'_> {
    /// Appends what the head says of the body.
    pub fn write_fields(&self, out: &mut Vec<u8>) {
        if let Some(media) = self.media {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(media);
            out.extend_from_slice(b"\r\n");
        }
        match self.framing {
            // Whoever has no body need not say so.
            Framing::Length(0) if self.method != b"POST" => {}
            Framing::Length(length) => {
                out.extend_from_slice(b"Content-Length: ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Framing::None | Framing::Close => {}
        }
    }
}
