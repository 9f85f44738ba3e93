//! This instance's shares of the limits and budgets that hold over all instances.
//!
//! [`Shares`] is told what is taken, lacked and given back, says what to tell the store, and
//! changes the published words by what it is answered. It knows no socket: whoever drives it sends
//! one [`Batch`] at a time and brings the [`Reply`], or says that there was none. So nothing of it
//! is on a request's way: shards take from their words, as they do with one instance.
//!
//! The store never charges an instance less than what it may use, and never charges all of them
//! more than the limit. So the sum of all use is never more than the limit, whatever is lost, late
//! or repeated on the way. `account` says how.

pub mod account;
pub mod demand;
pub mod due;
pub mod entries;
pub mod member;
pub mod message;
pub mod quota;
pub mod scripts;
pub mod stock;

use std::time::Duration;

use crate::base::time::{Instant, WallTime};
use crate::ledger::shares::account::Account;
use crate::ledger::shares::due::Due;
use crate::ledger::shares::entries::{Entries, Entry};
use crate::ledger::shares::member::Membership;
use crate::ledger::shares::message::{Ask, AskAnswer, Batch, Granted, Reply};
use crate::ledger::shares::quota::{Identity, News, Pace, Quota, ShareId, State, Words};
use crate::ledger::shares::stock::{Heard, Look};

/// The shares of one process.
pub struct Shares {
    membership: Membership,
    entries: Entries,
    /// The quotas that are to be looked at, by when.
    due: Due,
    /// The batch that is under way.
    pending: Option<Pending>,
    batches: u64,
    /// The next batch begins no sooner: the store is to have nine tenths of its time for others.
    not_before: Instant,
    /// Whether all quotas have been told that the store is lost.
    is_lost: bool,
    news: Vec<News>,
    /// The quotas about which something was heard since this was last asked.
    touched: Vec<ShareId>,
}

struct Pending {
    number: u64,
    sent: Instant,
    asks: Vec<ShareId>,
}

impl Shares {
    /// The shares of a process that has not spoken with the store.
    #[must_use]
    pub fn new(identity: Identity, pace: Pace) -> Self {
        Self {
            membership: Membership::new(identity, pace),
            entries: Entries::default(),
            due: Due::default(),
            pending: None,
            batches: 0,
            not_before: Instant::ZERO,
            is_lost: false,
            news: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Adds a quota, whose word holds nothing, or gives one other terms. `used` is what this
    /// process has used of its period before, as its state file says.
    ///
    /// A quota with another name, such as that of the next period, replaces the former one; its
    /// word holds nothing then.
    pub fn set(&mut self, now: Instant, id: ShareId, quota: Quota, used: u64) {
        self.entries.set(id, quota, used);
        self.is_lost = false;
        // Many quotas are not told all at once.
        let turn = Duration::from_millis(u64::from(id.0) * 7 % 1_000);
        self.due.no_later(id, now + turn);
        self.tell(id);
    }

    /// The quota is not shared any more; returns what of it this process had: what its word holds,
    /// and what is used. The store charges that until the lease has ended.
    pub fn remove(&mut self, id: ShareId, words: &mut impl Words) -> u64 {
        let Some(account) = self.entries.remove(id) else {
            return 0;
        };
        self.due.set(id, Instant::NEVER);
        account.end(words)
    }

    /// There is a connection, to the server with this `run_id`.
    pub fn on_connected(&mut self, run: &str) {
        self.membership.on_connected(run.into());
    }

    /// Something was taken from the word.
    pub fn on_use(&mut self, now: Instant, id: ShareId) {
        let sync = self.membership.pace().sync;
        if let Some(entry) = self.entry(id) {
            let at = (entry.looked_at + sync).max(now);
            self.due.no_later(id, at);
        }
    }

    /// A request waits for this much, or was refused for the lack of it.
    pub fn on_lack(&mut self, now: Instant, id: ShareId, count: u64) {
        if let Some(entry) = self.entry(id) {
            entry.account.on_lack(count);
            self.due.no_later(id, now);
        }
    }

    /// A request waits whose reservation would be smaller than its estimate, or is under way; or
    /// there is none any more.
    pub fn on_short(&mut self, now: Instant, id: ShareId, wants: bool) {
        if let Some(entry) = self.entry(id) {
            entry.account.on_short(wants);
            self.due.no_later(id, now);
            self.tell(id);
        }
    }

    /// This much of the use has left the window or was not used in the end. Returns how much of it
    /// goes back to the word; all of it where the quota is not shared.
    #[must_use]
    pub fn on_returned(&mut self, now: Instant, id: ShareId, count: u64) -> u64 {
        let Some(entry) = self.entry(id) else {
            return count;
        };
        let back = entry.account.on_returned(now, count);
        if back < count {
            self.on_use(now, id);
        }
        back
    }

    /// A provider is put aside for this long.
    pub fn on_put_aside(&mut self, now: Instant, provider: &str, span: Duration) {
        self.membership.put_aside(provider.into(), now + span);
    }

    /// What is to be said at `now`; nothing while a batch is under way.
    #[must_use]
    pub fn batch(&mut self, now: Instant, words: &mut impl Words) -> Option<Batch> {
        if self.pending.is_some() || now < self.not_before {
            return None;
        }
        let hello = self.membership.hello(now);
        let asks = if self.membership.is_welcome() {
            self.asks(now, words)
        } else {
            Vec::new()
        };
        if hello.is_none() && asks.is_empty() {
            return None;
        }
        Some(self.send(
            now,
            Batch {
                hello,
                asks,
                ..Batch::default()
            },
        ))
    }

    /// The last batch of a process that stops, once its requests have ended: what is not used is
    /// free for others at once. Whoever drives the shares then says that it leaves
    /// ([`scripts::LEAVE`]).
    #[must_use]
    pub fn leave(&mut self, now: Instant, words: &mut impl Words) -> Batch {
        let look = self.look(now);
        let mut asks = Vec::new();
        if self.membership.is_welcome() {
            for entry in self.entries.all_mut() {
                if entry.account.is_alive(words) {
                    asks.push(entry.account.leave(&look, words));
                }
            }
        }
        self.send(
            now,
            Batch {
                asks,
                ..Batch::default()
            },
        )
    }

    fn send(&mut self, now: Instant, batch: Batch) -> Batch {
        self.batches += 1;
        self.pending = Some(Pending {
            number: self.batches,
            sent: now,
            asks: batch.asks.iter().map(|ask| ask.share).collect(),
        });
        Batch {
            number: self.batches,
            member: self.membership.member(),
            ..batch
        }
    }

    /// Asks about the quotas that are due.
    fn asks(&mut self, now: Instant, words: &mut impl Words) -> Vec<Ask> {
        let (look, calm) = (self.look(now), self.calm());
        let mut asks = Vec::new();
        while let Some((at, id)) = self.due.first()
            && at <= now
            && asks.len() < ASKS_MAX
        {
            let Some(entry) = self.entry(id) else {
                self.due.set(id, Instant::NEVER);
                continue;
            };
            entry.looked_at = now;
            let account = &mut entry.account;
            let is_due = account.is_alive(words) && account.heartbeat(calm, words) <= now;
            if is_due || account.is_urgent(&look, words) {
                asks.push(account.ask(&look, words));
            }
            let next = if account.is_alive(words) {
                account.heartbeat(calm, words).max(now + look.sync)
            } else {
                Instant::NEVER
            };
            self.due.set(id, next);
        }
        asks
    }

    /// The store has answered the batch with this number. A batch that was given up before counts
    /// for nothing.
    pub fn on_reply(&mut self, now: Instant, reply: &Reply, words: &mut impl Words) {
        let Some(pending) = self.pending.take_if(|one| one.number == reply.number) else {
            return;
        };
        let sent = pending.sent;
        self.not_before = now + reply.took.min(TOOK_MAX) * TIME_FOR_OTHERS;
        self.membership.on_answered(sent, reply.took);
        let mut is_another = false;
        if let Some(hello) = &reply.hello {
            let news = &mut self.news;
            is_another = self.membership.on_hello((sent, now), hello, news);
        }
        let mut answers = reply.asks.iter();
        for id in pending.asks {
            match answers.next() {
                Some(AskAnswer::Granted(granted)) => {
                    self.on_granted((sent, now), id, granted, words);
                }
                Some(AskAnswer::Epoch | AskAnswer::Gone) => {
                    self.membership.hello_first();
                    self.on_unanswered(now, id);
                }
                Some(AskAnswer::Old) | None => self.on_unanswered(now, id),
            }
        }
        if is_another {
            self.say_all_again(now);
        }
        self.membership.tell(now, &mut self.news);
    }

    fn on_granted(
        &mut self,
        (sent, now): (Instant, Instant),
        id: ShareId,
        granted: &Granted,
        words: &mut impl Words,
    ) {
        self.membership.on_clock((sent, now), granted.now);
        self.membership.on_learning((sent, now), granted.learning);
        let (look, calm) = (self.look(now), self.calm());
        if let Some(entry) = self.entry(id) {
            let account = &mut entry.account;
            let has_heard = account.heard().is_some_and(Heard::is_of_hunger);
            if account.on_granted(&look, granted, words) {
                // It holds more now, which is to be reported sooner; others wait for what it has
                // beyond its needs, and may have waited since it last spoke.
                let at = match (account.gives_back(&look, words), has_heard) {
                    (true, false) if granted.hungry > 0 => now,
                    (true, _) => now + look.sync,
                    (false, _) => account.heartbeat(calm, words),
                };
                self.due.no_later(id, at);
                self.touched.push(id);
            }
            self.tell(id);
        }
    }

    /// The batch with this number was not answered in time, or its connection has broken: there is
    /// none until [`Self::on_connected`].
    pub fn on_failed(&mut self, now: Instant, number: u64) {
        let Some(pending) = self.pending.take_if(|one| one.number == number) else {
            return;
        };
        for id in pending.asks {
            self.on_unanswered(now, id);
        }
        self.membership.on_failed();
        self.membership.tell(now, &mut self.news);
    }

    /// The connection has broken while nothing was under way, or could not be made.
    pub fn on_disconnected(&mut self, now: Instant) {
        match self.pending.as_ref().map(|one| one.number) {
            Some(number) => self.on_failed(now, number),
            None => self.membership.on_failed(),
        }
        self.membership.tell(now, &mut self.news);
    }

    fn on_unanswered(&mut self, now: Instant, id: ShareId) {
        let sync = self.membership.pace().sync;
        if let Some(entry) = self.entry(id) {
            entry.account.on_failed();
            self.due.no_later(id, now + sync);
        }
    }

    /// The store's data is another: everything that is held is said again.
    fn say_all_again(&mut self, now: Instant) {
        for entry in self.entries.all_mut() {
            entry.account.begin_epoch();
            self.due.no_later(entry.account.id(), now);
        }
    }

    /// The process goes on under another name, since [`News::Replaced`].
    pub fn rename(&mut self, now: Instant, identity: Identity, words: &mut impl Words) {
        self.membership.rename(identity);
        // What is under way was said under the former name.
        self.pending = None;
        for entry in self.entries.all_mut() {
            entry.account.begin_anew(words);
            entry.tell(&mut self.news);
        }
        self.say_all_again(now);
    }

    /// Time passes: the store may be lost.
    pub fn on_time(&mut self, now: Instant, words: &mut impl Words) {
        self.membership.tell(now, &mut self.news);
        if self.membership.state(now) != State::Lost {
            self.is_lost = false;
        } else if !std::mem::replace(&mut self.is_lost, true) {
            for entry in self.entries.all_mut() {
                entry.account.on_lost(words);
            }
        }
    }

    /// When [`Self::batch`] or [`Self::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let state = self.membership.state_ends();
        if self.pending.is_some() {
            return state;
        }
        let first = self.due.first().filter(|_| self.membership.is_welcome());
        let next = first.map_or(Instant::NEVER, |(at, _)| at);
        let next = next.min(self.membership.hello_at());
        state.min(next.max(self.not_before))
    }

    /// What has to be acted upon since the last call.
    #[must_use]
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The quotas about which something was heard since the last call.
    #[must_use]
    pub fn take_touched(&mut self) -> Vec<ShareId> {
        std::mem::take(&mut self.touched)
    }

    /// How the process stands with the store.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        self.membership.state(now)
    }

    /// Members that count as living, this one included.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.membership.members()
    }

    /// How long the last batch took.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.membership.lag()
    }

    /// The store's clock, by which periods go; `None`: it was never heard of.
    #[must_use]
    pub fn wall(&self, now: Instant) -> Option<WallTime> {
        self.membership.wall(now)
    }

    /// What the instance may use of a quota, as it stands.
    #[must_use]
    pub fn allowance(&self, id: ShareId) -> u64 {
        self.account(id).map_or(0, Account::allowance)
    }

    /// What is left of a quota in the store, as it was last heard: nobody has it.
    #[must_use]
    pub fn free(&self, id: ShareId) -> u64 {
        self.account(id).map_or(0, Account::free)
    }

    /// What others have spent of a quota in its period, and what was leased by those who died.
    #[must_use]
    pub fn spent_by_others(&self, id: ShareId, words: &impl Words) -> [u64; 2] {
        let heard = self.account(id).and_then(Account::heard);
        heard.map_or([0; 2], |heard| {
            let others = heard.granted.spent.saturating_sub(words.spent(id));
            [others, heard.granted.lost]
        })
    }

    /// Whether a request that lacks some of this quota had better not wait: the store does not
    /// grant, or said no a moment ago.
    #[must_use]
    pub fn waits_in_vain(&self, now: Instant, id: ShareId) -> bool {
        if self.membership.state(now) != State::Ok {
            return true;
        }
        let heard = self.account(id).and_then(Account::heard);
        heard.is_some_and(|heard| {
            heard.is_refused && now.since(heard.at) < self.membership.pace().sync
        })
    }

    fn look(&self, now: Instant) -> Look {
        Look {
            now,
            sync: self.membership.pace().sync,
            lease: self.membership.lease(),
            members: self.membership.members(),
            is_learning: self.membership.is_learning(now),
            sure: self.membership.sure(),
        }
    }

    /// How often a period's quota is spoken of of which nothing is leased beyond what is spent.
    fn calm(&self) -> Duration {
        CALM.max(Duration::from_secs(u64::from(
            self.entries.count() / CALM_PER_SECOND,
        )))
    }

    fn entry(&mut self, id: ShareId) -> Option<&mut Entry> {
        self.entries.get_mut(id)
    }

    fn account(&self, id: ShareId) -> Option<&Account> {
        self.entries.get(id).map(|entry| &entry.account)
    }

    fn tell(&mut self, id: ShareId) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.tell(&mut self.news);
        }
    }
}

/// Most asks of one batch: about 20 ms of the store's time.
const ASKS_MAX: usize = 1_000;
/// After a batch, the store is left alone for so many times as long as the batch took.
const TIME_FOR_OTHERS: u32 = 9;
/// A batch that took longer was held up by something else: the process itself stood still.
const TOOK_MAX: Duration = Duration::from_millis(100);
/// A period's quota of which nothing is leased beyond what is spent is spoken of this often; less
/// often where there are so many that more of them would be spoken of in a second.
const CALM: Duration = Duration::from_secs(60);
const CALM_PER_SECOND: u32 = 200;

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
