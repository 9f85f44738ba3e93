//! Which providers a request for a response may go to, given what it refers to: what one provider
//! has made, no other one knows (rules I2 and I3 of reference/responses-inbound.md).

use std::borrow::Cow;

use crate::base::ids::ProviderId;
use crate::base::limits::SEALED_ITEMS_MAX;
use crate::decide::eligible::Eligible;
use crate::dialect::responses::references::{self, OWN_RESPONSE, Place, Reference};
use crate::link::owners::Owners;
use crate::wire::provider_error::ProviderError;

/// What a request refers to, and to whom that belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    owner: Owner,
    /// Names of what nobody is known to have made: hashes, to be learned from a success.
    unknown: Vec<u64>,
    /// Of these, the ids that only their owner can serve.
    asked_for: Vec<Unknown>,
    /// Reasoning and compaction items.
    sealed: Vec<Sealed>,
    /// Whether it may refer to what infermux itself has made.
    may_name_own: bool,
}

/// Who may serve a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owner {
    /// Whoever can.
    #[default]
    Anyone,
    /// The provider that has made what stands here.
    Known(ProviderId, Place),
    /// One of those that make such ids: nobody knows which.
    Unknown,
}

/// An id that nobody is known to have made, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unknown {
    place: Place,
    id: Box<[u8]>,
}

/// An item with a content that only its maker can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sealed {
    place: Place,
    maker: Option<ProviderId>,
}

/// What is wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    /// The response was translated, and nothing of it is stored.
    #[error(
        "`previous_response_id` names an answer that infermux has translated, and such answers are \
         not stored: send the conversation in `input` instead"
    )]
    NotStored,
    /// The owner does not serve the model.
    #[error("`{field}` belongs to {owner}, which does not serve this model")]
    OtherModel {
        /// The field that names it.
        field: Cow<'static, str>,
        /// Its owner.
        owner: String,
    },
}

/// A candidate, as far as pins must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider.
    pub provider: ProviderId,
    /// Whether it is asked in the caller's own words, so that it can know what they refer to.
    pub is_native: bool,
}

/// Looks names up and hashes them.
pub trait Makers {
    /// The provider that has made what is called so.
    fn maker(&self, name: &[u8]) -> Option<ProviderId>;
    /// The name's hash, by which it can be learned.
    fn hash(&self, name: &[u8]) -> u64;
}

impl Makers for Owners {
    fn maker(&self, name: &[u8]) -> Option<ProviderId> {
        self.of(name)
    }

    fn hash(&self, name: &[u8]) -> u64 {
        Self::hash(self, name)
    }
}

impl Pins {
    /// Reads what the request `body`, which is JSON, refers to.
    ///
    /// # Errors
    /// It refers to something that is not stored anywhere.
    pub fn read(body: &[u8], makers: &impl Makers) -> Result<Self, PinFault> {
        let (mut pins, mut fault) = (Self::of_items(), None);
        references::each(body, |reference| {
            let is_own = reference.name.starts_with(OWN_RESPONSE);
            if reference.place == Place::PreviousResponse && is_own {
                fault = Some(PinFault::NotStored);
            }
            pins.add(&reference, makers);
        });
        match fault {
            Some(fault) => Err(fault),
            None => Ok(pins),
        }
    }

    /// Those of a request that may refer to items which infermux has made, and to nothing else.
    #[must_use]
    pub fn of_items() -> Self {
        Self {
            may_name_own: true,
            ..Self::default()
        }
    }

    /// Whether the request may refer to what infermux itself has made.
    #[must_use]
    pub const fn may_name_own(&self) -> bool {
        self.may_name_own
    }

    fn add(&mut self, reference: &Reference<'_>, makers: &impl Makers) {
        let (place, maker) = (reference.place, makers.maker(&reference.name));
        match place {
            Place::PreviousResponse | Place::Conversation | Place::Item(_) => match maker {
                Some(maker) => self.pin(maker, place),
                None => {
                    if self.owner == Owner::Anyone {
                        self.owner = Owner::Unknown;
                    }
                    if self.asked_for.len() < ASKED_FOR_MAX {
                        self.asked_for.push(Unknown {
                            place,
                            id: (&*reference.name).into(),
                        });
                    }
                }
            },
            Place::Reasoning(_) | Place::Compaction(_) => {
                if self.sealed.len() < SEALED_ITEMS_MAX {
                    self.sealed.push(Sealed { place, maker });
                }
            }
        }
        if maker.is_none() && self.unknown.len() < SEALED_ITEMS_MAX {
            self.unknown.push(makers.hash(&reference.name));
        }
    }

    /// The request belongs to `maker`, unless it belongs to somebody already: a response says more
    /// than an item.
    fn pin(&mut self, maker: ProviderId, place: Place) {
        match (self.owner, place) {
            (Owner::Known(_, Place::PreviousResponse), _) | (Owner::Known(..), Place::Item(_)) => {}
            (Owner::Known(..) | Owner::Anyone | Owner::Unknown, _) => {
                self.owner = Owner::Known(maker, place);
            }
        }
    }

    /// The places of those among `candidates` that may serve the request (promise `owner.alone`);
    /// `None`: all of them.
    ///
    /// # Errors
    /// The only provider that may is not among them; `name_of` returns what it is called.
    pub fn admitted(
        &self,
        candidates: impl Iterator<Item = Candidate>,
        name_of: impl FnOnce(ProviderId) -> String,
    ) -> Result<Option<Eligible>, PinFault> {
        let (owner, place) = match self.owner {
            Owner::Anyone => return Ok(None),
            Owner::Known(owner, place) => (Some(owner), place),
            Owner::Unknown => (None, Place::PreviousResponse),
        };
        let may_serve = |one: &Candidate| match owner {
            Some(owner) => one.provider == owner,
            None => one.is_native,
        };
        let places = candidates.enumerate().filter(|(_, one)| may_serve(one));
        let admitted: Eligible = places.map(|(place, _)| place).collect();
        match owner {
            Some(owner) if admitted.is_empty() => Err(PinFault::OtherModel {
                field: field(place),
                owner: name_of(owner),
            }),
            // A translation refuses what it cannot express, and says so.
            None if admitted.is_empty() => Ok(None),
            _ => Ok(Some(admitted)),
        }
    }

    /// The provider that the request is best sent to: the one that has made the last sealed content
    /// whose maker is known.
    #[must_use]
    pub fn preferred(&self) -> Option<ProviderId> {
        self.sealed.iter().rev().find_map(|one| one.maker)
    }

    /// The places in `input` of the reasoning items that `provider` cannot open, since another one
    /// has made them.
    pub fn foreign(&self, provider: ProviderId) -> impl Iterator<Item = usize> + '_ {
        let foreign = self
            .sealed
            .iter()
            .filter(move |one| one.is_foreign(provider));
        foreign.filter_map(|one| one.place.reasoning())
    }

    /// The place in `input` of a compaction item that `provider` cannot open: it stands for all
    /// that was said before, and cannot be left out.
    #[must_use]
    pub fn unreadable(&self, provider: ProviderId) -> Option<usize> {
        let mut foreign = self.sealed.iter().filter(|one| one.is_foreign(provider));
        foreign.find_map(|one| match one.place {
            Place::Compaction(at) => Some(at),
            _ => None,
        })
    }

    /// The places in `input` of all reasoning items with a sealed content, if there are any, and
    /// the request can be sent without them.
    #[must_use]
    pub fn removable(&self) -> Option<Vec<usize>> {
        let places: Option<Vec<usize>> = self
            .sealed
            .iter()
            .map(|one| one.place.reasoning())
            .collect();
        places.filter(|places| !places.is_empty())
    }

    /// What is wrong, if an error of a provider with this status says that it does not know what
    /// the request refers to. That is no fault of the request: another provider may know it.
    #[must_use]
    pub fn not_mine(&self, status: u16, body: &[u8]) -> Option<NotMine> {
        if !matches!(status, 400 | 404) {
            return None;
        }
        let error = ProviderError::read(body);
        let says = |name: &str| error.names().any(|own| own == name);
        if says("invalid_encrypted_content") {
            return Some(NotMine::Content);
        }
        let param = error.param.as_deref().unwrap_or_default();
        let message = error.message.as_deref().unwrap_or_default();
        let is_named = |one: &Unknown| {
            let field = field(one.place);
            let id = String::from_utf8_lossy(&one.id);
            param == field
                || param
                    .strip_prefix(&*field)
                    .is_some_and(|rest| rest.starts_with('.'))
                || message.contains(&*id)
                || (one.place == Place::PreviousResponse && says("previous_response_not_found"))
                || message.contains(&*field)
        };
        let mut asked_for = self.asked_for.iter();
        asked_for.any(is_named).then_some(NotMine::Id)
    }

    /// The hashes of what nobody was known to have made: whoever serves the request has.
    #[must_use]
    pub fn unknown(&self) -> &[u64] {
        &self.unknown
    }
}

/// What a provider does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMine {
    /// An id.
    Id,
    /// A sealed content.
    Content,
}

impl Sealed {
    fn is_foreign(&self, provider: ProviderId) -> bool {
        self.maker.is_some_and(|maker| maker != provider)
    }
}

/// The name of the place in a request.
fn field(place: Place) -> Cow<'static, str> {
    match place {
        Place::PreviousResponse => Cow::Borrowed("previous_response_id"),
        Place::Conversation => Cow::Borrowed("conversation"),
        Place::Item(at) | Place::Reasoning(at) | Place::Compaction(at) => {
            Cow::Owned(format!("input[{at}]"))
        }
    }
}

/// Ids of one request that are looked for in the errors of providers.
const ASKED_FOR_MAX: usize = 64;

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
