//! Who is told at once when something is wrong.

use std::sync::Arc;

use crate::base::limits::WEBHOOKS_MAX;
use crate::base::notice::Event;
use crate::base::secret::Secret;
use crate::config::proxy::Proxies;
use crate::config::raw::fields::Block;
use crate::config::url;
use crate::config::webhook::{self, Format, Webhook};

/// Reads all webhooks; `proxies` are those of the environment. One whose URL is not known yet is
/// left out.
pub fn read(root: &Block<'_>, proxies: &Proxies) -> Box<[Arc<Webhook>]> {
    if root.count("webhooks") > WEBHOOKS_MAX {
        let problem = format!("there are more than {WEBHOOKS_MAX} webhooks");
        root.fault("webhooks", problem);
        return Box::default();
    }
    let mut webhooks: Vec<Arc<Webhook>> = Vec::new();
    for block in root.blocks("webhooks") {
        let Some(webhook) = one(&block, proxies) else {
            continue;
        };
        if webhooks.iter().any(|other| other.is_at(&webhook)) {
            block.fault("url", "another webhook has the same URL");
        }
        webhooks.push(Arc::new(webhook));
    }
    webhooks.into()
}

fn one(block: &Block<'_>, proxies: &Proxies) -> Option<Webhook> {
    let format = block.word("format", &Format::WORDS).unwrap_or(Format::Json);
    if format == Format::Json && !block.has("secret") {
        block.missing("secret", "is required where `format` is `json`");
    }
    block.refuse_empty_list("events", "leave it out for all of them");
    let mut events = block.words("events", &Event::ALL);
    if !block.has("events") {
        events.extend(Event::ALL.map(|(_, event)| event));
    }
    let secret = block.text("secret").map(Secret::new);
    let text = block.text("url")?;
    if block.is_unresolved("url") {
        return None;
    }
    let (base, target) = match webhook::place(text) {
        Ok(place) => place,
        Err(problem) => {
            block.fault("url", format!("the value {problem}"));
            return None;
        }
    };
    if !base.tls && !url::is_own_host(&base) {
        block.warn("url", "is not encrypted, and leads out of the own network");
    }
    let proxy = proxies.to(&base).unwrap_or_else(|problem| {
        block.fault("url", format!("a proxy for it {problem}"));
        None
    });
    Some(Webhook {
        base,
        target,
        secret,
        events: events.into(),
        format,
        proxy,
    })
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
