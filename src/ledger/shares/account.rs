//! This instance's share of one quota: its allowance, what it says of it, and what it hears.
//!
//! | number | what it is | who changes it |
//! |---|---|---|
//! | *use* | what is used in the window, at the moment, or in the period | shards, by the word |
//! | *allowance* | what may be used | this machine alone |
//! | the word | allowance − inherited − use; below zero where more is used | both |
//! | *inherited* | what a former process of this name held: it counts as used | the store |
//! | *keep* | the larger of allowance and use: what the store must charge | told with each ask |
//!
//! Invariant: as long as the lease lasts, the store charges at least the allowance. The allowance
//! grows only with the answer to the latest ask, by what that ask had charged; it falls before the
//! ask is sent that says so.

use std::time::Duration;

use crate::base::time::Instant;
use crate::ledger::shares::demand::{Demand, Lack};
use crate::ledger::shares::message::{Ask, COUNT_MAX, Granted};
use crate::ledger::shares::quota::{Kind, OnLoss, Quota, ShareId, Short, Words};
use crate::ledger::shares::stock::{Heard, Look, Stock};

/// One quota's share.
#[derive(Debug)]
pub struct Account {
    id: ShareId,
    quota: Quota,
    allowance: u64,
    /// What the store was last known to charge.
    charged: u64,
    inherited: u64,
    /// When what is inherited leaves the window.
    inherited_until: Instant,
    /// Of the latest ask, and of the latest that was answered in this epoch and lease; 0: none.
    number: u64,
    answered: u64,
    /// Whether no ask was ever answered in this process.
    is_fresh: bool,
    sent: Option<Sent>,
    spoke_at: Instant,
    lease_until: Instant,
    has_lapsed: bool,
    /// Whether the word was raised by [`OPEN`], since the store is lost and that closes nothing.
    is_open: bool,
    heard: Option<Heard>,
    lack: Lack,
    short: Short,
    demand: Demand,
    /// Whether the store lacks something: a lower allowance, an ask that was lost, or all data.
    is_unsaid: bool,
}

/// An ask that is under way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    number: u64,
    keep: u64,
    /// By how much `keep` was above the allowance: use that the answer will have charged.
    lift: u64,
    need: u64,
}

impl Account {
    /// A quota of which this process has used `used` in its period; its word holds nothing.
    #[must_use]
    pub fn new(id: ShareId, quota: Quota, used: u64) -> Self {
        Self {
            id,
            quota,
            allowance: used,
            charged: 0,
            inherited: 0,
            inherited_until: Instant::NEVER,
            number: 0,
            answered: 0,
            is_fresh: true,
            sent: None,
            spoke_at: Instant::ZERO,
            lease_until: Instant::ZERO,
            has_lapsed: true,
            is_open: false,
            heard: None,
            lack: Lack::default(),
            short: Short::No,
            demand: Demand::default(),
            is_unsaid: false,
        }
    }

    /// Another configuration gives the quota these terms. Another name is another quota, of which
    /// `used` was used.
    pub fn adopt(&mut self, quota: Quota, used: u64) {
        if self.quota.name == quota.name {
            self.quota = quota;
            return;
        }
        let number = self.number;
        *self = Self::new(self.id, quota, used);
        // A late answer about the former quota has a number below.
        self.number = number;
    }

    /// The process goes on under another name, under which the store knows nothing of it: what is
    /// not used belongs to the process that has taken over the former one.
    pub fn begin_anew(&mut self, words: &mut impl Words) {
        self.begin_epoch();
        self.close(words);
        (self.is_fresh, self.has_lapsed, self.lease_until) = (true, true, Instant::ZERO);
        let left = positive(words.left(self.id));
        self.lower(left, words);
    }

    /// The store's data is another: all is to be said again, however calm the quota is.
    pub fn begin_epoch(&mut self) {
        self.answered = 0;
        self.sent = None;
        self.is_unsaid = true;
    }

    /// The store is lost: where that closes nothing, everything is admitted, and counted.
    pub fn on_lost(&mut self, words: &mut impl Words) {
        if self.quota.on_loss == OnLoss::Open && !self.is_open {
            self.is_open = true;
            words.change(self.id, OPEN);
        }
    }

    /// The quota is not shared any more; returns what of it this process had, which is what its
    /// word holds and what is used.
    pub fn end(mut self, words: &mut impl Words) -> u64 {
        self.close(words);
        self.allowance.saturating_sub(self.inherited)
    }

    /// A request lacks this much.
    pub fn on_lack(&mut self, count: u64) {
        self.lack.add(count.min(self.quota.limit));
    }

    /// Whether a request whose reservation is smaller than its estimate waits or is under way.
    pub fn on_short(&mut self, wants: bool) {
        self.is_unsaid |= !wants && self.short == Short::Held;
        self.short = match (wants, self.short) {
            (false, _) => Short::No,
            (true, Short::No | Short::Wanted) => Short::Wanted,
            (true, Short::Held) => Short::Held,
        };
    }

    /// Whether the mark of last requests is held.
    #[must_use]
    pub fn may_be_short(&self) -> bool {
        self.short == Short::Held
    }

    /// This much of the use has left the window, or was not used in the end. Returns how much of it
    /// goes back to the word: the rest lowers the allowance.
    pub fn on_returned(&mut self, now: Instant, count: u64) -> u64 {
        self.demand.on_returned(count);
        let kept = match self.heard {
            // Nothing that ends may be used again without a lease.
            _ if self.is_over(now) && self.quota.on_loss == OnLoss::Closed => 0,
            Some(heard) if heard.granted.hungry > 0 => {
                count - self.allowance.saturating_sub(heard.granted.fair).min(count)
            }
            Some(_) | None => count,
        };
        // Where more is used than allowed, the word is below zero, and what the allowance cannot
        // fall by fills it.
        let most = self.allowance.saturating_sub(self.inherited);
        let lowered = (count - kept).min(most);
        self.allowance -= lowered;
        self.is_unsaid |= lowered > 0;
        count - lowered
    }

    /// Whether something is to be said before the next heartbeat.
    #[must_use]
    pub fn is_urgent(&self, look: &Look, words: &impl Words) -> bool {
        if !self.lack.is_nothing() || self.is_unsaid || self.short == Short::Wanted {
            return true;
        }
        let left = words.left(self.id);
        self.kept(left) > self.charged
            || self.stock().ahead(look, positive(left)) > 0
            || self.surplus(look, positive(left)) > 0
    }

    /// Whether it has more than it needs, so that it gives some back.
    #[must_use]
    pub fn gives_back(&self, look: &Look, words: &impl Words) -> bool {
        self.surplus(look, positive(words.left(self.id))) > 0
    }

    /// Whether it is to be reported: something is held or used, or it is a period's, of which all
    /// remember the sum.
    #[must_use]
    pub fn is_alive(&self, words: &impl Words) -> bool {
        let is_period = matches!(self.quota.kind, Kind::Period { .. });
        is_period
            || self.allowance > 0
            || words.left(self.id) != 0
            || !self.lack.is_nothing()
            || self.sent.is_some()
    }

    /// Builds the next ask.
    pub fn ask(&mut self, look: &Look, words: &mut impl Words) -> Ask {
        let now = look.now;
        self.lapse(now, words);
        self.outlive(now, words);
        let left = words.left(self.id);
        self.demand.look(now, self.used(left), positive(left));
        let surplus = self.surplus(look, self.lack.useless(positive(left)));
        let left = self.lower(surplus, words);
        let keep = self.kept(left);
        let lack = std::mem::take(&mut self.lack);
        let (need, unit) = lack.beyond(positive(left));
        let ahead = self.stock().ahead(look, lack.spared(positive(left)));
        self.number += 1;
        self.spoke_at = now;
        self.is_unsaid = false;
        self.sent = Some(Sent {
            at: now,
            number: self.number,
            keep,
            lift: keep - self.allowance,
            need,
        });
        let scale = self.scale();
        let sum = self.known(look);
        let ask = Ask {
            share: self.id,
            name: self.quota.name.clone(),
            kind: self.quota.kind,
            limit: self.quota.limit / scale,
            number: self.number,
            answered: self.answered,
            fresh: self.is_fresh,
            keep: keep.div_ceil(scale),
            need: need.div_ceil(scale),
            unit: unit.div_ceil(scale),
            ahead: ahead / scale,
            spent: words.spent(self.id).div_ceil(scale),
            known: sum / scale,
            short: self.short,
            leaves: false,
        };
        self.check(words);
        ask
    }

    /// Builds the last ask of a process that stops: nothing unused is kept.
    pub fn leave(&mut self, look: &Look, words: &mut impl Words) -> Ask {
        let left = positive(words.left(self.id));
        self.lower(left, words);
        self.lack = Lack::default();
        self.short = Short::No;
        let ask = self.ask(look, words);
        Ask {
            ahead: 0,
            leaves: true,
            ..ask
        }
    }

    /// The ask with this number is answered. Returns whether the answer counts: only that to the
    /// latest ask does.
    pub fn on_granted(&mut self, look: &Look, granted: &Granted, words: &mut impl Words) -> bool {
        let Some(sent) = self.sent.take_if(|sent| sent.number == granted.number) else {
            return false;
        };
        let granted = granted.times(self.scale());
        // Rounding up may have charged a little more than was said, which nobody held before.
        let inherited = granted.keep.saturating_sub(sent.keep);
        let inherited = if self.is_fresh { inherited } else { 0 };
        if inherited > 0 {
            self.inherited = self.inherited.saturating_add(inherited);
            self.inherited_until = match self.quota.kind {
                Kind::Window { span, .. } => look.now + span + BUCKET,
                Kind::InFlight | Kind::Period { .. } => Instant::NEVER,
            };
        }
        // Places are not raised to what is in use while others lack some: what ends is theirs.
        let yields = self.quota.kind == Kind::InFlight && granted.hungry > 0;
        let lift = if yields { 0 } else { sent.lift };
        let more = lift.saturating_add(granted.grant);
        self.allowance = self
            .allowance
            .saturating_add(more)
            .saturating_add(inherited);
        let left = words.change(self.id, signed(more));
        self.charged = granted.keep.saturating_add(granted.grant);
        self.short = match (self.short, granted.short) {
            (Short::No, _) => Short::No,
            (Short::Wanted | Short::Held, true) => Short::Held,
            (Short::Wanted | Short::Held, false) => Short::Wanted,
        };
        self.is_fresh = false;
        self.answered = granted.number;
        self.lease_until = sent.at + look.lease;
        self.has_lapsed = false;
        self.heard = Some(Heard {
            at: look.now,
            granted,
            is_refused: granted.grant < sent.need,
        });
        if granted.learning.is_zero() {
            self.pay(granted.sum.saturating_sub(self.quota.limit), left, words);
        }
        self.check(words);
        true
    }

    /// The ask that is under way is not answered: it is said again.
    pub fn on_failed(&mut self) {
        self.is_unsaid |= self.sent.take().is_some();
    }

    /// More is charged than the limit: whoever hears of it does without this much, as far as it has
    /// it or gets it back from use. If only the one who overdrew it did, the next overdraft of
    /// another one would come on top.
    fn pay(&mut self, excess: u64, left: i64, words: &mut impl Words) {
        let most = self.used(left).min(excess);
        let above = positive(left.saturating_add(signed(most)));
        self.lower(above.min(excess), words);
    }

    /// The lease may have ended: what is not used is not the instance's any more.
    fn lapse(&mut self, now: Instant, words: &mut impl Words) {
        if !self.is_over(now) {
            return;
        }
        self.has_lapsed = true;
        self.answered = 0;
        self.close(words);
        let left = positive(words.left(self.id));
        self.lower(left, words);
    }

    fn close(&mut self, words: &mut impl Words) {
        if std::mem::take(&mut self.is_open) {
            words.change(self.id, -OPEN);
        }
    }

    /// What is inherited may have left the window.
    fn outlive(&mut self, now: Instant, words: &mut impl Words) {
        if now < self.inherited_until || self.inherited == 0 {
            return;
        }
        let inherited = std::mem::take(&mut self.inherited);
        let back = self.on_returned(now, inherited);
        words.change(self.id, signed(back));
    }

    /// Lowers the allowance and the word; returns what the word holds then.
    fn lower(&mut self, count: u64, words: &mut impl Words) -> i64 {
        if count == 0 {
            return words.left(self.id);
        }
        debug_assert!(count <= self.allowance, "{count} of {}", self.allowance);
        self.allowance = self.allowance.saturating_sub(count);
        self.is_unsaid = true;
        self.demand.on_lowered(count);
        words.change(self.id, -signed(count))
    }

    /// What is given back where `left` is left; nothing while sums are not known.
    fn surplus(&self, look: &Look, left: u64) -> u64 {
        if look.is_learning || self.is_over(look.now) {
            return 0;
        }
        self.stock().surplus(look, left)
    }

    fn stock(&self) -> Stock<'_> {
        Stock {
            quota: &self.quota,
            heard: self.heard.as_ref(),
            demand: &self.demand,
            allowance: self.allowance,
        }
    }

    /// The largest sum that was known when the store was last heard of, for one that has lost it.
    fn known(&self, look: &Look) -> u64 {
        let age = match self.quota.kind {
            Kind::Window { .. } | Kind::InFlight => KNOWN_FOR,
            Kind::Period { .. } => KNOWN_FOR_OF_PERIOD,
        };
        match &self.heard {
            Some(heard) if look.sure.since(heard.at) < age => heard.granted.sum,
            Some(_) | None => 0,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.has_lapsed || now >= self.lease_until
    }

    /// The larger of allowance and use, where the word holds `left`.
    fn kept(&self, left: i64) -> u64 {
        self.allowance
            .saturating_add(positive(left.saturating_neg()))
    }

    /// What is used where the word holds `left`.
    fn used(&self, left: i64) -> u64 {
        let used = i128::from(self.allowance) - i128::from(self.inherited) - i128::from(left);
        u64::try_from(used.max(0)).unwrap_or(u64::MAX)
    }

    /// Nano-dollars that the store counts as one, since it counts no further than 2^53.
    fn scale(&self) -> u64 {
        if self.quota.limit < COUNT_MAX {
            1
        } else {
            1_000
        }
    }

    /// Whose share it is.
    #[must_use]
    pub fn id(&self) -> ShareId {
        self.id
    }

    /// What may be used.
    #[must_use]
    pub fn allowance(&self) -> u64 {
        self.allowance
    }

    /// What nobody has, as it was last heard.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.stock().free()
    }

    /// The latest answer.
    #[must_use]
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }

    /// Until when shards may take: [`Instant::NEVER`] where a loss of the store does not end it.
    #[must_use]
    pub fn lease_until(&self) -> Instant {
        match self.quota.on_loss {
            OnLoss::Closed => self.lease_until,
            OnLoss::Share | OnLoss::Open => Instant::NEVER,
        }
    }

    /// When it is to be reported if nothing happens; after `calm` where it is a period's and
    /// everything that is leased is spent.
    #[must_use]
    pub fn heartbeat(&self, calm: Duration, words: &impl Words) -> Instant {
        let left = words.left(self.id);
        let is_period = matches!(self.quota.kind, Kind::Period { .. });
        // A period's use stays: only what is leased beyond it is news to others.
        let is_calm = is_period && left == 0 && self.used(left) == words.spent(self.id);
        if is_calm && self.short != Short::Held {
            return self.spoke_at + calm;
        }
        let stands = self.quota.kind.has_standing_part();
        self.spoke_at + if stands { HEARTBEAT / 2 } else { HEARTBEAT }
    }

    fn check(&self, words: &impl Words) {
        let left = words.left(self.id);
        debug_assert!(self.inherited <= self.allowance, "{self:?}");
        debug_assert!(
            i128::from(self.allowance) >= i128::from(left.max(0)),
            "{left} is left of {self:?}"
        );
        debug_assert!(self.answered <= self.number, "{self:?}");
    }
}

fn positive(count: i64) -> u64 {
    count.max(0).unsigned_abs()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// By so much a word is raised while everything is admitted: no quota is as large.
const OPEN: i64 = 1 << 54;
/// What is held or used is reported this often: else nobody would hear of hunger, or of a loss;
/// twice as often where a part is held without being used.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A sum that was known that long before the store was last heard of is not told to a new one.
const KNOWN_FOR: Duration = Duration::from_secs(5);
const KNOWN_FOR_OF_PERIOD: Duration = Duration::from_secs(61);
/// The books keep use by whole seconds.
const BUCKET: Duration = Duration::from_secs(1);
