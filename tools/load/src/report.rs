//! The result as a table for people or an object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::{Extent, Format, Plan};
use crate::kind::Kind;
use crate::tally::{Tally, Times};

/// The percentiles that are printed, with their names.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// The text to print for `tally`, measured over `window`.
pub(crate) fn render(plan: &Plan, tally: &Tally, window: Duration) -> String {
    match plan.format {
        Format::Text => text(plan, tally, window),
        Format::Json => format!("{}\n", object(plan, tally, window)),
    }
}

pub(crate) fn text(plan: &Plan, tally: &Tally, window: Duration) -> String {
    let mut out = format!("{}\n{}\n\n", plan.target, setting(plan, window));
    let answered = tally.latency.len();
    let rate = per_second(tally.in_window, window);
    line(
        &mut out,
        "answers",
        &format!("{answered} good, {rate:.0}/s"),
    );
    let late = answered - tally.in_window;
    if late > 0 {
        line(
            &mut out,
            "",
            &format!("{late} of them after the end, not counted in the rate"),
        );
    }
    if plan.kind != Kind::Plain {
        line(&mut out, "events", &tally.events.to_string());
    }
    let failures: Vec<String> = tally
        .failures
        .iter()
        .map(|(f, n)| format!("{f} {n}"))
        .collect();
    let list = if failures.is_empty() {
        "none".to_owned()
    } else {
        failures.join(", ")
    };
    line(&mut out, "errors", &list);
    if tally.unsent > 0 {
        let note = "due but never sent: the rate was more than the connections could carry";
        line(&mut out, "unsent", &format!("{} {note}", tally.unsent));
    }
    line(
        &mut out,
        "bytes",
        &format!("{} in, {} out", size(tally.received), size(tally.sent)),
    );
    out.push('\n');
    times(&mut out, plan, tally);
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<9}{value}");
}

pub(crate) fn setting(plan: &Plan, window: Duration) -> String {
    let plural = |n: u32| if n == 1 { "" } else { "s" };
    let (connections, threads) = (plan.connections, plan.threads);
    let pace = match plan.rate {
        Some(rate) => format!("open loop at {rate}/s (latency counts from the moment due)"),
        None => "closed loop".to_owned(),
    };
    let warmup = match plan.warmup {
        Duration::ZERO => String::new(),
        span => format!(" after {:.1} s of warm-up", span.as_secs_f64()),
    };
    format!(
        "{connections} connection{}, {threads} thread{}, {:.2} s{warmup}, {} bytes a request, \
         {pace}",
        plural(connections),
        plural(threads),
        window.as_secs_f64(),
        plan.request.bytes().len(),
    )
}

fn times(out: &mut String, plan: &Plan, tally: &Tally) {
    let _ = write!(out, "  {:<16}", "");
    for name in QUANTILES
        .iter()
        .map(|(name, _)| *name)
        .chain(["max", "mean"])
    {
        let _ = write!(out, "{name:>10}");
    }
    out.push('\n');
    for (_, name, times) in rows(plan.kind, tally) {
        let _ = write!(out, "  {name:<16}");
        let values = QUANTILES.iter().map(|(_, share)| times.quantile(*share));
        for value in values.chain([times.max(), times.mean()]) {
            let text = if times.len() == 0 {
                "-".to_owned()
            } else {
                span(value)
            };
            let _ = write!(out, "{text:>10}");
        }
        out.push('\n');
    }
}

/// What is measured in an answer of this kind: key, name and times.
pub(crate) fn rows(kind: Kind, tally: &Tally) -> Vec<(&'static str, &'static str, &Times)> {
    let mut rows = vec![("latency_us", "whole answer", &tally.latency)];
    if kind != Kind::Plain {
        rows.push(("first_byte_us", "first byte", &tally.first_byte));
        rows.push(("first_content_us", "first content", &tally.first_content));
        rows.push(("gap_us", "between events", &tally.gap));
    }
    if kind == Kind::StampedStream {
        rows.push(("delay_us", "event's delay", &tally.delay));
    }
    rows
}

fn object(plan: &Plan, tally: &Tally, window: Duration) -> Value {
    let failures: Map<String, Value> = tally
        .failures
        .iter()
        .map(|(f, n)| (f.to_string(), json!(n)))
        .collect();
    let requests = match plan.extent {
        Extent::Requests(count) => json!(count),
        Extent::Time(_) => Value::Null,
    };
    let mut object = json!({
        "url": plan.target.to_string(),
        "connections": plan.connections,
        "threads": plan.threads,
        "requests_limit": requests,
        "rate_limit": plan.rate,
        "request_bytes": plan.request.bytes().len(),
        "seconds": window.as_secs_f64(),
        "answers": tally.latency.len(),
        "answers_per_second": per_second(tally.in_window, window),
        "errors": tally.failed(),
        "errors_by_kind": failures,
        "unsent": tally.unsent,
        "received_bytes": tally.received,
        "sent_bytes": tally.sent,
        "events": tally.events,
        "answers_by_100ms": tally.timeline.0,
    });
    for (key, _, times) in rows(plan.kind, tally) {
        object[key] = percentiles(times);
    }
    object
}

fn percentiles(times: &Times) -> Value {
    if times.len() == 0 {
        return Value::Null;
    }
    let micros = |value: Duration| json!(value.as_secs_f64() * 1e6);
    let mut object: Map<String, Value> = QUANTILES
        .iter()
        .map(|(n, share)| ((*n).to_owned(), micros(times.quantile(*share))))
        .collect();
    object.insert("max".to_owned(), micros(times.max()));
    object.insert("mean".to_owned(), micros(times.mean()));
    object.insert("count".to_owned(), json!(times.len()));
    let curve = times.curve().into_iter();
    let curve: Vec<_> = curve
        .map(|(share, time)| json!([share, micros(time)]))
        .collect();
    object.insert("curve".to_owned(), Value::Array(curve));
    Value::Object(object)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is for reading")]
fn per_second(count: u64, window: Duration) -> f64 {
    let seconds = window.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// A time with the unit that fits it.
fn span(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        m if m < 1_000.0 => format!("{m:.1}us"),
        m if m < 1_000_000.0 => format!("{:.2}ms", m / 1e3),
        m => format!("{:.2}s", m / 1e6),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size is for reading")]
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1_048_576.0 => format!("{:.1} KiB", b / 1_024.0),
        b if b < 1_073_741_824.0 => format!("{:.1} MiB", b / 1_048_576.0),
        b => format!("{:.2} GiB", b / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_well() {
        assert_eq!(span(Duration::from_nanos(12_340)), "12.3us");
        assert_eq!(span(Duration::from_micros(12_340)), "12.34ms");
        assert_eq!(span(Duration::from_millis(12_340)), "12.34s");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.00 GiB");
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(per_second(5, Duration::ZERO), 0.0);
        assert_eq!(per_second(5, Duration::from_millis(500)), 10.0);
    }
}
