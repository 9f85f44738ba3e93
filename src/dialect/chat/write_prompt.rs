//! Writes a prompt as a chat completions request (rules MR of reference/messages-inbound.md).
//!
//! The body is written from scratch: models refuse keys that are not theirs. A refused prompt
//! leaves nothing behind.

use crate::dialect::chat::lessons::{Key, Keys};
use crate::dialect::chat::model::{Class, Length, Sampling, Serial, class_of};
use crate::dialect::compose::Composer;
use crate::dialect::digest;
use crate::dialect::names::Names;
use crate::dialect::person;
use crate::dialect::prompt::{Format, Named, Prompt};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json;

mod answer;
mod conversation;
mod effort;
mod pieces;
mod results;
mod strict;
mod tools;

/// The model that a request goes to.
#[derive(Clone, Copy, Debug)]
pub struct ChatModel<'m> {
    /// What the provider calls it.
    pub id: &'m str,
    /// What serves it.
    pub host: Host,
    /// Most tokens that it gives in one answer, where that is known.
    pub max_output: Option<u64>,
    /// Keys that the provider was seen to refuse.
    pub left_out: Keys,
    /// Whether the answer is to be streamed.
    pub stream: Stream,
}

/// What serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Ollama: it fetches no pictures, reads no PDFs, and knows `max_tokens` alone.
    Ollama,
    /// Any other server.
    Other,
}

/// Whether an answer is to be streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// It is not.
    No,
    /// It is.
    Plain,
    /// It is, and is to end with its usage.
    WithUsage,
}

/// What must be remembered of a request that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Names to be restored in the answer.
    pub names: Names,
    /// The keys that infermux has derived.
    pub sent: Keys,
}

/// Appends the chat completions request for `prompt`.
///
/// # Errors
/// The prompt has a part that chat completions, or this host, cannot carry; nothing has been
/// appended.
pub fn write(
    prompt: &Prompt<'_>,
    model: &ChatModel<'_>,
    out: &mut Vec<u8>,
) -> Result<Written, Unsupported> {
    let start = out.len();
    let mut writer = Writer {
        prompt,
        model,
        class: class_of(model.id),
        written: Written::default(),
    };
    match writer.write(out) {
        Ok(()) => Ok(writer.written),
        Err(fault) => {
            out.truncate(start);
            Err(fault)
        }
    }
}

struct Writer<'w> {
    prompt: &'w Prompt<'w>,
    model: &'w ChatModel<'w>,
    class: &'static Class,
    written: Written,
}

impl Writer<'_> {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), Unsupported> {
        let mut body = Composer::object(out);
        body.string("model", self.model.id);
        self.write_messages(body.member("messages"))?;
        self.write_length(&mut body);
        self.write_sampling(&mut body);
        self.write_logprobs(&mut body);
        self.write_tools(&mut body);
        self.write_effort(&mut body);
        self.write_format(&mut body);
        self.write_user(&mut body);
        match self.model.stream {
            Stream::No => {}
            Stream::Plain => body.raw("stream", b"true"),
            Stream::WithUsage => {
                body.raw("stream", b"true");
                body.raw("stream_options", br#"{"include_usage":true}"#);
            }
        }
        body.end();
        Ok(())
    }

    /// Begins the member `key`, unless the provider refuses it.
    fn derived<'o>(&mut self, key: Key, body: &'o mut Composer<'_>) -> Option<&'o mut Vec<u8>> {
        if self.model.left_out.has(key) {
            return None;
        }
        self.written.sent = self.written.sent.with(key);
        Some(body.member(key.name()))
    }

    fn write_length(&mut self, body: &mut Composer<'_>) {
        let Some(asked) = self.prompt.max_tokens else {
            return;
        };
        let (first, other) = match (self.model.host, self.class.length) {
            (Host::Ollama, _) | (Host::Other, Length::MaxTokens) => {
                (Key::MaxTokens, Key::MaxCompletionTokens)
            }
            (Host::Other, Length::MaxCompletionTokens) => {
                (Key::MaxCompletionTokens, Key::MaxTokens)
            }
        };
        // A server that refuses one of the fields is given the other one.
        let key = if self.model.left_out.has(first) {
            other
        } else {
            first
        };
        let Some(out) = self.derived(key, body) else {
            return;
        };
        let count = std::str::from_utf8(asked)
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        match (count, self.model.max_output) {
            (Some(count), Some(most)) if count > most => {
                out.extend_from_slice(itoa::Buffer::new().format(most).as_bytes());
            }
            (_, _) => out.extend_from_slice(asked),
        }
    }

    fn write_sampling(&mut self, body: &mut Composer<'_>) {
        match self.class.sampling {
            Sampling::Accepted => {}
            Sampling::Refused => return,
        }
        for (key, value) in [
            (Key::Temperature, self.prompt.temperature),
            (Key::TopP, self.prompt.top_p),
        ] {
            if let Some(value) = value
                && !self.model.left_out.has(key)
            {
                // A refusal of a value that Messages do not know says nothing about the key.
                if is_share(value) {
                    self.written.sent = self.written.sent.with(key);
                }
                body.raw(key.name(), value);
            }
        }
        if !self.prompt.stop.is_empty() {
            let mut list = Composer::array(body.member("stop"));
            for one in &self.prompt.stop {
                list.element().extend_from_slice(one);
            }
            list.end();
        }
    }

    fn write_tools(&mut self, body: &mut Composer<'_>) {
        let prompt = self.prompt;
        if prompt.tools.is_empty() {
            return;
        }
        tools::write(&prompt.tools, &mut self.written.names, body.member("tools"));
        if let Some(choice) = &prompt.choice {
            tools::write_choice(choice, &mut self.written.names, body.member("tool_choice"));
        }
        if prompt.is_serial
            && self.class.serial == Serial::Accepted
            && let Some(out) = self.derived(Key::ParallelToolCalls, body)
        {
            out.extend_from_slice(b"false");
        }
    }

    fn write_logprobs(&mut self, body: &mut Composer<'_>) {
        if let Some(logprobs) = self.prompt.logprobs
            && let Some(out) = self.derived(Key::Logprobs, body)
        {
            out.extend_from_slice(b"true");
            body.raw_if("top_logprobs", logprobs.alternatives);
        }
    }

    fn write_effort(&mut self, body: &mut Composer<'_>) {
        if let Some(name) = self.effort()
            && let Some(out) = self.derived(Key::ReasoningEffort, body)
        {
            out.extend_from_slice(&name);
        }
    }

    fn write_format(&self, body: &mut Composer<'_>) {
        match self.prompt.format {
            Format::Free => {}
            Format::Object => body.raw("response_format", br#"{"type":"json_object"}"#),
            Format::Schema { schema, named, .. } => {
                let named = named.unwrap_or_else(|| Named {
                    is_strict: strict::is_strict(&schema),
                    ..Named::default()
                });
                let mut format = Composer::object(body.member("response_format"));
                format.string("type", "json_schema");
                let mut inner = Composer::object(format.member("json_schema"));
                inner.raw("name", named.name.unwrap_or(br#""output""#));
                inner.raw_if("description", named.description);
                inner.raw_if("strict", named.is_strict.then_some(b"true"));
                inner.raw("schema", schema.text);
                inner.end();
                format.end();
            }
        }
    }

    /// The end user, for OpenAI's models alone: strict servers refuse the key.
    fn write_user(&mut self, body: &mut Composer<'_>) {
        let Some(user) = self.prompt.user.as_deref() else {
            return;
        };
        if !self.class.is_openai || user.is_empty() || person::is_personal(user) {
            return;
        }
        let Some(out) = self.derived(Key::User, body) else {
            return;
        };
        if user.chars().count() > USER_CHARS_MAX {
            json::write_string(&digest::hex(user.as_bytes()), out);
        } else {
            json::write_string(user, out);
        }
    }
}

/// Longest `user` that OpenAI takes, in characters.
const USER_CHARS_MAX: usize = 64;
/// Whether a JSON number is from 0 to 1, as Messages want it for sampling.
fn is_share(number: &[u8]) -> bool {
    let text = std::str::from_utf8(number).ok();
    let number = text.and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(|number| (0.0..=1.0).contains(&number))
}
