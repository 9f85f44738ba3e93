//! The routing block: strategies, groups, failover.

use std::collections::HashMap;

use crate::base::ids::ProviderId;
use crate::base::limits::GROUPS_MAX;
use crate::config::patterns::is_pattern;
use crate::config::plan::{Failover, Group, Provider};
use crate::config::raw::fields::{Block, Defaults};
use crate::config::routes::Served;
use crate::decide::affinity::{Affinity, By};
use crate::decide::policy::LatencyPolicy;
use crate::decide::strategy::Strategy;

const STRATEGIES: [(&str, Strategy); 5] = [
    ("round_robin", Strategy::RoundRobin),
    ("least_latency", Strategy::LeastLatency),
    ("cost_weighted", Strategy::CostWeighted),
    ("random", Strategy::Random),
    ("priority", Strategy::Priority),
];

/// What conversations are told apart by; `None`: they are not kept together.
const AFFINITIES: [(&str, Option<By>); 4] = [
    ("off", None),
    (By::Auto.name(), Some(By::Auto)),
    (By::Session.name(), Some(By::Session)),
    (By::Prefix.name(), Some(By::Prefix)),
];

/// The values of the block.
pub struct Routing {
    /// The strategy outside of groups.
    pub strategy: Strategy,
    /// How conversations are kept together outside of groups; `None`: they are not.
    pub affinity: Option<Affinity>,
    /// The groups.
    pub groups: Box<[Group]>,
    /// How many attempts a request has, and in what time.
    pub failover: Failover,
    /// The figures of `least_latency`.
    pub latency: LatencyPolicy,
}

/// Reads the block.
pub fn read(block: &Block<'_>, providers: &[Provider]) -> Routing {
    let strategy = block
        .word("strategy", &STRATEGIES)
        .unwrap_or(Strategy::RoundRobin);
    let latency = block.block("least_latency");
    let failover = block.block("failover");
    let affinity = Affinities::read(&block.block("affinity"), Affinities::USUAL);
    let usual = Usual { strategy, affinity };
    Routing {
        strategy,
        affinity: affinity.get(),
        groups: groups(block, providers, &usual),
        failover: Failover {
            max_attempts: failover.whole("max_attempts").unwrap_or(1),
            deadline: failover.span("deadline").unwrap_or_default(),
            retry_budget_permille: failover.permille("retry_budget").unwrap_or_default(),
        },
        latency: LatencyPolicy {
            ewma_decay_permille: latency.permille("ewma_decay").unwrap_or(1_000),
            min_samples: latency.whole("min_samples").unwrap_or_default(),
        },
    }
}

/// What holds where a group says nothing else.
struct Usual {
    strategy: Strategy,
    affinity: Affinities,
}

/// The fields of an `affinity` block.
#[derive(Clone, Copy)]
struct Affinities {
    by: Option<By>,
    spill_permille: u32,
}

impl Affinities {
    /// Where the list of keys has no default, this one is never read.
    const USUAL: Self = Self {
        by: None,
        spill_permille: 1_000,
    };

    /// The block's fields, and those of `usual` where it says nothing.
    fn read(block: &Block<'_>, usual: Self) -> Self {
        Self {
            by: block.word("by", &AFFINITIES).unwrap_or(usual.by),
            spill_permille: block.permille("spill").unwrap_or(usual.spill_permille),
        }
    }

    fn get(self) -> Option<Affinity> {
        let spill_permille = self.spill_permille;
        self.by.map(|by| Affinity { by, spill_permille })
    }
}

fn groups(routing: &Block<'_>, providers: &[Provider], usual: &Usual) -> Box<[Group]> {
    if routing.count("groups") > GROUPS_MAX {
        routing.fault("groups", format!("there are more than {GROUPS_MAX} groups"));
        return Box::default();
    }
    let declared: HashMap<&str, ProviderId> = (0..)
        .zip(providers)
        .map(|(i, provider)| (&*provider.name, ProviderId(i)))
        .collect();
    let served = Served::new(providers);
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut groups = Vec::new();
    for block in routing.blocks("groups") {
        let name = block.text("name").unwrap_or_default();
        if let Some(other) = names.insert(name, block.path().to_owned())
            && !name.is_empty()
        {
            block.fault("name", format!("`{name}` is already the name of {other}"));
        }
        block.require_items("models", "at least one model is required");
        let models = block.texts("models");
        doubt_unserved(&block, &models, &served);
        doubt_patterns(&block, &models);
        let affinity = block.block("affinity").with(Defaults::None);
        groups.push(Group {
            name: name.into(),
            models: models.into_iter().map(|(_, model)| model.into()).collect(),
            strategy: block
                .word("strategy", &STRATEGIES)
                .unwrap_or(usual.strategy),
            affinity: Affinities::read(&affinity, usual.affinity).get(),
            providers: members(&block, &declared),
        });
    }
    groups.into()
}

/// Warns of a group whose models no provider serves: it never matches.
fn doubt_unserved(block: &Block<'_>, models: &[(usize, &str)], served: &Served<'_>) {
    // A variable that is not looked up may name a model that is served.
    let all_known = models.len() == block.count("models");
    let is_served = |(_, model): &(usize, &str)| served.includes(model);
    if let Some((_, first)) = models.first()
        && all_known
        && !models.iter().any(is_served)
    {
        let hint = block.hint(first, served.names());
        block.doubt("models", format!("no provider serves any of them{hint}"));
    }
}

/// A group takes the names of models as they are written.
fn doubt_patterns(block: &Block<'_>, models: &[(usize, &str)]) {
    for (place, model) in models.iter().filter(|(_, model)| is_pattern(model)) {
        let problem = format!("`{model}` is no pattern here: groups list whole names");
        block.doubt(&format!("models[{place}]"), problem);
    }
}

fn members(block: &Block<'_>, declared: &HashMap<&str, ProviderId>) -> Box<[ProviderId]> {
    let texts = block.texts("providers");
    let mut members: Vec<ProviderId> = Vec::new();
    let mut undeclared = Vec::new();
    for (i, name) in &texts {
        match declared.get(name) {
            Some(id) if members.contains(id) => {
                block.fault(
                    &format!("providers[{i}]"),
                    format!("`{name}` is there twice"),
                );
            }
            Some(id) => members.push(*id),
            None => undeclared.push((*i, *name)),
        }
    }
    // A variable that is not looked up may name a declared provider.
    let all_known = texts.len() == block.count("providers");
    let nobody = members.is_empty() && all_known;
    for (i, name) in undeclared {
        let hint = block.hint(name, declared.keys().copied());
        let problem = format!("`{name}` is not a declared provider{hint}");
        let field = format!("providers[{i}]");
        if nobody {
            block.fault(&field, problem);
        } else {
            block.warn(&field, problem);
        }
    }
    members.into()
}
