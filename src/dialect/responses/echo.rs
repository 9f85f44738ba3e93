//! What an answer repeats of its request (rule A1 of reference/responses-inbound.md).

/// What the answer to a request repeats of it, and what it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Whether the caller wants reasoning in a form that it can send back.
    pub wants_encrypted: bool,
}

impl Echo {
    /// What the answer to the request `body`, which is JSON, repeats.
    #[must_use]
    pub fn read(_body: &[u8]) -> Self {
        Self::default()
    }
}
