//! A chat completion, or one chunk of its stream, read in one pass.

use std::borrow::Cow;

use crate::dialect::compose::{between_quotes, compact};
use crate::dialect::names::Names;
use crate::dialect::signature::ThoughtField;
use crate::wire::forms::{GAPS_MAX, Gap, GapKind};
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::{self, Told};

/// The members that matter. Of several with one name the last counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk<'a> {
    pub(super) id: Option<Value<'a>>,
    pub(super) model: Option<Value<'a>>,
    /// Whether there are choices.
    pub(super) has_choices: bool,
    /// The first choice with the index 0: callers of other dialects get one answer.
    pub(super) choice: Option<Choice<'a>>,
    pub(super) usage: Told,
    pub(super) x_groq: Option<Value<'a>>,
    /// How the request is served.
    pub(super) tier: Option<Value<'a>>,
    /// An error that says something.
    pub(super) error: Option<Value<'a>>,
    /// Whether it is a ping, as Anthropic sends them.
    pub(super) is_ping: bool,
    /// Members that say nothing and may differ between chunks.
    pub(super) unread: [Option<Value<'a>>; UNREAD_MAX],
}

/// Most members of a chunk that may differ without being read.
const UNREAD_MAX: usize = GAPS_MAX - 1;

/// One choice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choice<'a> {
    /// What is said: a `delta` in a stream, else a `message`.
    pub(super) said: Said<'a>,
    pub(super) finish_reason: Option<Value<'a>>,
    /// vLLM's name for the stop sequence that was met.
    pub(super) stop_reason: Option<Value<'a>>,
    /// SGLang's name for it.
    pub(super) matched_stop: Option<Value<'a>>,
    pub(super) logprobs: Option<Value<'a>>,
    /// The object that describes the error which the choice ended with.
    pub(super) error: Option<Value<'a>>,
}

/// A message, or a piece of one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) reasoning_content: Option<Value<'a>>,
    pub(super) reasoning: Option<Value<'a>>,
    pub(super) content: Option<Value<'a>>,
    pub(super) refusal: Option<Value<'a>>,
    pub(super) tool_calls: Option<Value<'a>>,
    pub(super) function_call: Option<Value<'a>>,
}

/// A call of a tool, or a piece of one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) index: Option<u64>,
    /// A string that is not empty.
    pub(super) id: Option<Value<'a>>,
    /// A string that is not empty.
    pub(super) name: Option<Value<'a>>,
    /// Anything but `null`.
    pub(super) arguments: Option<Value<'a>>,
    /// Gemini's signature of the call, a string that is not empty.
    pub(super) signature: Option<Value<'a>>,
}

impl<'a> Chunk<'a> {
    /// Reads the object that `data` holds.
    pub(super) fn read(data: &'a [u8]) -> Result<Self, NotJson> {
        Self::walk(Walk::new(data))
    }

    /// Reads the object that `walk` stands before, to the end of the text.
    pub(super) fn walk<const STRICT: bool>(mut walk: Walk<'a, STRICT>) -> Result<Self, NotJson> {
        let (mut chunk, mut room) = (Self::default(), Vec::new());
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            let known = name.read(&mut room);
            if known == b"choices" {
                chunk.read_choices(&mut walk)?;
                continue;
            }
            if known == b"usage" {
                chunk.usage = Told::step(&mut walk)?;
                continue;
            }
            let value = walk.value()?;
            match known {
                b"id" => chunk.id = Some(value),
                b"model" => chunk.model = Some(value),
                b"x_groq" => chunk.x_groq = Some(value),
                b"error" => chunk.error = Some(value).filter(|error| !error.is_blank()),
                // The form of errors in older vLLM and Mistral.
                b"object" if value.says("error") => chunk.error = Some(value),
                b"type" if value.says("ping") => chunk.is_ping = true,
                b"service_tier" => chunk.tier = Some(value),
                // Members that OpenAI repeats in every chunk of a stream.
                b"object" | b"created" | b"system_fingerprint" => {}
                _ => {
                    if let Some(place) = chunk.unread.iter_mut().find(|place| place.is_none()) {
                        *place = Some(value);
                    }
                }
            }
        }
        chunk.is_ping &= !chunk.has_choices;
        walk.end()?;
        Ok(chunk)
    }

    /// Puts the gaps for what is not read and may differ into `gaps`, by their place in the data.
    pub(super) fn write_gaps(&self, gaps: &mut Vec<Gap>) {
        let unread = self.unread.iter().flatten();
        gaps.extend(unread.filter_map(|value| {
            let (read_at, len, kind) = match value.kind {
                Kind::String if !value.is_blank() => {
                    (value.at + 1, value.text.len() - 2, GapKind::Silent)
                }
                Kind::Number if value.text.iter().all(u8::is_ascii_digit) => {
                    (value.at, value.text.len(), GapKind::Digits)
                }
                Kind::String
                | Kind::Number
                | Kind::Object
                | Kind::Array
                | Kind::True
                | Kind::False
                | Kind::Null => return None,
            };
            Some(Gap {
                read_at,
                written_at: None,
                len,
                kind,
            })
        }));
    }

    fn read_choices<const STRICT: bool>(
        &mut self,
        walk: &mut Walk<'a, STRICT>,
    ) -> Result<(), NotJson> {
        (self.has_choices, self.choice) = (false, None);
        if !walk.enter(Bracket::Array)? {
            return Ok(());
        }
        while walk.element()? {
            self.has_choices = true;
            if let Some(choice) = Choice::read(walk)? {
                self.choice = self.choice.or(Some(choice));
            }
        }
        Ok(())
    }
}

impl<'a> Choice<'a> {
    /// Reads the next choice of `walk`; `None`: it is another than the first.
    fn read<const STRICT: bool>(walk: &mut Walk<'a, STRICT>) -> Result<Option<Self>, NotJson> {
        let (mut choice, mut room) = (Self::default(), Vec::new());
        let mut is_first = true;
        if !walk.enter(Bracket::Object)? {
            return Ok(None);
        }
        while let Some(name) = walk.name()? {
            let known = name.read(&mut room);
            if let b"delta" | b"message" = known {
                choice.said = Said::read(walk)?;
                continue;
            }
            let value = walk.value()?;
            match known {
                b"index" => is_first = number(&value).unwrap_or(0) == 0,
                b"finish_reason" => choice.finish_reason = telling(Some(value)),
                b"stop_reason" => choice.stop_reason = telling(Some(value)),
                b"matched_stop" => choice.matched_stop = telling(Some(value)),
                b"logprobs" => choice.logprobs = Some(value),
                b"error" => {
                    let is_told = value.kind == Kind::Object && !value.is_blank();
                    choice.error = Some(value).filter(|_| is_told);
                }
                _ => {}
            }
        }
        Ok(is_first.then_some(choice))
    }

    /// How likely the pieces of its text were, the inside of a list; `None`: that is not told.
    pub(super) fn logprobs(&self) -> Option<Vec<u8>> {
        let told = self.logprobs.filter(|told| told.kind == Kind::Object)?;
        let list = json::member(told.text, b"content")?.value;
        let is_told = list.kind == Kind::Array && !list.is_blank() && is_json(list.text);
        is_told.then(|| {
            let mut told = Vec::new();
            compact(list.text, &mut told);
            between_quotes(&told).to_vec()
        })
    }

    /// The error that the choice ended with, a JSON object.
    pub(super) fn error(&self) -> Option<&'a [u8]> {
        let told = self.error.map(|error| error.text);
        let is_untold = || {
            self.finish_reason
                .is_some_and(|reason| reason.says("error"))
        };
        told.or_else(|| is_untold().then_some(b"{}"))
    }
}

impl<'a> Said<'a> {
    fn read<const STRICT: bool>(walk: &mut Walk<'a, STRICT>) -> Result<Self, NotJson> {
        let (mut said, mut room) = (Self::default(), Vec::new());
        if !walk.enter(Bracket::Object)? {
            return Ok(said);
        }
        while let Some(name) = walk.name()? {
            let value = Some(walk.value()?).filter(|value| !value.is_blank());
            match name.read(&mut room) {
                b"content" => said.content = value,
                b"reasoning_content" => said.reasoning_content = telling(value),
                b"reasoning" => said.reasoning = telling(value),
                b"refusal" => said.refusal = telling(value),
                b"tool_calls" => said.tool_calls = value,
                b"function_call" => said.function_call = value,
                _ => {}
            }
        }
        Ok(said)
    }

    /// What the model has thought, and the member that it came in: a message that has it in two
    /// repeats it.
    pub(super) fn thoughts(
        &self,
        mut each: impl FnMut(&Value<'a>) -> Result<(), StreamFault>,
    ) -> Result<Option<ThoughtField>, StreamFault> {
        let whole = [
            (ThoughtField::ReasoningContent, self.reasoning_content),
            (ThoughtField::Reasoning, self.reasoning),
        ];
        let mut whole = whole.into_iter();
        if let Some((field, text)) = whole.find_map(|(field, text)| Some((field, text?))) {
            each(&text)?;
            return Ok(Some(field));
        }
        let mut field = None;
        self.texts(Of::Thought, |text| {
            field = Some(ThoughtField::ReasoningContent);
            each(text)
        })?;
        Ok(field)
    }

    /// The texts of `content` that are not empty: of its parts, those that hold text or thoughts.
    /// Mistral has parts with thoughts.
    pub(super) fn texts(
        &self,
        of: Of,
        mut each: impl FnMut(&Value<'a>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self.content {
            Some(content) if content.kind == Kind::String && of == Of::Text => each(&content),
            Some(content) if content.kind == Kind::Array => parts(&content, &mut |part| {
                if part.kind == of {
                    part.texts(&mut each)?;
                }
                Ok(())
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the calls, the old single one behind the others.
    pub(super) fn calls(
        &self,
        mut each: impl FnMut(&Call<'a>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        if let Some(calls) = self.tool_calls.filter(|calls| calls.kind == Kind::Array) {
            elements(&calls, |call| each(&Call::read(call)?))?;
        }
        match self.function_call {
            Some(function) => {
                let mut call = Call::default();
                call.read_function(&function)?;
                each(&call)
            }
            None => Ok(()),
        }
    }
}

impl<'a> Call<'a> {
    /// The caller's name of the tool, a string.
    pub(super) fn restored_name(&self, names: &Names) -> Option<Cow<'a, [u8]>> {
        let name = self.name?;
        let own = name.string().filter(|_| !names.is_empty());
        let long = own.as_deref().map(|own| names.restored(own));
        Some(match (long, own.as_deref()) {
            (Some(long), Some(own)) if long != own => Cow::Owned(json::quoted(long)),
            (_, _) => Cow::Borrowed(name.text),
        })
    }

    fn read(call: &Value<'a>) -> Result<Self, StreamFault> {
        let mut read = Self::default();
        members(call, |name, value| {
            match name {
                b"index" => read.index = number(value),
                b"id" => read.id = telling(Some(*value)),
                b"function" => read.read_function(value)?,
                b"extra_content" => read.read_extra(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }

    fn read_function(&mut self, function: &Value<'a>) -> Result<(), StreamFault> {
        members(function, |name, value| {
            match name {
                b"name" => self.name = telling(Some(*value)),
                b"arguments" => self.arguments = Some(*value).filter(|v| v.kind != Kind::Null),
                _ => {}
            }
            Ok(())
        })
    }

    fn read_extra(&mut self, extra: &Value<'a>) -> Result<(), StreamFault> {
        members(extra, |name, value| {
            if name == b"google" {
                members(value, |name, value| {
                    if name == b"thought_signature" {
                        self.signature = telling(Some(*value));
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })
    }
}

/// What a text of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Text,
    Thought,
}

/// A part of a message's content that holds text.
struct Part<'a> {
    kind: Of,
    /// A string, or a list of parts.
    text: Value<'a>,
}

impl<'a> Part<'a> {
    fn texts(
        &self,
        each: &mut impl FnMut(&Value<'a>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self.text.kind {
            Kind::String => each(&self.text),
            // The thoughts of Mistral are a list of text parts.
            Kind::Array => elements(&self.text, |part| {
                let (mut text, mut is_text) = (None, false);
                members(part, |name, value| {
                    match name {
                        b"type" => is_text = value.says("text"),
                        b"text" => text = telling(Some(*value)),
                        _ => {}
                    }
                    Ok(())
                })?;
                text.filter(|_| is_text).map_or(Ok(()), |text| each(&text))
            }),
            Kind::Number | Kind::Object | Kind::True | Kind::False | Kind::Null => Ok(()),
        }
    }
}

fn parts<'a>(
    content: &Value<'a>,
    each: &mut dyn FnMut(&Part<'a>) -> Result<(), StreamFault>,
) -> Result<(), StreamFault> {
    elements(content, |part| {
        let (mut kind, mut text, mut thinking) = (None, None, None);
        members(part, |name, value| {
            match name {
                b"type" if value.says("text") => kind = Some(Of::Text),
                b"type" if value.says("thinking") => kind = Some(Of::Thought),
                b"text" => text = telling(Some(*value)),
                b"thinking" => thinking = Some(*value).filter(|value| !value.is_blank()),
                _ => {}
            }
            Ok(())
        })?;
        let text = match kind {
            Some(Of::Text) => text,
            Some(Of::Thought) => thinking,
            None => None,
        };
        match kind.zip(text) {
            Some((kind, text)) => each(&Part { kind, text }),
            None => Ok(()),
        }
    })
}

/// Walks the elements of a list; each is told its place in the text that `list` was read from.
fn elements<'a>(
    list: &Value<'a>,
    mut each: impl FnMut(&Value<'a>) -> Result<(), StreamFault>,
) -> Result<(), StreamFault> {
    let mut walk = Walk::new(list.text);
    if walk.enter(Bracket::Array)? {
        while walk.element()? {
            each(&within(list, walk.value()?))?;
        }
    }
    Ok(())
}

/// Walks the members of an object as [`elements`] walks those of a list; anything else has none.
fn members<'a>(
    object: &Value<'a>,
    mut each: impl FnMut(&[u8], &Value<'a>) -> Result<(), StreamFault>,
) -> Result<(), StreamFault> {
    let (mut walk, mut room) = (Walk::new(object.text), Vec::new());
    if walk.enter(Bracket::Object)? {
        while let Some(name) = walk.name()? {
            let value = within(object, walk.value()?);
            each(name.read(&mut room), &value)?;
        }
    }
    Ok(())
}

fn within<'a>(outer: &Value<'_>, value: Value<'a>) -> Value<'a> {
    Value {
        at: outer.at + value.at,
        ..value
    }
}

/// The string, if it is one and not empty.
pub(super) fn telling(value: Option<Value<'_>>) -> Option<Value<'_>> {
    value.filter(|value| value.kind == Kind::String && !value.is_blank())
}

fn number(value: &Value<'_>) -> Option<u64> {
    usage::digits(value.text)
}
