//! Callers' keys and their teams.

use std::collections::{HashMap, HashSet};

use crate::base::digest::Digest;
use crate::base::limits::CALLER_KEYS_MAX;
use crate::base::time::WallTime;
use crate::config::faults::Findings;
use crate::config::keyring::{CallerKey, KeySecret, Keyring, NamePattern, Team};
use crate::config::moment;
use crate::config::raw::fields::Block;
use crate::config::scope::Allowance;

/// Reads the teams.
pub fn teams(root: &Block<'_>) -> Box<[Team]> {
    let mut seen: HashMap<Box<str>, String> = HashMap::new();
    let mut teams = Vec::new();
    for block in root.blocks("teams") {
        let name: Box<str> = block.text("name").unwrap_or_default().into();
        if let Some(other) = seen.insert(name.clone(), block.path().to_owned())
            && !name.is_empty()
        {
            block.fault("name", format!("`{name}` is the name of {other}, too"));
        }
        teams.push(Team {
            name,
            models: patterns(&block, "models"),
            allowance: Allowance::default(),
        });
    }
    teams.into()
}

/// Reads the list of keys in a block of `auth`, or of a file of keys.
#[must_use]
pub fn keys(block: &Block<'_>, teams: &[Team]) -> Vec<CallerKey> {
    let blocks = block.blocks("keys");
    if let Some(beyond) = blocks.get(CALLER_KEYS_MAX) {
        beyond.fault(
            "name",
            format!("there are more than {CALLER_KEYS_MAX} keys"),
        );
        return Vec::new();
    }
    let names: HashSet<&str> = teams.iter().map(|team| &*team.name).collect();
    blocks.iter().map(|block| key(block, &names)).collect()
}

/// Puts the keys of all lists together; `findings` take the faults.
pub fn ring(findings: &Findings, keys: Vec<CallerKey>) -> Keyring {
    let mut seen = HashSet::new();
    for key in &keys {
        if !seen.insert(&key.name) && !key.name.is_empty() {
            findings.fault(PATH, format!("two keys have the name `{}`", key.name));
        }
    }
    let names: Vec<Box<str>> = keys.iter().map(|key| key.name.clone()).collect();
    Keyring::new(keys).unwrap_or_else(|[one, other]| {
        let (one, other) = (&names[one], &names[other]);
        findings.fault(
            PATH,
            format!("the keys `{one}` and `{other}` have one secret"),
        );
        Keyring::default()
    })
}

/// Where the keys are in the configuration.
const PATH: &str = "auth.keys";

fn key(block: &Block<'_>, teams: &HashSet<&str>) -> CallerKey {
    let name: Box<str> = block.text("name").unwrap_or_default().into();
    // Without a value, the key could do more than with one.
    block.refuse_empty("team");
    block.refuse_empty("expires");
    let team = block.text("team");
    if let Some(team) = team.filter(|team| !teams.contains(team)) {
        let hint = block.hint(team, teams.iter().copied());
        block.fault("team", format!("no team has the name `{team}`{hint}"));
    }
    CallerKey {
        team: team.map(Into::into),
        caller: block
            .text("caller")
            .map_or_else(|| name.clone(), Into::into),
        callers: patterns(block, "callers").unwrap_or_default(),
        models: patterns(block, "models"),
        expires: end(block, "expires"),
        is_disabled: block.flag("disabled").unwrap_or(false),
        stream_cost: block.flag("stream_cost").unwrap_or(false),
        allowance: Allowance::default(),
        per_model: Box::default(),
        secrets: secrets(block),
        name,
    }
}

fn secrets(block: &Block<'_>) -> Box<[KeySecret]> {
    let single = block.has("hash");
    match (single, block.has("hashes")) {
        (true, true) => block.fault("hash", "stands beside `hashes`: use one of them"),
        (false, false) => block.missing("hash", "is required"),
        (true, false) | (false, true) => {}
    }
    if single {
        let digest = digest(block);
        let secret = digest.map(|digest| KeySecret {
            digest,
            until: None,
        });
        return secret.into_iter().collect();
    }
    let blocks = block.blocks("hashes");
    let secrets = blocks.iter().filter_map(|block| {
        block.refuse_empty("until");
        let until = end(block, "until");
        digest(block).map(|digest| KeySecret { digest, until })
    });
    secrets.collect()
}

/// The digest in the field `hash`: `sha256:` and 64 digits.
fn digest(block: &Block<'_>) -> Option<Digest> {
    let text = block.text("hash")?;
    if block.is_unresolved("hash") {
        return None;
    }
    let digest = text.strip_prefix("sha256:").and_then(Digest::parse);
    if digest.is_none() {
        let problem = "is not `sha256:` and 64 hexadecimal digits; `infermux key hash` prints it";
        block.fault("hash", problem);
    }
    digest
}

fn end(block: &Block<'_>, name: &str) -> Option<WallTime> {
    block.read(name, |_, text| moment::parse_end(text))
}

/// The names and patterns of a list; `None` where there is none.
fn patterns(block: &Block<'_>, name: &str) -> Option<Box<[NamePattern]>> {
    block.refuse_empty(name);
    block.node(name)?;
    if block.count(name) == 0 {
        block.fault(
            name,
            "is empty: nothing would be allowed; leave it out to allow everything",
        );
    }
    let mut patterns = Vec::new();
    for (place, text) in block.texts(name) {
        match NamePattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => block.fault(&format!("{name}[{place}]"), format!("`{text}` {problem}")),
        }
    }
    Some(patterns.into())
}
