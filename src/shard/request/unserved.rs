//! Why a request is not served, with the words that its refusal borrows: whatever finds that out
//! returns it, and one place tells the caller.

use crate::exchange::refusal::Refusal;

/// Why a request is not served.
#[derive(Debug)]
pub(super) enum Unserved<'a> {
    /// It is wrong, as these words say.
    Invalid(String),
    /// The key of its caller may not ask for the model.
    NotAllowed {
        /// The model.
        model: String,
        /// The key's name.
        key: &'a str,
    },
    /// The file that was to be reloaded has these faults.
    Faults(Vec<String>),
    /// What the refusal says.
    Refused(Refusal<'a>),
}

impl Unserved<'_> {
    /// What the caller is told.
    pub(super) fn refusal(&self) -> Refusal<'_> {
        match self {
            Self::Invalid(why) => Refusal::InvalidRequest(why),
            Self::NotAllowed { model, key } => Refusal::ModelNotAllowed { model, key },
            Self::Faults(faults) => Refusal::InvalidConfiguration { faults },
            Self::Refused(refusal) => *refusal,
        }
    }
}

impl<'a> From<Refusal<'a>> for Unserved<'a> {
    fn from(refusal: Refusal<'a>) -> Self {
        Self::Refused(refusal)
    }
}
