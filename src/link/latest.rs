//! What is in force, for threads that look when they are told to.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The latest of several values, one of which is in force at a time.
#[derive(Debug)]
pub struct Latest<T>(ArcSwap<T>);

impl<T> Latest<T> {
    /// Begins with `value`.
    #[must_use]
    pub fn new(value: Arc<T>) -> Self {
        Self(ArcSwap::new(value))
    }

    /// Publishes `value` in place of what was there.
    pub fn publish(&self, value: Arc<T>) {
        self.0.store(value);
    }

    /// Looks at what was published last: no count that other threads change is touched.
    pub fn look<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.load())
    }

    /// What was published last.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }
}
