//! OpenAI's Responses.

use serde_json::Value;

use super::calls::Call;
use super::items::{Called, Item, Kind, event};
use super::{CREATED, Event, Stream, Voice, quoted, seal};
use crate::answer::{Deed, SCRIPTED, UsagePolicy};

/// How a response ends, or where it stands.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    status: &'a str,
    /// The rendered values of `error` and `incomplete_details`.
    error: &'a str,
    incomplete: &'a str,
}

const RUNNING: Standing<'_> = Standing {
    status: "in_progress",
    error: "null",
    incomplete: "null",
};

impl Voice<'_> {
    /// The body of an answer that is not streamed.
    pub(super) fn response_body(&self) -> String {
        if self.ask.background {
            let queued = Standing {
                status: "queued",
                ..RUNNING
            };
            return self.response(queued, "", "null");
        }
        self.finished_response()
    }

    /// The response at its end, as it is stored.
    pub(crate) fn finished_response(&self) -> String {
        let end = self.end();
        let items = self.items();
        let last = items.len().saturating_sub(1);
        let output: Vec<String> = items
            .iter()
            .enumerate()
            .map(|(place, item)| {
                let status = if place == last {
                    end.status
                } else {
                    "completed"
                };
                item.json(status, &item.text)
            })
            .collect();
        self.response(end, &output.join(","), &self.response_usage())
    }

    /// The id of the response.
    pub(crate) fn response_id(&self) -> String {
        format!("resp_{}_{}", self.name, self.number)
    }

    fn end(&self) -> Standing<'static> {
        let short = self.calls().is_empty() && self.was_cut_short();
        if short {
            Standing {
                status: "incomplete",
                incomplete: "{\"reason\":\"max_output_tokens\"}",
                ..RUNNING
            }
        } else {
            Standing {
                status: "completed",
                ..RUNNING
            }
        }
    }

    /// A response that failed.
    pub(crate) fn failed_response(&self) -> String {
        let error = format!(
            "{{\"code\":{},\"message\":{}}}",
            quoted(self.failure_code()),
            quoted(self.failure_text())
        );
        let failed = Standing {
            status: "failed",
            error: &error,
            ..RUNNING
        };
        self.response(failed, "", "null")
    }

    /// The event with which a stream of responses fails.
    pub(crate) fn failure_event(&self) -> Event {
        match self.answer.deed {
            Deed::FailedBeforeContent | Deed::FailedMidStream => event(
                "response.failed",
                &format!(",\"response\":{}", self.failed_response()),
            ),
            _ => event(
                "error",
                &format!(
                    ",\"code\":{},\"message\":{},\"param\":null",
                    quoted(self.failure_code()),
                    quoted(self.failure_text())
                ),
            ),
        }
    }

    /// A response without an item.
    pub(super) fn empty_response_body(&self) -> String {
        self.response(self.end(), "", &self.response_usage())
    }

    /// A stream that begins and ends a response without an item.
    pub(super) fn empty_response_stream(&self) -> Stream {
        Stream {
            opening: self.first_events(),
            closing: vec![self.last_event(&self.empty_response_body())],
            numbered: true,
            ..Stream::default()
        }
    }

    /// The events of a response; items in front of the last one come whole.
    pub(super) fn response_stream(&self) -> Stream {
        let mut opening = self.first_events();
        let mut items = self.items();
        let last = items.pop();
        for item in &items {
            opening.extend(item.whole());
        }
        let Some(last) = last else {
            return self.empty_response_stream();
        };
        opening.extend(last.opening());
        let mut closing = last.closing(self.end().status);
        closing.push(self.last_event(&self.finished_response()));
        Stream {
            opening,
            content: last.form(),
            pieces: self.pieces(),
            closing,
            numbered: true,
        }
    }

    fn first_events(&self) -> Vec<Event> {
        let response = format!(",\"response\":{}", self.response(RUNNING, "", "null"));
        ["response.created", "response.in_progress"]
            .map(|name| event(name, &response))
            .to_vec()
    }

    fn last_event(&self, response: &str) -> Event {
        let name = match self.end().status {
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        event(name, &format!(",\"response\":{response}"))
    }

    /// The items of the answer: reasoning where the script has some, then calls or a message.
    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(text) = &self.answer.reasoning {
            let sealed = self.ask.encrypts.then(|| seal::of(self.name, self.number));
            items.push(self.item(0, Kind::Reasoning(sealed), text.clone()));
        }
        for call in self.calls() {
            let item = self.call_item(items.len(), call);
            items.push(item);
        }
        if items
            .iter()
            .all(|item| matches!(item.kind, Kind::Reasoning(_)))
        {
            items.push(self.item(items.len(), Kind::Message, self.pieces().text()));
        }
        items
    }

    fn call_item(&self, place: usize, call: Call) -> Item {
        let offered = self.ask.kinds.get(&call.name);
        let called = Called {
            id: format!("call_{}", call.id),
            name: offered.map_or_else(|| call.name.clone(), |offered| offered.name.clone()),
            namespace: offered.and_then(|offered| offered.namespace.clone()),
        };
        let kind = if offered.is_some_and(|offered| offered.is_custom) {
            Kind::Custom
        } else {
            Kind::Function
        };
        Item {
            call: called,
            ..self.item(place, kind, call.arguments)
        }
    }

    fn item(&self, place: usize, kind: Kind, text: String) -> Item {
        Item {
            id: format!("{}_{}_{}_{place}", kind.prefix(), self.name, self.number),
            place,
            kind,
            call: Called::default(),
            text,
        }
    }

    fn response_usage(&self) -> String {
        if self.answer.usage == UsagePolicy::Never {
            return "null".to_owned();
        }
        let thinking = self.answer.thinking_tokens;
        let (input, output) = (
            self.prompt_tokens(),
            self.completion_tokens().saturating_add(thinking),
        );
        format!(
            "{{\"input_tokens\":{input},\"input_tokens_details\":{{\"cached_tokens\":{},\
             \"cache_write_tokens\":0}},\"output_tokens\":{output},\
             \"output_tokens_details\":{{\"reasoning_tokens\":{thinking}}},\"total_tokens\":{}}}",
            self.answer.cached_tokens,
            input.saturating_add(output)
        )
    }

    fn response(&self, standing: Standing<'_>, output: &str, usage: &str) -> String {
        let said = |key: &str, usual: &str| {
            let value = self.ask.said.get(key).filter(|value| !value.is_null());
            value.map_or_else(|| usual.to_owned(), Value::to_string)
        };
        let Standing {
            status,
            error,
            incomplete,
        } = standing;
        let echo: String = ECHOED
            .iter()
            .map(|(key, usual)| format!(",\"{key}\":{}", said(key, usual)))
            .collect();
        format!(
            "{{\"id\":\"{}\",\"object\":\"response\",\"created_at\":{CREATED},\
             \"status\":\"{status}\",\"background\":{},\"error\":{error},\
             \"incomplete_details\":{incomplete},\"model\":{},\"output\":[{output}],\
             \"service_tier\":\"default\"{echo},\"usage\":{usage}}}",
            self.response_id(),
            self.ask.background,
            self.model(),
        )
    }

    /// The answer to a request for a shorter history.
    pub(super) fn compaction_body(&self) -> String {
        format!(
            "{{\"id\":\"resp_{0}_{1}\",\"object\":\"response.compaction\",\
             \"created_at\":{CREATED},\"output\":[{{\"id\":\"cmp_{0}_{1}\",\
             \"type\":\"compaction\",\"encrypted_content\":\"{2}\"}}],\"usage\":{3}}}",
            self.name,
            self.number,
            seal::of(self.name, self.number),
            self.response_usage(),
        )
    }

    fn failure_code(&self) -> &str {
        self.answer.error_code.as_deref().unwrap_or("server_error")
    }

    fn failure_text(&self) -> &str {
        let text = self.answer.error_message.as_deref();
        text.unwrap_or(SCRIPTED)
    }
}

/// What a response repeats of its request, and what stands there otherwise.
const ECHOED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "1.0"),
    (
        "text",
        "{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"}",
    ),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];
