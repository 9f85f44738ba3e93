//! Limits per day of all scopes of callers: what was made and used, and the turn of the day.

use std::time::Duration;

use crate::base::ids::{ScopeId, Subject};
use crate::base::period::{Per, Period, PeriodTag};
use crate::base::time::{Instant, WallTime};
use crate::config::accounts::Accounts;
use crate::config::scope::{Limits, Reach, Scope};
use crate::ledger::state::State;
use crate::link::facts::{Admitted, Fact, Left};
use crate::link::orders::Order;

/// The running day of all scopes with limits.
pub struct Days {
    /// It never goes back: reports still to come name the day from whose words was taken, and those
    /// words are gone.
    today: Period,
    /// When the day ends, as last ordered.
    ends_at: Instant,
    /// By scope; `None` where no scope ever had the id.
    accounts: Vec<Option<Account>>,
    /// The scopes whose counts have changed since they were last saved: of thousands, few have.
    unsaved: Vec<ScopeId>,
    /// Whether a count has changed since this was last asked.
    changed: bool,
}

/// One scope's day.
///
/// Invariant: the published word is the counted limit less what was used and less what is reserved,
/// unreported requests included. Shards change the words when they take and settle; the books only
/// set them at the start of a day, and change them when a reload changes a limit.
struct Account {
    scope: Scope,
    /// The limits from which the words count down, requests and tokens: those that were last in
    /// force.
    counted: [Option<u64>; 2],
    /// Whether the words hold a part that is leased: then they begin at 0, and whoever leases
    /// changes them beside the books.
    is_leased: bool,
    /// Requests made and tokens used, as far as shards have reported them.
    used: [u64; 2],
    is_saved: bool,
}

impl Days {
    /// The day at `wall`; `state` has what was used of it before.
    #[must_use]
    pub fn new(accounts: &Accounts, wall: WallTime, state: &State) -> Self {
        let mut days = Self {
            today: Period::of(Per::Day, wall),
            ends_at: Instant::ZERO,
            accounts: Vec::new(),
            unsaved: Vec::new(),
            changed: false,
        };
        days.adopt(accounts, &[], state, &mut Vec::new());
        days
    }

    /// Adopts the limits of `accounts`: what was used stays, and what is left changes by the
    /// difference of the limits. `fresh` scopes begin with what `state` has under their names.
    pub fn adopt(
        &mut self,
        accounts: &Accounts,
        fresh: &[ScopeId],
        state: &State,
        orders: &mut Vec<Order>,
    ) {
        for place in fresh.iter().map(|id| id.index()) {
            if let Some(account) = self.accounts.get_mut(place) {
                *account = None;
            }
        }
        for account in accounts.all() {
            let Some((id, limits)) = account.limits else {
                continue;
            };
            if self.accounts.len() <= id.index() {
                self.accounts.resize_with(id.index() + 1, || None);
            }
            let is_leased = limits.reach == Reach::Fleet;
            let (limits, today) = (of_day(&limits), self.today);
            if let Some(known) = &mut self.accounts[id.index()] {
                orders.extend(known.adopt(id, (limits, is_leased), today.tag()));
                continue;
            }
            let new = Account {
                scope: account.scope.clone(),
                counted: limits,
                is_leased,
                used: state.used_on(today, &account.scope),
                is_saved: true,
            };
            orders.push(new.begin(id, today.tag()));
            self.accounts[id.index()] = Some(new);
        }
    }

    /// Orders the first value of every scope's words.
    pub fn start(&self, orders: &mut Vec<Order>) {
        let tag = self.today.tag();
        let accounts = (0..).map(ScopeId).zip(&self.accounts);
        orders.extend(accounts.filter_map(|(id, account)| Some(account.as_ref()?.begin(id, tag))));
    }

    /// Takes in a shard's fact.
    pub fn on_fact(&mut self, fact: &Fact) {
        match *fact {
            Fact::Admitted(Admitted {
                subject: Subject::Scope(scope),
                day: Some((day, requests)),
                ..
            }) => self.add(scope, day, [requests, 0]),
            Fact::Left(Left {
                subject: Subject::Scope(scope),
                day: Some(day),
                used,
                ..
            }) => self.add(scope, day, [0, used.get()]),
            Fact::Admitted(_)
            | Fact::Left(_)
            | Fact::Ended(_)
            | Fact::Succeeded(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. }
            | Fact::Forgotten { .. } => {}
        }
    }

    /// Time passes: a new day may begin.
    pub fn on_time(&mut self, now: Instant, wall: WallTime, orders: &mut Vec<Order>) {
        let today = Period::of(Per::Day, wall);
        if today > self.today {
            self.today = today;
            self.unsaved.clear();
            self.changed = true;
            for (id, account) in (0..).map(ScopeId).zip(&mut self.accounts) {
                if let Some(account) = account {
                    account.used = [0; 2];
                    account.is_saved = true;
                    orders.push(account.begin(id, today.tag()));
                }
            }
        }
        let ends_at = now + self.today.left(wall).unwrap_or_default();
        let moved = ends_at.since(self.ends_at).max(self.ends_at.since(ends_at));
        if moved >= CLOCK_JITTER {
            self.ends_at = ends_at;
            orders.push(Order::DayEnds { at: ends_at });
        }
    }

    /// The running day.
    #[must_use]
    pub const fn today(&self) -> Period {
        self.today
    }

    /// Requests that the scope has made in the running day, and tokens that it has used, as far as
    /// shards have reported them.
    #[must_use]
    pub fn used(&self, scope: ScopeId) -> [u64; 2] {
        let account = self.accounts.get(scope.index());
        account.map_or([0; 2], |account| {
            account.as_ref().map_or([0; 2], |one| one.used)
        })
    }

    /// Whether the durable state has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Writes the durable state into `state`; scopes without limits keep theirs.
    pub fn save(&mut self, state: &mut State) {
        for id in self.unsaved.drain(..) {
            if let Some(Some(account)) = self.accounts.get_mut(id.index()) {
                account.is_saved = true;
                state.set_used_on(self.today, &account.scope, account.used);
            }
        }
        state.forget_days(self.today);
    }

    /// A shard reports requests and tokens of the day with this tag: the latest such day that does
    /// not lie in the future. Only the running day counts.
    fn add(&mut self, scope: ScopeId, day: PeriodTag, used: [u64; 2]) {
        let Some(Some(account)) = self.accounts.get_mut(scope.index()) else {
            return;
        };
        if self.today.last_with_tag(day) != self.today || used == [0; 2] {
            return;
        }
        for (sum, more) in account.used.iter_mut().zip(used) {
            *sum = sum.saturating_add(more);
        }
        self.changed = true;
        if std::mem::replace(&mut account.is_saved, false) {
            self.unsaved.push(scope);
        }
    }
}

impl Account {
    /// Adopts limits. A word that never counted down from a limit starts with the rest of it; any
    /// other changes by the difference.
    fn adopt(
        &mut self,
        id: ScopeId,
        (limits, is_leased): ([Option<u64>; 2], bool),
        day: PeriodTag,
    ) -> Option<Order> {
        let was_leased = std::mem::replace(&mut self.is_leased, is_leased);
        let mut changes = [0; 2];
        for (place, limit) in limits.into_iter().enumerate() {
            let Some(limit) = limit else { continue };
            let before = self.counted[place].replace(limit);
            let before = before.unwrap_or(self.used[place]);
            changes[place] = match (was_leased, is_leased) {
                (false, false) => signed(limit).saturating_sub(signed(before)),
                (false, true) => signed(self.used[place]).saturating_sub(signed(before)),
                (true, false) => signed(limit),
                (true, true) => 0,
            };
        }
        let [requests, tokens] = changes;
        (changes != [0; 2]).then_some(Order::DayChange {
            scope: id,
            day,
            requests,
            tokens,
        })
    }

    /// The order with which the day begins for the scope's words. One that never counted down from
    /// a limit begins at 0.
    fn begin(&self, scope: ScopeId, day: PeriodTag) -> Order {
        let left = |place: usize| {
            let limit: Option<u64> = self.counted[place].filter(|_| !self.is_leased);
            limit.map_or(0, |limit| {
                signed(limit).saturating_sub(signed(self.used[place]))
            })
        };
        Order::Day {
            scope,
            day,
            requests: left(0),
            tokens: left(1),
        }
    }
}

/// Requests and tokens per day.
fn of_day(limits: &Limits) -> [Option<u64>; 2] {
    [limits.requests_per_day, limits.tokens_per_day]
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The end of the day is ordered again when it has moved by this much, since the clock was set.
const CLOCK_JITTER: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;
