//! What mock providers do wrong: scripts of `tools/mock`, drawn.

use serde_json::{Value, json};

use super::dice::Dice;

/// Which faults a provider may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Every fault.
    All,
    /// Those that leave the size of an answer as it was asked for, so that what it costs is known.
    SameSize,
}

/// A script of up to eight answers, which follow each other again and again.
///
/// Some of them quote `key`, which is the provider's own.
pub(super) fn script(dice: &mut Dice, range: Range, key: &str) -> Value {
    let count = dice.between(1, 9);
    let answers: Vec<Value> = (0..count).map(|_| answer(dice, range, key)).collect();
    let mut script = json!({"answers": answers, "then": "loop", "usage": "always"});
    if dice.chance(20) {
        script["latency_ms"] = json!(dice.between(1, 300));
    }
    if dice.chance(10) {
        // It fails its health checks, too.
        script["rules"] = json!([{"when": {"method": "GET"}, "status": 503}]);
    }
    script
}

/// The script of a provider without a fault.
pub(super) fn healed() -> Value {
    json!({"usage": "always"})
}

/// The script of a provider that takes no connections, and closes those that wait for a request.
pub(super) fn gone() -> Value {
    json!({"usage": "always", "refuse": true})
}

fn answer(dice: &mut Dice, range: Range, key: &str) -> Value {
    match dice.below(if range == Range::All { 5 } else { 4 }) {
        0 => json!("ok"),
        1 => status(dice, key),
        2 => {
            let quirk = dice.one(&QUIRKS);
            json!({"quirks": [quirk], "event_interval_ms": dice.below(20)})
        }
        3 => {
            let mut what = json!({"do": dice.one(&ACTS), "after_events": dice.below(4)});
            if dice.chance(50) {
                what["reset"] = json!(true);
            }
            what
        }
        _ => size(dice),
    }
}

fn status(dice: &mut Dice, key: &str) -> Value {
    let status = *dice.one(&[500, 502, 503, 504, 529, 408, 429, 429, 400, 404, 401, 403]);
    let mut what = json!({"status": status});
    if matches!(status, 429 | 503) {
        // Without it, a provider that says 429 again and again is put aside for a minute.
        what["retry_after"] = json!(1);
    }
    if dice.chance(30) {
        // A provider that quotes its key.
        what["body"] = json!({"error": {"message": format!("wrong key {key}")}});
    }
    what
}

fn size(dice: &mut Dice) -> Value {
    match dice.below(8) {
        0 => json!({"events": 1_500}),
        1 => json!({"events": 3, "event_bytes": 1_500_000}),
        2 => json!({"events": 30, "event_bytes": 100_000}),
        3 => json!({"body_bytes": 2_000_000}),
        4 => json!({"body": "<html>busy</html>", "headers": {"content-type": "text/html"}}),
        5 => json!({"body": "data: {}\n\n", "headers": {"content-type": "text/event-stream"}}),
        6 => json!({"chunk_bytes": dice.between(1, 40), "chunk_interval_ms": 1}),
        _ => json!({"events": 40, "event_interval_ms": 50, "finish_pause_ms": 200}),
    }
}

/// What an answer does mainly.
const ACTS: [&str; 13] = [
    "stall_before_head",
    "stall_before_content",
    "stall_mid_stream",
    "cut_before_head",
    "cut_mid_stream",
    "error_event_before_content",
    "error_event_mid_stream",
    "failed_before_content",
    "failed_mid_stream",
    "error_200",
    "no_choices",
    "garbage",
    "garbage_json",
];

/// How an answer is written.
const QUIRKS: [&str; 11] = [
    "no_done",
    "id_lines",
    "comments",
    "crlf",
    "lone_cr",
    "bom",
    "length_too_long",
    "length_too_short",
    "close_delimited",
    "early_1xx",
    "two_answers",
];
