//! Writes server-sent events, in good form or with the quirks that a script asks for.

use crate::answer::{Answer, Quirk};
use crate::http;

/// How the events of one stream are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sse {
    line_end: &'static str,
    ids: bool,
    comments: bool,
    bom: bool,
    chunked: bool,
}

impl Sse {
    /// The form that results from an answer's quirks.
    pub(crate) fn of(answer: &Answer) -> Self {
        let line_end = if answer.has(Quirk::Crlf) {
            "\r\n"
        } else if answer.has(Quirk::LoneCr) {
            "\r"
        } else {
            "\n"
        };
        Self {
            line_end,
            ids: answer.has(Quirk::IdLines),
            comments: answer.has(Quirk::Comments),
            bom: answer.has(Quirk::Bom),
            chunked: !answer.has(Quirk::CloseDelimited),
        }
    }

    /// Writes the bytes before the first event.
    pub(crate) fn start(self, out: &mut Vec<u8>) {
        if self.bom {
            self.framed(3, out, |out| out.extend_from_slice("\u{feff}".as_bytes()));
        }
    }

    /// Writes one event as one chunk.
    pub(crate) fn event(
        self,
        number: usize,
        name: Option<&'static str>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) {
        let size = self.size(number, name, data.len());
        self.framed(size, out, |out| {
            if self.comments {
                http::put(out, format_args!(": ping{0}{0}", self.line_end));
            }
            if self.ids {
                http::put(out, format_args!("id: {number}{}", self.line_end));
            }
            if let Some(name) = name {
                http::put(out, format_args!("event: {name}{}", self.line_end));
            }
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(data);
            http::put(out, format_args!("{0}{0}", self.line_end));
        });
    }

    /// How many bytes an event with that much data takes.
    pub(crate) fn size(self, number: usize, name: Option<&'static str>, data: usize) -> usize {
        let end = self.line_end.len();
        let comment = if self.comments {
            ": ping".len() + 2 * end
        } else {
            0
        };
        let id = if self.ids {
            "id: ".len() + number.to_string().len() + end
        } else {
            0
        };
        let name = name.map_or(0, |name| "event: ".len() + name.len() + end);
        comment + id + name + "data: ".len() + data + 2 * end
    }

    /// Writes the end of the body.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    fn framed(self, size: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.chunked {
            http::put(out, format_args!("{size:x}\r\n"));
        }
        write(out);
        if self.chunked {
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(quirks: &[&str]) -> String {
        let answer: Answer = serde_json::from_value(json!({ "quirks": quirks })).unwrap();
        let sse = Sse::of(&answer);
        let mut out = Vec::new();
        sse.start(&mut out);
        sse.event(12, Some("ping"), b"{}", &mut out);
        sse.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_one_chunk() {
        assert_eq!(written(&[]), "16\r\nevent: ping\ndata: {}\n\n\r\n0\r\n\r\n");
    }

    #[test]
    fn quirks_change_the_form_and_the_size_with_it() {
        assert_eq!(
            written(&["crlf", "id_lines", "close_delimited"]),
            "id: 12\r\nevent: ping\r\ndata: {}\r\n\r\n"
        );
        assert_eq!(
            written(&["comments", "lone_cr", "bom"]),
            "3\r\n\u{feff}\r\n1e\r\n: ping\r\revent: ping\rdata: {}\r\r\r\n0\r\n\r\n"
        );
    }
}
