//! The figures of all workloads as Markdown, JSON and a page with plots.

use std::fmt::Write as _;

use infermux_load::chart::{self, Bar, Chart, Curve};
use infermux_load::page;
use infermux_load::scale::{Scale, Unit};
use serde_json::{Map, Value, json};

use super::contest::{Entry, Measured};
use super::figures::{Aim, Figure};

/// The figures of the second table, in its order.
const SHOWN: [Figure; 7] = [
    Figure::Cpu,
    Figure::Rate,
    Figure::P50,
    Figure::P99,
    Figure::Delay50,
    Figure::Delay99,
    Figure::AddedP50,
];
/// Seconds of a slot in which the load tool counts answers.
const SLOT_SECONDS: f64 = 0.1;

/// What stands above the figures.
pub(crate) struct Setup {
    /// The call.
    pub(crate) command: String,
    /// The day, UTC.
    pub(crate) date: String,
    /// Processor, cores and kernel.
    pub(crate) machine: String,
    /// The systems' versions.
    pub(crate) versions: Vec<String>,
}

/// Two tables: what infermux aims at, and every figure.
pub(crate) fn markdown(setup: &Setup, all: &[Measured]) -> String {
    let mut out = format!("{}\n\n", preamble(setup));
    let tables = [aims(all), figures(all)];
    for (head, rows) in tables.iter().filter(|(_, rows)| !rows.is_empty()) {
        let rule: Vec<&str> = head.iter().map(|name| alignment(name)).collect();
        let _ = writeln!(out, "| {} |\n|{}|", head.join(" | "), rule.join("|"));
        for row in rows {
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        out.push('\n');
    }
    for measured in all {
        for note in &measured.notes {
            let _ = writeln!(out, "- {}: {note}", measured.workload.name);
        }
    }
    out
}

/// What was measured, where, and with what.
fn preamble(setup: &Setup) -> String {
    format!(
        "`{}`, {}, {}; {}",
        setup.command,
        setup.date,
        setup.machine,
        setup.versions.join(", ")
    )
}

fn alignment(name: &str) -> &'static str {
    match name {
        "workload" | "figure" | "system" | "" => "---",
        _ => "---:",
    }
}

type Table = (Vec<&'static str>, Vec<Vec<String>>);

/// A row for each aim.
fn aims(all: &[Measured]) -> Table {
    let head = vec!["workload", "figure", "base", "infermux", "ratio", "aim", ""];
    let row = |measured: &Measured, figure: Figure, aim: Aim| {
        let (base, subject) = (measured.entries.first()?, measured.subject()?);
        let text = |entry: &Entry| entry.value(figure).map(|value| figure.text(value));
        let ratio = measured.ratio(subject, figure);
        Some(vec![
            format!("{} (`{}`)", measured.workload.title, measured.workload.name),
            figure.name().to_owned(),
            text(base).unwrap_or_default(),
            text(subject)?,
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            aim.text(),
            verdict(measured.is_met(figure, aim)).to_owned(),
        ])
    };
    let rows = all.iter().flat_map(|measured| {
        let aims = measured.workload.aims.iter();
        aims.filter_map(move |(figure, aim)| row(measured, *figure, *aim))
    });
    (head, rows.collect())
}

fn verdict(is_met: Option<bool>) -> &'static str {
    match is_met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not measured",
    }
}

/// A row for each system and workload.
fn figures(all: &[Measured]) -> Table {
    let mut head = vec!["workload", "system", "CPU ratio"];
    head.extend(SHOWN.map(Figure::name));
    head.extend([Figure::Syscalls.name(), "drift"]);
    let row = |measured: &Measured, entry: &Entry| {
        let ratio = measured.ratio(entry, Figure::Cpu)?;
        let text = |figure: Figure| {
            let value = entry.value(figure);
            value.map(|value| figure.text(value)).unwrap_or_default()
        };
        let is_base = measured.entries.first()?.label == entry.label;
        let drift = super::figures::median(measured.drift.clone()).filter(|_| is_base);
        let mut row = vec![
            measured.workload.name.to_owned(),
            entry.label.clone(),
            format!("{ratio:.2}"),
        ];
        row.extend(SHOWN.map(text));
        row.push(text(Figure::Syscalls));
        row.push(drift.map(|drift| format!("{drift:.3}")).unwrap_or_default());
        Some(row)
    };
    let rows = all.iter().flat_map(|measured| {
        let entries = measured.entries.iter();
        entries.filter_map(move |entry| row(measured, entry))
    });
    (head, rows.collect())
}

/// Everything, for programs.
pub(crate) fn json(setup: &Setup, all: &[Measured]) -> String {
    let all: Vec<Value> = all.iter().map(measured_object).collect();
    let object = json!({
        "command": setup.command,
        "date": setup.date,
        "machine": setup.machine,
        "versions": setup.versions,
        "workloads": all,
    });
    format!("{object:#}\n")
}

fn measured_object(measured: &Measured) -> Value {
    let entries = measured.entries.iter().map(|entry| {
        let figure_of = |(figure, value): (&Figure, &f64)| (figure.key().to_owned(), json!(value));
        let rounds = entry.rounds.iter();
        let rounds = rounds.map(|round| round.iter().map(figure_of).collect::<Map<_, _>>());
        json!({
            "system": entry.label,
            "rounds": rounds.collect::<Vec<_>>(),
            "once": entry.once.iter().map(figure_of).collect::<Map<_, _>>(),
            "cpu_ratio": measured.ratio(entry, Figure::Cpu),
        })
    });
    let aims = measured.workload.aims.iter().map(|(figure, aim)| {
        let subject = measured.subject();
        json!({
            "figure": figure.key(),
            "value": subject.and_then(|entry| entry.value(*figure)),
            "ratio": subject.and_then(|entry| measured.ratio(entry, *figure)),
            "aim": match aim {
                Aim::Ratio(most) => json!({"ratio_max": most}),
                Aim::Value(most) => json!({"max": most}),
            },
            "met": measured.is_met(*figure, *aim),
        })
    });
    json!({
        "name": measured.workload.name,
        "title": measured.workload.title,
        "systems": entries.collect::<Vec<_>>(),
        "aims": aims.collect::<Vec<_>>(),
        "drift": measured.drift,
        "notes": measured.notes,
    })
}

/// The page: the aims as bars, both tables, and two plots for each workload.
pub(crate) fn html(setup: &Setup, all: &[Measured]) -> String {
    let mut body = format!("<p>{}</p>\n", page::escaped(&preamble(setup)));
    body.push_str(&chart::bars(
        "Ratio to the base; the stroke is the aim",
        &ratio_bars(all),
        Unit::Number,
    ));
    for (head, rows) in [aims(all), figures(all)] {
        body.push_str(&page::table(&head, &rows).replace("**", ""));
    }
    for measured in all {
        let has_run = measured.entries.iter().any(|e| !e.last.curve.is_empty());
        if has_run {
            let title = page::escaped(measured.workload.title);
            let _ = writeln!(body, "<h2>{title}</h2>");
            body.push_str(&plots(measured));
        }
    }
    page::page("infermux beside other proxies", &body)
}

fn ratio_bars(all: &[Measured]) -> Vec<Bar> {
    let bar = |measured: &Measured, figure: Figure, aim: Aim| {
        let Aim::Ratio(most) = aim else { return None };
        Some(Bar {
            name: format!("{}, {}", measured.workload.name, figure.name()),
            value: measured.ratio(measured.subject()?, figure)?,
            aim: Some(most),
        })
    };
    let bars = all.iter().flat_map(|measured| {
        let aims = measured.workload.aims.iter();
        aims.filter_map(move |(figure, aim)| bar(measured, *figure, *aim))
    });
    bars.collect()
}

fn plots(measured: &Measured) -> String {
    let lines = |points: &dyn Fn(&Entry) -> Vec<(f64, f64)>| -> Vec<Curve> {
        let line = |entry: &Entry| Curve {
            name: entry.label.clone(),
            points: points(entry),
        };
        measured.entries.iter().map(line).collect()
    };
    let latency = Chart {
        title: "Latency by percentile",
        x: (Scale::Percentile, Unit::Number),
        y: (Scale::Log, Unit::Micros),
        lines: &lines(&|entry| entry.last.curve.clone()),
    };
    let throughput = Chart {
        title: "Good answers per second, over time",
        x: (Scale::Linear, Unit::Seconds),
        y: (Scale::Linear, Unit::Number),
        lines: &lines(&throughput),
    };
    latency.render() + &throughput.render()
}

/// Answers per second; the last slot is not full and would look like a collapse.
fn throughput(entry: &Entry) -> Vec<(f64, f64)> {
    let (_, whole) = entry.last.timeline.split_last().unwrap_or((&0.0, &[]));
    let mut at = -SLOT_SECONDS / 2.0;
    let point = |count: &f64| {
        at += SLOT_SECONDS;
        (at, count / SLOT_SECONDS)
    };
    whole.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::super::load::Run;
    use super::super::workloads;
    use super::*;

    fn measured() -> Measured {
        let entry = |label: &str, cpu: f64| Entry {
            label: label.to_owned(),
            rounds: vec![[(Figure::Cpu, cpu), (Figure::P50, 1_234.4)].into()],
            once: [(Figure::Syscalls, cpu / 5.0)].into(),
            last: Run {
                curve: vec![(0.0, 10.0), (0.99, 20.0)],
                timeline: vec![5.0, 6.0, 1.0],
                ..Run::default()
            },
        };
        Measured {
            workload: workloads::chosen(&["small-64".to_owned()]).expect("it is there")[0],
            entries: vec![entry("haproxy", 10.0), entry("infermux", 9.0)],
            drift: vec![1.01],
            notes: vec!["nginx: 3 errors".to_owned()],
        }
    }

    fn setup() -> Setup {
        Setup {
            command: "cargo x compare".to_owned(),
            date: "2026-01-01".to_owned(),
            machine: "a machine".to_owned(),
            versions: vec!["haproxy (1)".to_owned()],
        }
    }

    #[test]
    fn the_tables_say_what_is_met_and_what_is_not() {
        let text = markdown(&setup(), &[measured()]);
        let cpu = "| CPU, µs | 10.00 | 9.00 | 0.90 | ≤ 0.80 × | **missed** |\n";
        assert!(text.contains(cpu), "{text}");
        let calls = "| system calls | 2.00 | 1.80 | 0.90 | ≤ 0.50 × | **missed** |\n";
        assert!(text.contains(calls), "{text}");
        let row = "| small-64 | haproxy | 1.00 | 10.00 |  | 1234 |  |  |  |  | 2.00 | 1.010 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("- small-64: nginx: 3 errors"), "{text}");
    }

    #[test]
    fn json_has_every_round_and_verdict() {
        let value: Value = serde_json::from_str(&json(&setup(), &[measured()])).expect("JSON");
        let workload = &value["workloads"][0];
        assert_eq!(workload["systems"][1]["rounds"][0]["cpu_us"], 9.0);
        assert_eq!(workload["aims"][0]["met"], false);
    }

    #[test]
    fn the_page_has_bars_and_two_plots_for_a_workload() {
        let text = html(&setup(), &[measured()]);
        assert_eq!(text.matches("<svg").count(), 3, "{text}");
        assert!(text.contains("class=\"bad\""), "{text}");
    }
}
