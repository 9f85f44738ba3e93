//! Four times the load that one core carries, and four times what the provider takes at once.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Load, Seen};
use super::stage::{CHAT, Plan, Setting, Stage, send};
use super::tally::{Metrics, Row};

/// What is left of the peak under four times its load, at least.
const GOODPUT_MIN: f64 = 0.9;
/// What a refusal may cost, as a part of what an answer costs.
const REFUSAL_COST_MAX: f64 = 0.75;
/// Requests that the provider may have at once, where it has a limit.
const AT_ONCE: u32 = 64;
/// Messages that are translated: the router has more to do than load tool and provider together.
const PROMPT: &[&str] = &["--body-bytes", "60000"];
/// Connections that one core answers well within the patience of their callers.
const BOUND: u32 = 128;
/// How long callers wait where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts at providers, in the metrics.
const ATTEMPTS: &str = "infermux_attempts_total";

/// One core is busy, and callers ask four times as often as it can answer, on many more connections
/// than the router takes: the others wait in the kernel's queue, and give up. Then with callers who
/// have hardly any patience, and where the router takes all of them.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let mut rows = flood(plan, &BOUNDED)?;
    if !plan.is_quick {
        rows.extend(flood(plan, &HASTY)?);
        rows.extend(flood(plan, &ALL_TAKEN)?);
    }
    Ok(rows)
}

/// Callers that are more than the router can answer.
struct Flood {
    /// How many connections the router takes.
    places: u32,
    /// How long they wait for an answer.
    patience: Patience,
    /// Whether nine tenths of the peak must be left of it.
    is_judged: bool,
}

enum Patience {
    /// The clients of providers wait for minutes where they are not told otherwise.
    Second,
    /// Ten times what those wait who have a place.
    TenTurns,
}

const BOUNDED: Flood = Flood {
    places: BOUND,
    patience: Patience::Second,
    is_judged: true,
};
/// The load tool is busy with connections that are not made, and asks for less than it could have.
/// So the processor time of an answer is what is judged.
const HASTY: Flood = Flood {
    places: BOUND,
    patience: Patience::TenTurns,
    is_judged: false,
};
/// All of them are worked on at once: what comes of it is shown.
const ALL_TAKEN: Flood = Flood {
    places: 12_000,
    patience: Patience::TenTurns,
    is_judged: false,
};

impl Flood {
    fn patience(&self, per_second: f64) -> Duration {
        match self.patience {
            Patience::Second => Duration::from_secs(1),
            Patience::TenTurns => {
                Duration::from_secs_f64(10.0 * f64::from(BOUND) / per_second.max(1.0))
            }
        }
    }
}

fn flood(plan: &Plan, flood: &'static Flood) -> Result<Vec<Row>, String> {
    let span = Duration::from_secs(plan.of(8, 2));
    let (is_quick, crowd) = (plan.is_quick, plan.of(4_000, 500));
    let most = flood.places;
    let config = format!("server: {{shards: 1, max_connections: {most}}}\n");
    plan.play(&Setting::quick(plan, config), move |stage| {
        let dear = |load| Load {
            path: "/v1/messages",
            flags: PROMPT,
            ..load
        };
        let peak = Measured::of(stage, &dear(load(BOUND, None, span)))?;
        let rate = Some(4.0 * peak.seen.per_second);
        let patience = flood.patience(peak.seen.per_second);
        let over = Load {
            patience,
            ..dear(load(crowd, rate, span))
        };
        let over = Measured::of(stage, &over)?;
        let after = Measured::of(stage, &dear(load(BOUND, None, span)))?;
        let ratio = |measured: &Measured| measured.seen.per_second / peak.seen.per_second;
        let judged = |what: &str, is_shown: bool, ratio: f64| {
            Row::ratio_unless(is_quick || is_shown, what, ratio, ratio >= GOODPUT_MIN)
        };
        let what = format!("{crowd} callers for {most} places: four times the peak, answers/s");
        let mut rows = vec![
            Row::shown("peak, answers/s", whole(peak.seen.per_second)),
            Row::shown(
                "processor time of an answer, microseconds",
                whole(peak.each()),
            ),
            Row::shown(
                "they give up after, in seconds",
                format!("{:.2}", patience.as_secs_f64()),
            ),
            Row::shown(&what, whole(over.seen.per_second)),
            judged(
                "goodput under it, of the peak",
                !flood.is_judged,
                ratio(&over),
            ),
            judged(
                "answers under it for as much processor time, of those at the peak",
                most > crowd,
                peak.each() / over.each(),
            ),
            Row::shown("p99 of those answers", over.seen.told()),
            judged(
                "goodput afterwards, of the peak",
                most > crowd,
                ratio(&after),
            ),
        ];
        rows.extend(sums(&over));
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

/// The provider takes so many requests at once, and callers ask four times as often.
pub(super) fn refuse(plan: &Plan) -> Result<Vec<Row>, String> {
    let span = Duration::from_secs(plan.of(8, 2));
    let is_quick = plan.is_quick;
    let setting = Setting {
        script: json!({"canned": true, "record": false, "body_bytes": 562, "latency_ms": 20}),
        limits: ", max_in_flight: 64",
        ..Setting::quick(
            plan,
            "server: {shards: 1}
"
            .to_owned(),
        )
    };
    plan.play(&setting, move |stage| {
        let peak = Measured::of(stage, &load(AT_ONCE, None, span))?;
        let crowd = |times: f64| load(1_000, Some(times * peak.seen.per_second), span);
        // Requests that come one by one cost more than those that come together, refused or not.
        let answer = Measured::of(stage, &crowd(0.9))?.each();
        let over = Measured::of(stage, &crowd(4.0))?;
        let refusals = over.seen.of(429);
        let spent = over.cpu - answer * float(over.seen.answers);
        let refusal = spent / float(refusals.max(1));
        let share = over.seen.per_second / peak.seen.per_second;
        let mut rows = vec![
            Row::shown(
                "peak with 64 at once, answers/s",
                whole(peak.seen.per_second),
            ),
            Row::ratio_unless(
                is_quick,
                "goodput under four times that",
                share,
                share >= GOODPUT_MIN,
            ),
            Row::judged("refused with 429", refusals, refusals > 0),
            Row::shown("microseconds of an answer", format!("{answer:.1}")),
            Row::ratio_unless(
                is_quick,
                "of a refusal, as a part of that",
                refusal / answer,
                refusal <= REFUSAL_COST_MAX * answer,
            ),
            Row::equal("hang-ups", over.seen.hang_ups, 0),
            Row::equal("other refusals", over.seen.bad() - refusals, 0),
        ];
        rows.extend(sums(&over));
        rows.push(Row::equal(
            "errors told, by the metrics",
            over.gained("infermux_errors_total", &["code=\"rate_limit\""]),
            refusals,
        ));
        rows.extend(told(stage)?);
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

fn load(connections: u32, rate: Option<f64>, span: Duration) -> Load<'static> {
    Load {
        path: "/v1/chat/completions",
        connections,
        rate,
        span,
        warmup: Duration::ZERO,
        patience: PATIENCE,
        flags: &[],
    }
}

/// A run, with what the router spent on it and counted.
struct Measured {
    seen: Seen,
    /// Processor time, in microseconds.
    cpu: f64,
    counted: [Metrics; 2],
    /// Requests that reached the provider.
    provided: u64,
}

impl Measured {
    fn of(stage: &Stage, load: &Load) -> Result<Self, String> {
        let before = stage.metrics()?;
        let requests = |stats: &Value| stats["requests"].as_u64().unwrap_or_default();
        let (cpu, provided) = (stage.tree.cpu_micros()?, requests(&stage.provided()?));
        let seen = load.run(stage)?;
        let cpu = stage.tree.cpu_micros()? - cpu;
        let reached = Cell::new(0);
        // Those who gave up may still wait in the kernel's queue, and nothing be in flight
        // meanwhile.
        let is_settled = |metrics: &Metrics| {
            let stats = stage.provided().unwrap_or_default();
            reached.set(requests(&stats).saturating_sub(provided));
            metrics.sum("infermux_in_flight_requests", &[]) == 0
                && metrics.gained(&before, ATTEMPTS, &[]) >= reached.get()
        };
        let after = stage.eventually(is_settled)?;
        Ok(Self {
            seen,
            cpu,
            counted: [before, after],
            provided: reached.get(),
        })
    }

    /// Processor time of an answer, in microseconds.
    fn each(&self) -> f64 {
        self.cpu / float(self.seen.answers)
    }

    /// By how much a sum of the metrics grew.
    fn gained(&self, name: &str, parts: &[&str]) -> u64 {
        let [before, after] = &self.counted;
        after.gained(before, name, parts)
    }
}

/// What callers saw, what the metrics say, and what the provider saw.
fn sums(over: &Measured) -> Vec<Row> {
    let seen = &over.seen;
    let counted = over.gained("infermux_requests_total", &[]);
    let (least, most) = (
        seen.answers + seen.bad() - seen.hang_ups,
        seen.answers + seen.bad(),
    );
    let attempts = over.gained(ATTEMPTS, &[]);
    vec![
        Row::shown("answers", seen.answers),
        Row::shown("failures that callers saw", &seen.by_kind),
        // Who hangs up may have been heard of or not.
        Row::judged(
            "requests, by the metrics",
            counted,
            (least..=most).contains(&counted),
        ),
        Row::judged(
            "attempts, by the metrics, and requests that the provider saw",
            format!("{attempts}, {}", over.provided),
            attempts <= counted && attempts >= over.provided && over.provided >= seen.answers,
        ),
    ]
}

/// Refusals of every kind: status, code and `Retry-After`.
fn told(stage: &Stage) -> Result<Vec<Row>, String> {
    let slow = json!({"canned": true, "record": false, "latency_ms": 1_000});
    send(
        &stage.mock.control,
        ("PUT", "/_mock/script"),
        &slow.to_string(),
    )?;
    let busy = std::thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| stage.ask(CHAT)))
            .collect();
        let full = |stats: &Value| stats["in_flight"].as_u64() == Some(u64::from(AT_ONCE));
        let refused = stage.until_provided(full).and_then(|_| stage.ask(CHAT));
        let done = all
            .into_iter()
            .map(|one| one.join().map_err(|_| "a caller panicked")?);
        let done: Result<Vec<_>, String> = done.collect();
        done.and_then(|done| Ok((done, refused?)))
    });
    let (done, refused) = busy?;
    let body: Value = serde_json::from_slice(&refused.body).map_err(|e| e.to_string())?;
    let code = body["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let after = refused.headers.value("retry-after").unwrap_or_default();
    let told = format!("{} {code}, Retry-After: {after}", refused.status());
    let holds = told == "429 rate_limit, Retry-After: 1";
    let good = done.iter().filter(|answer| answer.status() == 200).count();
    Ok(vec![
        Row::judged("a refusal says", told, holds),
        Row::equal(
            "answers of those before it",
            good as u64,
            u64::from(AT_ONCE),
        ),
    ])
}

/// Nothing is held any more.
pub(super) fn at_rest(stage: &Stage) -> Result<Vec<Row>, String> {
    let held = |metrics: &Metrics| {
        let callers = metrics.sum("infermux_connections", &["side=\"caller\""]);
        let bytes = metrics.sum("infermux_buffered_bytes", &[]);
        callers + bytes + metrics.sum("infermux_in_flight_requests", &[])
    };
    let metrics = stage.eventually(|metrics| held(metrics) == 0)?;
    Ok(vec![Row::equal(
        "held at the end: connections, bytes, requests",
        held(&metrics),
        0,
    )])
}

#[expect(clippy::cast_precision_loss, reason = "a figure is for reading")]
fn float(count: u64) -> f64 {
    count as f64
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}
