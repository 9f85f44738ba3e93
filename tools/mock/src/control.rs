//! The control paths, `/_mock/*`: the script, the counters and the recorded requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{self, Persistence, Request};
use crate::instance::{Goals, Instance, Waiting};
use crate::program::{Program, Wait};

/// Answers a control request.
pub(crate) fn answer(instance: &Arc<Instance>, request: &Request<'_>) -> Program {
    let keep = request.persistence;
    let plain = |status, body: &Value| {
        Program::of_bytes(
            http::json_answer(status, body.to_string().as_bytes(), keep),
            keep,
        )
    };
    let refused = |status, message: &str| plain(status, &json!({ "error": message }));
    match (
        request.method,
        request.path().strip_prefix("/_mock/").unwrap_or_default(),
    ) {
        ("GET", "stats") => plain(200, &instance.stats().json()),
        ("GET", "requests") => {
            let mut body = instance.stats().json();
            if let Some(map) = body.as_object_mut() {
                map.insert("last".to_owned(), Value::Array(instance.requests()));
            }
            plain(200, &body)
        }
        ("GET", "script") => plain(200, &instance.script().1.source),
        ("PUT", "script") => {
            let replaced = serde_json::from_slice(request.body)
                .map_err(|error| error.to_string())
                .and_then(|source| instance.replace(source));
            match replaced {
                Ok(version) => {
                    let goals = Goals {
                        applied: Some(version),
                        ..Goals::default()
                    };
                    wait(instance, goals, APPLY_MAX, keep)
                }
                Err(error) => refused(400, &error),
            }
        }
        ("POST", "reset") => {
            instance.reset();
            plain(200, &instance.stats().json())
        }
        ("GET", "wait") => match read_goals(request) {
            Ok((goals, timeout)) => wait(instance, goals, timeout, keep),
            Err(error) => refused(400, &error),
        },
        (_, "stats" | "requests" | "script" | "reset" | "wait") => {
            refused(405, "wrong method for this control path")
        }
        _ => refused(404, "control paths: stats, requests, script, reset, wait"),
    }
}

fn wait(instance: &Arc<Instance>, goals: Goals, timeout: Duration, keep: Persistence) -> Program {
    let waiting = Waiting::on(instance);
    let deadline = Instant::now() + timeout;
    // The answer must fit into a function pointer, so each persistence has a function of its own.
    let render = match keep {
        Persistence::KeepAlive => {
            |waiting: &Waiting, goals: &Goals| rendered(waiting, goals, Persistence::KeepAlive)
        }
        Persistence::Close => {
            |waiting: &Waiting, goals: &Goals| rendered(waiting, goals, Persistence::Close)
        }
    };
    Program::of_wait(
        Wait {
            goals,
            deadline,
            waiting,
            render,
        },
        keep,
    )
}

fn rendered(waiting: &Waiting, goals: &Goals, keep: Persistence) -> Vec<u8> {
    let mut body = waiting.stats().json();
    if let Some(map) = body.as_object_mut() {
        map.insert("reached".to_owned(), Value::Bool(waiting.met(goals)));
    }
    http::json_answer(200, body.to_string().as_bytes(), keep)
}

fn read_goals(request: &Request<'_>) -> Result<(Goals, Duration), String> {
    let mut goals = Goals::default();
    let mut timeout = WAIT_USUAL;
    for pair in request.query().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let count: u64 = value
            .parse()
            .map_err(|_| format!("{name}: not a whole number"))?;
        match name {
            "requests" => goals.requests = Some(count),
            "answered" => goals.answered = Some(count),
            "peer_closed" => goals.peer_closed = Some(count),
            "connections_opened" => goals.connections_opened = Some(count),
            "connections_open" => goals.connections_open = Some(count),
            "in_flight" => goals.in_flight = Some(count),
            "timeout_ms" => timeout = Duration::from_millis(count).min(WAIT_MAX),
            _ => return Err(format!("{name}: no such goal")),
        }
    }
    Ok((goals, timeout))
}

/// How long a wait lasts unless it says so itself.
const WAIT_USUAL: Duration = Duration::from_secs(10);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a change of script may take to reach every worker.
const APPLY_MAX: Duration = Duration::from_secs(10);
