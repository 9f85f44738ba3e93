//! The load beside: infermux-load on the second core.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::stage::{Plan, Stage};
use super::tally::{Row, Statuses, count, whole};

/// A run of the load tool.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) path: &'a str,
    pub(super) connections: u32,
    /// Requests per second at fixed times; none: each connection sends the next one at once.
    pub(super) rate: Option<f64>,
    pub(super) span: Duration,
    pub(super) warmup: Duration,
    /// How long callers wait for an answer before they hang up.
    pub(super) patience: Duration,
    /// More flags.
    pub(super) flags: &'a [&'a str],
}

/// What callers saw of a run.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) answers: u64,
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) failed: Statuses,
    /// Failures without an answer: time-outs, resets, connections that were not made.
    pub(super) hang_ups: u64,
    pub(super) by_kind: String,
}

impl Load<'static> {
    /// Load that goes on beside something else: far less than one core can do.
    pub(super) fn beside(plan: &Plan, span: Duration) -> Self {
        Self {
            path: "/v1/chat/completions",
            // None of them is idle for so long that it is closed.
            connections: plan.of(16, 2),
            rate: plan.of(Some(2_000.0), None),
            span,
            warmup: Duration::from_millis(500),
            patience: Duration::from_secs(30),
            flags: &[],
        }
    }
}

impl Load<'_> {
    /// Runs it to its end.
    pub(super) fn run(&self, stage: &Stage) -> Result<Seen, String> {
        let url = format!("http://{}{}", stage.router.callers, self.path);
        let mut command = Command::new(stage.bin.join("infermux-load"));
        let text = |span: Duration| format!("{}ms", span.as_millis());
        command
            .args(["--json", "--pin=1", "--url", &url])
            .args(["-c", &self.connections.to_string(), "-d", &text(self.span)])
            .args([
                "--warmup",
                &text(self.warmup),
                "--timeout",
                &text(self.patience),
            ])
            .args(self.flags);
        if let Some(rate) = self.rate {
            command.arg(format!("--rate={rate:.0}"));
        }
        let output = command
            .output()
            .map_err(|e| format!("cannot run infermux-load: {e}"))?;
        let result: Value = serde_json::from_slice(&output.stdout)
            .map_err(|e| format!("{e}\n{}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(Seen::read(&result))
    }
}

impl Seen {
    fn read(result: &Value) -> Self {
        let latency = |name: &str| result["latency_us"][name].as_f64().unwrap_or_default();
        let mut failed = Statuses::new();
        let mut hang_ups = 0;
        let kinds = result["errors_by_kind"].as_object();
        for (kind, number) in kinds.into_iter().flatten() {
            let number = number.as_u64().unwrap_or_default();
            let status = kind
                .strip_prefix("status_")
                .and_then(|code| code.parse().ok());
            match status {
                Some(status) => *failed.entry(status).or_default() += number,
                None => hang_ups += number,
            }
        }
        Self {
            answers: count(result, "answers"),
            per_second: result["answers_per_second"].as_f64().unwrap_or_default(),
            p50: latency("p50"),
            p99: latency("p99"),
            failed,
            hang_ups,
            by_kind: result["errors_by_kind"].to_string(),
        }
    }

    /// Answers that were refusals of this status.
    pub(super) fn of(&self, status: u16) -> u64 {
        self.failed.get(&status).copied().unwrap_or_default()
    }

    /// Requests that had no good answer.
    pub(super) fn bad(&self) -> u64 {
        self.hang_ups + self.failed.values().sum::<u64>()
    }

    /// Whether all of the load has had its answers.
    pub(super) fn judged(&self) -> Row {
        let value = format!("{}, {} failures", self.answers, self.bad());
        Row::judged(
            "answers of the load",
            value,
            self.bad() == 0 && self.answers > 0,
        )
    }

    /// What the load has seen beside others, and `without` them; its p99 may grow to so much.
    pub(super) fn beside(&self, without: &Self, is_quick: bool, growth_max: f64) -> [Row; 4] {
        let ratio = self.p99 / without.p99;
        [
            Row::shown("p99 of the load without them", without.told()),
            Row::shown("p99 beside them", self.told()),
            Row::ratio_unless(
                is_quick,
                "p99 beside them to that without",
                ratio,
                ratio <= growth_max,
            ),
            self.judged(),
        ]
    }

    /// The p99 in words.
    pub(super) fn told(&self) -> String {
        format!("{} us, p50 {} us", whole(self.p99), whole(self.p50))
    }
}
