//! A response as an object (rules A1, A4, A5 of reference/responses-inbound.md).

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;
use crate::dialect::compose::Composer;
use crate::dialect::event::Stop;
use crate::dialect::responses::echo::{Echo, Extent};
use crate::dialect::responses::ids::Ids;
use crate::dialect::tariff;
use crate::wire::usage::Usage;

/// What stays the same while a response is made.
#[derive(Debug, Default)]
pub(super) struct Base {
    pub(super) ids: Ids,
    /// The model's name as the caller wrote it, a JSON string with its quotes.
    pub(super) model: Vec<u8>,
    /// When the response began, in Unix seconds.
    pub(super) created: u64,
    pub(super) echo: Echo,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    pub(super) status: Status<'a>,
    /// The items of the output, as the inside of a JSON list.
    pub(super) output: &'a [u8],
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

impl Base {
    /// Appends the response; returns the place of the first item of its output.
    pub(super) fn write(&self, state: &State<'_>, out: &mut Vec<u8>) -> usize {
        let mut told = Composer::object(out);
        let id = told.member("id");
        id.push(b'"');
        self.ids.write_response(id);
        id.push(b'"');
        told.string("object", "response");
        told.number("created_at", self.created);
        told.string("status", state.status.name());
        told.raw("background", b"false");
        write_error(state.status, told.member("error"));
        let details = told.member("incomplete_details");
        match state.status {
            Status::Incomplete(reason) => {
                let mut told = Composer::object(details);
                told.string("reason", reason);
                told.end();
            }
            Status::InProgress | Status::Completed | Status::Failed(..) => {
                details.extend_from_slice(b"null");
            }
        }
        told.raw("model", &self.model);
        let output = told.member("output");
        output.push(b'[');
        let output_at = output.len();
        output.extend_from_slice(state.output);
        output.push(b']');
        told.raw("previous_response_id", b"null");
        let tier = told.member("service_tier");
        match state.tier {
            Some(inside) => {
                tier.push(b'"');
                tier.extend_from_slice(inside);
                tier.push(b'"');
            }
            None => tier.extend_from_slice(b"null"),
        }
        told.raw("store", b"false");
        told.raw("truncation", b"\"disabled\"");
        let extent = match state.status {
            Status::InProgress => Extent::Brief,
            Status::Completed | Status::Incomplete(_) | Status::Failed(..) => Extent::Whole,
        };
        let usage = told.member("usage");
        match &state.spent {
            Some(spent) => write_usage(spent, usage),
            None => usage.extend_from_slice(b"null"),
        }
        self.echo.write(extent, usage);
        told.end();
        output_at
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
    let mut told = Composer::object(out);
    told.number("input_tokens", usage.prompt.get());
    let mut details = Composer::object(told.member("input_tokens_details"));
    details.number("cached_tokens", usage.cache_read.get());
    details.number("cache_write_tokens", usage.cache_write.get());
    details.end();
    told.number("output_tokens", usage.completion.get());
    let mut details = Composer::object(told.member("output_tokens_details"));
    details.number("reasoning_tokens", spent.thinking.unwrap_or_default().get());
    details.end();
    let total = usage.prompt.saturating_add(usage.completion);
    told.number("total_tokens", total.get());
    if let Some(cost) = spent.cost {
        cost.write(told.member(tariff::NAME));
    }
    told.end();
}
