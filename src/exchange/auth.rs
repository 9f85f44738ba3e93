//! Who may call, and whose key goes to a provider.

use std::rc::Rc;

use crate::base::secret::Secret;
use crate::base::time::WallTime;
use crate::config::plan::{Auth, Provider};
use crate::decide::outcome::KeyOwner;
use crate::exchange::callers::SharedCallers;
use crate::exchange::principal::Principal;
use crate::exchange::refusal::{KeyFault, Refusal};
use crate::wire::head::Head;
use crate::wire::known::Known;

/// The key that an attempt is sent with.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// infermux's own.
    Own(&'a Secret),
    /// The caller's `Authorization`, as it came.
    Caller(&'a [u8]),
    /// The caller's key, which came in another header.
    CallersKey(&'a [u8]),
    /// None.
    None,
}

/// The keys that a caller presents, as the client libraries of OpenAI, Anthropic and Azure do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The value of `Authorization`.
    authorization: Option<&'a [u8]>,
    /// The value of `x-api-key`.
    x_api_key: Option<&'a [u8]>,
    /// The value of `api-key`.
    api_key: Option<&'a [u8]>,
    /// The head, where one of the last two has further values.
    repeated: Option<(&'a Head, &'a [u8])>,
}

impl<'a> Presented<'a> {
    /// The keys in the head that was parsed from `bytes`, the first of each kind: those that may go
    /// on to a provider.
    #[must_use]
    pub fn read(head: &Head, bytes: &'a [u8]) -> Self {
        Self {
            authorization: head.value_of(bytes, Known::Authorization),
            x_api_key: head.value_of(bytes, Known::XApiKey),
            api_key: head.value_of(bytes, Known::ApiKey),
            repeated: None,
        }
    }

    /// All keys in the head that was parsed from `bytes`.
    #[must_use]
    pub fn read_all(head: &'a Head, bytes: &'a [u8]) -> Self {
        let first = Self::read(head, bytes);
        let is_repeated = head.repeats(Known::XApiKey) || head.repeats(Known::ApiKey);
        Self {
            repeated: is_repeated.then_some((head, bytes)),
            ..first
        }
    }

    /// The keys themselves, those that are presented.
    pub fn each(self) -> impl Iterator<Item = &'a [u8]> {
        self.keys().into_iter().flatten().chain(self.further())
    }

    /// The values of repeated headers behind their first ones.
    fn further(self) -> impl Iterator<Item = &'a [u8]> {
        let values = |(head, bytes): (&'a Head, &'a [u8])| {
            let of = move |name| head.values_of(bytes, name).skip(1);
            [Known::XApiKey, Known::ApiKey].into_iter().flat_map(of)
        };
        self.repeated.into_iter().flat_map(values)
    }

    /// The keys themselves.
    fn keys(self) -> [Option<&'a [u8]>; 3] {
        let bearer = self.authorization.and_then(bearer);
        [bearer, self.x_api_key, self.api_key]
    }

    /// The keys that may be sent to a provider: the caller's `Authorization`, then its other keys.
    fn forwarded(self) -> impl Iterator<Item = Credential<'a>> {
        let keys = [self.x_api_key, self.api_key].into_iter().flatten();
        let keys = keys.filter(|key| !key.is_empty());
        let authorization = self.authorization.map(Credential::Caller);
        authorization
            .into_iter()
            .chain(keys.map(Credential::CallersKey))
    }
}

/// Checks the keys that a request presents at `now`, in a time that does not depend on the keys in
/// force, which `keys` gives. One valid key is enough. Returns whose request it is, where keys
/// tell.
///
/// # Errors
///
/// None of them is valid.
pub fn authenticate(
    auth: &Auth,
    presented: Presented<'_>,
    keys: impl FnOnce() -> Rc<SharedCallers>,
    now: impl FnOnce() -> WallTime,
) -> Result<Option<Principal>, Refusal<'static>> {
    let key = match auth {
        Auth::Passthrough => return Ok(None),
        Auth::StaticKey(key) => key,
        Auth::Keys(_) => {
            let principal = Principal::of(&keys(), presented.each(), now());
            return principal.map(Some).map_err(Refusal::InvalidApiKey);
        }
    };
    let offered = presented.keys();
    // All keys are compared, so that the time does not tell which one came close.
    let matched = presented
        .each()
        .fold(false, |any, offered| any | key.matches(offered));
    match (matched, offered) {
        (true, _) => Ok(None),
        (false, [None, None, None]) => Err(Refusal::InvalidApiKey(KeyFault::Missing)),
        (false, _) => Err(Refusal::InvalidApiKey(KeyFault::Wrong)),
    }
}

/// Checks an operator's `Authorization`, where a token is required.
///
/// # Errors
///
/// The header does not hold the token.
pub fn operator(token: Option<&Secret>, presented: Presented<'_>) -> Result<(), Refusal<'static>> {
    let Some(token) = token else { return Ok(()) };
    match presented.authorization.and_then(bearer) {
        Some(offered) if token.matches(offered) => Ok(()),
        Some(_) => Err(Refusal::InvalidApiKey(KeyFault::WrongToken)),
        None => Err(Refusal::InvalidApiKey(KeyFault::NoToken)),
    }
}

/// Checks that no page of another site makes a browser act: the head was parsed from `bytes`.
/// Browsers state a page's origin (Fetch standard, section 3.2); a client
/// that does not is no browser.
///
/// # Errors
///
/// The request comes from a page of another site.
pub fn same_site(head: &Head, bytes: &[u8]) -> Result<(), Refusal<'static>> {
    let Some(origin) = head.value_of(bytes, Known::Origin) else {
        return Ok(());
    };
    let host = head.value_of(bytes, Known::Host);
    let schemes = [&b"http://"[..], b"https://"];
    let from = schemes
        .iter()
        .find_map(|scheme| origin.strip_prefix(*scheme));
    match (from, host) {
        (Some(from), Some(host)) if from.eq_ignore_ascii_case(host) => Ok(()),
        (_, _) => Err(Refusal::InvalidRequest(
            "a page of another site may not do this: its Origin is not this host",
        )),
    }
}

/// The key to call `provider` with.
///
/// A caller's key goes only where `forward_caller_key` allows it, and infermux's own stands in when
/// the caller sent none. Under `static_key` only a key that is not the static key can be meant for
/// the provider, in whichever header it came; under `keys` none is.
#[must_use]
pub fn credential<'a>(
    provider: &'a Provider,
    auth: &Auth,
    presented: Presented<'a>,
) -> Credential<'a> {
    let meant_for_provider = |credential: &Credential<'_>| match (auth, credential) {
        (Auth::Passthrough, _) => true,
        (Auth::StaticKey(own), Credential::Caller(authorization)) => {
            bearer(authorization).is_some_and(|token| !own.matches(token))
        }
        (Auth::StaticKey(own), Credential::CallersKey(key)) => !own.matches(key),
        (Auth::Keys(_), _) | (Auth::StaticKey(_), Credential::Own(_) | Credential::None) => false,
    };
    let forwarded = provider.forward_caller_key.then(|| presented.forwarded());
    let forwarded = forwarded.and_then(|mut keys| keys.find(meant_for_provider));
    let own = provider.api_key.as_ref().map(Credential::Own);
    forwarded.or(own).unwrap_or(Credential::None)
}

impl<'a> Credential<'a> {
    /// The caller's key, where it is passed on.
    #[must_use]
    pub fn callers_key(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Caller(authorization) => Some(bearer(authorization).unwrap_or(authorization)),
            Self::CallersKey(key) => Some(key),
            Self::Own(_) | Self::None => None,
        }
    }

    /// Who is to blame when `provider` refuses this key.
    ///
    /// Without any key, the caller is to blame where its key would have been passed on, else the
    /// file's author.
    #[must_use]
    pub fn owner(&self, provider: &Provider) -> KeyOwner {
        match self {
            Self::Own(_) => KeyOwner::Infermux,
            Self::Caller(_) | Self::CallersKey(_) => KeyOwner::Caller,
            Self::None if provider.forward_caller_key => KeyOwner::Caller,
            Self::None => KeyOwner::Infermux,
        }
    }
}

/// The token of an `Authorization: Bearer` value.
#[must_use]
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.trim_ascii().split_at_checked(SCHEME.len())?;
    let token = rest.trim_ascii_start();
    let separated = token.len() < rest.len();
    (scheme.eq_ignore_ascii_case(SCHEME) && separated && !token.is_empty()).then_some(token)
}

const SCHEME: &[u8] = b"bearer";

#[cfg(test)]
#[path = "auth_tests.rs"]
pub(crate) mod tests;
