//! Metrics as text: Prometheus' exposition format 0.0.4, written line by line.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::report::metrics::{Family, Row};

/// The text, as it is being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    row: Option<Row>,
}

/// A histogram's figures.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    /// Upper bounds in milliseconds, each with how many values are below it.
    pub below: &'a [(f64, u64)],
    /// How many values there are.
    pub count: u64,
    /// All values together.
    pub sum: Duration,
}

impl Exposition {
    /// Begins a metric. Each is begun once; a metric without values still has its head.
    pub fn begin(&mut self, family: Family) {
        let row = family.row();
        let (name, kind) = (row.name, row.kind.name());
        self.put(format_args!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            row.help
        ));
        self.row = Some(row);
    }

    /// A value of the metric that was begun last.
    pub fn value(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A histogram of the metric that was begun last.
    pub fn histogram(&mut self, labels: &[&str], buckets: Buckets<'_>) {
        for (bound, count) in buckets.below {
            self.line("_bucket", labels, Some(&rounded(*bound)), count);
        }
        self.line("_bucket", labels, Some("+Inf"), buckets.count);
        self.line("_sum", labels, None, seconds(buckets.sum));
        self.line("_count", labels, None, buckets.count);
    }

    /// The whole text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, value: impl Display) {
        let Some(row) = self.row else { return };
        self.put(format_args!("{}{suffix}", row.name));
        let names = row.labels.iter().copied().chain(["le"]);
        let values = values.iter().copied().chain(bound);
        let mut mark = '{';
        for (name, value) in names.zip(values) {
            self.put(format_args!("{mark}{name}=\"{}\"", Escaped(value)));
            mark = ',';
        }
        let end = if mark == '{' { "" } else { "}" };
        self.put(format_args!("{end} {value}\n"));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

/// Milliseconds as seconds in decimal notation, to four digits.
fn rounded(millis: f64) -> String {
    let seconds = millis / 1_000.0;
    let (mut digits, mut least) = (3, 1.0);
    while seconds < least && digits < DIGITS_MAX {
        digits += 1;
        least /= 10.0;
    }
    let text = format!("{seconds:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Most digits behind the point: no bound is below a nanosecond.
const DIGITS_MAX: usize = 12;

/// Seconds in decimal notation.
fn seconds(span: Duration) -> String {
    let (seconds, nanos) = (span.as_secs(), span.subsec_nanos());
    if nanos == 0 {
        return seconds.to_string();
    }
    let digits = format!("{nanos:09}");
    format!("{seconds}.{}", digits.trim_end_matches('0'))
}

/// A label's value, escaped for the format.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (plain, marked) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = marked.chars();
            f.write_str(match chars.next() {
                Some('\n') => "\\n",
                Some('"') => "\\\"",
                Some(_) | None => "\\\\",
            })?;
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_histograms_are_written_as_prometheus_reads_them() {
        let mut text = Exposition::default();
        text.begin(Family::Cost);
        text.value(&["a\\\"b\n", "m"], "0.5");
        text.begin(Family::Disconnects);
        text.value(&[], 3);
        text.begin(Family::Latency);
        text.histogram(
            &["p", "m"],
            Buckets {
                below: &[(0.005, 1), (1.234_567, 2), (2_500.0, 3)],
                count: 6,
                sum: Duration::from_millis(1_250),
            },
        );
        let text = text.finish();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("# HELP"))
            .collect();
        assert_eq!(
            lines,
            [
                "# TYPE infermux_cost_usd_total counter",
                r#"infermux_cost_usd_total{provider="a\\\"b\n",model="m"} 0.5"#,
                "# TYPE infermux_caller_disconnects_total counter",
                "infermux_caller_disconnects_total 3",
                "# TYPE infermux_latency_seconds histogram",
                r#"infermux_latency_seconds_bucket{provider="p",model="m",le="0.000005"} 1"#,
                r#"infermux_latency_seconds_bucket{provider="p",model="m",le="0.001235"} 2"#,
                r#"infermux_latency_seconds_bucket{provider="p",model="m",le="2.5"} 3"#,
                r#"infermux_latency_seconds_bucket{provider="p",model="m",le="+Inf"} 6"#,
                r#"infermux_latency_seconds_sum{provider="p",model="m"} 1.25"#,
                r#"infermux_latency_seconds_count{provider="p",model="m"} 6"#,
            ]
        );
    }
}
