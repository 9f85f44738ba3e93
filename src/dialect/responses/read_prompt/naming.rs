//! Under which names tools are sent (rule B7): providers know no namespaces, few characters, and 64
//! of them; and two tools must not become one.

use std::borrow::Cow;

use crate::base::map::Map;
use crate::dialect::compose::between_quotes;
use crate::dialect::names::{Names, Restored, ToolKind, fits, fitting, numbered};
use crate::wire::json::{self, Value};

/// The names under which the tools of a request are sent.
#[derive(Default)]
pub(super) struct Naming<'a> {
    /// The name, a string, under which each tool is sent: as a function, and as a custom tool.
    sent: Map<Key<'a>, [Option<Cow<'a, [u8]>>; 2]>,
    /// The names that are taken, and how many names were made of each.
    taken: Map<Cow<'a, [u8]>, usize>,
    /// The way back.
    pub(super) names: Names,
}

/// A tool's namespace, which is empty where there is none, and its name, as JSON reads them.
type Key<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A tool as the caller calls it.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    /// The group that it is a member of, a string.
    pub(super) namespace: Option<Value<'a>>,
    /// Its name, a string.
    pub(super) name: Value<'a>,
    pub(super) kind: ToolKind,
}

impl<'a> Called<'a> {
    fn key(&self) -> Key<'a> {
        let namespace = self.namespace.map(|namespace| namespace.word());
        (namespace.unwrap_or_default(), self.name.word())
    }
}

impl<'a> Naming<'a> {
    /// The name, a string, under which a tool is sent that the request offers; `None`: it offers
    /// that tool already.
    pub(super) fn offer(&mut self, called: Called<'a>) -> Option<Cow<'a, [u8]>> {
        let key = called.key();
        let known = self.sent.get(&key);
        if known.is_some_and(|known| known[called.kind as usize].is_some()) {
            return None;
        }
        let sent = self.add(&called, &key);
        let name = between_quotes(&sent);
        if key.0.is_empty() {
            // The name means this tool, and no member of a namespace.
            if let (Ok(name), false) = (std::str::from_utf8(name), self.names.is_empty()) {
                self.names.keep(name);
            }
        } else {
            self.add_ways(&key);
        }
        Some(sent)
    }

    /// The name, a string, under which a tool is sent that is called, or is to be called.
    pub(super) fn of(&mut self, called: Called<'a>) -> Cow<'a, [u8]> {
        let key = called.key();
        if let Some(sent) = self.find(&key, called.kind) {
            return sent;
        }
        // Clients may tell the tool by another name, as models do.
        if key.0.is_empty()
            && let Ok(name) = std::str::from_utf8(&key.1)
            && let Some(known) = self.names.known(name)
        {
            let namespace = known.namespace.unwrap_or_default().to_owned();
            let own = (
                Cow::Owned(namespace.into_bytes()),
                Cow::Owned(known.name.as_bytes().to_vec()),
            );
            let kind = known.kind;
            if let Some(sent) = self.find(&own, kind) {
                return sent;
            }
        }
        self.add(&called, &key)
    }

    /// The name of the tool of this kind, or else of the other one.
    fn find(&self, key: &Key<'_>, kind: ToolKind) -> Option<Cow<'a, [u8]>> {
        let [function, custom] = self.sent.get(key)?;
        let (own, other) = match kind {
            ToolKind::Function => (function, custom),
            ToolKind::Custom => (custom, function),
        };
        own.as_ref().or(other.as_ref()).cloned()
    }

    /// Gives a tool a name that no other has.
    fn add(&mut self, called: &Called<'a>, key: &Key<'a>) -> Cow<'a, [u8]> {
        let is_plain = key.0.is_empty() && fits(called.name.text);
        let sent = if is_plain && !self.taken.contains_key(&key.1) {
            self.taken.insert(key.1.clone(), 1);
            Cow::Borrowed(called.name.text)
        } else {
            Cow::Owned(json::quoted(&self.free(fitting(&joined(key)))))
        };
        let name = between_quotes(&sent);
        if !key.0.is_empty() || called.kind == ToolKind::Custom || *name != *key.1 {
            let namespace = String::from_utf8_lossy(&key.0);
            let tool = Restored {
                namespace: Some(&*namespace).filter(|namespace| !namespace.is_empty()),
                name: &String::from_utf8_lossy(&key.1),
                kind: called.kind,
            };
            self.names.add(&String::from_utf8_lossy(name), tool);
        }
        let known = self.sent.entry(key.clone()).or_default();
        known[called.kind as usize] = Some(sent.clone());
        sent
    }

    /// The name itself, or the first one like it that is not taken; it is taken from now on.
    fn free(&mut self, wanted: String) -> String {
        let mut number = match self.taken.get(wanted.as_bytes()) {
            None => {
                self.taken
                    .insert(Cow::Owned(wanted.clone().into_bytes()), 1);
                return wanted;
            }
            Some(number) => *number,
        };
        loop {
            number += 1;
            let own = numbered(&wanted, number);
            if !self.taken.contains_key(own.as_bytes()) {
                self.taken.insert(Cow::Owned(wanted.into_bytes()), number);
                self.taken.insert(Cow::Owned(own.clone().into_bytes()), 1);
                return own;
            }
        }
    }

    /// Notes how models may call the member of a namespace that was added last.
    fn add_ways(&mut self, (namespace, name): &Key<'a>) {
        let dotted = [namespace, &b"."[..], name].concat();
        let [dotted, bare] = [&*dotted, &**name].map(|way| {
            let is_free = !self.taken.contains_key(way);
            is_free.then(|| String::from_utf8_lossy(way))
        });
        self.names.add_ways(dotted.as_deref(), bare.as_deref());
    }
}

/// The name of a tool with that of its namespace in front of it.
fn joined((namespace, name): &Key<'_>) -> String {
    let (namespace, name) = (
        String::from_utf8_lossy(namespace),
        String::from_utf8_lossy(name),
    );
    let is_parted = namespace.is_empty() || namespace.ends_with("__") || name.starts_with("__");
    let between = if is_parted { "" } else { "__" };
    format!("{namespace}{between}{name}")
}
