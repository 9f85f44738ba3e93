//! Usage records: a JSON object a line for each request, each attempt and each correction. The list
//! of their fields is the only source of the lines, of their schema, and of the table in the
//! documentation.

use std::io::Write;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::base::time::WallTime;
use crate::report::escape::json_string;

/// The version of the schema. It grows when a field goes or changes its meaning; a field that is
/// added leaves it as it is.
pub const VERSION: u64 = 1;

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Schema,
    Kind,
    Time,
    Started,
    RequestId,
    Attempt,
    Attempts,
    Key,
    Team,
    Caller,
    Project,
    Env,
    Endpoint,
    Dialect,
    Stream,
    Model,
    ModelOverride,
    ModelSent,
    Strategy,
    Group,
    Affinity,
    Provider,
    ProviderType,
    ProviderDialect,
    ProviderRequestId,
    ResponseId,
    ProviderKey,
    Probe,
    Sends,
    After,
    Outcome,
    Status,
    Error,
    DurationMs,
    SentMs,
    HeadMs,
    FirstContentMs,
    FirstByteMs,
    InputTokens,
    CacheReadTokens,
    CacheWriteTokens,
    CacheWrite1hTokens,
    OutputTokens,
    ReasoningTokens,
    Estimated,
    Priced,
    Billed,
    CostNanoUsd,
    FailedCostNanoUsd,
    Month,
}

/// The description of a field.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The field.
    pub field: Field,
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The kinds of records that may have a value there.
    pub of: &'static str,
    /// Its meaning, in a sentence.
    pub help: &'static str,
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 0 on.
    Number,
    /// The version of the schema.
    Version,
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A moment, RFC 3339 with microseconds, UTC.
    Time,
    /// A month, as `2026-11`.
    Month,
    /// `true` or `false`.
    Flag,
    /// Milliseconds, with their thousandths.
    Millis,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// It does not apply, or is not known.
    Null,
    /// A whole number.
    Number(u64),
    /// A text.
    Text(&'a str),
    /// `true` or `false`.
    Flag(bool),
    /// A moment, in nanoseconds since the Unix epoch.
    Time(u64),
    /// A span of time.
    Millis(Duration),
    /// A month: its year, and its number from 1 on.
    Month(u64, u64),
}

/// A record: it has all fields.
#[derive(Clone, Copy, Debug)]
pub struct UsageRecord<'a>([Value<'a>; ROWS.len()]);

impl<'a> UsageRecord<'a> {
    /// A record of this kind, one of [`KINDS`], without further values.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        let mut record = Self([Value::Null; ROWS.len()]);
        record.set(Field::Schema, Value::Number(VERSION));
        record.set(Field::Kind, Value::Text(kind));
        record
    }

    /// Gives the field this value.
    pub const fn set(&mut self, field: Field, value: Value<'a>) {
        self.0[field as usize] = value;
    }

    /// Gives the field this text, if there is one.
    pub fn text(&mut self, field: Field, text: Option<&'a str>) {
        self.set(field, text.map_or(Value::Null, Value::Text));
    }

    /// Appends the line.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut before = b'{';
        for (row, value) in ROWS.iter().zip(self.0) {
            out.push(before);
            before = b',';
            out.push(b'"');
            out.extend_from_slice(row.name.as_bytes());
            out.extend_from_slice(b"\":");
            value.write(out);
        }
        out.extend_from_slice(b"}\n");
    }
}

impl Value<'_> {
    fn write(self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = match self {
            Self::Null => out.write_all(b"null"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Flag(flag) => write!(out, "{flag}"),
            Self::Text(text) => {
                json_string(out, text);
                Ok(())
            }
            Self::Time(nanos) => {
                let civil = WallTime::from_unix_millis(nanos / 1_000_000).civil();
                write!(out, "\"{civil}.{:06}Z\"", nanos / 1_000 % 1_000_000)
            }
            Self::Millis(span) => {
                let micros = span.as_micros();
                write!(out, "{}.{:03}", micros / 1_000, micros % 1_000)
            }
            Self::Month(year, month) => write!(out, "\"{year:04}-{month:02}\""),
        };
    }
}

/// The JSON Schema of a line.
#[must_use]
pub fn schema() -> Json {
    let mut properties = Map::new();
    for row in &ROWS {
        let mut one = row.kind.schema(row.is_always());
        if let Some(one) = one.as_object_mut() {
            one.insert("description".into(), row.help.into());
        }
        properties.insert(row.name.into(), one);
    }
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A usage record of infermux",
        "description": "A line of the file that `usage.file` names. Fields may be added without a \
                        new version.",
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

impl Row {
    /// Whether each record has a value there.
    fn is_always(&self) -> bool {
        let names_it = matches!(self.field, Field::Kind | Field::RequestId);
        names_it || matches!(self.kind, Kind::Version | Kind::Time | Kind::Month)
    }
}

impl Kind {
    /// The words of the documentation for it.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::Number | Self::Version => "whole number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Word(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(", ")
            }
            Self::Time => "RFC 3339, UTC".to_owned(),
            Self::Month => "as `2026-11`".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Millis => "milliseconds".to_owned(),
        }
    }

    fn schema(self, is_always: bool) -> Json {
        let mut one = match self {
            Self::Version => return json!({"const": VERSION}),
            Self::Number => json!({"type": "integer", "minimum": 0}),
            Self::Text => json!({"type": "string"}),
            Self::Word(words) => json!({"enum": words}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Month => json!({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Millis => json!({"type": "number", "minimum": 0}),
        };
        if !is_always && let Some(members) = one.as_object_mut() {
            if let Some(kind) = members.get_mut("type") {
                *kind = json!([kind.take(), "null"]);
            }
            if let Some(words) = members.get_mut("enum").and_then(Json::as_array_mut) {
                words.push(Json::Null);
            }
        }
        one
    }
}

const fn row(
    field: Field,
    name: &'static str,
    kind: Kind,
    of: &'static str,
    help: &'static str,
) -> Row {
    Row {
        field,
        name,
        kind,
        of,
        help,
    }
}

/// The kinds of records.
pub const KINDS: [&str; 3] = ["request", "attempt", "correction"];
const ALL: &str = "all";
const REQUEST: &str = "request";
const ATTEMPT: &str = "attempt";
const NOT_REQUEST: &str = "attempt, correction";
const NOT_CORRECTION: &str = "request, attempt";

/// All fields, in the order in which they are written: the only list of them.
#[rustfmt::skip]
pub const ROWS: [Row; 50] = [
    row(Field::Schema, "schema", Kind::Version, ALL,
        "The version of the schema."),
    row(Field::Kind, "kind", Kind::Word(&KINDS), ALL,
        "What the record is about: a request of a caller that has ended, an attempt of it at a \
         provider, or what a response in the background has used beyond what was recorded."),
    row(Field::Time, "time", Kind::Time, ALL,
        "When that ended, or was learned."),
    row(Field::Started, "started", Kind::Time, ALL,
        "When it began: a request when its head was complete."),
    row(Field::RequestId, "request_id", Kind::Text, ALL,
        "The request's id, as in `X-Request-Id` and in the log: `request` and `attempt` records of \
         one request share it. Callers may choose it, so that it may repeat."),
    row(Field::Attempt, "attempt", Kind::Number, ATTEMPT,
        "The number of the attempt within its request, from 1."),
    row(Field::Attempts, "attempts", Kind::Number, REQUEST,
        "How many providers the request was sent to."),
    row(Field::Key, "key", Kind::Text, ALL,
        "The name of the caller's key, where `auth.mode` is `keys`."),
    row(Field::Team, "team", Kind::Text, ALL,
        "The team of that key."),
    row(Field::Caller, "caller", Kind::Text, ALL,
        "The caller: `X-Infermux-Caller`, or what the key says."),
    row(Field::Project, "project", Kind::Text, ALL,
        "`X-Infermux-Project`."),
    row(Field::Env, "env", Kind::Text, ALL,
        "`X-Infermux-Env`."),
    row(Field::Endpoint, "endpoint", Kind::Text, NOT_CORRECTION,
        "What was asked for, as in the log: `chat_completions`, `messages`, `models`, …"),
    row(Field::Dialect, "dialect", Kind::Word(&DIALECTS), NOT_CORRECTION,
        "The dialect of the caller."),
    row(Field::Stream, "stream", Kind::Flag, NOT_CORRECTION,
        "Whether a stream was asked for."),
    row(Field::Model, "model", Kind::Text, NOT_CORRECTION,
        "The model that the caller asked for."),
    row(Field::ModelOverride, "model_override", Kind::Text, NOT_CORRECTION,
        "The model that a budget put in place of that one."),
    row(Field::ModelSent, "model_sent", Kind::Text, ALL,
        "The model that the provider was asked for, which an alias may have changed; of a request, \
         at the last provider."),
    row(Field::Strategy, "strategy", Kind::Text, NOT_CORRECTION,
        "How the provider was chosen: `routing.strategy`, or that of the group."),
    row(Field::Group, "group", Kind::Text, NOT_CORRECTION,
        "The group of `routing.groups` that the model is in."),
    row(Field::Affinity, "affinity", Kind::Text, REQUEST,
        "Whether the request went to the provider of its conversation: `kept`, `moved` or `none`."),
    row(Field::Provider, "provider", Kind::Text, ALL,
        "The provider; of a request, the one that served it or failed last."),
    row(Field::ProviderType, "provider_type", Kind::Text, ATTEMPT,
        "The provider's `type`."),
    row(Field::ProviderDialect, "provider_dialect", Kind::Word(&DIALECTS), ATTEMPT,
        "The dialect in which the provider was asked."),
    row(Field::ProviderRequestId, "provider_request_id", Kind::Text, ATTEMPT,
        "The provider's own id for the request."),
    row(Field::ResponseId, "response_id", Kind::Text, NOT_REQUEST,
        "The provider's id of its answer; of a correction, that of the response whose usage was \
         learned later."),
    row(Field::ProviderKey, "provider_key", Kind::Word(&KEY_OWNERS), ATTEMPT,
        "Whose key the provider was sent: infermux's own, or the caller's, whose account pays \
         then."),
    row(Field::Probe, "probe", Kind::Flag, ATTEMPT,
        "Whether the attempt tested a circuit that was open."),
    row(Field::Sends, "sends", Kind::Number, ATTEMPT,
        "How often the provider was sent the request: again over a fresh connection, or without \
         what it refuses."),
    row(Field::After, "after", Kind::Text, ATTEMPT,
        "The outcome of the attempt at another provider that led to this one."),
    row(Field::Outcome, "outcome", Kind::Text, ATTEMPT,
        "How the attempt ended: the outcomes of `infermux_attempts_total`."),
    row(Field::Status, "status", Kind::Number, NOT_CORRECTION,
        "The status of the answer: of a request the caller's, 499 for one that hung up; of an \
         attempt the provider's."),
    row(Field::Error, "error", Kind::Text, REQUEST,
        "The code of the error, or what went wrong, as in the log."),
    row(Field::DurationMs, "duration_ms", Kind::Millis, NOT_CORRECTION,
        "How long it took."),
    row(Field::SentMs, "sent_ms", Kind::Millis, ATTEMPT,
        "From the attempt's beginning until its request was sent, the last time."),
    row(Field::HeadMs, "head_ms", Kind::Millis, ATTEMPT,
        "From the attempt's beginning to the head of the provider's answer."),
    row(Field::FirstContentMs, "first_content_ms", Kind::Millis, ATTEMPT,
        "From the attempt's beginning to the first content of a stream that the caller got."),
    row(Field::FirstByteMs, "first_byte_ms", Kind::Millis, REQUEST,
        "From the request's beginning to the first byte of its answer."),
    row(Field::InputTokens, "input_tokens", Kind::Number, ALL,
        "Tokens of the prompt that no cache had a part in."),
    row(Field::CacheReadTokens, "cache_read_tokens", Kind::Number, ALL,
        "Tokens of the prompt that were read from a cache."),
    row(Field::CacheWriteTokens, "cache_write_tokens", Kind::Number, ALL,
        "Tokens of the prompt that were written to a cache."),
    row(Field::CacheWrite1hTokens, "cache_write_1h_tokens", Kind::Number, ALL,
        "Those of `cache_write_tokens` that the cache keeps for an hour."),
    row(Field::OutputTokens, "output_tokens", Kind::Number, ALL,
        "Tokens of the answer, those that were thought included."),
    row(Field::ReasoningTokens, "reasoning_tokens", Kind::Number, ALL,
        "Those of `output_tokens` that were thought, where the provider tells."),
    row(Field::Estimated, "estimated", Kind::Flag, ALL,
        "Whether the tokens are estimated from the length of the text, since the provider told \
         none."),
    row(Field::Priced, "priced", Kind::Flag, ALL,
        "Whether the price is known; otherwise the cost is 0."),
    row(Field::Billed, "billed", Kind::Flag, ATTEMPT,
        "Whether the cost is part of the request's; `false`: the attempt had failed, and nobody \
         was charged."),
    row(Field::CostNanoUsd, "cost_nano_usd", Kind::Number, ALL,
        "The cost in thousand-millionths of a US dollar. What the records of requests and \
         corrections add up to is what callers were told and `/_infermux/costs` says; the records \
         of attempts have the same once more."),
    row(Field::FailedCostNanoUsd, "failed_cost_nano_usd", Kind::Number, REQUEST,
        "What attempts have cost that failed after their provider had begun to answer, in the same \
         unit. Nobody was charged."),
    row(Field::Month, "month", Kind::Month, ALL,
        "The month in which the cost counts: that in which the request was admitted."),
];

const DIALECTS: [&str; 3] = ["chat", "messages", "responses"];
const KEY_OWNERS: [&str; 2] = ["infermux", "caller"];

const _: () = {
    let mut place = 0;
    while place < ROWS.len() {
        assert!(
            ROWS[place].field as usize == place,
            "in the order of the enum"
        );
        place += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_fields_in_order() {
        let mut record = UsageRecord::new("request");
        record.set(Field::Time, Value::Time(1_795_392_000_001_002_003));
        record.text(Field::Key, Some("a \"b\"\n"));
        record.text(Field::Team, None);
        record.set(Field::Stream, Value::Flag(true));
        record.set(
            Field::DurationMs,
            Value::Millis(Duration::from_nanos(1_002_003)),
        );
        record.set(Field::Month, Value::Month(2026, 3));
        let mut out = Vec::new();
        record.write(&mut out);
        let text = String::from_utf8(out).expect("a text");
        assert!(text.starts_with("{\"schema\":1,\"kind\":\"request\",\"time\":"));
        assert!(text.ends_with(",\"month\":\"2026-03\"}\n"));
        let line: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["time"], "2026-11-23T00:00:00.001002Z");
        assert_eq!(line["key"], "a \"b\"\n");
        assert_eq!(line["duration_ms"], 1.002);
        let members = line.as_object().expect("an object");
        assert!(members["team"].is_null() && members.len() == ROWS.len());
    }

    #[test]
    fn each_field_has_a_sentence() {
        for row in &ROWS {
            assert!(row.help.ends_with(['.', '…']), "{}", row.name);
        }
    }
}
