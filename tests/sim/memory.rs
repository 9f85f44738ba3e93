//! Bodies in memory: the pool and the shards' leases are the real ones.

use std::rc::Rc;
use std::sync::Arc;

use infermux::testing::exchange::course::Release;
use infermux::testing::link::buffered::{Held as Lent, Lease, Pool};
use infermux::testing::link::meters::LoopMeter;

use crate::dice::Dice;
use crate::promise::{Broken, Held, promise};

/// The memory of all shards, and the judge's books of it.
pub(crate) struct Memory {
    pool: Arc<Pool>,
    bound: usize,
    shards: Vec<Books>,
}

struct Books {
    lease: Rc<Lease>,
    meter: Arc<LoopMeter>,
    held: usize,
}

/// What one request holds.
pub(crate) struct Bodies {
    shard: usize,
    bytes: usize,
    lent: Lent,
}

impl Memory {
    pub(crate) fn new(dice: &mut Dice, shards: u16) -> Self {
        let bound = usize::try_from(dice.between(50_000, 2_000_000)).unwrap_or(0);
        let pool = Arc::new(Pool::new(bound, usize::from(shards)));
        let books = |_| {
            let meter = Arc::<LoopMeter>::default();
            Books {
                lease: Lease::new(Arc::clone(&pool), Arc::clone(&meter)),
                meter,
                held: 0,
            }
        };
        Self {
            bound,
            shards: (0..shards).map(books).collect(),
            pool,
        }
    }

    /// What a request on `shard` holds, at first.
    pub(crate) fn nothing(&self, shard: usize) -> Bodies {
        Bodies {
            shard,
            bytes: 0,
            lent: self.shards[shard].lease.hold(),
        }
    }

    /// A request holds this much more; whether it may.
    pub(crate) fn hold(&mut self, bodies: &mut Bodies, more: usize) -> Result<bool, Broken> {
        let (all, bytes) = (self.held(), bodies.bytes + more);
        let is_held = bodies.lent.grow_to(bytes);
        if is_held {
            bodies.bytes = bytes;
            self.shards[bodies.shard].held += more;
        }
        // Each shard may keep two pieces that it does not use, which are half of the pool.
        promise(
            "memory.bounded",
            is_held || all + more > self.bound / 2,
            || format!("{more} are refused with {all} held of {}", self.bound),
        )?;
        Ok(is_held)
    }

    /// Of what a request holds, this much is needed, and no more.
    pub(crate) fn keep(&mut self, bodies: &mut Bodies, bytes: usize) {
        let fewer = bodies.bytes - bytes;
        bodies.lent.insist_on(bytes);
        bodies.bytes = bytes;
        self.shards[bodies.shard].held -= fewer;
    }

    /// The answer begins: the bodies are needed no more.
    pub(crate) fn release(&mut self, bodies: &mut Bodies, _: Release) {
        self.let_go(bodies);
    }

    /// The bodies are needed no more.
    pub(crate) fn let_go(&mut self, bodies: &mut Bodies) {
        bodies.lent.clear();
        self.shards[bodies.shard].held -= std::mem::take(&mut bodies.bytes);
    }

    fn held(&self) -> usize {
        self.shards.iter().map(|one| one.held).sum()
    }

    pub(crate) fn check(&self) -> Held {
        let held = self.held();
        // proves: memory.bounded
        promise("memory.bounded", held <= self.bound, || {
            format!("{held} bytes are held of {}", self.bound)
        })?;
        let is_told = |one: &Books| one.meter.buffered.get() == one.held as u64;
        promise("memory.bounded", self.shards.iter().all(is_told), || {
            "the meter says another sum than that of the bodies on their way".to_owned()
        })
    }

    /// Nobody is on the way: all of the pool can be held again.
    pub(crate) fn check_end(&mut self) -> Held {
        self.check()?;
        let held = self.held();
        self.shards.clear();
        let lease = Lease::new(Arc::clone(&self.pool), Arc::default());
        let is_whole = held == 0 && lease.hold().grow_to(self.bound);
        promise("memory.bounded", is_whole, || {
            format!(
                "nobody is on the way, and {held} bytes are held: {:?}",
                self.pool
            )
        })
    }
}
