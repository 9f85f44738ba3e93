//! Looks up prices, and how much models read and write, for requests.

use crate::base::ids::RouteId;
use crate::base::tokens::Tokens;
use crate::config::plan::{Candidate, Plan, Provider};
use crate::config::prices::PriceTable;
use crate::config::unit_prices::UnitTable;
use crate::decide::pricing::Row;
use crate::decide::units::UnitPrice;
use crate::exchange::windows::Windows;

/// What is known of a Plan's models, ready to be looked up.
pub struct Purse {
    table: PriceTable,
    units: UnitTable,
    /// By route and candidate, for routes of one model.
    known: Box<[Option<Box<[Known]>>]>,
    windows: Windows,
}

/// What is known of a candidate's model.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its prices.
    row: Option<Row>,
    /// Most tokens that it gives in one answer.
    max_output: Option<u64>,
}

impl Purse {
    /// The purse of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let table = PriceTable::built_in();
        let mut known: Vec<_> = plan.routes.all.iter().map(|_| None).collect();
        for (model, id) in plan.routes.chat.iter().chain(&plan.routes.other) {
            let candidates = plan.routes.route(*id).candidates.iter();
            let known_of = |candidate: &Candidate| {
                let name = candidate.model.as_deref().unwrap_or(model);
                let provider = plan.provider(candidate.provider);
                Known {
                    row: table.row_for(provider, name, &plan.pricing),
                    max_output: table.max_output(provider, name),
                }
            };
            known[id.index()] = Some(candidates.map(known_of).collect());
        }
        Self {
            units: UnitTable::built_in(),
            windows: Windows::new(plan, &table),
            table,
            known: known.into(),
        }
    }

    /// The prices of a candidate of the route for `model`; `None`: they are not known.
    #[must_use]
    pub fn row(&self, plan: &Plan, route: RouteId, place: usize, model: &str) -> Option<Row> {
        if let Some(known) = &self.known[route.index()] {
            return known.get(place)?.row;
        }
        let (provider, name) = asked(plan, (route, place), model);
        self.table.row_for(provider, name, &plan.pricing)
    }

    /// Most tokens that a candidate of the route for `model` gives in one answer; `None`: that is
    /// not known.
    #[must_use]
    pub fn max_output(
        &self,
        plan: &Plan,
        route: RouteId,
        place: usize,
        model: &str,
    ) -> Option<u64> {
        if let Some(known) = &self.known[route.index()] {
            return known.get(place)?.max_output;
        }
        let (provider, name) = asked(plan, (route, place), model);
        self.table.max_output(provider, name)
    }

    /// What `model` of `provider` costs that is not billed by its tokens; `None`: that is not
    /// known.
    #[must_use]
    pub fn unit_price<'p>(
        &'p self,
        plan: &'p Plan,
        provider: &Provider,
        model: &str,
    ) -> Option<&'p UnitPrice> {
        self.units.price_of(provider, model, &plan.pricing)
    }

    /// The longest prompt, as it is estimated, for which every candidate of the route has room.
    #[must_use]
    pub fn always_fits(&self, route: RouteId) -> Tokens {
        self.windows.always_fits(route)
    }

    /// The window of a candidate of the route for `model`; `None`: it is not known.
    #[must_use]
    pub fn window(&self, plan: &Plan, route: RouteId, place: usize, model: &str) -> Option<Tokens> {
        self.windows.of(plan, &self.table, (route, place), model)
    }
}

/// The provider of a candidate of the route for `model`, and what it calls the model.
fn asked<'p>(
    plan: &'p Plan,
    (route, place): (RouteId, usize),
    model: &'p str,
) -> (&'p Provider, &'p str) {
    let candidate = &plan.routes.route(route).candidates[place];
    let name = candidate.model.as_deref().unwrap_or(model);
    (plan.provider(candidate.provider), name)
}
