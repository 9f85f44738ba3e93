//! Which limits and budgets a request passes, and in which order.

use crate::config::accounts::{Account, Accounts, KeyAccounts};
use crate::exchange::attribution::Label;
use crate::exchange::request::Request;

/// The scopes of a request: those of its key, and of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a> {
    accounts: &'a Accounts,
    key: Option<&'a KeyAccounts>,
    caller: Option<u32>,
}

impl<'a> Scopes<'a> {
    /// The scopes of `request`; `None`: nobody has limits or budgets.
    #[must_use]
    pub fn of(request: &'a Request) -> Option<Self> {
        let accounts = request.callers.as_ref()?.accounts();
        let key = request.principal.as_ref().map(|one| one.place());
        let caller = request.attribution.caller.as_ref().map(Label::as_str);
        Some(Self::new(accounts, key, caller))
    }

    /// Those of the key at this place of the ring, and of the caller with this name.
    #[must_use]
    pub fn new(accounts: &'a Accounts, key: Option<usize>, caller: Option<&str>) -> Self {
        Self {
            accounts,
            key: key.and_then(|place| accounts.of_key(place)),
            caller: caller.and_then(|caller| accounts.of_caller(caller)),
        }
    }

    /// The accounts that a request for `model` passes, in their order: its team's, its key's, the
    /// key's for the model, its caller's. Those for certain models are none of one without a model.
    pub fn of_model(&self, model: Option<&'a str>) -> impl Iterator<Item = &'a Account> + use<'a> {
        let Self {
            accounts,
            key,
            caller,
        } = *self;
        let own = key.into_iter().flat_map(|key| [key.team, key.key]);
        let of_model = key.zip(model);
        let of_model = of_model
            .into_iter()
            .flat_map(|(key, model)| key.of_model(model));
        let places = own.flatten().chain(of_model).chain(caller);
        places.filter_map(|place| accounts.at(place))
    }
}
