//! Where a request may go: its route, and the eligible candidates on it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::base::ids::{ProviderId, RouteId};
use crate::base::time::Instant;
use crate::config::plan::{Plan, Route};
use crate::decide::eligible::Eligible;
use crate::exchange::catalogue::Catalogue;
use crate::exchange::course::Later;
use crate::exchange::refusal::{Down, LimitOf, Refusal, Whose};
use crate::link::gate::Turns;
use crate::link::provider_gate::{Limit, Standing};

/// The route of a request.
#[derive(Clone, Debug)]
pub struct Routed<'p> {
    /// The route's id, which is also that of its rotation ticket.
    pub id: RouteId,
    /// Candidates and strategy.
    pub route: &'p Route,
    /// Name of the matching group.
    pub group: Option<&'p str>,
    /// Which of the route's providers are candidates.
    among: Among,
    /// The turns of these candidates, where they are not the route's.
    pub turns: Option<Arc<Turns>>,
}

/// Which of a route's providers are candidates.
#[derive(Clone, Debug)]
enum Among {
    /// All of them.
    All,
    /// These: those whose last list of models has the model, or that know what it is about.
    Only(Eligible),
}

/// The eligible candidates of a route, and why the others are not eligible.
#[derive(Clone, Copy, Debug)]
pub struct Survey {
    /// The eligible candidates.
    pub eligible: Eligible,
    /// Of the candidates that are only at a limit, the first that is expected back.
    limited: Option<Limited>,
    /// When the first of the others is expected back.
    back_at: Instant,
    /// Whether there are others.
    pub later: Later,
}

/// A candidate at a limit, the limit, and until when.
#[derive(Clone, Copy, Debug)]
struct Limited {
    provider: ProviderId,
    limit: Limit,
    until: Instant,
}

/// The route for `model`; `None` when no provider is configured to serve it.
#[must_use]
pub fn route<'p>(plan: &'p Plan, endpoint: Endpoint, model: &str) -> Option<Routed<'p>> {
    let id = plan.routes.find(endpoint, model)?;
    let route = plan.routes.route(id);
    let group = route.group.and_then(|group| plan.groups.get(group.index()));
    Some(Routed {
        id,
        route,
        group: group.map(|group| &*group.name),
        among: Among::All,
        turns: None,
    })
}

impl Routed<'_> {
    /// Among open providers, those whose last list has `model` become the candidates; while no list
    /// on the route has it, all remain candidates.
    pub fn prefer_listers(&mut self, catalogue: &Catalogue, model: &str) {
        let Some(listed) = catalogue.listed(model).filter(|_| self.route.is_unclaimed) else {
            return;
        };
        let candidates = self.route.candidates.iter().enumerate();
        let listers = candidates.filter(|(_, one)| listed.by.contains(&one.provider));
        let listers: Eligible = listers.map(|(place, _)| place).collect();
        if !listers.is_empty() {
            self.among = Among::Only(listers);
            self.turns = listed.turns.cloned();
        }
    }

    /// Whether the provider at `place` of the route is a candidate.
    #[must_use]
    pub fn is_candidate(&self, place: usize) -> bool {
        match &self.among {
            Among::All => true,
            Among::Only(those) => those.contains(place),
        }
    }

    /// Makes `those` the only candidates.
    pub fn keep_only(&mut self, those: Eligible) {
        self.among = Among::Only(those);
    }
}

/// Looks at the candidates that were not `tried`. Calling `standing` must change nothing: headroom
/// and a probe's permit are taken only from the chosen candidate.
pub fn survey(
    routed: &Routed<'_>,
    tried: &Eligible,
    mut standing: impl FnMut(ProviderId) -> Standing,
) -> Survey {
    let mut survey = Survey {
        eligible: Eligible::NONE,
        limited: None,
        back_at: Instant::NEVER,
        later: Later::Nobody,
    };
    for (place, candidate) in routed.route.candidates.iter().enumerate() {
        if tried.contains(place) || !routed.is_candidate(place) {
            continue;
        }
        let standing = standing(candidate.provider);
        if standing != Standing::Ready {
            survey.later = Later::Somebody;
        }
        match standing {
            Standing::Ready => survey.eligible.insert(place),
            Standing::Limited { until, limit } => {
                survey.back_at = survey.back_at.min(until);
                if survey.limited.is_none_or(|first| until < first.until) {
                    survey.limited = Some(Limited {
                        provider: candidate.provider,
                        limit,
                        until,
                    });
                }
            }
            Standing::Out { until, .. } => survey.back_at = survey.back_at.min(until),
        }
    }
    survey
}

impl Survey {
    /// The caller's refusal when no candidate was eligible from the start: `candidates` are those
    /// that are out of service.
    #[must_use]
    pub fn refusal<'a>(
        &self,
        name_of: impl FnOnce(ProviderId) -> &'a str,
        model: &'a str,
        candidates: &'a [Down<'a>],
        now: Instant,
    ) -> Refusal<'a> {
        let retry = self.retry_in(now);
        match self.limited {
            Some(first) if first.limit == Limit::Store => Refusal::SharedState {
                whose: Whose::Provider(name_of(first.provider)),
            },
            Some(first) => Refusal::RateLimit {
                model,
                retry,
                limit: LimitOf {
                    provider: name_of(first.provider),
                    limit: first.limit,
                },
            },
            None => Refusal::NoHealthyProviders {
                model,
                retry,
                candidates,
            },
        }
    }

    /// When the first candidate is expected back.
    #[must_use]
    pub fn retry_in(&self, now: Instant) -> Duration {
        self.back_at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;

    use super::*;
    use crate::base::endpoint::Dialect;
    use crate::base::ids::GroupId;
    use crate::base::map::Map;
    use crate::config::patterns::PatternRoutes;
    use crate::config::plan::{
        Auth, Budgets, Candidate, Failover, Group, Listen, Log, LogFormat, LogLevel, Places,
        Routes, Server,
    };
    use crate::config::{self, Environment, Options, Strictness};
    use crate::decide::policy::LatencyPolicy;
    use crate::decide::strategy::Strategy;
    use crate::exchange::model_list::ModelList;
    use crate::link::provider_gate::Cause;

    fn route(providers: &[u16]) -> Route {
        let candidate = |&id| Candidate {
            provider: ProviderId(id),
            model: None,
            weight: 1,
        };
        Route {
            group: None,
            strategy: Strategy::RoundRobin,
            affinity: None,
            is_unclaimed: false,
            candidates: providers.iter().map(candidate).collect(),
        }
    }

    fn plan(group: Option<&str>, routes: Routes) -> Plan {
        let named = |name: &str| Group {
            name: name.into(),
            models: Box::default(),
            strategy: Strategy::Priority,
            affinity: None,
            providers: Box::default(),
        };
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Plan {
            listen: Listen {
                addr,
                text: "".into(),
            },
            management_listen: None,
            log: Log {
                level: LogLevel::Info,
                format: LogFormat::Text,
                timestamps: true,
            },
            tls: None,
            auth: Auth::Passthrough,
            teams: Box::default(),
            server: Server {
                shards: 0,
                cores: Box::default(),
                max_connections: 0,
                max_connections_is_set: false,
                max_body_bytes: 0,
                max_buffered_bytes: 0,
                responses_memory: 0,
                max_event_bytes: 0,
                header_timeout: Duration::ZERO,
                body_timeout: Duration::ZERO,
                idle_timeout: Duration::ZERO,
                drain_delay: Duration::ZERO,
                heartbeat: Duration::ZERO,
            },
            shared: None,
            usage: None,
            webhooks: Box::default(),
            otlp: None,
            model_families: Box::default(),
            cors: None,
            providers: Box::default(),
            groups: group.into_iter().map(named).collect(),
            strategy: Strategy::RoundRobin,
            affinity: None,
            failover: Failover {
                max_attempts: 3,
                deadline: Duration::ZERO,
                retry_budget_permille: 200,
            },
            latency: LatencyPolicy::default(),
            routes,
            pricing: HashMap::new(),
            passthrough: config::plan::Passthrough::default(),
            budgets: Budgets {
                state_file: None,
                callers: Box::default(),
            },
            places: Places::default(),
        }
    }

    #[test]
    fn a_model_leads_to_its_route_and_group() {
        let grouped = Route {
            group: Some(GroupId(0)),
            ..route(&[1])
        };
        let plan = plan(
            Some("fast"),
            Routes {
                all: [route(&[0]), grouped].into(),
                chat: [("a".into(), RouteId(0)), ("b".into(), RouteId(1))]
                    .into_iter()
                    .collect(),
                other: Map::default(),
                open_chat_claude: None,
                open_chat: None,
                open_other: Some(RouteId(0)),
                patterns: PatternRoutes::default(),
                named: 2,
                passthrough: None,
            },
        );
        for (endpoint, model, expected) in [
            (Endpoint::ChatCompletions, "a", Some((RouteId(0), None))),
            (
                Endpoint::ChatCompletions,
                "b",
                Some((RouteId(1), Some("fast"))),
            ),
            (Endpoint::ChatCompletions, "c", None),
            (Endpoint::Embeddings, "c", Some((RouteId(0), None))),
        ] {
            let routed = super::route(&plan, endpoint, model);
            assert_eq!(
                routed.as_ref().map(|routed| (routed.id, routed.group)),
                expected,
                "{model}"
            );
            assert!(routed.is_none_or(|routed| routed.route == plan.routes.route(routed.id)));
        }
    }

    fn routed(route: &Route) -> Routed<'_> {
        Routed {
            id: RouteId(0),
            route,
            group: None,
            among: Among::All,
            turns: None,
        }
    }

    #[test]
    fn among_open_providers_who_lists_the_model_comes_first() {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let text = "providers: [{name: a, type: ollama}, {name: b, type: ollama}, \
                    {name: c, type: ollama}, {name: d, type: ollama, models: [claimed]}]\n\
                    routing: {groups: [{name: g, models: [x], providers: [a, c]}]}\n";
        let plan = config::load(text, &options).ok().unwrap().plan;
        let list = |text: &str| {
            let page = vec![text.as_bytes().to_vec()];
            ModelList::read(Dialect::Chat, "p", &page).unwrap()
        };
        let lists = [
            list(r#"["claimed"]"#),
            list(r#"["x","y"]"#),
            list(r#"["y"]"#),
            ModelList::default(),
        ];
        let nobody = Catalogue::new(&plan, |_| None, None);
        let known = Catalogue::new(&plan, |id| lists.get(id.index()), None);
        for (model, catalogue, expected) in [
            ("y", &nobody, "0 1 2"),
            ("y", &known, "1 2"),
            ("z", &known, "0 1 2"),
            // The members of a group are those in the file, whatever other providers list.
            ("x", &known, "0 2"),
            ("claimed", &known, "3"),
        ] {
            let endpoint = Endpoint::ChatCompletions;
            let mut routed = super::route(&plan, endpoint, model).unwrap();
            routed.prefer_listers(catalogue, model);
            let survey = survey(&routed, &Eligible::NONE, |_| READY);
            let ids = survey.eligible.iter().map(|place| {
                let candidate = &routed.route.candidates[place];
                candidate.provider.0.to_string()
            });
            assert_eq!(ids.collect::<Vec<_>>().join(" "), expected, "{model}");
        }
    }

    const READY: Standing = Standing::Ready;
    const NOW: Instant = Instant::from_millis(1_000);

    fn limited(seconds: u64) -> Standing {
        Standing::Limited {
            until: NOW + Duration::from_secs(seconds),
            limit: Limit::Tokens,
        }
    }

    fn out(seconds: u64) -> Standing {
        Standing::Out {
            until: NOW + Duration::from_secs(seconds),
            cause: Cause::Circuit,
        }
    }

    #[test]
    fn the_eligible_are_the_ready_that_were_not_tried() {
        let standings = [READY, out(1), READY, limited(1), READY];
        let tried = [2].into_iter().collect();
        let route = route(&[4, 3, 2, 1, 0]);
        let survey = survey(&routed(&route), &tried, |id| standings[id.index()]);
        assert_eq!(survey.eligible, [0, 4].into_iter().collect());
        assert_eq!(survey.later, Later::Somebody);
        let tried = [1, 3].into_iter().collect();
        let survey = super::survey(&routed(&route), &tried, |id| standings[id.index()]);
        assert_eq!(survey.later, Later::Nobody);
    }

    #[test]
    fn the_refusal_says_what_is_in_the_way_and_for_how_long() {
        let seconds = Duration::from_secs;
        let limit = |retry, provider| Refusal::RateLimit {
            model: "m",
            retry,
            limit: LimitOf {
                provider,
                limit: Limit::Tokens,
            },
        };
        let candidates = &[];
        let outage = |retry| Refusal::NoHealthyProviders {
            model: "m",
            retry,
            candidates,
        };
        for (standings, expected) in [
            ([out(30), out(20)], outage(seconds(20))),
            ([out(30), limited(20)], limit(seconds(20), "b")),
            ([out(5), limited(20)], limit(seconds(5), "b")),
            ([limited(7), limited(0)], limit(seconds(0), "b")),
            ([limited(3), limited(7)], limit(seconds(3), "a")),
        ] {
            let route = route(&[0, 1]);
            let survey = survey(&routed(&route), &Eligible::NONE, |id| standings[id.index()]);
            assert!(survey.eligible.is_empty());
            let name_of = |id: ProviderId| ["a", "b"][id.index()];
            let found = survey.refusal(name_of, "m", candidates, NOW);
            assert_eq!(found, expected, "{standings:?}");
        }
    }
}
