//! A shard's hold of the keys in force.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::exchange::keys::Keys;
use crate::link::latest::Latest;

/// The keys that were in force when the shard last looked: requests share them without a counter
/// that other shards change.
pub struct HeldKeys(RefCell<Rc<Arc<Keys>>>);

impl HeldKeys {
    /// Those of `latest`.
    #[must_use]
    pub fn new(latest: &Latest<Keys>) -> Self {
        Self(RefCell::new(Rc::new(latest.load())))
    }

    /// The keys that are in force.
    #[must_use]
    pub fn current(&self, latest: &Latest<Keys>) -> Rc<Arc<Keys>> {
        let mut held = self.0.borrow_mut();
        // What is held is not another value at the same address.
        let is_same = latest.look(|keys| std::ptr::eq(keys, Arc::as_ptr(&held)));
        if !is_same {
            *held = Rc::new(latest.load());
        }
        Rc::clone(&held)
    }
}
