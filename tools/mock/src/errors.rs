//! Error answers in the shape of each provider.

use crate::ask::{Flavour, Objection};
use crate::reply::quoted;

/// The body of an error answer with that status.
pub(crate) fn body(flavour: Flavour, status: u16, message: &str) -> String {
    let usual = openai_type(status).1;
    written(flavour, &Objection::new(status, None, message), usual)
}

/// The body of the answer to a request that a provider would refuse.
pub(crate) fn objection_body(flavour: Flavour, objection: &Objection) -> String {
    written(flavour, objection, None)
}

/// An error answer; `usual` is the code of one that names none.
fn written(flavour: Flavour, objection: &Objection, usual: Option<&str>) -> String {
    let status = objection.status;
    let message = quoted(&objection.message);
    match (flavour, objection.code) {
        (Flavour::Anthropic, _) => format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"{}\",\"message\":{message}}},\
             \"request_id\":\"req_mock\"}}",
            anthropic_type(status)
        ),
        (Flavour::Ollama, _) => format!(
            "{{\"error\":{{\"message\":{message},\"type\":\"{}\",\"param\":null,\"code\":null}}}}",
            ollama_type(status)
        ),
        // Azure's gateway answers without type and param; the service behind it has both.
        (Flavour::Azure, Some(code)) if objection.param.is_none() => {
            format!("{{\"error\":{{\"code\":\"{code}\",\"message\":{message}}}}}")
        }
        (Flavour::Azure | Flavour::OpenAi, code) => {
            let kind = openai_type(status).0;
            let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
            format!(
                "{{\"error\":{{\"message\":{message},\"type\":\"{kind}\",\"param\":{},\
                 \"code\":{}}}}}",
                or_null(objection.param.as_deref()),
                or_null(code.or(usual))
            )
        }
    }
}

/// The event with which a stream fails: its name and its data.
pub(crate) fn event(flavour: Flavour, message: &str) -> (Option<&'static str>, String) {
    match flavour {
        Flavour::Anthropic => (Some("error"), body(flavour, 529, message)),
        Flavour::OpenAi | Flavour::Azure | Flavour::Ollama => (None, body(flavour, 500, message)),
    }
}

fn openai_type(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        403 => ("request_forbidden", None),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        503 => ("service_unavailable_error", Some("server_is_overloaded")),
        500..=599 => ("server_error", None),
        _ => ("invalid_request_error", None),
    }
}

fn ollama_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        404 => "not_found_error",
        _ => "api_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_flavour_has_its_shape() {
        let read = |flavour, status| -> Value {
            serde_json::from_str(&body(flavour, status, "no \"way\"")).unwrap()
        };
        assert_eq!(
            read(Flavour::OpenAi, 429),
            json!({"error": {"message": "no \"way\"", "type": "rate_limit_error",
                "param": null, "code": "rate_limit_exceeded"}})
        );
        assert_eq!(
            read(Flavour::Anthropic, 529)["error"]["type"],
            "overloaded_error"
        );
        assert_eq!(
            read(Flavour::Ollama, 404)["error"]["type"],
            "not_found_error"
        );
        let wrong = Objection::new(401, Some("401"), "wrong");
        let azure = objection_body(Flavour::Azure, &wrong);
        assert_eq!(
            azure,
            "{\"error\":{\"code\":\"401\",\"message\":\"wrong\"}}"
        );
        let unsupported = objection_body(Flavour::Azure, &Objection::unsupported("stop"));
        let unsupported: Value = serde_json::from_str(&unsupported).unwrap();
        assert_eq!(unsupported["error"]["param"], "stop");
        assert_eq!(unsupported["error"]["code"], "unsupported_parameter");
    }
}
