//! Scopes of callers, and what the file allows each of them: limits and budgets.

use std::fmt;

use crate::base::money::NanoUsd;
use crate::base::period::Per;

/// Who limits and budgets belong to. A request passes those of its team, its key, its key's models
/// and its caller, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A team.
    Team(Box<str>),
    /// A key.
    Key(Box<str>),
    /// A key, where it asks for certain models.
    KeyModels {
        /// The key.
        key: Box<str>,
        /// The models in alphabetical order, with commas.
        models: Box<str>,
    },
    /// A caller: what `X-Infermux-Caller` or a key's `caller` names.
    Caller(Box<str>),
}

/// What a scope is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How much in what time.
    pub limits: Option<Limits>,
    /// What may be spent.
    pub budgets: Box<[Budget]>,
}

/// How much a scope may use in what time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any 60 s.
    pub requests_per_minute: Option<u64>,
    /// Tokens in any 60 s.
    pub tokens_per_minute: Option<u64>,
    /// Requests in a day, UTC.
    pub requests_per_day: Option<u64>,
    /// Tokens in a day, UTC.
    pub tokens_per_day: Option<u64>,
    /// Requests at once.
    pub max_in_flight: Option<u32>,
    /// Whether requests beyond them are refused.
    pub enforce: Enforce,
    /// Whether they hold over all instances.
    pub reach: Reach,
}

/// Whether a limit or a budget refuses what exceeds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforce {
    /// It does.
    #[default]
    Yes,
    /// It counts and reports only.
    No,
}

/// What a limit or a budget holds over, where several instances share a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All instances together.
    #[default]
    Fleet,
    /// Each instance alone.
    Instance,
}

impl Reach {
    /// The lesser of both.
    #[must_use]
    pub fn within(self, most: Self) -> Self {
        match (self, most) {
            (Self::Fleet, Self::Fleet) => Self::Fleet,
            (Self::Instance, _) | (_, Self::Instance) => Self::Instance,
        }
    }
}

/// A budget of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent in each period.
    pub amount: NanoUsd,
    /// The period.
    pub per: Per,
    /// What happens at the limit.
    pub action: BudgetAction,
    /// The model that is served instead once the limit is reached.
    pub model_override: Option<Box<str>>,
    /// Whether requests beyond it are refused, or served with another model.
    pub enforce: Enforce,
    /// Whether it holds over all instances.
    pub reach: Reach,
}

/// What happens when a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetAction {
    /// 429 before a provider is asked; with a `model_override`, that model is served instead.
    HardStop,
    /// The request proceeds; a log event and a metric report it.
    Alert,
    /// The request is served with `model_override`.
    ModelOverride,
}

impl BudgetAction {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HardStop => "hard_stop",
            Self::Alert => "alert",
            Self::ModelOverride => "model_override",
        }
    }
}

impl Allowance {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_none() && self.budgets.is_empty()
    }
}

impl Budget {
    /// Whether it may keep a request from being served as it was asked.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        self.enforce == Enforce::Yes && self.action != BudgetAction::Alert
    }
}

/// `team product`, `key web-app`, `key web-app, model gpt-4o`, `caller agent-7`
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Team(name) => write!(f, "team {name}"),
            Self::Key(name) => write!(f, "key {name}"),
            Self::KeyModels { key, models } => write!(f, "key {key}, model {models}"),
            Self::Caller(name) => write!(f, "caller {name}"),
        }
    }
}
