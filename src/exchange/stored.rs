//! What callers ask for of a response that a provider has stored (rule W3 of
//! reference/responses-inbound.md).

use std::ops::Range;

use crate::base::limits::RESPONSE_ID_BYTES_MAX;
use crate::config::plan::Provider;
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;

/// A request for a stored response, or for a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The response's id; `None`: what stands in its place is no id.
    pub id: Option<Box<str>>,
    /// What of the response.
    pub part: Part,
}

/// What of a response is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The response itself: to be read, or to be deleted.
    Whole,
    /// `/input_items`
    InputItems,
    /// `/cancel`
    Cancel,
}

impl Part {
    /// Its path behind the id.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::InputItems => "/input_items",
            Self::Cancel => "/cancel",
        }
    }
}

/// The id that a segment of a path is. A segment with anything else in it could lead a provider to
/// another path than the one that was meant.
#[must_use]
pub fn id(segment: &str) -> Option<Box<str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_id = segment.len() <= RESPONSE_ID_BYTES_MAX && segment.bytes().all(is_plain);
    (is_id && !segment.is_empty()).then(|| segment.into())
}

/// The answer `body`, or the data of an event, of `provider` with the caller's name for the model:
/// where an alias leads to the provider's name, the alias, and without the date that the provider
/// has added. The caller's own name is not in the request.
#[must_use]
pub fn restored(body: &[u8], provider: &Provider) -> Option<Vec<u8>> {
    let span = model_in(body)?;
    let said = json::word(body.get(span.clone())?);
    let name = caller_name(provider, std::str::from_utf8(&said).ok()?)?;
    let name = json::quoted(name);
    let mut splice = Splice::new(body);
    splice.replace(span, &name);
    let mut out = Vec::with_capacity(splice.len());
    splice.write(&mut out);
    Some(out)
}

/// Where the model's name stands: in a response, or in an event's.
fn model_in(body: &[u8]) -> Option<Range<usize>> {
    let named = |object: &[u8], at: usize| {
        let model = json::member(object, b"model")?.value;
        (model.kind == Kind::String).then(|| at + model.at..at + model.end())
    };
    let response: Option<Value<'_>> = json::member(body, b"response").map(|one| one.value);
    match response {
        Some(response) => named(response.text, response.at),
        None => named(body, 0),
    }
}

/// What callers call the model that `provider` calls `said`; `None`: the same.
fn caller_name<'p>(provider: &'p Provider, said: &str) -> Option<&'p str> {
    if provider.models.iter().any(|model| **model == *said) {
        return None;
    }
    let aliases = provider.model_aliases.iter();
    let aliases = aliases.map(|(caller, own)| (&**caller, &**own));
    let models = provider.models.iter().map(|model| (&**model, &**model));
    let mut names = aliases.chain(models);
    let exact = names.clone().find(|(_, own)| *own == said);
    let found = exact.or_else(|| names.find(|(_, own)| is_dated(said, own)));
    found
        .map(|(caller, _)| caller)
        .filter(|caller| *caller != said)
}

/// Whether `said` is `name` with a date behind it.
fn is_dated(said: &str, name: &str) -> bool {
    let date = said
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'));
    let is_date = |date: &str| {
        let mut bytes = date.bytes();
        date.len() >= "20260101".len() && bytes.all(|byte| matches!(byte, b'0'..=b'9' | b'-'))
    };
    date.is_some_and(is_date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    #[test]
    fn ids_hold_nothing_that_leads_elsewhere() {
        for good in [
            "resp_68af",
            "resp-1",
            "A",
            &"x".repeat(RESPONSE_ID_BYTES_MAX),
        ] {
            assert_eq!(id(good).as_deref(), Some(good));
        }
        let long = "x".repeat(RESPONSE_ID_BYTES_MAX + 1);
        for bad in [
            "", ".", "..", "a.b", "a%2fb", "a%", "a/b", "a b", "a?b", "ä", "a\\b", &long,
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    fn provider() -> Provider {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let file = "providers: [{name: p, type: openai, api_key: k, models: [gpt-4o, kit], \
                    model_aliases: {fast: gpt-mini, large: gpt-huge}}]";
        let loaded = config::load(file, &options);
        loaded
            .expect("a good file")
            .plan
            .providers
            .into_vec()
            .remove(0)
    }

    #[test]
    fn the_model_is_called_as_callers_call_it() {
        let provider = provider();
        for (body, expected) in [
            (
                r#"{"id":"r","model":"gpt-4o-2026-08-06"}"#,
                Some(r#"{"id":"r","model":"gpt-4o"}"#),
            ),
            (
                r#"{ "model" : "gpt-mini" }"#,
                Some(r#"{ "model" : "fast" }"#),
            ),
            (
                r#"{"model":"gpt-mini-20260806"}"#,
                Some(r#"{"model":"fast"}"#),
            ),
            (r#"{"model":"gpt-4o"}"#, None),
            (r#"{"model":"gpt-4o-mini"}"#, None),
            (r#"{"model":"other","tools":[{"model":"gpt-mini"}]}"#, None),
            (r#"{"object":"list","data":[{"model":"gpt-mini"}]}"#, None),
            (
                r#"{"type":"response.created","response":{"model":"gpt-mini"},"model":"x"}"#,
                Some(r#"{"type":"response.created","response":{"model":"fast"},"model":"x"}"#),
            ),
            (r#"{"model":7}"#, None),
            ("<html>", None),
        ] {
            let found = restored(body.as_bytes(), &provider);
            let found = found.map(|body| String::from_utf8(body).expect("UTF-8"));
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }
}
