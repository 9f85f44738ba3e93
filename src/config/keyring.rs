//! Callers' keys: whose they are, until when they are good, and what they may ask for. Only their
//! digests are known.

use std::fmt;

use crate::base::digest::Digest;
use crate::base::map::Map;
use crate::base::time::WallTime;
use crate::config::patterns::Pattern;
use crate::config::scope::Allowance;

/// All keys of callers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Box<[CallerKey]>,
    /// Places of the secrets whose digests begin so: of their keys, and among the key's own.
    secrets: Map<u64, (u32, u32)>,
}

/// The beginnings of digests stay out of every log, as digests do.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Keyring");
        told.field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// A key of a caller. It may have several secrets while it is being rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKey {
    /// Its name in logs and reports. No two keys share one.
    pub name: Box<str>,
    /// The team that it belongs to.
    pub team: Option<Box<str>>,
    /// The caller that its requests are counted for.
    pub caller: Box<str>,
    /// Other callers that its requests may name.
    pub callers: Box<[NamePattern]>,
    /// The models that it may ask for; `None`: all.
    pub models: Option<Box<[NamePattern]>>,
    /// From when on it is not good any more.
    pub expires: Option<WallTime>,
    /// Whether it is out of use.
    pub is_disabled: bool,
    /// Whether its streams tell their cost, as if each request asked for that.
    pub stream_cost: bool,
    /// Its limits and budgets.
    pub allowance: Allowance,
    /// Those for certain models.
    pub per_model: Box<[PerModel]>,
    /// What its secrets are known by.
    pub secrets: Box<[KeySecret]>,
}

/// Limits and budgets of a key that certain models share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerModel {
    /// The models.
    pub models: Box<[NamePattern]>,
    /// Their limits and budgets.
    pub allowance: Allowance,
}

/// What a secret is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySecret {
    /// The digest of the whole key.
    pub digest: Digest,
    /// From when on it is not good any more.
    pub until: Option<WallTime>,
}

/// Callers' keys, as far as the configuration has them.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedKeys {
    /// The keys.
    pub keys: Box<[CallerKey]>,
    /// The file with more of them.
    pub file: Option<Box<str>>,
}

/// Names that a key may use: one name, or all that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Name(Box<str>),
    /// Every name that matches.
    Pattern(Pattern),
}

/// Keys that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its name. No two teams share one.
    pub name: Box<str>,
    /// The models that its keys may ask for; `None`: all.
    pub models: Option<Box<[NamePattern]>>,
    /// The limits and budgets that its keys share.
    pub allowance: Allowance,
}

impl CallerKey {
    /// What is allowed with it: in all, then for certain models.
    pub fn allowances(&self) -> impl Iterator<Item = &Allowance> {
        let per_model = self.per_model.iter().map(|one| &one.allowance);
        std::iter::once(&self.allowance).chain(per_model)
    }
}

impl PerModel {
    /// Whether both are for the same models, in any order.
    #[must_use]
    pub fn has_models_of(&self, other: &Self) -> bool {
        self.label() == other.label()
    }

    /// The models as one text, with commas, in an order of its own: what is counted under it goes
    /// on when the file lists them in another.
    #[must_use]
    pub fn label(&self) -> Box<str> {
        let mut models: Vec<String> = self.models.iter().map(NamePattern::text).collect();
        models.sort_unstable();
        models.dedup();
        models.join(", ").into()
    }
}

impl Keyring {
    /// A ring of `keys`.
    ///
    /// # Errors
    ///
    /// Two keys have the same secret; the places of both.
    pub fn new(keys: Vec<CallerKey>) -> Result<Self, [usize; 2]> {
        let mut secrets: Map<u64, (u32, u32)> = Map::default();
        for (place, key) in (0_u32..).zip(&keys) {
            for (which, secret) in (0_u32..).zip(&key.secrets) {
                if let Some((other, _)) = secrets.insert(secret.digest.prefix(), (place, which)) {
                    return Err([other as usize, place as usize]);
                }
            }
        }
        let keys = keys.into();
        Ok(Self { keys, secrets })
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[CallerKey] {
        &self.keys
    }

    /// The place of the key with this digest, and which of its secrets it is.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<(usize, usize)> {
        let (place, which) = self.secrets.get(&digest.prefix())?;
        let (place, which) = (*place as usize, *which as usize);
        let secret = self.keys.get(place)?.secrets.get(which)?;
        secret.digest.is(digest).then_some((place, which))
    }
}

impl NamePattern {
    /// Reads a name or a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with the pattern, as the end of a sentence that starts with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            Pattern::parse(text).map(Self::Pattern)
        } else {
            Ok(Self::Name(text.into()))
        }
    }

    /// As the file has it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Pattern(pattern) => pattern.text(),
        }
    }

    /// Whether `name` is one of these.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => **own == *name,
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

/// Whether `name` is in a list that may be absent: then every name is.
#[must_use]
pub fn allows(list: Option<&[NamePattern]>, name: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|one| one.matches(name)))
}
