//! A prompt as a Messages request (rules Q of reference/translation.md).
//!
//! The body is built from scratch, since the API refuses unknown keys. All is decided before the
//! first byte is written, so that a refused prompt leaves nothing behind. What a model takes is
//! told by its [`Class`].

use std::borrow::Cow;

use crate::dialect::compose::{Composer, compact};
use crate::dialect::messages::model::{self, Class, SchemaSupport};
use crate::dialect::person;
use crate::dialect::prompt::{Block, Content, Format, Prompt};
use crate::dialect::unsent::{Parameter, Sent};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json;

use sampling::Sampled;
use thinking::Thought;

mod blocks;
mod sampling;
mod schema;
mod thinking;
mod tools;
mod turns;

/// Where a prompt is sent, and how its answer is to come.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub is_streamed: bool,
}

/// Appends the Messages request for `prompt`; returns the parameters that it has.
///
/// # Errors
/// A part of the prompt that shapes the answer has no equivalent; nothing has been appended.
pub fn write(
    mut prompt: Prompt<'_>,
    upstream: Upstream<'_>,
    out: &mut Vec<u8>,
) -> Result<Sent, Unsupported> {
    let class = model::class_of(upstream.model);
    let has_choice = prompt.choice.is_some();
    let schema = shape(&mut prompt, class)?;
    let body = Body::new(&prompt, class, schema);
    body.write(upstream, out);
    Ok(body.sent().with(Parameter::Choice, has_choice))
}

/// Makes of a prompt what a model of `class` takes; returns the schema that the answer must have.
fn shape(prompt: &mut Prompt<'_>, class: &Class) -> Result<Option<Vec<u8>>, Unsupported> {
    blocks::check(&prompt.turns)?;
    turns::shape(&mut prompt.turns, class);
    tools::shape(prompt);
    let user = prompt.user.take();
    prompt.user = user.filter(|user| is_id(user));
    form(prompt, class)
}

/// A request that can be sent.
struct Body<'p, 'a> {
    /// Shaped as the model takes it.
    prompt: &'p Prompt<'a>,
    max_tokens: Cow<'a, [u8]>,
    sampled: Sampled<'a>,
    schema: Option<Vec<u8>>,
    thought: Thought<'a>,
}

impl<'p, 'a> Body<'p, 'a> {
    fn new(prompt: &'p Prompt<'a>, class: &Class, schema: Option<Vec<u8>>) -> Self {
        let default = || Cow::Owned(class.max_tokens.to_string().into_bytes());
        let max_tokens = prompt.max_tokens.map_or_else(default, Cow::Borrowed);
        let thought = Thought::choose(prompt, class, &max_tokens);
        Self {
            prompt,
            max_tokens,
            sampled: Sampled::allowed(prompt, class, thought.is_on()),
            schema,
            thought,
        }
    }

    fn sent(&self) -> Sent {
        Sent::default()
            .with(Parameter::Thinking, self.thought.is_on())
            .with(Parameter::Temperature, self.sampled.temperature.is_some())
            .with(Parameter::TopP, self.sampled.top_p.is_some())
            .with(Parameter::TopK, self.sampled.top_k.is_some())
            .with(Parameter::User, self.prompt.user.is_some())
            .with(Parameter::Stop, !self.prompt.stop.is_empty())
    }

    fn write(&self, upstream: Upstream<'_>, out: &mut Vec<u8>) {
        let prompt = self.prompt;
        let mut body = Composer::object(out);
        body.string("model", upstream.model);
        body.raw("max_tokens", &self.max_tokens);
        if upstream.is_streamed {
            body.raw("stream", b"true");
        }
        turns::write_system(&prompt.system, &mut body);
        turns::write(&prompt.turns, &mut body);
        tools::write(prompt, &mut body);
        body.raw_if("temperature", self.sampled.temperature);
        body.raw_if("top_p", self.sampled.top_p);
        body.raw_if("top_k", self.sampled.top_k);
        if !prompt.stop.is_empty() {
            let mut list = Composer::array(body.member("stop_sequences"));
            for one in &prompt.stop {
                list.element().extend_from_slice(one);
            }
            list.end();
        }
        self.thought.write(&mut body);
        self.write_output_config(&mut body);
        if let Some(user) = &prompt.user {
            let mut metadata = Composer::object(body.member("metadata"));
            metadata.string("user_id", user);
            metadata.end();
        }
        body.raw_if("cache_control", prompt.cache);
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

/// The schema of the form that the answer must have; a model that takes none is told in words, at
/// the end of the system's text.
fn form(prompt: &mut Prompt<'_>, class: &Class) -> Result<Option<Vec<u8>>, Unsupported> {
    let instruction = match prompt.format {
        Format::Free => return Ok(None),
        Format::Object => INSTRUCTION.to_owned(),
        Format::Schema { schema, place, .. } => match class.schema {
            SchemaSupport::Native => {
                let schema = schema::accepted(&schema);
                return schema.map(Some).map_err(|why| Unsupported::new(place, why));
            }
            SchemaSupport::Instruction => {
                let mut text = Vec::with_capacity(schema.text.len());
                compact(schema.text, &mut text);
                let text = String::from_utf8_lossy(&text);
                format!("{INSTRUCTION} It must conform to this JSON Schema: {text}")
            }
        },
    };
    let text = Content::Text(Cow::Owned(json::quoted(&instruction)));
    prompt.system.push(Block::new(text));
    Ok(None)
}

/// Whether the API takes `user` as an id.
fn is_id(user: &str) -> bool {
    let is_short = !user.is_empty() && user.chars().count() <= USER_ID_CHARS_MAX;
    is_short && !person::is_personal(user)
}

const INSTRUCTION: &str = "Respond with a single valid JSON object and no other text.";
/// Longest `metadata.user_id` that the API takes, in characters.
const USER_ID_CHARS_MAX: usize = 256;

#[cfg(test)]
#[path = "write_prompt_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "write_prompt_properties_tests.rs"]
mod properties;
