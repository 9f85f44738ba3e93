//! One configuration, with everything that is computed from it once for all shards.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use crate::base::ids::{ProviderId, RouteId};
use crate::base::secret::Secret;
use crate::config::plan::Plan;
use crate::decide::affinity::Seats;
use crate::decide::rotation::Rotation;
use crate::exchange::cors::Cors;
use crate::exchange::door::Door;
use crate::exchange::masks::Masks;
use crate::exchange::outbound::Prefixes;
use crate::exchange::purse::Purse;
use crate::ledger::terms::Terms;
use crate::link::gate::Turns;
use crate::link::recorder::Recorders;
use crate::wire::json;

/// One configuration. A request keeps the one that it began under, to its end.
pub struct Era {
    /// Its number, from 0.
    pub number: u64,
    /// The configuration, its words, and its new ids.
    pub terms: Arc<Terms>,
    /// What is computed once for each route.
    pub routes: Box<[RouteExtras]>,
    /// Prices and budgets.
    pub purse: Purse,
    /// Masks all keys in texts of providers.
    pub masks: Masks,
    /// The lines for browsers, where pages of other origins may call.
    pub cors: Option<Cors>,
    /// Those who record its requests; `None`: nobody does.
    pub recorders: Option<Arc<Recorders>>,
    /// For connections that begin in it.
    tls: TlsSettings,
    /// The fixed part of the requests to each provider, in declaration order.
    prefixes: Box<[Prefixes]>,
}

impl Era {
    /// The era of this number for `terms`; `token` is the operators'.
    #[must_use]
    pub fn new(number: u64, terms: Arc<Terms>, tls: TlsSettings, token: Option<&Secret>) -> Self {
        let plan = &terms.plan;
        Self {
            number,
            routes: RouteExtras::of(plan),
            purse: Purse::new(plan),
            masks: Masks::of(plan, token),
            cors: plan.cors.as_ref().map(Cors::new),
            prefixes: plan.providers.iter().map(Prefixes::new).collect(),
            recorders: None,
            tls,
            terms,
        }
    }

    /// The same era, whose requests are recorded by `recorders`.
    #[must_use]
    pub fn recorded_by(self, recorders: Recorders) -> Self {
        let recorders = (!recorders.is_empty()).then(|| Arc::new(recorders));
        Self { recorders, ..self }
    }

    /// TLS settings for connections at `door`; `None`: they are not encrypted.
    #[must_use]
    pub fn tls_accept(&self, door: Door) -> Option<Arc<ServerConfig>> {
        let files = self.terms.plan.tls.as_ref();
        let is_encrypted = match door {
            Door::Both | Door::Callers => true,
            Door::Operators => files.is_some_and(|tls| tls.management),
        };
        self.tls.accept.clone().filter(|_| is_encrypted)
    }

    /// TLS towards `provider`, where it has settings of its own.
    #[must_use]
    pub fn tls_connect(&self, provider: ProviderId) -> Option<&Arc<ClientConfig>> {
        let own = self.tls.connect.get(self.terms.plan.place(provider));
        own.and_then(Option::as_ref)
    }

    /// Whether connections to `provider` that were opened in `former` may carry requests of this
    /// era.
    #[must_use]
    pub fn trusts_as(&self, former: &Self, provider: ProviderId) -> bool {
        let name = |era: &Self| {
            let found = era.terms.plan.find_provider(provider);
            found.map(|one| Box::from(one.server_name()))
        };
        let same: Option<Box<str>> = name(self);
        let (one, other) = (self.tls_connect(provider), former.tls_connect(provider));
        same == name(former) && one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
    }

    /// The fixed part of the requests to `provider`.
    #[must_use]
    pub fn prefixes(&self, provider: ProviderId) -> &Prefixes {
        &self.prefixes[self.terms.plan.place(provider)]
    }

    /// By route, the value in `values` of the route of the same model in the era before.
    #[must_use]
    pub fn carried_over<T: Copy>(&self, values: &[T], usual: T) -> Vec<T> {
        let former = self.terms.former.iter();
        let value = |route: &Option<RouteId>| {
            let value = route.and_then(|route| values.get(route.index()));
            value.copied().unwrap_or(usual)
        };
        former.map(value).collect()
    }
}

/// Settings that were made of the files with certificates.
#[derive(Default)]
pub struct TlsSettings {
    /// TLS on `listen`.
    pub accept: Option<Arc<ServerConfig>>,
    /// TLS towards each provider, in declaration order; `None`: the usual settings.
    pub connect: Box<[Option<Arc<ClientConfig>>]>,
}

/// What is computed once for each route.
pub struct RouteExtras {
    /// The order of turns.
    pub rotation: Rotation,
    /// The candidates as conversations see them, where conversations are kept together.
    pub seats: Option<Seats>,
    /// The turns that kept conversations take, so that they take none of the other requests'.
    pub kept_turns: Option<Arc<Turns>>,
    /// By candidate: the provider's name for the model as a JSON string, where it has one.
    pub models: Box<[Option<Box<[u8]>>]>,
}

impl RouteExtras {
    fn of(plan: &Plan) -> Box<[Self]> {
        let extras = plan.routes.all.iter().map(|route| {
            let weights: Vec<u32> = route.candidates.iter().map(|one| one.weight).collect();
            let names = route.candidates.iter().map(|one| one.model.as_deref());
            let models = names
                .map(|name| name.map(|name| json::quoted(name).into()))
                .collect();
            let seats = route.candidates.iter();
            let seats = seats.map(|one| (&*plan.provider(one.provider).name, one.weight));
            Self {
                rotation: Rotation::new(&weights),
                seats: route.affinity.map(|_| Seats::new(seats)),
                kept_turns: route.affinity.map(|_| Arc::default()),
                models,
            }
        });
        extras.collect()
    }
}
