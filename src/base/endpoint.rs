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
    /// `/v1/moderations`
    Moderations,
    /// `/v1/audio/transcriptions`
    Transcriptions,
    /// `/v1/audio/translations`
    Translations,
    /// `/v1/audio/speech`
    Speech,
    /// `/v1/images/generations`
    ImageGenerations,
    /// `/v1/images/edits`
    ImageEdits,
    /// `/v1/rerank`
    Rerank,
    /// `/v2/rerank`
    RerankV2,
    /// `/v1/score`
    Score,
    /// `/tokenize`
    Tokenize,
    /// `/detokenize`
    Detokenize,
    /// `/v1/files`, and what is below it.
    Files,
    /// `/v1/batches`, and what is below it.
    Batches,
    /// `/v1/fine_tuning`, and what is below it.
    FineTuning,
    /// `/v1/vector_stores`, and what is below it.
    VectorStores,
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
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::Responses,
        Self::InputTokens,
        Self::Compact,
        Self::Moderations,
        Self::Transcriptions,
        Self::Translations,
        Self::Speech,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::Rerank,
        Self::RerankV2,
        Self::Score,
        Self::Tokenize,
        Self::Detokenize,
        Self::Files,
        Self::Batches,
        Self::FineTuning,
        Self::VectorStores,
    ];

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
            Self::Moderations => "moderations",
            Self::Transcriptions => "audio_transcriptions",
            Self::Translations => "audio_translations",
            Self::Speech => "audio_speech",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::Rerank => "rerank",
            Self::RerankV2 => "rerank_v2",
            Self::Score => "score",
            Self::Tokenize => "tokenize",
            Self::Detokenize => "detokenize",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::FineTuning => "fine_tuning",
            Self::VectorStores => "vector_stores",
        }
    }

    /// The path that callers know it by.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Responses => "/v1/responses",
            Self::InputTokens => "/v1/responses/input_tokens",
            Self::Compact => "/v1/responses/compact",
            Self::Moderations => "/v1/moderations",
            Self::Transcriptions => "/v1/audio/transcriptions",
            Self::Translations => "/v1/audio/translations",
            Self::Speech => "/v1/audio/speech",
            Self::ImageGenerations => "/v1/images/generations",
            Self::ImageEdits => "/v1/images/edits",
            Self::Rerank => "/v1/rerank",
            Self::RerankV2 => "/v2/rerank",
            Self::Score => "/v1/score",
            Self::Tokenize => "/tokenize",
            Self::Detokenize => "/detokenize",
            Self::Files => "/v1/files",
            Self::Batches => "/v1/batches",
            Self::FineTuning => "/v1/fine_tuning",
            Self::VectorStores => "/v1/vector_stores",
        }
    }

    /// The dialect that it is a part of.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Moderations
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Rerank
            | Self::RerankV2
            | Self::Score
            | Self::Tokenize
            | Self::Detokenize
            | Self::Files
            | Self::Batches
            | Self::FineTuning
            | Self::VectorStores => Dialect::Chat,
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
            | Self::Compact
            | Self::Moderations
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Rerank
            | Self::RerankV2
            | Self::Score
            | Self::Tokenize
            | Self::Detokenize
            | Self::Files
            | Self::Batches
            | Self::FineTuning
            | Self::VectorStores => self,
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
            Self::Embeddings
            | Self::CountTokens
            | Self::InputTokens
            | Self::Moderations
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Rerank
            | Self::RerankV2
            | Self::Score
            | Self::Tokenize
            | Self::Detokenize
            | Self::Files
            | Self::Batches
            | Self::FineTuning
            | Self::VectorStores => false,
        }
    }

    /// Whether its requests and answers are passed on as they are, whatever is in them: JSON,
    /// forms, sound, text or events.
    #[must_use]
    pub const fn is_passed_on(self) -> bool {
        match self {
            Self::Moderations
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Rerank
            | Self::RerankV2
            | Self::Score
            | Self::Tokenize
            | Self::Detokenize
            | Self::Files
            | Self::Batches
            | Self::FineTuning
            | Self::VectorStores => true,
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Messages
            | Self::CountTokens
            | Self::Responses
            | Self::InputTokens
            | Self::Compact => false,
        }
    }

    /// Whether it costs nothing: its requests pass no budget, and use no tokens.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(
            self,
            Self::CountTokens | Self::InputTokens | Self::Tokenize | Self::Detokenize | Self::Files
        )
    }

    /// Whether its requests name a model, which leads to a provider.
    #[must_use]
    pub const fn has_model(self) -> bool {
        !matches!(
            self,
            Self::Files | Self::Batches | Self::FineTuning | Self::VectorStores
        )
    }

    /// Whether its requests may be forms with files in them.
    #[must_use]
    pub const fn takes_forms(self) -> bool {
        matches!(
            self,
            Self::Transcriptions | Self::Translations | Self::ImageEdits
        )
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
            Self::Completions
            | Self::Embeddings
            | Self::Moderations
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Rerank
            | Self::RerankV2
            | Self::Score
            | Self::Tokenize
            | Self::Detokenize
            | Self::Files
            | Self::Batches
            | Self::FineTuning
            | Self::VectorStores => false,
        }
    }
}
