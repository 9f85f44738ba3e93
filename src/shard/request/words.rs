//! What a provider says about a request in its own words, as the log has it.

use crate::base::limits::LOGGED_ERROR_BYTES_MAX;
use crate::exchange::inbound;
use crate::exchange::masks::{Masks, OwnMasks};
use crate::exchange::request_id::RequestId;
use crate::report::escape::acts;
use crate::shard::http::upstream::Upstream;
use crate::wire::provider_error::ProviderError;

/// A provider's own words about a request, without the keys that it may quote.
#[derive(Clone, Default)]
pub struct Words {
    id: Option<RequestId>,
    error: Option<String>,
}

impl Words {
    /// The words in the head of an answer.
    #[must_use]
    pub fn of_head(masks: &OwnMasks, up: &Upstream) -> Self {
        let id = inbound::request_id(&up.head, &up.bytes);
        Self {
            id: id.and_then(|id| RequestId::told(id, masks)),
            error: None,
        }
    }

    /// Takes in the error that `body` is: its message, else its beginning as it stands.
    pub fn take_error(&mut self, masks: &Masks, callers_key: Option<&[u8]>, body: &[u8]) {
        let message = ProviderError::read(body).message;
        let beginning = body.get(..PAGE_BYTES_MAX).unwrap_or(body);
        let text = message.unwrap_or_else(|| String::from_utf8_lossy(beginning));
        let masked = masks.for_log(text.trim(), callers_key, LOGGED_ERROR_BYTES_MAX);
        let masked = masked.replace(acts, " ");
        self.error = Some(masked).filter(|text| !text.is_empty());
    }

    /// Its own id for the request.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().map(RequestId::as_str)
    }

    /// What it says of its error.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

/// Most of a body without a message that is looked at: more than a key and what a line has.
const PAGE_BYTES_MAX: usize = 16 << 10;
