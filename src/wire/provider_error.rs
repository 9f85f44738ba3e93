//! Errors of providers, whatever their shape: what they say.

use std::borrow::Cow;

use crate::wire::json::{self, Kind, Value};

/// What an error says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError<'a> {
    /// For a person.
    pub message: Option<Cow<'a, str>>,
    /// `type`
    pub kind: Option<Cow<'a, str>>,
    /// `code`, a number as its digits.
    pub code: Option<Cow<'a, str>>,
    /// `param`: the part of the request that it is about.
    pub param: Option<Cow<'a, str>>,
    /// The `code` of its `innererror`, which Azure has.
    pub inner: Option<Cow<'a, str>>,
    /// `details`, which Google has: the list as it is written.
    pub details: Option<&'a [u8]>,
}

impl<'a> ProviderError<'a> {
    /// Reads an error's body, or the data of an error event.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Self {
        let root = root_of(body);
        let error = json::member(root, b"error").map(|member| member.value);
        match error {
            Some(error) if error.kind == Kind::Object => Self::of_object(error.text),
            Some(error) if error.kind == Kind::String => Self {
                message: error.string(),
                ..Self::of_object(root)
            },
            Some(_) | None => Self::of_object(root),
        }
    }

    /// The error's names: its `type` and codes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = [&self.kind, &self.code, &self.inner];
        names.into_iter().filter_map(Option::as_deref)
    }

    fn of_object(object: &'a [u8]) -> Self {
        let member = |name: &[u8]| json::member(object, name).map(|member| member.value);
        let text = |name: &[u8]| text_of(&member(name)?);
        let inner = member(b"innererror").filter(|inner| inner.kind == Kind::Object);
        let details = member(b"details").filter(|details| details.kind == Kind::Array);
        Self {
            message: text(b"message").or_else(|| text(b"detail")),
            kind: text(b"type"),
            code: text(b"code"),
            param: text(b"param"),
            inner: inner.and_then(|inner| text_of(&json::member(inner.text, b"code")?.value)),
            details: details.map(|details| details.text),
        }
    }
}

/// The object that holds a body's error: of an array (Gemini) the first element.
#[must_use]
pub fn root_of(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    if body.first() != Some(&b'[') {
        return body;
    }
    json::elements(body)
        .next()
        .and_then(Result::ok)
        .map_or(body, |first| first.text)
}

/// A string, or the text of anything else that says something.
fn text_of<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value.kind {
        Kind::String => value.string(),
        Kind::Null => None,
        Kind::Number | Kind::Object | Kind::Array | Kind::True | Kind::False => {
            std::str::from_utf8(value.text).ok().map(Cow::Borrowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_an_error_says() {
        for (body, message, kind, code) in [
            (
                r#"{"error":{"message":"m","type":"t","code":429}}"#,
                Some("m"),
                Some("t"),
                Some("429"),
            ),
            (r#"{"error":"m","code":"c"}"#, Some("m"), None, Some("c")),
            (r#"[{"error":{"message":"m"}}]"#, Some("m"), None, None),
            (r#"{"detail":"m"}"#, Some("m"), None, None),
            ("<html>", None, None, None),
        ] {
            let error = ProviderError::read(body.as_bytes());
            let found = (
                error.message.as_deref(),
                error.kind.as_deref(),
                error.code.as_deref(),
            );
            assert_eq!(found, (message, kind, code), "{body}");
        }
        let azure = br#"{"error":{"code":"a","innererror":{"code":"b"},"details":[1]}}"#;
        let error = ProviderError::read(azure);
        assert_eq!(error.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(error.details, Some(&b"[1]"[..]));
    }
}
