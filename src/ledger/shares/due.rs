//! Which quotas are to be looked at, by when: of thousands, few are at a time.

use std::collections::BTreeSet;

use crate::base::time::Instant;
use crate::ledger::shares::quota::ShareId;

/// The quotas that are to be looked at.
#[derive(Debug, Default)]
pub struct Due {
    all: BTreeSet<(Instant, ShareId)>,
    /// By quota, when it stands in `all`; [`Instant::NEVER`]: it does not.
    at: Vec<Instant>,
}

impl Due {
    /// The next one, and when it is to be looked at.
    #[must_use]
    pub fn first(&self) -> Option<(Instant, ShareId)> {
        self.all.first().copied()
    }

    /// The quota is looked at no later than `at`.
    pub fn no_later(&mut self, id: ShareId, at: Instant) {
        if at < self.of(id) {
            self.set(id, at);
        }
    }

    /// The quota is looked at next at `at`; [`Instant::NEVER`]: not at all.
    pub fn set(&mut self, id: ShareId, at: Instant) {
        if self.at.len() <= id.index() {
            self.at.resize(id.index() + 1, Instant::NEVER);
        }
        let before = std::mem::replace(&mut self.at[id.index()], at);
        self.all.remove(&(before, id));
        if at < Instant::NEVER {
            self.all.insert((at, id));
        }
        debug_assert!(self.all.len() <= self.at.len());
    }

    fn of(&self, id: ShareId) -> Instant {
        self.at.get(id.index()).copied().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once_at_its_earliest_moment() {
        let (mut due, at) = (Due::default(), Instant::from_millis);
        due.no_later(ShareId(3), at(50));
        due.no_later(ShareId(1), at(40));
        due.no_later(ShareId(3), at(30));
        due.no_later(ShareId(3), at(60));
        assert_eq!(due.first(), Some((at(30), ShareId(3))));
        due.set(ShareId(3), Instant::NEVER);
        assert_eq!(due.first(), Some((at(40), ShareId(1))));
        due.set(ShareId(1), at(90));
        assert_eq!(
            (due.first(), due.all.len()),
            (Some((at(90), ShareId(1))), 1)
        );
    }
}
