//! The facts of one shard that wait to be handed over, those of a kind as one.

use crate::base::ids::{BudgetId, ProviderId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::base::time::Instant;
use crate::link::facts::{Admitted, Fact, Left, Success, Successes};

/// Facts in their order. What is told of one scope, one budget or one provider's successes again
/// and again becomes one fact each, so that the coordinator's work goes by the number of these and
/// not by that of requests.
#[derive(Debug)]
pub struct Gathered {
    facts: Vec<Fact>,
    /// By kind and id, the place of the latest such fact. Ids share entries, and an entry may be
    /// out of date: it is checked.
    latest: Box<[u16; ENTRIES]>,
}

/// Kinds of facts that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AdmittedBySubject,
    LeftSubject,
    Settled,
    Succeeded,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            facts: Vec::new(),
            latest: Box::new([NOWHERE; ENTRIES]),
        }
    }
}

impl Gathered {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Adds `fact` to an earlier one, where both are about the same and no book can tell them apart
    /// from their sum; returns whether there was such a one.
    #[must_use]
    pub fn join(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::Admitted(one) => self.join_admitted(one),
            Fact::Left(one) => self.join_left(one),
            Fact::Settled {
                budget,
                period,
                cost,
                first: _,
            } => self.join_settled(*budget, *period, *cost),
            Fact::Refused { .. }
            | Fact::Ended(_)
            | Fact::Succeeded(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Forgotten { .. } => false,
        }
    }

    /// As [`Self::join`], for a fact of this kind.
    #[inline]
    #[must_use]
    pub fn join_admitted(&mut self, one: &Admitted) -> bool {
        match self.latest(Kind::AdmittedBySubject, number(one.subject)) {
            Some(Fact::Admitted(latest)) => latest.join(one),
            Some(_) | None => false,
        }
    }

    /// As [`Self::join`], for a fact of this kind.
    #[inline]
    #[must_use]
    pub fn join_left(&mut self, one: &Left) -> bool {
        match self.latest(Kind::LeftSubject, number(one.subject)) {
            Some(Fact::Left(latest)) => latest.join(one),
            Some(_) | None => false,
        }
    }

    /// As [`Self::join`], for a request that has cost this much, which a budget pays in a period.
    #[inline]
    #[must_use]
    pub fn join_settled(&mut self, pays: BudgetId, period: PeriodTag, cost: NanoUsd) -> bool {
        match self.latest(Kind::Settled, pays.0) {
            Some(Fact::Settled {
                budget,
                period: same,
                cost: sum,
                first: _,
            }) if (*budget, *same) == (pays, period) => {
                *sum = sum.saturating_add(cost);
                true
            }
            Some(_) | None => false,
        }
    }

    /// What may be the latest fact of this kind about the one with this number.
    #[inline]
    fn latest(&mut self, kind: Kind, number: u32) -> Option<&mut Fact> {
        let place = self.latest[entry(kind, number)];
        self.facts.get_mut(usize::from(place))
    }

    /// Appends `fact`.
    pub fn push(&mut self, fact: Fact) {
        let place = u16::try_from(self.facts.len()).unwrap_or(NOWHERE);
        if let Some((kind, number)) = key(&fact) {
            self.latest[entry(kind, number)] = place;
            if kind == Kind::AdmittedBySubject {
                // What leaves is told behind what was admitted.
                self.latest[entry(Kind::LeftSubject, number)] = NOWHERE;
            }
        }
        if let Some(provider) = provider_apart(&fact) {
            // A success that ends after this is told after it.
            self.latest[entry(Kind::Succeeded, u32::from(provider.0))] = NOWHERE;
        }
        self.facts.push(fact);
    }

    /// Adds a success to earlier ones of its provider; returns whether there were some to which it
    /// could be added.
    #[must_use]
    pub fn succeed(&mut self, provider: ProviderId, at: Instant, success: Success) -> bool {
        match self.latest(Kind::Succeeded, u32::from(provider.0)) {
            Some(Fact::Succeeded(all)) => all.add(provider, at, success),
            Some(_) | None => false,
        }
    }

    /// Takes all of them; there is room for `room` in place of them.
    #[must_use]
    pub fn take(&mut self, room: usize) -> Vec<Fact> {
        std::mem::replace(&mut self.facts, Vec::with_capacity(room))
    }

    /// Takes facts back that could not be handed over, where there are no others.
    pub fn put_back(&mut self, facts: Vec<Fact>) {
        debug_assert!(self.facts.is_empty());
        self.facts = facts;
    }
}

/// What facts are joined by; `None`: this one stands by itself.
fn key(fact: &Fact) -> Option<(Kind, u32)> {
    match fact {
        Fact::Admitted(Admitted { subject, .. }) => {
            Some((Kind::AdmittedBySubject, number(*subject)))
        }
        Fact::Left(Left { subject, .. }) => Some((Kind::LeftSubject, number(*subject))),
        Fact::Settled { budget, .. } => Some((Kind::Settled, budget.0)),
        Fact::Succeeded(Successes { provider, .. }) => {
            Some((Kind::Succeeded, u32::from(provider.0)))
        }
        Fact::Ended(_)
        | Fact::Refused { .. }
        | Fact::Cooldown { .. }
        | Fact::ProbeTaken { .. }
        | Fact::ProbeAnswered { .. }
        | Fact::Forgotten { .. } => None,
    }
}

/// The provider about whose circuit or pause this fact says something by itself.
fn provider_apart(fact: &Fact) -> Option<ProviderId> {
    match fact {
        Fact::Ended(ended) => Some(ended.provider),
        Fact::Cooldown { provider, .. }
        | Fact::ProbeTaken { provider, .. }
        | Fact::ProbeAnswered { provider, .. }
        | Fact::Forgotten { provider, .. } => Some(*provider),
        Fact::Admitted(_)
        | Fact::Left(_)
        | Fact::Succeeded(_)
        | Fact::Settled { .. }
        | Fact::Refused { .. } => None,
    }
}

fn number(subject: Subject) -> u32 {
    match subject {
        Subject::Provider(id) => u32::from(id.0) << 1,
        Subject::Scope(id) => id.0 << 1 | 1,
    }
}

const fn entry(kind: Kind, number: u32) -> usize {
    ((number as usize) << 2 | kind as usize) % ENTRIES
}

/// Entries for 512 ids of each kind, half as many where they are shared by providers and scopes.
const ENTRIES: usize = 2_048;
/// No place: no list is as long.
const NOWHERE: u16 = u16::MAX;

#[cfg(test)]
#[path = "gathered_tests.rs"]
mod tests;
