//! Which of the eligible candidates takes a request.

use crate::base::money::NanoUsd;
use crate::decide::eligible::Eligible;
use crate::decide::ewma::LatencyView;
use crate::decide::rotation::Rotation;

/// How a provider is chosen among the eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Weighted, in strict rotation.
    RoundRobin,
    /// The lowest average response time.
    LeastLatency,
    /// The least estimated prompt cost.
    CostWeighted,
    /// At random, by weight.
    Random,
    /// The first one in order.
    Priority,
}

impl Strategy {
    /// Its name in the file, in headers and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastLatency => "least_latency",
            Self::CostWeighted => "cost_weighted",
            Self::Random => "random",
            Self::Priority => "priority",
        }
    }
}

/// The input of a choice. Slices are by candidate; a strategy reads only its own figures.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The request's number on its route; all attempts of one request have the same.
    pub ticket: u64,
    /// 64 random bits, for `random`.
    pub random: u64,
    /// The route's turns, for `round_robin` and `random`.
    pub rotation: &'a Rotation,
    /// Response times, for `least_latency`.
    pub latencies: &'a [LatencyView],
    /// Samples below which a provider counts as the fastest, for `least_latency`.
    pub min_samples: u32,
    /// Estimated prompt costs, for `cost_weighted`; an unknown price is zero.
    pub costs: &'a [NanoUsd],
}

/// The candidate that takes the request; `None` when nobody is eligible.
#[must_use]
pub fn choose(strategy: Strategy, choice: &Choice<'_>, eligible: &Eligible) -> Option<usize> {
    match strategy {
        Strategy::RoundRobin => choice.rotation.pick(choice.ticket, eligible),
        Strategy::LeastLatency => least_latency(choice, eligible),
        Strategy::CostWeighted => cost_weighted(choice, eligible),
        Strategy::Random => choice.rotation.draw(choice.random, eligible),
        Strategy::Priority => eligible.iter().next(),
    }
}

/// The lowest average. A candidate with too few samples counts as the fastest: otherwise it would
/// never get any.
fn least_latency(choice: &Choice<'_>, eligible: &Eligible) -> Option<usize> {
    let known = |view: &&LatencyView| view.samples >= choice.min_samples;
    least(choice.ticket, eligible, |candidate| {
        choice
            .latencies
            .get(candidate)
            .filter(known)
            .map(|view| view.average)
            .unwrap_or_default()
    })
}

/// The least estimated cost.
fn cost_weighted(choice: &Choice<'_>, eligible: &Eligible) -> Option<usize> {
    least(choice.ticket, eligible, |candidate| {
        choice.costs.get(candidate).copied().unwrap_or_default()
    })
}

/// The eligible candidate with the lowest figure; candidates with the same figure take turns.
fn least<F: Ord>(ticket: u64, eligible: &Eligible, figure: impl Fn(usize) -> F) -> Option<usize> {
    let best = eligible.iter().map(&figure).min()?;
    let ties = || {
        eligible
            .iter()
            .filter(|&candidate| figure(candidate) == best)
    };
    let turn = ticket.checked_rem(ties().count() as u64)?;
    ties().nth(usize::try_from(turn).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const ALL: [Strategy; 5] = [
        Strategy::RoundRobin,
        Strategy::LeastLatency,
        Strategy::CostWeighted,
        Strategy::Random,
        Strategy::Priority,
    ];

    /// Latencies as `milliseconds/samples`, costs as nano-dollars.
    fn turns(strategy: Strategy, figures: &[(u64, u32)], eligible: &[usize]) -> Vec<usize> {
        let view = |&(ms, samples)| LatencyView {
            average: Duration::from_millis(ms),
            samples,
        };
        let latencies: Vec<_> = figures.iter().map(view).collect();
        let costs: Vec<_> = figures
            .iter()
            .map(|&(nano, _)| NanoUsd::new(nano))
            .collect();
        let rotation = Rotation::new(&vec![1; figures.len()]);
        let eligible = eligible.iter().copied().collect();
        let turn = |ticket| {
            let choice = Choice {
                ticket,
                random: ticket << 62,
                rotation: &rotation,
                latencies: &latencies,
                min_samples: 5,
                costs: &costs,
            };
            choose(strategy, &choice, &eligible)
        };
        (0..4).filter_map(turn).collect()
    }

    /// Strategy | figure/samples of each candidate | the eligible | which candidates take four
    /// turns.
    const TURNS: &str = "
        RoundRobin   | 0/0 0/0 0/0      | 0 1 2   | 0 1 2 0
        RoundRobin   | 0/0 0/0 0/0      | 0 2     | 0 2 0 2
        Random       | 0/0 0/0          | 0 1     | 0 0 1 1
        Random       | 0/0 0/0 0/0 0/0  | 0 1 2 3 | 0 1 2 3
        Priority     | 0/0 0/0 0/0      | 0 1 2   | 0 0 0 0
        Priority     | 0/0 0/0 0/0      | 2 1     | 1 1 1 1
        LeastLatency | 30/9 10/9 20/9   | 0 1 2   | 1 1 1 1
        LeastLatency | 30/9 10/9 20/9   | 0 2     | 2 2 2 2
        LeastLatency | 30/5 10/5 20/5   | 0 1 2   | 1 1 1 1
        LeastLatency | 30/4 10/9        | 0 1     | 0 0 0 0
        LeastLatency | 30/4 10/9 0/0    | 0 1 2   | 0 2 0 2
        LeastLatency | 10/9 20/9 10/5   | 0 1 2   | 0 2 0 2
        CostWeighted | 3/0 1/0 2/0      | 0 1 2   | 1 1 1 1
        CostWeighted | 3/0 0/0 0/0      | 0 1 2   | 1 2 1 2
        CostWeighted | 3/0 0/0 0/0      | 0       | 0 0 0 0
    ";

    #[test]
    fn each_strategy_chooses_by_its_own_figure() {
        let numbers = |text: &str| -> Vec<usize> {
            text.split_whitespace()
                .map(|n| n.parse().unwrap())
                .collect()
        };
        let figure = |text: &str| {
            let (figure, samples) = text.split_once('/').unwrap();
            (figure.parse().unwrap(), samples.parse().unwrap())
        };
        for row in TURNS.lines().filter(|line| !line.trim().is_empty()) {
            let columns: Vec<&str> = row.split('|').map(str::trim).collect();
            let named = |strategy: &Strategy| format!("{strategy:?}") == columns[0];
            let strategy = ALL.into_iter().find(named).unwrap();
            let figures: Vec<_> = columns[1].split_whitespace().map(figure).collect();
            let turns = turns(strategy, &figures, &numbers(columns[2]));
            assert_eq!(turns, numbers(columns[3]), "{row}");
        }
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        for strategy in ALL {
            assert!(
                turns(strategy, &[(0, 0); 3], &[]).is_empty(),
                "{strategy:?}"
            );
        }
    }

    #[test]
    fn figures_may_be_missing() {
        let rotation = Rotation::new(&[1, 1]);
        let choice = Choice {
            ticket: 1,
            random: 0,
            rotation: &rotation,
            latencies: &[],
            min_samples: 5,
            costs: &[],
        };
        for strategy in [Strategy::LeastLatency, Strategy::CostWeighted] {
            assert_eq!(
                choose(strategy, &choice, &Eligible::first(2)),
                Some(1),
                "{strategy:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_chosen_is_always_eligible(
            figures in prop::collection::vec((0..4_u64, 0..9_u32), 8),
            mask in 1..=u8::MAX,
        ) {
            let eligible: Vec<usize> = (0..8).filter(|i| mask >> i & 1 == 1).collect();
            for strategy in ALL {
                let chosen = turns(strategy, &figures, &eligible);
                prop_assert_eq!(chosen.len(), 4);
                prop_assert!(chosen.iter().all(|candidate| eligible.contains(candidate)));
            }
        }
    }
}
