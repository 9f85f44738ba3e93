//! Providers of Responses that know their own ids alone, as those of OpenAI do.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::canned::{self, Recorder};
use crate::support::client::Answer;

/// A provider that stores responses. Each of its ids and sealed contents has its name within.
pub struct Native {
    name: &'static str,
    recorder: Recorder,
}

impl Native {
    /// Starts one.
    pub fn start(name: &'static str) -> Self {
        let made = Arc::new(AtomicUsize::new(0));
        let recorder = Recorder::by(move |head, body| answer(name, &made, head, body));
        Self { name, recorder }
    }

    /// Its part of a configuration: it serves the model `m`, unless `fields` say otherwise.
    pub fn provider(&self, fields: &[&str]) -> String {
        let usual = [
            "type: openai".to_owned(),
            "api_key: sk-0123456789abcdef".to_owned(),
            format!("base_url: \"http://{}/v1\"", self.recorder.addr()),
            "health_check: {disabled: true}".to_owned(),
            "responses: native".to_owned(),
        ];
        let mut text = format!("  - name: {}\n", self.name);
        let models = ["models: [m]"];
        let has_models = fields.iter().any(|field| field.starts_with("models"));
        let models = models.iter().filter(|_| !has_models);
        let lines = usual.iter().map(String::as_str);
        for line in lines.chain(models.copied()).chain(fields.iter().copied()) {
            text.push_str(&format!("    {line}\n"));
        }
        text
    }

    /// The request lines and bodies that it has seen; a body that is not JSON is `null`.
    pub fn seen(&self) -> Vec<(String, Value)> {
        let seen = self.recorder.seen();
        let split = |message: &Vec<u8>| {
            let (head, body) = canned::halves(message);
            let line = head.lines().next().unwrap_or_default();
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            (line, serde_json::from_slice(&body).unwrap_or_default())
        };
        seen.iter().map(split).collect()
    }
}

/// The data of the events of a stream.
pub fn data_of(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

fn answer(name: &str, made: &AtomicUsize, head: &str, body: &[u8]) -> Vec<u8> {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match path.strip_prefix("/v1/responses") {
        Some("") if method == "POST" => created(name, made, &body),
        Some(rest) if rest.starts_with('/') => stored(name, method, (&rest[1..], query)),
        _ => error(404, "", "not_found", "no such path"),
    }
}

fn created(name: &str, made: &AtomicUsize, body: &Value) -> Vec<u8> {
    let own = |id: &str| id.contains(name);
    if let Some(id) = body["previous_response_id"].as_str().filter(|id| !own(id)) {
        let message = format!("Previous response with id '{id}' not found.");
        let code = "previous_response_not_found";
        return error(400, "previous_response_id", code, &message);
    }
    for item in body["input"].as_array().into_iter().flatten() {
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        if text("type") == "item_reference" && !own(text("id")) {
            let message = format!("Item with id '{}' not found.", text("id"));
            return error(404, "input", "", &message);
        }
        if item["encrypted_content"].is_string() && !own(text("encrypted_content")) {
            let message = "The encrypted content could not be verified.";
            return error(400, "", "invalid_encrypted_content", message);
        }
    }
    let number = made.fetch_add(1, Ordering::Relaxed);
    let goes_on = body["background"] == json!(true);
    let response = response(name, number, goes_on);
    if body["stream"] == json!(true) {
        return events(&response);
    }
    whole(200, &response)
}

fn response(name: &str, number: usize, goes_on: bool) -> Value {
    let id = |prefix: &str| format!("{prefix}_{name}_{number}");
    let (status, usage) = if goes_on {
        ("queued", Value::Null)
    } else {
        let usage = json!({
            "input_tokens": 1_000, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 500, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 1_500,
        });
        ("completed", usage)
    };
    let output = json!([
        {"type": "reasoning", "id": id("rs"), "summary": [], "encrypted_content": id("enc")},
        {"type": "message", "id": id("msg"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": name, "annotations": []}]},
    ]);
    json!({
        "id": id("resp"), "object": "response", "created_at": 1_790_000_000, "status": status,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
        "model": "upstream-2026-08-06", "output": if goes_on { json!([]) } else { output },
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "usage": usage,
    })
}

fn events(response: &Value) -> Vec<u8> {
    let mut begun = response.clone();
    begun["output"] = json!([]);
    begun["status"] = json!("in_progress");
    begun["usage"] = Value::Null;
    let mut all = vec![json!({"type": "response.created", "response": begun})];
    for (place, item) in response["output"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        all.push(json!({
            "type": "response.output_item.done", "output_index": place, "item": item,
        }));
    }
    all.push(json!({"type": "response.completed", "response": response}));
    let mut text = String::new();
    for (number, mut event) in all.into_iter().enumerate() {
        event["sequence_number"] = json!(number);
        let kind = event["type"].as_str().unwrap_or_default();
        text.push_str(&format!("event: {kind}\ndata: {event}\n\n"));
    }
    message(200, "text/event-stream", text.as_bytes())
}

fn stored(name: &str, method: &str, (rest, query): (&str, &str)) -> Vec<u8> {
    let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
    if !id.contains(name) {
        let message = format!("Response with id '{id}' not found.");
        return error(404, "", "", &message);
    }
    let number = id.rsplit('_').next().and_then(|end| end.parse().ok());
    let whole_response = response(name, number.unwrap_or(0), false);
    match (method, part) {
        ("GET", "") if query.contains("stream=true") => events(&whole_response),
        ("GET", "") => whole(200, &whole_response),
        ("DELETE", "") => whole(
            200,
            &json!({"id": id, "object": "response", "deleted": true}),
        ),
        ("GET", "input_items") => {
            whole(200, &json!({"object": "list", "data": [], "query": query}))
        }
        ("POST", "cancel") => whole(200, &whole_response),
        _ => error(405, "", "", "no"),
    }
}

fn error(status: u16, param: &str, code: &str, text: &str) -> Vec<u8> {
    let or_null = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    let error = json!({
        "message": text, "type": "invalid_request_error", "param": or_null(param),
        "code": or_null(code),
    });
    whole(status, &json!({"error": error}))
}

fn whole(status: u16, body: &Value) -> Vec<u8> {
    message(status, "application/json", body.to_string().as_bytes())
}

fn message(status: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
