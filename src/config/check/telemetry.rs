//! Where traces are told.

use std::collections::HashSet;

use crate::base::secret::Secret;
use crate::config::proxy::Proxies;
use crate::config::raw::fields::Block;
use crate::config::telemetry::{self, Otlp, Parent, SERVICE_NAME, Variables};
use crate::config::url::BaseUrl;
use crate::decide::sampling::{Sampler, WHOLE};

/// Reads `telemetry.otlp`, and what `variables` add to it; `None`: no traces are told.
pub fn read(root: &Block<'_>, variables: Variables, proxies: &Proxies) -> Option<Otlp> {
    let telemetry = root.block("telemetry");
    telemetry.refuse_empty("otlp");
    let block = telemetry.block("otlp");
    let own = block.read("endpoint", |_, text| telemetry::endpoint(text));
    let headers = headers(&block);
    let share = block.read("sample", |_, text| telemetry::billionths(text));
    let sampler = share.map(|share| Sampler::ratio(share).by_parent());
    let parent = block.word("parent", &Parent::WORDS);
    let gzip = block.word("compression", &COMPRESSIONS);
    let timeout = block.span("timeout");
    if telemetry.has("otlp") || variables.names_endpoint {
        for flaw in &variables.flaws {
            telemetry.warn("otlp", flaw);
        }
    }
    if variables.disabled {
        if block.has("endpoint") {
            block.warn(
                "endpoint",
                "has no effect: the environment says not to tell traces",
            );
        }
        return None;
    }
    let is_own = block.has("endpoint");
    let theirs = variables.endpoint.filter(|_| !is_own);
    let Some(endpoint) = own.or(theirs) else {
        if telemetry.has("otlp") && !is_own {
            let problem = "is not set, nor is OTEL_EXPORTER_OTLP_ENDPOINT: no traces are told";
            block.warn("endpoint", problem);
        }
        return None;
    };
    // The headers of the environment are meant for its own collector.
    let headers = if is_own || !headers.is_empty() {
        headers
    } else {
        variables.headers
    };
    doubt_bare_key(&block, &endpoint, &headers);
    Some(Otlp {
        proxy: proxy(&block, &endpoint, proxies),
        endpoint,
        headers,
        sampler: sampler
            .or(variables.sampler)
            .unwrap_or_else(|| Sampler::ratio(WHOLE).by_parent()),
        parent: parent.unwrap_or(Parent::Child),
        gzip: gzip.or(variables.gzip).unwrap_or(false),
        timeout: timeout.or(variables.timeout).unwrap_or(TIMEOUT),
        resource: resource(variables.resource),
    })
}

fn headers(block: &Block<'_>) -> Box<[(Box<str>, Secret)]> {
    let mut seen = HashSet::new();
    let headers = block.headers("headers");
    for (name, _) in &headers {
        let is_new = seen.insert(name.to_ascii_lowercase());
        let problem = telemetry::flaw_of_header(name);
        if let Some(problem) = problem.or((!is_new).then_some("is named twice")) {
            block.fault(&format!("headers.{name}"), problem);
        }
    }
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.into(), Secret::new(value)))
        .collect()
}

/// Keys on the open network can be read by everybody on the way.
fn doubt_bare_key(block: &Block<'_>, endpoint: &BaseUrl, headers: &[(Box<str>, Secret)]) {
    if !headers.is_empty() && !endpoint.tls && !crate::config::url::is_own_host(endpoint) {
        block.warn(
            "endpoint",
            "is not https://, and headers are sent there in the clear",
        );
    }
}

fn proxy(
    block: &Block<'_>,
    endpoint: &BaseUrl,
    proxies: &Proxies,
) -> Option<crate::config::proxy::Proxy> {
    proxies.to(endpoint).unwrap_or_else(|problem| {
        block.fault("endpoint", problem);
        None
    })
}

/// What is told of the process: of a name that the environment does not give, infermux's own.
fn resource(given: Vec<(Box<str>, Box<str>)>) -> Box<[(Box<str>, Box<str>)]> {
    let own = [
        (SERVICE_NAME, "infermux"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "infermux"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let is_given = |key: &str| given.iter().any(|(other, _)| &**other == key);
    let own = own.into_iter().filter(|(key, _)| !is_given(key));
    let own: Vec<_> = own.map(|(key, value)| (key.into(), value.into())).collect();
    own.into_iter().chain(given).collect()
}

const COMPRESSIONS: [(&str, bool); 2] = [("none", false), ("gzip", true)];
/// Longest wait for the collector, by OpenTelemetry's recommendation.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
