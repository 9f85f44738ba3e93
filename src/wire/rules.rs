//! Rules that change the members of a JSON object, by path.

use std::fmt;

use super::draft::Draft;
use super::path::Path;

/// Rules in the order in which they are applied: first `rename`, then `remove`, `default` and
/// `set`, so that the last three are about the names that there are in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    all: Box<[Rule]>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    path: Path,
    act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Rename(Path),
    Remove,
    Default(Box<[u8]>),
    Set(Box<[u8]>),
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It moves a value.
    Rename,
    /// It takes a member out.
    Remove,
    /// It gives a value where there is none.
    Default,
    /// It gives a value, whatever there is.
    Set,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 4] = [Self::Rename, Self::Remove, Self::Default, Self::Set];

    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Default => "default",
            Self::Set => "set",
        }
    }
}

impl Rule {
    /// Moves the value at `from` to `to`; a value that is there already stays.
    #[must_use]
    pub const fn rename(from: Path, to: Path) -> Self {
        let act = Act::Rename(to);
        Self { path: from, act }
    }

    /// Takes the member at `path` out.
    #[must_use]
    pub const fn remove(path: Path) -> Self {
        let act = Act::Remove;
        Self { path, act }
    }

    /// Puts this JSON value at `path`, where there is none or `null`.
    #[must_use]
    pub const fn default(path: Path, value: Box<[u8]>) -> Self {
        let act = Act::Default(value);
        Self { path, act }
    }

    /// Puts this JSON value at `path`.
    #[must_use]
    pub const fn set(path: Path, value: Box<[u8]>) -> Self {
        let act = Act::Set(value);
        Self { path, act }
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.act {
            Act::Rename(_) => Kind::Rename,
            Act::Remove => Kind::Remove,
            Act::Default(_) => Kind::Default,
            Act::Set(_) => Kind::Set,
        }
    }

    /// Applies the rule; returns whether it has changed anything.
    fn apply<'a>(&'a self, draft: &mut Draft<'a>) -> bool {
        match &self.act {
            Act::Rename(to) => draft.rename(&self.path, to),
            Act::Remove => draft.remove(&self.path),
            Act::Default(value) => draft.set_absent(&self.path, value),
            Act::Set(value) => draft.set(&self.path, value),
        }
    }
}

/// Tells what it does and to which parameter, never which value it gives: that may be a secret.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.path)?;
        match &self.act {
            Act::Rename(to) => write!(f, " to {to}"),
            Act::Remove | Act::Default(_) | Act::Set(_) => Ok(()),
        }
    }
}

impl Rules {
    /// These rules; those of one kind are applied in this order.
    #[must_use]
    pub fn new(mut all: Vec<Rule>) -> Self {
        all.sort_by_key(Rule::kind);
        Self { all: all.into() }
    }

    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many rules there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// The rules in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.all.iter()
    }

    /// Adds the names that the rules address.
    pub fn name<'a>(&'a self, names: &mut Vec<&'a [u8]>) {
        for rule in &self.all {
            let target = match &rule.act {
                Act::Rename(to) => Some(to),
                Act::Remove | Act::Default(_) | Act::Set(_) => None,
            };
            let paths = [Some(&rule.path), target];
            let steps = paths.into_iter().flatten().flat_map(Path::steps);
            for step in steps {
                let name = &*step.name;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }

    /// Whether `rule` gives a default for a path for which these rules have a default, too.
    #[must_use]
    pub fn have_default_for(&self, rule: &Rule) -> bool {
        let is_default = |rule: &Rule| rule.kind() == Kind::Default;
        let mut own = self.all.iter().filter(|own| is_default(own));
        is_default(rule) && own.any(|own| own.path == rule.path)
    }

    /// Applies the rules that `hold`, and calls `on_change` with each that has changed anything.
    pub fn apply<'a>(
        &'a self,
        draft: &mut Draft<'a>,
        hold: impl Fn(&Rule) -> bool,
        mut on_change: impl FnMut(&'a Rule),
    ) {
        for rule in self.all.iter().filter(|rule| hold(rule)) {
            if rule.apply(draft) {
                on_change(rule);
            }
        }
    }
}
