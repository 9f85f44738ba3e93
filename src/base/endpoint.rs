//! What callers ask for, and the dialects in which they and the providers speak.

/// The words and forms of an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions, completions and embeddings.
    #[default]
    Chat,
    /// Anthropic's Messages.
    Messages,
}

/// What a request of a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
}

impl Dialect {
    /// Its name, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
        }
    }

    /// Its endpoint for conversations.
    #[must_use]
    pub const fn conversation(self) -> Endpoint {
        match self {
            Self::Chat => Endpoint::ChatCompletions,
            Self::Messages => Endpoint::Messages,
        }
    }
}

impl Endpoint {
    /// Its name, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// The dialect that it is a part of.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => Dialect::Chat,
            Self::Messages | Self::CountTokens => Dialect::Messages,
        }
    }

    /// The endpoint that requests for this one are sent to in `dialect`: conversations can be told
    /// in each.
    #[must_use]
    pub const fn told_in(self, dialect: Dialect) -> Self {
        match self {
            Self::ChatCompletions | Self::Messages => dialect.conversation(),
            Self::Completions | Self::Embeddings | Self::CountTokens => self,
        }
    }

    /// Whether its answer is what a model writes: it takes as long as that, and may be streamed.
    #[must_use]
    pub const fn is_written(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Messages => true,
            Self::Embeddings | Self::CountTokens => false,
        }
    }

    /// Whether it takes a conversation, which each dialect can hold.
    #[must_use]
    pub const fn takes_conversation(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Messages | Self::CountTokens => true,
            Self::Completions | Self::Embeddings => false,
        }
    }
}
