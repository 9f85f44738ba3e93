//! What is changed in the bodies of requests.

use std::sync::Arc;

use crate::base::limits::RULES_MAX;
use crate::config::faults::printable;
use crate::config::patterns::{PATTERNS_MAX, Pattern};
use crate::config::raw::fields::Block;
use crate::wire::path::Path;
use crate::wire::rules::{Rule, Rules};

/// Reads `request` of a provider or of a model; `None`: nothing is changed.
pub fn read(owner: &Block<'_>) -> Option<Arc<Rules>> {
    let block = &owner.block("request");
    let mut rules = taken_out(block);
    for (key, rule) in [("default", Rule::default as Make), ("set", Rule::set)] {
        for (text, value) in block.values(key) {
            let path = path(block, &format!("{key}.{text}"), text);
            rules.extend(path.map(|path| rule(path, value.into())));
        }
    }
    if rules.len() > RULES_MAX {
        let problem = format!("there are {} rules, at most {RULES_MAX} fit", rules.len());
        owner.fault("request", problem);
    }
    shared(rules)
}

/// Reads `model_families`: patterns of models, and what is left out in requests for them.
pub fn families(root: &Block<'_>) -> Box<[(Pattern, Option<Arc<Rules>>)]> {
    let mut families = Vec::new();
    let all = root.named_blocks("model_families", "model_families.<pattern>");
    if all.len() > PATTERNS_MAX {
        let problem = format!(
            "there are {} families, at most {PATTERNS_MAX} fit",
            all.len()
        );
        root.fault("model_families", problem);
    }
    for (pattern, block) in all {
        let rules = taken_out(&block);
        match Pattern::parse(pattern) {
            Ok(read) => families.push((read, shared(rules))),
            Err(problem) => root.fault(
                &format!("model_families.{pattern}"),
                format!("`{}` {problem}", printable(pattern)),
            ),
        }
    }
    families.into()
}

fn shared(rules: Vec<Rule>) -> Option<Arc<Rules>> {
    let rules = Rules::new(rules);
    (!rules.is_empty()).then(|| Arc::new(rules))
}

/// Reads `rename` and `remove`.
fn taken_out(block: &Block<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (from, to) in block.names("rename") {
        let field = format!("rename.{from}");
        let (from, to) = (path(block, &field, from), path(block, &field, to));
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        if from.is_within(&to) || to.is_within(&from) {
            let problem = format!("`{from}` and `{to}` are one within the other");
            block.fault(&field, problem);
            continue;
        }
        rules.push(Rule::rename(from, to));
    }
    for (place, text) in block.texts("remove") {
        let path = path(block, &format!("remove[{place}]"), text);
        rules.extend(path.map(Rule::remove));
    }
    rules
}

type Make = fn(Path, Box<[u8]>) -> Rule;

/// A path that may be named.
fn path(block: &Block<'_>, field: &str, text: &str) -> Option<Path> {
    let path = Path::parse(text).map_err(|problem| format!("`{}` {problem}", printable(text)));
    let path = path.and_then(|path| {
        let own = OWN.iter().find(|own| own.as_bytes() == path.first());
        match own {
            None => Ok(path),
            Some(own) => Err(format!(
                "`{own}` is no parameter: {} cannot be named",
                OWN.join(", ")
            )),
        }
    });
    path.map_err(|problem| block.fault(field, problem)).ok()
}

/// Members that infermux goes by, and what the model is asked.
const OWN: [&str; 4] = ["model", "stream", "messages", "input"];
