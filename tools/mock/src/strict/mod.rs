//! What a provider refuses before it answers: mistakes in a body that no test should overlook.

mod blocks;
mod body;
mod chat;
mod messages;
mod responses;
mod tools;
mod turns;

use serde_json::Value;

use self::body::{Setting, messages_of};
use crate::ask::{Flavour, Objection, Route};
use crate::endpoint::Endpoint;
use crate::http::Request;
use crate::script::Script;

pub(crate) use self::responses::check_pairs;

/// Objects to a body that the real provider would refuse.
pub(crate) fn check(
    script: &Script,
    route: &Route,
    request: &Request<'_>,
    body: &Value,
) -> Result<(), Objection> {
    let Some(body) = body.as_object() else {
        return Err(Objection::bad("the body is not a JSON object"));
    };
    let setting = Setting {
        script,
        endpoint: &route.endpoint,
        version: request.header("anthropic-version").unwrap_or_default(),
        beta: request.header("anthropic-beta").is_some(),
    };
    match (&route.endpoint, route.flavour) {
        (Endpoint::Messages | Endpoint::CountTokens, _) => messages::check(setting, body),
        (Endpoint::Chat, Flavour::OpenAi | Flavour::Azure) => {
            chat::check_stream_options(body)?;
            chat::check(script, body)
        }
        (Endpoint::Chat, Flavour::Ollama | Flavour::Anthropic) => {
            messages_of(body)?;
            chat::check_unsupported(script, body)
        }
        (Endpoint::Completions, Flavour::OpenAi | Flavour::Azure) => {
            chat::check_stream_options(body)
        }
        (Endpoint::Responses | Endpoint::InputTokens | Endpoint::Compact, _) => {
            chat::check_unsupported(script, body)?;
            responses::check(&route.endpoint, body)
        }
        (Endpoint::Completions | Endpoint::Embeddings, _)
        | (Endpoint::Models | Endpoint::Model(_) | Endpoint::Stored { .. }, _)
        | (Endpoint::Other, _) => Ok(()),
    }
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
