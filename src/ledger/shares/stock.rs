//! How much of a quota an instance keeps at hand.
//!
//! | others | left in the store | kept at hand | given back |
//! |---|---|---|---|
//! | lack none | a fifth or more | a second's demand | nothing |
//! | lack none | less | the demand of two `sync` | what was not used for a second |
//! | lack some | | no more is asked for | what the demand of two `sync` leaves, or a second |
//!
//! Providers' limits have a standing part beside that, to go on with without a store. Of a period
//! it is ten seconds' demand, at most a hundredth of the limit, and nothing once less than a fifth
//! is left.

use std::time::Duration;

use crate::base::time::Instant;
use crate::ledger::shares::demand::Demand;
use crate::ledger::shares::message::Granted;
use crate::ledger::shares::quota::{Kind, Quota};

/// What one look at a quota goes by.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The moment.
    pub now: Instant,
    /// How often the process speaks.
    pub sync: Duration,
    /// How long the store remembers a process, less a tenth.
    pub lease: Duration,
    /// Living members.
    pub members: u64,
    /// Whether the store grants nothing yet.
    pub is_learning: bool,
    /// When that was said whose answer last told of data that the store may lose.
    pub sure: Instant,
}

/// The latest answer about a quota.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When it came.
    pub at: Instant,
    /// What it said, in units of the quota.
    pub granted: Granted,
    /// Whether less was granted than waiting requests lacked.
    pub is_refused: bool,
}

impl Heard {
    /// Whether others lacked some.
    #[must_use]
    pub fn is_of_hunger(&self) -> bool {
        self.granted.hungry > 0
    }
}

/// What a quota's stock goes by.
#[derive(Clone, Copy, Debug)]
pub struct Stock<'a> {
    /// The quota.
    pub quota: &'a Quota,
    /// What was last heard of it.
    pub heard: Option<&'a Heard>,
    /// What is taken of it.
    pub demand: &'a Demand,
    /// What the instance may use of it.
    pub allowance: u64,
}

impl Stock<'_> {
    /// What the instance has and does not need where `left` is left, so that it gives it back.
    #[must_use]
    pub fn surplus(&self, look: &Look, left: u64) -> u64 {
        let Some(heard) = self.heard else {
            return 0;
        };
        let soon = self.demand.of(look.sync * 2);
        if heard.granted.hungry > 0 {
            let above = self.allowance.saturating_sub(heard.granted.fair);
            // Demand that has ended is averaged for a while.
            let unused = left
                .saturating_sub(soon)
                .max(self.demand.unused().min(left));
            return match self.quota.kind {
                // Places above an even part go as they become free.
                Kind::InFlight => unused.max(above),
                Kind::Window { .. } | Kind::Period { .. } => unused,
            };
        }
        if self.is_scarce() {
            let stock = soon.max(self.standing(look));
            return left.saturating_sub(stock).min(self.demand.unused());
        }
        0
    }

    /// What it would like to have beyond what is left: nothing until half of its stock is gone, or
    /// a fifth of a period's.
    #[must_use]
    pub fn ahead(&self, look: &Look, left: u64) -> u64 {
        let stock = match self.heard {
            None => 0,
            Some(heard) if heard.granted.hungry > 0 => return 0,
            Some(_) => self.moving(look, self.is_scarce()),
        };
        let stock = stock.max(self.standing(look));
        // An outage of five seconds, and the two in which a new store learns, are got through with
        // what is left of a period's ten.
        let enough = match self.quota.kind {
            Kind::Period { .. } => stock - stock / 5,
            Kind::Window { .. } | Kind::InFlight => stock / 2,
        };
        if left > enough || stock == 0 {
            return 0;
        }
        stock - left
    }

    /// What nobody has, as it was last heard; nothing where nothing was.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.heard.map_or(0, |heard| {
            self.quota.limit.saturating_sub(heard.granted.sum)
        })
    }

    /// The stock that goes by demand.
    fn moving(&self, look: &Look, is_scarce: bool) -> u64 {
        match self.quota.kind {
            Kind::Period { .. } if is_scarce => 0,
            Kind::Period { .. } => {
                let part = self.quota.limit / PARTS_OF_PERIOD;
                self.demand.of(STOCK_OF_PERIOD).min(part)
            }
            Kind::Window { .. } | Kind::InFlight if is_scarce => self.demand.of(look.sync * 2),
            Kind::Window { .. } | Kind::InFlight => self.demand.of(STOCK),
        }
    }

    /// The part that is kept to go on with if the store is away.
    fn standing(&self, look: &Look) -> u64 {
        let parts = 4 * look.members.max(MEMBERS_LEAST);
        if self.quota.kind.has_standing_part() {
            self.quota.limit / parts
        } else {
            0
        }
    }

    /// Whether less than a fifth of the limit is left in the store.
    fn is_scarce(&self) -> bool {
        self.free() < self.quota.limit / 5
    }
}

/// What demand is kept in stock while enough is left in the store.
const STOCK: Duration = Duration::from_secs(1);
/// The same of money and days, and the part of the limit that it is at most.
const STOCK_OF_PERIOD: Duration = Duration::from_secs(10);
const PARTS_OF_PERIOD: u64 = 100;
/// Standing parts are those of at least so many members.
const MEMBERS_LEAST: u64 = 4;
