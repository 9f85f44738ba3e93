//! Looks up prices and windows for requests.

use crate::base::ids::RouteId;
use crate::base::tokens::Tokens;
use crate::config::plan::{Candidate, Plan, Provider};
use crate::config::prices::PriceTable;
use crate::config::unit_prices::UnitTable;
use crate::decide::pricing::Row;
use crate::decide::units::UnitPrice;
use crate::exchange::windows::Windows;

/// The prices and windows of a Plan, ready to be looked up.
pub struct Purse {
    table: PriceTable,
    units: UnitTable,
    /// By route and candidate, for routes of one model.
    rows: Box<[Option<Rows>]>,
    windows: Windows,
}

/// By candidate; `None`: its price is not known.
type Rows = Box<[Option<Row>]>;

impl Purse {
    /// The purse of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let table = PriceTable::built_in();
        let mut rows: Vec<_> = plan.routes.all.iter().map(|_| None).collect();
        for (model, id) in plan.routes.chat.iter().chain(&plan.routes.other) {
            let candidates = plan.routes.route(*id).candidates.iter();
            let row = |candidate: &Candidate| {
                let name = candidate.model.as_deref().unwrap_or(model);
                table.row_for(plan.provider(candidate.provider), name, &plan.pricing)
            };
            rows[id.index()] = Some(candidates.map(row).collect());
        }
        Self {
            units: UnitTable::built_in(),
            windows: Windows::new(plan, &table),
            table,
            rows: rows.into(),
        }
    }

    /// The prices of a candidate of the route for `model`; `None`: they are not known.
    #[must_use]
    pub fn row(&self, plan: &Plan, route: RouteId, place: usize, model: &str) -> Option<Row> {
        if let Some(rows) = &self.rows[route.index()] {
            return rows.get(place).copied().flatten();
        }
        let candidate = &plan.routes.route(route).candidates[place];
        let name = candidate.model.as_deref().unwrap_or(model);
        self.table
            .row_for(plan.provider(candidate.provider), name, &plan.pricing)
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

    /// Most tokens that a provider's `model` gives in one answer; `None`: that is not known.
    #[must_use]
    pub fn max_output(&self, provider: &Provider, model: &str) -> Option<u64> {
        self.table.max_output(provider, model)
    }
}
