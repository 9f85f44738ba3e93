//! One instance: real shares and windows; the words and the requests are played.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::time::Instant;
use infermux::testing::base::tokens::Tokens;
use infermux::testing::decide::budget::{Admission, Ask, Capped, Standing, admit};
use infermux::testing::decide::limiter::Window60;
use infermux::testing::ledger::shares::{Identity, Kept, News, OnLoss, ShareId, Shares, Words};

use crate::fleet::setting::{Clock, MONEY, PLACES, QUOTAS, RPM, Setting, TPM, share};

/// What survives the process.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) id: Arc<str>,
    pub(crate) kept: Kept,
    pub(crate) spent: u64,
}

/// The published words.
pub(crate) struct PlayedWords {
    left: [i64; QUOTAS],
    pub(crate) spent: u64,
    is_capped: bool,
}

/// A process that runs.
pub(crate) struct Process {
    pub(crate) shares: Shares,
    pub(crate) words: PlayedWords,
    windows: [Window60; 2],
    leases: [Instant; QUOTAS],
    may_be_short: bool,
    pub(crate) clock: Clock,
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) must_end: bool,
    was_replaced: bool,
    on_loss: OnLoss,
    limits: [u64; QUOTAS],
    has: [bool; QUOTAS],
}

/// What a request wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) tokens: u64,
    pub(crate) prompt: u64,
    pub(crate) whole: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    admitted: Instant,
    /// What is reserved of the budget, and whether that is less than it may cost.
    pub(crate) share: u64,
    pub(crate) capped: bool,
}

impl Words for PlayedWords {
    fn left(&self, share: ShareId) -> i64 {
        self.left[share.index()]
    }

    fn change(&mut self, share: ShareId, by: i64) -> i64 {
        self.left[share.index()] += by;
        self.left[share.index()]
    }

    fn spent(&self, share: ShareId) -> u64 {
        if share.index() == MONEY {
            self.spent
        } else {
            0
        }
    }
}

impl Process {
    pub(crate) fn new(
        setting: &Setting,
        disk: &Disk,
        clock: Clock,
        nonce: u64,
        now: Instant,
    ) -> Self {
        let identity = Identity {
            id: Arc::clone(&disk.id),
            kept: disk.kept,
            nonce,
        };
        let mut shares = Shares::new(identity, setting.pace);
        for place in setting.quotas() {
            let used = if place == MONEY { disk.spent } else { 0 };
            shares.set(clock.at(now), share(place), setting.quota(place), used);
        }
        let mut process = Self {
            shares,
            words: PlayedWords {
                left: [0; QUOTAS],
                spent: disk.spent,
                is_capped: false,
            },
            windows: [Window60::new(setting.span), Window60::new(setting.span)],
            leases: [Instant::ZERO; QUOTAS],
            may_be_short: false,
            clock,
            requests: BTreeMap::new(),
            must_end: false,
            was_replaced: false,
            on_loss: setting.on_loss,
            limits: setting.limits,
            has: setting.has,
        };
        process.hear_news();
        process
    }

    /// A request comes; it is admitted, or what it lacks is told.
    pub(crate) fn admit(&mut self, now: Instant, wish: Wish) -> Option<Request> {
        self.admit_or_tell(now, wish, |_, _| true)
    }

    /// The same as a request does that looks again, which tells nothing, or that the store has just
    /// said no to.
    pub(crate) fn admit_again(
        &mut self,
        now: Instant,
        wish: Wish,
        is_told: bool,
    ) -> Option<Request> {
        self.admit_or_tell(now, wish, |shares, (own, share)| {
            is_told && !shares.waits_in_vain(own, share)
        })
    }

    /// Whether one that lacks some had better not wait.
    pub(crate) fn waits_in_vain(&self, now: Instant) -> bool {
        let own = self.clock.at(now);
        let mut all = (0..QUOTAS).filter(|place| self.has[*place]);
        all.any(|place| self.shares.waits_in_vain(own, share(place)))
    }

    fn admit_or_tell(
        &mut self,
        now: Instant,
        wish: Wish,
        tells: impl Fn(&Shares, (Instant, ShareId)) -> bool,
    ) -> Option<Request> {
        let own = self.clock.at(now);
        let mut lacks = Vec::new();
        for (place, needs) in [(RPM, 1), (TPM, wish.tokens), (PLACES, 1)] {
            let needs = needs.min(self.limits[place]);
            if self.has[place] && !self.fits(own, place, needs) {
                lacks.push((place, needs));
            }
        }
        let money = self.judge_money(own, wish);
        match money {
            Admission::RefuseForGood => return None,
            Admission::RefuseInFlight => lacks.push((MONEY, wish.whole.max(1))),
            Admission::Reserve(_) => {}
        }
        if !lacks.is_empty() {
            for (place, needs) in lacks {
                if !tells(&self.shares, (own, share(place))) {
                    continue;
                }
                self.shares.on_lack(own, share(place), needs);
                if place == MONEY {
                    self.shares.on_short(own, share(MONEY), true);
                }
            }
            self.hear_news();
            return None;
        }
        let Admission::Reserve(taken) = money else {
            return None;
        };
        self.take(own, RPM, 1);
        self.take(own, TPM, wish.tokens.min(self.limits[TPM]));
        self.take(own, PLACES, 1);
        self.take(own, MONEY, taken.amount.get());
        let capped = taken.capped == Capped::Yes;
        self.words.is_capped |= capped;
        let tokens = Tokens::new(wish.tokens.min(self.limits[TPM]));
        for (place, tokens) in [(RPM, Tokens::ZERO), (TPM, tokens)] {
            let requests = u64::from(place == RPM);
            let back = self.windows[place].on_admitted(own, requests, tokens);
            self.give_back(own, place, back.requests + back.tokens.get());
        }
        Some(Request {
            wish,
            admitted: own,
            share: taken.amount.get(),
            capped,
        })
    }

    fn fits(&self, own: Instant, place: usize, needs: u64) -> bool {
        own < self.leases[place] && self.words.left[place] >= signed(needs)
    }

    fn take(&mut self, own: Instant, place: usize, count: u64) {
        if self.has[place] {
            self.words.left[place] -= signed(count);
            self.shares.on_use(own, share(place));
        }
    }

    fn judge_money(&self, own: Instant, wish: Wish) -> Admission {
        let usd = NanoUsd::new;
        // Without a lease it is not known what is left: the store is asked, as requests do.
        if self.has[MONEY] && own >= self.leases[MONEY] {
            return Admission::RefuseInFlight;
        }
        let [others, _] = self.shares.spent_by_others(share(MONEY), &self.words);
        let left = match self.has[MONEY] {
            false => wish.whole,
            true => self.words.left[MONEY].max(0).unsigned_abs(),
        };
        // Without the store's mark it is as if a capped reservation were under way elsewhere.
        let may = self.may_be_short && !self.words.is_capped;
        let standing = Standing {
            amount: usd(if self.has[MONEY] {
                self.limits[MONEY]
            } else {
                u64::MAX
            }),
            spent: usd(self.words.spent + others),
            left: usd(left),
            capped: if may { Capped::No } else { Capped::Yes },
        };
        let ask = Ask {
            prompt: usd(wish.prompt),
            whole: usd(wish.whole),
        };
        admit(&standing, &ask)
    }

    /// A request has ended; it used these tokens and cost this much.
    pub(crate) fn settle(&mut self, now: Instant, request: &Request, used: u64, cost: u64) {
        let own = self.clock.at(now);
        if self.has[TPM] {
            let reserved = request.wish.tokens.min(self.limits[TPM]);
            let excess = used.saturating_sub(reserved);
            self.words.left[TPM] -= signed(excess);
            let (of, to) = (Tokens::new(reserved), Tokens::new(used));
            let change = self.windows[TPM].on_ended(request.admitted, of, to) + signed(excess);
            self.give_back(own, TPM, u64::try_from(change).unwrap_or(0));
            self.words.left[TPM] += change.min(0);
            self.shares.on_use(own, share(TPM));
        }
        if self.has[PLACES] {
            self.words.left[PLACES] += 1;
            self.shares.on_use(own, share(PLACES));
        }
        if self.has[MONEY] {
            self.words.spent += cost;
            self.words.left[MONEY] += signed(request.share) - signed(cost);
            if request.capped {
                self.words.is_capped = false;
                self.shares.on_short(own, share(MONEY), false);
            }
            self.shares.on_use(own, share(MONEY));
        }
        self.hear_news();
    }

    /// No request waits for what is left of the budget.
    pub(crate) fn wants_no_rest(&mut self, now: Instant) {
        let own = self.clock.at(now);
        self.shares.on_short(own, share(MONEY), false);
        self.hear_news();
    }

    /// The coordinator wakes.
    pub(crate) fn wake(&mut self, now: Instant) {
        let own = self.clock.at(now);
        for place in [RPM, TPM] {
            let back = self.windows[place].expire(own);
            self.give_back(own, place, back.requests + back.tokens.get());
        }
        self.shares.on_time(own, &mut self.words);
        self.hear_news();
    }

    fn give_back(&mut self, own: Instant, place: usize, count: u64) {
        if self.has[place] && count > 0 {
            let back = self.shares.on_returned(own, share(place), count);
            self.words.left[place] += signed(back);
        }
    }

    /// When it wakes next, in true time.
    pub(crate) fn deadline(&self) -> Instant {
        let windows = self.windows.iter().filter_map(Window60::deadline).min();
        let own = self
            .shares
            .deadline()
            .min(windows.unwrap_or(Instant::NEVER));
        self.clock.when(own)
    }

    /// Acts upon what the shares tell; a process whose name was taken over goes on under another.
    pub(crate) fn hear_news(&mut self) {
        let _ = self.shares.take_touched();
        for news in self.shares.take_news() {
            match news {
                News::Lease { share, until } => self.leases[share.index()] = until,
                News::Short { may, .. } => self.may_be_short = may,
                News::Taken => self.must_end = true,
                News::Replaced => self.was_replaced = true,
                News::PutAside { .. } | News::State(_) => {}
            }
        }
    }

    /// The name that the process goes on under, where it was replaced.
    pub(crate) fn rename(&mut self, now: Instant, number: u64) -> Option<Disk> {
        if !std::mem::take(&mut self.was_replaced) {
            return None;
        }
        let identity = Identity {
            id: format!("x{number}").into(),
            kept: Kept::No,
            nonce: number,
        };
        let id = Arc::clone(&identity.id);
        self.shares
            .rename(self.clock.at(now), identity, &mut self.words);
        self.hear_news();
        Some(Disk {
            id,
            kept: Kept::No,
            spent: self.words.spent,
        })
    }

    /// Whether a loss of the store ends limits.
    pub(crate) fn is_closed_by_loss(&self) -> bool {
        self.on_loss == OnLoss::Closed
    }

    /// What former processes of its name had leased of the budget and not spent, as far as is
    /// known; no request may be under way.
    pub(crate) fn inherited(&self) -> u64 {
        let allowance = signed(self.shares.allowance(share(MONEY)));
        let used = signed(self.words.spent) + self.words.left[MONEY];
        (allowance - used).max(0).unsigned_abs()
    }

    /// What a word holds.
    pub(crate) fn left(&self, place: usize) -> i64 {
        self.words.left[place]
    }
}

/// Tokens are at most these many.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("few")
}

/// A true span of which a fast clock shows `span`.
pub(crate) fn shortest(span: Duration) -> Duration {
    span * 100 / 102
}
