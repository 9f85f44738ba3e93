//! How requests for responses reach a provider.

/// How requests of callers of Responses reach a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responses {
    /// As they are: the provider has Responses.
    Native,
    /// As they are, until the provider turns out not to have Responses; from then on bridged.
    Presumed,
    /// Translated to the provider's own dialect, and its answers back.
    Bridged,
}
