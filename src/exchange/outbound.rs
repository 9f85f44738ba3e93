//! The head of a request to a provider: a prefix prepared once per Plan, and the parts that differ
//! between requests.

use crate::base::endpoint::Endpoint;
use crate::base::secret::Secret;
use crate::config::plan::{Provider, ProviderKind};
use crate::decide::outcome::KeyOwner;
use crate::dialect::headers::{self as anthropic, Resource};
use crate::exchange::auth::Credential;
use crate::exchange::headers;
use crate::exchange::masks::OwnMasks;
use crate::wire::azure;
use crate::wire::head::Head;

/// The part of a head that is the same for all requests to one provider. It holds the provider's
/// key.
pub struct Prefixes {
    chat: Prefix,
    completions: Prefix,
    embeddings: Prefix,
    own_key: Option<Secret>,
    kind: ProviderKind,
    /// Names of callers' headers that go to this provider besides the usual ones.
    forward: Box<[Box<[u8]>]>,
    /// Names of headers that are set for it, in place of the caller's.
    set: Box<[Box<[u8]>]>,
    /// The keys that it is sent.
    masks: OwnMasks,
}

/// Request line and fixed fields of one endpoint.
struct Prefix {
    before: Box<[u8]>,
    /// Behind the name of the model, where the target holds it.
    after: Option<Box<[u8]>>,
}

/// The parts that differ between requests.
pub struct Outbound<'a> {
    /// The provider's name for the model; part of the target with Azure.
    pub model: &'a str,
    /// The key to send.
    pub credential: Credential<'a>,
    /// Whose key that is.
    pub key: KeyOwner,
    /// The request's id.
    pub request_id: &'a str,
    /// The caller's head and the buffer it was parsed in.
    pub caller: (&'a Head, &'a [u8]),
}

impl Prefixes {
    /// The prefixes for `provider`.
    #[must_use]
    pub fn new(provider: &Provider) -> Self {
        Self {
            chat: Prefix::new(provider, "chat/completions"),
            completions: Prefix::new(provider, "completions"),
            embeddings: Prefix::new(provider, "embeddings"),
            kind: provider.kind,
            forward: names(&provider.headers.forward),
            set: names(provider.headers.set.iter().map(|(name, _)| name)),
            masks: OwnMasks::of(provider),
            own_key: provider
                .api_key
                .as_ref()
                .map(|key| key_line(provider.kind, key)),
        }
    }

    /// The keys that the provider is sent, to be masked in its answers.
    #[must_use]
    pub fn masks(&self) -> &OwnMasks {
        &self.masks
    }

    /// Writes the head of a request whose body has `body_len` bytes.
    pub fn write(
        &self,
        endpoint: Endpoint,
        request: &Outbound<'_>,
        body_len: usize,
        out: &mut Vec<u8>,
    ) {
        let prefix = match endpoint {
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => &self.chat,
            Endpoint::Completions => &self.completions,
            Endpoint::Embeddings => &self.embeddings,
        };
        out.extend_from_slice(b"POST ");
        prefix.write(request.model, out);
        out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(body_len).as_bytes());
        out.extend_from_slice(b"\r\n");
        self.write_fields(request, out);
    }

    /// Writes a whole request of infermux itself: for `target`, with its own key for `provider` if
    /// it has one.
    pub fn write_own(&self, provider: &Provider, target: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(rest_of_line(provider).as_bytes());
        let own = provider.api_key.as_ref();
        self.write_key(own.map_or(Credential::None, Credential::Own), out);
        if !contains(&self.set, b"user-agent") {
            out.extend_from_slice(b"User-Agent: infermux\r\n");
        }
        out.extend_from_slice(b"Connection: close\r\n\r\n");
    }

    fn write_fields(&self, request: &Outbound<'_>, out: &mut Vec<u8>) {
        self.write_key(request.credential, out);
        field(b"X-Request-Id", request.request_id.as_bytes(), out);
        let (head, bytes) = request.caller;
        let listed = head.listed_by_connection(bytes);
        let any = listed.clone().next().is_some();
        // Usually there is no such list, and no field is compared with it.
        let listed = listed.take(if any { usize::MAX } else { 0 });
        for one in &head.fields {
            let (name, value) = (&bytes[one.name.clone()], &bytes[one.value.clone()]);
            if self.takes(name, request.key) && !headers::is_named(name, listed.clone()) {
                field(name, value, out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether the provider gets a caller's header.
    fn takes(&self, name: &[u8], key: KeyOwner) -> bool {
        let of_dialect = || match self.kind {
            ProviderKind::Anthropic => anthropic::crosses(name),
            ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::AzureOpenAi => {
                headers::crosses_to_openai(name, key)
            }
        };
        let crosses =
            headers::crosses_to_any_provider(name) || of_dialect() || contains(&self.forward, name);
        crosses && !contains(&self.set, name)
    }
}

impl Prefixes {
    fn write_key(&self, credential: Credential<'_>, out: &mut Vec<u8>) {
        match credential {
            Credential::Own(_) => {
                let line = self.own_key.as_ref().map_or("", Secret::expose);
                out.extend_from_slice(line.as_bytes());
            }
            Credential::Caller(authorization) => match self.kind {
                ProviderKind::Anthropic => anthropic::write_caller_key(authorization, out),
                ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::AzureOpenAi => {
                    field(b"Authorization", authorization, out);
                }
            },
            Credential::CallersKey(key) => match self.kind {
                ProviderKind::Anthropic => anthropic::write_key(key, out),
                ProviderKind::AzureOpenAi => field(b"api-key", key, out),
                ProviderKind::OpenAi | ProviderKind::Ollama => {
                    out.extend_from_slice(b"Authorization: Bearer ");
                    out.extend_from_slice(key);
                    out.extend_from_slice(b"\r\n");
                }
            },
            Credential::None => {}
        }
        match self.kind {
            ProviderKind::Anthropic => out.extend_from_slice(anthropic::VERSION_LINE),
            ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::AzureOpenAi => {}
        }
    }
}

impl Prefix {
    fn new(provider: &Provider, endpoint: &str) -> Self {
        let target = target(provider, endpoint);
        let rest = rest_of_line(provider);
        match target.after {
            Some(after) => Self {
                before: target.before.into_bytes().into(),
                after: Some((after + &rest).into_bytes().into()),
            },
            None => Self {
                before: (target.before + &rest).into_bytes().into(),
                after: None,
            },
        }
    }

    fn write(&self, model: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        if let Some(after) = &self.after {
            let mut name = String::with_capacity(model.len());
            azure::percent_encode(model, &mut name);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(after);
        }
    }
}

/// The target of `provider`'s list of models.
#[must_use]
pub fn list_target(provider: &Provider) -> String {
    target(provider, MODELS).before
}

/// The target of an endpoint of `provider`.
fn target(provider: &Provider, endpoint: &str) -> azure::Target {
    let base = &provider.base;
    let query = if base.query.is_empty() { "" } else { "?" };
    let simple = |root: &str| azure::Target {
        before: format!("{}{root}/{endpoint}{query}{}", base.path, base.query),
        after: None,
    };
    match provider.kind {
        ProviderKind::OpenAi => simple(""),
        ProviderKind::Anthropic => {
            let resource = if endpoint == MODELS {
                Resource::Models
            } else {
                Resource::Messages
            };
            let before = anthropic::target(&base.path, &base.query, resource);
            azure::Target {
                before,
                after: None,
            }
        }
        // Ollama speaks the OpenAI dialect under `/v1`; a base may name that already.
        ProviderKind::Ollama if base.path.ends_with("/v1") => simple(""),
        ProviderKind::Ollama => simple("/v1"),
        ProviderKind::AzureOpenAi => {
            let resource = azure::Resource {
                path: &base.path,
                query: &base.query,
                deployment: provider.azure_deployment.as_deref(),
                version: &provider.azure_api_version,
            };
            azure::target(&resource, endpoint)
        }
    }
}

/// The part of the request line behind the target, and the fields that every request to `provider`
/// has.
fn rest_of_line(provider: &Provider) -> String {
    let authority = &provider.base.authority;
    let mut rest = format!(" HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n");
    for (name, value) in &provider.headers.set {
        rest.extend([&**name, ": ", value.expose(), "\r\n"]);
    }
    rest
}

fn key_line(kind: ProviderKind, key: &Secret) -> Secret {
    let key = key.expose();
    Secret::new(match kind {
        ProviderKind::AzureOpenAi => format!("api-key: {key}\r\n"),
        ProviderKind::Anthropic => {
            let mut line = Vec::new();
            anthropic::write_key(key.as_bytes(), &mut line);
            String::from_utf8(line).unwrap_or_default()
        }
        ProviderKind::OpenAi | ProviderKind::Ollama => format!("Authorization: Bearer {key}\r\n"),
    })
}

fn names<'a>(names: impl IntoIterator<Item = &'a Box<str>>) -> Box<[Box<[u8]>]> {
    let names = names.into_iter().map(|name| name.as_bytes().into());
    names.collect()
}

fn contains(names: &[Box<[u8]>], name: &[u8]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The endpoint that lists models.
const MODELS: &str = "models";
