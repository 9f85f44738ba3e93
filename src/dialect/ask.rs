//! What the router must know of any request: read from its body, whatever the dialect.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::base::endpoint::Dialect;
use crate::base::limits::MODEL_NAME_BYTES_MAX;
use crate::base::tokens::{Counts, Tokens};
use crate::wire::json::{self, Kind};

use attachments::{Attachments, attachment_bytes};
use keys::{Key, Keys};

mod arriving;
mod attachments;
mod edit;
mod keys;
mod like;

pub use arriving::Arriving;
pub use edit::{RequestEdits, edit_request, write_named};
pub use like::AskOutlines;

/// What a request asks for, as far as the router must know; spans are places in its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The model's name.
    pub model: Cow<'a, str>,
    /// The model's name as the body has it: a JSON string with its quotes.
    pub model_json: Cow<'a, str>,
    /// Where the model's name stands in the body.
    pub model_span: Range<usize>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the caller wants the usage chunk.
    pub include_usage: bool,
    /// The value of `stream_options`, which may be `null`.
    pub stream_options: Option<Range<usize>>,
    /// `max_tokens`, or `max_output_tokens` of a response, where it is a count.
    pub max_tokens: Option<u64>,
    /// `max_completion_tokens`, where it is a count.
    pub max_completion_tokens: Option<u64>,
    /// How many answers at once; 1 where the body does not say.
    pub n: u64,
    /// The end user, as the caller names them: `user`, or `safety_identifier` of a response.
    pub user: Option<Cow<'a, str>>,
    /// Size of what the model is to read (in chat `messages`, `prompt` or `input`, in Messages also
    /// `system` and `tools`, in Responses `instructions`, `input` and `tools`), for the estimate;
    /// attachments count as [`attachment_bytes`] at most.
    pub prompt_bytes: usize,
    /// Place behind the object's opening brace.
    inside: usize,
    /// The value of `stream_options.include_usage`.
    include_usage_span: Option<Range<usize>>,
    /// The value of `max_tokens`, whatever it is.
    max_tokens_span: Option<Range<usize>>,
    /// The value of `max_completion_tokens`, whatever it is.
    max_completion_tokens_span: Option<Range<usize>>,
}

/// Why a body is refused as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFault {
    /// The bytes are not UTF-8.
    #[error("the body is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Place of the first bad byte.
        at: usize,
    },
    /// A syntax error, or something behind the object's end.
    #[error("the body is not valid JSON at line {line} column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Text that stops in the middle.
    #[error("the body ends before its JSON is complete")]
    Incomplete,
    /// JSON of another kind.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A key that must be unique is there twice: which of the two counts would depend on the
    /// reader.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// A name that differs from one of the router's keys only by its case: some providers would
    /// read it as that key.
    #[error("`{0}` is not in lower case: which readers take it for that would depend on them")]
    OtherCase(&'static str),
    /// No `model`.
    #[error("`model` is missing")]
    NoModel,
    /// `model` is a number, `null`, …
    #[error("`model` is not a string")]
    ModelNotAString,
    /// `model` is `""`.
    #[error("`model` is empty")]
    ModelEmpty,
    /// `model` is longer than any name that infermux keeps.
    #[error("`model` is longer than {MODEL_NAME_BYTES_MAX} bytes")]
    ModelTooLong,
    /// `model` would break a header or a log line.
    #[error("`model` contains a control character")]
    ModelHasControl,
    /// `model` is `.` or `..`, which would change the target of a request that holds it.
    #[error("`model` is no name")]
    ModelIsDots,
    /// `stream` is neither `true` nor `false` nor `null`.
    #[error("`stream` is not a boolean")]
    StreamNotABoolean,
    /// `stream_options` is neither an object nor `null`.
    #[error("`stream_options` is not an object")]
    StreamOptionsNotAnObject,
    /// `stream_options.include_usage` is neither `true` nor `false` nor `null`.
    #[error("`stream_options.include_usage` is not a boolean")]
    IncludeUsageNotABoolean,
    /// No `messages`, where there must be some.
    #[error("`messages` is missing")]
    NoMessages,
    /// `messages` is a string, `null`, …
    #[error("`messages` is not a list")]
    MessagesNotAList,
    /// `messages` is `[]`.
    #[error("`messages` is empty")]
    MessagesEmpty,
}

/// Reads the body of a request in this dialect. All of it is checked to be JSON, in one pass and
/// without recursion.
///
/// # Errors
/// The body is not JSON, or lacks a member that every request has; the fault's text is for the
/// caller.
pub fn read_ask(dialect: Dialect, body: &[u8]) -> Result<Ask<'_>, AskFault> {
    let text = text_of(body)?;
    ask_within(body, &read_keys(dialect, text)?)
}

/// The body as text.
fn text_of(body: &[u8]) -> Result<&str, AskFault> {
    // The standard library's check goes byte by byte through text that is not ASCII, and simdutf8's
    // check that can say where the fault is takes longer than this one.
    simdutf8::basic::from_utf8(body).map_err(|_| AskFault::NotUtf8 {
        at: std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len),
    })
}

fn read_keys(dialect: Dialect, text: &str) -> Result<Keys<'_>, AskFault> {
    Keys::of(dialect, text).map_err(|error| fault_of(&error))
}

/// What the whole `body` with these keys asks for.
fn ask_within<'a>(body: &'a [u8], keys: &Keys<'a>) -> Result<Ask<'a>, AskFault> {
    let prompt = Key::PROMPT.into_iter().filter_map(|key| keys.raw(key));
    let prompt_bytes = prompt.map(|raw| prompt_bytes(keys.dialect, raw.as_bytes()));
    let content = Content {
        prompt_bytes: prompt_bytes.sum(),
        messages: keys.raw(Key::Messages).map(str::as_bytes),
    };
    ask_of(body, keys, &content)
}

/// What the router must know of the content that a model is to read.
struct Content<'a> {
    /// Its size, for the estimate.
    prompt_bytes: usize,
    /// The value of `messages`.
    messages: Option<&'a [u8]>,
}

/// What the `body` with these keys and this content asks for.
fn ask_of<'a>(body: &'a [u8], keys: &Keys<'a>, content: &Content<'_>) -> Result<Ask<'a>, AskFault> {
    if let Some(key) = keys.twice {
        return Err(AskFault::Twice(key.name()));
    }
    if let Some(key) = keys.mistaken {
        return Err(AskFault::OtherCase(key.name()));
    }
    let model_raw = keys.raw(Key::Model).ok_or(AskFault::NoModel)?;
    let model: Cow<'_, str> = string(model_raw).ok_or(AskFault::ModelNotAString)?;
    check_model(&model)?;
    match keys.dialect {
        Dialect::Messages => check_messages(content.messages)?,
        // A provider says what is missing, in the words that its own callers know.
        Dialect::Chat | Dialect::Responses => {}
    }
    let span = |key| keys.raw(key).map(|raw| span_in(body, raw));
    let stream_options = span(Key::StreamOptions);
    let include = include_usage(body, stream_options.clone())?;
    let max_tokens = keys.raw(Key::MaxTokens).or(keys.raw(Key::MaxOutputTokens));
    let text = |key| keys.raw(key).and_then(string);
    Ok(Ask {
        model,
        model_json: Cow::Borrowed(model_raw),
        model_span: span_in(body, model_raw),
        stream: flag(keys.raw(Key::Stream)).ok_or(AskFault::StreamNotABoolean)?,
        include_usage: include.asked,
        stream_options,
        max_tokens: max_tokens.and_then(count),
        max_completion_tokens: keys.raw(Key::MaxCompletionTokens).and_then(count),
        n: keys.raw(Key::N).and_then(count).unwrap_or(1),
        user: text(Key::SafetyIdentifier).or_else(|| text(Key::User)),
        prompt_bytes: content.prompt_bytes,
        inside: memchr(b'{', body).map_or(body.len(), |brace| brace + 1),
        include_usage_span: include.span,
        max_tokens_span: span(Key::MaxTokens),
        max_completion_tokens_span: span(Key::MaxCompletionTokens),
    })
}

/// Checks that a model may be called so.
///
/// # Errors
/// It may not.
pub fn check_model(model: &str) -> Result<(), AskFault> {
    if model.is_empty() {
        return Err(AskFault::ModelEmpty);
    }
    if model.len() > MODEL_NAME_BYTES_MAX {
        return Err(AskFault::ModelTooLong);
    }
    if has_control(model) {
        return Err(AskFault::ModelHasControl);
    }
    if matches!(model, "." | "..") {
        return Err(AskFault::ModelIsDots);
    }
    Ok(())
}

/// Checks that `messages`, whose value is JSON, is a list with something in it.
fn check_messages(messages: Option<&[u8]>) -> Result<(), AskFault> {
    let messages = messages.ok_or(AskFault::NoMessages)?;
    let inside = messages.strip_prefix(b"[");
    let inside = inside.ok_or(AskFault::MessagesNotAList)?;
    if inside.trim_ascii_start().starts_with(b"]") {
        return Err(AskFault::MessagesEmpty);
    }
    Ok(())
}

fn has_control(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    !is_plain && text.chars().any(char::is_control)
}

impl Ask<'static> {
    /// What a request asks for that is no JSON: for `model`, with a prompt of so many bytes.
    #[must_use]
    pub fn of_form(model: &str, prompt_bytes: usize) -> Self {
        let quoted = String::from_utf8(json::quoted(model)).unwrap_or_default();
        Self {
            model: Cow::Owned(model.to_owned()),
            model_json: Cow::Owned(quoted),
            model_span: 0..0,
            stream: false,
            include_usage: false,
            stream_options: None,
            max_tokens: None,
            max_completion_tokens: None,
            n: 1,
            user: None,
            prompt_bytes,
            inside: 0,
            include_usage_span: None,
            max_tokens_span: None,
            max_completion_tokens_span: None,
        }
    }
}

impl Ask<'_> {
    /// The same values, owned, so that the body that they were read from can go.
    #[must_use]
    pub fn into_owned(self) -> Ask<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Ask {
            model: owned(self.model),
            model_json: owned(self.model_json),
            model_span: self.model_span,
            stream: self.stream,
            include_usage: self.include_usage,
            stream_options: self.stream_options,
            max_tokens: self.max_tokens,
            max_completion_tokens: self.max_completion_tokens,
            n: self.n,
            user: self.user.map(owned),
            prompt_bytes: self.prompt_bytes,
            inside: self.inside,
            include_usage_span: self.include_usage_span,
            max_tokens_span: self.max_tokens_span,
            max_completion_tokens_span: self.max_completion_tokens_span,
        }
    }

    /// The tokens that the request is expected to use: its prompt, and the longest answer that it
    /// allows, or an answer of the usual length where it sets no bound.
    #[must_use]
    pub fn expected(&self, usual_answer: Tokens) -> Counts {
        let bound = self.max_completion_tokens.or(self.max_tokens);
        let answer = bound.unwrap_or(usual_answer.get());
        Counts {
            input: Tokens::estimated(self.prompt_bytes),
            // Several answers at once are that many times as long.
            output: Tokens::new(answer.saturating_mul(self.n.max(1))),
            ..Counts::default()
        }
    }

    /// Whether infermux must ask for usage in the caller's stead: never without `stream:true`,
    /// since the API would refuse the request.
    #[must_use]
    pub const fn lacks_usage(&self) -> bool {
        self.stream && !self.include_usage
    }
}

fn fault_of(error: &serde_json::Error) -> AskFault {
    match error.classify() {
        serde_json::error::Category::Eof => AskFault::Incomplete,
        serde_json::error::Category::Data => AskFault::NotAnObject,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            AskFault::NotJson {
                line: error.line(),
                column: error.column(),
            }
        }
    }
}

/// What the caller says about the usage chunk, and where it stands.
struct IncludeUsage {
    asked: bool,
    span: Option<Range<usize>>,
}

fn include_usage(body: &[u8], options: Option<Range<usize>>) -> Result<IncludeUsage, AskFault> {
    let mut include = IncludeUsage {
        asked: false,
        span: None,
    };
    let Some(options) = options else {
        return Ok(include);
    };
    let value = body.get(options.clone()).unwrap_or_default();
    if value == b"null" {
        return Ok(include);
    }
    let mut room = Vec::new();
    for member in json::members(value) {
        let member = member.map_err(|_| AskFault::StreamOptionsNotAnObject)?;
        let name = member.name.read(&mut room);
        if name != b"include_usage" {
            let name = std::str::from_utf8(name).unwrap_or_default();
            if keys::may_be_taken_for(name, "include_usage") {
                return Err(AskFault::OtherCase("stream_options.include_usage"));
            }
            continue;
        }
        if include.span.is_some() {
            return Err(AskFault::Twice("stream_options.include_usage"));
        }
        let found = member.value.span();
        include.span = Some(options.start + found.start..options.start + found.end);
        include.asked = match member.value.kind {
            Kind::True => true,
            Kind::False | Kind::Null => false,
            Kind::String | Kind::Number | Kind::Object | Kind::Array => {
                return Err(AskFault::IncludeUsageNotABoolean);
            }
        };
    }
    Ok(include)
}

/// Place of `raw`, which is a part of `body`.
fn span_in(body: &[u8], raw: &str) -> Range<usize> {
    let start = raw.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    debug_assert_eq!(body.get(start..start + raw.len()), Some(raw.as_bytes()));
    start..start + raw.len()
}

fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

fn flag(raw: Option<&str>) -> Option<bool> {
    match raw.unwrap_or("null") {
        "true" => Some(true),
        "false" | "null" => Some(false),
        _ => None,
    }
}

fn count(raw: &str) -> Option<u64> {
    raw.parse().ok()
}

/// What the value `raw`, which a model is to read, counts for in the estimate.
fn prompt_bytes(dialect: Dialect, raw: &[u8]) -> usize {
    // What holds no attachment that is too large has nothing to leave out.
    if raw.len() <= attachment_bytes(dialect) {
        return raw.len();
    }
    let mut left_out = 0;
    Attachments::new(dialect).take_in(raw, |beyond| left_out += beyond.bytes);
    raw.len() - left_out
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
