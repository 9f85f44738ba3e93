//! Small integers that stand for configured things, so that no name is compared on the hot path.

/// A provider's place in the Plan, in declaration order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(pub u16);

/// A route group's place in the Plan, in declaration order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

/// A route's place in the Plan; it is also the place of its rotation ticket among the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

/// What a rolling minute and places in flight belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A provider.
    Provider(ProviderId),
    /// A scope of callers: a team, a key, a key's models, a caller.
    Scope(ScopeId),
}

/// A scope of callers that has limits. It keeps its id from one file to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u32);

/// A budget of a scope of callers. It keeps its id from one file to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetId(pub u32);

/// A shard's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ProviderId {
    /// The id as an index into a per-provider table.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl GroupId {
    /// The id as an index into a per-group table.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl RouteId {
    /// The id as an index into a per-route table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ScopeId {
    /// The id as an index into a per-scope table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl BudgetId {
    /// The id as an index into a per-budget table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ShardId {
    /// The id as an index into a per-shard table.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
