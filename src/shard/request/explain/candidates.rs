//! The candidates of a request that is explained, and the order in which they would be asked.

use crate::base::time::Instant;
use crate::base::tokens::{Counts, Tokens};
use crate::decide::eligible::Eligible;
use crate::exchange::explain;
use crate::exchange::refusal::{Down, Refusal};
use crate::exchange::route::Survey;
use crate::link::provider_gate::Standing;
use crate::report::explained::{AffinityExplained, CandidateExplained, Explained, dollars};
use crate::shard::request::affinity;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::spend;
use crate::shard::request::unit_cost;
use crate::sys::clock;

/// What the gates say of a request's candidates, and who would be asked.
pub(super) struct Prospect {
    /// When they were looked at.
    pub(super) now: Instant,
    expected: Counts,
    survey: Survey,
    /// The places of those that would be asked one after the other.
    order: Vec<usize>,
}

impl Prospect {
    /// Looks at the candidates of the job.
    pub(super) fn of(job: &Job<'_>) -> Self {
        let now = clock::now();
        let expected = spend::expected(job);
        let numbers = (
            choose::coming_ticket(job),
            job.shard.random.borrow_mut().next_u64(),
        );
        let seen = |tried: &Eligible| choose::survey(job, now, tried, expected.sum());
        let survey = seen(&Eligible::NONE);
        let (mut order, mut tried, mut left) = (Vec::new(), Eligible::NONE, survey.eligible);
        let most = usize::try_from(job.shard.plan.failover.max_attempts).unwrap_or(usize::MAX);
        while order.len() < most {
            let steered = choose::steered(job, &left);
            let Some(place) = steered.or_else(|| choose::pick(job, numbers, &left)) else {
                break;
            };
            order.push(place);
            tried.insert(place);
            left = seen(&tried).eligible;
        }
        Self {
            now,
            expected,
            survey,
            order,
        }
    }

    /// Writes down what was found.
    pub(super) fn tell(&self, job: &Job<'_>, told: &mut Explained) {
        let name = |place: &usize| job.provider_at(*place).name.to_string();
        told.group = job.routed.group.map(str::to_owned);
        told.strategy = Some(job.routed.route.strategy.name().to_owned());
        told.affinity = job.routed.route.affinity.map(|policy| AffinityExplained {
            by: policy.by.name().to_owned(),
            told_by: job.conversation.map(|found| found.source.to_owned()),
            first: affinity::first(job).as_ref().map(name),
        });
        told.prompt_tokens = self.expected.input.get();
        told.answer_tokens = self.expected.output.get();
        told.order = self.order.iter().map(name).collect();
        told.chosen = told.order.first().cloned();
        let first = choose::with_room(job, &self.survey.eligible);
        let places = 0..job.routed.route.candidates.len();
        let places = places.filter(|place| job.routed.is_candidate(*place));
        let candidates = places.map(|place| self.candidate(job, place, &first));
        told.candidates = candidates.collect();
    }

    fn candidate(&self, job: &Job<'_>, place: usize, first: &Eligible) -> CandidateExplained {
        let (shard, provider) = (job.shard, job.provider_at(place));
        let gate = &shard.gates.providers[provider.id.index()];
        let standing = gate.standing(self.now, self.expected.sum().get());
        let unwell = match standing {
            Standing::Out { cause, .. } => Some(choose::unwell(shard, provider.id, cause)),
            Standing::Ready | Standing::Limited { .. } => None,
        };
        let missing = explain::not_eligible(standing, unwell.as_deref(), self.now);
        let window = job.window_at(place);
        let eligible = self.survey.eligible.contains(place);
        let is_last = eligible && !first.contains(place);
        let last = is_last.then(|| explain::comes_last(window, self.expected.input));
        let (requests_left, tokens_left) = gate.headroom();
        let row = spend::row(job, place);
        let latency = shard.latency(provider.id);
        let turn = self.order.iter().position(|one| *one == place);
        let unit_price = job.parcel.and_then(|_| unit_cost::price(job, place));
        CandidateExplained {
            provider: provider.name.to_string(),
            model: job.model_at(place).to_owned(),
            dialect: job.dialect_at(place).name().to_owned(),
            translated: job.is_translated_at(place),
            eligible,
            back_in_ms: missing
                .as_ref()
                .map(|(_, back)| u64::try_from(back.as_millis()).unwrap_or(u64::MAX)),
            reason: missing.map(|(reason, _)| reason).or(last),
            turn: turn.map(|turn| turn + 1),
            weight: provider.weight,
            latency_ms: (latency.samples >= shard.plan.latency.min_samples)
                .then_some(latency.average.as_secs_f64() * 1_000.0),
            context_window: window.map(Tokens::get),
            requests_left,
            tokens_left,
            in_flight: job.conversation.map(|_| gate.in_flight()),
            price: row.map(|row| explain::price(&row, self.expected.input)),
            unit_price: unit_price.map(explain::unit_price),
            cost_usd: spend::cost(job, place, &self.expected).map(dollars),
            changed: None,
            dropped: None,
            inexpressible: None,
        }
    }

    /// The error for a request that no candidate can take; `down` are those out of service.
    pub(super) fn refusal<'d>(&self, job: &'d Job<'_>, down: &'d [Down<'d>]) -> Refusal<'d> {
        let name_of = |id| &*job.shard.plan.provider(id).name;
        self.survey.refusal(name_of, job.model, down, self.now)
    }
}
