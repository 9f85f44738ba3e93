//! The store over which several instances share their limits and budgets.

use std::time::Duration;

use crate::config::plan::Budgets;
use crate::config::raw::fields::Block;
use crate::config::shared::{self, OnLoss, Shared, StoreNode, StoreTls};

/// Reads `shared`; `None`: each instance has limits and budgets of its own.
pub fn read(root: &Block<'_>, budgets: &Budgets) -> Option<Shared> {
    root.refuse_empty("shared");
    if !root.has("shared") {
        return None;
    }
    let block = root.block("shared");
    let (nodes, are_known) = nodes(&block);
    let namespace = block.text("namespace").unwrap_or_default();
    if !block.is_unresolved("namespace")
        && let Some(flaw) = shared::namespace_flaw(namespace)
    {
        block.fault("namespace", format!("`{namespace}` {flaw}"));
    }
    let on_loss = block.block("on_loss");
    let on_loss = |name, otherwise| on_loss.word(name, &OnLoss::WORDS).unwrap_or(otherwise);
    let is_encrypted = nodes.iter().any(|node| node.tls) || !are_known;
    let span = |name| block.span(name).unwrap_or_default();
    let (sync, wait, member_ttl) = (span("sync"), span("wait"), span("member_ttl"));
    if wait > Duration::ZERO && wait < SHORTEST_WAIT {
        block.warn("wait", "is shorter than most answers of a store take");
    }
    if budgets.state_file.is_none() {
        block.warn(
            "namespace",
            "the instance has no budgets.state_file, so each start is another instance: what the \
             former one held of budgets counts as spent until the period ends",
        );
    }
    Some(Shared {
        nodes: nodes.into(),
        namespace: namespace.into(),
        sync,
        wait,
        member_ttl,
        on_loss_of_limits: on_loss("rate_limits", OnLoss::Share),
        on_loss_of_budgets: on_loss("budgets", OnLoss::Closed),
        tls: tls(&block, is_encrypted),
    })
}

/// The nodes, and whether all of them are known: variables may not be looked up.
fn nodes(block: &Block<'_>) -> (Vec<StoreNode>, bool) {
    block.refuse_empty_list("urls", "give it the URLs of a store, or use `url`");
    match (block.has("url"), block.has("urls")) {
        (false, false) => block.missing("url", "is required, or `urls`"),
        (true, true) => block.fault("urls", "both `url` and `urls` are given: leave one out"),
        (true, false) | (false, true) => {}
    }
    if block.is_unresolved("url") {
        return (Vec::new(), false);
    }
    let one = block.text("url").map(|text| ("url".to_owned(), text));
    let several = block.texts("urls");
    let are_known = several.len() == block.count("urls");
    let several = several.into_iter();
    let several = several.map(|(place, text)| (format!("urls[{place}]"), text));
    let mut nodes: Vec<StoreNode> = Vec::new();
    for (path, text) in one.into_iter().chain(several) {
        match shared::node(text) {
            Ok(node) => nodes.push(node),
            Err(problem) => block.fault(&path, format!("the value {problem}")),
        }
    }
    let first = nodes.first();
    let is_like_first = |node: &StoreNode| {
        first.is_some_and(|first| (first.tls, first.database) == (node.tls, node.database))
    };
    if !nodes.iter().all(is_like_first) {
        block.fault(
            "urls",
            "the nodes of one store have the same scheme and database",
        );
    }
    (nodes, are_known)
}

fn tls(block: &Block<'_>, is_encrypted: bool) -> StoreTls {
    let files = block.block("tls");
    if block.has("tls") && !is_encrypted {
        block.warn(
            "tls",
            "has no effect where the URL does not begin with rediss://",
        );
    }
    for (here, there) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if files.has(there) && !files.has(here) {
            files.missing(
                here,
                &format!("is required where shared.tls.{there} is set"),
            );
        }
    }
    let own = files.text("cert_file").zip(files.text("key_file"));
    StoreTls {
        ca_file: files.text("ca_file").map(Into::into),
        own: own.map(|(cert, key)| (cert.into(), key.into())),
        server_name: files.text("server_name").map(Into::into),
    }
}

/// A shorter wait than this for a store's answer hardly ever helps.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
