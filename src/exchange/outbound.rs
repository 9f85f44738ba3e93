//! The head of a request to a provider: a prefix prepared once per Plan, and the parts that differ
//! between requests.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::secret::Secret;
use crate::base::trace::SpanId;
use crate::config::plan::Provider;
use crate::config::vendor::{KeyForm, Root, Vendor};
use crate::decide::outcome::KeyOwner;
use crate::dialect::messages::headers as anthropic;
use crate::exchange::auth::Credential;
use crate::exchange::carried::Carried;
use crate::exchange::headers;
use crate::exchange::masks::OwnMasks;
use crate::exchange::trace;
use crate::link::trace::Trace;
use crate::wire::azure::{self, Target};
use crate::wire::head::Head;
use crate::wire::json;
use crate::wire::known::{Known, Names};

/// The part of a head that is the same for all requests to one provider. It holds the provider's
/// key.
pub struct Prefixes {
    /// The targets of the endpoints that the provider has.
    targets: Box<[(Endpoint, Target)]>,
    /// What stands before the path of every target: scheme and authority where a proxy is asked.
    origin: Box<str>,
    /// What every request has behind its target.
    rest_of_line: Box<[u8]>,
    own_key: Option<Secret>,
    deployment_json: Option<Box<[u8]>>,
    vendor: &'static Vendor,
    /// Names of callers' headers that go to this provider besides the usual ones.
    forward: Box<[Box<[u8]>]>,
    /// Names of headers that are set for it, in place of the caller's.
    set: Box<[Box<[u8]>]>,
    /// The keys that it is sent.
    masks: OwnMasks,
    /// The line of an answer that names it.
    provider_line: Box<[u8]>,
}

/// The parts that differ between requests.
pub struct Outbound<'a> {
    /// The dialect in which the provider is asked.
    pub dialect: Dialect,
    /// The provider's name for the model; part of the target with Azure.
    pub model: &'a str,
    /// The key to send.
    pub credential: Credential<'a>,
    /// Whose key that is.
    pub key: KeyOwner,
    /// The request's id.
    pub request_id: &'a [u8],
    /// The caller's head and the buffer it was parsed in.
    pub caller: (&'a Head, &'a [u8]),
    /// The trace that the request belongs to, and the attempt's span there; `None`: what the caller
    /// says of its trace is passed on as it is.
    pub trace: Option<(&'a Trace, SpanId)>,
}

/// The parts of the request line for a stored response that are the caller's.
pub struct StoredLine<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The response's id, which needs no encoding.
    pub id: &'a str,
    /// What stands behind the id.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a [u8],
}

impl Prefixes {
    /// The prefixes for `provider`.
    #[must_use]
    pub fn new(provider: &Provider) -> Self {
        let vendor = provider.vendor;
        let origin = origin(provider);
        let target = |(endpoint, path): &(Endpoint, &str)| {
            let mut target = endpoint_target(provider, *endpoint, path);
            target.before.insert_str(0, &origin);
            (*endpoint, target)
        };
        Self {
            targets: vendor.endpoints.iter().map(target).collect(),
            origin: origin.into(),
            rest_of_line: rest_of_line(provider).into_bytes().into(),
            deployment_json: deployment_json(provider),
            vendor,
            forward: names(&provider.headers.forward),
            set: names(provider.headers.set.iter().map(|(name, _)| name)),
            masks: OwnMasks::of(provider),
            provider_line: headers::provider_line(&provider.name),
            own_key: provider
                .api_key
                .as_ref()
                .map(|key| key_line(vendor.key, key)),
        }
    }

    /// The keys that the provider is sent, to be masked in its answers.
    #[must_use]
    pub fn masks(&self) -> &OwnMasks {
        &self.masks
    }

    /// The line of an answer that names the provider.
    #[must_use]
    pub fn provider_line(&self) -> &[u8] {
        &self.provider_line
    }

    /// Writes the head of a request of a caller for `endpoint` whose body, in the provider's
    /// dialect, has `body_len` bytes.
    pub fn write(
        &self,
        endpoint: Endpoint,
        request: &Outbound<'_>,
        body_len: usize,
        out: &mut Vec<u8>,
    ) {
        let own = endpoint.told_in(request.dialect);
        let target = self.targets.iter().find(|(one, _)| *one == own);
        debug_assert!(target.is_some(), "routes lead to providers that have it");
        let Some((_, target)) = target else { return };
        out.extend_from_slice(b"POST ");
        write_target(target, request.model, out);
        let dialect = self.own_words(endpoint, request);
        if dialect.asks_for_beta {
            let mark = if target.before.contains('?') {
                '&'
            } else {
                '?'
            };
            out.push(mark as u8);
            out.extend_from_slice(anthropic::BETA);
        }
        out.extend_from_slice(&self.rest_of_line);
        out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(body_len).as_bytes());
        out.extend_from_slice(b"\r\n");
        self.write_fields(endpoint, request, dialect, out);
    }

    /// Writes the head of a request of a caller for `endpoint` whose body is passed on as it is.
    pub fn write_carried(
        &self,
        endpoint: Endpoint,
        request: &Outbound<'_>,
        carried: &Carried<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut targets = self.targets.iter();
        let Some((_, target)) = targets.find(|(one, _)| *one == endpoint) else {
            return;
        };
        out.extend_from_slice(carried.method);
        out.push(b' ');
        if target.after.is_some() {
            write_target(target, request.model, out);
        } else {
            write_path(&target.before, (carried.path, carried.query), out);
        }
        out.extend_from_slice(&self.rest_of_line);
        carried.write_fields(out);
        self.write_fields(endpoint, request, OwnWords::default(), out);
    }

    /// Writes the head of a request of a caller for a stored response, whose body has `body_len`
    /// bytes.
    pub fn write_stored(
        &self,
        line: &StoredLine<'_>,
        request: &Outbound<'_>,
        body_len: usize,
        out: &mut Vec<u8>,
    ) {
        let mut targets = self.targets.iter();
        let target = targets.find(|(one, _)| *one == Endpoint::Responses);
        let Some((_, target)) = target else { return };
        out.extend_from_slice(line.method);
        out.push(b' ');
        let path = ["/", line.id, line.path].concat();
        write_path(&target.before, (&path, line.query), out);
        out.extend_from_slice(&self.rest_of_line);
        if body_len > 0 {
            out.extend_from_slice(b"Content-Type: application/json\r\n");
        }
        if body_len > 0 || line.method == b"POST" {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(body_len).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        self.write_fields(Endpoint::Responses, request, OwnWords::default(), out);
    }

    /// The deployment that serves all models, as a JSON string: where the target does not name it,
    /// it is the model of the body.
    #[must_use]
    pub fn deployment_json(&self) -> Option<&[u8]> {
        self.deployment_json.as_deref()
    }

    /// Writes a whole request of infermux itself: for `target`, with its own key for `provider` if
    /// it has one.
    pub fn write_own(&self, provider: &Provider, target: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.origin.as_bytes());
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(&self.rest_of_line);
        let own = provider.api_key.as_ref();
        self.write_key(own.map_or(Credential::None, Credential::Own), out);
        self.write_version(OwnWords::default(), out);
        if !contains(&self.set, b"user-agent") {
            out.extend_from_slice(b"User-Agent: infermux\r\n");
        }
        out.extend_from_slice(b"Connection: close\r\n\r\n");
    }

    /// What a request of a caller of Messages says in the words of that API.
    fn own_words(&self, endpoint: Endpoint, request: &Outbound<'_>) -> OwnWords {
        let (head, bytes) = request.caller;
        match (self.vendor.dialect, endpoint.dialect()) {
            (Dialect::Messages, Dialect::Messages) => OwnWords {
                asks_for_beta: anthropic::asks_for_beta(&bytes[head.target.clone()]),
                says_version: head.names.has(Known::AnthropicVersion),
            },
            (Dialect::Chat | Dialect::Messages | Dialect::Responses, _) => OwnWords::default(),
        }
    }

    fn write_fields(
        &self,
        endpoint: Endpoint,
        request: &Outbound<'_>,
        words: OwnWords,
        out: &mut Vec<u8>,
    ) {
        self.write_key(request.credential, out);
        self.write_version(words, out);
        field(b"X-Request-Id", request.request_id, out);
        if let Some(place) = request.trace {
            trace::write(place, |name| contains(&self.set, name), out);
        }
        let (head, bytes) = request.caller;
        let crossing = crossing(endpoint, request);
        let version = if words.says_version {
            Names::of(&[Known::AnthropicVersion])
        } else {
            Names::NONE
        };
        let asked_for = crossing.and(version);
        let fields = if self.forward.is_empty() && !head.names.meets(asked_for) {
            &[]
        } else {
            &*head.fields
        };
        for one in fields {
            if self.forward.is_empty() && !asked_for.has(one.known) {
                continue;
            }
            let name = &bytes[one.name.clone()];
            let crosses = crossing.has(one.known) || contains(&self.forward, name);
            let is_version = version.has(one.known);
            if request.trace.is_some() && trace::HEADERS.has(one.known) {
                continue;
            }
            if (is_version || crosses && !contains(&self.set, name))
                && !headers::is_named(name, head.listed_by_connection(bytes))
            {
                field(name, &bytes[one.value.clone()], out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Prefixes {
    fn write_key(&self, credential: Credential<'_>, out: &mut Vec<u8>) {
        match credential {
            Credential::Own(_) => {
                let line = self.own_key.as_ref().map_or("", Secret::expose);
                out.extend_from_slice(line.as_bytes());
            }
            Credential::Caller(authorization) => match self.vendor.key {
                KeyForm::Anthropic => anthropic::write_caller_key(authorization, out),
                KeyForm::Bearer | KeyForm::Header(_) => {
                    field(b"Authorization", authorization, out);
                }
            },
            Credential::CallersKey(key) => write_key(self.vendor.key, key, out),
            Credential::None => {}
        }
    }

    /// States the version of the API, unless the caller does.
    fn write_version(&self, words: OwnWords, out: &mut Vec<u8>) {
        if self.vendor.dialect == Dialect::Messages && !words.says_version {
            out.extend_from_slice(anthropic::VERSION_LINE);
        }
    }
}

/// The caller's headers that a provider gets, besides those that the file names.
fn crossing(endpoint: Endpoint, request: &Outbound<'_>) -> Names {
    let key = request.key;
    let of_dialect = match (request.dialect, endpoint.dialect()) {
        (Dialect::Messages, _) => anthropic::crossing(key),
        (Dialect::Chat, Dialect::Chat | Dialect::Messages) => headers::to_openai(key),
        (Dialect::Chat, Dialect::Responses) => headers::over_the_bridge(key),
        (Dialect::Responses, _) => headers::to_responses(key),
    };
    headers::TO_ANY_PROVIDER.and(of_dialect)
}

/// What a request to a provider of the caller's own dialect takes over from the caller's head.
#[derive(Clone, Copy, Default)]
struct OwnWords {
    /// The caller asks for the beta of the API.
    asks_for_beta: bool,
    /// The caller states the version of the API.
    says_version: bool,
}

/// Appends the target `before`, with the caller's path behind its own, and both queries.
fn write_path(before: &str, (path, query): (&str, &[u8]), out: &mut Vec<u8>) {
    let (own, own_query) = before.split_once('?').unwrap_or((before, ""));
    out.extend_from_slice(own.as_bytes());
    out.extend_from_slice(path.as_bytes());
    let mut mark = b'?';
    for query in [own_query.as_bytes(), query] {
        if !query.is_empty() {
            out.push(mark);
            out.extend_from_slice(query);
            mark = b'&';
        }
    }
}

fn write_target(target: &Target, model: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(target.before.as_bytes());
    if let Some(after) = &target.after {
        let mut name = String::with_capacity(model.len());
        azure::percent_encode(model, &mut name);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(after.as_bytes());
    }
}

/// The target of `provider`'s list of models.
#[must_use]
pub fn list_target(provider: &Provider) -> String {
    target(provider, provider.vendor.list).before
}

/// The deployment of `provider` that serves all models, as a JSON string.
fn deployment_json(provider: &Provider) -> Option<Box<[u8]>> {
    let deployment = provider.azure_deployment.as_deref();
    let deployment = deployment.filter(|_| provider.vendor.root == Root::Deployment);
    deployment.map(|name| json::quoted(name).into())
}

fn endpoint_target(provider: &Provider, endpoint: Endpoint, path: &str) -> Target {
    if path.starts_with('/') {
        return below_root(provider, path);
    }
    if provider.vendor.root == Root::Deployment && !endpoint.has_model() {
        return azure::resource_target(&resource(provider), path);
    }
    match (provider.vendor.root, endpoint.dialect()) {
        (Root::Deployment, Dialect::Responses) => azure::v1_target(&resource(provider), path),
        (Root::Base | Root::V1 | Root::Deployment, _) => target(provider, path),
    }
}

/// The target of a path that stands below the base of `provider` without its `/v1`.
fn below_root(provider: &Provider, path: &str) -> Target {
    let base = &provider.base;
    let root = base.path.strip_suffix("/v1").unwrap_or(&base.path);
    let mark = if base.query.is_empty() { "" } else { "?" };
    Target {
        before: format!("{root}{path}{mark}{}", base.query),
        after: None,
    }
}

/// The Azure resource that `provider` is.
fn resource(provider: &Provider) -> azure::Resource<'_> {
    azure::Resource {
        path: &provider.base.path,
        query: &provider.base.query,
        deployment: provider.azure_deployment.as_deref(),
        version: &provider.azure_api_version,
    }
}

/// The target of an endpoint of `provider`, given its path.
fn target(provider: &Provider, path: &str) -> Target {
    let base = &provider.base;
    let mark = match (&*base.query, path.contains('?')) {
        ("", _) => "",
        (_, true) => "&",
        (_, false) => "?",
    };
    let simple = |root: &str| Target {
        before: format!("{}{root}/{path}{mark}{}", base.path, base.query),
        after: None,
    };
    match provider.vendor.root {
        Root::Base => simple(""),
        Root::V1 if base.path.ends_with("/v1") => simple(""),
        Root::V1 => simple("/v1"),
        Root::Deployment => azure::target(&resource(provider), path),
    }
}

/// Scheme and authority of a target in absolute form (RFC 9112, section 3.2.2), which a proxy that
/// is sent the request needs; empty where there is none.
fn origin(provider: &Provider) -> String {
    let authority = &provider.base.authority;
    provider
        .relay()
        .map_or_else(String::new, |_| format!("http://{authority}"))
}

/// The part of the request line behind the target, and the fields that every request to `provider`
/// has.
fn rest_of_line(provider: &Provider) -> String {
    let authority = &provider.base.authority;
    let mut rest = format!(" HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n");
    if let Some(proxy) = provider.relay() {
        rest.push_str(&proxy.authorization_line());
    }
    for (name, value) in &provider.headers.set {
        rest.extend([&**name, ": ", value.expose(), "\r\n"]);
    }
    rest
}

fn key_line(form: KeyForm, key: &Secret) -> Secret {
    let mut line = Vec::new();
    write_key(form, key.expose().as_bytes(), &mut line);
    Secret::new(String::from_utf8(line).unwrap_or_default())
}

/// Appends the header line that carries `key`.
fn write_key(form: KeyForm, key: &[u8], out: &mut Vec<u8>) {
    match form {
        KeyForm::Bearer => {
            out.extend_from_slice(b"Authorization: Bearer ");
            out.extend_from_slice(key);
            out.extend_from_slice(b"\r\n");
        }
        KeyForm::Header(name) => field(name.as_bytes(), key, out),
        KeyForm::Anthropic => anthropic::write_key(key, out),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::responses::Responses;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::wire::head::Arrival;

    fn provider(fields: &str) -> Provider {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let loaded = config::load(&format!("providers: [{{name: p, {fields}}}]"), &options);
        let mut providers = loaded.expect("a good file").plan.providers.into_vec();
        providers.remove(0)
    }

    /// The head of a request to the provider, for the caller whose head is given.
    fn written(fields: &str, endpoint: Endpoint, (caller, key): (&str, KeyOwner)) -> String {
        let caller = format!("{}\r\n\r\n", caller.replace('|', "\r\n"));
        let mut head = Head::default();
        assert_eq!(
            head.parse_request(caller.as_bytes(), 0),
            Ok(Arrival::Whole),
            "{caller}"
        );
        let provider = provider(fields);
        let request = Outbound {
            dialect: match (provider.responses, endpoint.dialect()) {
                (Responses::Native, Dialect::Responses) => Dialect::Responses,
                (_, _) => provider.vendor.dialect,
            },
            model: "a b",
            credential: Credential::None,
            key,
            request_id: b"id",
            caller: (&head, caller.as_bytes()),
            trace: None,
        };
        let mut out = Vec::new();
        Prefixes::new(&provider).write(endpoint, &request, 7, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_endpoint_has_its_target_at_each_type() {
        use Endpoint::{ChatCompletions, CountTokens, Embeddings, Messages};

        for (fields, endpoint, target) in [
            (
                "type: openai, api_key: k",
                ChatCompletions,
                "/v1/chat/completions",
            ),
            ("type: openai, api_key: k", Messages, "/v1/chat/completions"),
            (
                "type: openai, base_url: 'http://h/a?b=c'",
                Embeddings,
                "/a/embeddings?b=c",
            ),
            ("type: ollama", ChatCompletions, "/v1/chat/completions"),
            (
                "type: ollama, base_url: 'http://h/x/v1'",
                Messages,
                "/x/v1/chat/completions",
            ),
            (
                "type: azure_openai, api_key: k, base_url: 'http://h'",
                Messages,
                "/openai/deployments/a%20b/chat/completions?api-version=2024-10-21",
            ),
            (
                "type: anthropic, api_key: k",
                ChatCompletions,
                "/v1/messages",
            ),
            (
                "type: anthropic, api_key: k",
                Messages,
                "/v1/messages?beta=true",
            ),
            (
                "type: anthropic, api_key: k, base_url: 'http://h/v1?b=1'",
                CountTokens,
                "/v1/messages/count_tokens?b=1&beta=true",
            ),
            (
                "type: anthropic, api_key: k, base_url: 'http://h/anthropic'",
                Messages,
                "/anthropic/v1/messages?beta=true",
            ),
        ] {
            let caller = "POST /x?beta=true&y=1 HTTP/1.1|Host: h";
            let head = written(fields, endpoint, (caller, KeyOwner::Infermux));
            let line = head.lines().next();
            assert_eq!(line, Some(&*format!("POST {target} HTTP/1.1")), "{fields}");
        }
        for (fields, path) in [
            ("type: openai, api_key: k", "/v1/"),
            ("type: ollama", "/v1/"),
            (
                "type: azure_openai, api_key: k, azure_deployment: d, base_url: 'http://h/'",
                "/openai/v1/",
            ),
            (
                "type: azure_openai, api_key: k, base_url: 'http://h/openai/deployments/d'",
                "/openai/v1/",
            ),
            (
                "type: azure_openai, api_key: k, base_url: 'http://h/x/openai/v1'",
                "/x/openai/v1/",
            ),
        ] {
            let native = format!("{fields}, responses: native");
            for (endpoint, own) in [
                (Endpoint::Responses, "responses"),
                (Endpoint::InputTokens, "responses/input_tokens"),
                (Endpoint::Compact, "responses/compact"),
            ] {
                let caller = "POST /x HTTP/1.1|Host: h";
                let head = written(&native, endpoint, (caller, KeyOwner::Infermux));
                let expected = format!("POST {path}{own} HTTP/1.1");
                assert_eq!(head.lines().next(), Some(&*expected), "{fields}");
            }
            let bridged = format!("{fields}, responses: bridge");
            let caller = ("POST /x HTTP/1.1|Host: h", KeyOwner::Infermux);
            assert_eq!(
                written(&bridged, Endpoint::Responses, caller),
                written(fields, ChatCompletions, caller),
                "{fields}"
            );
        }
        let lists = [
            ("type: anthropic, api_key: k", "/v1/models?limit=1000"),
            (
                "type: anthropic, api_key: k, base_url: 'http://h/a/v1?b=1'",
                "/a/v1/models?limit=1000&b=1",
            ),
            (
                "type: openai, base_url: 'http://h/v1?b=1'",
                "/v1/models?b=1",
            ),
        ];
        for (fields, target) in lists {
            assert_eq!(list_target(&provider(fields)), target);
        }
    }

    #[test]
    fn what_callers_say_of_responses_reaches_those_that_have_them() {
        let caller = "POST /v1/responses HTTP/1.1|Host: h|OpenAI-Beta: b|ChatGPT-Account-Id: c|\
            session-id: d|thread-id: e|x-client-request-id: f|originator: g|x-codex-a: h|\
            OpenAI-Organization: i|User-Agent: j|x-openai-z: k";
        let check = |responses: &str, key, names: &[&str]| {
            let fields = format!("type: openai, api_key: k, responses: {responses}");
            let head = written(&fields, Endpoint::Responses, (caller, key));
            let all = ["OpenAI-Beta", "ChatGPT-Account-Id", "OpenAI-Organization"];
            for name in all.iter().chain(&["User-Agent"]) {
                let is_there = head.contains(&format!("\r\n{name}: "));
                assert_eq!(is_there, names.contains(name), "{responses} {name}");
            }
            for name in [
                "session-id",
                "thread-id",
                "client-request",
                "originator",
                "codex",
            ] {
                assert!(!head.contains(name), "{responses} {name}");
            }
        };
        check("native", KeyOwner::Infermux, &["OpenAI-Beta", "User-Agent"]);
        let all = [
            "OpenAI-Beta",
            "ChatGPT-Account-Id",
            "OpenAI-Organization",
            "User-Agent",
        ];
        check("native", KeyOwner::Caller, &all);
        check("bridge", KeyOwner::Infermux, &["User-Agent"]);
        check(
            "bridge",
            KeyOwner::Caller,
            &["OpenAI-Organization", "User-Agent"],
        );
    }

    #[test]
    fn callers_of_messages_state_the_version_themselves() {
        let caller = "POST /v1/messages HTTP/1.1|Host: h|Anthropic-Version: 2024-01-01|\
            anthropic-beta: a|anthropic-beta: b|anthropic-workspace-id: w|x-stainless-lang: js|\
            X-Claude-Code-Session-Id: s";
        let lines = |endpoint, caller: &str, key| {
            let head = written("type: anthropic, api_key: k", endpoint, (caller, key));
            let lines = head.lines().skip(5);
            lines
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join("|")
        };
        let rest = "anthropic-beta: a|anthropic-beta: b";
        assert_eq!(
            lines(Endpoint::Messages, caller, KeyOwner::Infermux),
            format!(
                "X-Request-Id: id|Anthropic-Version: 2024-01-01|{rest}|X-Claude-Code-Session-Id: s"
            )
        );
        assert_eq!(
            lines(Endpoint::ChatCompletions, caller, KeyOwner::Caller),
            format!(
                "anthropic-version: 2023-06-01|X-Request-Id: id|{rest}|anthropic-workspace-id: w|\
                 X-Claude-Code-Session-Id: s"
            )
        );
        let plain = "POST /v1/messages HTTP/1.1|Host: h";
        assert_eq!(
            lines(Endpoint::CountTokens, plain, KeyOwner::Infermux),
            "anthropic-version: 2023-06-01|X-Request-Id: id"
        );
        let openai = written(
            "type: openai, api_key: k",
            Endpoint::Messages,
            (caller, KeyOwner::Caller),
        );
        assert!(
            !openai.to_ascii_lowercase().contains("anthropic"),
            "{openai}"
        );
    }
}
