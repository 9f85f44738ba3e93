//! The Messages API's list of models as OpenAI's API tells it.

use crate::translate::compose::Composer;
use crate::wire::json::{self, Kind, Value};
use crate::wire::retry_after::rfc_3339;

/// Appends the list `body` in OpenAI's shape, each model as one of `owner`'s; whether it is a list.
/// Nothing is appended unless it is.
///
/// Only the names that are routed to a provider which does not say what it serves are told.
pub fn write(body: &[u8], owner: &str, out: &mut Vec<u8>) -> bool {
    let data = json::member(body, b"data").map(|data| data.value);
    let Some(data) = data.filter(|data| data.kind == Kind::Array) else {
        return false;
    };
    let models: Result<Vec<_>, _> = json::elements(data.text).collect();
    let Ok(models) = models else {
        return false;
    };
    let mut list = Composer::object(out);
    list.string("object", "list");
    let mut data = Composer::array(list.member("data"));
    for model in &models {
        let id = string_of(model, b"id").filter(|id| id.starts_with("claude"));
        if let Some(id) = id {
            let mut entry = Composer::object(data.element());
            entry.string("id", &id);
            entry.string("object", "model");
            entry.number("created", created(model));
            entry.string("owned_by", owner);
            entry.end();
        }
    }
    data.end();
    list.end();
    true
}

/// When the model was made, in Unix seconds; zero where that is not told.
fn created(model: &Value<'_>) -> u64 {
    let at = string_of(model, b"created_at");
    at.and_then(|at| rfc_3339(&at))
        .map_or(0, |at| at.unix_millis() / 1_000)
}

fn string_of<'a>(model: &Value<'a>, name: &[u8]) -> Option<std::borrow::Cow<'a, str>> {
    if model.kind != Kind::Object {
        return None;
    }
    json::member(model.text, name)?.value.string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        let mut out = Vec::new();
        let is_list = write(body.as_bytes(), "claude", &mut out);
        let found = String::from_utf8(out).unwrap();
        assert_eq!(is_list.then_some(&*found), expected, "{body}");
        assert!(is_list || found.is_empty(), "{body}");
    }

    #[test]
    fn models_have_the_shape_of_openais() {
        check(
            concat!(
                r#"{"data":[{"type":"model","id":"claude-opus-4-5","display_name":"Opus","#,
                r#""created_at":"2025-11-24T00:00:00Z"},7,{"type":"model"},{"id":"glm"},"#,
                r#"{"id":"claude-\"x\"","created_at":"once"}],"has_more":false}"#,
            ),
            Some(concat!(
                r#"{"object":"list","data":[{"id":"claude-opus-4-5","object":"model","#,
                r#""created":1763942400,"owned_by":"claude"},{"id":"claude-\"x\"","#,
                r#""object":"model","created":0,"owned_by":"claude"}]}"#,
            )),
        );
        check(r#"{"data":[]}"#, Some(r#"{"object":"list","data":[]}"#));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"data":[{"id":"#] {
            check(body, None);
        }
    }
}
