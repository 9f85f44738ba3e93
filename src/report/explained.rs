//! Where a request would go, and why: as the management API tells it, and as the command reads it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::base::money::NanoUsd;

/// An amount as a JSON number of dollars, in decimal notation.
pub type Dollars = Box<RawValue>;

/// What would become of a request.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Explained {
    /// The endpoint that is asked.
    pub endpoint: String,
    /// The model that is asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The caller that it is counted for.
    pub caller: Option<String>,
    /// The name of its key.
    pub key: Option<String>,
    /// The team of its key.
    pub team: Option<String>,
    /// How many tokens the prompt is likely to have.
    pub prompt_tokens: u64,
    /// How many tokens the answer is expected to have.
    pub answer_tokens: u64,
    /// What the limits and budgets that it passes say, in their order.
    pub scopes: Vec<ScopeExplained>,
    /// The model that a budget puts in place of the one asked for.
    pub model_override: Option<String>,
    /// The group that has the model.
    pub group: Option<String>,
    /// How one of the eligible candidates is chosen.
    pub strategy: Option<String>,
    /// How conversations are kept together; `None`: they are not.
    pub affinity: Option<AffinityExplained>,
    /// All candidates, in the order of the route.
    pub candidates: Vec<CandidateExplained>,
    /// The providers that are no candidates.
    pub others: Vec<OtherExplained>,
    /// The provider that would be asked.
    pub chosen: Option<String>,
    /// The providers that would be asked one after the other if each of them failed.
    pub order: Vec<String>,
    /// The error that would be answered before a provider is asked.
    pub refusal: Option<RefusalExplained>,
}

impl Explained {
    /// Notes that the request would be refused; the first refusal counts.
    pub fn refuse(&mut self, refusal: RefusalExplained) {
        self.refusal.get_or_insert(refusal);
    }
}

/// What a scope says to the request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScopeExplained {
    /// The scope, such as `key web-app`.
    pub scope: String,
    /// The model for which it was asked.
    pub model: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why it does not let the request pass.
    pub reason: Option<String>,
}

/// What a scope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The request passes.
    Passes,
    /// Another model serves it.
    ServedInstead,
    /// The request is refused.
    Refuses,
}

/// How conversations are kept together, and where this one belongs.
#[derive(Debug, Serialize, Deserialize)]
pub struct AffinityExplained {
    /// What tells conversations apart: `auto`, `session` or `prefix`.
    pub by: String,
    /// What tells this one: a header, a field of the body, or `prefix`; `None`: nothing does.
    pub told_by: Option<String>,
    /// The provider that comes first for it, whether or not it can take the request now.
    pub first: Option<String>,
}

/// A candidate.
#[derive(Debug, Serialize, Deserialize)]
pub struct CandidateExplained {
    /// The provider.
    pub provider: String,
    /// What it calls the model.
    pub model: String,
    /// The dialect that it is asked in.
    pub dialect: String,
    /// Whether the request is translated for it.
    pub translated: bool,
    /// Whether it can take the request now.
    pub eligible: bool,
    /// Why it cannot, or why it comes last.
    pub reason: Option<String>,
    /// When it is expected back, in milliseconds.
    pub back_in_ms: Option<u64>,
    /// Its place in the order of attempts, from 1.
    pub turn: Option<usize>,
    /// Its share under `round_robin` and `random`.
    pub weight: u32,
    /// Its average response time; `None`: it has answered too seldom.
    pub latency_ms: Option<f64>,
    /// Most tokens that its model reads; `None`: not known.
    pub context_window: Option<u64>,
    /// Requests that its limit per minute has left.
    pub requests_left: Option<u64>,
    /// Tokens that its limit per minute has left.
    pub tokens_left: Option<u64>,
    /// Requests that it has in flight; `None`: they decide nothing.
    pub in_flight: Option<u32>,
    /// The prices that hold for the prompt; `None`: not known.
    pub price: Option<PriceExplained>,
    /// The price of what is not billed by its tokens, in words; `None`: not known.
    #[serde(default)]
    pub unit_price: Option<String>,
    /// What the request would cost with an answer of the expected length; `None`: not known.
    pub cost_usd: Option<Dollars>,
    /// The rules that change its parameters, as in `rename max_tokens to max_completion_tokens`.
    pub changed: Option<String>,
    /// The parameters that it has no equivalent for.
    pub dropped: Option<String>,
    /// Why its dialect cannot express the request.
    pub inexpressible: Option<String>,
}

/// Prices, in dollars per million tokens.
#[derive(Debug, Serialize, Deserialize)]
pub struct PriceExplained {
    /// Of the prompt.
    pub input_per_million: Dollars,
    /// Of a prompt that is read from a cache.
    pub cache_read_per_million: Dollars,
    /// Of a prompt that is written to a cache.
    pub cache_write_per_million: Dollars,
    /// Of the answer.
    pub output_per_million: Dollars,
}

/// A provider that is no candidate.
#[derive(Debug, Serialize, Deserialize)]
pub struct OtherExplained {
    /// The provider.
    pub provider: String,
    /// Why it is none.
    pub reason: String,
}

/// The error that would be answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusalExplained {
    /// Its status.
    pub status: u16,
    /// Its code.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// The amount as a JSON number.
#[must_use]
pub fn dollars(amount: NanoUsd) -> Dollars {
    // Decimal digits and a point are a JSON number.
    RawValue::from_string(amount.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
