//! What a request asks for: its endpoint, and what of its body decides the answer.

use serde_json::Value;

use crate::http::Request;
use crate::script::{Dialect, Script};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Messages,
    Models,
    Model(String),
}

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
    pub(crate) max_tokens: Option<usize>,
    /// How many texts are to be embedded.
    pub(crate) inputs: usize,
    pub(crate) base64: bool,
    pub(crate) dimensions: Option<usize>,
}

/// Why a request is answered with an error before any script is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
}

impl Objection {
    /// A plain 400.
    fn bad(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: None,
            message: message.into(),
        }
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
            let name = request.path().strip_prefix("/v1/");
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
        "models" => (Endpoint::Models, "GET"),
        _ => match name.strip_prefix("models/") {
            Some(id) if !id.is_empty() => (Endpoint::Model(percent_decoded(id)), "GET"),
            _ => return Err(missing(request)),
        },
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
        let message = "Resource not found: api-version is missing".to_owned();
        return Err(Objection {
            status: 404,
            code: Some("404"),
            message,
        });
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
    Objection {
        status: 404,
        code: None,
        message,
    }
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
        return Err(Objection {
            status: 401,
            code: Some(code),
            message: message.to_owned(),
        });
    }
    if script.dialect == Dialect::Anthropic && request.header("anthropic-version").is_none() {
        return Err(Objection::bad("anthropic-version: header is required"));
    }
    Ok(())
}

impl Ask {
    /// Reads a body, objecting to what the provider would object to.
    pub(crate) fn read(route: &Route, body: &[u8]) -> Result<Self, Objection> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Objection::bad(format!("the body is not JSON: {error}")))?;
        let Some(map) = body.as_object() else {
            return Err(Objection::bad("the body is not a JSON object"));
        };
        let model = match (&route.deployment, map.get("model")) {
            (Some(deployment), _) => deployment.clone(),
            (None, Some(Value::String(model))) if !model.is_empty() => model.clone(),
            (None, _) => return Err(Objection::bad("you must provide a model parameter")),
        };
        let flag = |value: &Value| value.as_bool().unwrap_or(false);
        let stream = map.get("stream").is_some_and(flag);
        if map
            .get("stream_options")
            .is_some_and(|options| !options.is_null())
            && !stream
            && matches!(route.flavour, Flavour::OpenAi | Flavour::Azure)
        {
            return Err(Objection::bad(
                "stream_options is only allowed when stream is enabled",
            ));
        }
        let mut ask = Self {
            model,
            stream,
            include_usage: body
                .pointer("/stream_options/include_usage")
                .is_some_and(flag),
            max_tokens: max_tokens(route.flavour, &body),
            ..Self::default()
        };
        match route.endpoint {
            Endpoint::Chat => ask.read_chat(&body)?,
            Endpoint::Messages => ask.read_messages(&body)?,
            Endpoint::Completions => {
                let prompt = map.get("prompt").unwrap_or(&Value::Null);
                ask.last_user = text_of(prompt);
                ask.characters = ask.last_user.chars().count();
            }
            Endpoint::Embeddings => ask.read_embeddings(&body)?,
            Endpoint::Models | Endpoint::Model(_) => {}
        }
        Ok(ask)
    }

    fn read_chat(&mut self, body: &Value) -> Result<(), Objection> {
        let messages = messages(body)?;
        self.read_texts(messages);
        let first = body
            .pointer("/tools/0/function/name")
            .and_then(Value::as_str);
        self.tool = match (first, body.get("tool_choice")) {
            (None, _) => None,
            (Some(first), Some(Value::String(choice))) if choice == "required" => {
                Some(first.to_owned())
            }
            (Some(_), Some(Value::String(choice))) if choice == "none" => None,
            (Some(_), choice) => choice
                .and_then(|choice| choice.pointer("/function/name"))
                .and_then(Value::as_str)
                .map(str::to_owned)
                .or_else(|| called_tool(&self.last_user)),
        };
        Ok(())
    }

    fn read_messages(&mut self, body: &Value) -> Result<(), Objection> {
        check_messages_body(body)?;
        let messages = messages(body)?;
        self.read_texts(messages);
        self.characters += body
            .get("system")
            .map_or(0, |system| text_of(system).chars().count());
        let first = body.pointer("/tools/0/name").and_then(Value::as_str);
        let choice = body.pointer("/tool_choice/type").and_then(Value::as_str);
        self.tool = match (first, choice) {
            (None, _) | (Some(_), Some("none")) => None,
            (Some(first), Some("any")) => Some(first.to_owned()),
            (Some(_), Some("tool")) => body
                .pointer("/tool_choice/name")
                .and_then(Value::as_str)
                .map(str::to_owned),
            (Some(_), _) => called_tool(&self.last_user),
        };
        Ok(())
    }

    fn read_texts(&mut self, messages: &[Value]) {
        for message in messages {
            let text = message.get("content").map_or_else(String::new, text_of);
            self.characters += text.chars().count();
            if message.get("role").and_then(Value::as_str) == Some("user") {
                self.last_user = text;
            }
        }
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

fn messages(body: &Value) -> Result<&[Value], Objection> {
    match body.get("messages").and_then(Value::as_array) {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(Objection::bad(
            "messages: a list with at least one entry is required",
        )),
    }
}

/// Checks for mistakes that Anthropic's API refuses and a translator can make.
fn check_messages_body(body: &Value) -> Result<(), Objection> {
    for key in body.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if !MESSAGES_KEYS.contains(&key.as_str()) {
            return Err(Objection::bad(format!(
                "{key}: Extra inputs are not permitted"
            )));
        }
    }
    if body
        .get("max_tokens")
        .and_then(Value::as_u64)
        .is_none_or(|count| count == 0)
    {
        return Err(Objection::bad(
            "max_tokens: a whole number above zero is required",
        ));
    }
    let warmth = body
        .get("temperature")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    if !(0.0..=1.0).contains(&warmth) {
        return Err(Objection::bad("temperature: range: 0..1"));
    }
    for (index, message) in messages(body)?.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str);
        if !matches!(role, Some("user" | "assistant")) {
            return Err(Objection::bad(format!(
                "messages.{index}.role: user or assistant"
            )));
        }
        let blocks = message.get("content").and_then(Value::as_array);
        let blank = |block: &Value| {
            let text = block.get("text").and_then(Value::as_str);
            block.get("type").and_then(Value::as_str) == Some("text")
                && text.is_none_or(|text| text.trim().is_empty())
        };
        if blocks.is_some_and(|blocks| blocks.iter().any(blank)) {
            let message = format!("messages.{index}: text content blocks must be non-empty");
            return Err(Objection::bad(message));
        }
    }
    Ok(())
}

/// All text of a message's content: a string, parts with `text`, or a list of strings.
///
/// Only two levels are looked at, so the depth of the input does not matter.
fn text_of(content: &Value) -> String {
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

fn called_tool(text: &str) -> Option<String> {
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

const MESSAGES_KEYS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "tools",
    "tool_choice",
    "thinking",
    "service_tier",
    "output_config",
    "cache_control",
    "container",
    "context_management",
    "mcp_servers",
    "inference_geo",
];
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
        Ask::read(route, body.to_string().as_bytes())
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
    fn objects_to_what_the_provider_would_object_to() {
        let route = chat(Flavour::OpenAi);
        let hi = json!([{"role": "user", "content": "hi"}]);
        for body in [
            json!([]),
            json!({"messages": hi}),
            json!({"model": "m"}),
            json!({"model": "m", "messages": hi, "stream_options": {"include_usage": true}}),
        ] {
            assert_eq!(read(&route, &body).unwrap_err().status, 400, "{body}");
        }
        for body in [
            json!({"model": "m", "messages": hi}),
            json!({"model": "m", "max_tokens": 5, "messages": hi, "seed": 1}),
            json!({"model": "m", "max_tokens": 5, "messages": hi, "temperature": 2}),
            json!({"model": "m", "max_tokens": 5,
                "messages": [{"role": "system", "content": "a"}]}),
        ] {
            assert_eq!(
                read(&messages_route(), &body).unwrap_err().status,
                400,
                "{body}"
            );
        }
    }

    #[test]
    fn decodes_percent_signs_and_leaves_broken_ones() {
        assert_eq!(percent_decoded("a%2Fb%3ac%"), "a/b:c%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
