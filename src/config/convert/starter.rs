//! A first file, for the keys that an environment has. It names their variables, and holds none of
//! their values.

use std::fmt::Write as _;

use crate::config::convert::hosts::{HOSTS, Host};
use crate::config::convert::write::quoted;

/// A provider that an environment has a key for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    host: &'static Host,
    /// Where it answers, as the file has it; `None`: where its type does.
    base_url: Option<String>,
    /// The variable with its key; `None`: it wants none.
    key: Option<&'static str>,
}

impl Start {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.host.name
    }
}

/// The providers that `variable` has a key for, in the order in which they are tried. A value is
/// looked at only to see whether it is a whole URL.
#[must_use]
pub fn found(variable: &dyn Fn(&str) -> Option<String>) -> Vec<Start> {
    let start = |host: &'static Host| match host.name {
        "ollama" => variable(OLLAMA).map(|value| Start {
            host,
            base_url: Some(ollama(&value)),
            key: None,
        }),
        "azure" => {
            let mut pairs = AZURE.into_iter();
            let pair =
                pairs.find(|(key, base)| variable(key).is_some() && variable(base).is_some());
            pair.map(|(key, base)| Start {
                host,
                base_url: Some(format!("${{{base}}}")),
                key: Some(key),
            })
        }
        _ => {
            let key = keys(host).find(|key| variable(key).is_some());
            key.map(|key| Start {
                host,
                base_url: host.base_url.map(str::to_owned),
                key: Some(key),
            })
        }
    };
    let mut found: Vec<Start> = HOSTS.iter().filter_map(start).collect();
    // One's own machine is what is left when hosted providers fail.
    found.sort_by_key(|one| one.host.name == "ollama");
    found
}

/// The variables that are looked for.
#[must_use]
pub fn variables() -> Vec<&'static str> {
    let hosted = HOSTS.iter().filter(|host| host.name != "azure");
    let azure = AZURE.into_iter().map(|(key, _)| key);
    let mut all: Vec<&str> = hosted.flat_map(keys).chain(azure).collect();
    all.push(OLLAMA);
    all
}

/// The text of a file with these providers; with an Ollama server on this machine, where there are
/// none.
#[must_use]
pub fn text(found: &[Start]) -> String {
    let mut out = String::from(HEAD);
    for one in found {
        provider(&mut out, one);
    }
    if found.is_empty() {
        out.push_str(NOTHING_FOUND);
    }
    out.push_str(REST);
    out
}

fn provider(out: &mut String, one: &Start) {
    let host = one.host;
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("  - name: {}", quoted(host.name)));
    line(format_args!("    type: {}", host.kind));
    if let Some(base_url) = &one.base_url {
        line(format_args!("    base_url: {}", quoted(base_url)));
    }
    if let Some(key) = one.key {
        line(format_args!("    api_key: \"${{{key}}}\""));
    }
    let models = models(host.name);
    if models.is_empty() {
        line(format_args!(
            "    # Without `models`, it takes whatever the others do not name."
        ));
    } else {
        let models: Vec<String> = models.iter().map(|model| quoted(model)).collect();
        line(format_args!("    models: [{}]", models.join(", ")));
    }
    if host.name == "azure" {
        line(format_args!(
            "    # Names here are those of your deployments."
        ));
    }
}

/// The names of its models, as far as they tell it from others.
fn models(name: &str) -> &'static [&'static str] {
    match name {
        "openai" => &[
            "gpt-*",
            "chatgpt-*",
            "o1*",
            "o3*",
            "o4*",
            "text-embedding-*",
        ],
        "anthropic" => &["claude-*"],
        "azure" => &["gpt-4o"],
        "gemini" => &["gemini-*", "gemma-*"],
        "mistral" => &[
            "mistral-*",
            "ministral-*",
            "codestral-*",
            "magistral-*",
            "devstral-*",
        ],
        "deepseek" => &["deepseek-*"],
        "xai" => &["grok-*"],
        "perplexity" => &["sonar*"],
        "cohere" => &["command-*"],
        "moonshot" => &["kimi-*", "moonshot-*"],
        "dashscope" => &["qwen*"],
        _ => &[],
    }
}

/// The variables that may hold the key of a hosted provider.
fn keys(host: &Host) -> impl Iterator<Item = &'static str> + use<> {
    let (name, usual) = (host.name, host.key);
    let others = OTHER_KEYS
        .into_iter()
        .filter(move |(host, _)| *host == name);
    let usual = Some(usual).filter(|key| !key.is_empty());
    usual.into_iter().chain(others.map(|(_, key)| key))
}

/// The URL of an Ollama server: its variable holds one, or a host with or without a port.
fn ollama(value: &str) -> String {
    let host = value.rsplit(']').next().unwrap_or(value);
    if value.contains("://") {
        format!("${{{OLLAMA}}}")
    } else if host.contains(':') {
        format!("http://${{{OLLAMA}}}")
    } else {
        format!("http://${{{OLLAMA}}}:11434")
    }
}

/// Where Ollama's own client looks for its server.
const OLLAMA: &str = "OLLAMA_HOST";
/// The variables with the key and the address of an account with Azure, as Azure's client and
/// LiteLLM call them.
const AZURE: [(&str, &str); 2] = [
    ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
    ("AZURE_API_KEY", "AZURE_API_BASE"),
];
/// Keys' variables as the providers' own clients call them, where LiteLLM has another name.
const OTHER_KEYS: [(&str, &str); 6] = [
    ("gemini", "GOOGLE_API_KEY"),
    ("together_ai", "TOGETHER_API_KEY"),
    ("fireworks_ai", "FIREWORKS_API_KEY"),
    ("perplexity", "PERPLEXITY_API_KEY"),
    ("nvidia_nim", "NVIDIA_API_KEY"),
    ("cohere", "CO_API_KEY"),
];

const HEAD: &str = "\
# A first configuration of infermux. docs/configuration.md explains every key;
# `infermux validate` checks the file, `infermux check` asks every provider.

# Where callers connect. Before others can reach it, give them keys: see `auth` below.
listen: \"127.0.0.1:8080\"

# Each key stays in its variable: the file only names it.
providers:
";

const NOTHING_FOUND: &str = "  # A server on this machine. A hosted provider looks like this:
  # - name: openai
  #   type: openai
  #   api_key: \"${OPENAI_API_KEY}\"
  #   models: [\"gpt-*\"]
  - name: ollama
    type: ollama
";

const REST: &str = "
# Who is asked first: priority (the order of the file), round_robin, random, least_latency or
# cost_weighted. When a provider fails, the next one that has the model is asked.
routing:
  strategy: priority
  # A name that several providers serve, each with a model of its own, is an alias at each of them:
  # `model_aliases: {smart: gpt-4o}` here, `model_aliases: {smart: claude-sonnet-4-5}` there.

# Keys for callers: `infermux key new --name web` prints one, and its entry.
# auth:
#   mode: keys
#   keys_file: keys.yml

# What a caller may spend in a month, by the header X-Infermux-Caller or the caller's key.
# budgets:
#   state_file: state.json
#   callers:
#     - {caller: web, monthly_usd: 50, action: hard_stop}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Lookup, Options, Strictness};

    fn file(set: &[(&str, &str)]) -> (String, Vec<Start>) {
        let variable = |name: &str| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = found(&variable);
        let text = text(&found);
        let lookup = Lookup {
            variable: &variable,
            file: &|_| Ok(None),
        };
        let options = Options {
            environment: Environment::Lookup(lookup),
            strict: Strictness::Lenient,
        };
        let loaded = config::load(&text, &options);
        let faults = loaded.err().map(|rejected| rejected.faults().to_vec());
        assert_eq!(faults, None, "{text}");
        (text, found)
    }

    #[test]
    fn each_key_has_a_provider_and_the_file_is_a_good_one() {
        file(&[]);
        for name in variables() {
            let azure = AZURE.iter().find(|(key, _)| *key == name);
            let value = if name == OLLAMA { "h:1" } else { "sk-value" };
            let mut set = vec![(name, value)];
            set.extend(azure.map(|(_, base)| (*base, "https://x.openai.azure.com")));
            let (text, found) = file(&set);
            assert_eq!(found.len(), 1, "{name}");
            assert!(text.contains(&format!("${{{name}}}")), "{name}: {text}");
            assert!(!text.contains("sk-value"), "{text}");
        }
    }

    #[test]
    fn an_ollama_server_is_found_however_it_is_written_and_comes_last() {
        for (value, expected) in [
            ("http://gpu:11434", "${OLLAMA_HOST}"),
            ("gpu:11434", "http://${OLLAMA_HOST}"),
            ("0.0.0.0", "http://${OLLAMA_HOST}:11434"),
            ("[::1]", "http://${OLLAMA_HOST}:11434"),
            ("[::1]:11434", "http://${OLLAMA_HOST}"),
        ] {
            let (text, found) =
                file(&[(OLLAMA, value), ("GROQ_API_KEY", "k"), ("XAI_API_KEY", "k")]);
            assert!(
                text.contains(&format!("base_url: \"{expected}\"")),
                "{value}: {text}"
            );
            let names: Vec<&str> = found.iter().map(Start::name).collect();
            assert_eq!(names, ["groq", "xai", "ollama"]);
        }
    }
}
