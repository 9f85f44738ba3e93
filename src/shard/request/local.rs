//! Successful answers that infermux gives itself.

use std::sync::Arc;

use crate::base::limits::ONE_SEND_BYTES_MAX;
use crate::exchange::answer_head::{AnswerHead, JSON, PassedOn, length};
use crate::exchange::door::Door;
use crate::exchange::headers;
use crate::exchange::refusal::AnswerBody;
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::net::part::Part;
use crate::shard::request::after::{self, After};
use crate::shard::request::answer_head::{self, head_end};
use crate::shard::request::record::Record;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::head::Framing;

/// An answer of infermux's own.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its media type.
    pub kind: &'static str,
    /// More fields of its head, each with its line end.
    pub fields: String,
    /// Its body.
    pub body: Text,
}

/// The body of an answer.
pub enum Text {
    /// Made for this one.
    Own(Vec<u8>),
    /// The same for everybody: it is sent from where it is.
    Published(Arc<Vec<u8>>),
    /// There is none, as the status says.
    Absent,
}

impl Text {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Published(bytes) => bytes,
            Self::Absent => &[],
        }
    }

    fn into_part(self) -> Part {
        match self {
            Self::Own(bytes) => Part::own(bytes),
            Self::Published(bytes) => Part::published(bytes),
            Self::Absent => Part::own(Vec::new()),
        }
    }
}

impl Answer {
    /// One in JSON.
    #[must_use]
    pub const fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            kind: JSON,
            fields: String::new(),
            body: Text::Own(body),
        }
    }

    /// One in JSON that is the same for everybody.
    #[must_use]
    pub const fn published(body: Arc<Vec<u8>>) -> Self {
        Self {
            status: 200,
            kind: JSON,
            fields: String::new(),
            body: Text::Published(body),
        }
    }
}

/// The media type of a line of text.
const TEXT: &str = "text/plain; charset=utf-8";
/// What callers are served.
const API: &str = "/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/messages, \
    /v1/responses, /v1/models, /v1/audio/*, /v1/images/*, /v1/moderations, /v1/rerank, \
    /v2/rerank, /v1/score, /tokenize, /detokenize, and what passthrough.provider serves; ";
/// The media type of pages.
pub const HTML: &str = "text/html; charset=utf-8";
/// The media type of metrics (Prometheus, text exposition format).
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Says what this is.
#[must_use]
pub fn root(shard: &Shard) -> Answer {
    let page = match shard.door {
        Door::Both | Door::Operators => "the page for operators is at /_infermux/",
        Door::Callers => "the page for operators is on management_listen",
    };
    let api = match shard.door {
        Door::Both | Door::Callers => API,
        Door::Operators => "",
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("infermux {version}, a router for LLM APIs: {api}{page}\n");
    Answer {
        status: 200,
        kind: TEXT,
        fields: String::new(),
        body: Text::Own(text.into_bytes()),
    }
}

/// Tells a browser that a page may call; `lines` say how.
#[must_use]
pub fn preflight(lines: &str) -> Answer {
    Answer {
        status: 204,
        kind: "",
        fields: lines.to_owned(),
        body: Text::Absent,
    }
}

/// Answers a request.
pub async fn answer(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    record: &mut Record<'_>,
    answer: Answer,
) -> After {
    let Answer {
        status,
        kind,
        fields,
        body,
    } = answer;
    let bytes = body.as_slice().len();
    record.first_byte = Some(clock::now());
    let head = AnswerHead {
        status,
        media_type: kind,
        framing: match &body {
            Text::Own(_) | Text::Published(_) => length(bytes),
            Text::Absent => Framing::None,
        },
        passed_on: PassedOn::Nothing,
    };
    let end = head_end(record, request.connection);
    answer_head::write(caller, record, &head, end, |out| {
        headers::request_id(out, request.id.as_bytes());
        out.extend_from_slice(fields.as_bytes());
    });
    match request.body {
        AnswerBody::Sent if bytes <= ONE_SEND_BYTES_MAX => {
            caller.out.extend_from_slice(body.as_slice());
        }
        AnswerBody::Sent | AnswerBody::LengthOnly => {}
    }
    record.count();
    let mut sent = caller.send_out().await;
    if request.body == AnswerBody::Sent && bytes > ONE_SEND_BYTES_MAX && sent.is_ok() {
        sent = caller.send(body.into_part()).await.0;
    }
    match sent {
        Ok(()) => after::after(shard, request.connection),
        Err(_) => {
            record.caller_gone();
            After::Close
        }
    }
}
