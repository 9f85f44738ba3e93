//! What a request for one of the other endpoints asks for.

use serde_json::Value;

use crate::ask::{Ask, Objection};
use crate::http::Request;

/// Reads what a request asks for.
pub(crate) fn read(request: &Request<'_>) -> Result<Ask, Objection> {
    let kind = request.header("content-type").unwrap_or_default();
    let model = if request.body.is_empty() {
        String::new()
    } else if kind.starts_with("multipart/form-data") {
        of_form(request.body).unwrap_or_default()
    } else {
        let body: Value = serde_json::from_slice(request.body)
            .map_err(|error| Objection::bad(format!("the body is not JSON: {error}")))?;
        let model = body.get("model").and_then(Value::as_str);
        model.unwrap_or_default().to_owned()
    };
    Ok(Ask {
        model,
        ..Ask::default()
    })
}

/// The part `model` of a form, found by its bytes.
fn of_form(body: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"name=\"model\"\r\n\r\n";
    let at = memchr::memmem::find(body, NAME)? + NAME.len();
    let rest = body.get(at..)?;
    let end = memchr::memmem::find(rest, b"\r\n")?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}
