//! Which providers serve which model: the table that every request is looked up in.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::endpoint::Endpoint;
use crate::base::ids::{GroupId, ProviderId, RouteId};
use crate::base::limits::CANDIDATES_MAX;
use crate::base::map::Map;
use crate::config::aliases::Aliases;
use crate::config::patterns::{self, PATTERNS_MAX, Pattern, PatternRoutes};
use crate::config::plan::{Candidate, Group, Provider, Route, Routes};
use crate::decide::affinity::Affinity;
use crate::decide::strategy::Strategy;

/// The models that providers of any kind are configured to serve.
pub struct Served<'a> {
    claimed: HashSet<&'a str>,
    /// Providers that may serve models that the file does not name.
    others: Vec<&'a Provider>,
}

impl<'a> Served<'a> {
    /// Collects the models of `providers`.
    #[must_use]
    pub fn new(providers: &'a [Provider]) -> Self {
        let listed = providers.iter().flat_map(Provider::names);
        let aliases = providers
            .iter()
            .flat_map(|provider| &provider.model_aliases);
        let aliased = aliases.flat_map(|(from, to)| [&**from, &**to]);
        let others = providers.iter().filter(|provider| provider.has_unnamed());
        Self {
            claimed: listed.chain(aliased).collect(),
            others: others.collect(),
        }
    }

    /// Whether a provider serves `model`.
    #[must_use]
    pub fn includes(&self, model: &str) -> bool {
        let serves = |one: &&Provider| {
            is_open_to(one, model) || one.patterns.iter().any(|pattern| pattern.matches(model))
        };
        self.claimed.contains(model) || self.others.iter().any(serves)
    }

    /// The models that are named in the file.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.claimed.iter().copied()
    }
}

/// A table without routes.
#[must_use]
pub fn none() -> Routes {
    Routes {
        all: Box::default(),
        chat: Map::default(),
        other: Map::default(),
        open_chat_claude: None,
        open_chat: None,
        open_other: None,
        patterns: PatternRoutes::default(),
        named: 0,
        passthrough: None,
    }
}

/// Adds the route of requests that name no model: to this provider alone.
pub fn pass_through(routes: &mut Routes, provider: ProviderId) {
    let candidate = Candidate {
        provider,
        model: Some(NO_MODEL.into()),
        weight: 1,
    };
    let route = Route {
        group: None,
        strategy: Strategy::Priority,
        affinity: None,
        is_unclaimed: false,
        candidates: [candidate].into(),
    };
    let mut all = std::mem::take(&mut routes.all).into_vec();
    routes.passthrough = Some(push(&mut all, route, 0));
    routes.all = all.into();
}

/// What logs and metrics call the model of requests that name none.
const NO_MODEL: &str = "(none)";

/// Builds the table. `names` are models that need a route although callers may never ask for them.
///
/// # Errors
///
/// The table would hold more than [`CANDIDATES_MAX`] candidates.
pub fn build<'a>(
    providers: &'a [Provider],
    groups: &'a [Group],
    (strategy, affinity): (Strategy, Option<Affinity>),
    names: impl Iterator<Item = &'a str>,
) -> Result<Routes, String> {
    let claims = Claims::new(providers);
    let listed = groups
        .iter()
        .flat_map(|group| &group.models)
        .map(|model| &**model);
    let mut seen = HashSet::new();
    let names = claims.names.iter().copied().chain(listed).chain(names);
    let names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    let mut table = Table {
        providers,
        groups,
        strategy,
        affinity,
        claims,
        first: first(groups),
        size: 0,
    };
    let mut all = Vec::new();
    let mut routes = none();
    for name in names {
        let chat = table.route(name, CONVERSATION)?;
        let other = table.route(name, OTHER)?;
        let chat = chat.map(|route| push(&mut all, route, 0));
        // A model has one rotation for all endpoints, unless its candidates differ between them.
        let other = other.map(|route| push(&mut all, route, usize::from(chat.is_some())));
        routes.chat.extend(chat.map(|id| (name.into(), id)));
        routes.other.extend(other.map(|id| (name.into(), id)));
    }
    routes.named = all.len();
    routes.patterns = table.by_patterns(&mut all)?;
    let start = all.len();
    let mut open = |name, endpoint| {
        let candidates = table.open(name, endpoint);
        let route = Route {
            group: None,
            strategy,
            affinity,
            is_unclaimed: true,
            candidates,
        };
        let shared = all.len() - start;
        (!route.candidates.is_empty()).then(|| push(&mut all, route, shared))
    };
    routes.open_chat = open("", CONVERSATION);
    routes.open_chat_claude = open("claude", CONVERSATION);
    routes.open_other = open("", OTHER);
    routes.all = all.into();
    Ok(routes)
}

/// Stands for the endpoints that take a conversation: providers of every type serve them.
const CONVERSATION: Endpoint = Endpoint::ChatCompletions;
/// Stands for all others.
const OTHER: Endpoint = Endpoint::Completions;

/// Adds a route, unless one of the last `shared` routes equals it.
fn push(all: &mut Vec<Route>, route: Route, shared: usize) -> RouteId {
    let start = all.len() - shared.min(all.len());
    let place = all
        .iter()
        .skip(start)
        .position(|other| *other == route)
        .map(|at| start + at);
    let place = place.unwrap_or_else(|| {
        all.push(route);
        all.len() - 1
    });
    RouteId(u32::try_from(place).unwrap_or(u32::MAX))
}

/// A provider without `models` takes models that no provider claims; one whose type has models of
/// its own alone takes only those.
fn is_open_to(provider: &Provider, model: &str) -> bool {
    provider.is_open() && model.starts_with(provider.vendor.own_models)
}

/// One provider's claim to a model.
struct Claim<'a> {
    provider: ProviderId,
    /// The names it is aliased to there, the provider's own last.
    aliased: Vec<&'a str>,
}

/// All claims, in declaration order of the providers.
struct Claims<'a> {
    of: HashMap<&'a str, Vec<Claim<'a>>>,
    /// The claimed names, in the order of the file.
    names: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    fn new(providers: &'a [Provider]) -> Self {
        let mut claims = Self {
            of: HashMap::new(),
            names: Vec::new(),
        };
        for (i, provider) in (0..).zip(providers) {
            claims.add(ProviderId(i), provider);
        }
        claims
    }

    fn add(&mut self, id: ProviderId, provider: &'a Provider) {
        let pairs = || {
            provider
                .model_aliases
                .iter()
                .map(|(from, to)| (&**from, &**to))
        };
        let aliases = Aliases::new(pairs());
        let mut seen = HashSet::new();
        for name in provider
            .names()
            .chain(pairs().flat_map(|(from, to)| [from, to]))
        {
            if seen.insert(name) {
                // A chain that leads nowhere is a fault, after which this table is not used.
                let aliased = aliases.chain(name).unwrap_or_default();
                let claims = self.of.entry(name).or_default();
                if claims.is_empty() {
                    self.names.push(name);
                }
                claims.push(Claim {
                    provider: id,
                    aliased,
                });
            }
        }
    }
}

/// For each model in groups, the first group that lists it.
fn first(groups: &[Group]) -> HashMap<&str, GroupId> {
    let mut first = HashMap::new();
    for (i, group) in (0..).zip(groups) {
        for model in &group.models {
            first.entry(&**model).or_insert(GroupId(i));
        }
    }
    first
}

/// What is needed to build routes.
struct Table<'a> {
    providers: &'a [Provider],
    groups: &'a [Group],
    strategy: Strategy,
    affinity: Option<Affinity>,
    claims: Claims<'a>,
    first: HashMap<&'a str, GroupId>,
    /// The number of candidates so far.
    size: usize,
}

impl<'a> Table<'a> {
    /// The route of a model; `None` where no provider is a candidate.
    fn route(&mut self, name: &str, endpoint: Endpoint) -> Result<Option<Route>, String> {
        let claims = self.claims.of.get(name).map_or(&[][..], Vec::as_slice);
        let vendor = |claim: &Claim<'_>| self.providers[claim.provider.index()].vendor;
        let claimants: Vec<&Claim<'_>> = claims
            .iter()
            .filter(|claim| vendor(claim).serves(endpoint))
            .collect();
        let aliased = claimants.iter().flat_map(|claim| &claim.aliased).copied();
        let matching = std::iter::once(name).chain(aliased);
        let group = matching
            .filter_map(|name| self.first.get(name))
            .min()
            .copied();
        let mut candidates: Box<[Candidate]> = claimants
            .iter()
            .map(|claim| self.candidate(claim))
            .collect();
        // A provider that names the model comes before one with a matching pattern.
        if candidates.is_empty() {
            let matches = |one: &Provider| one.patterns.iter().any(|one| one.matches(name));
            candidates = self.unnamed(endpoint, matches);
        }
        let is_unclaimed = candidates.is_empty();
        if is_unclaimed {
            candidates = self.open(name, endpoint);
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        let (mut strategy, mut affinity) = (self.strategy, self.affinity);
        if let Some(group) = group.map(|id| &self.groups[id.index()]) {
            (strategy, affinity) = (group.strategy, group.affinity);
            candidates = restrict(candidates, &group.providers);
        }
        self.size += candidates.len();
        if self.size > CANDIDATES_MAX {
            return Err(format!(
                "models times providers come to more than {CANDIDATES_MAX}"
            ));
        }
        Ok(Some(Route {
            group,
            strategy,
            affinity,
            is_unclaimed,
            candidates,
        }))
    }

    fn candidate(&self, claim: &Claim<'_>) -> Candidate {
        Candidate {
            provider: claim.provider,
            model: claim.aliased.last().map(|model| Box::from(*model)),
            weight: self.providers[claim.provider.index()].weight,
        }
    }

    /// The routes of models that patterns claim, added to `all`.
    fn by_patterns(&mut self, all: &mut Vec<Route>) -> Result<PatternRoutes, String> {
        let distinct: BTreeSet<&Pattern> =
            self.providers.iter().flat_map(|p| &p.patterns).collect();
        let mut routes = PatternRoutes {
            all: distinct.into_iter().cloned().collect(),
            ..PatternRoutes::default()
        };
        if routes.all.len() > PATTERNS_MAX {
            return Err(format!("there are more than {PATTERNS_MAX} patterns"));
        }
        let mut seen = HashSet::new();
        for name in patterns::specimens(&routes.all) {
            let set = patterns::matching(&routes.all, &name);
            if !seen.insert(set) {
                continue;
            }
            let chat = self.route(&name, CONVERSATION)?;
            let other = self.route(&name, OTHER)?;
            // Where no provider claims the model for an endpoint, open providers serve it, under
            // its own name.
            let chat = chat.filter(|route| !route.is_unclaimed);
            let other = other.filter(|route| !route.is_unclaimed);
            let chat = chat.map(|route| push(all, route, 0));
            let other = other.map(|route| push(all, route, usize::from(chat.is_some())));
            routes.chat.extend(chat.map(|id| (set, id)));
            routes.other.extend(other.map(|id| (set, id)));
        }
        Ok(routes)
    }

    /// The open providers for a model that no provider claims.
    fn open(&self, name: &str, endpoint: Endpoint) -> Box<[Candidate]> {
        self.unnamed(endpoint, |provider| is_open_to(provider, name))
    }

    /// The providers that take a model which the file does not name; the model keeps the caller's
    /// name.
    fn unnamed(&self, endpoint: Endpoint, takes: impl Fn(&Provider) -> bool) -> Box<[Candidate]> {
        (0..)
            .zip(self.providers)
            .filter(|(_, provider)| provider.vendor.serves(endpoint) && takes(provider))
            .map(|(i, provider)| Candidate {
                provider: ProviderId(i),
                model: None,
                weight: provider.weight,
            })
            .collect()
    }
}

/// The `candidates` that a group lists, in the group's order.
fn restrict(candidates: Box<[Candidate]>, members: &[ProviderId]) -> Box<[Candidate]> {
    if members.is_empty() {
        return candidates;
    }
    // Invariant: candidates are in declaration order.
    let find = |id: &ProviderId| candidates.binary_search_by_key(id, |c| c.provider).ok();
    members
        .iter()
        .filter_map(find)
        .map(|at| candidates[at].clone())
        .collect()
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
