//! Ten thousand idle connections beside load, and idle connections that have all places.

use std::time::Duration;

use super::capacity::at_rest;
use super::crowd::Crowd;
use super::load::Load;
use super::stage::{CHAT, Plan, Setting, Stage};
use super::tally::{Metrics, Row};
use crate::clock::{Stopwatch, pause};

/// By how much the p99 of the load may grow.
const P99_RATIO_MAX: f64 = 1.5;
/// Most memory of an idle connection, in KiB.
const MEMORY_MAX: f64 = 4.0;
/// How long a caller may wait for a place that an idle connection has.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

const ASK: &[u8] = b"GET /v1/models HTTP/1.1\r\nHost: overload\r\n\r\n";

fn setting(plan: &Plan, server: &str) -> Setting {
    Setting::quick(
        plan,
        format!(
            "server: {{shards: 1, {server}}}
"
        ),
    )
}

/// Ten thousand connections that wait for their next request.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(10_000, 1_000).min(plan.files() / 2 - 1_000);
    let span = Duration::from_secs(plan.of(6, 1));
    let (is_quick, load) = (plan.is_quick, Load::beside(plan, span));
    plan.play(&setting(plan, "max_connections: 12000"), move |stage| {
        // Everything has begun, and what is taken once is taken.
        load.run(stage)?;
        let (memory, without) = (stage.memory()?, load.run(stage)?);
        let mut crowd = Crowd::open(&stage.router.callers, count, None)?;
        crowd.say(ASK);
        let told = crowd.until_told(Duration::from_secs(20));
        let idle = |metrics: &Metrics| metrics.sum("infermux_connections", CALLERS);
        let counted = idle(&stage.eventually(|metrics| idle(metrics) == count as u64)?);
        let with = load.run(stage)?;
        let each = (stage.memory()? - memory) / count as f64;
        let again = {
            crowd.all.iter_mut().for_each(|one| one.said.clear());
            crowd.say(ASK);
            crowd.until_told(Duration::from_secs(20))
        };
        drop(crowd);
        let mut rows = vec![
            Row::equal(
                "idle connections, each after one answer",
                told as u64,
                count as u64,
            ),
            Row::equal("idle connections, by the metrics", counted, count as u64),
            Row::judged("KiB of each", format!("{each:.2}"), each <= MEMORY_MAX),
            Row::equal(
                "answers on all of them afterwards",
                again as u64,
                count as u64,
            ),
        ];
        rows.extend(with.beside(&without, is_quick, P99_RATIO_MAX));
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

/// Idle connections have all places of callers, or of operators, and keep asking just often
/// enough; somebody else comes.
pub(super) fn contend(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(2_000, 500);
    let server = format!("max_connections: {count}, idle_timeout: 60s");
    plan.play(&setting(plan, &server), move |stage| {
        let mut rows = Vec::new();
        for (who, address, most) in [
            ("callers", &stage.router.callers, count),
            ("operators", &stage.router.operators, 256),
        ] {
            let mut crowd = Crowd::open(address, most, None)?;
            crowd.say(if who == "callers" { ASK } else { HEALTH });
            crowd.until_told(Duration::from_secs(20));
            // They wait for longer than a client's next request usually takes.
            pause(Duration::from_millis(1_500));
            let clock = Stopwatch::start();
            let status = answered(stage, who);
            let waited = clock.elapsed();
            let text = format!("{status} after {:.2} s", waited.as_secs_f64());
            let holds = status == "200" && waited <= PLACE_WITHIN;
            rows.push(Row::judged(
                &format!("one more of {who}, all places idle"),
                text,
                holds,
            ));
        }
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

fn answered(stage: &Stage, who: &str) -> String {
    let status = match who {
        "callers" => stage.ask(CHAT).map(|answer| answer.status().to_string()),
        _ => stage.metrics().map(|_| "200".to_owned()),
    };
    status.unwrap_or_else(|error| error)
}

const CALLERS: &[&str] = &["side=\"caller\"", "state=\"idle\""];
const HEALTH: &[u8] = b"GET /_infermux/health HTTP/1.1\r\nHost: overload\r\n\r\n";
