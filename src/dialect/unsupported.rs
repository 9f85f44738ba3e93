//! What a provider's dialect cannot express.

use std::fmt::Display;

/// A part of a request that the dialect of its provider cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` {why}")]
pub struct Unsupported {
    /// Where it stands: `messages[2].content[1]`.
    pub place: String,
    /// What is wrong with it; completes a sentence that starts with the place.
    pub why: &'static str,
}

impl Unsupported {
    /// The item at this place of a request for a response: its provider alone can read it.
    #[must_use]
    pub fn unreadable(at: usize) -> Self {
        Self {
            place: format!("input[{at}]"),
            why: "was made by another provider, which alone can read it",
        }
    }

    pub(super) fn new(place: &str, why: &'static str) -> Self {
        Self {
            place: place.to_owned(),
            why,
        }
    }

    /// Too much would stand in the places of what a request refers to.
    #[must_use]
    pub fn referenced() -> Self {
        let why = "refers to more than 4 MiB of earlier items: send the items themselves";
        Self::new("input", why)
    }

    /// A conversation cannot be made shorter.
    #[must_use]
    pub fn compaction() -> Self {
        let why = "is what only providers with Responses can do, and no such provider of this \
            model is available";
        Self::new("compact", why)
    }

    /// The same fault, with its place seen from outside of `outer`.
    pub(super) fn within(self, outer: impl Display) -> Self {
        Self {
            place: format!("{outer}{}", self.place),
            why: self.why,
        }
    }
}
