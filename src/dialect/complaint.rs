//! What a provider says of a request that it does not answer, in no dialect's words.

use std::borrow::Cow;

use crate::decide::outcome::Topic;
use crate::wire::json;

/// An error that a provider has told, in an answer or in a stream.
#[derive(Clone, Debug)]
pub struct Complaint<'a> {
    /// The status with which a caller is told of it.
    pub status: u16,
    /// The status of the provider's answer; an event has none.
    pub own_status: Option<u16>,
    /// What it is.
    pub kind: Kind,
    /// What it is about beyond that.
    pub topic: Topic,
    /// What its body looks like.
    pub form: Form,
    /// What it says to a person, a JSON string with its quotes; `None`: nothing.
    pub message: Option<Cow<'a, [u8]>>,
    /// By how much the prompt is too long, where that is what it says.
    pub overflow: Option<Overflow>,
}

/// What an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not as it should be.
    Invalid,
    /// The key is wrong.
    Authentication,
    /// The account has no credit.
    Billing,
    /// The key may not do this.
    Permission,
    /// There is no such model, or path.
    NotFound,
    /// The request does not go together with another one.
    Conflict,
    /// The request is too large.
    TooLarge,
    /// There were too many requests, or tokens.
    RateLimit,
    /// The provider has failed.
    Api,
    /// The provider took too long.
    Timeout,
    /// The provider is out of service.
    Unavailable,
    /// The provider has too much to do.
    Overloaded,
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An error of the dialect.
    Error,
    /// Some other JSON.
    Json,
    /// Not JSON: a page of some server in between.
    Foreign,
}

/// How many tokens do not fit, as far as the provider says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Tokens of the prompt.
    pub prompt: Option<u64>,
    /// Most tokens that the model takes, prompt and answer together.
    pub limit: Option<u64>,
    /// Tokens that were asked for as the answer.
    pub output: Option<u64>,
}

impl Complaint<'_> {
    /// What a person is told, a JSON string with its quotes.
    #[must_use]
    pub fn told(&self) -> Cow<'_, [u8]> {
        match (&self.message, self.own_status) {
            (Some(message), _) => Cow::Borrowed(message),
            (None, Some(status)) => {
                Cow::Owned(json::quoted(&format!("upstream returned HTTP {status}")))
            }
            (None, None) => Cow::Borrowed(b"\"upstream returned an error\""),
        }
    }
}
