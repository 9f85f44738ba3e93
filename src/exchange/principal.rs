//! Whose request it is: the key that a caller presents, and what comes with it.

use std::rc::Rc;

use crate::base::caller_key::{self, KeyForm};
use crate::base::digest::Digest;
use crate::base::time::WallTime;
use crate::config::keyring::CallerKey;
use crate::exchange::attribution::{Attribution, Label};
use crate::exchange::callers::{KeyState, SharedCallers};
use crate::exchange::recent_keys::KeyPlace;
use crate::exchange::refusal::KeyFault;

/// Whose request it is, under `auth.mode: keys`.
#[derive(Clone, Debug)]
pub struct Principal {
    keys: Rc<SharedCallers>,
    place: usize,
}

/// The names of a caller's key and of its team, under which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<T> {
    /// The key's name.
    pub key: T,
    /// Its team's name.
    pub team: Option<T>,
}

impl Owner<&str> {
    /// The same names, to be kept when the key is gone.
    #[must_use]
    pub fn to_owned(self) -> Owner<Box<str>> {
        Owner {
            key: self.key.into(),
            team: self.team.map(Into::into),
        }
    }
}

impl Owner<Box<str>> {
    /// The names.
    #[must_use]
    pub fn borrowed(&self) -> Owner<&str> {
        Owner {
            key: &self.key,
            team: self.team.as_deref(),
        }
    }

    /// Bytes of the names.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.team.as_ref().map_or(0, |team| team.len())
    }
}

impl Principal {
    /// The owner of the one valid key among those that a request presents at `now`.
    ///
    /// # Errors
    ///
    /// None of them is valid, or two different ones are.
    pub fn of<'a>(
        keys: &Rc<SharedCallers>,
        presented: impl Iterator<Item = &'a [u8]>,
        now: WallTime,
    ) -> Result<Self, KeyFault> {
        let (mut valid, mut fault) = (None, KeyFault::Missing);
        for key in presented {
            match find(keys, key, now) {
                Ok(place) if valid.is_some_and(|other| other != place) => {
                    return Err(KeyFault::Ambiguous);
                }
                Ok(place) => valid = Some(place),
                Err(other) => fault = fault.max(other),
            }
        }
        let place = valid.ok_or(fault)?;
        let keys = Rc::clone(keys);
        Ok(Self { keys, place })
    }

    /// The owner of the key called `name`, and the key's state at `now`; `None`: no key has the
    /// name.
    #[must_use]
    pub fn named(keys: &Rc<SharedCallers>, name: &str, now: WallTime) -> Option<(Self, KeyState)> {
        let mut all = keys.ring().keys().iter();
        let place = all.position(|key| *key.name == *name)?;
        let (state, _) = keys.standing(place, now);
        let keys = Rc::clone(keys);
        Some((Self { keys, place }, state))
    }

    /// The callers in force when it was found.
    #[must_use]
    pub const fn callers(&self) -> &Rc<SharedCallers> {
        &self.keys
    }

    /// Its key's place in the ring.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &CallerKey {
        &self.keys.ring().keys()[self.place]
    }

    /// The names under which its requests are counted.
    #[must_use]
    pub fn owner(&self) -> Owner<&str> {
        let key = self.key();
        Owner {
            key: &key.name,
            team: key.team.as_deref(),
        }
    }

    /// Whether it may ask for the model called `name`.
    #[must_use]
    pub fn allows_model(&self, name: &str) -> bool {
        self.keys.allows_model(self.place, name)
    }

    /// Whether there are models that it may not ask for.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.keys.is_restricted(self.place)
    }

    /// Puts the key's caller in place of the one that the request's head names, unless the key may
    /// name that one.
    pub fn attribute(&self, attribution: &mut Attribution) {
        let key = self.key();
        let may_name = |label: &Label| {
            let mut patterns = key.callers.iter();
            patterns.any(|pattern| pattern.matches(label.as_str()))
        };
        if !attribution.caller.as_ref().is_some_and(may_name) {
            attribution.caller = Label::of(key.caller.as_bytes());
        }
    }
}

/// The place of a valid key.
fn find(keys: &SharedCallers, key: &[u8], now: WallTime) -> Result<usize, KeyFault> {
    let place = match keys.recent.find(key) {
        Some(place) => place,
        None => look_up(keys, key)?,
    };
    let secret = &keys.ring().keys()[place.key].secrets[place.secret];
    match keys.state(place.key, secret.until, now) {
        KeyState::Active => Ok(place.key),
        KeyState::Disabled => Err(KeyFault::Disabled),
        KeyState::Expired => Err(KeyFault::Expired),
    }
}

/// Finds a key by its digest, and remembers where it was.
#[inline(never)]
fn look_up(keys: &SharedCallers, key: &[u8]) -> Result<KeyPlace, KeyFault> {
    if caller_key::form(key) == KeyForm::Mistyped {
        return Err(KeyFault::Mistyped);
    }
    let found = keys.ring().find(&Digest::of(key));
    let (place, secret) = found.ok_or(KeyFault::Wrong)?;
    let place = KeyPlace { key: place, secret };
    keys.recent.remember(key, place);
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::keyring::{KeySecret, Keyring, NamePattern};
    use crate::config::scope::Allowance;
    use crate::exchange::callers::Callers;
    use crate::exchange::recent_keys::RecentKeys;

    const NOW: WallTime = WallTime::from_unix_millis(1_000);

    fn key(name: &str, secrets: &[(&str, Option<u64>)]) -> CallerKey {
        let secrets = secrets.iter().map(|(text, until)| KeySecret {
            digest: Digest::of(text.as_bytes()),
            until: until.map(WallTime::from_unix_millis),
        });
        CallerKey {
            name: name.into(),
            team: None,
            caller: format!("{name}-app").into(),
            callers: Box::new([NamePattern::parse("agent-*").unwrap()]),
            models: None,
            expires: None,
            is_disabled: name == "off",
            stream_cost: false,
            allowance: Allowance::default(),
            per_model: Box::default(),
            secrets: secrets.collect(),
        }
    }

    fn keys() -> Rc<SharedCallers> {
        let own = caller_key::of_random([7; 32]);
        let mistyped = format!("{own}x");
        let ring = Keyring::new(vec![
            key(
                "one",
                &[
                    ("k1", None),
                    ("k1-old", Some(1_000)),
                    ("k1-new", Some(1_001)),
                ],
            ),
            key("two", &[("k2", None), (&own, None), (&mistyped, None)]),
            key("off", &[("k3", None)]),
        ]);
        let keys = Callers::first(ring.unwrap(), Box::default(), Arc::default());
        let recent = RecentKeys::new(&[7; 16]);
        Rc::new(SharedCallers::new(Arc::new(keys), recent))
    }

    fn of(presented: &[&str]) -> Result<String, KeyFault> {
        let presented = presented.iter().map(|key| key.as_bytes());
        let principal = Principal::of(&keys(), presented, NOW);
        principal.map(|principal| principal.key().name.to_string())
    }

    #[test]
    fn the_one_valid_key_counts() {
        let own = caller_key::of_random([7; 32]);
        let (mistyped, cut) = (format!("{own}x"), &own[..52]);
        for (presented, expected) in [
            (&[][..], Err(KeyFault::Missing)),
            (&["k1"], Ok("one")),
            (&["k1-new"], Ok("one")),
            (&["k1-old"], Err(KeyFault::Expired)),
            (&["k1-old", "k1"], Ok("one")),
            (&["k1", "k1-new"], Ok("one")),
            (&["k1", "k2"], Err(KeyFault::Ambiguous)),
            (&["sk-other", "k2"], Ok("two")),
            (&["k3", "k2"], Ok("two")),
            (&["k3"], Err(KeyFault::Disabled)),
            (&["sk-other", "k3"], Err(KeyFault::Disabled)),
            (&["k3", "sk-other"], Err(KeyFault::Disabled)),
            (&[""], Err(KeyFault::Wrong)),
            (&["K1"], Err(KeyFault::Wrong)),
            (&[&own], Ok("two")),
            // Its digest is listed, and its check sum is wrong.
            (&[&mistyped], Err(KeyFault::Mistyped)),
            (&[cut], Err(KeyFault::Mistyped)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(of(presented), expected, "{presented:?}");
        }
    }

    #[test]
    fn a_key_names_the_caller_unless_it_may_be_named() {
        for (header, expected) in [
            (None, "one-app"),
            (Some("agent-7"), "agent-7"),
            (Some("boss"), "one-app"),
        ] {
            let mut attribution = Attribution {
                caller: header.and_then(|text: &str| Label::of(text.as_bytes())),
                ..Attribution::default()
            };
            let keys = keys();
            let principal = Principal::of(&keys, [&b"k1"[..]].into_iter(), NOW).unwrap();
            principal.attribute(&mut attribution);
            let caller = attribution.caller.map(|label| label.as_str().to_owned());
            assert_eq!(caller.as_deref(), Some(expected));
        }
    }
}
