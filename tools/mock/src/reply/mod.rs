//! The contents of answers: bodies and stream events of every endpoint and flavour.

mod anthropic;
mod calls;
mod items;
mod lists;
mod openai;
mod responses;
pub(crate) mod seal;

use std::borrow::Cow;

use crate::answer::Answer;
use crate::ask::{Ask, Flavour, Route};
use crate::endpoint::Endpoint;
use crate::others;

pub(crate) use lists::models_body;

/// The inputs of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice<'a> {
    pub(crate) route: &'a Route,
    pub(crate) ask: &'a Ask,
    pub(crate) answer: &'a Answer,
    /// The instance's name.
    pub(crate) name: &'a str,
    /// The number of the request, from which ids are made.
    pub(crate) number: u64,
}

/// A stream without its framing: its first events, the form of a content event, its last events.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) opening: Vec<Event>,
    pub(crate) content: Form,
    pub(crate) pieces: Pieces,
    pub(crate) closing: Vec<Event>,
    /// Whether each event has its number.
    pub(crate) numbered: bool,
}

impl Stream {
    /// All events, the content's included.
    pub(crate) fn into_events(self) -> Vec<Event> {
        let form = &self.content;
        let content = (0..self.pieces.events).map(|index| Event {
            name: form.name,
            data: format!(
                "{}{}{}}}",
                form.before,
                quoted(&self.pieces.piece(index)),
                form.after
            ),
        });
        let mut events = self.opening;
        events.extend(content);
        events.extend(self.closing);
        events
    }
}

/// One event of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: Option<&'static str>,
    pub(crate) data: String,
}

impl Event {
    /// The data, with its number where it has one.
    pub(crate) fn numbered(&self, number: Option<usize>) -> Cow<'_, [u8]> {
        match (number, self.data.strip_suffix('}')) {
            (Some(number), Some(open)) => {
                Cow::Owned(format!("{open},\"sequence_number\":{number}}}").into_bytes())
            }
            (_, _) => Cow::Borrowed(self.data.as_bytes()),
        }
    }
}

/// The form of a content event: the escaped piece stands between the two halves.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) name: Option<&'static str>,
    pub(crate) before: String,
    pub(crate) after: String,
    /// The field that an event is padded with.
    pub(crate) pad: &'static str,
}

/// The text of an answer in words, and how they spread over the events.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    parts: Vec<String>,
    joint: &'static str,
    /// How many words there are; beyond `parts` they repeat from the start.
    pub(crate) count: usize,
    /// How many events carry them.
    pub(crate) events: usize,
}

impl Pieces {
    /// The text of event `index`.
    pub(crate) fn piece(&self, index: usize) -> String {
        self.range(index * self.count / self.events.max(1), self.end_of(index))
    }

    /// All of the text.
    pub(crate) fn text(&self) -> String {
        self.range(0, self.count)
    }

    fn end_of(&self, index: usize) -> usize {
        (index + 1) * self.count / self.events.max(1)
    }

    fn range(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        for (index, part) in self
            .parts
            .iter()
            .cycle()
            .skip(from % self.parts.len().max(1))
            .take(to - from)
            .enumerate()
        {
            if from + index > 0 {
                text.push_str(self.joint);
            }
            text.push_str(part);
        }
        text
    }
}

/// A string as JSON, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Voice<'_> {
    /// The body of an answer that is not streamed.
    pub(crate) fn body(&self) -> String {
        match self.route.endpoint {
            Endpoint::Chat => self.chat_body(),
            Endpoint::Completions => self.completion_body(),
            Endpoint::Embeddings => self.embeddings_body(),
            Endpoint::Messages => self.message_body(),
            Endpoint::CountTokens => format!("{{\"input_tokens\":{}}}", self.prompt_tokens()),
            Endpoint::Responses => self.response_body(),
            Endpoint::InputTokens => format!(
                "{{\"object\":\"response.input_tokens\",\"input_tokens\":{}}}",
                self.prompt_tokens()
            ),
            Endpoint::Compact => self.compaction_body(),
            Endpoint::Other => others::body(&self.ask.model, self.prompt_tokens()),
            Endpoint::Models | Endpoint::Model(_) | Endpoint::Stored { .. } => String::new(),
        }
    }

    /// A body without any content.
    pub(crate) fn empty_body(&self) -> String {
        match self.route.endpoint {
            Endpoint::Messages => self.empty_message_body(),
            Endpoint::Chat | Endpoint::Completions => self.empty_openai_body(),
            Endpoint::Responses => self.empty_response_body(),
            Endpoint::CountTokens
            | Endpoint::InputTokens
            | Endpoint::Compact
            | Endpoint::Other
            | Endpoint::Stored { .. } => "{}".to_owned(),
            Endpoint::Embeddings | Endpoint::Models | Endpoint::Model(_) => {
                "{\"object\":\"list\",\"data\":[]}".to_owned()
            }
        }
    }

    /// The answer as a stream; `None` where the endpoint has none.
    pub(crate) fn stream(&self) -> Option<Stream> {
        match self.route.endpoint {
            Endpoint::Chat | Endpoint::Completions => Some(self.openai_stream()),
            Endpoint::Messages => Some(self.message_stream()),
            Endpoint::Responses => Some(self.response_stream()),
            Endpoint::Embeddings
            | Endpoint::CountTokens
            | Endpoint::InputTokens
            | Endpoint::Compact
            | Endpoint::Stored { .. }
            | Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Other => None,
        }
    }

    /// A stream that ends properly and has no content.
    pub(crate) fn empty_stream(&self) -> Stream {
        match self.route.endpoint {
            Endpoint::Messages => self.empty_message_stream(),
            Endpoint::Responses => self.empty_response_stream(),
            Endpoint::Chat
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::CountTokens
            | Endpoint::InputTokens
            | Endpoint::Compact
            | Endpoint::Stored { .. }
            | Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Other => self.empty_openai_stream(),
        }
    }

    fn model(&self) -> String {
        quoted(&match self.answer.answer_model.as_deref() {
            Some(suffix) if suffix.starts_with('-') => format!("{}{suffix}", self.ask.model),
            Some(model) => model.to_owned(),
            None => self.ask.model.clone(),
        })
    }

    fn id(&self) -> String {
        let kind = match self.route.endpoint {
            Endpoint::Messages | Endpoint::CountTokens => "msg_",
            Endpoint::Completions => "cmpl-",
            Endpoint::Chat
            | Endpoint::Embeddings
            | Endpoint::Responses
            | Endpoint::InputTokens
            | Endpoint::Compact
            | Endpoint::Stored { .. }
            | Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Other => "chatcmpl-",
        };
        match self.route.flavour {
            Flavour::Ollama => format!("{kind}{}", self.number % 999),
            Flavour::OpenAi | Flavour::Azure => format!("{kind}{}-{}", self.name, self.number),
            Flavour::Anthropic => format!("{kind}{}_{}", self.name, self.number),
        }
    }

    /// What streams: the text, or the arguments of the last call.
    fn pieces(&self) -> Pieces {
        if let Some(call) = self.calls().last() {
            return call.pieces();
        }
        let parts = self.words();
        let natural = parts
            .len()
            .min(self.ask.max_tokens.unwrap_or(usize::MAX).max(1));
        let count = self
            .answer
            .completion_tokens
            .or(self.answer.events)
            .unwrap_or(natural);
        let events = self.answer.events.unwrap_or(count);
        Pieces {
            parts,
            joint: " ",
            count,
            events,
        }
    }

    fn words(&self) -> Vec<String> {
        let text = match &self.answer.text {
            Some(text) => text.clone(),
            None => format!("mock {}: {}", self.name, self.start_of_question()),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn start_of_question(&self) -> String {
        self.ask.last_user.chars().take(64).collect()
    }

    fn was_cut_short(&self) -> bool {
        let scripted = self.answer.completion_tokens.is_some() || self.answer.events.is_some();
        let natural = self.words().len();
        !scripted && self.ask.max_tokens.is_some_and(|most| most < natural)
    }

    fn prompt_tokens(&self) -> u64 {
        let estimate = self.ask.characters.div_ceil(4);
        self.answer
            .prompt_tokens
            .unwrap_or(u64::try_from(estimate).unwrap_or(u64::MAX))
    }

    fn completion_tokens(&self) -> u64 {
        let count = self
            .answer
            .completion_tokens
            .unwrap_or_else(|| self.pieces().count);
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// The time at which everything was made: answers depend only on the request.
const CREATED: u64 = 1_730_000_000;

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
