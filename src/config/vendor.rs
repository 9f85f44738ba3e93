//! The types of providers, a row each: what such a provider speaks, how it is asked, and what it is
//! taken for where the file does not say.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::config::responses::Responses;

/// A type of providers.
#[derive(Debug)]
pub struct Vendor {
    /// Its name in the file.
    pub name: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// How a request carries its key.
    pub key: KeyForm,
    /// Where its endpoints stand below the base.
    pub root: Root,
    /// The endpoints that it has, each with its path below the root; a path that begins with a
    /// slash stands below the base without its `/v1`.
    pub endpoints: &'static [(Endpoint, &'static str)],
    /// What is done with requests for responses where the file does not say.
    pub responses: Responses,
    /// The path of its list of models, which also serves as health check.
    pub list: &'static str,
    /// Where such a provider answers, unless the file says so.
    pub base: &'static str,
    /// Whether that is nowhere, because each account has a host of its own: then the file must say.
    pub needs_base: bool,
    /// The path that the base of most such providers has, and that must be in the file.
    pub usual_path: &'static str,
    /// Whether such a provider is hosted by others, who want a key.
    pub hosted: Hosted,
    /// What its models cost where nothing else says so.
    pub prices: Prices,
    /// How the names of all of its models begin, where it has no other ones.
    pub own_models: &'static str,
    /// What its requests look like besides.
    pub habits: Habits,
}

/// How a request carries a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// As `Authorization: Bearer`.
    Bearer,
    /// In this header.
    Header(&'static str),
    /// As Anthropic takes it: in `x-api-key`, but OAuth tokens as `Authorization: Bearer`.
    Anthropic,
}

/// Where the endpoints of a provider stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// At its base.
    Base,
    /// Below `/v1`, which the base may have at its end already.
    V1,
    /// Below the deployment of a model (see [`crate::wire::azure`]).
    Deployment,
}

/// Whether providers of a type are hosted by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// All are.
    Always,
    /// Those are that do not answer on a host of one's own.
    Elsewhere,
    /// None is.
    Never,
}

/// What models cost where neither the file nor the table's parts for the provider's name and host
/// say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prices {
    /// As this part of the built-in table says.
    Listed(&'static str),
    /// Nothing.
    Free,
}

/// What is odd about providers of a type that speak a common dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// It reads less of a chat completion than OpenAI: of the two bounds of its length `max_tokens`
    /// alone, no picture that is elsewhere, and no PDF.
    pub reads_less: bool,
    /// It sends its notes about the content of a stream in chunks of their own.
    pub notes_apart: bool,
}

/// All types, in the order of the documentation.
pub static VENDORS: [&Vendor; 4] = [&OPENAI, &ANTHROPIC, &OLLAMA, &AZURE_OPENAI];

/// OpenAI, and every server that is compatible with it.
pub static OPENAI: Vendor = Vendor {
    name: "openai",
    dialect: Dialect::Chat,
    key: KeyForm::Bearer,
    root: Root::Base,
    endpoints: OPENAIS,
    responses: Responses::Presumed,
    list: "models",
    base: "https://api.openai.com/v1",
    needs_base: false,
    usual_path: "/v1",
    // Many self-hosted servers speak this dialect, and few of them want a key.
    hosted: Hosted::Elsewhere,
    prices: Prices::Listed("openai"),
    own_models: "",
    habits: PLAIN,
};

/// Anthropic.
pub static ANTHROPIC: Vendor = Vendor {
    name: "anthropic",
    dialect: Dialect::Messages,
    key: KeyForm::Anthropic,
    root: Root::V1,
    endpoints: MESSAGES,
    responses: Responses::Bridged,
    // By default the API lists twenty models, with `limit` at most this many.
    list: "models?limit=1000",
    base: "https://api.anthropic.com",
    needs_base: false,
    usual_path: "",
    hosted: Hosted::Always,
    prices: Prices::Listed("anthropic"),
    own_models: "claude",
    habits: PLAIN,
};

/// Ollama.
pub static OLLAMA: Vendor = Vendor {
    name: "ollama",
    dialect: Dialect::Chat,
    key: KeyForm::Bearer,
    root: Root::V1,
    endpoints: OPENAIS,
    responses: Responses::Bridged,
    list: "models",
    base: "http://localhost:11434",
    needs_base: false,
    usual_path: "",
    hosted: Hosted::Never,
    prices: Prices::Free,
    own_models: "",
    habits: Habits {
        reads_less: true,
        ..PLAIN
    },
};

/// Azure OpenAI.
pub static AZURE_OPENAI: Vendor = Vendor {
    name: "azure_openai",
    dialect: Dialect::Chat,
    key: KeyForm::Header("api-key"),
    root: Root::Deployment,
    endpoints: AZURES,
    responses: Responses::Presumed,
    list: "models",
    // This name stands in where the host is not known.
    base: "https://azure.invalid",
    needs_base: true,
    usual_path: "",
    hosted: Hosted::Always,
    prices: Prices::Listed("azure_openai"),
    own_models: "",
    habits: Habits {
        notes_apart: true,
        ..PLAIN
    },
};

/// The endpoints of OpenAI's API. Not every provider that speaks chat completions has those of
/// Responses, too (see [`Responses`]).
const OPENAIS: &[(Endpoint, &str)] = &[
    (Endpoint::ChatCompletions, "chat/completions"),
    (Endpoint::Completions, "completions"),
    (Endpoint::Embeddings, "embeddings"),
    (Endpoint::Responses, "responses"),
    (Endpoint::InputTokens, "responses/input_tokens"),
    (Endpoint::Compact, "responses/compact"),
    (Endpoint::Transcriptions, "audio/transcriptions"),
    (Endpoint::Translations, "audio/translations"),
    (Endpoint::Speech, "audio/speech"),
    (Endpoint::ImageGenerations, "images/generations"),
    (Endpoint::ImageEdits, "images/edits"),
    (Endpoint::Files, "files"),
    (Endpoint::Batches, "batches"),
    (Endpoint::FineTuning, "fine_tuning"),
    (Endpoint::VectorStores, "vector_stores"),
    (Endpoint::Moderations, "moderations"),
    (Endpoint::Rerank, "rerank"),
    (Endpoint::RerankV2, "/v2/rerank"),
    (Endpoint::Score, "/score"),
    (Endpoint::Tokenize, "/tokenize"),
    (Endpoint::Detokenize, "/detokenize"),
];

/// The endpoints of Azure OpenAI.
const AZURES: &[(Endpoint, &str)] = &[
    (Endpoint::ChatCompletions, "chat/completions"),
    (Endpoint::Completions, "completions"),
    (Endpoint::Embeddings, "embeddings"),
    (Endpoint::Responses, "responses"),
    (Endpoint::InputTokens, "responses/input_tokens"),
    (Endpoint::Compact, "responses/compact"),
    (Endpoint::Transcriptions, "audio/transcriptions"),
    (Endpoint::Translations, "audio/translations"),
    (Endpoint::Speech, "audio/speech"),
    (Endpoint::ImageGenerations, "images/generations"),
    (Endpoint::ImageEdits, "images/edits"),
    (Endpoint::Files, "files"),
    (Endpoint::Batches, "batches"),
    (Endpoint::FineTuning, "fine_tuning"),
    (Endpoint::VectorStores, "vector_stores"),
];

/// The endpoints of Anthropic's Messages.
const MESSAGES: &[(Endpoint, &str)] = &[
    (Endpoint::Messages, "messages"),
    (Endpoint::CountTokens, "messages/count_tokens"),
];

const PLAIN: Habits = Habits {
    reads_less: false,
    notes_apart: false,
};

impl Vendor {
    /// Whether requests of callers for `endpoint` can be sent to such a provider, in its own
    /// dialect if that is another one.
    #[must_use]
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        endpoint.takes_conversation() || self.has(endpoint)
    }

    /// Whether such a provider can have `endpoint` itself.
    #[must_use]
    pub fn has(&self, endpoint: Endpoint) -> bool {
        self.endpoints.iter().any(|(own, _)| *own == endpoint)
    }
}

impl PartialEq for Vendor {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Vendor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_endpoints_of_its_own_dialect_and_openais_those_of_responses() {
        for vendor in VENDORS {
            let mut all = vendor.endpoints.iter();
            let is_openais = vendor.dialect == Dialect::Chat;
            let is_own = |one: Endpoint| {
                one.dialect() == vendor.dialect || is_openais && one.dialect() == Dialect::Responses
            };
            assert!(all.all(|(one, _)| is_own(*one)), "{}", vendor.name);
            assert_eq!(vendor.has(Endpoint::Responses), is_openais);
            assert!(is_openais || vendor.responses == Responses::Bridged);
            for one in [
                Endpoint::ChatCompletions,
                Endpoint::Messages,
                Endpoint::Responses,
            ] {
                assert!(vendor.serves(one), "{}", vendor.name);
            }
        }
    }
}
