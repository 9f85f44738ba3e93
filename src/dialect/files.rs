//! Pictures and documents as OpenAI's callers give them: data URIs and addresses.

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::prompt::{Content, Source};
use crate::wire::json::{Kind, Value};

/// The content for an `image_url`, which is an object or a bare string.
///
/// # Errors
/// Why it is no picture.
pub(super) fn image<'a>(image_url: &Value<'a>) -> Result<Content<'a>, &'static str> {
    let url = match image_url.kind {
        Kind::Object => {
            let [url] = fields::read(image_url, ["url"]).map_err(|_| "is malformed")?;
            url.ok_or("has no `url`")?
        }
        Kind::String | Kind::Number | Kind::Array | Kind::True | Kind::False | Kind::Null => {
            *image_url
        }
    };
    picture(&url)
}

/// The content for the address of a picture, which must be a string.
///
/// # Errors
/// Why it is no picture.
pub(super) fn picture<'a>(url: &Value<'a>) -> Result<Content<'a>, &'static str> {
    let text = url.string().ok_or("is not a string")?;
    if let Some(uri) = DataUri::read(&text)? {
        let data = uri.data_of(text);
        if uri.media_type == PDF {
            return Ok(document(uri.media_type, data, None));
        }
        let media_type = image_type(uri.media_type);
        return Ok(Content::Image(Source::Base64 { media_type, data }, None));
    }
    if starts_with(&text, "https://") || starts_with(&text, "http://") {
        return Ok(Content::Image(Source::Url(url.text), None));
    }
    Err("is neither a data URI nor an http address")
}

/// The content for a `file`.
///
/// # Errors
/// Why it is no document.
pub(super) fn file<'a>(file: &Value<'a>) -> Result<Content<'a>, &'static str> {
    let [data, name] = fields::read(file, ["file_data", "filename"]).map_err(|_| "is malformed")?;
    // The id of an uploaded file means nothing to another vendor.
    let data = data.ok_or("has no `file_data`")?;
    document_of(&data, name)
}

/// The content for the data of a file, which must be a string, and its name.
///
/// # Errors
/// Why it is no document.
pub(super) fn document_of<'a>(
    data: &Value<'a>,
    name: Option<Value<'a>>,
) -> Result<Content<'a>, &'static str> {
    let text = data
        .string()
        .ok_or("has a `file_data` that is not a string")?;
    let name = name.filter(|name| name.kind == Kind::String);
    let title = name.filter(|name| !fields::is_blank_string(name));
    let title = title.map(|name| name.text);
    let (media_type, data) = match DataUri::read(&text)? {
        Some(uri) => {
            let data = uri.data_of(text);
            (uri.media_type, data)
        }
        None if name.is_some_and(|name| is_text_name(&fields::text_of(&name))) => {
            (PLAIN.to_owned(), text)
        }
        None => (PDF.to_owned(), text),
    };
    if media_type != PLAIN {
        return Ok(document(media_type, data, title));
    }
    let bytes = base64(&data).ok_or("is not valid base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
    Ok(Content::Document {
        source: Source::Plain(Cow::Owned(text)),
        title,
        context: None,
    })
}

fn document<'a>(media_type: String, data: Cow<'a, str>, title: Option<&'a [u8]>) -> Content<'a> {
    Content::Document {
        source: Source::Base64 {
            media_type: Cow::Owned(media_type),
            data,
        },
        title,
        context: None,
    }
}

/// `data:<type>[;param]*;base64,<data>`
struct DataUri {
    /// In lower case.
    media_type: String,
    /// Where the data starts.
    data: usize,
}

impl DataUri {
    /// `None`: the text is no data URI.
    fn read(text: &str) -> Result<Option<Self>, &'static str> {
        if !is_data_uri(text.as_bytes()) {
            return Ok(None);
        }
        let comma = text.find(',').ok_or("is a data URI without data")?;
        let head = text.get(DATA.len()..comma).unwrap_or_default();
        let mut params = head.split(';').map(str::trim);
        let media_type = params.next().unwrap_or_default().to_ascii_lowercase();
        if !params
            .next_back()
            .is_some_and(|last| last.eq_ignore_ascii_case("base64"))
        {
            return Err("is a data URI that is not base64");
        }
        Ok(Some(Self {
            media_type,
            data: comma + 1,
        }))
    }

    fn data_of<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(self.data..).unwrap_or_default()),
            Cow::Owned(mut text) => {
                text.drain(..self.data);
                Cow::Owned(text)
            }
        }
    }
}

/// Many programs call a JPEG by a name that is not registered.
fn image_type<'a>(name: String) -> Cow<'a, str> {
    match &*name {
        "image/jpg" => Cow::Borrowed("image/jpeg"),
        _ => Cow::Owned(name),
    }
}

fn is_text_name(name: &str) -> bool {
    let end = name.len().saturating_sub(4);
    name.get(end..)
        .is_some_and(|end| end.eq_ignore_ascii_case(".txt"))
}

/// Whether a text is a data URI.
pub(super) fn is_data_uri(text: &[u8]) -> bool {
    let head = text.get(..DATA.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(DATA))
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Decodes base64 of either alphabet (RFC 4648), with or without padding; line breaks are skipped.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held, mut digits) = (0_u32, 0, 0_usize);
    let text = text.trim_ascii_end().trim_end_matches('=');
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        bits = (bits << 6 | u32::from(digit(byte)?)) & 0xffff;
        held += 6;
        digits += 1;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    // One digit alone is less than a byte.
    (digits % 4 != 1).then_some(out)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// How a data URI begins.
const DATA: &[u8] = b"data:";
const PDF: &str = "application/pdf";
const PLAIN: &str = "text/plain";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("SGFsbG8=", Some(b"Hallo")),
            ("SGFsbG8", Some(b"Hallo")),
            ("SGFs\r\nbG8h", Some(b"Hallo!")),
            ("-_-_", Some(&[0xfb, 0xff, 0xbf])),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("SGFsb", None),
            ("SG!s", None),
            ("é", None),
        ] {
            assert_eq!(base64(text).as_deref(), bytes, "{text}");
        }
    }
}
