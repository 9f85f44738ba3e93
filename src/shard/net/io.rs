//! What a socket needs of its event loop.

use std::rc::Rc;

use crate::link::buffered::Lease;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::outbox::Outbox;
use crate::shard::net::ring::Driver;
use crate::shard::net::timers::Timers;

/// What the sockets of one event loop share.
pub struct Io {
    /// What the loop runs on.
    pub driver: Driver,
    /// Deadlines of its sockets.
    pub timers: Rc<Timers>,
    /// Bodies held in memory.
    pub lease: Rc<Lease>,
    /// What requests use, between two of them.
    pub buffers: Rc<Buffers>,
    /// Sends on their way out.
    pub outbox: Rc<Outbox>,
}

impl Io {
    /// The parts of a new loop; `lease` bounds what it holds in memory.
    #[must_use]
    pub fn new(driver: Driver, lease: Rc<Lease>) -> Self {
        let buffers = Rc::new(Buffers::new(Rc::clone(&lease)));
        Self {
            driver,
            timers: Rc::default(),
            outbox: Rc::new(Outbox::new(driver, Rc::clone(&buffers))),
            lease,
            buffers,
        }
    }
}
