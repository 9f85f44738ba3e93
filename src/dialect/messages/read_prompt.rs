//! Reads a Messages request as a prompt (rules MR of reference/messages-inbound.md).
//!
//! What a user supplied and no other dialect can carry is refused with its place: without it, the
//! model would answer another question. Workings of Anthropic's own in the model's turns, and
//! parameters that are Anthropic's alone, are left out.

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::prompt::{Effort, Format, Prompt, Thinking};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Value};

use conversation::Conversation;
use tools::Tools;

mod blocks;
mod conversation;
mod documents;
mod members;
mod results;
mod tools;

/// Reads a request's `body`, which is a JSON object.
///
/// # Errors
/// A part of the request has no place in a prompt, or is malformed; the fault says where.
pub fn read(body: &[u8]) -> Result<Prompt<'_>, Unsupported> {
    read_object(&Value {
        text: body,
        at: 0,
        kind: Kind::Object,
    })
    .map_err(|fault| Unsupported {
        place: fault.place.trim_start_matches('.').to_owned(),
        ..fault
    })
}

fn read_object<'a>(root: &Value<'a>) -> Result<Prompt<'a>, Unsupported> {
    let [
        messages,
        system,
        max_tokens,
        tools,
        tool_choice,
        thinking,
        output_config,
        output_format,
        metadata,
        stop,
        temperature,
        top_p,
        top_k,
        cache,
        mcp_servers,
        inference_geo,
        thread,
        compaction,
    ] = fields::read(root, MEMBERS)?;
    refuse_promises(mcp_servers, inference_geo, [thread, compaction])?;
    let max_tokens = number(max_tokens, "max_tokens")?;
    // Such a request only fills a cache.
    if max_tokens.is_some_and(|count| count.is_blank()) {
        return Err(Unsupported::new("max_tokens", "is zero"));
    }
    let chosen = tools::read_choice(tool_choice)?;
    let mut tools = Tools::read(tools)?;
    tools.choose(chosen.choice.as_ref());
    let conversation = Conversation::read(system, messages, &mut tools)?;
    let [effort, format] = match output_config {
        Some(config) => fields::read(&config, ["effort", "format"])
            .map_err(|fault| fault.within("output_config"))?,
        None => [None, None],
    };
    let thought = Thought::read(thinking)?;
    let tools = tools.offered();
    Ok(Prompt {
        system: conversation.system,
        turns: conversation.turns,
        choice: chosen.choice.filter(|_| !tools.is_empty()),
        is_serial: chosen.is_serial,
        tools,
        max_tokens: max_tokens.map(|value| value.text),
        temperature: number(temperature, "temperature")?.map(|value| value.text),
        top_p: number(top_p, "top_p")?.map(|value| value.text),
        top_k: number(top_k, "top_k")?.map(|value| value.text),
        stop: read_stop(stop)?,
        thinking: thought.with_effort(read_effort(effort)?),
        shows_thoughts: thought.is_shown,
        format: read_format(format, output_format)?,
        user: read_user(metadata),
        cache: members::cache(cache),
        logprobs: None,
    })
}

/// The members of a request that are known. `model` and `stream` are sent in another way; all
/// others are Anthropic's alone, or newer than this list.
const MEMBERS: [&str; 18] = [
    "messages",
    "system",
    "max_tokens",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "cache_control",
    "mcp_servers",
    "inference_geo",
    "thread",
    "compaction",
];

/// Refuses what only Anthropic can do, or has promised.
fn refuse_promises(
    mcp_servers: Option<Value<'_>>,
    inference_geo: Option<Value<'_>>,
    states: [Option<Value<'_>>; 2],
) -> Result<(), Unsupported> {
    if mcp_servers.is_some_and(|servers| !servers.is_blank()) {
        let why = "are servers that the provider would have to ask";
        return Err(Unsupported::new("mcp_servers", why));
    }
    if inference_geo.is_some_and(|place| !place.says("global")) {
        let why = "is a place that cannot be promised";
        return Err(Unsupported::new("inference_geo", why));
    }
    for (name, state) in ["thread", "compaction"].into_iter().zip(states) {
        if state.is_some() {
            return Err(Unsupported::new(name, "names what another vendor keeps"));
        }
    }
    Ok(())
}

fn number<'a>(value: Option<Value<'a>>, place: &str) -> Result<Option<Value<'a>>, Unsupported> {
    match value {
        Some(value) if value.kind != Kind::Number => {
            Err(Unsupported::new(place, "is not a number"))
        }
        value => Ok(value),
    }
}

/// The stop sequences that are not empty.
fn read_stop(value: Option<Value<'_>>) -> Result<Vec<&[u8]>, Unsupported> {
    let place = "stop_sequences";
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let mut list = fields::list(&value).map_err(|fault| fault.within(place))?;
    if let Some(index) = list.iter().position(|one| one.kind != Kind::String) {
        let place = format!("{place}[{index}]");
        return Err(Unsupported::new(&place, "is not a string"));
    }
    list.retain(|one| !one.is_blank());
    Ok(list.into_iter().map(|one| one.text).collect())
}

/// A level that is not known says nothing: newer models have newer levels.
fn read_effort(value: Option<Value<'_>>) -> Result<Option<Effort>, Unsupported> {
    let Some(value) = value else {
        return Ok(None);
    };
    let level = fields::required(Some(value), "output_config.effort")?;
    Ok(Effort::ALL
        .into_iter()
        .find(|effort| level.says(effort.name())))
}

/// The form that the answer must have, under its name of today or its older one.
fn read_format<'a>(
    format: Option<Value<'a>>,
    old: Option<Value<'a>>,
) -> Result<Format<'a>, Unsupported> {
    let (format, place, schema_place) = match (format, old) {
        (Some(format), _) => (
            format,
            "output_config.format",
            "output_config.format.schema",
        ),
        (None, Some(format)) => (format, "output_format", "output_format.schema"),
        (None, None) => return Ok(Format::Free),
    };
    let [kind, schema] =
        fields::read(&format, ["type", "schema"]).map_err(|fault| fault.within(place))?;
    if !kind.is_some_and(|kind| kind.says("json_schema")) {
        let place = format!("{place}.type");
        return Err(Unsupported::new(&place, "is not `json_schema`"));
    }
    match schema {
        Some(schema) if schema.kind == Kind::Object => Ok(Format::Schema {
            schema,
            place: schema_place,
            named: None,
        }),
        _ => Err(Unsupported::new(schema_place, "is not an object")),
    }
}

/// The end user. Claude Code packs several ids into one text, of which the device's stays the same.
fn read_user(metadata: Option<Value<'_>>) -> Option<Cow<'_, str>> {
    let metadata = metadata.filter(|metadata| metadata.kind == Kind::Object)?;
    let user = json::member(metadata.text, b"user_id")?.value.string()?;
    let device = json::member(user.as_bytes(), b"device_id")
        .and_then(|device| device.value.string())
        .filter(|device| !device.is_empty())
        .map(Cow::into_owned);
    Some(device.map_or(user, Cow::Owned))
}

/// What `thinking` says.
#[derive(Default)]
struct Thought {
    is_off: bool,
    budget: Option<u64>,
    is_shown: bool,
}

impl Thought {
    fn read(value: Option<Value<'_>>) -> Result<Self, Unsupported> {
        let Some(value) = value else {
            return Ok(Self::default());
        };
        let [kind, budget] = fields::read(&value, ["type", "budget_tokens"])
            .map_err(|fault| fault.within("thinking"))?;
        let kind = fields::required(kind, "thinking.type")?;
        let is_enabled = kind.says("enabled");
        let text = budget.filter(|_| is_enabled).map(|budget| budget.text);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        Ok(Self {
            is_off: kind.says("disabled"),
            budget: text.and_then(|text| text.parse().ok()),
            is_shown: is_enabled || kind.says("adaptive") || kind.says("between_tools"),
        })
    }

    fn with_effort<'a>(&self, effort: Option<Effort>) -> Thinking<'a> {
        match (effort, self.budget) {
            _ if self.is_off => Thinking::Off,
            (Some(effort), _) => Thinking::Effort(effort),
            (None, Some(tokens)) => Thinking::Budget(tokens),
            (None, None) => Thinking::Unsaid,
        }
    }
}

#[cfg(test)]
#[path = "read_prompt_tests.rs"]
mod tests;
