//! The windows of the models of a Plan: most tokens that each of them reads in one request.

use crate::base::ids::RouteId;
use crate::base::tokens::Tokens;
use crate::config::model_settings::SettingsByModel;
use crate::config::plan::{Candidate, Plan};
use crate::config::prices::PriceTable;
use crate::decide::room;

/// The windows by route.
pub struct Windows {
    /// By route, for routes of one model; `None`: no candidate's window is known.
    routes: Box<[Option<Known>]>,
    /// The number of these routes, which come before the routes of models that the file does not
    /// name.
    named: usize,
    /// The longest prompt for which each window that is known at all has room.
    least: Tokens,
}

/// The windows of one route, some of which are known.
struct Known {
    /// The longest prompt for which all of them have room.
    least: Tokens,
    /// By candidate.
    windows: Box<[Option<Tokens>]>,
}

impl Windows {
    /// The windows of `plan`.
    #[must_use]
    pub fn new(plan: &Plan, table: &PriceTable) -> Self {
        let mut routes: Vec<Option<Known>> = plan.routes.all.iter().map(|_| None).collect();
        for (model, id) in plan.routes.chat.iter().chain(&plan.routes.other) {
            let candidates = plan.routes.route(*id).candidates.iter();
            let windows = candidates.map(|candidate| window(plan, table, candidate, model));
            routes[id.index()] = Known::of(windows.collect());
        }
        let settings = plan.providers.iter().map(|one| &one.model_settings);
        let set = settings.filter_map(SettingsByModel::least_window);
        let known = set.chain(table.least_window()).min();
        Self {
            routes: routes.into(),
            named: plan.routes.named,
            least: known.map_or(Tokens::new(u64::MAX), room::longest),
        }
    }

    /// The longest prompt, as it is estimated, for which every candidate of the route has room.
    #[must_use]
    pub fn always_fits(&self, route: RouteId) -> Tokens {
        match self.routes.get(route.index()) {
            Some(Some(known)) => known.least,
            // Its models have any names.
            Some(None) if route.index() >= self.named => self.least,
            Some(None) | None => Tokens::new(u64::MAX),
        }
    }

    /// The window of the candidate at this place of the route for `model`; `None`: it is not known.
    #[must_use]
    pub fn of(
        &self,
        plan: &Plan,
        table: &PriceTable,
        (route, place): (RouteId, usize),
        model: &str,
    ) -> Option<Tokens> {
        match self.routes.get(route.index()) {
            Some(Some(known)) => known.windows.get(place).copied().flatten(),
            Some(None) if route.index() >= self.named => {
                let candidate = plan.routes.route(route).candidates.get(place)?;
                window(plan, table, candidate, model)
            }
            Some(None) | None => None,
        }
    }
}

impl Known {
    fn of(windows: Box<[Option<Tokens>]>) -> Option<Self> {
        let least = windows.iter().flatten().min()?;
        Some(Self {
            least: room::longest(*least),
            windows,
        })
    }
}

/// The window of a candidate for a caller's `model`: as the file says, else as the table has it
/// under the provider's own name of the model.
fn window(plan: &Plan, table: &PriceTable, candidate: &Candidate, model: &str) -> Option<Tokens> {
    let own = candidate.model.as_deref().unwrap_or(model);
    let provider = plan.provider(candidate.provider);
    let settings = provider.model_settings.of(model, own);
    let set = settings.and_then(|settings| settings.context_window);
    set.or_else(|| table.window(provider, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::endpoint::Endpoint;
    use crate::config::{self, Environment, Options, Strictness};

    const FILE: &str = "
providers:
  - {name: openai, type: openai, api_key: k, models: [gpt-4o, 'gpt-*'], model_aliases: {m: gpt-4}}
  - name: own
    type: openai
    api_key: k
    models:
      - {name: a, context_window: 32000}
      - {name: b, max_output_tokens: 9}
      - {name: 'vllm-*', context_window: 500}
      - {name: short, context_window: 1000}
      - gpt-4.1
    model_aliases: {quick: a, short: a, long: vllm-7}
  - {name: claude, type: anthropic, api_key: k, model_aliases: {m: claude-sonnet-4-5}}
  - {name: home, type: ollama, models: [llama3, m]}
  - {name: open, type: openai, api_key: k}
";

    fn plan() -> Plan {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(FILE, &options).ok().unwrap().plan
    }

    #[test]
    fn each_candidate_has_the_window_of_its_own_model() {
        let (plan, table) = (plan(), PriceTable::built_in());
        let windows = Windows::new(&plan, &table);
        let never = u64::MAX;
        for (model, always_fits, expected) in [
            ("m", 9_102, &[Some(8_192), Some(200_000), None][..]),
            ("gpt-4o", 142_222, &[Some(128_000)]),
            ("llama3", never, &[None]),
            // What the file says counts for an alias, too, unless it says something else of that.
            ("a", 35_555, &[Some(32_000)]),
            ("quick", 35_555, &[Some(32_000)]),
            ("short", 1_111, &[Some(1_000)]),
            ("long", 555, &[Some(500)]),
            ("b", never, &[None]),
            ("gpt-4.1", 1_163_973, &[Some(1_047_576)]),
            // Of a pattern and of an open provider: any window may be meant.
            ("gpt-5", 555, &[Some(272_000)]),
            ("vllm-9", 555, &[Some(500)]),
            ("o3", 555, &[Some(200_000)]),
            ("nobody-knows", 555, &[None]),
        ] {
            let id = plan.routes.find(Endpoint::ChatCompletions, model).unwrap();
            assert_eq!(windows.always_fits(id), Tokens::new(always_fits), "{model}");
            let places = 0..plan.routes.route(id).candidates.len();
            let found = places.map(|place| windows.of(&plan, &table, (id, place), model));
            let found: Vec<_> = found.map(|window| window.map(Tokens::get)).collect();
            assert_eq!(found, expected, "{model}");
        }
    }
}
