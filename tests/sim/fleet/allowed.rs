//! What all instances together may do, and have done.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use infermux::testing::base::time::Instant;

use crate::fleet::process::{Request, shortest};
use crate::fleet::setting::{MONEY, PLACES, RPM, Setting, TPM};
use crate::promise::{Held, promise};

/// The books of the judge, by true time.
pub(crate) struct Allowed {
    limits: [u64; 4],
    has: [bool; 4],
    window: Duration,
    /// Within the window: when each request was admitted, and its number.
    admitted: VecDeque<(Instant, u64)>,
    tokens: BTreeMap<u64, Used>,
    /// Requests under way whose process is not cut off longer than the store remembers it.
    pub(crate) in_flight: BTreeMap<u64, usize>,
    spent: u64,
    reserved: BTreeMap<u64, u64>,
    /// What last requests cost beyond their reservations, but for instances that died or were cut
    /// off for longer than the store remembers them, and the sum of those.
    excesses: Vec<Excess>,
    excess_of_lost: u64,
    /// Windows are not judged before: an instance went on with its share, as it was told to.
    windows_from: Instant,
    pub(crate) money_is_unknown: bool,
}

/// What a request has cost beyond its reservation.
#[derive(Clone, Copy)]
struct Excess {
    process: usize,
    at: Instant,
    cost: u64,
}

/// Tokens of a request: what is reserved or used, and what of it is beyond the reservation.
#[derive(Clone, Copy)]
struct Used {
    tokens: u64,
    excess: u64,
}

impl Allowed {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            limits: setting.limits,
            has: setting.has,
            window: shortest(setting.span),
            admitted: VecDeque::new(),
            tokens: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            spent: 0,
            reserved: BTreeMap::new(),
            excesses: Vec::new(),
            excess_of_lost: 0,
            windows_from: Instant::ZERO,
            money_is_unknown: false,
        }
    }

    pub(crate) fn on_admitted(
        &mut self,
        now: Instant,
        process: usize,
        number: u64,
        request: &Request,
    ) -> Held {
        self.admitted.push_back((now, number));
        let tokens = request.wish.tokens.min(self.limits[TPM]);
        self.tokens.insert(number, Used { tokens, excess: 0 });
        self.in_flight.insert(number, process);
        self.reserved.insert(number, request.share);
        self.check(now)
    }

    pub(crate) fn on_ended(
        &mut self,
        now: Instant,
        number: u64,
        request: &Request,
        (used, cost): (u64, u64),
    ) -> Held {
        if let Some(tokens) = self.tokens.get_mut(&number) {
            let reserved = request.wish.tokens.min(self.limits[TPM]);
            tokens.tokens = used;
            tokens.excess = used.saturating_sub(reserved);
        }
        let process = self.in_flight.remove(&number);
        self.reserved.remove(&number);
        self.spent += cost;
        let excess = cost.saturating_sub(request.share);
        match process {
            Some(process) => self.excesses.push(Excess {
                process,
                at: now,
                cost: excess,
            }),
            None => self.excess_of_lost += excess,
        }
        self.check_money()
    }

    /// The process died with this request under way: nobody will say what it used.
    pub(crate) fn on_died(&mut self, number: u64, request: &Request) {
        self.in_flight.remove(&number);
        self.reserved.remove(&number);
        self.spent += request.share;
    }

    /// The process is cut off since `heard`, which is longer than the store remembers it: its
    /// places are free, and so is the mark of last requests, of which it may have had one since.
    pub(crate) fn on_forgotten(&mut self, process: usize, heard: Instant) {
        self.in_flight.retain(|_, of| *of != process);
        let is_untold = |one: &Excess| one.process == process && one.at >= heard;
        let untold = self.excesses.iter().filter(|one| is_untold(one));
        self.excess_of_lost += untold.map(|one| one.cost).sum::<u64>();
        self.excesses.retain(|one| !is_untold(one));
    }

    /// An instance goes on without the store until `now`.
    pub(crate) fn on_share_of_its_own(&mut self, now: Instant) {
        self.windows_from = now + self.window;
    }

    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    fn check(&mut self, now: Instant) -> Held {
        while let Some((at, number)) = self.admitted.front().copied()
            && now.since(at) >= self.window
        {
            self.admitted.pop_front();
            self.tokens.remove(&number);
        }
        let is_judged = now >= self.windows_from;
        let requests = self.admitted.len() as u64;
        let most = self.limits[RPM];
        // proves: fleet.never-over
        promise(
            "fleet.never-over",
            !is_judged || !self.has[RPM] || requests <= most,
            || format!("{requests} requests within a window of {most}"),
        )?;
        let tokens: u64 = self.tokens.values().map(|one| one.tokens).sum();
        let excess: u64 = self.tokens.values().map(|one| one.excess).sum();
        let most = self.limits[TPM];
        promise(
            "fleet.never-over",
            !is_judged || !self.has[TPM] || tokens <= most + excess,
            || format!("{tokens} tokens ({excess} beyond reservations) within a window of {most}"),
        )?;
        let (places, most) = (self.in_flight.len() as u64, self.limits[PLACES]);
        promise(
            "fleet.never-over",
            !is_judged || !self.has[PLACES] || places <= most,
            || format!("{places} requests in flight, of {most}"),
        )?;
        self.check_money()
    }

    fn check_money(&self) -> Held {
        let reserved: u64 = self.reserved.values().sum();
        let (total, most) = (self.spent + reserved, self.limits[MONEY]);
        let largest = self.excesses.iter().map(|one| one.cost).max();
        let excess = largest.unwrap_or_default() + self.excess_of_lost;
        // proves: fleet.one-excess
        promise(
            "fleet.one-excess",
            self.money_is_unknown || !self.has[MONEY] || total <= most + excess,
            || {
                let spent = self.spent;
                format!("{spent} spent, {reserved} reserved of {most}, and {excess} in excess")
            },
        )
    }
}
