//! Long prompts of callers of Responses: who is asked for them, and what follows when they are too
//! long, whatever the providers speak.

use serde_json::{Value, json};

use crate::support::canned::{Recorder, begun, whole};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::operate;
use crate::support::router::Router;

const NAMES: [&str; 3] = ["small", "middle", "large"];
const WINDOWS: [u32; 3] = [32_000, 128_000, 200_000];
const JSON: &str = "Content-Type: application/json\r\n";
const EVENTS: &str = "Content-Type: text/event-stream\r\n";
const TOO_LONG: &str = "prompt is too long: 130000 tokens > 128000 maximum";

/// What a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Native,
    Chat,
    Messages,
}

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It answers.
    Well,
    /// It says that the prompt is too long: with an error answer,
    Refuses,
    /// with an answer or a stream whose response has failed,
    FailedResponse,
    /// with a stream's `error` event, or with an error in place of an answer.
    ErrorEvent,
}

impl Kind {
    fn provider(self, place: usize, way: Way) -> Recorder {
        Recorder::by(move |_, body| {
            let asked: Value = serde_json::from_slice(body).expect("JSON");
            let is_streamed = asked["stream"] == true;
            match way {
                Way::Well => whole(JSON, self.answer().to_string().as_bytes()),
                Way::Refuses => refusal(400, &error()),
                Way::FailedResponse => failed_response(place, is_streamed),
                Way::ErrorEvent if is_streamed => {
                    let event = format!("event: error\ndata: {}\n\n", error());
                    streamed(&event)
                }
                Way::ErrorEvent => whole(JSON, error().to_string().as_bytes()),
            }
        })
    }

    fn entry(self, place: usize, provider: &Recorder) -> String {
        let (kind, suffix, responses) = match self {
            Self::Native => ("openai", "/v1", "native"),
            Self::Chat => ("openai", "/v1", "bridge"),
            Self::Messages => ("anthropic", "", "bridge"),
        };
        // JSON is YAML.
        let entry = json!({
            "name": NAMES[place],
            "type": kind,
            "api_key": format!("sk-kit-{place}"),
            "base_url": format!("http://{}{suffix}", provider.addr()),
            "responses": responses,
            "health_check": {"disabled": true},
            "circuit_breaker": {"consecutive_failures": 1, "recovery_window": "1h"},
            "models": [{"name": "m", "context_window": WINDOWS[place]}],
        });
        format!("  - {entry}\n")
    }

    fn answer(self) -> Value {
        match self {
            Self::Native => json!({
                "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
                "model": "theirs", "output": [{"type": "message", "id": "msg_1",
                    "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "No.", "annotations": []}]}],
                "usage": {"input_tokens": 2, "output_tokens": 7, "total_tokens": 9},
            }),
            Self::Chat => json!({
                "id": "c", "object": "chat.completion", "created": 1, "model": "theirs",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "No."},
                    "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 2, "completion_tokens": 7, "total_tokens": 9},
            }),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "theirs",
                "content": [{"type": "text", "text": "No."}], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": {"input_tokens": 2, "output_tokens": 7},
            }),
        }
    }
}

/// What providers of any kind say.
fn error() -> Value {
    json!({"type": "error", "error": {"type": "invalid_request_error", "message": TOO_LONG}})
}

fn refusal(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{JSON}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn failed_response(place: usize, is_streamed: bool) -> Vec<u8> {
    let response = |status: &str, error: &Value| {
        json!({"id": format!("resp_{place}"), "object": "response", "created_at": 5,
            "model": "theirs", "status": status, "error": error, "output": [], "usage": null})
    };
    let error = json!({"code": "context_length_exceeded", "message": TOO_LONG});
    let failed = response("failed", &error);
    if !is_streamed {
        return whole(JSON, failed.to_string().as_bytes());
    }
    let event = |number: u32, kind: &str, response: &Value| {
        let data = json!({"type": kind, "response": response, "sequence_number": number});
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let begun = response("in_progress", &Value::Null);
    let begun = event(0, "response.created", &begun);
    streamed(&format!("{begun}{}", event(1, "response.failed", &failed)))
}

fn streamed(events: &str) -> Vec<u8> {
    [begun(EVENTS, events.as_bytes()), b"0\r\n\r\n".to_vec()].concat()
}

/// Three providers, declared from the smallest window to the largest; one failure opens a circuit.
struct Three {
    providers: [Recorder; 3],
    router: Router,
}

impl Three {
    fn start(kinds: [Kind; 3], ways: [Way; 3]) -> Self {
        let places = [0, 1, 2];
        let providers = places.map(|at| kinds[at].provider(at, ways[at]));
        let entries = places.map(|at| kinds[at].entry(at, &providers[at]));
        let rest = "routing: {strategy: priority, failover: {retry_budget: 0}}\n";
        let router = Router::start(&config_of(&entries, rest));
        Self { providers, router }
    }

    /// Asks, and tells how many requests each provider has seen for it.
    fn ask(&self, tokens: usize, is_streamed: bool, fields: &str) -> (Answer, [usize; 3]) {
        let count = || self.providers.each_ref().map(|one| one.seen().len());
        let before = count();
        let text = "x ".repeat(2 * tokens);
        let body = json!({"model": "m", "input": text, "stream": is_streamed}).to_string();
        let mut client = Client::connect(self.router.addr());
        client.post_with("/v1/responses", fields, &body);
        let (answer, after) = (client.answer(), count());
        (answer, [0, 1, 2].map(|at| after[at] - before[at]))
    }

    fn all_are_closed(&self) -> bool {
        let mut names = NAMES.iter();
        names.all(|name| operate::circuit(&self.router, name) == "closed")
    }

    fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        operate::metric(self.router.management(), name, labels)
    }
}

/// The response that the caller has been told in the end.
fn told(answer: &Answer, is_streamed: bool) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete, "{}", answer.text());
    if is_streamed {
        let events = answer.named_events();
        let ends = ["response.completed", "response.failed"];
        let is_end = |event: &&Value| ends.iter().any(|end| event["type"] == **end);
        assert_eq!(events.iter().filter(is_end).count(), 1, "{}", answer.text());
        events.last().expect("an end")["response"].clone()
    } else {
        answer.json()
    }
}

fn check_text(answer: &Answer, is_streamed: bool, row: &str) {
    let told = told(answer, is_streamed);
    assert_eq!(told["output"][0]["content"][0]["text"], "No.", "{row}");
    assert_eq!(told["model"], "m", "{row}");
}

/// The ways in which a provider of this kind says that a prompt is too long.
fn ways(kind: Kind) -> &'static [Way] {
    match kind {
        Kind::Native => &[Way::Refuses, Way::FailedResponse, Way::ErrorEvent],
        Kind::Chat | Kind::Messages => &[Way::Refuses, Way::ErrorEvent],
    }
}

const KINDS: [Kind; 3] = [Kind::Native, Kind::Chat, Kind::Messages];

#[test]
fn a_long_prompt_is_tried_where_it_has_room() {
    for shift in 0..3 {
        let kinds = [0, 1, 2].map(|at| KINDS[(at + shift) % 3]);
        let three = Three::start(kinds, [Way::Well; 3]);
        for is_streamed in [false, true] {
            let row = format!("{kinds:?} {is_streamed}");
            for (tokens, expected) in [(100, [1, 0, 0]), (120_000, [0, 1, 0]), (150_000, [0, 0, 1])]
            {
                let (answer, seen) = three.ask(tokens, is_streamed, "");
                check_text(&answer, is_streamed, &row);
                assert_eq!(seen, expected, "{row} {tokens}");
            }
        }
    }
}

#[test]
fn an_overflow_goes_to_larger_windows_alone() {
    for (at, kind) in KINDS.into_iter().enumerate() {
        for way in ways(kind) {
            let kinds = [KINDS[(at + 1) % 3], kind, KINDS[(at + 2) % 3]];
            let three = Three::start(kinds, [Way::Well, *way, Way::Well]);
            for is_streamed in [false, true] {
                let row = format!("{kinds:?} {way:?} {is_streamed}");
                let (answer, seen) = three.ask(120_000, is_streamed, "");
                check_text(&answer, is_streamed, &row);
                assert_eq!(seen, [0, 1, 1], "{row}");
                assert_eq!(answer.header("x-infermux-provider"), Some("large"), "{row}");
                assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{row}");
                assert!(three.all_are_closed(), "{row}");
            }
            let outcome = &["outcome=\"context_window\"", "provider=\"middle\""];
            assert_eq!(three.metric("infermux_attempts_total", outcome), 2.0);
            let reason = &["reason=\"context_window\""];
            assert_eq!(three.metric("infermux_failovers_total", reason), 2.0);
            // Nothing of the answer is billed twice.
            assert_eq!(
                three.metric("infermux_failed_attempt_cost_usd_total", &[]),
                0.0
            );
        }
    }
}

#[test]
fn a_prompt_that_is_too_long_for_all_is_told_in_the_last_ones_words() {
    for kind in KINDS {
        for way in ways(kind) {
            let three = Three::start([kind; 3], [Way::Well, *way, *way]);
            for (is_streamed, fields) in [
                (false, ""),
                (true, ""),
                (true, "X-Infermux-Early-Head: true\r\n"),
            ] {
                let row = format!("{kind:?} {way:?} {is_streamed} {fields}");
                let (answer, seen) = three.ask(120_000, is_streamed, fields);
                assert_eq!(seen, [0, 1, 1], "{row}: {}", answer.text());
                let is_relayed = match way {
                    Way::FailedResponse => true,
                    Way::ErrorEvent => kind == Kind::Native && is_streamed,
                    Way::Well | Way::Refuses => false,
                };
                let error = if is_relayed || !fields.is_empty() {
                    let told = told(&answer, is_streamed);
                    assert_eq!(
                        (&told["status"], &told["model"]),
                        (&json!("failed"), &json!("m"))
                    );
                    if *way == Way::FailedResponse {
                        assert_eq!(told["id"], "resp_2", "{row}");
                    }
                    told["error"].clone()
                } else {
                    assert_eq!(answer.status, 400, "{row}: {}", answer.text());
                    answer.json()["error"].clone()
                };
                assert_eq!(error["message"], TOO_LONG, "{row}");
                // A native provider's refusal is told as it is.
                if kind != Kind::Native || is_relayed || !fields.is_empty() {
                    assert_eq!(error["code"], "context_length_exceeded", "{row}");
                }
                assert!(three.all_are_closed(), "{row}");
            }
        }
    }
}
