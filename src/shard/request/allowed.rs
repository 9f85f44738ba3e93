//! Whether a caller's key may ask for the models that a request names.

use std::borrow::Cow;
use std::ops::Range;

use crate::dialect::ask::Ask;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::wire::json::{self, Kind, Value};

/// Looks at the models that a request names, whose body stands `at` there.
///
/// # Errors
///
/// One of them is not for the caller's key, or no helper thread has time for a large body.
pub(super) async fn check<'a>(
    shard: &Shard,
    caller: &mut Caller,
    (request, ask): (&'a Request, &Ask<'_>),
    at: Range<usize>,
) -> Result<(), Unserved<'a>> {
    let principal = request.principal.as_ref();
    let Some(principal) = principal.filter(|principal| principal.is_restricted()) else {
        return Ok(());
    };
    let denied = if principal.allows_model(&ask.model) {
        let named = help::look(&shard.helpers, caller, at, others).await?;
        named.into_iter().find(|name| !principal.allows_model(name))
    } else {
        Some(ask.model.clone().into_owned())
    };
    let key = &principal.key().name;
    denied.map_or(Ok(()), |model| Err(Unserved::NotAllowed { model, key }))
}

/// The models that a body names besides its `model`: those to fall back on (OpenRouter's `models`,
/// Anthropic's `fallbacks`), and those that a tool is to ask (Anthropic's advisor, OpenAI's
/// pictures).
pub(super) fn others(body: &[u8]) -> Vec<String> {
    let (mut names, mut room) = (Vec::new(), Vec::new());
    for member in json::members(body).map_while(Result::ok) {
        let value = &member.value;
        match member.name.read(&mut room) {
            // One name in place of a list of them is read as such by some.
            b"models" if value.kind == Kind::String => names.extend(text_of(value)),
            b"models" | b"fallbacks" | b"tools" if value.kind == Kind::Array => {
                let elements = json::elements(value.text).map_while(Result::ok);
                names.extend(elements.filter_map(|element| name_of(&element)));
            }
            _ => {}
        }
    }
    names
}

/// The model that an element of a list names: the element itself, or its `model`.
fn name_of(element: &Value<'_>) -> Option<String> {
    match element.kind {
        Kind::String => text_of(element),
        Kind::Object => text_of(&json::member(element.text, b"model")?.value),
        Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => None,
    }
}

/// The text of a string.
fn text_of(value: &Value<'_>) -> Option<String> {
    value.string().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_models_are_read_as_json_reads_them() {
        for (body, expected) in [
            (r#"{"model":"a"}"#, &[][..]),
            (r#"{"models":["a","\u0062"]}"#, &["a", "b"]),
            (r#"{"mod\u0065ls":["a",1,null]}"#, &["a"]),
            (r#"{"models":"a"}"#, &["a"]),
            (r#"{"models":["a"],"models":["b"]}"#, &["a", "b"]),
            (r#"{"models":[{"model":"a"},{"id":"b"}]}"#, &["a"]),
            (r#"{"models":{"model":"a"}}"#, &[]),
            // The provider's own choice is nobody's name.
            (r#"{"fallbacks":"default"}"#, &[]),
            (
                r#"{"fallbacks":[{"mod\u0065l":"a","max_tokens":9},{"model":"b"}]}"#,
                &["a", "b"],
            ),
            (
                r#"{"tools":[{"type":"advisor_20260301","model":"a"},{"name":"b"}]}"#,
                &["a"],
            ),
            (
                r#"{"tools":[{"type":"function","function":{"model":"a"}}]}"#,
                &[],
            ),
        ] {
            assert_eq!(others(body.as_bytes()), expected, "{body}");
        }
    }
}
