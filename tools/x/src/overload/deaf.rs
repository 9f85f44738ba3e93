//! Streams whose callers stop reading.

use std::time::Duration;

use serde_json::{Value, json};

use super::capacity::at_rest;
use super::crowd::Crowd;
use super::load::{Load, Seen};
use super::stage::{Plan, STREAM, Setting, Stage};
use super::tally::{Metrics, Row};
use crate::clock::{Stopwatch, pause};

/// Most memory of a stream that nobody reads, in KiB.
const MEMORY_MAX: f64 = 200.0;
/// The timeout of a write, and some seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// The receive buffer of a caller that does not read.
const ROOM: usize = 4_096;

/// What is known before the streams begin.
struct Before {
    memory: f64,
    metrics: Metrics,
    provided: u64,
}

/// A thousand of them beside load.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(1_000, 50);
    let setting = Setting {
        script: json!({"record": false, "usage": "always", "rules": [
            {"when": {"stream": true}, "events": 400, "event_bytes": 16_384},
            {"when": {"stream": false}, "canned": true, "body_bytes": 562},
        ]}),
        ..Setting::quick(plan, CONFIG.to_owned())
    };
    let load = Load {
        warmup: Duration::ZERO,
        ..Load::beside(plan, Duration::from_secs(4))
    };
    let is_quick = plan.is_quick;
    plan.play(&setting, move |stage| {
        load.run(stage)?;
        let before = Before {
            memory: stage.memory()?,
            metrics: stage.metrics()?,
            provided: requests(&stage.provided()?),
        };
        let mut crowd = Crowd::open(&stage.router.callers, count, Some(ROOM))?;
        let length = STREAM.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length";
        crowd.say(format!("{head}: {length}\r\n\r\n{STREAM}").as_bytes());
        let clock = Stopwatch::start();
        let (seen, peak) = beside(stage, &load)?;
        let left = |metrics: &Metrics| metrics.gained(&before.metrics, LEFT, &[]);
        let after = stage.eventually(|metrics| left(metrics) == count as u64)?;
        let ended = clock.elapsed();
        let mut rows = vec![Row::judged(
            "all ended after",
            format!("{:.1} s", ended.as_secs_f64()),
            is_quick || ended <= ENDS_WITHIN,
        )];
        let each = (peak - before.memory) / (count as f64);
        rows.push(Row::judged(
            "KiB of each at most",
            format!("{each:.1}"),
            each <= MEMORY_MAX,
        ));
        rows.extend(accounts(stage, &before, (&after, &seen), count as u64)?);
        drop(crowd);
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

/// What became of so many streams, as everybody counts them.
fn accounts(
    stage: &Stage,
    before: &Before,
    (after, seen): (&Metrics, &Seen),
    count: u64,
) -> Result<Vec<Row>, String> {
    let free = stage.until_provided(|stats| stats["in_flight"].as_u64() == Some(0))?;
    let gained = |name: &str, parts: &[&str]| after.gained(&before.metrics, name, parts);
    let beside = seen.answers + seen.bad();
    let streams = requests(&free) - before.provided - beside;
    let held = free["in_flight"].as_u64().unwrap_or_default();
    let outcome = &["outcome=\"caller_gone\""];
    Ok(vec![
        Row::equal("streams that the provider was asked for", streams, count),
        Row::equal(
            "callers that were given up, by the metrics",
            gained(LEFT, &[]),
            count,
        ),
        Row::equal(
            "requests, by the metrics, those of the load taken off",
            gained("infermux_requests_total", &[]) - beside,
            count,
        ),
        Row::equal(
            "attempts whose caller was gone",
            gained("infermux_attempts_total", outcome),
            count,
        ),
        Row::equal("requests still at the provider", held, 0),
        seen.judged(),
        Row::shown("p99 of the load beside", seen.told()),
    ])
}

const LEFT: &str = "infermux_caller_disconnects_total";
const CONFIG: &str = "server: {shards: 1, idle_timeout: 4s, max_connections: 12000}\npricing: \
    {mock: {gpt-4o: {input_per_million: 311, output_per_million: 1127}}}\n";

fn requests(stats: &Value) -> u64 {
    stats["requests"].as_u64().unwrap_or_default()
}

/// The load, and the most memory meanwhile.
fn beside(stage: &Stage, load: &Load<'_>) -> Result<(Seen, f64), String> {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| load.run(stage));
        let mut peak: f64 = 0.0;
        while !running.is_finished() {
            peak = peak.max(stage.memory()?);
            pause(Duration::from_millis(50));
        }
        let seen = running.join().map_err(|_| "the load panicked")??;
        Ok((seen, peak))
    })
}
