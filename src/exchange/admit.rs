//! Who may call, and whose key goes to a provider.

use crate::base::secret::Secret;
use crate::config::plan::{Auth, Provider};
use crate::decide::outcome::KeyOwner;
use crate::exchange::refusal::{KeyFault, Refusal};

/// The key that an attempt is sent with.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// infermux's own.
    Own(&'a Secret),
    /// The caller's `Authorization`, as it came.
    Caller(&'a [u8]),
    /// None.
    None,
}

/// Checks a request's `Authorization` and `x-api-key` in a time that does not depend on the key.
///
/// # Errors
///
/// Neither of them is the configured key.
pub fn authenticate(
    auth: &Auth,
    authorization: Option<&[u8]>,
    x_api_key: Option<&[u8]>,
) -> Result<(), Refusal<'static>> {
    let Auth::StaticKey(key) = auth else {
        return Ok(());
    };
    let offered = [
        authorization.and_then(bearer),
        x_api_key.map(<[u8]>::trim_ascii),
    ];
    // Both are compared, so that the time does not tell which one came close.
    let matched = offered.map(|offered| offered.is_some_and(|offered| key.matches(offered)));
    match (matched, offered) {
        ([true, _] | [_, true], _) => Ok(()),
        (_, [None, None]) => Err(Refusal::InvalidApiKey(KeyFault::Missing)),
        (_, [_, _]) => Err(Refusal::InvalidApiKey(KeyFault::Wrong)),
    }
}

/// Checks an operator's `Authorization`, where a token is asked for.
///
/// # Errors
///
/// It is not the token.
pub fn operator(
    token: Option<&Secret>,
    authorization: Option<&[u8]>,
) -> Result<(), Refusal<'static>> {
    let Some(token) = token else { return Ok(()) };
    match authorization.and_then(bearer) {
        Some(offered) if token.matches(offered) => Ok(()),
        Some(_) => Err(Refusal::InvalidApiKey(KeyFault::Wrong)),
        None => Err(Refusal::InvalidApiKey(KeyFault::Missing)),
    }
}

/// Checks that no page of another site makes an operator's browser act: `origin` and `host` are
/// those headers' values. Browsers say where a page is from (Fetch standard, section 3.2); whoever
/// says nothing is no browser.
///
/// # Errors
///
/// It comes from elsewhere.
pub fn same_site(origin: Option<&[u8]>, host: Option<&[u8]>) -> Result<(), Refusal<'static>> {
    let Some(origin) = origin else { return Ok(()) };
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
/// the caller sent none. Under `static_key` only a bearer token that is not the static key can be
/// meant for the provider.
#[must_use]
pub fn credential<'a>(
    provider: &'a Provider,
    auth: &Auth,
    caller_authorization: Option<&'a [u8]>,
) -> Credential<'a> {
    let meant_for_provider = |authorization: &&[u8]| match auth {
        Auth::Passthrough => true,
        Auth::StaticKey(key) => bearer(authorization).is_some_and(|token| !key.matches(token)),
    };
    let forwarded = caller_authorization
        .filter(|_| provider.forward_caller_key)
        .filter(meant_for_provider)
        .map(Credential::Caller);
    let own = provider.api_key.as_ref().map(Credential::Own);
    forwarded.or(own).unwrap_or(Credential::None)
}

impl Credential<'_> {
    /// Whose affair it is when `provider` refuses this key.
    ///
    /// No key at all is the caller's fault where the caller's would have been sent, else a mistake
    /// in the file.
    #[must_use]
    pub fn owner(&self, provider: &Provider) -> KeyOwner {
        match self {
            Self::Own(_) => KeyOwner::Infermux,
            Self::Caller(_) => KeyOwner::Caller,
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
#[path = "admit_tests.rs"]
mod tests;
