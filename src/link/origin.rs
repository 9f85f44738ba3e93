//! Whether an instance has all of a limit, or a part of it.

/// Where the quota of a word comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The instance has all of the limit: a word begins at it.
    #[default]
    Own,
    /// The instance leases parts of the limit: a word begins at 0.
    Leased,
}
