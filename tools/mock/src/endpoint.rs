//! What a provider serves.

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Messages,
    CountTokens,
    Responses,
    InputTokens,
    Compact,
    /// A stored response, and what is asked of it.
    Stored {
        id: String,
        wish: Wish,
    },
    Models,
    Model(String),
    /// Any other: sound, pictures, moderation, rankings, tokens, files. All are answered alike.
    Other,
}

/// What is asked of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Show,
    Delete,
    Items,
    Cancel,
}
