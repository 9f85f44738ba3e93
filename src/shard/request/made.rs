//! What is kept of the answers to callers of Responses, so that later requests may refer to them:
//! whose the ids are, or the items themselves (rules I1 and I4 of
//! reference/responses-inbound.md).

use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::base::ids::ProviderId;
use crate::dialect::answer::ItemPlace;
use crate::dialect::responses::references;
use crate::exchange::course::Reasoning;
use crate::exchange::remembered::{self, Items};
use crate::link::owners::Owners;
use crate::shard::request::attempt::Attempt;

/// What is kept of one answer.
#[derive(Clone)]
pub(super) enum Made {
    /// Nothing.
    Nothing,
    /// Its ids, which the provider has made.
    Ids(Arc<Owners>, ProviderId),
    /// Its items, which infermux has made.
    Items(Arc<Items>),
}

impl Attempt<'_, '_> {
    /// What is kept of its answer. Where one provider alone makes ids, there is nothing to learn.
    pub(super) fn made(&self) -> Made {
        let (job, shard) = (self.job, self.job.shard);
        match (job.endpoint.dialect(), self.dialect()) {
            (Dialect::Chat | Dialect::Messages, _) => Made::Nothing,
            (Dialect::Responses, Dialect::Responses) if shard.owners.is_used() => {
                Made::Ids(Arc::clone(&shard.owners), self.candidate().provider)
            }
            (Dialect::Responses, Dialect::Responses) => Made::Nothing,
            (Dialect::Responses, Dialect::Chat | Dialect::Messages) => {
                if shard.items.is_used() && job.is_stored() {
                    Made::Items(Arc::clone(&shard.items))
                } else {
                    Made::Nothing
                }
            }
        }
    }

    /// Takes note that the provider knows what its request refers to, since it serves the request.
    /// What was left out of the request it has not seen.
    pub(super) fn learn_asked_for(&self, made: &Made) {
        if let Made::Ids(owners, provider) = made
            && self.reasoning == Reasoning::Sent
        {
            let unknown = self.job.pins.unknown().iter();
            unknown.for_each(|hash| owners.learn(*hash, *provider));
        }
    }
}

impl Made {
    /// Whether anything is kept.
    pub(super) const fn is_kept(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Takes in a whole `response`, whose items stand at these `places` if infermux has written it.
    pub(super) fn take_response(&self, response: &[u8], places: &[ItemPlace]) {
        match self {
            Self::Nothing => {}
            Self::Ids(owners, provider) => references::each_made(response, |name| {
                owners.learn(owners.hash(name), *provider);
            }),
            Self::Items(items) => remembered::remember(items, response, places),
        }
    }

    /// Takes in events of a stream, which are whole. `is_complete`: the stream ends with them.
    pub(super) fn take_events(&self, events: &[u8], is_complete: IsComplete) {
        match self {
            Self::Nothing => {}
            Self::Ids(owners, provider) => {
                for line in events.split(|byte| *byte == b'\n') {
                    if let Some(data) = line.strip_prefix(b"data:") {
                        references::each_made_in_event(data.trim_ascii(), |name| {
                            owners.learn(owners.hash(name), *provider);
                        });
                    }
                }
            }
            Self::Items(items) => match is_complete {
                IsComplete::Yes => remembered::remember_last(items, events),
                IsComplete::No => {}
            },
        }
    }
}

/// Whether a stream has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsComplete {
    /// It has.
    Yes,
    /// More is to come.
    No,
}
