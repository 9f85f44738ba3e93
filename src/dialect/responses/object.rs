//! A response as an object (rules A1, A4, A5 of reference/responses-inbound.md).

use std::borrow::Cow;

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::dialect::compose::{self, Composer};
use crate::dialect::event::Stop;
use crate::dialect::responses::echo::{Echo, Extent};
use crate::dialect::responses::ids::Ids;
use crate::dialect::tariff;
use crate::wire::usage::Usage;

/// What stays the same while a response is made.
#[derive(Debug, Default)]
pub(super) struct Base<'m> {
    pub(super) ids: Ids,
    /// The model's name as the caller wrote it, a JSON string with its quotes.
    pub(super) model: Cow<'m, [u8]>,
    /// When the response began, in Unix seconds.
    pub(super) created: u64,
    pub(super) echo: Echo,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    pub(super) status: Status<'a>,
    /// The provider's word for how the request was served: the inside of a JSON string.
    pub(super) tier: Option<&'a [u8]>,
    pub(super) spent: Option<Spent>,
}

/// What a response has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) usage: Usage,
    /// The part of the output that the model has thought, where that is told.
    pub(super) thinking: Option<Tokens>,
    /// Its cost, where the caller wants to know.
    pub(super) cost: Option<NanoUsd>,
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    /// It ends early, for this reason.
    Incomplete(&'static str),
    /// It has failed, with this code and this message, a JSON string with its quotes.
    Failed(&'a str, &'a [u8]),
}

impl Status<'_> {
    /// The status of an answer whose model has stopped, with a refusal in words or without.
    pub(super) const fn of(stop: Option<Stop>, refusal: Refusal) -> Self {
        match (stop, refusal) {
            (Some(Stop::Length), _) => Self::Incomplete("max_output_tokens"),
            (Some(Stop::Refusal), Refusal::Unworded) => Self::Incomplete("content_filter"),
            (Some(Stop::Refusal), Refusal::Worded)
            | (Some(Stop::End | Stop::ToolUse) | None, _) => Self::Completed,
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(..) => "failed",
        }
    }
}

/// Whether an answer says that its model does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does, in words.
    Worded,
    /// It does not, or only by a reason for its end.
    #[default]
    Unworded,
}

impl Base<'_> {
    /// Appends the response. Its `output` is the inside of a JSON list.
    pub(super) fn write(&self, state: &State<'_>, output: &[u8], out: &mut Vec<u8>) {
        let write_output = |out: &mut Vec<u8>| out.extend_from_slice(output);
        self.write_around(state, output.len(), out, write_output);
    }

    /// As [`write`](Self::write); `write_output` appends the output, which takes about `room`
    /// bytes.
    pub(super) fn write_around<T>(
        &self,
        state: &State<'_>,
        room: usize,
        out: &mut Vec<u8>,
        write_output: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let (extent, repeated) = match state.status {
            Status::InProgress => (Extent::Brief, 0),
            Status::Completed | Status::Incomplete(_) | Status::Failed(..) => {
                (Extent::Whole, self.echo.room())
            }
        };
        out.reserve(self.model.len() + room + repeated + AROUND_BYTES);
        out.extend_from_slice(br#"{"id":""#);
        self.ids.write_response(out);
        out.extend_from_slice(br#"","object":"response","created_at":"#);
        out.extend_from_slice(itoa::Buffer::new().format(self.created).as_bytes());
        out.extend_from_slice(br#","status":""#);
        out.extend_from_slice(state.status.name().as_bytes());
        out.extend_from_slice(br#"","background":false,"error":"#);
        write_error(state.status, out);
        out.extend_from_slice(br#","incomplete_details":"#);
        match state.status {
            Status::Incomplete(reason) => {
                let mut told = Composer::object(out);
                told.string("reason", reason);
                told.end();
            }
            Status::InProgress | Status::Completed | Status::Failed(..) => {
                out.extend_from_slice(b"null");
            }
        }
        out.extend_from_slice(br#","model":"#);
        out.extend_from_slice(&self.model);
        out.extend_from_slice(br#","output":["#);
        let written = write_output(out);
        out.extend_from_slice(br#"],"previous_response_id":null,"service_tier":"#);
        match state.tier {
            Some(inside) => {
                out.push(b'"');
                out.extend_from_slice(inside);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","store":false,"truncation":"disabled","usage":"#);
        match &state.spent {
            Some(spent) => write_usage(spent, out),
            None => out.extend_from_slice(b"null"),
        }
        self.echo.write(extent, out);
        out.push(b'}');
        written
    }
}

fn write_error(status: Status<'_>, out: &mut Vec<u8>) {
    let Status::Failed(code, message) = status else {
        return out.extend_from_slice(b"null");
    };
    let mut error = Composer::object(out);
    error.string("code", code);
    error.raw("message", message);
    error.end();
}

fn write_usage(spent: &Spent, out: &mut Vec<u8>) {
    let usage = &spent.usage;
    let total = usage.prompt.saturating_add(usage.completion);
    let counts: [(&[u8], Tokens); 6] = [
        (br#"{"input_tokens":"#, usage.prompt),
        (
            br#","input_tokens_details":{"cached_tokens":"#,
            usage.cache_read,
        ),
        (br#","cache_write_tokens":"#, usage.cache_write),
        (br#"},"output_tokens":"#, usage.completion),
        (
            br#","output_tokens_details":{"reasoning_tokens":"#,
            spent.thinking.unwrap_or_default(),
        ),
        (br#"},"total_tokens":"#, total),
    ];
    compose::counts(&counts, out);
    let mut told = Composer::within(out);
    if let Some(cost) = spent.cost {
        cost.write(told.member(tariff::NAME));
    }
    told.end();
}

/// Most bytes that a response has around its model, its output and what it repeats, as a rule.
const AROUND_BYTES: usize = 512;
