//! The providers and their circuit breakers.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::base::ids::ProviderId;
use crate::base::limits::{ALIAS_CHAIN_MAX, MODELS_MAX, PROVIDERS_MAX};
use crate::base::secret::Secret;
use crate::config::aliases::{Aliases, Astray};
use crate::config::check::allowance;
use crate::config::check::auth::Mode;
use crate::config::check::headers::{self, Keyed};
use crate::config::check::models;
use crate::config::check::request;
use crate::config::check::tls;
use crate::config::plan::{HealthCheck, Provider};
use crate::config::prices;
use crate::config::proxy::{self, Proxies, Proxy};
use crate::config::raw::fields::{Block, Defaults};
use crate::config::responses::Responses;
use crate::config::scope::Reach;
use crate::config::url::{self, BaseUrl};
use crate::config::vendor::{Hosted, OPENAI, VENDORS, Vendor};
use crate::decide::policy::BreakerPolicy;

/// Reads all providers; `proxies` are those of the environment.
pub fn read(root: &Block<'_>, mode: Mode, proxies: &Proxies) -> Box<[Provider]> {
    root.require_items("providers", "at least one provider is required");
    let global = breaker(&root.block("circuit_breaker"), &BreakerPolicy::default());
    if root.count("providers") > PROVIDERS_MAX {
        root.fault(
            "providers",
            format!("there are more than {PROVIDERS_MAX} providers"),
        );
        return Box::default();
    }
    let blocks = root.blocks("providers");
    let mut providers: Box<[Provider]> = (0..)
        .map(ProviderId)
        .zip(&blocks)
        .map(|(id, block)| Provider {
            breaker: breaker(
                &block.block("circuit_breaker").with(Defaults::None),
                &global,
            ),
            ..provider(id, block, mode, proxies)
        })
        .collect();
    if !root.has("shared") {
        let limits = providers.iter_mut();
        limits.for_each(|provider| provider.reach = Reach::Instance);
    }
    let mut names: HashMap<&str, &str> = HashMap::new();
    for (block, provider) in blocks.iter().zip(&providers) {
        if provider.name.is_empty() {
            continue;
        }
        if let Some(other) = names.insert(&provider.name, block.path()) {
            let problem = format!("`{}` is already the name of {other}", provider.name);
            block.fault("name", problem);
        }
    }
    let claims: usize = providers
        .iter()
        .map(|p| p.models.len() + 2 * p.model_aliases.len())
        .sum();
    if claims > MODELS_MAX {
        root.fault(
            "providers",
            format!("they name more than {MODELS_MAX} models and aliases"),
        );
    }
    doubt_open_ones(&blocks, &providers);
    providers
}

/// With several open providers, chance decides which one is asked for a model that no provider
/// claims.
fn doubt_open_ones(blocks: &[Block<'_>], providers: &[Provider]) {
    let is_open = |(block, provider): &(&Block<'_>, &Provider)| {
        provider.is_open() && block.count("models") == 0
    };
    let mut open = blocks.iter().zip(providers).filter(is_open);
    if let (Some((_, first)), Some((block, second))) = (open.next(), open.next()) {
        let problem = format!(
            "`{}` and `{}` are both without models, so each may be asked for any model that no \
             other provider claims",
            first.name, second.name
        );
        block.doubt("models", problem);
    }
}

fn provider(id: ProviderId, block: &Block<'_>, mode: Mode, proxies: &Proxies) -> Provider {
    let name = block.text("name").unwrap_or_default();
    let types = VENDORS.map(|vendor| (vendor.name, vendor));
    let vendor = block.word("type", &types).unwrap_or(&OPENAI);
    let base = base(block, vendor);
    let api_key = api_key(block, vendor, mode, &base);
    let forward_caller_key = forward_caller_key(block, mode, api_key.is_some());
    let keyed = if forward_caller_key || api_key.is_some() {
        Keyed::Yes
    } else {
        Keyed::No
    };
    let timeout = block.span("timeout").unwrap_or_default();
    let limits = block.block("rate_limits");
    let models = models::read(block);
    Provider {
        id,
        name: name.into(),
        vendor,
        is_openais_host: prices::is_openais_host(vendor, &base.host),
        forward_caller_key,
        early_head: block.flag("early_head").unwrap_or_default(),
        responses: responses(block, vendor),
        api_key,
        proxy: proxy(block, proxies, &base),
        tls: tls::provider(&block.block("tls"), &base),
        base,
        azure_deployment: block.text("azure_deployment").map(Into::into),
        azure_api_version: block.text_or_default("azure_api_version"),
        timeout,
        connect_timeout: block.span("connect_timeout").unwrap_or_default(),
        first_token_timeout: block.span("first_token_timeout").unwrap_or(timeout),
        stream_idle_timeout: block.span("stream_idle_timeout").unwrap_or(timeout),
        models: models.entries.into(),
        patterns: models.patterns.into(),
        model_settings: models.settings,
        model_aliases: model_aliases(block),
        requests_per_minute: limits.whole("requests_per_minute"),
        tokens_per_minute: limits.whole("tokens_per_minute"),
        max_in_flight: block.whole("max_in_flight"),
        reach: allowance::reach(&limits),
        weight: block.whole("weight").unwrap_or(1),
        headers: headers::read(&block.block("headers"), keyed),
        request: request::read(block),
        health_check: health_check(&block.block("health_check")),
        breaker: BreakerPolicy::default(),
    }
}

fn base(block: &Block<'_>, vendor: &Vendor) -> BaseUrl {
    if vendor.needs_base && !block.has("base_url") {
        block.missing("base_url", &format!("is required for {}", vendor.name));
    }
    let own = block.read("base_url", |_, text| url::parse(text));
    if let Some(own) = &own {
        doubt_base(block, vendor, own);
    }
    own.or_else(|| url::parse(vendor.base).ok())
        .unwrap_or_else(|| BaseUrl {
            tls: true,
            host: Box::default(),
            port: 443,
            authority: Box::default(),
            path: Box::default(),
            query: Box::default(),
        })
}

/// The proxy that leads to `base`: the file's own, or that of the environment.
fn proxy(block: &Block<'_>, proxies: &Proxies, base: &BaseUrl) -> Option<Proxy> {
    if block.has("proxy") {
        return block.read("proxy", |_, text| proxy::parse(text)).flatten();
    }
    let found = proxies.to(base);
    found.unwrap_or_else(|problem| {
        block.fault("proxy", problem);
        None
    })
}

/// Most servers answer with 404 if a `base_url` has a path too many or lacks one.
fn doubt_base(block: &Block<'_>, vendor: &Vendor, base: &BaseUrl) {
    let usual = vendor.usual_path;
    let scheme = if base.tls { "https" } else { "http" };
    let shown = |path: &str| format!("{scheme}://{}{path}", base.authority);
    let endpoint = ENDPOINTS.iter().find(|end| base.path.ends_with(*end));
    if let Some(endpoint) = endpoint {
        let path = base.path.strip_suffix(endpoint).unwrap_or_default();
        let problem = format!(
            "ends in the path of an endpoint, which infermux adds by itself, did you mean `{}`?",
            shown(path)
        );
        block.doubt("base_url", problem);
    } else if !usual.is_empty() && base.path.is_empty() && !url::is_own_host(base) {
        let problem = format!(
            "has no path, and most hosted providers answer below one, did you mean `{}`?",
            shown(usual)
        );
        block.doubt("base_url", problem);
    }
}

/// Paths of endpoints, the longest first.
const ENDPOINTS: [&str; 6] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    "/models",
];

fn api_key(block: &Block<'_>, vendor: &Vendor, mode: Mode, base: &BaseUrl) -> Option<Secret> {
    let key = block.text("api_key").map(Secret::new);
    let hosted = match vendor.hosted {
        Hosted::Elsewhere => !url::is_own_host(base) && !block.is_unresolved("base_url"),
        Hosted::Always => true,
        Hosted::Never => false,
    };
    let callers_have_none = mode != Mode::Passthrough;
    if hosted && callers_have_none && !block.has("api_key") {
        let mode = mode.name();
        let problem = format!("is required for a hosted provider where auth.mode is {mode}");
        block.missing("api_key", &problem);
    }
    key
}

fn responses(block: &Block<'_>, vendor: &Vendor) -> Responses {
    let words = [
        ("native", Responses::Native),
        ("bridge", Responses::Bridged),
    ];
    let said = block.word("responses", &words);
    if said == Some(Responses::Native) && !vendor.has(Endpoint::Responses) {
        let problem = format!("providers of type {} have no Responses API", vendor.name);
        block.fault("responses", problem);
    }
    said.unwrap_or(vendor.responses)
}

/// Under `static_key` and `keys`, callers present keys of infermux, which no provider may get.
fn forward_caller_key(block: &Block<'_>, mode: Mode, has_key: bool) -> bool {
    let wanted = block.flag("forward_caller_key");
    match mode {
        Mode::Passthrough => wanted.unwrap_or(!has_key),
        Mode::StaticKey | Mode::Keys => {
            if wanted == Some(true) {
                let problem = format!("has no effect where auth.mode is {}", mode.name());
                block.warn("forward_caller_key", problem);
            }
            false
        }
    }
}

fn model_aliases(block: &Block<'_>) -> Box<[(Box<str>, Box<str>)]> {
    let pairs = block.names("model_aliases");
    let aliases = Aliases::new(pairs.iter().copied());
    for (name, _) in &pairs {
        let field = format!("model_aliases.{name}");
        match aliases.chain(name) {
            // A cycle is reported at its own aliases, not at aliases that lead into it.
            Ok(_) | Err(Astray::IntoCycle) => {}
            Err(Astray::Cycle) => {
                if let Some(cycle) = aliases.cycle(name) {
                    block.fault(&field, format!("is an alias of itself: {cycle}"));
                }
            }
            Err(Astray::Endless) => {
                let problem = format!("leads through more than {ALIAS_CHAIN_MAX} aliases");
                block.fault(&field, problem);
            }
        }
    }
    pairs
        .into_iter()
        .map(|(from, to)| (from.into(), to.into()))
        .collect()
}

fn health_check(block: &Block<'_>) -> HealthCheck {
    HealthCheck {
        interval: block.span("interval").unwrap_or_default(),
        timeout: block.span("timeout").unwrap_or_default(),
        disabled: block.flag("disabled").unwrap_or_default(),
        path: block.text("path").and_then(|text| {
            let path = url::below(text);
            let fault = |problem| block.fault("path", format!("`{text}` {problem}"));
            path.map_err(fault).ok()
        }),
    }
}

/// The figures of a block; fields that it does not have are taken from `base`.
fn breaker(block: &Block<'_>, base: &BreakerPolicy) -> BreakerPolicy {
    let seconds = |name| block.whole(name).map(Duration::from_secs);
    let recovery_window = block
        .span("recovery_window")
        .unwrap_or(base.recovery_window);
    let backoff_max = block
        .span("recovery_backoff_max")
        .unwrap_or(base.backoff_max);
    if backoff_max < recovery_window && block.has("recovery_backoff_max") {
        let problem = "is below recovery_window, which is taken instead";
        block.warn("recovery_backoff_max", problem);
    }
    BreakerPolicy {
        error_rate_permille: block
            .permille("error_rate_threshold")
            .unwrap_or(base.error_rate_permille),
        consecutive_failures: block
            .whole("consecutive_failures")
            .unwrap_or(base.consecutive_failures),
        latency_p95: block
            .whole("latency_p95_ms")
            .map_or(base.latency_p95, Duration::from_millis),
        latency_covers_all: block.has("latency_p95_ms") || base.latency_covers_all,
        window: seconds("window_seconds").unwrap_or(base.window),
        min_requests: block.whole("min_requests").unwrap_or(base.min_requests),
        recovery_window,
        probe_timeout: block.span("probe_timeout").unwrap_or(base.probe_timeout),
        backoff_permille: block
            .permille("recovery_backoff_multiplier")
            .unwrap_or(base.backoff_permille),
        backoff_max: backoff_max.max(recovery_window),
        rate_limit_is_error: block
            .flag("treat_rate_limit_as_error")
            .unwrap_or(base.rate_limit_is_error),
    }
}
