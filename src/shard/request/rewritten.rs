//! What infermux writes anew of a request's body. It is counted in memory while it is there.

use std::rc::Rc;

use crate::dialect::request::Kept;
use crate::dialect::responses::echo::Echo;
use crate::link::buffered::Held;
use crate::wire::draft::Edited;

/// A body that was written anew for a candidate. It counts as held in memory until it is dropped.
pub struct Translated {
    bytes: Rc<Vec<u8>>,
    /// What the reader of the answer must know of it.
    pub kept: Kept,
    _held: Held,
}

impl Translated {
    /// A body that `held` counts from now on; `None` where there is no room for it.
    #[must_use]
    pub fn new(bytes: Vec<u8>, kept: Kept, mut held: Held) -> Option<Self> {
        let echo = kept.echo.as_ref().map_or(0, Echo::room);
        held.grow_to(bytes.capacity() + echo).then(|| Self {
            bytes: Rc::new(bytes),
            kept,
            _held: held,
        })
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> Rc<Vec<u8>> {
        Rc::clone(&self.bytes)
    }

    /// Takes the body out, until it is put back.
    #[must_use]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        Rc::unwrap_or_clone(std::mem::take(&mut self.bytes))
    }

    /// Puts the body back.
    pub fn put_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes = Rc::new(bytes);
    }
}

/// What rules change in the body of a request. It counts as held in memory until it is dropped.
pub struct Edits {
    edited: Rc<Edited>,
    _held: Held,
}

impl Edits {
    /// Edits that `held` counts from now on; `None` where there is no room for them.
    #[must_use]
    pub fn new(edited: Edited, mut held: Held) -> Option<Self> {
        held.grow_to(edited.held_bytes()).then(|| Self {
            edited: Rc::new(edited),
            _held: held,
        })
    }

    /// The edits.
    #[must_use]
    pub fn edited(&self) -> Rc<Edited> {
        Rc::clone(&self.edited)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::link::buffered::{Lease, Pool};
    use crate::wire::draft::Draft;
    use crate::wire::path::Path;

    fn lease(bytes: usize) -> Rc<Lease> {
        Lease::new(Arc::new(Pool::new(bytes, 1)), Arc::default())
    }

    #[test]
    fn a_translation_is_counted_for_as_long_as_it_is_there() {
        let lease = lease(1_000);
        let bytes = Vec::with_capacity(600);
        let translated = Translated::new(bytes, Kept::default(), lease.hold()).unwrap();
        assert!(!lease.has_room(401));
        let more = Vec::with_capacity(401);
        assert!(Translated::new(more, Kept::default(), lease.hold()).is_none());
        assert!(lease.has_room(400), "what was refused is not counted");
        drop(translated);
        assert!(lease.has_room(1_000));
    }

    #[test]
    fn edits_are_counted_for_as_long_as_they_are_there() {
        let path = Path::of(&["seed"]);
        let mut draft = Draft::new(b"{}", vec![b"seed".as_slice()]);
        assert!(draft.set(&path, b"7"));
        let edited = draft.finish().unwrap();
        let held = edited.held_bytes();
        let lease = lease(held + 1);
        let edits = Edits::new(edited, lease.hold()).unwrap();
        assert!(lease.has_room(1) && !lease.has_room(held + 2));
        drop(edits);
        assert!(lease.has_room(held + 1));
    }
}
