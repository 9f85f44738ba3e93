//! A chat completions request as a prompt (rules Q of reference/translation.md).

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::prompt::Prompt;
use crate::dialect::unsent::{Given, Parameter};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

use messages::Conversation;
use tools::Tools;

mod format;
mod messages;
mod parts;
mod thinking;
mod tools;

/// The prompt in `body`, and the names of its parameters.
///
/// # Errors
/// A part of the request that shapes the answer is malformed, or means nothing to any other
/// provider.
pub fn read(body: &[u8]) -> Result<(Prompt<'_>, Given), Unsupported> {
    let mut given = Given::default();
    let asked = Asked::read(body, &mut given);
    let prompt = asked.and_then(Asked::prompt).map_err(|fault| Unsupported {
        place: fault.place.trim_start_matches('.').to_owned(),
        ..fault
    })?;
    Ok((prompt, given))
}

/// The caller's parameters as they stand in the body.
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
    tools: tools::Asked<'a>,
}

impl<'a> Asked<'a> {
    fn read(body: &'a [u8], given: &mut Given) -> Result<Self, Unsupported> {
        let root = Value {
            text: body,
            at: 0,
            kind: Kind::Object,
        };
        let found = fields::read_all(&root, MEMBERS, |name, value| {
            // `model` and `stream` are sent in another way, and the options are for infermux.
            let is_known = matches!(name, b"model" | b"stream" | b"stream_options");
            if !is_known && value.kind != Kind::Null {
                given.add_unknown(&String::from_utf8_lossy(name));
            }
        })?;
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
            tools: tools::Asked {
                tools: found[13],
                functions: found[14],
                tool_choice: found[15],
                function_call: found[16],
                parallel: found[17],
            },
        };
        asked.note(given);
        Ok(asked)
    }

    /// Notes the parameters that some models do not take.
    fn note(&self, given: &mut Given) {
        let mut note = |value: &Option<Value<'_>>, parameter, name| {
            if value.is_some() {
                given.add(parameter, name);
            }
        };
        note(&self.tools.tool_choice, Parameter::Choice, "tool_choice");
        note(
            &self.tools.function_call,
            Parameter::Choice,
            "function_call",
        );
        note(
            &self.reasoning_effort,
            Parameter::Thinking,
            "reasoning_effort",
        );
        note(&self.temperature, Parameter::Temperature, "temperature");
        note(&self.top_p, Parameter::TopP, "top_p");
        note(&self.top_k, Parameter::TopK, "top_k");
        note(
            &self.safety_identifier,
            Parameter::User,
            "safety_identifier",
        );
        note(&self.user, Parameter::User, "user");
        note(&self.stop, Parameter::Stop, "stop");
    }

    fn prompt(self) -> Result<Prompt<'a>, Unsupported> {
        let missing = || Unsupported::new("messages", "is missing");
        let messages = self.messages.ok_or_else(missing)?;
        let Conversation { system, turns } =
            messages::read(&messages).map_err(|fault| fault.within("messages"))?;
        let Tools {
            tools,
            choice,
            is_serial,
        } = self.tools.read()?;
        let format = format::read(self.response_format)?;
        let newer = number(self.max_completion_tokens, "max_completion_tokens")?;
        Ok(Prompt {
            system,
            turns,
            tools,
            choice,
            is_serial,
            format,
            // Callers ask for it with a parameter of each provider's own, or not at all.
            shows_thoughts: true,
            max_tokens: newer.or(number(self.max_tokens, "max_tokens")?),
            thinking: thinking::read(self.reasoning_effort, self.thinking)?,
            temperature: number(self.temperature, "temperature")?,
            top_p: number(self.top_p, "top_p")?,
            top_k: number(self.top_k, "top_k")?,
            user: user(self.safety_identifier, self.user)?,
            stop: stop(self.stop)?,
            cache: fields::cache_control(self.cache_control)?,
            logprobs: None,
        })
    }
}

fn number<'a>(value: Option<Value<'a>>, place: &str) -> Result<Option<&'a [u8]>, Unsupported> {
    match value {
        Some(value) if value.kind != Kind::Number => {
            Err(Unsupported::new(place, "is not a number"))
        }
        value => Ok(value.map(|value| value.text)),
    }
}

/// The end user: the newer name counts.
fn user<'a>(
    safety_identifier: Option<Value<'a>>,
    user: Option<Value<'a>>,
) -> Result<Option<Cow<'a, str>>, Unsupported> {
    let mut given = None;
    for (place, value) in [("safety_identifier", safety_identifier), ("user", user)] {
        if value.is_some() {
            given = given.or(Some(fields::required(value, place)?));
        }
    }
    Ok(given.and_then(|user| user.string()))
}

/// The texts at which the answer ends, without those of white space.
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

/// The members of a request that are read.
const MEMBERS: [&str; 18] = [
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
