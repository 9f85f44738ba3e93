//! Whether a server has no Responses: an answer that says so (rule N8 of
//! reference/responses-inbound.md).

use memchr::memmem;

use crate::wire::provider_error::ProviderError;

/// Whether an answer with this status and body says that there is no such path, and not that one of
/// these models, or what the request refers to, is unknown.
#[must_use]
pub fn says_no_path(status: u16, body: &[u8], models: &[&str]) -> bool {
    if !matches!(status, 404 | 405) {
        return false;
    }
    let error = ProviderError::read(body);
    let code = error.code.as_deref().unwrap_or_default();
    if OTHER_CODES.contains(&code) {
        return false;
    }
    let message = error.message.as_deref().map_or(body, str::as_bytes);
    // "Item with id 'rs_1' not found", as OpenAI says it, is about what the request refers to.
    let is_about_request = error.param.is_some() || memmem::find(message, b" with id ").is_some();
    !is_about_request && !models.iter().any(|model| names(message, model.as_bytes()))
}

/// Whether a text has this name in it as a word.
fn names(text: &[u8], name: &[u8]) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let mut places = memmem::find_iter(text, name);
    !name.is_empty()
        && places.any(|at| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            !is_part(before) && !is_part(text.get(at + name.len()))
        })
}

/// Codes of answers with these statuses that are about the request.
const OTHER_CODES: [&str; 3] = [
    "model_not_found",
    "DeploymentNotFound",
    "previous_response_not_found",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_is_told_from_a_missing_model() {
        for (status, body, expected) in [
            (404, r#"{"detail":"Not Found"}"#, true),
            (405, r#"{"detail":"Method Not Allowed"}"#, true),
            (404, "404 page not found", true),
            (404, "", true),
            (404, "\u{fffd}<html>", true),
            (404, r#"{"error":{"message":"no path","code":null}}"#, true),
            (
                404,
                r#"{"error":{"message":"File Not Found","code":404}}"#,
                true,
            ),
            (
                404,
                r#"{"error":{"message":"x","code":"model_not_found"}}"#,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"x","code":"DeploymentNotFound"}}"#,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"x","code":"previous_response_not_found"}}"#,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"The model `org/m-1` does not exist."}}"#,
                false,
            ),
            (404, r#"{"detail":"model own not found"}"#, false),
            (
                404,
                r#"{"error":{"message":"Item with id 'rs_1' not found. Items are not persisted"}}"#,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"not found","param":"input","code":null}}"#,
                false,
            ),
            (404, "model \"own\" not found", false),
            (404, r#"{"detail":"this is our own-ish xowny page"}"#, false),
            (404, r#"{"detail":"ownership xown"}"#, true),
            (400, r#"{"detail":"Not Found"}"#, false),
            (200, "{}", false),
            (500, "", false),
        ] {
            let models = ["org/m-1", "own", ""];
            let found = says_no_path(status, body.as_bytes(), &models);
            assert_eq!(found, expected, "{status} {body}");
        }
    }
}
