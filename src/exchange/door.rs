//! What is served at a listener.

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Callers and operators.
    Both,
    /// Callers only: operators have a listener of their own.
    Callers,
    /// Operators only.
    Operators,
}
