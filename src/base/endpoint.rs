//! What callers ask for, and the dialects in which they and the providers speak.

/// The words and forms of an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions, completions and embeddings.
    #[default]
    Chat,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
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
    /// `/v1/responses`
    Responses,
    /// `/v1/responses/input_tokens`
    InputTokens,
    /// `/v1/responses/compact`
    Compact,
}

impl Dialect {
    /// Its name, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// Its endpoint for conversations.
    #[must_use]
    pub const fn conversation(self) -> Endpoint {
        match self {
            Self::Chat => Endpoint::ChatCompletions,
            Self::Messages => Endpoint::Messages,
            Self::Responses => Endpoint::Responses,
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
            Self::Responses => "responses",
            Self::InputTokens => "input_tokens",
            Self::Compact => "compact",
        }
    }

    /// The dialect that it is a part of.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => Dialect::Chat,
            Self::Messages | Self::CountTokens => Dialect::Messages,
            Self::Responses | Self::InputTokens | Self::Compact => Dialect::Responses,
        }
    }

    /// The endpoint that requests for this one are sent to in `dialect`: conversations can be told
    /// in each.
    #[must_use]
    pub const fn told_in(self, dialect: Dialect) -> Self {
        match self {
            Self::ChatCompletions | Self::Messages | Self::Responses => dialect.conversation(),
            Self::Completions
            | Self::Embeddings
            | Self::CountTokens
            | Self::InputTokens
            | Self::Compact => self,
        }
    }

    /// Whether its answer is what a model writes: it takes as long as that, and may be streamed.
    #[must_use]
    pub const fn is_written(self) -> bool {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Messages
            | Self::Responses
            | Self::Compact => true,
            Self::Embeddings | Self::CountTokens | Self::InputTokens => false,
        }
    }

    /// Whether it takes a conversation, which each dialect can hold.
    #[must_use]
    pub const fn takes_conversation(self) -> bool {
        match self {
            Self::ChatCompletions
            | Self::Messages
            | Self::CountTokens
            | Self::Responses
            | Self::InputTokens
            | Self::Compact => true,
            Self::Completions | Self::Embeddings => false,
        }
    }
}
