//! Connections that are slow on purpose, in each phase of a request, a thousand of each at once.

use std::time::Duration;

use super::capacity::at_rest;
use super::crowd::Crowd;
use super::junk::Files;
use super::load::{Load, Seen};
use super::stage::{Plan, Setting, Stage};
use super::tally::{Metrics, Row};

/// A way of being slow: what is sent at once, and what follows every so often.
struct Way {
    name: &'static str,
    first: &'static str,
    drip: &'static str,
    /// The status that the caller is told; 0: none, the connection is closed.
    status: u16,
    /// When all must be closed: the timeout, and some seconds.
    closed_within: u64,
}

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: overload\r\n";

const LENGTH: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{";
const CHUNKED: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// With a timeout of 2 s for heads and silence, and of 4 s between requests.
const WAYS: [Way; 9] = [
    Way {
        name: "before the head, silent",
        first: "",
        drip: "",
        status: 0,
        closed_within: 2,
    },
    Way {
        name: "within the head, byte by byte",
        first: "POST /v1/chat/completions HTTP/1.1\r\nX: ",
        drip: "x",
        status: 408,
        closed_within: 2,
    },
    Way {
        name: "within the head, silent",
        first: HEAD,
        drip: "",
        status: 408,
        closed_within: 2,
    },
    Way {
        name: "within a body, silent",
        first: LENGTH,
        drip: "",
        status: 408,
        closed_within: 2,
    },
    Way {
        name: "within a body, byte by byte",
        first: LENGTH,
        drip: " ",
        status: 408,
        closed_within: 10,
    },
    Way {
        name: "within a chunked body, chunk by chunk",
        first: CHUNKED,
        drip: "1\r\n \r\n",
        status: 408,
        closed_within: 10,
    },
    Way {
        name: "within the length of a chunk",
        first: CHUNKED,
        drip: "0",
        status: 408,
        closed_within: 10,
    },
    Way {
        name: "between requests, silent",
        first: "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        drip: "",
        status: 200,
        closed_within: 4,
    },
    Way {
        name: "between requests, empty lines",
        first: "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        drip: "\r\n",
        status: 200,
        closed_within: 4,
    },
];

/// In handshakes, on a port that speaks TLS.
const SECURE: [Way; 3] = [
    Way {
        name: "before a handshake, silent",
        first: "",
        drip: "",
        status: 0,
        closed_within: 2,
    },
    Way {
        name: "within a handshake, byte by byte",
        first: "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
        drip: "\x00",
        status: 0,
        closed_within: 2,
    },
    Way {
        name: "plain text in place of a handshake",
        first: "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        drip: "",
        status: 0,
        closed_within: 2,
    },
];

/// What may pass beyond a timeout until all are seen to be closed: two seconds for whoever is told
/// why, and a machine with other work.
const LATE: u64 = 8;
/// By how much the p99 of the load may grow.
const P99_RATIO_MAX: f64 = 2.0;

/// All ways at once, beside load.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>, String> {
    let mut rows = plain(plan)?;
    rows.extend(secure(plan)?);
    Ok(rows)
}

fn plain(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(1_000, 100);
    let is_quick = plan.is_quick;
    let load = Load::beside(plan, Duration::from_secs(plan.of(10, 2)));
    plan.play(&setting(plan, ""), move |stage| {
        load.run(stage)?;
        let without = load.run(stage)?;
        let before = stage.metrics()?;
        let (mut rows, with) = attack(stage, &WAYS, count, &load)?;
        rows.extend(with.beside(&without, is_quick, P99_RATIO_MAX));
        let after = stage.metrics()?;
        let sum = |metrics: &Metrics| metrics.sum("infermux_requests_total", &["status=\"408\""]);
        let ways = WAYS.iter().filter(|way| way.status == 408).count();
        rows.push(Row::equal(
            "requests with 408, by the metrics",
            sum(&after) - sum(&before),
            (ways * count) as u64,
        ));
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

fn secure(plan: &Plan) -> Result<Vec<Row>, String> {
    let count = plan.of(1_000, 100);
    let files = Files::new()?;
    plan.play(&setting(plan, &files.tls()), move |stage| {
        let _files = &files;
        let mut rows = Vec::new();
        for way in &SECURE {
            let crowd = Crowd::open(&stage.router.callers, count, None)?;
            rows.extend(played(way, crowd));
        }
        rows.extend(at_rest(stage)?);
        Ok(rows)
    })
}

fn setting(plan: &Plan, more: &str) -> Setting {
    let config = format!(
        "server: {{shards: 1, header_timeout: 2s, body_timeout: 2s, idle_timeout: 4s, \
         max_connections: 12000}}\n{more}"
    );
    Setting::quick(plan, config)
}

/// Plays all ways at once beside the load; what came of it, and what the load saw.
fn attack(
    stage: &Stage,
    ways: &'static [Way],
    count: usize,
    load: &Load<'_>,
) -> Result<(Vec<Row>, Seen), String> {
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| load.run(stage));
        let all: Vec<_> = ways
            .iter()
            .map(|way| {
                scope.spawn(move || {
                    let crowd = Crowd::open(&stage.router.callers, count, None)?;
                    Ok::<_, String>(played(way, crowd))
                })
            })
            .collect();
        let mut rows = Vec::new();
        for one in all {
            rows.extend(one.join().map_err(|_| "a crowd panicked")??);
        }
        let with = beside.join().map_err(|_| "the load panicked")??;
        Ok((rows, with))
    })
}

/// Plays one way to its end.
fn played(way: &Way, mut crowd: Crowd) -> Vec<Row> {
    let bytes = |text: &str| text.chars().map(|one| one as u8).collect::<Vec<u8>>();
    let (first, drip) = (bytes(way.first), bytes(way.drip));
    crowd.say(&first);
    let mut said_at = Duration::ZERO;
    let most = Duration::from_secs(way.closed_within + LATE);
    crowd.until_closed(most, |crowd, at| {
        if !drip.is_empty() && at > said_at + Duration::from_millis(300) {
            said_at = at;
            crowd.say(&drip);
        }
    });
    let (closed, count) = (crowd.closed(), crowd.all.len());
    let statuses = crowd.statuses();
    let last = crowd.last_closed().as_secs_f64();
    let told = statuses.get(&way.status).copied().unwrap_or_default();
    let value = format!("{closed} of {count} closed within {last:.1} s, told {statuses:?}");
    let holds = closed == count && told == count as u64;
    vec![Row::judged(way.name, value, holds)]
}
