//! What one answer does, as a script says it.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// What one answer does.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Answer {
    #[serde(rename = "do")]
    pub(crate) deed: Deed,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Value>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
    latency_ms: f64,
    ttft_ms: f64,
    pub(crate) tokens_per_second: Option<f64>,
    event_interval_ms: Option<f64>,
    pub(crate) events: Option<usize>,
    pub(crate) event_bytes: usize,
    pub(crate) chunk_bytes: Option<usize>,
    chunk_interval_ms: f64,
    finish_pause_ms: f64,
    pub(crate) body_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) answer_model: Option<String>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<usize>,
    pub(crate) cached_tokens: u64,
    pub(crate) thinking_tokens: u64,
    pub(crate) usage: UsagePolicy,
    pub(crate) stamp: Stamp,
    pub(crate) after_events: Option<usize>,
    pub(crate) reset: bool,
    pub(crate) quirks: Vec<Quirk>,
    pub(crate) canned: bool,
    /// What is said in place of the usual text.
    pub(crate) text: Option<String>,
    /// The calls of the first turn, the second, and so on; then follows text.
    pub(crate) calls: Vec<Calls>,
    /// What the model thinks before it answers, as a summary.
    pub(crate) reasoning: Option<String>,
    /// The code and the message of a response that fails.
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    /// Rendered answers of a canned one, by question.
    #[serde(skip)]
    pub(crate) cans: [OnceLock<Vec<u8>>; CANS],
}

/// The calls of one turn: one, or a list of parallel ones.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Calls {
    One(ScriptedCall),
    Parallel(Vec<ScriptedCall>),
}

/// A call that the script spells out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptedCall {
    pub(crate) name: String,
    /// An object; or a text, for a tool that takes one.
    pub(crate) input: Value,
}

impl Calls {
    /// The calls as a list.
    pub(crate) fn list(&self) -> &[ScriptedCall] {
        match self {
            Self::One(call) => std::slice::from_ref(call),
            Self::Parallel(calls) => calls,
        }
    }
}

/// How many different questions a canned answer keeps an answer for.
pub(crate) const CANS: usize = 10;

/// The main thing that an answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    #[default]
    Ok,
    StallBeforeHead,
    StallBeforeContent,
    StallMidStream,
    CutBeforeHead,
    CutMidStream,
    ErrorEventBeforeContent,
    ErrorEventMidStream,
    FailedBeforeContent,
    FailedMidStream,
    #[serde(rename = "error_200")]
    Error200,
    NoChoices,
    Garbage,
    GarbageJson,
}

/// A departure from the usual form that does not change the answer's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quirk {
    LengthTooLong,
    LengthTooShort,
    NoDone,
    IdLines,
    Comments,
    Crlf,
    LoneCr,
    Bom,
    CloseDelimited,
    #[serde(rename = "early_1xx")]
    Early1xx,
    TwoAnswers,
}

/// When an answer says how many tokens it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UsagePolicy {
    Always,
    #[default]
    Asked,
    Never,
    OnFinishChunk,
}

/// Where a content event says when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "StampValue")]
pub(crate) enum Stamp {
    #[default]
    None,
    /// In a field of its own.
    Field,
    /// As the text of the event, which survives a translation.
    Text,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StampValue {
    Switch(bool),
    Place(StampPlace),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StampPlace {
    Field,
    Text,
}

impl From<StampValue> for Stamp {
    fn from(value: StampValue) -> Self {
        match value {
            StampValue::Switch(false) => Self::None,
            StampValue::Switch(true) | StampValue::Place(StampPlace::Field) => Self::Field,
            StampValue::Place(StampPlace::Text) => Self::Text,
        }
    }
}

impl Answer {
    /// The pause before the head.
    pub(crate) fn latency(&self) -> Duration {
        milliseconds(self.latency_ms)
    }

    /// The pause before the first content.
    pub(crate) fn ttft(&self) -> Duration {
        milliseconds(self.ttft_ms)
    }

    /// The pause between two pieces of `chunk_bytes`.
    pub(crate) fn chunk_interval(&self) -> Duration {
        milliseconds(self.chunk_interval_ms)
    }

    /// The pause behind the event that follows a stream's content.
    pub(crate) fn finish_pause(&self) -> Duration {
        milliseconds(self.finish_pause_ms)
    }

    /// The pause between two content events of `words` words.
    pub(crate) fn event_interval(&self, words: f64) -> Duration {
        match (self.event_interval_ms, self.tokens_per_second) {
            (Some(interval), _) => milliseconds(interval),
            (None, Some(pace)) if pace > 0.0 => milliseconds(1_000.0 * words / pace),
            (None, _) => Duration::ZERO,
        }
    }

    /// Whether the answer has that quirk.
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether all of the answer can be written at once, whatever the request said.
    pub(crate) fn is_one_piece(&self) -> bool {
        self.deed == Deed::Ok
            && self.stamp == Stamp::None
            && self.chunk_bytes.is_none()
            && self.latency().is_zero()
            && self.ttft().is_zero()
            && self.event_interval(1.0).is_zero()
            && self.finish_pause().is_zero()
            && !self.has(Quirk::CloseDelimited)
    }

    /// Objects to fields that do not go together.
    pub(crate) fn check(self) -> Result<Self, String> {
        if let (Some(events), Some(tokens)) = (self.events, self.completion_tokens)
            && events > tokens
        {
            return Err("events: more than completion_tokens; every event has a word".to_owned());
        }
        if self.calls.iter().any(|calls| calls.list().is_empty()) {
            return Err("calls: a turn calls at least one tool".to_owned());
        }
        let inputs = self.calls.iter().flat_map(Calls::list);
        if inputs
            .map(|call| &call.input)
            .any(|input| !input.is_object() && !input.is_string())
        {
            return Err("calls: an input is an object or a text".to_owned());
        }
        if self.events == Some(0) || self.chunk_bytes == Some(0) {
            return Err("events, chunk_bytes: at least 1".to_owned());
        }
        if self.head_bytes.max(self.event_bytes).max(self.body_bytes) > PAD_MAX {
            return Err(format!(
                "head_bytes, event_bytes, body_bytes: at most {PAD_MAX}"
            ));
        }
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err("status: not between 200 and 599".to_owned());
        }
        Ok(self)
    }
}

fn milliseconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count / 1_000.0).unwrap_or(Duration::ZERO)
}

/// The most that an answer is padded to.
const PAD_MAX: usize = 256 * 1024 * 1024;
/// What an answer says that the script makes fail.
pub(crate) const SCRIPTED: &str = "the mock was told to fail";
