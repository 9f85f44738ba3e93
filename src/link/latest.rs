//! A published value that threads look at when they need it.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The latest of several values, one after the other.
#[derive(Debug)]
pub struct Latest<T>(ArcSwap<T>);

impl<T: Default> Default for Latest<T> {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl<T> Latest<T> {
    /// Begins with `value`.
    #[must_use]
    pub fn new(value: Arc<T>) -> Self {
        Self(ArcSwap::new(value))
    }

    /// Publishes `value` in place of the former one.
    pub fn publish(&self, value: Arc<T>) {
        self.0.store(value);
    }

    /// Looks at the latest value without touching a reference count that other threads change.
    pub fn look<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.load())
    }

    /// The latest value.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }
}
