//! Which providers there are to be, which models each of them has under which names, and which
//! names need a group so that they go where they went.

use std::collections::BTreeSet;

use crate::base::limits::PROVIDERS_MAX;
use crate::config::convert::deployment::{Deployment, Identity};

/// The providers and the names of models that lead to them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The providers, in the order of the other file.
    pub(super) providers: Vec<Seat>,
    /// The names, in the order of the other file.
    pub(super) names: Vec<Name>,
    steps: usize,
}

/// A provider.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its name.
    pub(super) name: String,
    /// What its models have in common.
    pub(super) at: Identity,
    /// Callers' names of its models, each with its own name.
    pub(super) models: Vec<(String, String)>,
    /// What is known of its models, by its own names.
    pub(super) known: Vec<Known>,
    /// Whether it takes whatever nobody else has.
    pub(super) is_open: bool,
}

/// What is known of a model.
#[derive(Debug)]
pub(super) struct Known {
    /// The provider's name of it.
    pub(super) model: String,
    /// Prices of prompt and answer, in nano-dollars per million tokens.
    pub(super) prices: Option<(u64, u64)>,
    /// Most tokens that it reads.
    pub(super) window: Option<u64>,
    /// Most tokens of an answer.
    pub(super) max_output: Option<u64>,
}

/// A name that callers use.
#[derive(Debug)]
pub(super) struct Name {
    /// The name.
    pub(super) name: String,
    /// The places of the providers that it leads to.
    pub(super) to: Vec<usize>,
    /// How many of them it led to before others were added to fall back on.
    pub(super) primaries: usize,
}

impl Name {
    /// Whether its providers have an order.
    pub(super) fn is_ordered(&self) -> bool {
        self.to.len() > self.primaries
    }
}

/// The file comes to more than a configuration may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Layout {
    /// Adds a deployment under its own name.
    ///
    /// # Errors
    ///
    /// There are too many providers, or too many names lead to them.
    pub(super) fn add(&mut self, deployment: &Deployment) -> Result<(), TooMuch> {
        let place = self.place(deployment, &deployment.name)?;
        let name = self.name_mut(&deployment.name);
        if !name.to.contains(&place) {
            name.to.push(place);
        }
        name.primaries = name.to.len();
        Ok(())
    }

    /// Has `name` lead to a deployment, too; as one to fall back on, where the name has others.
    ///
    /// # Errors
    ///
    /// As those of [`Layout::add`].
    pub(super) fn lead(
        &mut self,
        name: &str,
        deployment: &Deployment,
        rank: Rank,
    ) -> Result<(), TooMuch> {
        let place = self.place(deployment, name)?;
        let name = self.name_mut(name);
        if !name.to.contains(&place) {
            name.to.push(place);
        }
        if rank == Rank::First {
            name.primaries = name.to.len();
        }
        Ok(())
    }

    /// The place of a provider that has the deployment's model under `name`.
    fn place(&mut self, deployment: &Deployment, name: &str) -> Result<usize, TooMuch> {
        self.steps += 1;
        let target = &deployment.target;
        let found = self.providers.iter().position(|one| {
            one.at == deployment.at && one.is_open == deployment.is_open && one.takes(name, target)
        });
        let place = match found {
            Some(place) => place,
            None => {
                self.providers.push(Seat {
                    name: self.free_name(deployment.at.host.name),
                    at: deployment.at.clone(),
                    models: Vec::new(),
                    known: Vec::new(),
                    is_open: deployment.is_open,
                });
                self.providers.len() - 1
            }
        };
        if self.providers.len() > PROVIDERS_MAX || self.steps > STEPS_MAX {
            return Err(TooMuch);
        }
        if let Some(seat) = self.providers.get_mut(place) {
            seat.put(name, deployment);
        }
        Ok(place)
    }

    fn free_name(&self, base: &str) -> String {
        let is_taken = |name: &str| self.providers.iter().any(|one| one.name == name);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        // There are fewer providers than numbers.
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }

    fn name_mut(&mut self, name: &str) -> &mut Name {
        let place = self.names.iter().position(|one| one.name == name);
        let place = place.unwrap_or_else(|| {
            self.names.push(Name {
                name: name.to_owned(),
                to: Vec::new(),
                primaries: 0,
            });
            self.names.len() - 1
        });
        &mut self.names[place]
    }

    /// The names that need a group, in the order in which the groups must stand: the group of a
    /// model also matches the names that are aliases of it, and the first that matches counts.
    pub(super) fn groups(&self) -> Vec<&Name> {
        let mut needed: Vec<&Name> = self.names.iter().filter(|name| self.needs(name)).collect();
        loop {
            let more: Vec<&Name> = self
                .names
                .iter()
                .filter(|name| !needed.iter().any(|one| one.name == name.name))
                .filter(|name| needed.iter().any(|one| self.leads(name, &one.name)))
                .collect();
            if more.is_empty() {
                break;
            }
            needed.extend(more);
        }
        let mut groups = Vec::new();
        while !needed.is_empty() {
            let is_free = |name: &&&Name| {
                let mut others = needed.iter().filter(|one| one.name != name.name);
                !others.any(|one| self.leads(one, &name.name))
            };
            let next = needed.iter().position(|name| is_free(&name)).unwrap_or(0);
            groups.push(needed.remove(next));
        }
        groups
    }

    /// Whether other providers than those that the name leads to would be asked without a group,
    /// or in another order.
    fn needs(&self, name: &Name) -> bool {
        let led: BTreeSet<usize> = name.to.iter().copied().collect();
        let claims = |seat: &Seat| {
            let mut models = seat.models.iter();
            models.any(|(own, target)| *own == name.name || *target == name.name)
        };
        let claimed = self.providers.iter().enumerate();
        let claimed = claimed.filter(|(_, seat)| !seat.is_open && claims(seat));
        let claimed: BTreeSet<usize> = claimed.map(|(place, _)| place).collect();
        let is_open = name.to.iter().any(|place| self.providers[*place].is_open);
        !is_open && (name.is_ordered() || claimed != led)
    }

    /// Whether `name` is an alias of `target` at one of its providers.
    fn leads(&self, name: &Name, target: &str) -> bool {
        let seats = name
            .to
            .iter()
            .filter_map(|place| self.providers.get(*place));
        let mut models = seats.flat_map(|seat| &seat.models);
        models.any(|(own, to)| *own == name.name && to == target && own != to)
    }
}

/// Whether a provider is among the first that a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// It is.
    First,
    /// It is one to fall back on.
    Later,
}

impl Seat {
    /// Whether the model `target` can be called `name` there, beside its other models: a provider
    /// has one model of each name, and no chains of aliases.
    fn takes(&self, name: &str, target: &str) -> bool {
        self.models.iter().all(|(own, to)| {
            let clashes =
                (to != target && (own == name || own == target)) || (to == name && name != target);
            !clashes
        })
    }

    fn put(&mut self, name: &str, deployment: &Deployment) {
        let entry = (name.to_owned(), deployment.target.clone());
        if !self.models.contains(&entry) {
            self.models.push(entry);
        }
        if !self
            .known
            .iter()
            .any(|known| known.model == deployment.target)
        {
            self.known.push(Known {
                model: deployment.target.clone(),
                prices: deployment.prices,
                window: deployment.window,
                max_output: deployment.max_output,
            });
        }
    }
}

/// Most times that a name is led to a provider: fallbacks multiply.
const STEPS_MAX: usize = 20_000;
