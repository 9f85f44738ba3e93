//! THE list of keys: everything a file may contain, with its type and bounds, its default and its
//! meaning.
//!
//! Reading, defaults, unknown fields, "did you mean" and all documentation come from this list.

use crate::base::limits::{BUDGET_USD_MAX, SHARDS_MAX, STREAM_READ_BYTES, WEIGHT_MAX};
use crate::config::raw::kinds::key;
use crate::config::raw::shared_keys;
use crate::config::raw::telemetry_keys;
use crate::config::raw::usage_keys;
use crate::config::raw::webhook_keys;
use crate::config::raw::words::{ACTIONS, AFFINITIES, COUNT, SPAN, SPAN_OR_ZERO, STRATEGIES};

pub use crate::config::raw::kinds::{Fallback, Key, Kind, TextKind};

use Fallback::{Nothing, Required, Rule, Value};
use Kind::{Block, Blocks, Entries, Flag, Ratio, Share, Table, Text, Texts, Usd, Whole, Word};
use TextKind::{Header, Label, Model, Name, Origin, Parameter, Path, Secret};

const OVERRIDE: Fallback = Rule("required where `action` is `model_override`");
const LOCAL: &str = "Whether this holds for each instance alone where `shared` is set.";

/// All keys, in the order in which they are documented.
#[must_use]
pub fn all() -> &'static [Key] {
    &KEYS
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

const PARTS: [&[Key]; 5] = [
    OWN,
    shared_keys::KEYS,
    usage_keys::KEYS,
    telemetry_keys::KEYS,
    webhook_keys::KEYS,
];
static KEYS: [Key; count(&PARTS)] = joined(&PARTS);

/// How many keys there are in all `parts`.
const fn count(parts: &[&[Key]]) -> usize {
    let (mut part, mut count) = (0, 0);
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// The keys of all `parts`, `N` together.
const fn joined<const N: usize>(parts: &[&[Key]]) -> [Key; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut place, mut count) = (0, 0, 0);
    while part < parts.len() {
        if place < parts[part].len() {
            all[count] = parts[part][place];
            (place, count) = (place + 1, count + 1);
        } else {
            (part, place) = (part + 1, 0);
        }
    }
    assert!(count == N);
    all
}

#[rustfmt::skip]
const OWN: &[Key] = &[
    key("", "listen", Kind::Address, Value(":8080"),
        "Where callers connect; `:8080` means all interfaces, IPv6 and IPv4."),
    key("", "management_listen", Kind::Address, Nothing,
        "Where operators connect: `/_infermux/*` is served here, and not on `listen` any more."),
    key("", "log", Block("log"), Nothing,
        "What is logged, and in which form."),
    key("", "tls", Block("tls"), Nothing, "TLS on `listen`."),
    key("", "auth", Block("auth"), Nothing, "Who may call."),
    key("", "teams", Blocks("teams[]"), Nothing,
        "Teams that callers' keys belong to."),
    key("", "server", Block("server"), Nothing,
        "Event loops, and limits and deadlines for callers."),
    key("", "providers", Blocks("providers[]"), Required,
        "The providers; at least one."),
    key("", "circuit_breaker", Block("circuit_breaker"), Nothing,
        "When a provider is taken out of service, and how it comes back; for all providers."),
    key("", "routing", Block("routing"), Nothing,
        "Which provider gets a request."),
    key("", "pricing", Table, Rule("the built-in table"),
        "Prices by provider and model, in place of the built-in ones."),
    key("", "passthrough", Block("passthrough"), Nothing,
        "What is done with requests for other endpoints than conversations and embeddings."),
    key("", "model_families", Kind::Named("model_families.<pattern>"), Rule("the built-in table"),
        "What OpenAI's own hosts, Azure's included, refuse in chat requests for families of \
            models: by patterns, the first of which that matches counts."),
    key("", "budgets", Block("budgets"), Nothing,
        "Monthly budgets: a list of callers, or a mapping with `state_file` and `callers`."),
    key("", "shared", Block("shared"), Nothing,
        "The store over which several instances share their limits and budgets; absent: each \
            instance has its own."),
    key("", "usage", Block("usage"), Nothing,
        "The file of usage records, a line for each request and each attempt; absent: none is \
            written."),
    key("", "telemetry", Block("telemetry"), Nothing, "What is told of requests, and where."),
    key("log", "level", Word(&["debug", "info", "warn", "error"]), Value("info"),
        "The least severe level that is written."),
    key("log", "format", Word(&["text", "json"]), Value("text"),
        "`text` is for people, `json` is one object a line."),
    key("log", "timestamps", Flag, Value("true"), "Whether lines start with the time."),

    key("tls", "cert_file", Text(Path), Nothing,
        "A PEM file with the certificate and its chain."),
    key("tls", "key_file", Text(Path), Nothing,
        "A PEM file with the private key."),
    key("tls", "client_ca_file", Text(Path), Nothing,
        "A PEM file with the authorities that callers' certificates must be of; callers without \
            one are refused in the handshake."),
    key("tls", "management", Flag, Value("false"),
        "Whether `management_listen` speaks TLS, too; otherwise it speaks plain HTTP."),

    key("auth", "mode", Word(&["passthrough", "static_key", "keys"]), Value("passthrough"),
        "`passthrough`: everybody may call. `static_key`: only callers who present `auth.key`. \
            `keys`: callers who present one of `auth.keys`."),
    key("auth", "key", Text(Secret), Rule("required where `auth.mode` is `static_key`"),
        "The key that callers present."),
    key("auth", "keys", Blocks("auth.keys[]"), Nothing,
        "Keys of callers, where `auth.mode` is `keys`. `infermux key new --name NAME` makes one."),
    key("auth", "keys_file", Text(Path), Nothing,
        "A file with more keys: a bare YAML list like `auth.keys`. It is read again by itself \
            within a second of its change."),

    key("auth.keys[]", "name", Text(Name), Required,
        "The key's name in logs and reports. No two keys share one."),
    key("auth.keys[]", "hash", Text(Secret), Rule("required without `hashes`"),
        "What the key is known by: `sha256:` and the SHA-256 of the whole key in hexadecimal \
            digits."),
    key("auth.keys[]", "hashes", Blocks("auth.keys[].hashes[]"), Nothing,
        "Several such hashes, while the key is being rotated."),
    key("auth.keys[]", "team", Text(Name), Nothing,
        "The team that the key belongs to, one of `teams`."),
    key("auth.keys[]", "caller", Text(Label), Rule("`name`"),
        "The caller that the key's requests are counted for, in place of `X-Infermux-Caller`."),
    key("auth.keys[]", "callers", Texts(Label), Nothing,
        "Values of `X-Infermux-Caller` that the key's requests may name, with `*` for any text; \
            others are ignored."),
    key("auth.keys[]", "models", Texts(Model), Rule("all"),
        "The models that the key may ask for, with `*` for any text."),
    key("auth.keys[]", "expires", Text(Name), Nothing,
        "Until when the key is good: a date, which is good through its last moment in UTC, or a \
            moment of RFC 3339."),
    key("auth.keys[]", "disabled", Flag, Value("false"),
        "Whether the key is out of use."),
    key("auth.keys[]", "stream_cost", Flag, Value("false"),
        "Whether streams tell their cost, as if each request had \
            `X-Infermux-Stream-Cost: include`."),
    key("auth.keys[]", "limits", Block("auth.keys[].limits"), Nothing,
        "How much may be used with the key in what time."),
    key("auth.keys[]", "budgets", Blocks("auth.keys[].budgets[]"), Nothing,
        "What may be spent with the key; all of them hold."),
    key("auth.keys[]", "per_model", Blocks("auth.keys[].per_model[]"), Nothing,
        "Further limits and budgets for certain models; all entries that match a model hold."),

    key("auth.keys[].hashes[]", "hash", Text(Secret), Required,
        "`sha256:` and the SHA-256 of the whole key in hexadecimal digits."),
    key("auth.keys[].hashes[]", "until", Text(Name), Nothing,
        "Until when this secret of the key is good; like `expires`."),

    key("auth.keys[].limits", "requests_per_minute", COUNT, Nothing,
        "Requests in any 60 seconds."),
    key("auth.keys[].limits", "tokens_per_minute", Whole(1, 1_000_000_000_000), Nothing,
        "Tokens of prompts and answers in any 60 seconds."),
    key("auth.keys[].limits", "requests_per_day", Whole(1, 1_000_000_000_000), Nothing,
        "Requests from midnight to midnight, UTC."),
    key("auth.keys[].limits", "tokens_per_day", Whole(1, 1_000_000_000_000_000), Nothing,
        "Tokens of prompts and answers from midnight to midnight, UTC."),
    key("auth.keys[].limits", "max_in_flight", Whole(1, 1_000_000), Nothing,
        "Requests under way at once, over all event loops."),
    key("auth.keys[].limits", "enforce", Flag, Value("true"),
        "Whether what goes beyond these limits is refused; otherwise it is only counted and \
            reported."),
    key("auth.keys[].limits", "local", Flag, Value("false"), LOCAL),

    key("auth.keys[].budgets[]", "usd", Usd(BUDGET_USD_MAX), Required,
        "What may be spent in each period, in US dollars."),
    key("auth.keys[].budgets[]", "per", Word(&["day", "week", "month", "total"]), Required,
        "The period, in UTC: a `day`, a `week` from Monday on, a calendar `month`, or all time."),
    key("auth.keys[].budgets[]", "action", ACTIONS, Value("hard_stop"),
        "What happens to requests when the budget is used up."),
    key("auth.keys[].budgets[]", "model_override", Text(Model), OVERRIDE,
        "The model that answers when the budget is used up."),
    key("auth.keys[].budgets[]", "enforce", Flag, Value("true"),
        "Whether `action` is taken; otherwise the budget is only counted and reported."),
    key("auth.keys[].budgets[]", "local", Flag, Value("false"), LOCAL),

    key("auth.keys[].per_model[]", "models", Texts(Model), Required,
        "The models that share these limits and budgets, with `*` for any text."),
    key("auth.keys[].per_model[]", "limits", Block("auth.keys[].limits"), Nothing,
        "How much of these models may be used in what time; with the keys of \
            `auth.keys[].limits`."),
    key("auth.keys[].per_model[]", "budgets", Blocks("auth.keys[].budgets[]"), Nothing,
        "What may be spent on these models; with the keys of `auth.keys[].budgets[]`."),

    key("teams[]", "name", Text(Name), Required,
        "The team's name in logs and reports. No two teams share one."),
    key("teams[]", "models", Texts(Model), Rule("all"),
        "The models that the team's keys may ask for, with `*` for any text."),
    key("teams[]", "limits", Block("auth.keys[].limits"), Nothing,
        "How much all keys of the team together may use; with the keys of `auth.keys[].limits`."),
    key("teams[]", "budgets", Blocks("auth.keys[].budgets[]"), Nothing,
        "What all keys of the team together may spend; with the keys of `auth.keys[].budgets[]`."),

    key("server", "shards", Whole(0, SHARDS_MAX as u64), Value("0"),
        "How many event loops there are; 0 means one for each usable core."),
    key("server", "cores", Kind::Cores, Nothing,
        "The cores that event loops stay on, one loop on each; without it the kernel moves them."),
    key("server", "max_connections", Whole(1, 16_777_216), Value("65536"),
        "How many connections callers may have at once; further ones wait. Operators have 256 of \
            their own."),
    key("server", "max_body_bytes", Whole(1, 1 << 32), Value("33554432"),
        "The largest request body; a larger one gets 413."),
    key("server", "responses_memory", Whole(0, 1 << 40), Value("67108864"),
        "Bytes of items of translated answers that are remembered for callers of `/v1/responses` \
            who refer to them later; 0: none."),
    key("server", "max_buffered_bytes", Whole(1, 1 << 44), Value("1073741824"),
        "How many bytes of bodies are held in memory at once; requests beyond that get 503."),
    key("server", "max_event_bytes", Whole(STREAM_READ_BYTES as u64, 1 << 30), Value("16777216"),
        "The largest event of a stream. A larger one ends the stream with an error, which does \
            not count against the provider."),
    key("server", "header_timeout", SPAN, Value("10s"),
        "The longest time from the first byte of a request to the end of its head."),
    key("server", "body_timeout", SPAN, Value("30s"),
        "The longest pause within a request body."),
    key("server", "idle_timeout", SPAN, Value("75s"),
        "The longest pause between two requests of a connection."),
    key("server", "drain_delay", SPAN_OR_ZERO, Value("0s"),
        "How long infermux goes on taking new requests after SIGTERM."),
    key("server", "heartbeat", SPAN_OR_ZERO, Value("15s"),
        "The longest silence towards a caller whose stream has begun: then it gets a comment, \
            a `ping` of Messages, or a `keepalive` of Responses. `0s` turns this off."),
    key("server", "cors", Block("server.cors"), Nothing,
        "Which web pages of other origins may call from a browser; absent means none."),

    key("server.cors", "origins", Texts(Origin), Required,
        "Their origins, such as `https://app.example`; `*` for every page, which is an error where \
            `auth.mode` is `passthrough` and a provider has a key."),
    key("server.cors", "max_age", SPAN_OR_ZERO, Value("10m"),
        "How long a browser may ask without a preflight once it has made one."),

    key("providers[]", "name", Text(Name), Required,
        "The provider's name in logs, metrics and headers. No two providers share one."),
    key("providers[]", "type", Word(&["openai", "anthropic", "ollama", "azure_openai"]), Required,
        "Which API the provider speaks; `openai` for every server that is compatible with \
            OpenAI's."),
    key("providers[]", "api_key", Text(Secret),
        Rule("required for a hosted provider unless `auth.mode` is `passthrough`; a server of type \
            `openai` on this machine or in a private network needs none"),
        "The key that infermux presents to the provider."),
    key("providers[]", "base_url", Kind::Url,
        Rule("the vendor's; required for `azure_openai`"),
        "The URL that the paths of endpoints are added to."),
    key("providers[]", "timeout", SPAN, Value("60s"),
        "The longest wait for the head of an answer, and for the whole of an answer that is not \
            streamed."),
    key("providers[]", "connect_timeout", SPAN, Value("5s"),
        "The longest time for the name look-up, TCP, the proxy and TLS together."),
    key("providers[]", "proxy", Text(Secret),
        Rule("`https_proxy` or `HTTPS_PROXY` of the environment, for `http://` `http_proxy` or \
            `HTTP_PROXY`, but for hosts in `no_proxy` or `NO_PROXY` and for this machine"),
        "The HTTP proxy that leads to the provider, as `http://user:password@host:port`; `none` \
            for none. For `https://` it is asked for a tunnel with CONNECT, for `http://` it is \
            sent the requests."),
    key("providers[]", "tls", Block("providers[].tls"), Nothing,
        "Whom to trust, and what to present, where `base_url` begins with `https://`."),
    key("providers[]", "first_token_timeout", SPAN, Rule("`timeout`"),
        "The longest wait from the head of a stream to its first content."),
    key("providers[]", "stream_idle_timeout", SPAN, Rule("`timeout`"),
        "The longest silence between two events of a stream."),
    key("providers[]", "early_head", Flag, Value("false"),
        "Whether callers are sent the head of a stream, and then a heartbeat, while the \
            provider's first content is awaited. An error then ends the stream in place of its \
            status."),
    key("providers[]", "responses", Word(&["native", "bridge"]),
        Rule("`native` for `openai` and `azure_openai`, until such a provider turns out not to \
            have the path; `bridge` for the others"),
        "How callers of `/v1/responses` are served: `native` sends the provider what they ask \
            for, `bridge` translates it to what the provider speaks, and the answer back."),
    key("providers[]", "models", Entries(Model, "providers[].models[]"), Nothing,
        "The models that the provider serves, by name or by a pattern such as `gpt-4o*`, each \
            alone or in a mapping that says more of it. A provider without `models` serves every \
            model that no other provider claims."),
    key("providers[]", "model_aliases", Kind::Names, Nothing,
        "Other names for the provider's models: the name that callers use, then the name that the \
            provider knows."),
    key("providers[]", "rate_limits", Block("providers[].rate_limits"), Nothing,
        "How much the provider may be sent in any 60 seconds."),
    key("providers[]", "max_in_flight", Whole(1, 1_000_000), Nothing,
        "How many requests may be at the provider at once, over all event loops."),
    key("providers[]", "weight", Whole(1, WEIGHT_MAX as u64), Value("1"),
        "The provider's share of the requests under `round_robin` and `random`."),
    key("providers[]", "forward_caller_key", Flag,
        Rule("`true` where it has no `api_key`; always `false` unless `auth.mode` is \
            `passthrough`"),
        "Whether the provider is sent the caller's own key."),
    key("providers[]", "headers", Block("providers[].headers"), Nothing,
        "Headers that the provider is sent besides the usual ones."),
    key("providers[]", "request", Block("providers[].request"), Nothing,
        "What is changed in the body of every request to the provider."),
    key("providers[]", "health_check", Block("providers[].health_check"), Nothing,
        "When and how the provider is checked."),
    key("providers[]", "circuit_breaker", Block("circuit_breaker"), Rule("the top-level block"),
        "Settings of this provider's circuit, in place of those for all providers."),
    key("providers[]", "azure_deployment", Text(Name), Rule("the model's name"),
        "The deployment, if one deployment serves all models."),
    key("providers[]", "azure_api_version", Text(Name), Value("2024-10-21"),
        "The `api-version` that Azure is asked for."),

    key("providers[].models[]", "name", Text(Model), Required,
        "The model's name, or a pattern. The entry with the name that the caller uses counts, \
            else the one with the provider's own name, else the first pattern that matches this."),
    key("providers[].models[]", "context_window", COUNT, Rule("the built-in table's"),
        "How many tokens a prompt and its answer may have together: what is much longer is sent to \
            other candidates first."),
    key("providers[].models[]", "max_output_tokens", COUNT, Rule("the built-in table's"),
        "How many tokens an answer has at most: a higher bound in a request that is translated to \
            chat completions is lowered to this."),

    key("providers[].models[]", "request", Block("providers[].request"), Nothing,
        "What is changed in requests for this model, after what is changed for the provider."),

    key("providers[].request", "rename", Kind::Names, Nothing,
        "Parameters that get another name, or another place: the path of the value, then where it \
            goes, unless there is another value."),
    key("providers[].request", "remove", Texts(Parameter), Nothing,
        "Parameters that are taken out."),
    key("providers[].request", "default", Kind::Values, Nothing,
        "Values for parameters that the caller does not give, or gives as `null`."),
    key("providers[].request", "set", Kind::Values, Nothing,
        "Values for parameters, in place of what the caller gives."),

    key("providers[].rate_limits", "requests_per_minute", COUNT, Nothing,
        "How many requests the provider may be sent in any 60 seconds."),
    key("providers[].rate_limits", "tokens_per_minute", Whole(1, 1_000_000_000_000), Nothing,
        "How many tokens the provider may be sent, and may answer with, in any 60 seconds."),
    key("providers[].rate_limits", "local", Flag, Value("false"),
        "Whether these limits, and `max_in_flight`, hold for each instance alone where `shared` \
            is set."),

    key("providers[].tls", "ca_file", Text(Path), Rule("the host's own authorities"),
        "A PEM file with the authorities that the provider's certificate may be of, and no other."),
    key("providers[].tls", "cert_file", Text(Path), Nothing,
        "A PEM file with the certificate that is presented to the provider, and its chain."),
    key("providers[].tls", "key_file", Text(Path), Nothing,
        "A PEM file with the private key of that certificate."),
    key("providers[].tls", "server_name", Text(Name), Rule("the host of `base_url`"),
        "The name, or address, that the provider's certificate must be for."),

    key("providers[].headers", "set", Kind::Headers, Nothing,
        "Headers that every request to the provider carries, in place of the caller's. Their \
            values are secrets."),
    key("providers[].headers", "forward", Texts(Header), Nothing,
        "Headers of callers that the provider is sent besides those that every provider is sent."),

    key("providers[].health_check", "interval", SPAN, Value("60s"),
        "The pause between two checks."),
    key("providers[].health_check", "timeout", SPAN, Value("10s"),
        "The longest wait for the answer to a check."),
    key("providers[].health_check", "disabled", Flag, Value("false"),
        "Whether the provider is never checked, and always counts as healthy."),
    key("providers[].health_check", "path", Text(Name), Rule("the list of models"),
        "Another path below `base_url` that a check asks for."),

    key("circuit_breaker", "error_rate_threshold", Share, Value("0.5"),
        "The share of failures that opens the circuit, once the window holds `min_requests` \
            requests."),
    key("circuit_breaker", "consecutive_failures", COUNT, Value("5"),
        "How many failures in a row open the circuit at once; they count in the order in which \
            answers ended."),
    key("circuit_breaker", "latency_p95_ms", Whole(1, 86_400_000), Value("5000"),
        "The 95th percentile of response times that opens the circuit. If it is set it covers all \
            answers, otherwise only streams."),
    key("circuit_breaker", "window_seconds", Whole(1, 3_600), Value("60"),
        "How far back failures and response times count."),
    key("circuit_breaker", "min_requests", COUNT, Value("10"),
        "How many requests the window must hold before shares and percentiles count."),
    key("circuit_breaker", "recovery_window", SPAN, Value("30s"),
        "How long the circuit stays open before one request probes the provider."),
    key("circuit_breaker", "probe_timeout", SPAN, Value("5s"),
        "How long that request may take."),
    key("circuit_breaker", "recovery_backoff_multiplier", Ratio(1_000, 1_000_000), Value("1.0"),
        "By how much `recovery_window` grows with each probe that fails."),
    key("circuit_breaker", "recovery_backoff_max", SPAN, Value("600s"),
        "The longest that `recovery_window` grows to."),
    key("circuit_breaker", "treat_rate_limit_as_error", Flag, Value("false"),
        "Whether an answer of 429 counts as a failure."),

    key("routing", "strategy", STRATEGIES, Value("round_robin"),
        "How a provider is chosen among those that can answer."),
    key("routing", "affinity", Block("affinity"), Nothing,
        "Whether a conversation stays with the provider that has its prompt in its cache."),
    key("routing", "least_latency", Block("routing.least_latency"), Nothing,
        "Settings of the strategy `least_latency`."),
    key("routing", "failover", Block("routing.failover"), Nothing,
        "How often, and how long, a request is tried at other providers."),
    key("routing", "groups", Blocks("routing.groups[]"), Nothing,
        "Models that are routed in a way of their own; the first group that lists the model \
            counts."),

    key("routing.least_latency", "ewma_decay", Share, Value("0.1"),
        "The weight of the latest response time in the average."),
    key("routing.least_latency", "min_samples", Whole(0, 1_000_000), Value("5"),
        "How many answers a provider must have given; with fewer it counts as the fastest."),

    key("routing.failover", "max_attempts", Whole(1, 100), Value("3"),
        "How many providers one request is tried at, the first one included."),
    key("routing.failover", "deadline", SPAN, Value("5m"),
        "The longest time for all attempts of one request together."),
    key("routing.failover", "retry_budget", Ratio(0, 10_000), Value("0.2"),
        "How many extra attempts there may be, as a share of the requests of the last 10 seconds."),

    key("routing.groups[]", "name", Text(Name), Required,
        "The group's name in logs and headers. No two groups share one."),
    key("routing.groups[]", "models", Texts(Model), Required,
        "The models that the group is for, by their whole names."),
    key("routing.groups[]", "strategy", STRATEGIES, Rule("`routing.strategy`"),
        "The group's strategy."),
    key("routing.groups[]", "affinity", Block("affinity"), Nothing,
        "The group's affinity; a field that is left out has its value from `routing.affinity`."),
    key("routing.groups[]", "providers", Texts(Name), Rule("all providers"),
        "The only providers that answer these models, the first one first under `priority`."),

    key("affinity", "by", AFFINITIES, Value("off"),
        "What tells conversations apart: `session` the name that a request gives its session, \
            `prefix` model, system prompt, tools and first message, `auto` the former, or else the \
            latter."),
    key("affinity", "spill", Ratio(1_000, 100_000), Value("1.25"),
        "How many times its share of the requests in flight a provider may have; beyond that, its \
            conversations go to their next provider."),

    key("pricing.<provider>.<model>", "input_per_million", Usd(1_000_000),
        Rule("required unless another price is set"),
        "The price of a million prompt tokens, in US dollars."),
    key("pricing.<provider>.<model>", "output_per_million", Usd(1_000_000),
        Rule("required beside `input_per_million`"),
        "The price of a million completion tokens, in US dollars."),
    key("pricing.<provider>.<model>", "per_second", Usd(1_000), Nothing,
        "The price of a second of sound, in US dollars, for models of transcriptions and \
            translations."),
    key("pricing.<provider>.<model>", "per_million_characters", Usd(1_000_000), Nothing,
        "The price of a million characters of text that is spoken, in US dollars."),
    key("pricing.<provider>.<model>", "per_image", Usd(1_000_000), Nothing,
        "The price of a picture of any size and quality, in US dollars."),

    key("passthrough", "provider", Text(Name), Nothing,
        "The provider that is sent requests without a model: those below `/v1/files`, \
            `/v1/batches`, `/v1/fine_tuning` and `/v1/vector_stores`. Without it these paths are \
            not served. Its files belong to its account, and so to all who may call."),
    key("passthrough", "assume_usd", Usd(1_000_000), Nothing,
        "What a request is taken to cost that nobody knows a price for, in US dollars. Without it \
            such a request costs nothing, and is refused where it passes a `hard_stop` budget."),

    key("model_families.<pattern>", "rename", Kind::Names, Nothing,
        "Parameters that get another name where a caller's request is passed on."),
    key("model_families.<pattern>", "remove", Texts(Parameter), Nothing,
        "Parameters that are taken out where a caller's request is passed on."),

    key("budgets", "state_file", Text(Path), Nothing,
        "The file that keeps the spend over restarts."),
    key("budgets", "callers", Blocks("budgets[]"), Nothing,
        "The budgets, one for each caller."),

    key("budgets[]", "caller", Text(Label), Required,
        "The caller, as its requests say in the header `X-Infermux-Caller`."),
    key("budgets[]", "monthly_usd", Usd(BUDGET_USD_MAX), Required,
        "What the caller may spend in a calendar month (UTC), in US dollars."),
    key("budgets[]", "action", ACTIONS, Value("hard_stop"),
        "What happens to the caller's requests when the budget is used up."),
    key("budgets[]", "model_override", Text(Model), OVERRIDE,
        "The model that answers the caller when the budget is used up."),
    key("budgets[]", "local", Flag, Value("false"), LOCAL),
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
        for key in &KEYS {
            if let Block(section) | Blocks(section) | Entries(_, section) | Kind::Named(section) =
                key.kind
            {
                assert!(names(section).next().is_some(), "{section} is empty");
            }
            assert!(key.meaning.ends_with('.'), "{}", key.path());
        }
    }
}
