//! What a request asks for: its endpoint, and what of its body decides the answer.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::http::Request;
use crate::others;
use crate::responses;
use crate::script::{Dialect, Script};

/// The API whose form the answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    OpenAi,
    Azure,
    Ollama,
    Anthropic,
}

/// Endpoint and form, and for Azure's classic paths the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) flavour: Flavour,
    pub(crate) deployment: Option<String>,
}

/// What the body of a request asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Characters of all message text.
    pub(crate) characters: usize,
    /// The text of the last user message.
    pub(crate) last_user: String,
    /// The tool that the answer is to call.
    pub(crate) tool: Option<String>,
    /// The names of the tools that are offered.
    pub(crate) offered: Vec<String>,
    /// How many turns of the assistant's have called tools.
    pub(crate) call_turns: usize,
    pub(crate) max_tokens: Option<usize>,
    /// How many texts are to be embedded.
    pub(crate) inputs: usize,
    pub(crate) base64: bool,
    pub(crate) dimensions: Option<usize>,
    /// The items of a Responses request, earlier ones included.
    pub(crate) items: Vec<Value>,
    /// What a Responses request says beside its input.
    pub(crate) said: Map<String, Value>,
    /// The offered tools of a Responses request, by the names they have in `offered`.
    pub(crate) kinds: HashMap<String, Offered>,
    /// Whether the response is stored.
    pub(crate) keep: bool,
    pub(crate) background: bool,
    /// Whether reasoning is wanted in its encrypted form, too.
    pub(crate) encrypts: bool,
}

/// A tool of a Responses request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// Whether it takes text in place of arguments.
    pub(crate) is_custom: bool,
}

/// Why a request is answered with an error before any script is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
    /// The parameter that is wrong, where the provider's errors name one.
    pub(crate) param: Option<String>,
    pub(crate) message: String,
}

impl Objection {
    /// An error of that status.
    pub(crate) fn new(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            param: None,
            message: message.into(),
        }
    }

    /// A plain 400.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, None, message)
    }

    /// The same, naming the parameter that is wrong.
    pub(crate) fn about(self, param: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..self
        }
    }

    /// A parameter that the model does not have.
    pub(crate) fn unsupported(param: &str) -> Self {
        let instead = match param {
            "max_tokens" => " Use 'max_completion_tokens' instead.",
            _ => "",
        };
        let message =
            format!("Unsupported parameter: '{param}' is not supported with this model.{instead}");
        Self::new(400, Some("unsupported_parameter"), message).about(param)
    }
}

/// The form of an instance's error answers where the path does not say.
pub(crate) fn manners(dialect: Dialect) -> Flavour {
    match dialect {
        Dialect::Openai => Flavour::OpenAi,
        Dialect::Azure => Flavour::Azure,
        Dialect::Ollama => Flavour::Ollama,
        Dialect::Anthropic => Flavour::Anthropic,
    }
}

/// Finds where a request goes. An instance serves only the paths of its own dialect, so that tests
/// notice a router that calls a provider in a wrong way.
pub(crate) fn route(script: &Script, request: &Request<'_>) -> Result<Route, Objection> {
    let (name, deployment) = match script.dialect {
        Dialect::Openai | Dialect::Ollama | Dialect::Anthropic => {
            let name = others::name(request.path(), request.path().strip_prefix("/v1/"));
            (name.ok_or_else(|| missing(request))?, None)
        }
        Dialect::Azure => azure_endpoint(request)?,
    };
    let anthropic = script.dialect == Dialect::Anthropic;
    let (endpoint, method) = match name {
        "chat/completions" if !anthropic => (Endpoint::Chat, "POST"),
        "completions" if !anthropic => (Endpoint::Completions, "POST"),
        "embeddings" if !anthropic => (Endpoint::Embeddings, "POST"),
        "messages" if anthropic => (Endpoint::Messages, "POST"),
        "messages/count_tokens" if anthropic => (Endpoint::CountTokens, "POST"),
        "models" => (Endpoint::Models, "GET"),
        _ => {
            let responses = responses::endpoint(name, request.method)
                .filter(|_| script.responses && deployment.is_none());
            let other = others::method(name, request.method).filter(|_| !anthropic);
            let found = responses.or(other.map(|method| (Endpoint::Other, method)));
            match (found, name.strip_prefix("models/")) {
                (Some(found), _) => found,
                (None, Some(id)) if !id.is_empty() => (Endpoint::Model(percent_decoded(id)), "GET"),
                (None, _) => return Err(missing(request)),
            }
        }
    };
    if request.method != method {
        return Err(Objection {
            status: 405,
            ..missing(request)
        });
    }
    Ok(Route {
        endpoint,
        flavour: manners(script.dialect),
        deployment,
    })
}

/// The endpoint's name and the deployment in one of Azure's paths.
fn azure_endpoint<'a>(request: &Request<'a>) -> Result<(&'a str, Option<String>), Objection> {
    let path = request
        .path()
        .strip_prefix("/openai/")
        .ok_or_else(|| missing(request))?;
    if let Some(name) = path.strip_prefix("v1/") {
        return Ok((name, None));
    }
    if request.parameter("api-version").is_none_or(str::is_empty) {
        let message = "Resource not found: api-version is missing";
        return Err(Objection::new(404, Some("404"), message));
    }
    match path
        .strip_prefix("deployments/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((deployment, name)) if !name.starts_with("models") => {
            Ok((name, Some(percent_decoded(deployment))))
        }
        None if path == "models" => Ok((path, None)),
        Some(_) | None => Err(missing(request)),
    }
}

fn missing(request: &Request<'_>) -> Objection {
    let message = format!("no such path: {} {}", request.method, request.path());
    Objection::new(404, None, message)
}

/// Checks the credential and the headers that the dialect requires.
pub(crate) fn authorize(script: &Script, request: &Request<'_>) -> Result<(), Objection> {
    let bearer = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let given = match script.dialect {
        // Ollama has no keys; a proxy in front of it may have one, in this header.
        Dialect::Openai | Dialect::Ollama => bearer,
        Dialect::Azure => request.header("api-key").or(bearer),
        Dialect::Anthropic => request.header("x-api-key").or(bearer),
    };
    let needed = script.key.as_deref();
    let refused = match (needed, given) {
        (Some(needed), given) => given != Some(needed),
        (None, None) => script.dialect == Dialect::Anthropic,
        (None, Some(_)) => false,
    };
    if refused {
        let code = if script.dialect == Dialect::Azure {
            "401"
        } else {
            "invalid_api_key"
        };
        let message = if given.is_some() {
            "invalid api key"
        } else {
            "no api key was given"
        };
        return Err(Objection::new(401, Some(code), message));
    }
    if script.dialect != Dialect::Anthropic {
        return Ok(());
    }
    match request.header("anthropic-version") {
        None => Err(Objection::bad("anthropic-version: header is required")),
        Some(version) if !VERSIONS.contains(&version) => Err(Objection::bad(format!(
            "anthropic-version: \"{version}\" is not a valid version"
        ))),
        Some(_) => Ok(()),
    }
}

impl Ask {
    /// Reads what a body asks for, which is an object that the provider takes.
    pub(crate) fn read(route: &Route, body: &Value) -> Result<Self, Objection> {
        let model = match (&route.deployment, body.get("model")) {
            (Some(deployment), _) => deployment.clone(),
            (None, Some(Value::String(model))) if !model.is_empty() => model.clone(),
            (None, _) => return Err(Objection::bad("you must provide a model parameter")),
        };
        let flag = |value: &Value| value.as_bool().unwrap_or(false);
        let mut ask = Self {
            model,
            stream: body.get("stream").is_some_and(flag),
            include_usage: body
                .pointer("/stream_options/include_usage")
                .is_some_and(flag),
            max_tokens: max_tokens(route.flavour, body),
            ..Self::default()
        };
        match route.endpoint {
            Endpoint::Chat => ask.read_chat(body),
            Endpoint::Messages | Endpoint::CountTokens => ask.read_messages(body),
            Endpoint::Completions => {
                let prompt = body.get("prompt").unwrap_or(&Value::Null);
                ask.last_user = text_of(prompt);
                ask.characters = ask.last_user.chars().count();
            }
            Endpoint::Embeddings => ask.read_embeddings(body)?,
            Endpoint::Responses | Endpoint::InputTokens | Endpoint::Compact => {
                ask.read_response(body);
            }
            Endpoint::Models | Endpoint::Model(_) | Endpoint::Stored { .. } | Endpoint::Other => {}
        }
        Ok(ask)
    }

    fn read_chat(&mut self, body: &Value) {
        self.read_turns(body);
        self.read_tools(body, "/function/name");
        self.tool = match (self.offered.first(), body.get("tool_choice")) {
            (None, _) => None,
            (Some(first), Some(Value::String(choice))) if choice == "required" => {
                Some(first.clone())
            }
            (Some(_), Some(Value::String(choice))) if choice == "none" => None,
            (Some(_), choice) => choice
                .and_then(|choice| choice.pointer("/function/name"))
                .and_then(Value::as_str)
                .map(str::to_owned)
                .or_else(|| called_tool(&self.last_user)),
        };
    }

    fn read_messages(&mut self, body: &Value) {
        self.read_turns(body);
        self.read_tools(body, "/name");
        self.characters += body
            .get("system")
            .map_or(0, |system| text_of(system).chars().count());
        let choice = body.pointer("/tool_choice/type").and_then(Value::as_str);
        self.tool = match (self.offered.first(), choice) {
            (None, _) | (Some(_), Some("none")) => None,
            (Some(first), Some("any")) => Some(first.clone()),
            (Some(_), Some("tool")) => body
                .pointer("/tool_choice/name")
                .and_then(Value::as_str)
                .map(str::to_owned),
            (Some(_), _) => called_tool(&self.last_user),
        };
    }

    fn read_turns(&mut self, body: &Value) {
        let messages = body.get("messages").and_then(Value::as_array);
        for message in messages.into_iter().flatten() {
            let text = message.get("content").map_or_else(String::new, text_of);
            self.characters += text.chars().count();
            if message.get("role").and_then(Value::as_str) == Some("user") {
                self.last_user = text;
            }
            self.call_turns += usize::from(calls_tools(message));
        }
    }

    fn read_tools(&mut self, body: &Value, name: &str) {
        let tools = body.get("tools").and_then(Value::as_array);
        self.offered = tools
            .into_iter()
            .flatten()
            .filter_map(|tool| tool.pointer(name)?.as_str())
            .map(str::to_owned)
            .collect();
    }

    fn read_embeddings(&mut self, body: &Value) -> Result<(), Objection> {
        let Some(input) = body.get("input") else {
            return Err(Objection::bad("you must provide an input parameter"));
        };
        self.inputs = match input.as_array() {
            // An array of numbers is one text, given as its tokens.
            Some(list) if !list.first().is_some_and(Value::is_number) => list.len(),
            _ => 1,
        };
        self.last_user = text_of(input);
        self.characters = self.last_user.chars().count();
        self.base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
        self.dimensions = body
            .get("dimensions")
            .and_then(Value::as_u64)
            .and_then(|count| usize::try_from(count).ok())
            .map(|count| count.min(DIMENSIONS_MAX));
        Ok(())
    }
}

fn max_tokens(flavour: Flavour, body: &Value) -> Option<usize> {
    let newer = match flavour {
        // Ollama silently ignores the newer name.
        Flavour::Ollama | Flavour::Anthropic => None,
        Flavour::OpenAi | Flavour::Azure => body.get("max_completion_tokens"),
    };
    newer
        .filter(|value| !value.is_null())
        .or_else(|| body.get("max_tokens"))
        .and_then(Value::as_u64)
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// Whether a turn calls tools, in either dialect.
fn calls_tools(message: &Value) -> bool {
    let has = |key, is_call: fn(&Value) -> bool| {
        let list = message.get(key).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(is_call))
    };
    has("tool_calls", |_| true)
        || has("content", |block| {
            block.get("type").and_then(Value::as_str) == Some("tool_use")
        })
}

/// All text of a message's content: a string, parts with `text`, or a list of strings.
///
/// Only two levels are looked at, so the depth of the input does not matter.
pub(crate) fn text_of(content: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    match content {
        Value::Array(parts) => parts.iter().map(plain).collect(),
        other => plain(other),
    }
}

/// The tool that a text asks to be called.
pub(crate) fn called_tool(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("call-tool:")?;
    let name: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c))
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Undoes percent-encoding; malformed sequences stay as they are.
fn percent_decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digits = bytes
            .clone()
            .take(2)
            .map(|byte| char::from(byte).to_digit(16));
        let value = digits.collect::<Option<Vec<u32>>>();
        match value.as_deref() {
            Some(&[high, low]) if byte == b'%' => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(byte));
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The versions of Anthropic's API.
const VERSIONS: &[&str] = &["2023-01-01", "2023-06-01", "2026-10-21"];
/// The longest vector that is made.
const DIMENSIONS_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(flavour: Flavour) -> Route {
        Route {
            endpoint: Endpoint::Chat,
            flavour,
            deployment: None,
        }
    }

    fn messages_route() -> Route {
        Route {
            endpoint: Endpoint::Messages,
            flavour: Flavour::Anthropic,
            deployment: None,
        }
    }

    fn read(route: &Route, body: &Value) -> Result<Ask, Objection> {
        Ask::read(route, body)
    }

    #[test]
    fn finds_the_last_user_text_in_strings_and_parts() {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": "abcd"},
            {"role": "user", "content": [{"type": "text", "text": "ef"}, {"type": "image_url"}]},
        ]});
        let ask = read(&chat(Flavour::OpenAi), &body).unwrap();
        assert_eq!((ask.characters, ask.last_user.as_str()), (6, "ef"));
    }

    #[test]
    fn calls_a_tool_when_forced_or_told() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let told = json!({"model": "m", "tools": tools, "messages": [
            {"role": "user", "content": "please call-tool:weather now"}]});
        let route = chat(Flavour::OpenAi);
        assert_eq!(
            read(&route, &told).unwrap().tool.as_deref(),
            Some("weather")
        );
        let forced = json!({"model": "m", "tools": tools, "tool_choice": "required", "messages": [
            {"role": "user", "content": "hi"}]});
        assert_eq!(read(&route, &forced).unwrap().tool.as_deref(), Some("f"));
        let anthropic = json!({"model": "m", "max_tokens": 1, "tools": [{"name": "g"}],
            "tool_choice": {"type": "tool", "name": "g"},
            "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(
            read(&messages_route(), &anthropic).unwrap().tool.as_deref(),
            Some("g")
        );
    }

    #[test]
    fn counts_the_turns_that_called_tools() {
        let openai = json!({"model": "m", "messages": [
            {"role": "assistant", "content": null, "tool_calls": [{"id": "a"}]},
            {"role": "assistant", "content": "b", "tool_calls": []},
        ]});
        let ask = read(&chat(Flavour::OpenAi), &openai).unwrap();
        assert_eq!(ask.call_turns, 1);
        let anthropic = json!({"model": "m", "tools": [{"name": "f"}, {"name": "g"}], "messages": [
            {"role": "assistant", "content": [{"type": "text"}, {"type": "tool_use"}]},
            {"role": "assistant", "content": "b"},
            {"role": "assistant", "content": [{"type": "tool_use"}, {"type": "tool_use"}]},
        ]});
        let ask = read(&messages_route(), &anthropic).unwrap();
        assert_eq!(
            (ask.call_turns, ask.offered),
            (2, vec!["f".to_owned(), "g".to_owned()])
        );
    }

    #[test]
    fn decodes_percent_signs_and_leaves_broken_ones() {
        assert_eq!(percent_decoded("a%2Fb%3ac%"), "a/b:c%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
