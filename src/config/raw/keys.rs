//! THE list of keys: everything a file may say, its type and bounds, its default and its meaning.
//!
//! Reading, defaults, unknown fields, "did you mean" and all documentation come from this list.

use std::time::Duration;

use crate::base::limits::{BUDGET_USD_MAX, SHARDS_MAX, STREAM_READ_BYTES, WEIGHT_MAX};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The block it belongs to, as `providers[]`; empty for the top level.
    pub section: &'static str,
    /// Its name within the block.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where it is absent.
    pub default: Fallback,
    /// What it is for, in a sentence.
    pub meaning: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text.
    Text(TextKind),
    /// A list of texts.
    Texts(TextKind),
    /// A mapping of names to names.
    Names,
    /// A mapping of header names to values, which are never shown.
    Headers,
    /// An address to listen on.
    Address,
    /// An `http` or `https` URL.
    Url,
    /// A list of cores, as `2-5,8`.
    Cores,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A number within these thousandths.
    Ratio(u32, u32),
    /// A number above 0, at most 1.
    Share,
    /// US dollars, at most this many.
    Usd(u32),
    /// A duration within these bounds.
    Span(Duration, Duration),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A mapping whose keys are those of this section.
    Block(&'static str),
    /// A list of mappings whose keys are those of this section.
    Blocks(&'static str),
    /// A mapping whose keys are names, and its values again.
    Table,
}

/// What a text may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Travels in headers: visible ASCII.
    Name,
    /// What a header may hold, blanks within included: anything without control characters.
    Label,
    /// A model's name: anything without control characters.
    Model,
    /// The path of a file.
    Path,
    /// The origin of web pages: scheme, host and at most a port; or `*`.
    Origin,
    /// A credential: visible ASCII, never shown. Blanks around it are dropped.
    Secret,
    /// The name of a header.
    Header,
    /// A header's value, which may be a credential: visible ASCII and blanks, never shown. Blanks
    /// around it are dropped.
    HeaderValue,
}

/// What holds where a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    Nothing,
    /// The key must be there.
    Required,
    /// This value, as the file would have it.
    Value(&'static str),
    /// What this says.
    Rule(&'static str),
}

use Fallback::{Nothing, Required, Rule, Value};
use Kind::{Block, Blocks, Flag, Ratio, Share, Table, Text, Texts, Usd, Whole, Word};
use TextKind::{Header, Label, Model, Name, Origin, Path, Secret};

const DAY: Duration = Duration::from_secs(86_400);
const SPAN: Kind = Kind::Span(Duration::from_millis(1), DAY);
const SPAN_OR_ZERO: Kind = Kind::Span(Duration::ZERO, DAY);
const COUNT: Kind = Whole(1, 1_000_000_000);
const STRATEGIES: Kind = Word(&[
    "round_robin",
    "least_latency",
    "cost_weighted",
    "random",
    "priority",
]);

impl Key {
    /// The whole path, as `providers[].timeout`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.section.is_empty() {
            return self.name.to_owned();
        }
        format!("{}.{}", self.section, self.name)
    }
}

/// All keys, in the order in which they are documented.
#[must_use]
pub fn all() -> &'static [Key] {
    KEYS
}

/// The key called `name` in `section`.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

/// The names of a section's keys.
pub fn names(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter(move |key| key.section == section)
        .map(|key| key.name)
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: Fallback,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        default,
        meaning,
    }
}

#[rustfmt::skip]
const KEYS: &[Key] = &[
    key("", "listen", Kind::Address, Value(":8080"),
        "Where callers connect; `:8080` means all interfaces, IPv6 and IPv4."),
    key("", "management_listen", Kind::Address, Nothing,
        "A listener of its own for `/_infermux/*`, which is then not served on `listen`."),
    key("", "log", Block("log"), Nothing, "What is logged, and how."),
    key("", "tls", Block("tls"), Nothing, "TLS on `listen`."),
    key("", "auth", Block("auth"), Nothing, "Who may call."),
    key("", "server", Block("server"), Nothing,
        "Threads, limits and deadlines of the callers' side."),
    key("", "providers", Blocks("providers[]"), Required, "Where requests may go; at least one."),
    key("", "circuit_breaker", Block("circuit_breaker"), Nothing,
        "When a provider is taken out of service, and how it comes back."),
    key("", "routing", Block("routing"), Nothing, "Which provider takes a request."),
    key("", "pricing", Table, Rule("the built-in table"),
        "Prices by provider and model; they override the built-in ones."),
    key("", "budgets", Block("budgets"), Nothing,
        "Monthly budgets: a list of callers, or a mapping with `state_file` and `callers`."),

    key("log", "level", Word(&["debug", "info", "warn", "error"]), Value("info"),
        "The least severe level that is written."),
    key("log", "format", Word(&["text", "json"]), Value("text"), "How a line looks."),
    key("log", "timestamps", Flag, Value("true"), "Whether lines start with the time."),

    key("tls", "cert_file", Text(Path), Nothing, "The certificate chain, PEM."),
    key("tls", "key_file", Text(Path), Nothing, "The private key, PEM."),
    key("tls", "management", Flag, Value("false"),
        "Whether `management_listen` speaks TLS, too; else it speaks plain HTTP."),

    key("auth", "mode", Word(&["passthrough", "static_key"]), Value("passthrough"),
        "Whether anyone may call, or only who presents the key."),
    key("auth", "key", Text(Secret), Rule("required where `auth.mode` is `static_key`"),
        "The key that callers present."),

    key("server", "shards", Whole(0, SHARDS_MAX as u64), Value("0"),
        "Event loops; 0 means one for each usable core."),
    key("server", "cores", Kind::Cores, Nothing,
        "Cores to pin event loops to, one after the other; absent means no pinning."),
    key("server", "max_connections", Whole(1, 16_777_216), Value("65536"),
        "Callers' connections at once; beyond that, they wait. Operators have 256 of their own."),
    key("server", "max_body_bytes", Whole(1, 1 << 32), Value("33554432"),
        "Largest request body; a larger one gets 413."),
    key("server", "max_buffered_bytes", Whole(1, 1 << 44), Value("1073741824"),
        "Bodies held in memory at once; beyond that, requests get 503."),
    key("server", "max_event_bytes", Whole(STREAM_READ_BYTES as u64, 1 << 30), Value("16777216"),
        "Largest event of a stream; a larger one ends the stream, and the provider is not blamed."),
    key("server", "header_timeout", SPAN, Value("10s"),
        "From the first byte of a request to the end of its head."),
    key("server", "body_timeout", SPAN, Value("30s"), "Longest pause within a request body."),
    key("server", "idle_timeout", SPAN, Value("75s"),
        "Longest pause between two requests of a connection."),
    key("server", "drain_delay", SPAN_OR_ZERO, Value("0s"),
        "How long new requests are still taken after SIGTERM."),
    key("server", "cors", Block("server.cors"), Nothing,
        "Which web pages of other origins may call from a browser; absent means none."),

    key("server.cors", "origins", Texts(Origin), Required,
        "Their origins, such as `https://app.example`; `*` for every page, which is an error where \
            `auth.mode` is `passthrough` and a provider has a key."),
    key("server.cors", "max_age", SPAN_OR_ZERO, Value("10m"),
        "How long a browser may ask without a preflight once it has made one."),

    key("providers[]", "name", Text(Name), Required, "Its name; no two have the same."),
    key("providers[]", "type", Word(&["openai", "anthropic", "ollama", "azure_openai"]), Required,
        "Its dialect; `openai` for everything compatible with it."),
    key("providers[]", "api_key", Text(Secret),
        Rule("required for a hosted provider where `auth.mode` is `static_key`; a server of type \
            `openai` on this machine or in a private network needs none"),
        "The key that infermux presents to it."),
    key("providers[]", "base_url", Kind::Url,
        Rule("the vendor's; required for `azure_openai`"), "Where it answers."),
    key("providers[]", "timeout", SPAN, Value("60s"),
        "Longest wait for an answer's head, and for the whole of one that is not streamed."),
    key("providers[]", "connect_timeout", SPAN, Value("5s"), "Name look-up, TCP and TLS together."),
    key("providers[]", "first_token_timeout", SPAN, Rule("`timeout`"),
        "From a stream's head to its first content."),
    key("providers[]", "stream_idle_timeout", SPAN, Rule("`timeout`"),
        "Longest silence between two events of a stream."),
    key("providers[]", "models", Texts(Model), Nothing,
        "Models it serves, by name or by a pattern such as `gpt-4o*`; without any, it serves \
            whatever no other provider claims."),
    key("providers[]", "model_aliases", Kind::Names, Nothing,
        "Callers' names for its models: caller's name to provider's name."),
    key("providers[]", "rate_limits", Block("providers[].rate_limits"), Nothing,
        "What may be sent to it in any 60 s."),
    key("providers[]", "max_in_flight", Whole(1, 1_000_000), Nothing,
        "Requests to it at once, all event loops together."),
    key("providers[]", "weight", Whole(1, WEIGHT_MAX as u64), Value("1"),
        "Its share under `round_robin` and `random`."),
    key("providers[]", "forward_caller_key", Flag,
        Rule("`true` where it has no `api_key`; always `false` where `auth.mode` is `static_key`"),
        "Whether the caller's own key is sent to it."),
    key("providers[]", "headers", Block("providers[].headers"), Nothing,
        "Headers that it is sent besides the usual ones."),
    key("providers[]", "health_check", Block("providers[].health_check"), Nothing,
        "When and how it is checked."),
    key("providers[]", "circuit_breaker", Block("circuit_breaker"), Rule("the top-level block"),
        "Its own settings, field by field."),
    key("providers[]", "azure_deployment", Text(Name), Rule("the model's name"),
        "Azure's deployment, when one serves all models."),
    key("providers[]", "azure_api_version", Text(Name), Value("2024-10-21"),
        "Azure's `api-version`."),

    key("providers[].rate_limits", "requests_per_minute", COUNT, Nothing,
        "Requests in any 60 s."),
    key("providers[].rate_limits", "tokens_per_minute", Whole(1, 1_000_000_000_000), Nothing,
        "Tokens in any 60 s."),

    key("providers[].headers", "set", Kind::Headers, Nothing,
        "Headers that every request to it carries, in place of the caller's; values are secrets."),
    key("providers[].headers", "forward", Texts(Header), Nothing,
        "Callers' headers that go to it besides those that go to every provider."),

    key("providers[].health_check", "interval", SPAN, Value("60s"), "Pause between two checks."),
    key("providers[].health_check", "timeout", SPAN, Value("10s"), "Longest wait for one check."),
    key("providers[].health_check", "disabled", Flag, Value("false"),
        "Never checked, always taken for healthy."),
    key("providers[].health_check", "path", Text(Name), Rule("the list of models"),
        "Another path below `base_url` to ask, which proves endpoint and key."),

    key("circuit_breaker", "error_rate_threshold", Share, Value("0.5"),
        "Share of failures that opens the circuit, once the window holds `min_requests`."),
    key("circuit_breaker", "consecutive_failures", COUNT, Value("5"),
        "Failures in a row that open it at once, in the order in which answers ended."),
    key("circuit_breaker", "latency_p95_ms", Whole(1, 86_400_000), Value("5000"),
        "The 95th percentile that opens it; set, it covers every answer, else only streams."),
    key("circuit_breaker", "window_seconds", Whole(1, 3_600), Value("60"),
        "Length of the sliding window."),
    key("circuit_breaker", "min_requests", COUNT, Value("10"),
        "Requests the window must hold before rates and percentiles count."),
    key("circuit_breaker", "recovery_window", SPAN, Value("30s"),
        "How long it stays open before a probe."),
    key("circuit_breaker", "probe_timeout", SPAN, Value("5s"), "How long a probe may take."),
    key("circuit_breaker", "recovery_backoff_multiplier", Ratio(1_000, 1_000_000), Value("1.0"),
        "What each failed probe multiplies the recovery window by."),
    key("circuit_breaker", "recovery_backoff_max", SPAN, Value("600s"),
        "The longest recovery window."),
    key("circuit_breaker", "treat_rate_limit_as_error", Flag, Value("false"),
        "Whether a 429 counts as a failure."),

    key("routing", "strategy", STRATEGIES, Value("round_robin"),
        "How a provider is chosen among the eligible."),
    key("routing", "least_latency", Block("routing.least_latency"), Nothing,
        "The figures of `least_latency`."),
    key("routing", "failover", Block("routing.failover"), Nothing,
        "How attempts at several providers follow each other."),
    key("routing", "groups", Blocks("routing.groups[]"), Nothing,
        "Models that are routed in a way of their own; the first group that matches wins."),

    key("routing.least_latency", "ewma_decay", Share, Value("0.1"),
        "Share of each sample in the average."),
    key("routing.least_latency", "min_samples", Whole(0, 1_000_000), Value("5"),
        "Requests below which a provider counts as the fastest."),

    key("routing.failover", "max_attempts", Whole(1, 100), Value("3"),
        "Providers tried for one request, the first included."),
    key("routing.failover", "deadline", SPAN, Value("5m"), "All attempts of one request together."),
    key("routing.failover", "retry_budget", Ratio(0, 10_000), Value("0.2"),
        "Extra attempts as a share of the requests of the last 10 s."),

    key("routing.groups[]", "name", Text(Name), Required, "Its name; no two have the same."),
    key("routing.groups[]", "models", Texts(Model), Required, "The names that it matches."),
    key("routing.groups[]", "strategy", STRATEGIES, Rule("`routing.strategy`"), "Its strategy."),
    key("routing.groups[]", "providers", Texts(Name), Rule("all providers"),
        "The providers it is restricted to, in order of priority."),

    key("pricing.<provider>.<model>", "input_per_million", Usd(1_000_000), Required,
        "USD for a million prompt tokens."),
    key("pricing.<provider>.<model>", "output_per_million", Usd(1_000_000), Required,
        "USD for a million completion tokens."),

    key("budgets", "state_file", Text(Path), Nothing, "Where spend survives a restart."),
    key("budgets", "callers", Blocks("budgets[]"), Nothing, "One budget for each caller."),

    key("budgets[]", "caller", Text(Label), Required, "The value of `X-Infermux-Caller`."),
    key("budgets[]", "monthly_usd", Usd(BUDGET_USD_MAX), Required,
        "What may be spent in a calendar month, UTC."),
    key("budgets[]", "action", Word(&["hard_stop", "alert", "model_override"]), Value("hard_stop"),
        "What happens at the limit."),
    key("budgets[]", "model_override", Text(Model),
        Rule("required where `action` is `model_override`"),
        "The model that is served instead, from the limit on."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_and_every_section_has_its_block() {
        let paths: Vec<String> = KEYS.iter().map(Key::path).collect();
        for (i, path) in paths.iter().enumerate() {
            assert!(!paths[..i].contains(path), "{path} twice");
        }
        for key in KEYS {
            if let Block(section) | Blocks(section) = key.kind {
                assert!(names(section).next().is_some(), "{section} is empty");
            }
            assert!(key.meaning.ends_with('.'), "{}", key.path());
        }
    }
}
