//! Which conversation a request belongs to: what it calls its session, or how it begins.

use std::borrow::Cow;

use crate::base::endpoint::Dialect;
use crate::base::fingerprint::Fingerprint;
use crate::decide::affinity::{By, Key};
use crate::exchange::principal::Principal;
use crate::wire::head::Head;
use crate::wire::json::{self, Kind, Value};

/// The conversation of a request, and what tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The conversation.
    pub key: Key,
    /// What tells it: a header, a field of the body, or [`PREFIX`].
    pub source: &'static str,
}

/// The source of a conversation that is told by the beginning of its requests.
pub const PREFIX: &str = "prefix";

/// The headers that name a session, in the order in which they count.
pub const HEADERS: [&str; 5] = [
    "X-Infermux-Session",
    "X-Claude-Code-Session-Id",
    "session-id",
    "session_id",
    "X-Session-Id",
];

/// What the body of a request is read for.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    /// What tells conversations apart.
    pub by: By,
    /// The dialect of the body.
    pub dialect: Dialect,
    /// Hash of the model that is asked for.
    pub model: u64,
    /// Hash of whose request it is: see `owner`.
    pub owner: u64,
}

/// Hash of whose request it is: two callers who call their sessions alike have two sessions.
#[must_use]
pub fn owner(principal: Option<&Principal>, caller: Option<&str>) -> u64 {
    let key = principal.map_or("", |principal| &*principal.key().name);
    let mut hash = Fingerprint::default();
    hash.add(key.as_bytes());
    hash.add(caller.unwrap_or_default().as_bytes());
    hash.end()
}

/// The session that the head parsed from `bytes` names.
#[must_use]
pub fn of_head(owner: u64, head: &Head, bytes: &[u8]) -> Option<Found> {
    HEADERS.into_iter().find_map(|name| {
        let value = head.value(bytes, name)?;
        session(owner, value, name)
    })
}

/// The session called `name`, as the first of [`HEADERS`] would name it.
#[must_use]
pub fn of_name(owner: u64, name: &str) -> Option<Found> {
    session(owner, name.as_bytes(), HEADERS[0])
}

/// The conversation that a `body` belongs to, which is JSON.
#[must_use]
pub fn of_body(sought: &Sought, body: &[u8]) -> Option<Found> {
    let parts = Parts::of(body, sought.dialect);
    let named = || {
        let cache_key = parts.cache_key.and_then(|value| value.string());
        let cache_key =
            cache_key.and_then(|name| session(sought.owner, name.as_bytes(), "prompt_cache_key"));
        cache_key.or_else(|| {
            let user = json::member(parts.metadata?.text, b"user_id")?;
            let user = user.value.string()?;
            session(
                sought.owner,
                session_of(&user)?.as_bytes(),
                "metadata.user_id",
            )
        })
    };
    let found = sought.by.asks_for_session().then(named).flatten();
    found.or_else(|| {
        let key = sought
            .by
            .asks_for_prefix()
            .then(|| parts.prefix(sought))??;
        let source = PREFIX;
        Some(Found { key, source })
    })
}

fn session(owner: u64, name: &[u8], source: &'static str) -> Option<Found> {
    let name = name.trim_ascii();
    if name.is_empty() {
        return None;
    }
    let mut hash = Fingerprint::default();
    hash.add_number(owner);
    hash.add(name);
    let key = Key(hash.end());
    Some(Found { key, source })
}

/// The session within a `user_id`: behind `_session_`, or the member `session_id` of an object that
/// is written as text.
fn session_of(user: &str) -> Option<Cow<'_, str>> {
    if user.starts_with('{') {
        let value = json::member(user.as_bytes(), b"session_id")?.value;
        return Some(Cow::Owned(value.string()?.into_owned()));
    }
    let (_, session) = user.rsplit_once("_session_")?;
    Some(Cow::Borrowed(session))
}

/// What of a body tells its conversation.
#[derive(Default)]
struct Parts<'a> {
    cache_key: Option<Value<'a>>,
    metadata: Option<Value<'a>>,
    /// What the model is told besides the conversation.
    system: Option<Value<'a>>,
    tools: Option<Value<'a>>,
    /// The conversation.
    messages: Option<Value<'a>>,
}

impl<'a> Parts<'a> {
    fn of(body: &'a [u8], dialect: Dialect) -> Self {
        let (system, messages): (&[u8], &[u8]) = match dialect {
            // What is first in the conversation itself.
            Dialect::Chat => (b"", b"messages"),
            Dialect::Messages => (b"system", b"messages"),
            Dialect::Responses => (b"instructions", b"input"),
        };
        let mut parts = Self::default();
        for member in json::members(body).map_while(Result::ok) {
            let value = Some(member.value);
            if member.name.is(messages) {
                parts.messages = value;
            } else if member.name.is(b"tools") {
                parts.tools = value;
            } else if member.name.is(b"prompt_cache_key") {
                parts.cache_key = value;
            } else if member.name.is(b"metadata") {
                parts.metadata = value;
            } else if !system.is_empty() && member.name.is(system) {
                parts.system = value;
            }
        }
        parts
    }

    /// The hash of model, system, tools and all messages up to the user's first one: what a later
    /// request of the conversation has in common with this one. `None`: there is no conversation.
    fn prefix(&self, sought: &Sought) -> Option<Key> {
        let messages = self.messages.filter(|messages| !messages.is_blank())?;
        let mut hash = Fingerprint::default();
        hash.add_number(sought.owner);
        hash.add_number(sought.model);
        for part in [self.system, self.tools] {
            part.iter().for_each(|part| add(&mut hash, part, DEPTH));
            hash.add(b"");
        }
        match messages.kind {
            Kind::Array => {
                for message in json::elements(messages.text).map_while(Result::ok) {
                    add(&mut hash, &message, DEPTH);
                    let role = json::member(message.text, b"role");
                    if role.is_some_and(|role| role.value.says("user")) {
                        break;
                    }
                }
            }
            Kind::String | Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
                hash.add(messages.text);
            }
        }
        Some(Key(hash.end()))
    }
}

/// Takes in a value without the marks of caches, which wander from request to request of a
/// conversation. What is nested deeper than `depth` levels is taken as it is.
fn add(hash: &mut Fingerprint, value: &Value<'_>, depth: u8) {
    match (value.kind, depth.checked_sub(1)) {
        (Kind::Array, Some(depth)) => {
            for element in json::elements(value.text).map_while(Result::ok) {
                add(hash, &element, depth);
            }
        }
        (Kind::Object, Some(depth)) => {
            for member in json::members(value.text).map_while(Result::ok) {
                if !member.name.is(b"cache_control") {
                    hash.add(member.name.quoted);
                    add(hash, &member.value, depth);
                }
            }
        }
        (_, _) => hash.add(value.text),
    }
}

/// A message, its content, a part of that, and the part's members.
const DEPTH: u8 = 3;

#[cfg(test)]
#[path = "affinity_tests.rs"]
mod tests;
