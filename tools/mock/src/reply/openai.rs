//! OpenAI's chat and legacy completions, with the ways of Azure and Ollama.

use std::fmt::Write as _;

use super::calls::Call;
use super::{CREATED, Event, Form, Stream, Voice, quoted};
use crate::answer::UsagePolicy;
use crate::ask::Flavour;
use crate::endpoint::Endpoint;

impl Voice<'_> {
    pub(super) fn chat_body(&self) -> String {
        let calls = self.calls();
        let message = if calls.is_empty() {
            let text = quoted(&self.pieces().text());
            let rest = match self.route.flavour {
                Flavour::Ollama => "",
                Flavour::OpenAi | Flavour::Azure | Flavour::Anthropic => {
                    ",\"refusal\":null,\"annotations\":[]"
                }
            };
            let thought = self.thought();
            format!("{{\"role\":\"assistant\"{thought},\"content\":{text}{rest}}}")
        } else {
            let calls = whole_calls(&calls, 0).join(",");
            let thought = self.thought();
            format!("{{\"role\":\"assistant\"{thought},\"content\":null,\"tool_calls\":[{calls}]}}")
        };
        let choice = format!("\"message\":{message}{}", self.log_probabilities());
        self.whole(&choice)
    }

    /// The member of a message or delta that has the model's reasoning; nothing where it has none.
    fn thought(&self) -> String {
        let key = match self.route.flavour {
            Flavour::Ollama => "reasoning",
            Flavour::OpenAi | Flavour::Azure | Flavour::Anthropic => "reasoning_content",
        };
        let text = self.answer.reasoning.as_ref();
        text.map_or_else(String::new, |text| format!(",\"{key}\":{}", quoted(text)))
    }

    pub(super) fn completion_body(&self) -> String {
        let text = quoted(&self.pieces().text());
        self.whole(&format!("\"text\":{text}{}", self.log_probabilities()))
    }

    fn log_probabilities(&self) -> &'static str {
        if self.route.flavour == Flavour::Ollama {
            ""
        } else {
            ",\"logprobs\":null"
        }
    }

    fn whole(&self, choice: &str) -> String {
        let (filters, prompt_filters) = match self.route.flavour {
            Flavour::Azure => (FILTERS, PROMPT_FILTERS),
            Flavour::OpenAi | Flavour::Ollama | Flavour::Anthropic => ("", ""),
        };
        format!(
            "{},\"choices\":[{{\"index\":0,{choice},\"finish_reason\":\"{}\"{filters}}}]\
             {}{prompt_filters}}}",
            self.opened(self.object(Shape::Whole)),
            self.finish_reason(),
            self.usage_field(UsagePlace::Body),
        )
    }

    fn finish_reason(&self) -> &'static str {
        if self.calls_tools() {
            "tool_calls"
        } else if self.was_cut_short() {
            "length"
        } else {
            "stop"
        }
    }

    /// Whether the answer is calls: of the chat endpoint alone.
    fn calls_tools(&self) -> bool {
        self.route.endpoint == Endpoint::Chat && !self.calls().is_empty()
    }

    fn object(&self, shape: Shape) -> &'static str {
        match (&self.route.endpoint, shape) {
            (Endpoint::Completions, Shape::Whole | Shape::Chunk) => "text_completion",
            (_, Shape::Whole) => "chat.completion",
            (_, Shape::Chunk) => "chat.completion.chunk",
        }
    }

    /// The start of an OpenAI object, up to its choices.
    fn opened(&self, object: &str) -> String {
        let tail = match self.route.flavour {
            Flavour::Ollama => ",\"system_fingerprint\":\"fp_ollama\"",
            Flavour::OpenAi => ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"",
            Flavour::Azure => ",\"system_fingerprint\":\"fp_mock\"",
            Flavour::Anthropic => "",
        };
        format!(
            "{{\"id\":\"{}\",\"object\":\"{object}\",\"created\":{CREATED},\"model\":{}{tail}",
            self.id(),
            self.model()
        )
    }

    fn usage_field(&self, place: UsagePlace) -> String {
        let asked = self.ask.include_usage;
        let policy = self.answer.usage;
        let separate = policy == UsagePolicy::Always || (policy == UsagePolicy::Asked && asked);
        let zero_everywhere = self.route.flavour == Flavour::Ollama
            && self.route.endpoint == Endpoint::Completions
            && separate;
        let present = match place {
            UsagePlace::Body => policy != UsagePolicy::Never,
            UsagePlace::OwnChunk => separate,
            UsagePlace::FinishChunk => policy == UsagePolicy::OnFinishChunk,
            UsagePlace::OtherChunk => false,
        };
        if present {
            return format!(",\"usage\":{}", self.usage());
        }
        match place {
            UsagePlace::OtherChunk | UsagePlace::FinishChunk if zero_everywhere => {
                ",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}"
                    .to_owned()
            }
            UsagePlace::OtherChunk | UsagePlace::FinishChunk
                if separate && self.route.flavour != Flavour::Ollama =>
            {
                ",\"usage\":null".to_owned()
            }
            UsagePlace::Body
            | UsagePlace::OwnChunk
            | UsagePlace::FinishChunk
            | UsagePlace::OtherChunk => String::new(),
        }
    }

    fn usage(&self) -> String {
        let (prompt, completion) = (self.prompt_tokens(), self.completion_tokens());
        let mut usage = format!(
            "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{}",
            prompt
                .saturating_add(completion)
                .saturating_add(self.answer.thinking_tokens)
        );
        if self.route.flavour != Flavour::Ollama {
            let _ = write!(
                usage,
                ",\"prompt_tokens_details\":{{\"cached_tokens\":{},\"audio_tokens\":0}},\
                 \"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0}}",
                self.answer.cached_tokens
            );
        }
        usage.push('}');
        usage
    }

    pub(super) fn openai_stream(&self) -> Stream {
        let mut pieces = self.pieces();
        let other = self.usage_field(UsagePlace::OtherChunk);
        let mut opening: Vec<Event> = self.filter_report().into_iter().collect();
        let first = self.first_delta();
        opening.extend(first.map(|delta| self.chunk(&delta, "null", &other)));
        if self.calls_tools() && self.route.flavour == Flavour::Ollama {
            // The first delta had the whole call.
            pieces.events = 0;
        }
        let (before, after) = self.content_delta();
        let filters = if self.route.flavour == Flavour::Azure {
            FILTERS
        } else {
            ""
        };
        let opened = self.opened(self.object(Shape::Chunk));
        let logprobs = self.log_probabilities();
        let content = Form {
            name: None,
            before: format!("{opened},\"choices\":[{{\"index\":0,{before}"),
            after: format!("{after}{logprobs},\"finish_reason\":null{filters}}}]{other}"),
            pad: "obfuscation",
        };
        let chat = self.route.endpoint == Endpoint::Chat;
        let last = if chat {
            "\"delta\":{}"
        } else {
            "\"text\":\"\""
        };
        let finish = format!("\"{}\"", self.finish_reason());
        let on_finish = self.usage_field(UsagePlace::FinishChunk);
        let mut closing = vec![self.chunk(last, &finish, &on_finish)];
        let usage = self.usage_field(UsagePlace::OwnChunk);
        if !usage.is_empty() {
            closing.push(Event {
                name: None,
                data: format!("{opened},\"choices\":[]{usage}}}"),
            });
        }
        closing.push(Event {
            name: None,
            data: "[DONE]".to_owned(),
        });
        Stream {
            opening,
            content,
            pieces,
            closing,
            numbered: false,
        }
    }

    /// A stream of one chunk that has no choice.
    pub(super) fn empty_openai_stream(&self) -> Stream {
        let data = format!(
            "{},\"choices\":[]}}",
            self.opened(self.object(Shape::Chunk))
        );
        Stream {
            opening: vec![Event { name: None, data }],
            closing: vec![Event {
                name: None,
                data: "[DONE]".to_owned(),
            }],
            ..Stream::default()
        }
    }

    /// An answer without a choice.
    pub(super) fn empty_openai_body(&self) -> String {
        let usage = self.usage_field(UsagePlace::Body);
        format!(
            "{},\"choices\":[]{usage}}}",
            self.opened(self.object(Shape::Whole))
        )
    }

    fn chunk(&self, delta: &str, finish: &str, usage: &str) -> Event {
        let data = format!(
            "{},\"choices\":[{{\"index\":0,{delta}{},\"finish_reason\":{finish}}}]{usage}}}",
            self.opened(self.object(Shape::Chunk)),
            self.log_probabilities()
        );
        Event { name: None, data }
    }

    /// The chunk without id and choices that Azure begins with.
    fn filter_report(&self) -> Option<Event> {
        let data = format!(
            "{{\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[]\
             {PROMPT_FILTERS}}}"
        );
        (self.route.flavour == Flavour::Azure).then_some(Event { name: None, data })
    }

    /// The delta that names the role and the calls. All are whole but the last one, whose arguments
    /// follow; Ollama sends that one whole, too.
    fn first_delta(&self) -> Option<String> {
        let ollama = self.route.flavour == Flavour::Ollama;
        if self.route.endpoint != Endpoint::Chat {
            return None;
        }
        let (calls, thought) = (self.calls(), self.thought());
        if !calls.is_empty() {
            let open = usize::from(!ollama);
            let calls = whole_calls(&calls, open).join(",");
            return Some(format!(
                "\"delta\":{{\"role\":\"assistant\"{thought},\"content\":null,\
                 \"tool_calls\":[{calls}]}}"
            ));
        }
        let rest = if ollama { "" } else { ",\"refusal\":null" };
        Some(format!(
            "\"delta\":{{\"role\":\"assistant\"{thought},\"content\":\"\"{rest}}}"
        ))
    }

    /// The text before and behind the piece in the delta of a content chunk.
    fn content_delta(&self) -> (String, &'static str) {
        if self.route.endpoint == Endpoint::Completions {
            return ("\"text\":".to_owned(), "");
        }
        match self.calls().len().checked_sub(1) {
            Some(last) => (
                format!(
                    "\"delta\":{{\"tool_calls\":[{{\"index\":{last},\"function\":{{\"arguments\":"
                ),
                "}}]}",
            ),
            None => ("\"delta\":{\"content\":".to_owned(), "}"),
        }
    }
}

/// The calls of an answer; the arguments of the last `open` ones are left out.
fn whole_calls(calls: &[Call], open: usize) -> Vec<String> {
    let whole = calls.len().saturating_sub(open);
    let call = |(index, call): (usize, &Call)| {
        let arguments = if index < whole { &call.arguments } else { "" };
        format!(
            "{{\"index\":{index},\"id\":\"call_{}\",\"type\":\"function\",\
             \"function\":{{\"name\":{},\"arguments\":{}}}}}",
            call.id,
            quoted(&call.name),
            quoted(arguments)
        )
    };
    calls.iter().enumerate().map(call).collect()
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Whole,
    Chunk,
}

#[derive(Debug, Clone, Copy)]
enum UsagePlace {
    Body,
    OwnChunk,
    FinishChunk,
    OtherChunk,
}

const FILTERS: &str = ",\"content_filter_results\":{\
    \"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"violence\":{\"filtered\":false,\"severity\":\"safe\"}}";
const PROMPT_FILTERS: &str = ",\"prompt_filter_results\":[{\"prompt_index\":0,\
    \"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"jailbreak\":{\"filtered\":false,\"detected\":false}}}]";
