//! Facts as books see them: sums and sequences, whether they came one by one or several as one.

use std::collections::BTreeMap;

use infermux::testing::base::ids::{ProviderId, Subject};
use infermux::testing::base::time::Instant;
use infermux::testing::base::tokens::Tokens;
use infermux::testing::decide::outcome::Signal;
use infermux::testing::link::facts::{Ended, Fact, SUCCESSES_WITHIN, Sample};

/// What facts say in all.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    sums: BTreeMap<About, [u64; 3]>,
    /// By provider, what is said of its circuit, in order.
    circuits: BTreeMap<ProviderId, Vec<Step>>,
}

/// What a sum is about; moments by their second, periods by their tags.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Admitted(Subject, u64, Option<u8>),
    Left(Subject, u64, Option<u8>),
    Settled(u32, u8),
    Refused(u32),
}

#[derive(Debug, PartialEq)]
enum Step {
    /// In this slice, admitted then, with this response time.
    Success(u64, Instant, Sample),
    Apart(Fact),
}

impl Told {
    pub(crate) fn of<'a>(facts: impl Iterator<Item = &'a Fact>) -> Self {
        let mut told = Self::default();
        facts.for_each(|fact| told.add(fact));
        told
    }

    fn add(&mut self, fact: &Fact) {
        match *fact {
            Fact::Admitted(one) => {
                let day = one.day.map(|(day, _)| day.0);
                let of_day = one.day.map_or(0, |(_, count)| count);
                let about = About::Admitted(one.subject, one.at.as_secs(), day);
                self.sum(about, [one.requests, one.tokens.get(), of_day]);
            }
            Fact::Left(one) => {
                let second = one.admitted.as_secs();
                let about = About::Left(one.subject, second, one.day.map(|day| day.0));
                self.sum(about, [one.reserved, one.excess, one.used].map(Tokens::get));
            }
            Fact::Settled {
                budget,
                period,
                cost,
                first: _,
            } => self.sum(About::Settled(budget.0, period.0), [cost.get(), 0, 0]),
            Fact::Refused {
                budget,
                spent,
                amount,
            } => self.sum(About::Refused(budget.0), [1, spent.get(), amount.get()]),
            Fact::Succeeded(all) => {
                for one in all.list() {
                    let step = Step::Success(slot(all.at), one.admitted, one.sample());
                    self.circuits.entry(all.provider).or_default().push(step);
                }
            }
            Fact::Ended(ended) => {
                let step = match ended.sample {
                    Some(sample) if is_told_with_others(&ended) => {
                        Step::Success(slot(ended.at), ended.admitted, sample)
                    }
                    // The shard adds how many successes had ended before.
                    _ => Step::Apart(Fact::Ended(Ended {
                        successes_before: 0,
                        ..ended
                    })),
                };
                self.circuits.entry(ended.provider).or_default().push(step);
            }
            Fact::Cooldown { provider, .. }
            | Fact::ProbeTaken { provider, .. }
            | Fact::ProbeAnswered { provider, .. }
            | Fact::Forgotten { provider, .. } => {
                let steps = self.circuits.entry(provider).or_default();
                steps.push(Step::Apart(*fact));
            }
        }
    }

    fn sum(&mut self, about: About, more: [u64; 3]) {
        let sums = self.sums.entry(about).or_default();
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
    }
}

/// Whether an end may be told with others as one fact.
pub(crate) fn is_told_with_others(ended: &Ended) -> bool {
    ended.signal == Signal::Success && ended.probe.is_none() && ended.sample.is_some()
}

fn slot(at: Instant) -> u64 {
    at.as_nanos() / SUCCESSES_WITHIN
}
