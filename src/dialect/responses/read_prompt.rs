//! Reads a request for a response (section 3 of reference/responses-inbound.md).
//!
//! What shapes the answer and has no equivalent in other dialects is refused with its place; what
//! is the provider's own to use, or to show, is left out and noted.

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::names::Names;
use crate::dialect::prompt::{Format, Logprobs, Prompt, Thinking};
use crate::dialect::responses::echo::{Echo, Echoed};
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::unsent::{Given, Parameter};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

use conversation::Conversation;
use items::Items;
use naming::Naming;
use tools::Tools;

mod conversation;
mod format;
mod items;
mod naming;
mod parts;
mod tools;

/// A request for a response, read.
pub struct Read<'a> {
    /// What it asks for.
    pub prompt: Prompt<'a>,
    /// What may be left out.
    pub given: Given,
    /// The names under which its tools are sent.
    pub names: Names,
    /// What its answer repeats.
    pub echo: Echo,
    /// Whether the caller may refer to its response later: the API stores responses unless it is
    /// told not to.
    pub is_stored: bool,
}

/// Reads the request `body`, which is JSON. What it refers to is looked up in `remembered`.
///
/// # Errors
/// A part of it that shapes the answer has no equivalent in other dialects.
pub fn read<'a>(body: &'a [u8], remembered: &'a dyn Remembered) -> Result<Read<'a>, Unsupported> {
    read_whole(body, remembered).map_err(|fault| Unsupported {
        place: fault.place.trim_start_matches('.').to_owned(),
        ..fault
    })
}

#[inline]
fn read_whole<'a>(body: &'a [u8], remembered: &'a dyn Remembered) -> Result<Read<'a>, Unsupported> {
    let (mut given, mut echoed) = (Given::default(), Echoed::default());
    let mut found = [None; MEMBERS.len()];
    let is_stored = read_members(body, &mut found, &mut given, &mut echoed)?;
    let (prompt, names) = Asked::of(&found)?.prompt(remembered, &mut given)?;
    Ok(Read {
        prompt,
        given,
        names,
        echo: echoed.into_echo(),
        is_stored,
    })
}

/// Puts the members of `body` into their places of `found`, and notes the others. Returns whether
/// the response is stored.
#[inline]
fn read_members<'a>(
    body: &'a [u8],
    found: &mut [Option<Value<'a>>; MEMBERS.len()],
    given: &mut Given,
    echoed: &mut Echoed<'a>,
) -> Result<bool, Unsupported> {
    let root = Value {
        text: body,
        at: 0,
        kind: Kind::Object,
    };
    let mut is_stored = true;
    fields::read_into(&root, &MEMBERS, found, |name, value| {
        if name == b"store" {
            is_stored = value.kind != Kind::False;
        }
        echoed.note(name, value);
        // `model` and `stream` are sent in another way.
        if !matches!(name, b"model" | b"stream") && !value.is_blank() {
            given.lose_member(name);
        }
    })?;
    for (name, value) in MEMBERS.iter().zip(found) {
        if let Some(value) = value {
            echoed.note(name.as_bytes(), value);
        }
    }
    Ok(is_stored)
}

/// The caller's parameters as they stand in the body.
struct Asked<'m, 'a> {
    input: Option<&'m Value<'a>>,
    instructions: Option<Value<'a>>,
    tools: Option<Value<'a>>,
    tool_choice: Option<Value<'a>>,
    parallel: Option<&'m Value<'a>>,
    text: Option<&'m Value<'a>>,
    reasoning: Option<&'m Value<'a>>,
    include: Option<&'m Value<'a>>,
    temperature: Option<&'m Value<'a>>,
    top_p: Option<&'m Value<'a>>,
    top_logprobs: Option<&'m Value<'a>>,
    max_tokens: Option<&'m Value<'a>>,
    safety_identifier: Option<&'m Value<'a>>,
    user: Option<&'m Value<'a>>,
}

impl<'m, 'a> Asked<'m, 'a> {
    /// Those among the members `found`, which may ask for nothing that is kept elsewhere.
    fn of(found: &'m [Option<Value<'a>>; MEMBERS.len()]) -> Result<Self, Unsupported> {
        let states = ["previous_response_id", "conversation", "prompt"];
        for (name, state) in states.into_iter().zip(&found[14..17]) {
            if state.is_some() {
                return Err(Unsupported::new(name, "names what another vendor keeps"));
            }
        }
        if found[17].is_some_and(|background| background.kind != Kind::False) {
            let why = "asks for an answer that is fetched later";
            return Err(Unsupported::new("background", why));
        }
        Ok(Self {
            input: found[0].as_ref(),
            instructions: found[1],
            tools: found[2],
            tool_choice: found[3],
            parallel: found[4].as_ref(),
            text: found[5].as_ref(),
            reasoning: found[6].as_ref(),
            include: found[7].as_ref(),
            temperature: found[8].as_ref(),
            top_p: found[9].as_ref(),
            top_logprobs: found[10].as_ref(),
            max_tokens: found[11].as_ref(),
            safety_identifier: found[12].as_ref(),
            user: found[13].as_ref(),
        })
    }

    fn prompt(
        self,
        remembered: &'a dyn Remembered,
        given: &mut Given,
    ) -> Result<(Prompt<'a>, Names), Unsupported> {
        let missing = || Unsupported::new("input", "is missing");
        let items = Items::read(self.input.ok_or_else(missing)?, remembered, given)?;
        let mut naming = Naming::default();
        let mut tools = Tools::default();
        tools.read(self.tools, &items.added, &mut naming, given)?;
        let choice = tools.choose(self.tool_choice, &mut naming)?;
        let mut conversation = Conversation::new(&mut naming);
        conversation.add_instructions(self.instructions)?;
        for (index, item) in items.all.iter().enumerate() {
            conversation
                .add(index, item)
                .map_err(|fault| fault.within(format_args!("input[{index}]")))?;
        }
        let (system, turns) = conversation.end()?;
        let thinking = read_thinking(self.reasoning, given)?;
        let prompt = Prompt {
            system,
            turns,
            choice,
            is_serial: is_serial(self.parallel)?,
            format: self.read_format(given)?,
            logprobs: self.read_logprobs(given)?,
            max_tokens: number(self.max_tokens, "max_output_tokens")?,
            temperature: number(self.temperature, "temperature")?,
            top_p: number(self.top_p, "top_p")?,
            user: self.read_user()?,
            tools: tools.all,
            // An answer shows them in a form that every client knows.
            shows_thoughts: true,
            thinking,
            ..Prompt::default()
        };
        self.note(&prompt, given);
        Ok((prompt, naming.names))
    }

    /// Notes the parameters that some models do not take.
    fn note(&self, prompt: &Prompt<'_>, given: &mut Given) {
        let user = if self.safety_identifier.is_some() {
            "safety_identifier"
        } else {
            "user"
        };
        for (is_given, parameter, name) in [
            (prompt.choice.is_some(), Parameter::Choice, "tool_choice"),
            (
                matches!(prompt.thinking, Thinking::Named(_)),
                Parameter::Thinking,
                "reasoning.effort",
            ),
            (
                prompt.temperature.is_some(),
                Parameter::Temperature,
                "temperature",
            ),
            (prompt.top_p.is_some(), Parameter::TopP, "top_p"),
            (prompt.user.is_some(), Parameter::User, user),
        ] {
            if is_given {
                given.add(parameter, name);
            }
        }
    }

    fn read_format(&self, given: &mut Given) -> Result<Format<'a>, Unsupported> {
        let Some(text) = self.text else {
            return Ok(Format::Free);
        };
        let [format, verbosity] =
            fields::read(text, ["format", "verbosity"]).map_err(|fault| fault.within("text"))?;
        if verbosity.is_some() {
            given.lose("verbosity");
        }
        format::read(format)
    }

    /// What `include` asks for; reasoning comes in a form that can be sent back in any case.
    fn read_logprobs(&self, given: &mut Given) -> Result<Option<Logprobs<'a>>, Unsupported> {
        let alternatives = number(self.top_logprobs, "top_logprobs")?;
        let mut is_wanted = false;
        if let Some(include) = self.include {
            let include = fields::list(include).map_err(|fault| fault.within("include"))?;
            for wanted in include {
                if wanted.says("message.output_text.logprobs") {
                    is_wanted = true;
                } else if !wanted.says("reasoning.encrypted_content") {
                    given.lose("include");
                }
            }
        }
        if !is_wanted && alternatives.is_some() {
            given.lose("top_logprobs");
        }
        Ok(is_wanted.then_some(Logprobs { alternatives }))
    }

    /// The end user: the newer name counts.
    fn read_user(&self) -> Result<Option<Cow<'a, str>>, Unsupported> {
        let newer = self
            .safety_identifier
            .map(|user| ("safety_identifier", user));
        let Some((place, user)) = newer.or(self.user.map(|user| ("user", user))) else {
            return Ok(None);
        };
        Ok(fields::required(Some(*user), place)?.string())
    }
}

/// How much the model is to think.
fn read_thinking<'a>(
    reasoning: Option<&Value<'a>>,
    given: &mut Given,
) -> Result<Thinking<'a>, Unsupported> {
    let Some(reasoning) = reasoning else {
        return Ok(Thinking::Unsaid);
    };
    let within = |fault: Unsupported| fault.within("reasoning");
    let names = ["effort", "summary", "generate_summary", "context", "mode"];
    let [effort, others @ ..] = fields::read(reasoning, names).map_err(within)?;
    for (name, other) in names.into_iter().skip(1).zip(others) {
        if other.is_some() {
            given.lose(name);
        }
    }
    match effort {
        None => Ok(Thinking::Unsaid),
        effort => Ok(Thinking::Named(
            fields::required(effort, "reasoning.effort")?.text,
        )),
    }
}

fn is_serial(parallel: Option<&Value<'_>>) -> Result<bool, Unsupported> {
    match parallel.map(|value| value.kind) {
        None | Some(Kind::True) => Ok(false),
        Some(Kind::False) => Ok(true),
        Some(Kind::String | Kind::Number | Kind::Object | Kind::Array | Kind::Null) => {
            let why = "is neither true nor false";
            Err(Unsupported::new("parallel_tool_calls", why))
        }
    }
}

fn number<'a>(value: Option<&Value<'a>>, place: &str) -> Result<Option<&'a [u8]>, Unsupported> {
    match value {
        Some(value) if value.kind != Kind::Number => {
            Err(Unsupported::new(place, "is not a number"))
        }
        value => Ok(value.map(|value| value.text)),
    }
}

/// The members of a request that are read.
const MEMBERS: [&str; 18] = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "include",
    "temperature",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "safety_identifier",
    "user",
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
];
