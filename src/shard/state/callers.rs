//! A shard's hold of the callers in force.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::exchange::callers::{Callers, SharedCallers};
use crate::exchange::recent_keys::RecentKeys;
use crate::link::latest::Latest;
use crate::sys::entropy;

/// The callers in force when the shard last looked: requests share them without a counter
/// that other shards change.
pub struct HeldCallers(RefCell<Rc<SharedCallers>>);

impl HeldCallers {
    /// Those of `latest`.
    #[must_use]
    pub fn new(latest: &Latest<Callers>) -> Self {
        Self(RefCell::new(hold(latest.load())))
    }

    /// The callers that are in force.
    #[must_use]
    pub fn current(&self, latest: &Latest<Callers>) -> Rc<SharedCallers> {
        self.adopt(latest);
        Rc::clone(&self.0.borrow())
    }

    /// Lets go of the callers that it holds, if others are in force. They are not dropped by that:
    /// the thread that reloads holds them until no shard does.
    pub fn adopt(&self, latest: &Latest<Callers>) {
        let mut held = self.0.borrow_mut();
        // What is held is not another value at the same address.
        let is_same = latest.look(|callers| held.is(callers));
        if !is_same {
            *held = hold(latest.load());
        }
    }
}

/// Holds `callers`. Where the kernel gives no random bytes, no key is remembered, and the digest of
/// each is computed each time.
fn hold(callers: Arc<Callers>) -> Rc<SharedCallers> {
    let secret = entropy::secret().ok();
    let secret = secret.as_ref().and_then(|bytes| bytes.first_chunk());
    let recent = secret.map(RecentKeys::new).unwrap_or_default();
    Rc::new(SharedCallers::new(callers, recent))
}
