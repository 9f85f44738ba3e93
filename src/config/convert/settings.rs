//! LiteLLM's settings beside its list of models.

use crate::config::convert::deployment::{DROPPED, seconds};
use crate::config::convert::source::{Left, Source, is_reference};
use crate::config::raw::Node;

/// What the settings say, as infermux's file has it.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) strategy: Option<&'static str>,
    pub(super) max_attempts: Option<u64>,
    pub(super) timeout: Option<String>,
    pub(super) consecutive_failures: Option<u64>,
    pub(super) recovery_window: Option<String>,
    pub(super) key: Option<String>,
    pub(super) log_json: bool,
    pub(super) log_debug: bool,
    /// Names, and the names that stand for them.
    pub(super) aliases: Vec<(String, String)>,
    /// Names, and those that are tried after them; with the path.
    pub(super) fallbacks: Vec<Fallback>,
}

/// A name, and the names that are tried after it.
#[derive(Debug)]
pub(super) struct Fallback {
    /// Where it stands.
    pub(super) path: String,
    /// The name; `None`: every name.
    pub(super) of: Option<String>,
    /// Those that are tried after it.
    pub(super) to: Vec<String>,
    /// When they are tried.
    pub(super) after: After,
}

/// After what a name falls back on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// After any failure.
    Failures,
    /// After a prompt that was too long.
    LongPrompts,
}

impl Settings {
    /// Reads all settings of the file.
    pub(super) fn read(root: &Source<'_>) -> Self {
        let mut settings = Self::default();
        if let Some(router) = root.block("router_settings") {
            settings.router(&router);
            router.rest(&ROUTER);
        }
        if let Some(general) = root.block("litellm_settings") {
            settings.general(&general);
            general.rest(&LITELLM);
        }
        if let Some(proxy) = root.block("general_settings") {
            settings.key = proxy.reference("master_key");
            if settings.key.as_ref().is_some_and(|key| !is_reference(key)) {
                proxy.left().count_literal_key();
            }
            proxy.rest(&GENERAL);
        }
        if settings.key.is_none() {
            let message = "without a master key, whoever reaches the port can spend the keys of \
                           the file: `auth` keeps others out";
            root.left().note("general_settings", message);
        }
        settings
    }

    fn router(&mut self, router: &Source<'_>) {
        if let Some(strategy) = router.text("routing_strategy") {
            self.strategy = match strategy {
                "simple-shuffle" => Some("random"),
                "latency-based-routing" => Some("least_latency"),
                "cost-based-routing" => Some("cost_weighted"),
                _ => {
                    let message = "has no counterpart: `round_robin` takes its place, and full \
                                   providers are passed over";
                    router.note("routing_strategy", message);
                    Some("round_robin")
                }
            };
        }
        self.common(router);
        self.timeout = seconds(router, "timeout").or(self.timeout.take());
        if let Some(block) = router.block("model_group_alias") {
            for (name, node) in block.entries() {
                match node {
                    Node::Scalar(to) => self.aliases.push((name.clone(), to.text.clone())),
                    Node::Map(entries) => {
                        let alias = Source::new(&block.path_of(name), entries, block.left());
                        let to = alias.text("model").unwrap_or_default().to_owned();
                        self.aliases.push((name.clone(), to));
                        alias.rest(&[("hidden", "`/v1/models` lists it")]);
                    }
                    Node::Null | Node::List(_) => block.note(name, "names no model"),
                }
            }
        }
    }

    fn general(&mut self, general: &Source<'_>) {
        self.common(general);
        if let Some(timeout) = seconds(general, "request_timeout") {
            self.timeout.get_or_insert(timeout);
        }
        self.log_json = general.is_on("json_logs") == Some(true);
        self.log_debug = general.is_on("set_verbose") == Some(true);
        if general.is_on("drop_params") == Some(false) {
            let message = "infermux leaves out parameters that a provider has no equivalent for";
            general.note("drop_params", message);
        }
        for key in ["callbacks", "success_callback", "failure_callback"] {
            for (path, item) in general.list(key) {
                // Its metrics are always there.
                if !matches!(item, Node::Scalar(name) if name.text == "prometheus") {
                    let message = "is not converted: `telemetry.otlp` sends traces to a collector \
                                   (Langfuse, Tempo, …), `usage.file` has a line for each \
                                   request, and metrics are always there";
                    general.left().note(&path, message);
                }
            }
        }
    }

    /// What both blocks may say.
    fn common(&mut self, block: &Source<'_>) {
        if let Some(retries) = block.text("num_retries") {
            match retries.parse::<u64>() {
                Ok(retries) => {
                    let attempts = retries.saturating_add(1).min(ATTEMPTS_MAX);
                    self.max_attempts.get_or_insert(attempts);
                }
                Err(_) => block.note("num_retries", "is no number, and is left out"),
            }
        }
        if let Some(fails) = block.text("allowed_fails") {
            match fails.parse::<u64>() {
                Ok(fails) => {
                    // One more than are allowed.
                    self.consecutive_failures
                        .get_or_insert(fails.saturating_add(1));
                }
                Err(_) => block.note("allowed_fails", "is no number, and is left out"),
            }
        }
        if let Some(window) = seconds(block, "cooldown_time") {
            self.recovery_window.get_or_insert(window);
        }
        for (key, after) in [
            ("fallbacks", After::Failures),
            ("context_window_fallbacks", After::LongPrompts),
        ] {
            let items = block.list(key);
            if !items.is_empty() && after == After::LongPrompts {
                let message = "are tried after other failures, too; a prompt that is too long goes \
                               to models whose `context_window` is larger";
                block.note(key, message);
            }
            for (path, item) in items {
                self.fall_back(block.left(), (&path, after), item);
            }
        }
        let path = block.path_of("default_fallbacks");
        let to = names(block.left(), &path, block.node("default_fallbacks"));
        if !to.is_empty() {
            let (of, after) = (None, After::Failures);
            self.fallbacks.push(Fallback {
                path,
                of,
                to,
                after,
            });
        }
    }

    fn fall_back(&mut self, left: &Left, (path, after): (&str, After), item: &Node) {
        let Node::Map(entries) = item else {
            return left.note(path, "is no mapping of a model to others");
        };
        for (name, to) in entries {
            let path = Source::new(path, entries, left).path_of(name);
            let to = names(left, &path, Some(to));
            let of = (name != "*").then(|| name.clone());
            self.fallbacks.push(Fallback {
                path,
                of,
                to,
                after,
            });
        }
    }
}

/// The names of a list.
fn names(left: &Left, path: &str, node: Option<&Node>) -> Vec<String> {
    let items = match node {
        None | Some(Node::Null) => return Vec::new(),
        Some(Node::List(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    let names = items.iter().filter_map(|item| match item {
        Node::Scalar(name) => Some(name.text.clone()),
        Node::Null | Node::List(_) | Node::Map(_) => {
            left.note(path, "has more than names of models: that is left out");
            None
        }
    });
    names.collect()
}

/// Most attempts that are made of LiteLLM's retries.
const ATTEMPTS_MAX: u64 = 100;

const ROUTER: [(&str, &str); 12] = [
    ("retry_after", "infermux waits as long as providers say"),
    ("enable_pre_call_checks", ""),
    ("set_verbose", "`log.level: debug`"),
    ("redis_host", SHARED),
    ("redis_port", SHARED),
    ("redis_password", SHARED),
    ("redis_url", SHARED),
    ("cache_responses", CACHE),
    (
        "content_policy_fallbacks",
        "an answer about content goes to the caller as it is",
    ),
    (
        "stream_timeout",
        "`providers[].first_token_timeout` says it for each provider",
    ),
    (
        "retry_policy",
        "infermux decides by what an error means: see docs/routing.md",
    ),
    (
        "allowed_fails_policy",
        "infermux decides by what an error means: see docs/routing.md",
    ),
];

const LITELLM: [(&str, &str); 12] = [
    ("drop_params", DROPPED),
    ("set_verbose", ""),
    ("telemetry", ""),
    ("cache", CACHE),
    ("cache_params", CACHE),
    (
        "max_budget",
        "budgets are for callers, keys and teams: `auth.keys[].budgets`",
    ),
    (
        "budget_duration",
        "budgets are for callers, keys and teams: `auth.keys[].budgets`",
    ),
    (
        "max_internal_user_budget",
        "budgets are for callers, keys and teams",
    ),
    (
        "content_policy_fallbacks",
        "an answer about content goes to the caller as it is",
    ),
    ("redact_messages_in_exceptions", ""),
    ("turn_off_message_logging", ""),
    (
        "ssl_verify",
        "certificates are always verified; `tls.ca_file` names another authority",
    ),
];

const GENERAL: [(&str, &str); 9] = [
    (
        "database_url",
        "infermux has no database: keys are in the file or in `auth.keys_file`",
    ),
    ("database_connection_pool_limit", ""),
    ("store_model_in_db", "the file is the whole configuration"),
    ("proxy_batch_write_at", ""),
    (
        "alerting",
        "`webhooks` tell Slack and others of budgets, circuits and providers that are down; \
         tools/deploy/alerts.yml has alerts for Prometheus",
    ),
    (
        "max_parallel_requests",
        "`auth.keys[].limits.max_in_flight` says it for each key",
    ),
    (
        "global_max_parallel_requests",
        "`server.max_connections` bounds connections",
    ),
    ("user_header_name", "`X-Infermux-Caller` names the caller"),
    ("disable_spend_logs", ""),
];

const CACHE: &str = "infermux has no cache of answers";
const SHARED: &str = "`shared` says where several instances share their limits";
