//! A shard's hold of the keys in force.

use std::cell::RefCell;
use std::rc::Rc;

use crate::exchange::keys::{Keys, SharedKeys};
use crate::link::latest::Latest;

/// The keys that were in force when the shard last looked: requests share them without a counter
/// that other shards change.
pub struct HeldKeys(RefCell<Rc<SharedKeys>>);

impl HeldKeys {
    /// Those of `latest`.
    #[must_use]
    pub fn new(latest: &Latest<Keys>) -> Self {
        Self(RefCell::new(Rc::new(SharedKeys::new(latest.load()))))
    }

    /// The keys that are in force.
    #[must_use]
    pub fn current(&self, latest: &Latest<Keys>) -> Rc<SharedKeys> {
        let mut held = self.0.borrow_mut();
        // What is held is not another value at the same address.
        let is_same = latest.look(|keys| held.is(keys));
        if !is_same {
            *held = Rc::new(SharedKeys::new(latest.load()));
        }
        Rc::clone(&held)
    }
}
