//! The coordinator's answers to questions.

use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::describe::{describe, standing, turned};
use crate::coordinator::known::Known;
use crate::coordinator::reports::Job;
use crate::coordinator::run::Coordinator;
use crate::coordinator::time::Time;
use crate::link::reports::{Ask, Question};
use crate::link::states::StateSender;
use crate::report::providers::{self, ProviderReport};

impl Coordinator {
    pub(super) fn report(&mut self, time: Time, ask: Ask) {
        let (plan, gates, progress) = (&self.plan, &self.gates, &*self.progress);
        let books = &mut self.books;
        let body = match ask.question {
            Question::Providers => {
                let all: Vec<ProviderReport<'_>> = plan
                    .providers
                    .iter()
                    .filter_map(|one| describe(books, gates, time, one))
                    .collect();
                providers::body(&all)
            }
            Question::Changes => providers::body(&self.changes.report()),
            // A configuration without the provider may have taken effect meanwhile: then there is
            // nothing to show.
            Question::ByHand(id, _) => plan
                .find_provider(id)
                .and_then(|one| describe(books, gates, time, one))
                .map_or_else(Vec::new, |one| turned(one, progress)),
            Question::Adopt => Vec::new(),
            Question::Status
            | Question::Recent
            | Question::Requests(_)
            | Question::Metrics
            | Question::Latency
            | Question::Costs
            | Question::CostsBy(..)
            | Question::CostsOfCaller(_)
            | Question::CostsByModel
            | Question::Keys(_)
            | Question::Key(_)
            | Question::Timeseries(_) => {
                let known = self.known(time);
                // Without room, the question is dropped, and the shard that asks answers when its
                // patience is over.
                self.reports.give(Job::Answer(ask, Box::new(known)));
                return;
            }
        };
        ask.reply.give(body);
    }

    /// Has the counters looked at where that is due. Without room, what happens until the next look
    /// is one point.
    pub(super) fn look_back(&mut self, time: Time) {
        if time.now < self.looks_at {
            return;
        }
        self.looks_at = time.now + LOOK_EVERY;
        self.reports.give(Job::Look {
            time,
            totals: Arc::clone(&self.totals),
            process: Arc::clone(self.gates.process()),
        });
    }

    fn known(&mut self, time: Time) -> Known {
        let Self {
            plan, gates, books, ..
        } = self;
        let providers = plan.providers.iter();
        let providers = providers.filter_map(|one| standing(books, gates, time, one));
        let providers = providers.collect();
        Known {
            time,
            started: self.started,
            totals: Arc::clone(&self.totals),
            providers,
            callers: Arc::clone(&self.callers),
            alerts: self.alerts.counts(),
            notices: self.notices.counts(),
            transitions: self.changes.counts(),
            state_write_failures: self.writer.as_ref().map_or(0, StateSender::failures),
            reloads: gates.process().reloads(),
            remembered: gates.process().remembered_bytes(),
            progress: Arc::clone(&self.progress),
            process: Arc::clone(gates.process()),
            shared: self.fleet.as_ref().map(|fleet| fleet.report()),
        }
    }
}

/// Length of a point of the last five minutes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
