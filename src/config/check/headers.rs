//! A provider's own headers: those that it is sent besides the usual ones, and callers' headers
//! that are passed on to it.

use std::collections::HashSet;

use crate::base::secret::Secret;
use crate::config::plan::{Provider, ProviderHeaders};
use crate::config::raw::fields::Block;
use crate::wire::field;

/// Whether infermux sends a provider a key, either its own or the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// A key is sent.
    Yes,
    /// No key is sent: the file may set the headers that carry keys.
    No,
}

/// Reads `headers` of a provider.
pub fn read(block: &Block<'_>, keyed: Keyed) -> ProviderHeaders {
    let mut seen = HashSet::new();
    let set = block.headers("set");
    for (name, _) in &set {
        let problem = flaw_of_set(name, keyed).or_else(|| repeated(name, &mut seen));
        if let Some(problem) = problem {
            block.fault(&format!("set.{name}"), problem);
        }
    }
    let forward = block.texts("forward");
    for (place, name) in &forward {
        let problem = flaw_of_forwarded(name).or_else(|| repeated(name, &mut seen));
        if let Some(problem) = problem {
            block.fault(&format!("forward[{place}]"), format!("`{name}` {problem}"));
        }
    }
    let set = set
        .into_iter()
        .map(|(name, value)| (name.into(), Secret::new(value)));
    let forward = forward
        .into_iter()
        .map(|(_, name)| name.to_ascii_lowercase().into());
    ProviderHeaders {
        set: set.collect(),
        forward: forward.collect(),
    }
}

/// Whether requests to `provider` carry a key from the file: its `api_key`, or one in a header.
#[must_use]
pub fn carries_key(provider: &Provider) -> bool {
    let mut set = provider.headers.set.iter();
    provider.api_key.is_some() || set.any(|(name, _)| is_one_of(name, &KEYS))
}

fn repeated(name: &str, seen: &mut HashSet<String>) -> Option<&'static str> {
    (!seen.insert(name.to_ascii_lowercase())).then_some("is named twice")
}

/// Why a header cannot be set for all requests.
fn flaw_of_set(name: &str, keyed: Keyed) -> Option<&'static str> {
    let is_of_keys = is_one_of(name, &KEYS);
    match keyed {
        Keyed::Yes if is_of_keys => Some(
            "carries a key: set it only where the provider has no `api_key` and \
             `forward_caller_key` is false",
        ),
        Keyed::Yes | Keyed::No => flaw_of_any(name),
    }
}

/// Why a caller's header cannot be passed on.
fn flaw_of_forwarded(name: &str) -> Option<&'static str> {
    if is_one_of(name, &KEYS) {
        return Some("carries a key: `forward_caller_key` decides about that");
    }
    flaw_of_any(name)
}

fn flaw_of_any(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if field::is_hop_by_hop(bytes) || is_one_of(name, &["expect"]) {
        Some("is about one connection or one body, and infermux states it")
    } else if is_one_of(name, &STATED) {
        Some("is stated by infermux")
    } else if field::starts_with(bytes, b"x-infermux-") {
        Some("is infermux's own and goes to no provider")
    } else {
        None
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Headers that carry a caller's or a provider's key.
const KEYS: [&str; 3] = ["authorization", "x-api-key", "api-key"];
/// Headers that infermux writes into each request itself.
const STATED: [&str; 6] = [
    "host",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "anthropic-version",
    "x-request-id",
];
