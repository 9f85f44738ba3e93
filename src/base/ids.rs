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

/// A budget's place in the Plan, in the order of the file.
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
