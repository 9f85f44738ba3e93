//! The result as a page with plots.

use std::time::Duration;

use infermux_load::chart::{Chart, Curve};
use infermux_load::page;
use infermux_load::scale::{Scale, Unit};

use crate::args::Plan;
use crate::report;
use crate::tally::{Tally, Times};

/// About how many points the throughput's line has.
const THROUGHPUT_POINTS: usize = 150;

/// The page for `tally`, measured over `window`.
pub(crate) fn page(plan: &Plan, tally: &Tally, window: Duration) -> String {
    let rows = report::rows(plan.kind, tally);
    let lines: Vec<Curve> = rows
        .iter()
        .filter(|(_, _, times)| times.len() > 0)
        .map(|(_, name, times)| line(name, times))
        .collect();
    let latency = Chart {
        title: "Latency by percentile",
        x: (Scale::Percentile, Unit::Number),
        y: (Scale::Log, Unit::Micros),
        lines: &lines,
    };
    let throughput = Chart {
        title: "Good answers per second, over time",
        x: (Scale::Linear, Unit::Seconds),
        y: (Scale::Linear, Unit::Number),
        lines: &[throughput(&tally.timeline.0, window)],
    };
    let table = page::escaped(&report::text(plan, tally, window));
    let body = format!(
        "{}{}<pre>{table}</pre>\n",
        latency.render(),
        throughput.render()
    );
    page::page(&format!("infermux-load: {}", plan.target), &body)
}

fn line(name: &str, times: &Times) -> Curve {
    let points = times.curve().into_iter();
    Curve {
        name: name.to_owned(),
        points: points
            .map(|(share, time)| (share, time.as_secs_f64() * 1e6))
            .collect(),
    }
}

/// Answers per second, over as many slots at a time as leave the line readable.
///
/// Answers that ended after the window, or in a last slot that is not full, would look like a
/// collapse.
#[expect(clippy::cast_precision_loss, reason = "a plot is for reading")]
fn throughput(slots: &[u64], window: Duration) -> Curve {
    let slot = crate::tally::Timeline::SLOT;
    let whole = usize::try_from(window.as_millis() / slot.as_millis()).unwrap_or(usize::MAX);
    let slots = slots.get(..whole).unwrap_or(slots);
    let per_point = slots.len().div_ceil(THROUGHPUT_POINTS).max(1);
    let span = slot.as_secs_f64() * per_point as f64;
    let points = slots.chunks_exact(per_point).enumerate();
    Curve {
        name: "answers/s".to_owned(),
        points: points
            .map(|(index, counts)| {
                let sum: u64 = counts.iter().sum();
                ((index as f64 + 0.5) * span, sum as f64 / span)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_per_second_and_leaves_the_ragged_end_out() {
        let line = throughput(&[5, 7, 3], Duration::from_millis(250));
        assert_eq!(line.points, [(0.05, 50.0), (0.15000000000000002, 70.0)]);
        let many = throughput(&vec![1; 600], Duration::from_secs(60));
        assert_eq!(many.points.len(), THROUGHPUT_POINTS);
    }
}
