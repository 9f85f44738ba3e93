//! The parameters of a request that are left out, by the caller's names: for the log.
//!
//! A reader notes what the caller gives, a writer returns what it sends, and the rest is
//! [`Dropped`].

use std::fmt::Display;

use crate::base::limits::{DROPPED_NAMES_MAX, LOSSES_MAX};

/// A parameter that some models do not take, so that its writer may leave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Which tool is to be called.
    Choice,
    /// How much the model is to think.
    Thinking,
    /// `temperature`
    Temperature,
    /// `top_p`
    TopP,
    /// `top_k`
    TopK,
    /// The end user.
    User,
    /// Texts at which the answer ends.
    Stop,
}

/// The parameters that a writer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent(u8);

/// What a caller gives, by his names.
#[derive(Debug, Default)]
pub struct Given {
    /// What no writer may send.
    unknown: Dropped,
    /// What a writer may send.
    known: [Option<(Parameter, &'static str)>; KNOWN_MAX],
}

/// Parameters that were left out, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Their names as the caller wrote them, up to [`DROPPED_NAMES_MAX`].
    pub names: Vec<String>,
    /// How many more there were.
    pub more: usize,
    /// What was left out beside them, by names of a fixed list.
    pub losses: Losses,
}

impl Sent {
    /// All parameters.
    pub const ALL: Self = Self(u8::MAX);

    /// The same, and `parameter` if `is_sent`.
    #[must_use]
    pub const fn with(self, parameter: Parameter, is_sent: bool) -> Self {
        Self(if is_sent {
            self.0 | 1 << parameter as u8
        } else {
            self.0
        })
    }

    /// Whether `parameter` is sent.
    #[must_use]
    pub const fn has(self, parameter: Parameter) -> bool {
        self.0 & 1 << parameter as u8 != 0
    }
}

impl Given {
    /// Notes the name of a parameter that is not read.
    pub(super) fn add_unknown(&mut self, name: &str) {
        self.unknown.add(name);
    }

    /// Notes a parameter that is not read: by a name of the fixed list, where that has it.
    pub(super) fn lose_member(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        if !self.unknown.losses.add(&name) {
            self.unknown.losses.add(OTHER);
            self.unknown.add(&name);
        }
    }

    /// Notes that `parameter` is given under this name.
    pub(super) fn add(&mut self, parameter: Parameter, name: &'static str) {
        let free = self.known.iter_mut().find(|known| known.is_none());
        debug_assert!(free.is_some(), "no dialect has so many names");
        if let Some(free) = free {
            *free = Some((parameter, name));
        }
    }

    /// Notes what is left out by a name of the fixed list.
    pub(super) fn lose(&mut self, name: &str) {
        self.unknown.losses.add(name);
    }

    /// The names of what is not sent.
    #[must_use]
    pub fn dropped(self, sent: Sent) -> Dropped {
        let mut dropped = self.unknown;
        for (parameter, name) in self.known.into_iter().flatten() {
            if !sent.has(parameter) {
                dropped.add(name);
            }
        }
        dropped
    }
}

impl Dropped {
    /// Whether nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.losses.is_empty()
    }

    fn add(&mut self, name: &str) {
        if self.names.len() < DROPPED_NAMES_MAX {
            self.names.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }
}

/// What a request for a response loses when it is written in another dialect (rule B11 of
/// reference/responses-inbound.md), by names of a fixed list, so that it can be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses(u64);

impl Losses {
    /// The names of all losses: members of the request, tools, and items of its input.
    pub const NAMES: [&'static str; 34] = [
        "store",
        "metadata",
        "include",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "service_tier",
        "truncation",
        "max_tool_calls",
        "stream_options",
        "context_management",
        "moderation",
        "client_metadata",
        "top_logprobs",
        "summary",
        "generate_summary",
        "context",
        "mode",
        "verbosity",
        "allowed_callers",
        "web_search",
        "image_generation",
        "tool_search",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_list_tools",
        "mcp_call",
        "mcp_approval_request",
        "tool_search_call",
        "reasoning",
        "item_reference",
        OTHER,
    ];

    /// The place of a loss of this name in the list.
    #[must_use]
    pub fn place_of(name: &str) -> Option<usize> {
        Self::NAMES.iter().position(|known| *known == name)
    }

    /// The places of the losses in the list of names.
    pub fn places(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let place = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(place)
        })
    }

    /// The names of the losses.
    pub fn names<'n>(self) -> impl Iterator<Item = &'n str> {
        self.places()
            .filter_map(|place| Self::NAMES.get(place).copied())
    }

    /// Whether nothing was lost.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Notes a loss of this name; returns whether the list has it.
    fn add(&mut self, name: &str) -> bool {
        let place = Self::place_of(name);
        self.0 |= place.map_or(0, |place| 1 << place);
        place.is_some()
    }
}

impl Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lost = self.losses.names().filter(|name| *name != OTHER);
        let names = self.names.iter().map(String::as_str);
        f.write_str(&lost.chain(names).collect::<Vec<_>>().join(","))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

const _: () = assert!(Losses::NAMES.len() <= LOSSES_MAX);

/// What stands for all members of a request that no list can have.
const OTHER: &str = "other";
/// Most names that a dialect has for what a writer may leave out.
const KNOWN_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_and_not_sent_is_dropped() {
        let mut given = Given::default();
        given.add_unknown("seed");
        given.add(Parameter::TopP, "top_p");
        given.add(Parameter::Stop, "stop_sequences");
        let sent = Sent::default()
            .with(Parameter::TopP, true)
            .with(Parameter::User, false);
        let dropped = given.dropped(sent);
        assert_eq!(dropped.to_string(), "seed,stop_sequences");
    }

    #[test]
    fn losses_are_told_by_names_of_a_list() {
        let mut given = Given::default();
        for name in ["x_new", "store", "store"] {
            given.lose_member(name.as_bytes());
        }
        given.lose("web_search");
        let dropped = given.dropped(Sent::ALL);
        assert_eq!(dropped.to_string(), "store,web_search,x_new");
        let names: Vec<_> = dropped.losses.names().collect();
        assert_eq!(names, ["store", "web_search", "other"]);
        assert!(Losses::NAMES.len() < 64 && !dropped.is_empty());
    }

    #[test]
    fn names_beyond_the_bound_are_counted() {
        let mut given = Given::default();
        for index in 0..=DROPPED_NAMES_MAX {
            given.add_unknown(&index.to_string());
        }
        let dropped = given.dropped(Sent::default());
        assert_eq!((dropped.names.len(), dropped.more), (DROPPED_NAMES_MAX, 1));
    }
}
