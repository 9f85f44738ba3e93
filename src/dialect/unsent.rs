//! The parameters of a request that are left out, by the caller's names: for the log.
//!
//! A reader notes what the caller gives, a writer returns what it sends, and the rest is
//! [`Dropped`].

use std::fmt::Display;

use crate::base::limits::DROPPED_NAMES_MAX;

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
}

impl Sent {
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

    /// Notes that `parameter` is given under this name.
    pub(super) fn add(&mut self, parameter: Parameter, name: &'static str) {
        let free = self.known.iter_mut().find(|known| known.is_none());
        debug_assert!(free.is_some(), "no dialect has so many names");
        if let Some(free) = free {
            *free = Some((parameter, name));
        }
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
    fn add(&mut self, name: &str) {
        if self.names.len() < DROPPED_NAMES_MAX {
            self.names.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }
}

impl Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(","))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

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
    fn names_beyond_the_bound_are_counted() {
        let mut given = Given::default();
        for index in 0..=DROPPED_NAMES_MAX {
            given.add_unknown(&index.to_string());
        }
        let dropped = given.dropped(Sent::default());
        assert_eq!((dropped.names.len(), dropped.more), (DROPPED_NAMES_MAX, 1));
    }
}
