//! Callers' keys and their teams.

use std::collections::{HashMap, HashSet};

use crate::base::digest::Digest;
use crate::base::limits::{
    CALLER_KEYS_MAX, KEYS_BUDGETS_MAX, KEYS_LIMITS_MAX, PER_MODEL_MAX, TEAMS_MAX,
};
use crate::base::time::WallTime;
use crate::config::check::allowance;
use crate::config::faults::Findings;
use crate::config::keyring::{CallerKey, KeySecret, Keyring, NamePattern, PerModel, Team};
use crate::config::moment;
use crate::config::plan::{Auth, Plan, Provider};
use crate::config::raw::fields::Block;
use crate::config::routes::Served;
use crate::config::scope::{Allowance, Budget};

/// What is known beside a list of keys. What is not known is not checked.
#[derive(Default)]
pub struct Known<'a> {
    teams: Option<HashSet<&'a str>>,
    served: Option<Served<'a>>,
}

impl<'a> Known<'a> {
    /// These teams, and the models of these providers.
    #[must_use]
    pub fn new(teams: &'a [Team], providers: &'a [Provider]) -> Self {
        Self {
            teams: Some(teams.iter().map(|team| &*team.name).collect()),
            served: Some(Served::new(providers)),
        }
    }

    /// What `plan` has.
    #[must_use]
    pub fn of(plan: &'a Plan) -> Self {
        Self::new(&plan.teams, &plan.providers)
    }
}

/// Reads the teams.
pub fn teams(root: &Block<'_>, served: &Served<'_>) -> Box<[Team]> {
    let blocks = root.blocks("teams");
    if blocks.len() > TEAMS_MAX {
        root.fault("teams", format!("there are more than {TEAMS_MAX} teams"));
        return Box::default();
    }
    let mut seen: HashMap<Box<str>, String> = HashMap::new();
    let mut teams = Vec::new();
    for block in blocks {
        let name: Box<str> = block.text("name").unwrap_or_default().into();
        if let Some(other) = seen.insert(name.clone(), block.path().to_owned())
            && !name.is_empty()
        {
            block.fault("name", format!("`{name}` is the name of {other}, too"));
        }
        teams.push(Team {
            name,
            models: models(&block),
            allowance: allowance::read(&block, Some(served)),
        });
    }
    teams.into()
}

/// Reads the list of keys in a block of `auth`, or of a file of keys.
#[must_use]
pub fn keys(block: &Block<'_>, known: &Known<'_>) -> Vec<CallerKey> {
    let blocks = block.blocks("keys");
    if let Some(beyond) = blocks.get(CALLER_KEYS_MAX) {
        beyond.fault(
            "name",
            format!("there are more than {CALLER_KEYS_MAX} keys"),
        );
        return Vec::new();
    }
    blocks.iter().map(|block| key(block, known)).collect()
}

/// The budgets of `teams`, and of the keys that stand in the configuration.
pub fn budgets<'a>(teams: &'a [Team], auth: &'a Auth) -> impl Iterator<Item = &'a Budget> {
    let keys = match auth {
        Auth::Keys(listed) => &*listed.keys,
        Auth::Passthrough | Auth::StaticKey(_) => &[],
    };
    let of_teams = teams.iter().map(|team| &team.allowance);
    let of_keys = keys.iter().flat_map(CallerKey::allowances);
    of_teams.chain(of_keys).flat_map(|one| &one.budgets)
}

/// Puts the keys of all lists together; `findings` take the faults.
pub fn ring(findings: &Findings, keys: Vec<CallerKey>) -> Keyring {
    let mut seen = HashSet::new();
    for key in &keys {
        if !seen.insert(&key.name) && !key.name.is_empty() {
            findings.fault(PATH, format!("two keys have the name `{}`", key.name));
        }
    }
    let limits = |one: &&Allowance| one.limits.is_some();
    let all = || keys.iter().flat_map(CallerKey::allowances);
    if all().filter(limits).count() > KEYS_LIMITS_MAX {
        let problem = format!("there are more than {KEYS_LIMITS_MAX} `limits`");
        findings.fault(PATH, problem);
    }
    if all().map(|one| one.budgets.len()).sum::<usize>() > KEYS_BUDGETS_MAX {
        let problem = format!("there are more than {KEYS_BUDGETS_MAX} budgets");
        findings.fault(PATH, problem);
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

fn key(block: &Block<'_>, known: &Known<'_>) -> CallerKey {
    let name: Box<str> = block.text("name").unwrap_or_default().into();
    // Without a value, the key could do more than with one.
    let team = team(block, known);
    block.refuse_empty("expires");
    let callers = "nothing would be allowed; leave it out, which means the same";
    block.refuse_empty_list("callers", callers);
    CallerKey {
        team,
        caller: block
            .text("caller")
            .map_or_else(|| name.clone(), Into::into),
        callers: patterns(block, "callers").unwrap_or_default(),
        models: models(block),
        expires: end(block, "expires"),
        is_disabled: block.flag("disabled").unwrap_or(false),
        stream_cost: block.flag("stream_cost").unwrap_or(false),
        allowance: allowance::read(block, known.served.as_ref()),
        per_model: per_model(block, known.served.as_ref()),
        secrets: secrets(block),
        name,
    }
}

fn team(block: &Block<'_>, known: &Known<'_>) -> Option<Box<str>> {
    block.refuse_empty("team");
    let team = block.text("team")?;
    if let Some(names) = known.teams.as_ref().filter(|names| !names.contains(team)) {
        let hint = block.hint(team, names.iter().copied());
        block.fault("team", format!("no team has the name `{team}`{hint}"));
    }
    Some(team.into())
}

fn per_model(outer: &Block<'_>, served: Option<&Served<'_>>) -> Box<[PerModel]> {
    outer.refuse_empty_list("per_model", "leave it out, or give it an entry");
    let count = outer.count("per_model");
    if count > PER_MODEL_MAX {
        let problem = format!("has {count} entries, at most {PER_MODEL_MAX} fit");
        outer.fault("per_model", problem);
        return Box::default();
    }
    let mut entries: Vec<PerModel> = Vec::new();
    for block in outer.blocks("per_model") {
        block.require_items("models", "at least one model is required");
        if !block.has("limits") && !block.has("budgets") {
            block.missing("limits", "or `budgets` is required");
        }
        let entry = PerModel {
            models: patterns(&block, "models").unwrap_or_default(),
            allowance: allowance::read(&block, served),
        };
        let same = |one: &PerModel| !one.models.is_empty() && one.has_models_of(&entry);
        if let Some(place) = entries.iter().position(same) {
            let problem = format!("are those of per_model[{place}], too: put both into one entry");
            block.fault("models", problem);
        }
        entries.push(entry);
    }
    entries.into()
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
    block.refuse_empty_list("hashes", "the key could not be used");
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

/// The models that may be asked for; `None`: all.
fn models(block: &Block<'_>) -> Option<Box<[NamePattern]>> {
    let empty = "nothing would be allowed; leave it out to allow everything";
    block.refuse_empty_list("models", empty);
    patterns(block, "models")
}

/// The names and patterns of a list; `None` where there is none.
fn patterns(block: &Block<'_>, name: &str) -> Option<Box<[NamePattern]>> {
    block.node(name)?;
    let mut patterns = Vec::new();
    for (place, text) in block.texts(name) {
        match NamePattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => block.fault(&format!("{name}[{place}]"), format!("`{text}` {problem}")),
        }
    }
    Some(patterns.into())
}
