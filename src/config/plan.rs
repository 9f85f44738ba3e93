//! The Plan: the checked, immutable configuration, with what can be computed in advance.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::base::ids::{GroupId, ProviderId, RouteId};
use crate::base::map::Map;
use crate::base::money::{NanoUsd, Price};
use crate::base::secret::Secret;
use crate::config::keyring::{ListedKeys, Team};
use crate::config::model_settings::SettingsByModel;
use crate::config::patterns::{self, Pattern, PatternRoutes};
use crate::config::proxy::Proxy;
use crate::config::responses::Responses;
use crate::config::scope::{Budget, Reach};
use crate::config::shared::Shared;
use crate::config::telemetry::Otlp;
use crate::config::tls::{ProviderTls, TlsFiles};
use crate::config::url::BaseUrl;
use crate::config::usage::Usage;
use crate::config::vendor::Vendor;
use crate::config::webhook::Webhook;
use crate::decide::affinity::Affinity;
use crate::decide::policy::{BreakerPolicy, LatencyPolicy};
use crate::decide::strategy::Strategy;
use crate::decide::units::UnitPrice;
use crate::wire::rules::Rules;

/// The checked configuration of one process.
pub struct Plan {
    /// Where callers connect.
    pub listen: Listen,
    /// Where operators connect, when it is a listener of its own.
    pub management_listen: Option<Listen>,
    /// What is logged, and how.
    pub log: Log,
    /// The certificate and key files for `listen`.
    pub tls: Option<TlsFiles>,
    /// Who may call.
    pub auth: Auth,
    /// The teams of callers' keys.
    pub teams: Box<[Team]>,
    /// Threads, limits and deadlines of the caller's side.
    pub server: Server,
    /// Which web pages may call.
    pub cors: Option<crate::config::cors::Cors>,
    /// The providers, in declaration order.
    pub providers: Box<[Provider]>,
    /// The route groups; a `GroupId` is an index into this.
    pub groups: Box<[Group]>,
    /// The strategy outside of groups.
    pub strategy: Strategy,
    /// How conversations are kept together outside of groups; `None`: they are not.
    pub affinity: Option<Affinity>,
    /// How many attempts a request has, and in what time.
    pub failover: Failover,
    /// The figures of `least_latency`.
    pub latency: LatencyPolicy,
    /// Where requests for each model go.
    pub routes: Routes,
    /// Prices set in the file: by provider name, then by the provider's model name.
    pub pricing: HashMap<Box<str>, HashMap<Box<str>, ModelPrice>>,
    /// What OpenAI's own hosts refuse, by patterns of models, in place of what is built in; `None`:
    /// nothing.
    pub model_families: Box<[(Pattern, Option<Arc<Rules>>)]>,
    /// What is done with requests that have no model or no price.
    pub passthrough: Passthrough,
    /// Monthly budgets.
    pub budgets: Budgets,
    /// The store over which several instances share their limits and budgets.
    pub shared: Option<Shared>,
    /// The file of usage records; `None`: none are written.
    pub usage: Option<Usage>,
    /// Who is told at once when something is wrong.
    pub webhooks: Box<[Arc<Webhook>]>,
    /// Where traces are told; `None`: nowhere.
    pub otlp: Option<Otlp>,
    /// Where the provider or budget of an id stands among the declared ones.
    pub places: Places,
}

/// The places of providers among the declared ones, by id. In the first Plan of a process, each id
/// equals its place. Providers that later files add have new ids, which no request of an earlier
/// Plan can have (see [`crate::config::seats`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Places of providers; [`Places::NONE`] for an id that this Plan does not have.
    pub providers: Box<[usize]>,
}

impl Places {
    /// Stands for no place; it is beyond every table.
    pub const NONE: usize = usize::MAX;

    fn at(places: &[usize], id: usize) -> usize {
        if places.is_empty() {
            return id;
        }
        places.get(id).copied().unwrap_or(Self::NONE)
    }
}

/// An address to listen on, and the text it was written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address; `:8080` is `[::]:8080`, which takes IPv4 too.
    pub addr: SocketAddr,
    /// As the file or flag has it.
    pub text: Box<str>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Whether lines start with the time.
    pub timestamps: bool,
}

/// Severities, the least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// One request's steps.
    Debug,
    /// Start, stop, reload, circuit changes, requests.
    Info,
    /// Something unexpected that was handled.
    Warn,
    /// An operator must act.
    Error,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs.
    Text,
    /// One JSON object per line.
    Json,
}

/// Who may call.
#[derive(PartialEq, Eq)]
pub enum Auth {
    /// Anyone; the caller's key goes to providers without a key of their own.
    Passthrough,
    /// Callers that present this key.
    StaticKey(Secret),
    /// Callers that present one of these keys, or of a file with more of them.
    Keys(ListedKeys),
}

impl Auth {
    /// Its mode's name in the file.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::StaticKey(_) => "static_key",
            Self::Keys(_) => "keys",
        }
    }
}

/// Threads, limits and deadlines of the caller's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Event loops; 0 = as many as there are usable cores.
    pub shards: usize,
    /// Cores to pin shard after shard to; empty = no pinning.
    pub cores: Box<[usize]>,
    /// Callers' connections at once, in the whole process.
    pub max_connections: usize,
    /// Whether the file sets `max_connections`.
    pub max_connections_is_set: bool,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Bodies held in memory at once, in the whole process, in bytes.
    pub max_buffered_bytes: usize,
    /// Items of translated answers that are remembered, in the whole process, in bytes.
    pub responses_memory: usize,
    /// Largest event of a provider's stream, in bytes.
    pub max_event_bytes: usize,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// Longest pause within a request body.
    pub body_timeout: Duration,
    /// Longest pause between two requests of a connection.
    pub idle_timeout: Duration,
    /// How long new requests are still taken after SIGTERM.
    pub drain_delay: Duration,
    /// Longest silence towards a caller whose stream has begun; zero: any.
    pub heartbeat: Duration,
}

/// One provider.
#[derive(PartialEq)]
pub struct Provider {
    /// What tables and facts call it: names are not compared on the hot path.
    pub id: ProviderId,
    /// Unique name.
    pub name: Box<str>,
    /// Its type.
    pub vendor: &'static Vendor,
    /// infermux's own key for it.
    pub api_key: Option<Secret>,
    /// Whether callers' keys are sent to it.
    pub forward_caller_key: bool,
    /// Whether callers get the heads of their streams while its first content is awaited.
    pub early_head: bool,
    /// How requests for responses reach it.
    pub responses: Responses,
    /// Where it answers.
    pub base: BaseUrl,
    /// The proxy that leads there.
    pub proxy: Option<Proxy>,
    /// TLS towards it.
    pub tls: ProviderTls,
    /// Azure's deployment, when the file names one for all models.
    pub azure_deployment: Option<Box<str>>,
    /// Azure's `api-version`.
    pub azure_api_version: Box<str>,
    /// Longest wait for an answer's head, and for the whole of an answer that is not streamed.
    pub timeout: Duration,
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From a stream's head to its first content.
    pub first_token_timeout: Duration,
    /// Longest silence between two events of a stream.
    pub stream_idle_timeout: Duration,
    /// Entries of `models`: names, and patterns as they are written.
    pub models: Box<[Box<str>]>,
    /// The patterns among them.
    pub patterns: Box<[Pattern]>,
    /// What these entries say of their models besides.
    pub model_settings: SettingsByModel,
    /// Caller's name to provider's name, in the order of the file.
    pub model_aliases: Box<[(Box<str>, Box<str>)]>,
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// Concurrent requests.
    pub max_in_flight: Option<u32>,
    /// What these limits hold over.
    pub reach: Reach,
    /// Share under `round_robin` and `random`.
    pub weight: u32,
    /// Headers that it is sent besides the usual ones.
    pub headers: ProviderHeaders,
    /// Whether its host is one of OpenAI's own, Azure's included.
    pub is_openais_host: bool,
    /// What is changed in the bodies of its requests.
    pub request: Option<Arc<Rules>>,
    /// Health checks.
    pub health_check: HealthCheck,
    /// The breaker's figures: the global block, overridden by the provider's own.
    pub breaker: BreakerPolicy,
}

/// A provider's own headers.
#[derive(Default, PartialEq)]
pub struct ProviderHeaders {
    /// Headers that every request to it carries, in place of the caller's: name and value.
    pub set: Box<[(Box<str>, Secret)]>,
    /// Callers' headers that are passed on to it besides the usual ones, in lower case.
    pub forward: Box<[Box<str>]>,
}

/// When and how a provider is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Pause between checks.
    pub interval: Duration,
    /// Longest wait for one check.
    pub timeout: Duration,
    /// The provider is never checked and always taken for healthy.
    pub disabled: bool,
    /// The target that is requested instead of the list of models: a path below `base_url`, which
    /// starts with a slash and may have a query.
    pub path: Option<Box<str>>,
}

/// A route group.
#[derive(PartialEq)]
pub struct Group {
    /// Unique name.
    pub name: Box<str>,
    /// Models that it applies to.
    pub models: Box<[Box<str>]>,
    /// Its strategy.
    pub strategy: Strategy,
    /// How its conversations are kept together; `None`: they are not.
    pub affinity: Option<Affinity>,
    /// The declared providers it is restricted to, in its order; empty = all.
    pub providers: Box<[ProviderId]>,
}

/// How many attempts a request has, and in what time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failover {
    /// Providers tried for one request, the first included.
    pub max_attempts: u32,
    /// Time for all attempts of one request together.
    pub deadline: Duration,
    /// Extra attempts in thousandths of the requests of the last 10 s.
    pub retry_budget_permille: u32,
}

/// Where requests for each model go.
pub struct Routes {
    /// All routes; a [`RouteId`] is an index into this.
    pub all: Box<[Route]>,
    /// Conversations, in any dialect, by the caller's model name.
    pub chat: Map<Box<str>, RouteId>,
    /// Completions and embeddings by the caller's model name.
    pub other: Map<Box<str>, RouteId>,
    /// Conversations with a model that no provider claims and whose name starts with `claude`.
    pub open_chat_claude: Option<RouteId>,
    /// Conversations with any other model that no provider claims.
    pub open_chat: Option<RouteId>,
    /// Completions and embeddings with a model that no provider claims.
    pub open_other: Option<RouteId>,
    /// Models that the file does not name, but that patterns claim.
    pub patterns: PatternRoutes,
    /// How many routes belong to models that the file names; they come first.
    pub named: usize,
    /// The route of requests that name no model; `None`: they are not served.
    pub passthrough: Option<RouteId>,
}

/// The candidates for one model, and the strategy that chooses among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The matching group.
    pub group: Option<GroupId>,
    /// The group's strategy, or the default one.
    pub strategy: Strategy,
    /// How conversations are kept together; `None`: they are not.
    pub affinity: Option<Affinity>,
    /// Whether no provider claims the model: then its candidates are open providers.
    pub is_unclaimed: bool,
    /// In declaration order; in a group, in the group's order. Empty only where a group leaves no
    /// candidate: [`Routes::find`] does not return such a route.
    pub candidates: Box<[Candidate]>,
}

/// A provider that serves a model, and what the model is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own name for the model; `None` where it is the caller's name.
    pub model: Option<Box<str>>,
    /// The provider's weight.
    pub weight: u32,
}

/// A model's price, as the file sets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// Prompt tokens and completion tokens.
    pub tokens: Option<(Price, Price)>,
    /// Something other than tokens.
    pub units: Option<UnitPrice>,
}

/// What is done with requests that have no model or no price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passthrough {
    /// The name of the provider that is sent requests without a model.
    pub provider: Option<Box<str>>,
    /// What a request is taken to cost that has no price.
    pub assume_usd: Option<NanoUsd>,
}

/// Budgets of callers.
#[derive(Default)]
pub struct Budgets {
    /// The file that keeps spend across restarts.
    pub state_file: Option<Box<str>>,
    /// Per caller, in the order of the file.
    pub callers: Box<[CallerBudget]>,
}

/// One caller's monthly budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerBudget {
    /// The value of `X-Infermux-Caller`, or a key's `caller`.
    pub caller: Box<str>,
    /// What the caller may spend.
    pub budget: Budget,
}

impl Plan {
    /// Whether conversations are kept together on any route.
    #[must_use]
    pub fn keeps_conversations(&self) -> bool {
        let mut groups = self.groups.iter();
        self.affinity.is_some() || groups.any(|group| group.affinity.is_some())
    }

    /// The provider with this id; this Plan must have it.
    #[must_use]
    pub fn provider(&self, id: ProviderId) -> &Provider {
        &self.providers[self.place(id)]
    }

    /// Place of the provider with this id in declaration order; this Plan must have it.
    #[must_use]
    pub fn place(&self, id: ProviderId) -> usize {
        Places::at(&self.places.providers, id.index())
    }

    /// The provider with this id, if this Plan has it.
    #[must_use]
    pub fn find_provider(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(self.place(id))
    }

    /// How many providers make ids of responses that callers may refer to later.
    #[must_use]
    pub fn makers_of_ids(&self) -> usize {
        let makers = self.providers.iter();
        makers
            .filter(|one| one.responses != Responses::Bridged)
            .count()
    }
}

impl Routes {
    /// Where a request for `model` goes; `None`: no provider is configured to serve it.
    #[must_use]
    pub fn find(&self, endpoint: Endpoint, model: &str) -> Option<RouteId> {
        let named = if endpoint.takes_conversation() {
            &self.chat
        } else if endpoint.has_model() {
            &self.other
        } else {
            return self.passthrough;
        };
        let id = named.get(model).copied();
        let id = id.or_else(|| self.find_unnamed(endpoint, model))?;
        (!self.route(id).candidates.is_empty()).then_some(id)
    }

    /// As `find`, for a model that the file does not name; a function of its own, so that named
    /// models do not pay for it.
    #[inline(never)]
    fn find_unnamed(&self, endpoint: Endpoint, model: &str) -> Option<RouteId> {
        let patterns = &self.patterns;
        let (by_set, open) = match (endpoint.takes_conversation(), model.starts_with("claude")) {
            (true, true) => (&patterns.chat, self.open_chat_claude),
            (true, false) => (&patterns.chat, self.open_chat),
            (false, _) => (&patterns.other, self.open_other),
        };
        let set = patterns::matching(&patterns.all, model);
        by_set.get(&set).copied().or(open)
    }

    /// Whether `id` is a route for models that the file does not name: callers may ask for any
    /// number of such models.
    #[must_use]
    pub fn is_of_unnamed(&self, id: RouteId) -> bool {
        id.index() >= self.named
    }

    /// The route with this id.
    #[must_use]
    pub fn route(&self, id: RouteId) -> &Route {
        &self.all[id.index()]
    }
}
