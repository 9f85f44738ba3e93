//! What a stream runs through: a relay or a translation, kept for the next stream.

use crate::base::limits::{KEPT_BUFFER_BYTES_MAX, RELAYS_KEPT_MAX};
use crate::config::plan::ProviderKind;
use crate::decide::outcome::{KeyOwner, Outcome};
use crate::exchange::relay::{RelayPlan, StreamFault, StreamRelay};
use crate::shard::attempt::Attempt;
use crate::shard::run::Shard;
use crate::sys::clock;
use crate::translate::error;
use crate::translate::stream::{IncludeUsage, StreamPlan, StreamTranslator};
use crate::wire::usage::Usage;

/// What a stream needs and the next one can use again.
#[derive(Default)]
pub struct Spare {
    relay: StreamRelay,
    translator: StreamTranslator,
    dialect: Dialect,
    /// Bytes for the caller that have not been framed.
    pub payload: Vec<u8>,
}

/// Keeps what the next stream can use, but for what a burst of streams, or a burst within one, made
/// of it.
pub fn keep(shard: &Shard, mut spare: Box<Spare>) {
    let mut relays = shard.relays.borrow_mut();
    if relays.len() < RELAYS_KEPT_MAX {
        spare.payload.clear();
        spare.payload.shrink_to(KEPT_BUFFER_BYTES_MAX);
        relays.push(spare);
    }
}

/// Whose dialect a provider's stream is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dialect {
    /// The caller's own: it is relayed.
    #[default]
    Same,
    /// Anthropic's: it is translated.
    Anthropic,
}

impl Spare {
    /// What an error that the provider sent before any content means, where its dialect tells.
    #[must_use]
    pub fn told_error(&self, key: KeyOwner) -> Option<Outcome> {
        match self.dialect {
            Dialect::Same => None,
            Dialect::Anthropic => {
                let event = self.translator.error()?;
                Some(error::event_outcome(event, key))
            }
        }
    }

    /// What the caller is told in place of a stream that ended like this before any content, where
    /// that is about the request itself: the status and the body.
    #[must_use]
    pub fn told(&self, outcome: Outcome) -> Option<(u16, Vec<u8>)> {
        let (Outcome::RequestRefused(status) | Outcome::CallerKeyRefused(status)) = outcome else {
            return None;
        };
        let mut body = Vec::new();
        error::write_event(self.translator.error()?, &mut body);
        Some((status, body))
    }

    /// Begins a stream.
    pub fn reset(&mut self, attempt: &Attempt<'_, '_>) {
        self.payload.clear();
        let job = attempt.job;
        self.dialect = match attempt.provider.kind {
            ProviderKind::Anthropic => Dialect::Anthropic,
            ProviderKind::OpenAi | ProviderKind::Ollama | ProviderKind::AzureOpenAi => {
                Dialect::Same
            }
        };
        match self.dialect {
            Dialect::Same => self.relay.reset(&RelayPlan {
                caller_model: attempt.caller_model(),
                kind: attempt.provider.kind,
                endpoint: job.endpoint,
                usage: attempt.usage,
            }),
            Dialect::Anthropic => self.translator.reset(&StreamPlan {
                caller_model: attempt.caller_model(),
                include_usage: if job.ask.include_usage {
                    IncludeUsage::Yes
                } else {
                    IncludeUsage::No
                },
                created: clock::wall().unix_millis() / 1_000,
            }),
        }
    }

    /// Takes in bytes of the provider's body; see [`StreamRelay::push`].
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StreamFault> {
        match self.dialect {
            Dialect::Same => self.relay.push(bytes, &mut self.payload),
            Dialect::Anthropic => self.translator.push(bytes, &mut self.payload),
        }
    }

    /// The provider's body has ended; see [`StreamRelay::finish`].
    ///
    /// # Errors
    ///
    /// The answer is not complete.
    pub fn finish(&mut self) -> Result<(), StreamFault> {
        match self.dialect {
            Dialect::Same => self.relay.finish(&mut self.payload),
            Dialect::Anthropic => self.translator.finish(&mut self.payload),
        }
    }

    /// Whether the caller has been given anything.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        match self.dialect {
            Dialect::Same => self.relay.is_committed(),
            Dialect::Anthropic => self.translator.is_committed(),
        }
    }

    /// Whether the caller has been given its `[DONE]`.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self.dialect {
            Dialect::Same => self.relay.is_done(),
            Dialect::Anthropic => self.translator.is_done(),
        }
    }

    /// What the provider says was used.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match self.dialect {
            Dialect::Same => self.relay.usage(),
            Dialect::Anthropic => self.translator.usage(),
        }
    }

    /// Length of the text that was passed on, for an estimate.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match self.dialect {
            Dialect::Same => self.relay.text_bytes(),
            Dialect::Anthropic => self.translator.text_bytes(),
        }
    }
}
