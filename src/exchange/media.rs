//! Which kind of body a message has, by its label and by its beginning.

use crate::exchange::refusal::Refusal;
use crate::wire::head::Head;
use crate::wire::inflate::Coding;
use crate::wire::known::Known;

/// What the head of a request says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The type.
    pub media: Media,
    /// How the body is coded; `None`: in a way that is not supported.
    pub coding: Option<Coding>,
    /// Whether several lines name codings.
    is_coded_twice: bool,
}

impl Stated {
    /// What the head that was parsed from `bytes` says.
    #[must_use]
    pub fn read(head: &Head, bytes: &[u8]) -> Self {
        Self {
            media: Media::of(head.value_of(bytes, Known::ContentType)),
            coding: Coding::of(head.value_of(bytes, Known::ContentEncoding)),
            is_coded_twice: head.repeats(Known::ContentEncoding),
        }
    }

    /// Checks that one line at most names a coding.
    ///
    /// # Errors
    /// Two do: they are a list of codings, as one line with a comma is.
    pub const fn check_lines(self) -> Result<(), Refusal<'static>> {
        if self.is_coded_twice {
            return Err(Refusal::UnsupportedEncoding);
        }
        Ok(())
    }

    /// The type of a body that can be read, whatever is in it.
    ///
    /// # Errors
    /// The body's coding is not supported.
    pub const fn readable(self) -> Result<Media, Refusal<'static>> {
        match self.coding {
            Some(_) => Ok(self.media),
            None => Err(Refusal::UnsupportedEncoding),
        }
    }

    /// The type of a body that can be read as JSON.
    ///
    /// # Errors
    /// The body's coding is not supported, or its label says that it is no JSON.
    pub const fn may_be_json(self) -> Result<Media, Refusal<'static>> {
        match self.readable() {
            Ok(media @ (Media::Json | Media::Unsaid | Media::Form)) => Ok(media),
            Ok(Media::Events | Media::Parts | Media::Foreign) => Err(Refusal::UnsupportedMediaType),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The type that `Content-Type` states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// A stream of events.
    Events,
    /// JSON.
    Json,
    /// Nothing to rely on: the field is absent, or says plain text, or arbitrary bytes.
    Unsaid,
    /// A form, which is what `curl -d` calls any body.
    Form,
    /// A form with files in it.
    Parts,
    /// Something else: a page, a picture.
    Foreign,
}

impl Media {
    /// Reads the value; parameters do not count.
    #[must_use]
    pub fn of(value: Option<&[u8]>) -> Self {
        let value = value.unwrap_or_default();
        // As nearly everybody writes it.
        if value == b"application/json" {
            return Self::Json;
        }
        let kind = value.split(|byte| *byte == b';').next();
        let kind = kind.unwrap_or_default().trim_ascii();
        let is = |name: &str| kind.eq_ignore_ascii_case(name.as_bytes());
        if is("application/json")
            || kind
                .windows(4)
                .any(|four| four.eq_ignore_ascii_case(b"json"))
        {
            Self::Json
        } else if is("text/event-stream") {
            Self::Events
        } else if is("") || is("text/plain") || is("application/octet-stream") || is("*/*") {
            Self::Unsaid
        } else if is("application/x-www-form-urlencoded") {
            Self::Form
        } else if is("multipart/form-data") {
            Self::Parts
        } else {
            Self::Foreign
        }
    }
}

/// What a body looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// A stream of events: it begins with the name of a field, or a comment.
    Events,
    /// A JSON object.
    Json,
    /// Neither.
    Other,
}

impl Looks {
    /// Judges by the first bytes; `None`: more are needed.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let start = match start {
            [0xef] | [0xef, 0xbb] => return None,
            [0xef, 0xbb, 0xbf, rest @ ..] => rest,
            _ => start,
        };
        Some(match start.trim_ascii_start().first()? {
            // `data`, `event`, `id`, `retry`
            b':' | b'd' | b'e' | b'i' | b'r' => Self::Events,
            b'{' => Self::Json,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_without_their_parameters() {
        for (value, media) in [
            ("application/json; charset=utf-8", Media::Json),
            ("Application/Problem+JSON", Media::Json),
            ("text/json", Media::Json),
            ("TEXT/EVENT-STREAM;charset=utf-8", Media::Events),
            ("", Media::Unsaid),
            ("text/plain; x=\"json\"", Media::Unsaid),
            ("application/octet-stream", Media::Unsaid),
            ("application/x-www-form-urlencoded", Media::Form),
            ("text/html", Media::Foreign),
            ("multipart/form-data; boundary=json", Media::Parts),
            ("multipart/mixed; boundary=x", Media::Foreign),
        ] {
            assert_eq!(Media::of(Some(value.as_bytes())), media, "{value}");
        }
        assert_eq!(Media::of(None), Media::Unsaid);
    }

    #[test]
    fn a_body_is_known_by_its_beginning() {
        for (start, looks) in [
            ("data: {}", Some(Looks::Events)),
            ("event: x", Some(Looks::Events)),
            (": ping", Some(Looks::Events)),
            ("\n\ndata: {}", Some(Looks::Events)),
            ("\u{feff}id: 1", Some(Looks::Events)),
            ("\u{feff} {", Some(Looks::Json)),
            ("{\"id\"", Some(Looks::Json)),
            ("<html>", Some(Looks::Other)),
            ("[1]", Some(Looks::Other)),
            (" \r\n", None),
            ("", None),
            ("\u{feff}", None),
        ] {
            assert_eq!(Looks::of(start.as_bytes()), looks, "{start:?}");
        }
        assert_eq!(Looks::of(b"\xef\xbb"), None);
    }
}
