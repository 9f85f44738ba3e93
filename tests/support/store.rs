//! The shared store as a machine: what the scripts of `ledger::shares` do, in Rust.
//!
//! The simulation plays with it, and `tests/store.rs` holds it against the scripts on a real
//! server, answer by answer. Moments are milliseconds of the store's clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::time::WallTime;
use infermux::testing::ledger::shares::{
    Ask, AskAnswer, Granted, Hello, HelloAnswer, Kept, Kind, Member, Short, Welcome,
};

const LEARNING: u64 = 2_000;
const SILENCE: u64 = 1_500;
const CLAIM: u64 = 2_500;
const HUNGRY: u64 = 2_000;
const FOLD_TTLS: u64 = 10;

/// Everything that a namespace holds; a copy of it is older data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    /// Absent: nobody was ever there.
    epoch: Option<u64>,
    run: Arc<str>,
    learning: Option<Learning>,
    members: BTreeMap<Arc<str>, Known>,
    asides: BTreeMap<Arc<str>, u64>,
    quotas: BTreeMap<Arc<str>, Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learning {
    began: u64,
    spoke: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    generation: u64,
    till: u64,
    nonce: u64,
    claim: Option<Claim>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    nonce: u64,
    first: u64,
    last: u64,
    contested: bool,
}

/// One quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    held: BTreeMap<Arc<str>, Held>,
    ghost: Option<(u64, u64)>,
    base: Base,
    /// The sum, the epoch, and until when those who held it may use it.
    known: Option<(u64, u64, u64)>,
    short: Option<(Arc<str>, u64)>,
}

/// What was held in a period by those who do not come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Base {
    charged: u64,
    spent: u64,
    lost: u64,
}

/// What one process holds of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    generation: u64,
    number: u64,
    charged: u64,
    spent: u64,
    till: u64,
    hungry: u64,
    kept: Kept,
    inherited: u64,
}

/// What an ask reads of a quota before it changes anything.
struct Sight {
    ghost: u64,
    /// What the others hold, and what of it those hold who may be dead.
    others: u64,
    dead: u64,
    spent: u64,
    lost: u64,
    /// Living others: what each holds, and since when it lacks some.
    living: Vec<(u64, u64)>,
}

impl Store {
    pub(crate) fn hello(&mut self, now: u64, member: &Member, hello: &Hello) -> HelloAnswer {
        if self.epoch.is_none() || self.run != hello.run {
            self.renew(now);
            self.run = Arc::clone(&hello.run);
        }
        let learning = self.learning(now);
        let ttl = millis(member.ttl);
        let known = self.members.entry(Arc::clone(&member.id)).or_default();
        let mut generation = member.generation;
        if generation == 0 && known.nonce == hello.nonce && known.generation > 0 {
            generation = known.generation;
        }
        let running = known
            .claim
            .filter(|claim| now - claim.last.min(now) <= SILENCE);
        if generation > 0 {
            if known.generation > generation {
                return HelloAnswer::Replaced;
            }
            known.claim = running.map(|claim| Claim {
                contested: true,
                ..claim
            });
        } else {
            if known.till > now {
                if running.is_some_and(|claim| claim.nonce != hello.nonce) {
                    return HelloAnswer::Wait;
                }
                let fresh = Claim {
                    nonce: hello.nonce,
                    first: now,
                    last: now,
                    contested: false,
                };
                let claim = Claim {
                    last: now,
                    ..running.unwrap_or(fresh)
                };
                known.claim = Some(claim);
                if claim.contested {
                    return HelloAnswer::Taken;
                }
                if now - claim.first < CLAIM {
                    return HelloAnswer::Wait;
                }
            }
            generation = (known.generation + 1).max(now);
            known.claim = None;
        }
        (known.generation, known.nonce, known.till) = (generation, hello.nonce, now + ttl);
        for (provider, span) in &hello.put_asides {
            let until = self.asides.entry(Arc::clone(provider)).or_default();
            *until = (*until).max(now + millis(*span));
        }
        self.asides.retain(|_, until| *until > now);
        self.members.retain(|_, one| one.till + ttl > now);
        let asides = self.asides.iter();
        HelloAnswer::Welcome(Welcome {
            epoch: self.epoch.unwrap_or_default(),
            generation,
            members: self.members.values().filter(|one| one.till > now).count() as u64,
            now: WallTime::from_unix_millis(now),
            learning: Duration::from_millis(learning),
            put_asides: asides
                .map(|(name, until)| (Arc::clone(name), Duration::from_millis(until - now)))
                .collect(),
        })
    }

    /// Returns whether the process was a member.
    pub(crate) fn leave(&mut self, member: &Member) -> bool {
        let known = self.members.get(&member.id);
        let is_member = known.is_some_and(|known| known.generation == member.generation);
        if is_member {
            self.members.remove(&member.id);
        }
        is_member
    }

    pub(crate) fn ask(&mut self, now: u64, member: &Member, ask: &Ask) -> AskAnswer {
        let Some(epoch) = self.epoch.filter(|epoch| *epoch == member.epoch) else {
            return AskAnswer::Epoch;
        };
        let is_member = self.members.get(&member.id);
        if is_member.is_none_or(|known| known.generation != member.generation) {
            return AskAnswer::Gone;
        }
        let learning = self.learning(now);
        let record = self.quotas.entry(Arc::clone(&ask.name)).or_default();
        let mine = record.held.get(&member.id);
        let mine_now = mine.filter(|one| one.generation == member.generation);
        if ask.answered > 0 && mine_now.is_none_or(|one| one.number < ask.answered) {
            self.renew(now);
            return AskAnswer::Epoch;
        }
        if mine_now.is_some_and(|one| one.number >= ask.number) {
            return AskAnswer::Old;
        }
        let members = &self.members;
        let lives = |id: &str| members.get(id).is_some_and(|known| known.till > now);
        let moment = (now, learning, epoch);
        AskAnswer::Granted(record.take_in(moment, lives, (member, ask)))
    }

    fn renew(&mut self, now: u64) {
        self.epoch = Some(self.epoch.map_or(1, |epoch| epoch + 1).max(now));
        self.learning = Some(Learning {
            began: now,
            spoke: now,
        });
    }

    fn learning(&mut self, now: u64) -> u64 {
        let Some(mut learning) = self.learning else {
            return 0;
        };
        if now.saturating_sub(learning.spoke) > SILENCE || now < learning.began {
            learning.began = now;
        } else if now - learning.began >= LEARNING {
            self.learning = None;
            return 0;
        }
        learning.spoke = now;
        self.learning = Some(learning);
        learning.began + LEARNING - now
    }
}

impl Record {
    fn take_in(
        &mut self,
        (now, learning, epoch): (u64, u64, u64),
        lives: impl Fn(&str) -> bool,
        (member, ask): (&Member, &Ask),
    ) -> Granted {
        let sight = self.look((now, lives), member, ask);
        let mine = self.held.get(&member.id).cloned();
        let (keep, inherited) = kept(now, member, ask, mine.as_ref());
        let before = keep.max(mine.as_ref().map_or(0, |one| one.charged));
        let told = sight.others + sight.ghost + before;
        let (missing, until) = self.missing((now, learning, epoch), (member, ask), told);
        let mut sight = sight;
        if is_period(ask) {
            self.base.charged += missing;
            self.base.lost += missing;
            sight.lost += missing;
        } else if missing > 0 {
            sight.ghost += missing;
            let until = self.ghost.map_or(0, |(_, until)| until).max(until);
            self.ghost = Some((sight.ghost, until));
        }
        let taken = sight.ghost + self.base.charged + sight.others + keep;
        let free = i128::from(ask.limit) - i128::from(taken);
        let (hungry, fair, wanted) = sight.fair(now, ask);
        let may_grant = learning == 0 && is_running(now, ask);
        let mut grant = 0;
        if may_grant {
            let part = i128::from(fair.max(ask.unit)) - i128::from(keep);
            let most = free.min(part.max(free - i128::from(wanted)));
            grant = i128::from(ask.need).min(most).max(0);
            if grant < i128::from(ask.unit) {
                grant = 0;
            }
            if hungry == 0 && grant == i128::from(ask.need) {
                let members = sight.living.len() as i128 + 1;
                let half = (most - grant).div_euclid(2 * members);
                grant += i128::from(ask.ahead).min(half).max(0);
            }
        }
        let is_short = self.mark((now, may_grant), member, ask, free);
        if is_short && ask.short == Short::Wanted {
            grant = free;
        }
        let grant = u64::try_from(grant).expect("no less than nothing");
        let since = mine.map_or(0, |one| one.hungry);
        let held = Held {
            generation: member.generation,
            number: ask.number,
            charged: keep + grant,
            spent: ask.spent,
            till: now + ttl(member, ask),
            hungry: if ask.need > grant { now } else { since },
            kept: member.kept,
            inherited,
        };
        self.held.insert(Arc::clone(&member.id), held);
        Granted {
            number: ask.number,
            now: WallTime::from_unix_millis(now),
            learning: Duration::from_millis(learning),
            keep,
            grant,
            sum: taken + grant,
            fair,
            hungry,
            spent: ask.spent + sight.spent + self.base.spent,
            lost: sight.lost + self.base.lost - if is_period(ask) { missing } else { 0 },
            short: is_short,
        }
    }

    /// Drops what is over, and adds up the rest.
    fn look(
        &mut self,
        (now, lives): (u64, impl Fn(&str) -> bool),
        member: &Member,
        ask: &Ask,
    ) -> Sight {
        let (ttl, window) = (ttl(member, ask), window(ask));
        self.ghost = self.ghost.filter(|(_, until)| *until > now);
        let mut sight = Sight {
            ghost: self.ghost.map_or(0, |(count, _)| count),
            others: 0,
            dead: 0,
            spent: 0,
            lost: 0,
            living: Vec::new(),
        };
        let base = &mut self.base;
        self.held.retain(|id, one| {
            if *id == member.id {
                return true;
            }
            if !is_period(ask) && one.till + window <= now {
                return false;
            }
            let is_random = one.kept == Kept::No;
            let is_silent = ttl > 0 && one.till + FOLD_TTLS * ttl <= now;
            if is_period(ask) && is_random && is_silent && !lives(id) {
                base.charged += one.charged;
                base.spent += one.spent;
                base.lost += one.charged.saturating_sub(one.spent);
                return false;
            }
            sight.others += one.charged;
            sight.spent += one.spent;
            if one.till <= now {
                sight.dead += one.charged;
                sight.lost += one.charged.saturating_sub(one.spent);
            } else {
                sight.living.push((one.charged, one.hungry));
            }
            true
        });
        sight
    }

    /// What is missing of the largest sum that was known, once all have told what they hold, and
    /// until when it may be used.
    fn missing(
        &mut self,
        (now, learning, epoch): (u64, u64, u64),
        (member, ask): (&Member, &Ask),
        told: u64,
    ) -> (u64, u64) {
        let known = self.known.filter(|(_, of, _)| *of == epoch);
        let (sum, _, until) = known.unwrap_or_default();
        if learning > 0 {
            if ask.known > sum {
                let until = now + ttl(member, ask) + window(ask);
                self.known = Some((ask.known, epoch, until));
            }
            return (0, 0);
        }
        self.known = None;
        let is_over = !is_period(ask) && until <= now;
        let missing = sum.saturating_sub(told + self.base.charged);
        (if is_over { 0 } else { missing }, until)
    }

    /// Gives or takes the mark of last requests; returns whether the asker has it.
    fn mark(
        &mut self,
        (now, may_grant): (u64, bool),
        member: &Member,
        ask: &Ask,
        free: i128,
    ) -> bool {
        let holder = self.short.as_ref();
        let is_mine = holder.is_some_and(|(id, _)| *id == member.id);
        let is_vacant = is_mine || holder.is_none_or(|(_, till)| *till <= now);
        let is_due = match ask.short {
            Short::No => false,
            Short::Wanted => may_grant && free >= 0 && free < i128::from(ask.unit),
            Short::Held => true,
        };
        if is_vacant && is_due {
            let till = now + ttl(member, ask);
            self.short = Some((Arc::clone(&member.id), till));
            return true;
        }
        if is_mine {
            self.short = None;
        }
        false
    }
}

impl Sight {
    /// Others who lack some, an even part among them and the asker, and what those below it want.
    fn fair(&self, now: u64, ask: &Ask) -> (u64, u64, u64) {
        let is_hungry = |since: u64| now.saturating_sub(since) < HUNGRY;
        let hungry = self.living.iter().filter(|(_, since)| is_hungry(*since));
        let hungry: Vec<u64> = hungry.map(|(charged, _)| *charged).collect();
        let count = hungry.len() as u64;
        if count == 0 || is_period(ask) {
            return (count, ask.limit, 0);
        }
        let content = self.living.iter().filter(|(_, since)| !is_hungry(*since));
        let mut content: Vec<u64> = content.map(|(charged, _)| *charged).collect();
        content.sort_unstable();
        let mut rest = ask.limit.saturating_sub(self.ghost + self.dead);
        let mut parts = 1 + count + content.len() as u64;
        for charged in content {
            if charged * parts >= rest {
                break;
            }
            rest -= charged;
            parts -= 1;
        }
        let fair = rest / parts;
        let wanted = hungry.iter().map(|charged| fair.saturating_sub(*charged));
        (count, fair, wanted.sum())
    }
}

/// What counts as kept by the asker, and what of it a former process of its name held.
fn kept(now: u64, member: &Member, ask: &Ask, mine: Option<&Held>) -> (u64, u64) {
    let Some(mine) = mine.filter(|_| ask.fresh && ask.kind != Kind::InFlight) else {
        return (ask.keep, 0);
    };
    if !is_period(ask) && mine.till + window(ask) <= now {
        return (ask.keep, 0);
    }
    let inherited = if mine.generation == member.generation {
        mine.inherited
    } else {
        mine.charged
    };
    (ask.keep.max(inherited), inherited)
}

fn is_period(ask: &Ask) -> bool {
    matches!(ask.kind, Kind::Period { .. })
}

fn is_running(now: u64, ask: &Ask) -> bool {
    match ask.kind {
        Kind::Window { .. } | Kind::InFlight => true,
        Kind::Period { from, to, .. } => {
            now >= from.unix_millis() && to.is_none_or(|to| now < to.unix_millis())
        }
    }
}

fn window(ask: &Ask) -> u64 {
    match ask.kind {
        Kind::Window { span, .. } => millis(span),
        Kind::InFlight | Kind::Period { .. } => 0,
    }
}

fn ttl(member: &Member, ask: &Ask) -> u64 {
    if ask.leaves { 0 } else { millis(member.ttl) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("a short span")
}
