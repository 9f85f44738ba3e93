//! Which kind of body a message has, by its label and by its beginning.

use crate::exchange::refusal::Refusal;
use crate::wire::inflate::Coding;
use crate::wire::known::Known;

/// The labelled type of a request's body, if the body can be read; `value` finds a field by its
/// name.
///
/// # Errors
/// The body's coding is not supported, or its label says that it is no JSON.
pub fn may_be_read<'a>(
    value: impl Fn(Known) -> Option<&'a [u8]>,
) -> Result<Media, Refusal<'static>> {
    if Coding::of(value(Known::ContentEncoding)).is_none() {
        return Err(Refusal::UnsupportedEncoding);
    }
    match Media::of(value(Known::ContentType)) {
        media @ (Media::Json | Media::Unsaid | Media::Form) => Ok(media),
        Media::Events | Media::Foreign => Err(Refusal::UnsupportedMediaType),
    }
}

/// Whether this `Content-Type` is that of a form with files in it.
#[must_use]
pub fn is_form(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next();
    let kind = kind.unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"multipart/form-data")
}

/// Whether a request's form can be read; `value` finds a field by its name.
///
/// # Errors
/// The body's coding is not supported.
pub fn is_readable_form<'a>(
    value: impl Fn(Known) -> Option<&'a [u8]>,
) -> Result<bool, Refusal<'static>> {
    let is_form = value(Known::ContentType).is_some_and(is_form);
    if is_form {
        is_readable(value)?;
    }
    Ok(is_form)
}

/// Whether a request's body can be read, whatever is in it; `value` finds a field by its name.
///
/// # Errors
/// The body's coding is not supported.
pub fn is_readable<'a>(value: impl Fn(Known) -> Option<&'a [u8]>) -> Result<(), Refusal<'static>> {
    match Coding::of(value(Known::ContentEncoding)) {
        Some(_) => Ok(()),
        None => Err(Refusal::UnsupportedEncoding),
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
            ("multipart/form-data; boundary=json", Media::Foreign),
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
