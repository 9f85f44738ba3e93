//! Merge keys: `<<: *defaults` takes over the fields of another mapping
//! (<https://yaml.org/type/merge.html>).

use std::collections::HashSet;

use crate::config::raw::Node;

/// The name of a merge key.
pub const MERGE: &str = "<<";

/// Applies the merge keys of a mapping and of everything in it. A field that the mapping has itself
/// stays as it is; otherwise the first of several merged mappings that has the field provides it.
///
/// # Errors
///
/// A merged value is not a mapping; a sentence that says so.
pub fn apply(entries: &mut Vec<(String, Node)>) -> Result<(), String> {
    for (_, node) in entries.iter_mut() {
        match node {
            Node::Null | Node::Scalar(_) => {}
            Node::Map(inner) => apply(inner)?,
            Node::List(items) => apply_within(items)?,
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
            return Err(format!(
                "`{MERGE}` merges {}, a mapping or a list of mappings is wanted",
                source.describe()
            ));
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
fn apply_within(items: &mut [Node]) -> Result<(), String> {
    for item in items {
        match item {
            Node::Null | Node::Scalar(_) => {}
            Node::Map(inner) => apply(inner)?,
            Node::List(items) => apply_within(items)?,
        }
    }
    Ok(())
}
