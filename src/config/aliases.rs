//! Where a provider's aliases lead.

use std::collections::HashMap;

use crate::base::limits::ALIAS_CHAIN_MAX;

/// One provider's aliases: caller's name to provider's name.
pub struct Aliases<'a>(HashMap<&'a str, &'a str>);

/// Why an alias leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Astray {
    /// The chain comes back to the alias itself.
    Cycle,
    /// The chain runs into a cycle of other aliases.
    IntoCycle,
    /// The chain passes through more than [`ALIAS_CHAIN_MAX`] others.
    Endless,
}

impl<'a> Aliases<'a> {
    /// Collects pairs of names.
    pub fn new(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The names that `name` leads to, in the order of the chain; the last is the provider's own.
    pub fn chain(&self, name: &str) -> Result<Vec<&'a str>, Astray> {
        let mut chain: Vec<&'a str> = Vec::new();
        let mut current = name;
        while let Some(next) = self.0.get(current) {
            if *next == name {
                return Err(Astray::Cycle);
            }
            if chain.contains(next) {
                return Err(Astray::IntoCycle);
            }
            if chain.len() == ALIAS_CHAIN_MAX {
                return Err(Astray::Endless);
            }
            chain.push(next);
            current = next;
        }
        Ok(chain)
    }

    /// The cycle that starts at `name`, for a message; only for the name of a cycle that is first
    /// in the alphabet, so that each cycle is reported once.
    pub fn cycle(&self, name: &'a str) -> Option<String> {
        let mut shown = format!("`{name}`");
        let mut current = name;
        for _ in 0..=ALIAS_CHAIN_MAX {
            current = self.0.get(current)?;
            if current < name {
                return None;
            }
            shown.push_str(&format!(" → `{current}`"));
            if current == name {
                return Some(shown);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_end_at_the_providers_own_name() {
        let aliases = Aliases::new([("a", "b"), ("b", "c"), ("x", "x"), ("y", "z"), ("z", "y")]);
        assert_eq!(aliases.chain("a"), Ok(vec!["b", "c"]));
        assert_eq!(aliases.chain("c"), Ok(vec![]));
        assert_eq!(aliases.chain("x"), Err(Astray::Cycle));
        assert_eq!(aliases.cycle("x").unwrap(), "`x` → `x`");
        assert_eq!(aliases.cycle("y").unwrap(), "`y` → `z` → `y`");
        assert_eq!(aliases.cycle("z"), None);
        assert_eq!(aliases.cycle("a"), None);
    }

    #[test]
    fn endless_chains_are_given_up() {
        let names: Vec<String> = (0..100).map(|i| format!("n{i}")).collect();
        let pairs = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()));
        let aliases = Aliases::new(pairs);
        assert_eq!(aliases.chain("n0"), Err(Astray::Endless));
        assert_eq!(aliases.chain("n83").unwrap().len(), 16);
    }
}
