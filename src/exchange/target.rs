//! Reads the target of a request.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::NOTED_KEPT_MAX;
use crate::base::range::Range;

use crate::exchange::callers::KeyAct;
use crate::exchange::door::Door;
use crate::exchange::explain::Asked;
use crate::exchange::other_endpoints;
use crate::exchange::passed::{self, Cost, Passed};
use crate::exchange::path_hint;
use crate::exchange::query::{percent_decode, value};
use crate::exchange::refusal::{PathHint, Refusal};
use crate::exchange::segments::{above, below};
use crate::exchange::stored::{self, Part, Stored};
use crate::link::meters::Party;
use crate::link::noted::Trouble;
use crate::link::reports::{ByHand, KeysShown, Question, RequestsShown};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An inference, with the decoded model where the path names one as Azure's clients do.
    Infer(Endpoint, Option<String>),
    /// A request that names no model.
    Passed(Passed),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`, the id decoded.
    Model(String),
    /// `GET /`: what this server is.
    Root,
    /// A browser's preflight for a page of another origin, with the lines of the answer.
    Preflight(String),
    /// `/v1/responses/{id}`, and what stands below it.
    Stored(Stored),
    /// Something under `/_infermux`.
    Manage(Manage),
}

impl Target {
    /// The endpoint's name, for the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Infer(endpoint, _) => endpoint.name(),
            Self::Passed(passed) => passed.endpoint.name(),
            Self::Models | Self::Model(_) => "models",
            Self::Stored(_) => "stored_response",
            Self::Root => "root",
            Self::Preflight(_) => "preflight",
            Self::Manage(_) => "management",
        }
    }
}

impl Target {
    /// The same, given its method.
    fn for_method(mut self, method: Method) -> Self {
        if let Self::Passed(passed) = &mut self
            && method != Method::Post
        {
            passed.cost = Cost::Nothing;
        }
        self
    }

    /// Whether what is answered depends on the caller's dialect.
    #[must_use]
    pub const fn has_dialects(&self) -> bool {
        match self {
            Self::Infer(..) | Self::Passed(_) | Self::Models | Self::Model(_) | Self::Stored(_) => {
                true
            }
            Self::Root | Self::Preflight(_) | Self::Manage(_) => false,
        }
    }
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manage {
    /// `GET /_infermux/`: the page for browsers, which holds no data.
    Page,
    /// `GET /_infermux`: leads to that page.
    PageElsewhere,
    /// `GET /_infermux/health`, `/livez`: whether the process lives.
    Health,
    /// `GET /_infermux/ready`, `/readyz`: whether it takes traffic.
    Ready,
    /// A report.
    Report(Question),
    /// `GET` or `POST /_infermux/explain`: where a request would go.
    Explain(Asked),
    /// `POST /_infermux/reload`
    Reload,
    /// `GET /_infermux/keys/{name}`: one of the callers' keys.
    Key(String),
    /// `POST /_infermux/keys/{name}/{disable|enable}`
    SwitchKey(String, KeyAct),
    /// `POST /_infermux/providers/{name}/circuit/{open|close|reset}`, `…/{take-out|put-back}`
    ByHand(String, ByHand),
}

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: like `GET`, without the body.
    Head,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
}

/// All methods that are served, for browsers.
pub const METHODS: &str = "GET, HEAD, POST, DELETE";

/// Reads method and target of a request that came in by `door`.
///
/// # Errors
///
/// 404 where the path is not served, 405 where it needs another method.
pub fn read<'a>(
    door: Door,
    method: &[u8],
    target: &'a str,
) -> Result<(Method, Target), Refusal<'a>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let below = path.strip_prefix("/_infermux");
    let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = match (door, below) {
        (Door::Both | Door::Operators, Some(rest)) => manage(rest, query)?.map(Target::Manage),
        (_, None) if path.starts_with('/') && path.trim_matches('/').is_empty() => {
            Some(Target::Root)
        }
        (Door::Both | Door::Callers, None) => inference(path),
        (Door::Operators, None) => at_root(path).map(Target::Manage),
        (Door::Callers, Some(_)) => None,
    };
    let found = found.ok_or_else(|| Refusal::UnknownUrl {
        path,
        hint: if matches!((door, below), (Door::Callers, Some(_))) {
            PathHint::Operators
        } else {
            path_hint::served(door, path).map_or(PathHint::None, PathHint::Near)
        },
    })?;
    let (allowed, allow) = methods(&found);
    let method = match method {
        b"GET" => Some(Method::Get),
        b"HEAD" => Some(Method::Head),
        b"POST" => Some(Method::Post),
        b"DELETE" => Some(Method::Delete),
        _ => None,
    };
    match method.filter(|method| allowed.contains(method)) {
        Some(method) => Ok((method, found.for_method(method))),
        None => Err(Refusal::MethodNotAllowed { allow }),
    }
}

/// The methods that a request for this target may have, and as `Allow` lists them.
fn methods(found: &Target) -> (&'static [Method], &'static str) {
    match found {
        Target::Infer(..)
        | Target::Manage(Manage::Reload | Manage::ByHand(..) | Manage::SwitchKey(..)) => {
            (&[Method::Post][..], "POST")
        }
        Target::Manage(Manage::Explain(_)) => (
            &[Method::Get, Method::Head, Method::Post][..],
            "GET, HEAD, POST",
        ),
        Target::Passed(_) => (
            &[Method::Get, Method::Post, Method::Delete][..],
            "GET, POST, DELETE",
        ),
        Target::Stored(Stored { part, .. }) => match part {
            Part::Whole => (&[Method::Get, Method::Delete][..], "GET, DELETE"),
            Part::InputItems => (&[Method::Get][..], "GET"),
            Part::Cancel => (&[Method::Post][..], "POST"),
        },
        Target::Models
        | Target::Model(_)
        | Target::Root
        | Target::Preflight(_)
        | Target::Manage(
            Manage::Page
            | Manage::PageElsewhere
            | Manage::Health
            | Manage::Ready
            | Manage::Key(_)
            | Manage::Report(_),
        ) => (&[Method::Get, Method::Head][..], "GET, HEAD"),
    }
}

/// What [`read`] finds for a request for an inference whose target is written as the official
/// packages write it; `None`: `read` has to look. Nothing is searched for in the target.
#[must_use]
pub fn read_usual(door: Door, method: &[u8], target: &[u8]) -> Option<Target> {
    if door == Door::Operators || method != b"POST" {
        return None;
    }
    let endpoint = match target {
        b"/v1/chat/completions" => Endpoint::ChatCompletions,
        b"/v1/completions" => Endpoint::Completions,
        b"/v1/embeddings" => Endpoint::Embeddings,
        b"/v1/messages" | b"/v1/messages?beta=true" => Endpoint::Messages,
        b"/v1/responses" => Endpoint::Responses,
        _ => return None,
    };
    Some(Target::Infer(endpoint, None))
}

/// Whether `target` is the one that OpenAI serves over WebSockets, too.
#[must_use]
pub fn has_web_socket(door: Door, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let is_served = || inference(path) == Some(Target::Infer(Endpoint::Responses, None));
    door != Door::Operators && is_served()
}

/// Whether a target is one of those for operators.
pub(super) fn is_of_operators(target: &[u8]) -> bool {
    let below = target.strip_prefix(b"/_infermux");
    matches!(below, Some([] | [b'/' | b'?', ..]))
}

/// The dialect of every answer to a request for this target, whose head speaks `header`: a path
/// that both dialects have is answered in that one.
pub(super) fn dialect(target: &[u8], header: Dialect) -> Dialect {
    // Nearly all targets are these or begin so, and nothing that does is in both dialects.
    if target.starts_with(b"/v1/chat/completions") {
        return Dialect::Chat;
    }
    match target {
        b"/v1/messages" | b"/v1/messages?beta=true" => return Dialect::Messages,
        b"/v1/responses" => return Dialect::Responses,
        _ => {}
    }
    let path = std::str::from_utf8(target).unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if below(path, "anthropic").is_some() {
        return Dialect::Messages;
    }
    let rest = below(path, "openai").unwrap_or(path);
    let rest = below(rest, "v1").unwrap_or(rest);
    if below(rest, "messages").is_some() {
        Dialect::Messages
    } else if below(rest, "responses").is_some() {
        Dialect::Responses
    } else if below(rest, "models").is_some() {
        header
    } else {
        Dialect::Chat
    }
}

/// Reads a caller's path: an endpoint behind `/v1`, `/openai/v1`, `/openai` or nothing, or behind a
/// deployment as in Azure; those of Anthropic's API behind `/anthropic/v1` and `/anthropic`, too.
/// Slashes may be doubled or trail.
fn inference(path: &str) -> Option<Target> {
    let path = path.trim_end_matches('/');
    if let Some(rest) = below(path, "anthropic") {
        let rest = below(rest, "v1").unwrap_or(rest);
        let messages = messages(rest).map(|endpoint| Target::Infer(endpoint, None));
        return messages.or_else(|| models(rest));
    }
    let openai = below(path, "openai");
    if let Some(rest) = openai.and_then(|rest| below(rest, "deployments")) {
        return deployment(rest);
    }
    let rest = openai.unwrap_or(path);
    let rest = below(rest, "v1").unwrap_or(rest);
    if below(rest, "models").is_some() {
        return models(rest);
    }
    let chat = || below(rest, "chat").and_then(|rest| below(rest, "completions"));
    let endpoint = if below(rest, "completions") == Some("") {
        Endpoint::Completions
    } else if below(rest, "embeddings") == Some("") {
        Endpoint::Embeddings
    } else if chat() == Some("") {
        Endpoint::ChatCompletions
    } else if let Some(endpoint) = responses(rest).or_else(|| messages(rest)) {
        endpoint
    } else if let Some(endpoint) =
        other_endpoints::at(rest).or_else(|| other_endpoints::versioned(path))
    {
        endpoint
    } else {
        let stored = below(rest, "responses").and_then(stored);
        let stored = stored.map(Target::Stored);
        return stored.or_else(|| passed::at(rest).map(Target::Passed));
    };
    Some(Target::Infer(endpoint, None))
}

/// The endpoint of the Responses API at this path.
fn responses(path: &str) -> Option<Endpoint> {
    let rest = below(path, "responses")?;
    if rest.is_empty() {
        Some(Endpoint::Responses)
    } else if below(rest, "input_tokens") == Some("") {
        Some(Endpoint::InputTokens)
    } else if below(rest, "compact") == Some("") {
        Some(Endpoint::Compact)
    } else {
        None
    }
}

/// The endpoint of the Messages API at this path.
fn messages(path: &str) -> Option<Endpoint> {
    let rest = below(path, "messages")?;
    if rest.is_empty() {
        Some(Endpoint::Messages)
    } else if below(rest, "count_tokens") == Some("") {
        Some(Endpoint::CountTokens)
    } else {
        None
    }
}

/// A stored response, or a part of it, at this path below `/responses`.
fn stored(path: &str) -> Option<Stored> {
    let rest = path.strip_prefix('/')?.trim_start_matches('/');
    let (segment, rest) = match rest.find('/') {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let part = match rest {
        "" => Part::Whole,
        rest if below(rest, "input_items") == Some("") => Part::InputItems,
        rest if below(rest, "cancel") == Some("") => Part::Cancel,
        _ => return None,
    };
    let id = stored::id(segment);
    Some(Stored { id, part })
}

/// The list of models, or one of them, at this path.
fn models(path: &str) -> Option<Target> {
    let id = below(path, "models")?.trim_start_matches('/');
    Some(if id.is_empty() {
        Target::Models
    } else {
        Target::Model(percent_decode(id)?)
    })
}

/// The paths at the root that usual probes and scrapers ask for, on a listener of operators' own.
fn at_root(path: &str) -> Option<Manage> {
    match path {
        "/livez" | "/healthz" => Some(Manage::Health),
        "/readyz" => Some(Manage::Ready),
        "/metrics" => Some(Manage::Report(Question::Metrics)),
        _ => None,
    }
}

/// Reads the part behind `/openai/deployments`. Client libraries put a model's name there
/// unencoded, so that it may hold slashes.
fn deployment(rest: &str) -> Option<Target> {
    let named = |model: &str, endpoint| {
        let model = model.trim_start_matches('/');
        let deployment = percent_decode(model).filter(|model| !model.is_empty())?;
        Some(Target::Infer(endpoint, Some(deployment)))
    };
    if let Some(model) = above(rest, "embeddings") {
        return named(model, Endpoint::Embeddings);
    }
    if let Some((endpoint, model)) = other_endpoints::of_deployment(rest) {
        return named(model, endpoint);
    }
    let model = above(rest, "completions")?;
    let chat = above(model, "chat").and_then(|model| named(model, Endpoint::ChatCompletions));
    chat.or_else(|| named(model, Endpoint::Completions))
}

/// Reads the part behind `/_infermux`; `None`: there is no such path.
fn manage<'a>(rest: &str, query: &str) -> Result<Option<Manage>, Refusal<'a>> {
    let Some(path) = rest.strip_prefix('/') else {
        return Ok(Some(Manage::PageElsewhere));
    };
    let question = match path {
        "" => return Ok(Some(Manage::Page)),
        "health" | "livez" => return Ok(Some(Manage::Health)),
        "ready" | "readyz" => return Ok(Some(Manage::Ready)),
        "reload" => return Ok(Some(Manage::Reload)),
        "explain" => {
            let asked = Asked::read(query).map_err(Refusal::InvalidRequest)?;
            return Ok(Some(Manage::Explain(asked)));
        }
        "keys" => Question::Keys(match value(query, "most_used") {
            None => KeysShown::All,
            Some(most) => {
                let most = most
                    .parse()
                    .map_err(|_| Refusal::InvalidRequest(MOST_USED))?;
                let filter = value(query, "filter").unwrap_or_default();
                let filter = percent_decode(&filter.replace('+', " "));
                let filter = filter.ok_or(Refusal::InvalidRequest(FILTER))?.into();
                KeysShown::MostUsed { most, filter }
            }
        }),
        "status" => Question::Status,
        "providers" => Question::Providers,
        "changes" => Question::Changes,
        "recent" => Question::Recent,
        "requests" => Question::Requests(requests_shown(query)?),
        "metrics" => Question::Metrics,
        "latency" => Question::Latency,
        "costs" => Question::Costs,
        "costs/by-caller" => Question::CostsBy(Party::Caller, top(query)?),
        "costs/by-model" => Question::CostsByModel,
        "costs/by-project" => Question::CostsBy(Party::Project, top(query)?),
        "costs/by-env" => Question::CostsBy(Party::Env, top(query)?),
        "costs/by-key" => Question::CostsBy(Party::Key, top(query)?),
        "costs/by-team" => Question::CostsBy(Party::Team, top(query)?),
        "costs/timeseries" => {
            let range = Range::read(value(query, "hours"), value(query, "bucket"));
            Question::Timeseries(range.map_err(|fault| Refusal::InvalidRequest(fault.text()))?)
        }
        _ => return Ok(named(path)),
    };
    Ok(Some(Manage::Report(question)))
}

/// Reads how many names are asked for apart.
fn top<'a>(query: &str) -> Result<Option<usize>, Refusal<'a>> {
    let top = value(query, "top").map(str::parse).transpose();
    top.map_err(|_| Refusal::InvalidRequest(TOP))
}

/// Reads which of the noted requests are asked for.
fn requests_shown<'a>(query: &str) -> Result<RequestsShown, Refusal<'a>> {
    let trouble = match value(query, "kind") {
        None => None,
        Some(name) => Some(Trouble::named(name).ok_or(Refusal::InvalidRequest(KIND))?),
    };
    let most = match value(query, "limit") {
        None => NOTED_KEPT_MAX,
        Some(most) => most.parse().map_err(|_| Refusal::InvalidRequest(LIMIT))?,
    };
    Ok(RequestsShown { trouble, most })
}

/// Reads a path with a name in it.
fn named(path: &str) -> Option<Manage> {
    if let Some(caller) = path.strip_prefix("costs/caller/") {
        let caller = percent_decode(caller)?;
        let question = Question::CostsOfCaller(caller.into());
        return Some(Manage::Report(question));
    }
    if let Some(key) = path.strip_prefix("keys/") {
        let Some((name, act)) = key.split_once('/') else {
            return Some(Manage::Key(percent_decode(key)?));
        };
        let act = match act {
            "disable" => KeyAct::Disable,
            "enable" => KeyAct::Enable,
            _ => return None,
        };
        return Some(Manage::SwitchKey(percent_decode(name)?, act));
    }
    let (name, act) = path.strip_prefix("providers/")?.split_once('/')?;
    let act = match act {
        "circuit/open" => ByHand::Open,
        "circuit/close" => ByHand::Close,
        "circuit/reset" => ByHand::Reset,
        "take-out" => ByHand::TakeOut,
        "put-back" => ByHand::PutBack,
        _ => return None,
    };
    Some(Manage::ByHand(percent_decode(name)?, act))
}

/// Why what names are to have in them cannot be read.
const FILTER: &str = "`filter` is no encoded text";
/// Why the number of names that are asked for cannot be read.
const TOP: &str = "`top` is a whole number: how many names are shown apart";
/// Why the kind of requests that is asked for cannot be read.
const KIND: &str = "`kind` is `failed`, `refused` or `slow`: which requests are shown";
/// Why the number of requests that are asked for cannot be read.
const LIMIT: &str = "`limit` is a whole number: how many requests are shown";
/// Why the number of keys that are asked for cannot be read.
const MOST_USED: &str = "`most_used` is a whole number: how many keys, and teams, are shown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_which_dialect_the_answer_speaks() {
        use Dialect::{Chat, Messages};

        for (target, header, expected) in [
            ("/v1/responses", Messages, Dialect::Responses),
            ("/openai/responses/x?y", Chat, Dialect::Responses),
            ("/responses/", Chat, Dialect::Responses),
            ("/v1/responsesx", Chat, Chat),
            ("/v1/messages", Chat, Messages),
            ("/v1/messages?beta=true", Chat, Messages),
            ("//v1//messages/batches/x", Chat, Messages),
            ("/messages/count_tokens", Chat, Messages),
            ("/openai/v1/messages", Chat, Messages),
            ("/anthropic/v1/nothing", Chat, Messages),
            ("/v1/models", Messages, Messages),
            ("/models/x?limit=1", Messages, Messages),
            ("/v1/models", Chat, Chat),
            ("/v1/chat/completions", Messages, Chat),
            ("/v1/messagesx", Messages, Chat),
            ("/v1/x?/v1/messages", Messages, Chat),
            ("/_infermux/status", Messages, Chat),
            ("/", Messages, Chat),
            ("", Messages, Chat),
        ] {
            assert_eq!(dialect(target.as_bytes(), header), expected, "{target}");
        }
        assert_eq!(dialect(b"/v1/messages/\xff", Messages), Chat);
    }

    #[test]
    fn usual_targets_lead_where_they_would_lead_when_read() {
        let targets = [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/messages",
            "/v1/messages?beta=true",
            "/v1/responses",
        ];
        for door in [Door::Both, Door::Callers, Door::Operators] {
            for target in targets {
                let usual = read_usual(door, b"POST", target.as_bytes());
                let read = read(door, b"POST", target).ok().map(|(_, target)| target);
                assert_eq!(usual, read, "{target}");
                assert_eq!(usual.is_some(), door != Door::Operators, "{target}");
                assert_eq!(read_usual(door, b"GET", target.as_bytes()), None);
            }
            for other in [
                "/v1/models",
                "/v1/chat/completions/",
                "/v1/completions?x",
                "",
            ] {
                assert_eq!(read_usual(door, b"POST", other.as_bytes()), None);
            }
        }
    }

    #[test]
    fn stored_responses_have_an_id_that_leads_nowhere_else() {
        let stored = |id: Option<&str>, part| {
            Ok(Target::Stored(Stored {
                id: id.map(Into::into),
                part,
            }))
        };
        let not_allowed = |allow| Err(Refusal::MethodNotAllowed { allow });
        for (method, target, expected) in [
            (
                "GET",
                "/v1/responses/resp_1?include[]=x",
                stored(Some("resp_1"), Part::Whole),
            ),
            (
                "DELETE",
                "/openai/v1/responses/resp_1/",
                stored(Some("resp_1"), Part::Whole),
            ),
            (
                "GET",
                "//responses//resp_1//input_items?limit=1",
                stored(Some("resp_1"), Part::InputItems),
            ),
            (
                "POST",
                "/v1/responses/resp_1/cancel",
                stored(Some("resp_1"), Part::Cancel),
            ),
            ("POST", "/v1/responses/resp_1", not_allowed("GET, DELETE")),
            ("PUT", "/v1/responses/resp_1", not_allowed("GET, DELETE")),
            ("HEAD", "/v1/responses/resp_1", not_allowed("GET, DELETE")),
            (
                "DELETE",
                "/v1/responses/resp_1/input_items",
                not_allowed("GET"),
            ),
            ("GET", "/v1/responses/resp_1/cancel", not_allowed("POST")),
            (
                "GET",
                "/v1/responses/..%2f..%2fmodels",
                stored(None, Part::Whole),
            ),
            (
                "GET",
                "/v1/responses/../models",
                Err(Refusal::UnknownUrl {
                    path: "",
                    hint: PathHint::None,
                }),
            ),
            ("GET", "/v1/responses/..", stored(None, Part::Whole)),
            ("GET", "/v1/responses/resp_1%00", stored(None, Part::Whole)),
            ("GET", "/v1/responses/a@b:c", stored(None, Part::Whole)),
            (
                "GET",
                "/v1/responses/resp_1/output",
                Err(Refusal::UnknownUrl {
                    path: "",
                    hint: PathHint::None,
                }),
            ),
        ] {
            let found = read(Door::Both, method.as_bytes(), target).map(|(_, found)| found);
            match (&found, &expected) {
                (Err(Refusal::UnknownUrl { .. }), Err(Refusal::UnknownUrl { .. })) => {}
                _ => assert_eq!(found, expected, "{method} {target}"),
            }
        }
    }

    #[test]
    fn each_endpoint_has_its_methods() {
        let infer = |endpoint, deployment: Option<&str>| {
            Target::Infer(endpoint, deployment.map(str::to_owned))
        };
        let chat = |deployment| infer(Endpoint::ChatCompletions, deployment);
        let completions = |deployment| infer(Endpoint::Completions, deployment);
        let embeddings = |deployment| infer(Endpoint::Embeddings, deployment);
        let messages = infer(Endpoint::Messages, None);
        let count_tokens = infer(Endpoint::CountTokens, None);
        for (method, target, found) in [
            ("POST", "/v1/chat/completions?x=1", chat(None)),
            ("POST", "/v1/completions", completions(None)),
            ("POST", "/v1/embeddings", embeddings(None)),
            ("POST", "/chat/completions", chat(None)),
            ("POST", "/completions/?x=/y", completions(None)),
            ("POST", "/openai/v1/embeddings", embeddings(None)),
            ("POST", "//v1///chat//completions//", chat(None)),
            (
                "POST",
                "/openai/deployments/m/chat/completions",
                chat(Some("m")),
            ),
            (
                "POST",
                "/openai/deployments/a%20b/completions/",
                completions(Some("a b")),
            ),
            (
                "POST",
                "/openai//deployments//a/b%2Fc//embeddings",
                embeddings(Some("a/b/c")),
            ),
            (
                "POST",
                "/openai/deployments/chat/completions",
                completions(Some("chat")),
            ),
            ("POST", "/v1/messages", messages.clone()),
            ("POST", "/v1/messages?beta=true", messages.clone()),
            ("POST", "//messages/", messages.clone()),
            ("POST", "/anthropic/v1/messages", messages.clone()),
            ("POST", "/anthropic/messages", messages),
            (
                "POST",
                "/v1/messages/count_tokens?beta=true",
                count_tokens.clone(),
            ),
            (
                "POST",
                "/anthropic/v1/messages//count_tokens/",
                count_tokens.clone(),
            ),
            ("POST", "/messages/count_tokens", count_tokens),
            ("POST", "/v1/responses", infer(Endpoint::Responses, None)),
            (
                "POST",
                "/openai/v1/responses?x=1",
                infer(Endpoint::Responses, None),
            ),
            (
                "POST",
                "/openai//responses/",
                infer(Endpoint::Responses, None),
            ),
            ("POST", "/responses", infer(Endpoint::Responses, None)),
            (
                "POST",
                "/v1/responses/input_tokens",
                infer(Endpoint::InputTokens, None),
            ),
            (
                "POST",
                "/responses//input_tokens/",
                infer(Endpoint::InputTokens, None),
            ),
            (
                "POST",
                "/openai/v1/responses/compact",
                infer(Endpoint::Compact, None),
            ),
            ("GET", "/anthropic/v1/models", Target::Models),
            (
                "GET",
                "/anthropic/models/x?limit=1",
                Target::Model("x".into()),
            ),
            ("GET", "/v1/models", Target::Models),
            ("GET", "/v1/models/", Target::Models),
            ("GET", "/models", Target::Models),
            ("GET", "/openai/models?api-version=1", Target::Models),
            ("GET", "/openai/v1/models/x/", Target::Model("x".into())),
            ("GET", "/", Target::Root),
            ("HEAD", "//?x", Target::Root),
            (
                "HEAD",
                "/v1/models/a%2Fb:c/d",
                Target::Model("a/b:c/d".into()),
            ),
        ] {
            assert_eq!(
                read(Door::Both, method.as_bytes(), target).unwrap().1,
                found
            );
        }
        let circuit = Manage::ByHand("a b".into(), ByHand::Close);
        for (method, target, found) in [
            ("GET", "/_infermux/", Manage::Page),
            ("HEAD", "/_infermux/?x", Manage::Page),
            ("GET", "/_infermux", Manage::PageElsewhere),
            ("GET", "/_infermux/livez", Manage::Health),
            ("HEAD", "/_infermux/ready", Manage::Ready),
            (
                "GET",
                "/_infermux/providers?x",
                Manage::Report(Question::Providers),
            ),
            (
                "GET",
                "/_infermux/costs/caller/a%2Fb",
                Manage::Report(Question::CostsOfCaller("a/b".into())),
            ),
            (
                "GET",
                "/_infermux/costs/by-key?x",
                Manage::Report(Question::CostsBy(Party::Key, None)),
            ),
            (
                "HEAD",
                "/_infermux/costs/by-team?top=3",
                Manage::Report(Question::CostsBy(Party::Team, Some(3))),
            ),
            (
                "GET",
                "/_infermux/costs/timeseries?x&hours=2&bucket=5m&hours=9",
                Manage::Report(Question::Timeseries(Range { hours: 2, step: 5 })),
            ),
            ("POST", "/_infermux/providers/a%20b/circuit/close", circuit),
            (
                "POST",
                "/_infermux/providers/a%2Fb/take-out",
                Manage::ByHand("a/b".into(), ByHand::TakeOut),
            ),
            (
                "POST",
                "/_infermux/providers/circuit/put-back",
                Manage::ByHand("circuit".into(), ByHand::PutBack),
            ),
            ("POST", "/_infermux/reload", Manage::Reload),
            (
                "GET",
                "/_infermux/keys",
                Manage::Report(Question::Keys(KeysShown::All)),
            ),
            (
                "GET",
                "/_infermux/keys?most_used=7&filter=a%26b+c",
                Manage::Report(Question::Keys(KeysShown::MostUsed {
                    most: 7,
                    filter: "a&b c".into(),
                })),
            ),
            ("GET", "/_infermux/recent", Manage::Report(Question::Recent)),
            (
                "HEAD",
                "/_infermux/requests?limit=7&kind=slow",
                Manage::Report(Question::Requests(RequestsShown {
                    trouble: Some(Trouble::Slow),
                    most: 7,
                })),
            ),
            ("GET", "/_infermux/keys/a%2Fb", Manage::Key("a/b".into())),
            (
                "POST",
                "/_infermux/keys/a%2Fb/enable",
                Manage::SwitchKey("a/b".into(), KeyAct::Enable),
            ),
        ] {
            let read = read(Door::Operators, method.as_bytes(), target).unwrap();
            assert_eq!(read.1, Target::Manage(found));
            let refused = super::read(Door::Callers, method.as_bytes(), target).unwrap_err();
            assert_eq!(refused.row().status, 404);
        }
        assert!(read(Door::Operators, b"GET", "/v1/models").is_err());
        for (target, found) in [
            ("/livez", Some(Manage::Health)),
            ("/healthz?verbose", Some(Manage::Health)),
            ("/readyz", Some(Manage::Ready)),
            ("/metrics", Some(Manage::Report(Question::Metrics))),
            ("//livez", None),
            ("/metrics/", None),
            ("/status", None),
        ] {
            for door in [Door::Operators, Door::Callers, Door::Both] {
                let read = read(door, b"GET", target).ok().map(|(_, target)| target);
                let expected = found.clone().filter(|_| door == Door::Operators);
                assert_eq!(read, expected.map(Target::Manage), "{target}");
            }
        }
        for door in [Door::Operators, Door::Callers, Door::Both] {
            assert_eq!(read(door, b"GET", "/").unwrap().1, Target::Root);
        }
        for (method, target, status) in [
            ("GET", "/_infermux/providers/a/circuit/open", 405),
            ("POST", "/_infermux/providers/a/circuit/burn", 404),
            ("GET", "/_infermux/providers/a/take-out", 405),
            ("POST", "/_infermux/providers/a/circuit/take-out", 404),
            ("POST", "/_infermux/health", 405),
            ("GET", "/_infermux/reload", 405),
            ("POST", "/_infermux/metrics", 405),
            ("GET", "/_infermux/costs/by-nobody", 404),
            ("GET", "/_infermux/costs/by-key/web", 404),
            ("POST", "/_infermux/costs/by-key", 405),
            ("DELETE", "/_infermux/costs/by-team", 405),
            ("POST", "/_infermux/requests", 405),
            ("POST", "/_infermux/recent", 405),
            ("GET", "/_infermux/requests?kind=fast", 400),
            ("GET", "/_infermux/keys?most_used=7&filter=%ff", 400),
            ("GET", "/_infermux/costs/by-key?top=all", 400),
            ("GET", "/_infermux/requests?limit=x", 400),
            ("GET", "/_infermux/costs/timeseries?hours=0", 400),
            ("POST", "/_infermux/", 405),
            ("GET", "/_infermuxx", 404),
            ("GET", "/_infermux//", 404),
            ("GET", "/v1/chat/completions", 405),
            ("HEAD", "/v1/embeddings", 405),
            ("POST", "/v1/models", 405),
            ("DELETE", "/v1/models/x", 405),
            ("POST", "/v1/nothing", 404),
            ("POST", "/", 405),
            ("GET", "", 404),
            ("GET", "v1/models", 404),
            ("GET", "/v1", 404),
            ("GET", "/v1/responses", 405),
            ("DELETE", "/v1/responses", 405),
            ("GET", "/v1/responses/compact", 405),
            ("POST", "/v1/responses/compact/x", 404),
            ("POST", "/v1/responsesx", 404),
            ("POST", "/v1/conversations", 404),
            ("GET", "/v1/conversations/conv_1/items", 404),
            ("POST", "/anthropic/v1/responses", 404),
            ("POST", "/openai/deployments/m/responses", 404),
            ("GET", "/v1/messages", 405),
            ("PUT", "/v1/messages/count_tokens", 405),
            ("POST", "/v1/messages/batches", 404),
            ("POST", "/v1/messages/count_tokens/x", 404),
            ("POST", "/v1/messagesx", 404),
            ("POST", "/openai/deployments/m/messages", 404),
            ("POST", "/anthropic/v1/chat/completions", 404),
            ("POST", "/anthropic", 404),
            ("POST", "/v1/v1/chat/completions", 404),
            ("POST", "/v1/chat%2Fcompletions", 404),
            ("POST", "/v1/openai/chat/completions", 404),
            ("POST", "/v1/deployments/m/chat/completions", 404),
            ("POST", "/openai/deployments/chat/embeddings/x", 404),
            ("POST", "/openai/deployments//embeddings", 404),
            ("POST", "/openai/deployments/%/embeddings", 404),
            ("POST", "/openai/deployments/m", 404),
            ("GET", "/openai/deployments/m/completions", 405),
            ("GET", "//_infermux/health", 404),
            ("GET", "/chat/completions/", 405),
            ("POST", "/completionsx", 404),
            ("GET", "/v1/models/%", 404),
            ("GET", "/v1/models/%ff", 404),
            ("GET", "/v1/modelsx", 404),
        ] {
            let refused = read(Door::Both, method.as_bytes(), target).unwrap_err();
            assert_eq!(refused.row().status, status, "{method} {target}");
        }
    }
    #[test]
    fn one_target_has_web_sockets() {
        for (target, has) in [
            ("/v1/responses", true),
            ("/openai/v1/responses/?x=/y", true),
            ("/responses", true),
            ("/v1/responses/compact", false),
            ("/v1/chat/completions", false),
            ("/_infermux/status", false),
            ("/", false),
        ] {
            assert_eq!(has_web_socket(Door::Both, target), has, "{target}");
            assert_eq!(has_web_socket(Door::Callers, target), has, "{target}");
            assert!(!has_web_socket(Door::Operators, target), "{target}");
        }
    }
}
