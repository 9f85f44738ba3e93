//! The oracle: what callers saw, what the log says, and what the books have must be one story.

use std::collections::BTreeMap;
use std::time::Duration;

use super::books::{Books, LEFT, Line, Sums, series};
use super::ends::{End, How};

/// How long before a kill a request may have ended without its line or its cost being saved, on a
/// machine that is busy.
pub(super) const LOST_MAX: Duration = Duration::from_secs(3);

/// A time in which the router was not there, from its kill to its next start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// What is ambiguous about a request by its nature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Nothing: there is one line.
    None,
    /// Whether the router has read it, or could say so before it was killed.
    Line,
}

/// Every request has the end that its caller saw, and no other: returns what is not so.
pub(super) fn ends(all: &[End], books: &mut Books, gaps: &[Gap]) -> Vec<String> {
    let mut broken = Vec::new();
    for end in all {
        let lines = books.lines.remove(&end.id).unwrap_or_default();
        let in_gap = gaps
            .iter()
            .any(|gap| end.began <= gap.to && end.ended + LOST_MAX >= gap.from);
        if let Some(what) = differs(end, &lines, in_gap) {
            let lines: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            broken.push(format!(
                "{what} ({}): {end:?}\n      {}",
                end.kind,
                lines.join("\n      ")
            ));
        }
    }
    // What is left came from connections that sent no request of ours.
    for (id, lines) in books.lines.drain() {
        let is_ours = id.starts_with("chaos-");
        for line in lines {
            if is_ours || !matches!(line.status, 400..500 | 505) || line.cost > 0 {
                broken.push(format!("a line without a request: {}", line.text));
            }
        }
    }
    broken
}

/// In what a request's end and its lines differ.
fn differs(end: &End, lines: &[Line], in_gap: bool) -> Option<String> {
    if end.is_leak {
        return Some("a secret in an answer".to_owned());
    }
    let doubt = match &end.how {
        _ if in_gap => Doubt::Line,
        How::Unanswered(why) => return Some(format!("no answer ({why})")),
        How::Answered | How::Broken | How::Left { is_sent: true } => Doubt::None,
        How::Left { is_sent: false } | How::Unread => Doubt::Line,
    };
    let line = match lines {
        [line] => line,
        [] if doubt == Doubt::Line => return None,
        [] => return Some("no line".to_owned()),
        _ => return Some(format!("{} lines", lines.len())),
    };
    match end.how {
        How::Answered => whole(end, line),
        How::Broken if in_gap => None,
        How::Broken if line.status == LEFT || line.error.is_empty() => {
            Some("an answer broke off, and the line does not say so".to_owned())
        }
        How::Unread if line.status < 400 => Some("answered, but nothing came".to_owned()),
        How::Broken | How::Left { .. } | How::Unread | How::Unanswered(_) => None,
    }
}

fn whole(end: &End, line: &Line) -> Option<String> {
    if line.status != end.status {
        return Some("another status".to_owned());
    }
    // What failed behind its first content is not told what it cost, since it had no proper end.
    if end.cost.unwrap_or_default() != line.cost && (end.cost.is_some() || line.error.is_empty()) {
        return Some("another cost".to_owned());
    }
    if end.tokens.is_some() && end.tokens != line.tokens {
        return Some("other tokens".to_owned());
    }
    None
}

/// The metrics of a router at rest come to the sums of its lines.
pub(super) fn sums(lines: &Sums, metrics: &str) -> Vec<String> {
    let told = Sums::of_metrics(metrics);
    let mut broken = Vec::new();
    let mut compare = |what: &str, same: bool, sides: String| {
        if !same {
            broken.push(format!("{what}: {sides}"));
        }
    };
    let sides = format!("lines {lines:?}\n      metrics {told:?}");
    compare(
        "requests by provider",
        lines.requests == told.requests,
        sides.clone(),
    );
    compare("cost by provider", lines.cost == told.cost, sides.clone());
    compare(
        "tokens by provider",
        lines.tokens == told.tokens,
        sides.clone(),
    );
    // Who leaves at the very end is 499 in the log, and keeps the status that it was to be told.
    let (by_line, by_metric) = (lines.statuses_as(&told), &told.statuses);
    let count = |sums: &BTreeMap<u16, u64>, status| sums.get(&status).copied().unwrap_or_default();
    for status in by_line.keys().chain(by_metric.keys()) {
        let (line, metric) = (count(&by_line, *status), count(by_metric, *status));
        let same = if *status == LEFT {
            line >= metric
        } else {
            line <= metric
        };
        compare("requests by status", same, format!("{status}: {sides}"));
    }
    broken
}

/// Nothing is held any more by a router at rest.
pub(super) fn rest(metrics: &str) -> Vec<String> {
    let held = series(metrics).filter(|(name, labels, value)| {
        let is_held = match *name {
            "infermux_in_flight_requests" | "infermux_buffered_bytes" => true,
            "infermux_connections" => {
                labels.contains("side=\"caller\"")
                    || labels.contains("side=\"provider\",state=\"active\"")
            }
            // Of what a team may have at once, all is left.
            "infermux_scope_limit_left" if labels.contains("max_in_flight") => {
                return *value != limit_of(metrics, labels);
            }
            _ => false,
        };
        is_held && *value != 0.0
    });
    held.map(|(name, labels, value)| format!("still held: {name}{{{labels} {value}"))
        .collect()
}

/// What the limit allows whose remainder has these labels.
fn limit_of(metrics: &str, labels: &str) -> f64 {
    let mut limits = series(metrics).filter(|(name, _, _)| *name == "infermux_scope_limit");
    let limit = limits.find(|(_, own, _)| *own == labels);
    limit.map_or(f64::NAN, |(_, _, value)| value)
}

/// Most of `counts` (time, count so far) that came within `span` and on one side of each moment of
/// `forgets`.
pub(super) fn fullest(counts: &[(Duration, u64)], span: Duration, forgets: &[Duration]) -> u64 {
    let mut first = 0;
    let mut most = 0;
    for (at, count) in counts {
        let is_apart = |from: Duration| forgets.iter().any(|then| from <= *then && *then < *at);
        while counts[first].0 + span < *at || is_apart(counts[first].0) {
            first += 1;
        }
        most = most.max(count - counts[first].1);
    }
    most
}

/// How the requests ended, as a table for people.
pub(super) fn table(all: &BTreeMap<(String, u16), u64>) -> String {
    let rows = all
        .iter()
        .map(|((how, status), count)| format!("{count:>9}  {how} {status}\n"));
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(how: How, status: u16, cost: Option<u64>) -> End {
        End {
            id: "chaos-1".to_owned(),
            kind: "plain",
            how,
            status,
            cost,
            tokens: None,
            is_leak: false,
            began: Duration::from_secs(1),
            ended: Duration::from_secs(2),
        }
    }

    fn line(status: u16, cost: u64, error: &str) -> Line {
        Line {
            status,
            cost,
            tokens: Some([1, 2]),
            charged: Vec::new(),
            error: error.to_owned(),
            text: String::new(),
        }
    }

    #[test]
    fn each_way_to_disagree_is_seen() {
        let good = |end: &End, lines: &[Line]| differs(end, lines, false).is_none();
        let answered = end(How::Answered, 200, Some(5));
        assert!(good(&answered, &[line(200, 5, "")]));
        assert!(!good(&answered, &[]));
        assert!(!good(&answered, &[line(200, 6, "")]));
        assert!(!good(&answered, &[line(502, 5, "")]));
        assert!(!good(&answered, &[line(200, 5, ""), line(200, 5, "")]));
        assert!(!good(&end(How::Answered, 200, None), &[line(200, 5, "")]));
        assert!(!good(&end(How::Broken, 200, None), &[line(200, 5, "")]));
        assert!(good(
            &end(How::Broken, 200, None),
            &[line(200, 5, "upstream_error")]
        ));
        assert!(!good(&end(How::Left { is_sent: true }, 0, None), &[]));
        assert!(good(&end(How::Left { is_sent: false }, 0, None), &[]));
        let lost = end(How::Unanswered(String::new()), 0, None);
        assert!(!good(&lost, &[line(200, 5, "")]));
        assert!(differs(&lost, &[], true).is_none());
    }

    #[test]
    fn the_fullest_window_is_found() {
        let counts: Vec<_> = [(0, 0), (10, 4), (20, 5), (70, 9), (80, 20)]
            .map(|(at, count)| (Duration::from_secs(at), count))
            .to_vec();
        assert_eq!(fullest(&counts, Duration::from_secs(60), &[]), 15);
        assert_eq!(fullest(&counts, Duration::from_secs(10), &[]), 11);
        let forgets = [Duration::from_secs(75)];
        assert_eq!(fullest(&counts, Duration::from_secs(58), &forgets), 5);
    }

    #[test]
    fn what_is_held_at_rest_is_told() {
        let metrics = "infermux_connections{side=\"provider\",state=\"idle\"} 4\n\
            infermux_buffered_bytes 0\ninfermux_in_flight_requests{provider=\"a\"} 1\n";
        assert_eq!(rest(metrics).len(), 1);
    }
}
