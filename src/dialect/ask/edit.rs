//! Edits of a request in place, for a provider of the same dialect.

use memchr::memchr;

use super::Ask;
use crate::wire::json;
use crate::wire::splice::Splice;

/// Appends `body`, a JSON object without a `model`, with this one.
pub fn write_named(body: &[u8], model: &str, out: &mut Vec<u8>) {
    let inside = memchr(b'{', body).map_or(body.len(), |brace| brace + 1);
    let (start, rest) = body.split_at(inside);
    out.extend_from_slice(start);
    out.extend_from_slice(b"\"model\":");
    json::write_string(model, out);
    if !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
}

/// What must be changed in a request for one provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestEdits<'a> {
    /// The provider's name for the model, as a JSON string with its quotes.
    pub model: Option<&'a [u8]>,
    /// Ask for the usage chunk of a stream where the caller has not.
    pub inject_usage: bool,
    /// Give `max_completion_tokens` as `max_tokens` too, to providers that read only the latter.
    pub copy_max_tokens: bool,
}

/// The body as one provider is to get it: only the bytes that the edits name differ from the
/// caller's.
///
/// `body` is what `ask` was read from.
#[must_use]
pub fn edit_request<'a>(body: &'a [u8], ask: &Ask<'_>, edits: &RequestEdits<'a>) -> Splice<'a> {
    let mut splice = Splice::new(body);
    if let Some(model) = edits.model
        && body.get(ask.model_span.clone()) != Some(model)
    {
        splice.replace(ask.model_span.clone(), model);
    }
    if edits.inject_usage && ask.lacks_usage() {
        inject_usage(body, ask, &mut splice);
    }
    if edits.copy_max_tokens {
        copy_max_tokens(body, ask, &mut splice);
    }
    splice
}

fn inject_usage<'a>(body: &'a [u8], ask: &Ask<'_>, splice: &mut Splice<'a>) {
    let Some(options) = ask.stream_options.clone() else {
        // A request has a `model`, so that a comma always belongs here.
        splice.insert(ask.inside, b"\"stream_options\":{\"include_usage\":true},");
        return;
    };
    if let Some(include_usage) = ask.include_usage_span.clone() {
        splice.replace(include_usage, b"true");
        return;
    }
    match body
        .get(options.clone())
        .and_then(|text| text.split_first())
    {
        Some((b'{', rest)) if rest.trim_ascii_start() == b"}" => {
            splice.replace(options, b"{\"include_usage\":true}");
        }
        Some((b'{', _)) => splice.insert(options.start + 1, b"\"include_usage\":true,"),
        Some(_) | None => splice.replace(options, b"{\"include_usage\":true}"),
    }
}

fn copy_max_tokens<'a>(body: &'a [u8], ask: &Ask<'_>, splice: &mut Splice<'a>) {
    let Some(value) = ask
        .max_completion_tokens_span
        .clone()
        .and_then(|span| body.get(span))
    else {
        return;
    };
    match ask.max_tokens_span.clone() {
        None if value != b"null" => {
            splice.insert(ask.inside, b"\"max_tokens\":");
            splice.insert(ask.inside, value);
            splice.insert(ask.inside, b",");
        }
        Some(span) if body.get(span.clone()) == Some(b"null") => splice.replace(span, value),
        Some(_) | None => {}
    }
}
