//! A chat completions request as a Messages request (rules Q of reference/translation.md).
//!
//! The body is built from scratch, since the API refuses unknown keys. Everything is read before
//! the first byte is written, so that a refused request leaves nothing behind.

use std::borrow::Cow;
use std::fmt::Display;

use crate::base::limits::DROPPED_NAMES_MAX;
use crate::dialect::ask::Ask;
use crate::dialect::compose::Composer;
use crate::dialect::fields;
use crate::dialect::messages::model::{self, Class};
use crate::dialect::person;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

use format::Format;
use messages::Conversation;
use numbers::{Lengths, Sampled};
use thinking::Thought;
use tools::Tools;

mod blocks;
mod files;
mod format;
mod ids;
mod messages;
mod numbers;
mod parts;
mod schema;
mod thinking;
mod tools;

/// Parameters that were left out, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Their names as the caller wrote them, up to [`DROPPED_NAMES_MAX`].
    pub names: Vec<String>,
    /// How many more there were.
    pub more: usize,
}

impl Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(","))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Dropped {
    fn add(&mut self, name: &str) {
        if self.names.len() < DROPPED_NAMES_MAX {
            self.names.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Notes `name` if it was given and is not sent.
    fn add_unless(&mut self, name: &str, given: Option<&Value<'_>>, sent: bool) {
        if given.is_some() && !sent {
            self.add(name);
        }
    }
}

/// Appends the Messages request for `body`. `ask` was read from `body`.
///
/// # Errors
/// A part of the request that shapes the answer has no equivalent, or is malformed; nothing has
/// been appended.
pub fn write(
    body: &[u8],
    ask: &Ask<'_>,
    upstream_model: &str,
    out: &mut Vec<u8>,
) -> Result<Dropped, Unsupported> {
    let class = model::class_of(upstream_model);
    let (request, dropped) = Request::read(body, class).map_err(|fault| Unsupported {
        place: fault.place.trim_start_matches('.').to_owned(),
        ..fault
    })?;
    request.write(ask, upstream_model, out);
    Ok(dropped)
}

/// A request that can be sent.
struct Request<'a> {
    conversation: Conversation<'a>,
    lengths: Lengths<'a>,
    sampled: Sampled<'a>,
    stop: Vec<&'a [u8]>,
    tools: Tools<'a>,
    schema: Option<Vec<u8>>,
    thought: Thought<'a>,
    user: Option<Cow<'a, str>>,
    cache: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn read(body: &'a [u8], class: &Class) -> Result<(Self, Dropped), Unsupported> {
        let mut dropped = Dropped::default();
        let (asked, tools) = Asked::read(body, &mut dropped)?;
        let messages = asked
            .messages
            .ok_or_else(|| Unsupported::new("messages", "is missing"))?;
        let mut conversation =
            messages::read(&messages).map_err(|fault| fault.within("messages"))?;
        let choice = [
            ("tool_choice", tools.tool_choice),
            ("function_call", tools.function_call),
        ];
        let tools = tools.read(&conversation)?;
        for (name, value) in choice {
            dropped.add_unless(name, value.as_ref(), tools.has_choice());
        }
        let schema = match format::read(asked.response_format, class)? {
            Format::Free => None,
            Format::Native(schema) => Some(schema),
            Format::Instruction(text) => {
                conversation.instruct(&text);
                None
            }
        };
        let lengths = Lengths::read(asked.max_completion_tokens, asked.max_tokens, class)?;
        let effort = thinking::read_effort(asked.reasoning_effort)?;
        let thought = match asked.thinking {
            Some(given) if given.kind != Kind::Object => {
                return Err(Unsupported::new("thinking", "is not an object"));
            }
            Some(given) => Thought::Given(given.text),
            None => thinking::choose(effort, class, lengths.count(), &tools, &conversation),
        };
        let sampled = Sampled::read([asked.temperature, asked.top_p, asked.top_k])?
            .allowed(class, thought.is_on());
        let (user, stop) = (user(&asked)?, stop(asked.stop)?);
        let request = Self {
            conversation,
            lengths,
            sampled,
            stop,
            tools,
            schema,
            thought,
            user,
            cache: fields::cache_control(asked.cache_control)?,
        };
        request.note_unsent(&asked, &mut dropped);
        Ok((request, dropped))
    }

    /// Notes the parameters that were given and are not sent.
    fn note_unsent(&self, asked: &Asked<'_>, dropped: &mut Dropped) {
        for (name, given, is_sent) in [
            (
                "reasoning_effort",
                &asked.reasoning_effort,
                self.thought.is_on(),
            ),
            (
                "temperature",
                &asked.temperature,
                self.sampled.temperature.is_some(),
            ),
            ("top_p", &asked.top_p, self.sampled.top_p.is_some()),
            ("top_k", &asked.top_k, self.sampled.top_k.is_some()),
            (
                "safety_identifier",
                &asked.safety_identifier,
                self.user.is_some(),
            ),
            ("user", &asked.user, self.user.is_some()),
            ("stop", &asked.stop, !self.stop.is_empty()),
        ] {
            dropped.add_unless(name, given.as_ref(), is_sent);
        }
    }

    fn write(&self, ask: &Ask<'_>, upstream_model: &str, out: &mut Vec<u8>) {
        let mut body = Composer::object(out);
        body.string("model", upstream_model);
        body.raw("max_tokens", &self.lengths.max_tokens);
        if ask.stream {
            body.raw("stream", b"true");
        }
        self.conversation.write(&mut body);
        self.tools.write(&mut body);
        body.raw_if("temperature", self.sampled.temperature);
        body.raw_if("top_p", self.sampled.top_p);
        body.raw_if("top_k", self.sampled.top_k);
        if !self.stop.is_empty() {
            let mut list = Composer::array(body.member("stop_sequences"));
            for one in &self.stop {
                list.element().extend_from_slice(one);
            }
            list.end();
        }
        self.thought.write(&mut body);
        self.write_output_config(&mut body);
        if let Some(user) = &self.user {
            let mut metadata = Composer::object(body.member("metadata"));
            metadata.string("user_id", user);
            metadata.end();
        }
        body.raw_if("cache_control", self.cache);
        body.end();
    }

    fn write_output_config(&self, body: &mut Composer<'_>) {
        let effort = self.thought.effort();
        if effort.is_none() && self.schema.is_none() {
            return;
        }
        let mut config = Composer::object(body.member("output_config"));
        if let Some(effort) = effort {
            config.string("effort", effort);
        }
        if let Some(schema) = &self.schema {
            let mut format = Composer::object(config.member("format"));
            format.string("type", "json_schema");
            format.raw("schema", schema);
            format.end();
        }
        config.end();
    }
}

/// The caller's parameters as they stand in the body; those of tools are read elsewhere.
struct Asked<'a> {
    messages: Option<Value<'a>>,
    max_tokens: Option<Value<'a>>,
    max_completion_tokens: Option<Value<'a>>,
    temperature: Option<Value<'a>>,
    top_p: Option<Value<'a>>,
    top_k: Option<Value<'a>>,
    stop: Option<Value<'a>>,
    response_format: Option<Value<'a>>,
    reasoning_effort: Option<Value<'a>>,
    thinking: Option<Value<'a>>,
    safety_identifier: Option<Value<'a>>,
    user: Option<Value<'a>>,
    cache_control: Option<Value<'a>>,
}

impl<'a> Asked<'a> {
    fn read(
        body: &'a [u8],
        dropped: &mut Dropped,
    ) -> Result<(Self, tools::Asked<'a>), Unsupported> {
        let root = Value {
            text: body,
            at: 0,
            kind: Kind::Object,
        };
        let names = [
            "messages",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "response_format",
            "reasoning_effort",
            "thinking",
            "safety_identifier",
            "user",
            "cache_control",
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "parallel_tool_calls",
        ];
        let found = fields::read_all(&root, names, |name, value| {
            // `model` and `stream` are sent in another way, and the options are for infermux.
            let is_known = matches!(name, "model" | "stream" | "stream_options");
            if !is_known && value.kind != Kind::Null {
                dropped.add(name);
            }
        })?;
        let tools = tools::Asked {
            tools: found[13],
            functions: found[14],
            tool_choice: found[15],
            function_call: found[16],
            parallel: found[17],
        };
        let asked = Self {
            messages: found[0],
            max_tokens: found[1],
            max_completion_tokens: found[2],
            temperature: found[3],
            top_p: found[4],
            top_k: found[5],
            stop: found[6],
            response_format: found[7],
            reasoning_effort: found[8],
            thinking: found[9],
            safety_identifier: found[10],
            user: found[11],
            cache_control: found[12],
        };
        Ok((asked, tools))
    }
}

/// The stop sequences; the API refuses sequences of white space.
fn stop(value: Option<Value<'_>>) -> Result<Vec<&[u8]>, Unsupported> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let list = match value.kind {
        Kind::String => vec![value],
        Kind::Array => fields::list(&value).map_err(|fault| fault.within("stop"))?,
        Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => {
            return Err(Unsupported::new("stop", "is neither a string nor a list"));
        }
    };
    if let Some(index) = list.iter().position(|one| one.kind != Kind::String) {
        return Err(Unsupported::new(
            &format!("stop[{index}]"),
            "is not a string",
        ));
    }
    let said = list.iter().filter(|one| !fields::is_blank_string(one));
    Ok(said.map(|one| one.text).collect())
}

/// The end user, unless the text is too long or personal, like an e-mail address or a phone number.
fn user<'a>(asked: &Asked<'a>) -> Result<Option<Cow<'a, str>>, Unsupported> {
    let named = [
        ("safety_identifier", asked.safety_identifier),
        ("user", asked.user),
    ];
    let mut given = None;
    for (place, value) in named {
        if value.is_some() {
            given = given.or(Some(fields::required(value, place)?));
        }
    }
    let fits = |user: &Cow<'a, str>| {
        let is_short = !user.is_empty() && user.chars().count() <= USER_ID_CHARS_MAX;
        is_short && !person::is_personal(user)
    };
    Ok(given.and_then(|user| user.string()).filter(fits))
}

/// Longest `metadata.user_id` that the API takes, in characters.
const USER_ID_CHARS_MAX: usize = 256;

#[cfg(test)]
#[path = "../request_tests.rs"]
mod tests;
