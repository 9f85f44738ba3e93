//! Merge keys: `<<: *defaults` takes over the fields of another mapping
//! (<https://yaml.org/type/merge.html>).

use std::collections::HashSet;

use crate::config::faults::{Fault, printable};
use crate::config::raw::Node;

/// The name of a merge key.
pub const MERGE: &str = "<<";

/// Applies the merge keys of a mapping and of everything in it. A field that the mapping has itself
/// stays as it is; otherwise the first of several merged mappings that has the field provides it.
///
/// # Errors
///
/// A merged value is not a mapping.
pub fn apply(entries: &mut Vec<(String, Node)>) -> Result<(), Fault> {
    for (key, node) in entries.iter_mut() {
        match node {
            Node::Null | Node::Scalar(_) => {}
            Node::Map(inner) => apply(inner).map_err(|fault| within(key, fault))?,
            Node::List(items) => apply_within(items).map_err(|fault| within(key, fault))?,
        }
    }
    let Some(at) = entries.iter().position(|(key, _)| key == MERGE) else {
        return Ok(());
    };
    let (_, merged) = entries.remove(at);
    let sources = match merged {
        Node::List(items) => items,
        single @ (Node::Null | Node::Scalar(_) | Node::Map(_)) => vec![single],
    };
    let mut present: HashSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    for source in sources {
        let Node::Map(fields) = source else {
            let problem = format!(
                "merges {}, a mapping or a list of mappings is wanted",
                source.describe()
            );
            return Err(Fault::new(MERGE, problem));
        };
        for (key, value) in fields {
            if present.insert(key.clone()) {
                entries.push((key, value));
            }
        }
    }
    Ok(())
}

/// Recursion is bounded: `raw::yaml` lets no tree be deeper than `CONFIG_DEPTH_MAX`.
fn apply_within(items: &mut [Node]) -> Result<(), Fault> {
    for (i, item) in items.iter_mut().enumerate() {
        let at = |fault| within(&format!("[{i}]"), fault);
        match item {
            Node::Null | Node::Scalar(_) => {}
            Node::Map(inner) => apply(inner).map_err(at)?,
            Node::List(items) => apply_within(items).map_err(at)?,
        }
    }
    Ok(())
}

/// The fault of something below `key`, or below the item `key` of a list.
fn within(key: &str, mut fault: Fault) -> Fault {
    let dot = if fault.path.starts_with('[') { "" } else { "." };
    fault.path = format!("{}{dot}{}", printable(key), fault.path);
    fault
}
