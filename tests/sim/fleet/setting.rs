//! What a seed decides before the run begins.

use std::time::Duration;

use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::ledger::shares::{Kind, Measure, OnLoss, Pace, Quota, ShareId, Standing};

use crate::dice::Dice;

/// Requests per window, tokens per window, requests in flight, and a budget.
pub(crate) const RPM: usize = 0;
pub(crate) const TPM: usize = 1;
pub(crate) const PLACES: usize = 2;
pub(crate) const MONEY: usize = 3;
pub(crate) const QUOTAS: usize = 4;

/// One run.
pub(crate) struct Setting {
    pub(crate) processes: usize,
    pub(crate) pace: Pace,
    /// The window, as processes count it.
    pub(crate) span: Duration,
    pub(crate) limits: [u64; QUOTAS],
    /// Whether each quota is there at all.
    pub(crate) has: [bool; QUOTAS],
    /// What happens to limits when the store is lost.
    pub(crate) on_loss: OnLoss,
    pub(crate) standing: Standing,
    pub(crate) mood: Mood,
    /// How long things happen.
    pub(crate) busy: Duration,
    /// A request costs at most such a part of the budget: a few of them use it up, or nobody does.
    pub(crate) parts: u64,
    /// Milliseconds between two arrivals at one process.
    pub(crate) pause: (u64, u64),
    pub(crate) store_clock: Clock,
    /// Nothing goes wrong but that one after the other is cut off for longer than the store
    /// remembers it, while everybody wants more than there is.
    pub(crate) only_cuts: bool,
}

/// How the network behaves.
#[derive(Clone, Copy)]
pub(crate) struct Mood {
    /// In thousandths.
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) cut_short: u64,
    /// In thousandths, and in milliseconds.
    pub(crate) late: u64,
    pub(crate) latest: u64,
}

/// A clock with an offset and a rate.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    offset: u64,
    /// Millionths of the true rate.
    rate: u64,
}

impl Clock {
    /// One that shows true time.
    pub(crate) const EXACT: Self = Self {
        offset: 0,
        rate: 1_000_000,
    };

    pub(crate) fn new(dice: &mut Dice) -> Self {
        let rate = match dice.between(0, 3) {
            0 => 1_000_000,
            1 => 980_000,
            2 => 1_020_000,
            _ => dice.between(980_000, 1_020_000),
        };
        Self {
            offset: dice.between(1, 1_000_000) * 1_000_000,
            rate,
        }
    }

    /// What it shows at a true moment.
    pub(crate) fn at(self, now: Instant) -> Instant {
        let passed = u128::from(now.as_nanos()) * u128::from(self.rate) / 1_000_000;
        Instant::from_nanos(self.offset + u64::try_from(passed).expect("a short run"))
    }

    /// When it will show `own`.
    pub(crate) fn when(self, own: Instant) -> Instant {
        if own == Instant::NEVER {
            return own;
        }
        let passed = u128::from(own.as_nanos().saturating_sub(self.offset));
        let passed = (passed * 1_000_000).div_ceil(u128::from(self.rate));
        Instant::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The store's: milliseconds since 1970.
    pub(crate) fn millis(self, now: Instant) -> u64 {
        1_800_000_000_000 + self.at(now).as_nanos() / 1_000_000
    }
}

impl Setting {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut has = [true; QUOTAS].map(|_| dice.chance(600));
        has[dice.place(QUOTAS)] = true;
        let calm = Mood {
            lost: 0,
            repeated: 0,
            cut_short: 0,
            late: 0,
            latest: 1,
        };
        let wild = Mood {
            lost: dice.between(0, 200),
            repeated: dice.between(0, 200),
            cut_short: dice.between(0, 100),
            late: dice.between(0, 200),
            latest: dice.between(10, 4_000),
        };
        let only_cuts = dice.chance(150);
        if only_cuts {
            has = [true, false, false, false];
        }
        Self {
            only_cuts,
            processes: usize::try_from(dice.between(2, 5)).expect("few"),
            pace: Pace {
                sync: Duration::from_millis(dice.one_of(&[100, 100, 200, 50])),
                member_ttl: Duration::from_secs(dice.between(2, 8)),
            },
            span: Duration::from_secs(dice.between(3, 12)),
            limits: [
                dice.between(2, 40),
                dice.between(50, 1_000),
                dice.between(1, 12),
                dice.between(5_000, 600_000),
            ],
            has,
            on_loss: dice.one_of(&[OnLoss::Closed, OnLoss::Closed, OnLoss::Share]),
            standing: dice.one_of(&[Standing::Yes, Standing::No]),
            mood: if only_cuts || dice.chance(300) {
                calm
            } else {
                wild
            },
            busy: dice.span(12_000, 32_000),
            parts: dice.one_of(&[4, 20, 5_000]),
            pause: if only_cuts {
                (20, 250)
            } else {
                dice.one_of(&[(20, 250), (50, 800), (200, 2_000)])
            },
            store_clock: Clock::new(dice),
        }
    }

    pub(crate) fn quota(&self, place: usize) -> Quota {
        let kind = match place {
            RPM | TPM => Kind::Window {
                span: self.span,
                standing: self.standing,
            },
            PLACES => Kind::InFlight,
            _ => Kind::Period {
                from: WallTime::default(),
                to: None,
                measure: Measure::Money,
            },
        };
        Quota {
            name: ["rpm", "tpm", "places", "usd"][place].into(),
            kind,
            limit: self.limits[place],
            on_loss: if place == MONEY {
                OnLoss::Closed
            } else {
                self.on_loss
            },
        }
    }

    /// The quotas that there are.
    pub(crate) fn quotas(&self) -> impl Iterator<Item = usize> + use<> {
        let has = self.has;
        (0..QUOTAS).filter(move |place| has[*place])
    }
}

pub(crate) fn share(place: usize) -> ShareId {
    ShareId(u32::try_from(place).expect("few"))
}
