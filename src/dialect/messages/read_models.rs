//! The Messages API's list of models in OpenAI's shape.

use crate::dialect::compose::Composer;
use crate::wire::azure::percent_encode;
use crate::wire::json::{self, Kind, Value};
use crate::wire::retry_after::rfc_3339;

/// Appends `model` in OpenAI's shape, with the id `id` and the owner `owner`, if an open provider
/// may serve requests for it; returns whether it may. Otherwise appends nothing.
pub fn write(model: &Value<'_>, id: &str, owner: &str, out: &mut Vec<u8>) -> bool {
    if !id.starts_with("claude") {
        return false;
    }
    let mut entry = Composer::object(out);
    entry.string("id", id);
    entry.string("object", "model");
    entry.number("created", created(model));
    entry.string("owned_by", owner);
    entry.end();
    true
}

/// The query parameters that ask for the page after `page`; `None`: `page` is the last one.
#[must_use]
pub fn next_page(page: &[u8]) -> Option<String> {
    let more = json::member(page, b"has_more")?.value;
    if more.kind != Kind::True {
        return None;
    }
    let last = json::member(page, b"last_id")?.value.string()?;
    let mut next = String::from("&after_id=");
    percent_encode(&last, &mut next);
    Some(next)
}

/// When the model was made, in Unix seconds; zero where the list does not say.
fn created(model: &Value<'_>) -> u64 {
    if model.kind != Kind::Object {
        return 0;
    }
    let at = json::member(model.text, b"created_at").and_then(|at| at.value.string());
    at.and_then(|at| rfc_3339(&at))
        .map_or(0, |at| at.unix_millis() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_shape_of_openais() {
        let model =
            r#"{"type":"model","id":"claude-opus-4-5","created_at":"2025-11-24T00:00:00Z"}"#;
        for (model, id, expected) in [
            (
                model,
                "claude-opus-4-5",
                concat!(
                    r#"{"id":"claude-opus-4-5","object":"model","#,
                    r#""created":1763942400,"owned_by":"p"}"#,
                ),
            ),
            (
                r#"{"id":"claude-\"x\"","created_at":"once"}"#,
                "claude-\"x\"",
                r#"{"id":"claude-\"x\"","object":"model","created":0,"owned_by":"p"}"#,
            ),
            (r#"{"id":"glm"}"#, "glm", ""),
        ] {
            let array = format!("[{model}]");
            let value = json::elements(array.as_bytes()).next().unwrap().unwrap();
            let mut out = Vec::new();
            assert_eq!(write(&value, id, "p", &mut out), !expected.is_empty());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_list_goes_on_behind_its_last_model() {
        for (page, next) in [
            (
                r#"{"has_more":true,"last_id":"claude a"}"#,
                Some("&after_id=claude%20a"),
            ),
            (r#"{"has_more":false,"last_id":"a"}"#, None),
            (r#"{"has_more":true,"last_id":null}"#, None),
            (r#"{"data":[]}"#, None),
            ("[]", None),
        ] {
            assert_eq!(next_page(page.as_bytes()).as_deref(), next, "{page}");
        }
    }
}
