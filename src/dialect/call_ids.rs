//! The ids of the calls of an answer: each belongs to one call alone.

use std::collections::HashSet;

/// The ids that have been given.
#[derive(Debug, Default)]
pub(super) struct CallIds(HashSet<Box<str>>);

impl CallIds {
    pub(super) fn reset(&mut self) {
        self.0 = HashSet::new();
    }

    /// The id of the next call: its `own`, unless that is empty or another call has it, or a
    /// `fresh` one.
    pub(super) fn give(&mut self, own: Option<String>, fresh: impl FnOnce() -> String) -> String {
        let own = own.filter(|own| !own.is_empty() && !self.0.contains(&**own));
        let id = own.unwrap_or_else(fresh);
        self.0.insert(id.as_str().into());
        id
    }
}
