//! An entry of LiteLLM's `model_list`: one model of one provider.

use crate::config::convert::hosts::{self, Host};
use crate::config::convert::source::{Source, is_reference, reference};
use crate::config::decimal::Decimal;
use crate::config::duration;
use crate::config::raw::Node;

/// One model of one provider.
#[derive(Debug)]
pub(super) struct Deployment {
    /// The name that callers use; may be a pattern.
    pub(super) name: String,
    /// The provider's own name of the model.
    pub(super) target: String,
    /// Whether it takes whatever nobody else has.
    pub(super) is_open: bool,
    /// The provider that has it.
    pub(super) at: Identity,
    /// Prices of prompt and answer, in nano-dollars per million tokens.
    pub(super) prices: Option<(u64, u64)>,
    /// Most tokens that the model reads.
    pub(super) window: Option<u64>,
    /// Most tokens of an answer.
    pub(super) max_output: Option<u64>,
}

/// What tells providers apart: models of one provider have all of it in common. Texts are as
/// infermux's file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) host: &'static Host,
    pub(super) base_url: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) api_version: Option<String>,
    /// Azure's deployment.
    pub(super) deployment: Option<String>,
    pub(super) requests: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) in_flight: Option<u64>,
    pub(super) weight: Option<u64>,
    pub(super) timeout: Option<String>,
    pub(super) first_token_timeout: Option<String>,
    /// Headers that it gets: name and value.
    pub(super) headers: Vec<(String, String)>,
    /// Parameters that requests get where they do not say: name and JSON value.
    pub(super) defaults: Vec<(String, String)>,
    /// The only model that it may have: its limits are for that one, or it takes any.
    pub(super) only: Option<String>,
}

/// The deployment of an entry, `credentials` being the file's named ones; `None`: it has no
/// counterpart, which is noted.
pub(super) fn read(entry: &Source<'_>, credentials: &[Source<'_>]) -> Option<Deployment> {
    let name = entry.text("model_name").unwrap_or_default().to_owned();
    let params = entry.block("litellm_params");
    let info = entry.block("model_info");
    entry.rest(&[]);
    let Some(params) = params.filter(|_| !name.is_empty()) else {
        entry.note(
            "model_name",
            "has no `litellm_params`, or no name: it is left out",
        );
        return None;
    };
    let model = params.text("model").unwrap_or_default();
    let (host, target) = match host(&params, model) {
        Ok(found) => found,
        Err(problem) => {
            params.note("model", problem);
            return None;
        }
    };
    let named = named(&params, credentials);
    let base_model = info.as_ref().and_then(|info| info.text("base_model"));
    let mut at = identity(&params, named, host);
    let target = deployed(&mut at, target, base_model.unwrap_or(&name));
    let is_open = name == ANY || (name.ends_with("/*") && target == ANY);
    if is_open {
        at.only = Some(ANY.to_owned());
        if name != ANY {
            let what = "callers ask for the model without the part before the slash";
            entry.note("model_name", what);
        }
    } else if (name.contains(ANY) || target.contains(ANY)) && name != target {
        let problem = "a pattern that stands for other names than the provider's is left out";
        entry.note("model_name", problem);
        return None;
    }
    let prices = prices(&params).or_else(|| prices(info.as_ref()?));
    let info = info.as_ref();
    let of_info = |key: &str| info.and_then(|info| info.count(key));
    let found = Deployment {
        name,
        target,
        is_open,
        at,
        prices,
        window: of_info("max_input_tokens"),
        max_output: of_info("max_output_tokens"),
    };
    params.rest(&PARAMS);
    info.into_iter().for_each(|info| info.rest(&INFO));
    Some(found)
}

/// The name of the model called `own` by its provider; a provider with a deployment, or with limits
/// of the model, has no other one. `model` is the name that prices go by where `own` is that of a
/// deployment.
fn deployed(at: &mut Identity, own: &str, model: &str) -> String {
    if at.host.kind == "azure_openai" {
        at.deployment = Some(reference(own));
        at.only = Some(own.to_owned());
        return model.rsplit('/').next().unwrap_or(model).to_owned();
    }
    if at.requests.is_some() || at.tokens.is_some() || at.in_flight.is_some() {
        at.only = Some(own.to_owned());
    }
    own.to_owned()
}

/// The provider and its name of the model.
fn host<'m>(params: &Source<'_>, model: &'m str) -> Result<(&'static Host, &'m str), String> {
    if model.is_empty() {
        return Err(String::from("is missing: the entry is left out"));
    }
    let provider = params.text("custom_llm_provider");
    let base_url = || params.text("api_base").or_else(|| params.text("base_url"));
    let has_base = base_url().is_some() || params.text("litellm_credential_name").is_some();
    let (prefix, rest) = match (provider, model.split_once('/')) {
        (Some(provider), Some((prefix, rest))) if prefix == provider => (provider, rest),
        (Some(provider), _) => (provider, model),
        (None, Some((prefix, rest))) if hosts::named(prefix).is_some() => (prefix, rest),
        (None, Some((prefix, _))) if !has_base => (prefix, ""),
        (None, _) if model.starts_with("claude") => ("anthropic", model),
        (None, _) if has_base || is_openais(model) || model == ANY => ("openai", model),
        (None, _) => ("", model),
    };
    let Some(host) = hosts::named(prefix) else {
        let prefix = if prefix.is_empty() { model } else { prefix };
        let prefix = crate::config::faults::printable(prefix);
        return Err(format!(
            "infermux does not know how to reach `{prefix}`: the entry is left out"
        ));
    };
    if host.is_elsewhere && host.kind != "azure_openai" && !has_base {
        return Err(format!(
            "`{}` needs an `api_base`: the entry is left out",
            host.name
        ));
    }
    Ok((host, rest))
}

/// Whether LiteLLM takes a name without a provider for one of OpenAI's.
fn is_openais(model: &str) -> bool {
    let begins = [
        "gpt-",
        "chatgpt-",
        "o1",
        "o3",
        "o4",
        "text-embedding-",
        "codex-",
        "ft:gpt-",
    ];
    begins.iter().any(|begin| model.starts_with(begin))
}

/// The credential that the entry names.
fn named<'c, 'f>(params: &Source<'_>, credentials: &'c [Source<'f>]) -> Option<&'c Source<'f>> {
    let name = params.text("litellm_credential_name")?;
    let found = credentials
        .iter()
        .find(|one| one.text("credential_name") == Some(name));
    if found.is_none() {
        params.note(
            "litellm_credential_name",
            "names no entry of `credential_list`",
        );
    }
    found
}

fn identity(params: &Source<'_>, named: Option<&Source<'_>>, host: &'static Host) -> Identity {
    let values = named.and_then(|named| named.block("credential_values"));
    let either = |key: &str| {
        let own = params.reference(key);
        own.or_else(|| values.as_ref().and_then(|values| values.reference(key)))
    };
    let is_azure = host.kind == "azure_openai";
    let usual = |name: &str| (!name.is_empty()).then(|| format!("${{{name}}}"));
    let stated = either("api_base").or_else(|| either("base_url"));
    let api_key = either("api_key");
    if api_key
        .as_ref()
        .is_some_and(|key| !is_reference(key) && !is_placeholder(key))
    {
        params.left().count_literal_key();
    }
    let own_server = stated.is_some() && host.kind == "openai" && host.base_url.is_none();
    let base_url = stated.map(|url| url.trim_end_matches('/').to_owned());
    let base_url = base_url.or_else(|| host.base_url.map(str::to_owned));
    let base_url = base_url.or_else(|| is_azure.then(|| String::from("${AZURE_API_BASE}")));
    Identity {
        host,
        base_url,
        api_key: match (api_key, own_server) {
            (Some(key), _) => Some(key),
            // Servers of one's own want none, as a rule.
            (None, true) => None,
            (None, false) => usual(host.key),
        },
        api_version: either("api_version").filter(|_| is_azure),
        deployment: None,
        requests: params.count("rpm"),
        tokens: params.count("tpm"),
        in_flight: params.count("max_parallel_requests"),
        weight: params.count("weight"),
        timeout: seconds(params, "timeout"),
        first_token_timeout: seconds(params, "stream_timeout"),
        headers: headers(params),
        defaults: defaults(params),
        only: None,
    }
}

/// Keys that stand where a client insists on one.
fn is_placeholder(key: &str) -> bool {
    let usual = [
        "none",
        "empty",
        "dummy",
        "fake",
        "anything",
        "no-key",
        "not-needed",
    ];
    let key = key.to_ascii_lowercase();
    key.len() < 4 || usual.iter().any(|word| key.contains(word))
}

/// A number of seconds as a duration.
pub(super) fn seconds(source: &Source<'_>, key: &str) -> Option<String> {
    let text = source.text(key)?;
    let span = duration::parse(&format!("{text}s"));
    match span {
        Ok(span) if !span.is_zero() => Some(duration::text(span)),
        Ok(_) | Err(_) => {
            source.note(key, "is no number of seconds, and is left out");
            None
        }
    }
}

fn headers(params: &Source<'_>) -> Vec<(String, String)> {
    let organization = params.reference("organization");
    let organization = organization.map(|value| ("OpenAI-Organization".to_owned(), value));
    let mut headers: Vec<(String, String)> = organization.into_iter().collect();
    for key in ["extra_headers", "headers"] {
        let Some(block) = params.block(key) else {
            continue;
        };
        for (name, node) in block.entries() {
            match node {
                Node::Scalar(value) => headers.push((name.clone(), reference(&value.text))),
                Node::Null | Node::List(_) | Node::Map(_) => {
                    block.note(name, "is no single value, and is left out");
                }
            }
        }
    }
    headers
}

fn defaults(params: &Source<'_>) -> Vec<(String, String)> {
    let own = DEFAULTS.iter().filter_map(|key| {
        let value = json(params.node(key)?)?;
        Some(((*key).to_owned(), value))
    });
    let mut defaults: Vec<(String, String)> = own.collect();
    if let Some(body) = params.block("extra_body") {
        let more = body.entries().iter();
        defaults.extend(more.filter_map(|(key, node)| Some((key.clone(), json(node)?))));
    }
    defaults
}

/// The value as JSON.
fn json(node: &Node) -> Option<String> {
    let value = match node {
        Node::Null => return None,
        Node::Scalar(scalar) if !scalar.is_text => word(&scalar.text),
        Node::Scalar(scalar) => serde_json::Value::String(reference(&scalar.text)),
        Node::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(json).collect();
            return Some(format!("[{}]", items?.join(", ")));
        }
        Node::Map(entries) => {
            let members = entries.iter().map(|(key, node)| {
                let key = serde_json::Value::String(key.clone());
                Some(format!("{key}: {}", json(node)?))
            });
            let members: Option<Vec<String>> = members.collect();
            return Some(format!("{{{}}}", members?.join(", ")));
        }
    };
    Some(value.to_string())
}

/// A number or a truth value, which YAML may write in ways that JSON does not know.
fn word(text: &str) -> serde_json::Value {
    let number = || text.parse().ok().and_then(serde_json::Number::from_f64);
    let lower = text.to_ascii_lowercase();
    match serde_json::from_str(&lower) {
        Ok(value) => value,
        Err(_) => match number() {
            Some(number) => serde_json::Value::Number(number),
            None => serde_json::Value::String(reference(text)),
        },
    }
}

/// The prices of prompt and answer, in nano-dollars per million tokens.
fn prices(source: &Source<'_>) -> Option<(u64, u64)> {
    let of = |key: &str| {
        let text = source.text(key)?;
        // A dollar for a token are 10^15 nano-dollars for a million.
        let price = Decimal::parse(text).ok().map(|price| price.nearest(15));
        let price = price.and_then(|price| u64::try_from(price).ok());
        if price.is_none() {
            source.note(key, "is no price, and is left out");
        }
        price
    };
    match (of("input_cost_per_token"), of("output_cost_per_token")) {
        (None, None) => None,
        (input, output) => Some((input.unwrap_or(0), output.unwrap_or(0))),
    }
}

/// Stands for any model.
pub(super) const ANY: &str = "*";

/// Parameters of requests that an entry may give.
const DEFAULTS: [&str; 16] = [
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "reasoning_effort",
    "response_format",
    "service_tier",
    "thinking",
    "user",
];

/// What is said of parameters of an entry.
const PARAMS: [(&str, &str); 8] = [
    ("api_base", ""),
    ("base_url", ""),
    ("api_version", "only Azure has versions: it is left out"),
    ("drop_params", DROPPED),
    (
        "additional_drop_params",
        "`request: {remove: [...]}` of the provider leaves parameters out",
    ),
    (
        "order",
        "`routing.strategy: priority` asks providers in the order of the file",
    ),
    (
        "max_budget",
        "budgets are for callers, keys and teams: `auth.keys[].budgets`",
    ),
    (
        "ssl_verify",
        "certificates are always verified; `tls.ca_file` names another authority",
    ),
];

/// What is said of `drop_params`: infermux leaves out what a provider has no equivalent for.
pub(super) const DROPPED: &str = "";

/// What is said of the information on a model: most of it is shown by LiteLLM alone.
const INFO: [(&str, &str); 4] = [
    ("id", ""),
    ("mode", ""),
    ("base_model", ""),
    ("max_tokens", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::convert::source::Left;
    use crate::config::raw::yaml;

    /// The deployment of an entry with these parameters, and what is noted.
    fn read_one(params: &str) -> (Option<Deployment>, Vec<String>) {
        let text = format!("model_name: n\nlitellm_params: {{{params}}}\n");
        let entries = yaml::parse(&text).unwrap();
        let left = Left::default();
        let found = read(&Source::new("", &entries, &left), &[]);
        let (all, _) = left.into_parts();
        (found, all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_provider_is_known_by_its_name_or_by_the_models() {
        for (params, kind, target) in [
            ("model: gpt-4o", "openai", "gpt-4o"),
            ("model: claude-opus-4-1", "anthropic", "claude-opus-4-1"),
            ("model: ollama_chat/llama3.2", "ollama", "llama3.2"),
            ("model: openrouter/meta/llama", "openai", "meta/llama"),
            (
                "model: meta/llama, api_base: 'http://h/v1'",
                "openai",
                "meta/llama",
            ),
            ("model: x, custom_llm_provider: groq", "openai", "x"),
            ("model: groq/x, custom_llm_provider: groq", "openai", "x"),
        ] {
            let (found, _) = read_one(params);
            let found = found.expect("a deployment");
            assert_eq!(
                (found.at.host.kind, &*found.target),
                (kind, target),
                "{params}"
            );
        }
        for (params, problem) in [
            ("model: bedrock/x", "does not know how to reach `bedrock`"),
            (
                "model: some-model",
                "does not know how to reach `some-model`",
            ),
            ("model: lm_studio/x", "needs an `api_base`"),
            ("api_key: x", "is missing"),
        ] {
            let (found, told) = read_one(params);
            assert!(
                found.is_none() && told[0].contains(problem),
                "{params}: {told:?}"
            );
        }
    }

    #[test]
    fn prices_are_those_of_a_million_tokens_to_the_last_digit() {
        for (text, expected) in [
            ("0.0000025", 2_500_000_000),
            ("2.5e-06", 2_500_000_000),
            ("1.5e-7", 150_000_000),
            ("0", 0),
        ] {
            let (found, _) = read_one(&format!("model: gpt-4o, input_cost_per_token: {text}"));
            assert_eq!(found.unwrap().prices, Some((expected, 0)), "{text}");
        }
        let (found, told) = read_one("model: gpt-4o, input_cost_per_token: cheap");
        assert_eq!(found.unwrap().prices, None);
        assert!(told[0].contains("is no price"), "{told:?}");
    }

    #[test]
    fn values_keep_their_kind() {
        let value = |text: &str| word(text).to_string();
        for (text, expected) in [
            ("1", "1"),
            ("0.20", "0.2"),
            (".5", "0.5"),
            ("True", "true"),
            ("0x1F", "\"0x1F\""),
            (".inf", "\".inf\""),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
