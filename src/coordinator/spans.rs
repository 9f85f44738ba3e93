//! What is told of a request that has ended: a span for it, and one for each of its attempts, by
//! OpenTelemetry's conventions for generative AI and for HTTP. What was asked and answered is not
//! told.

use std::borrow::Cow;

use crate::base::endpoint::Endpoint;
use crate::decide::affinity::Stay;
use crate::decide::delivery::Piece;
use crate::decide::outcome::Outcome;
use crate::decide::strategy::Strategy;
use crate::link::journal::{AttemptEntry, RequestEntry, Spend};
use crate::link::meters::Priced;
use crate::link::trace::{Calling, Trace};
use crate::report::otlp::{self, Attributes, Kind, Link, Parent, Span};

/// The spans of `entry`, as they are sent; `None`: its trace is not told.
#[must_use]
pub fn piece(entry: &RequestEntry) -> Option<Piece> {
    let trace = entry.trace.as_deref()?;
    let mut piece = Piece {
        spans: 1,
        text: Vec::with_capacity(PIECE_BYTES),
    };
    request(&mut piece.text, entry, trace);
    for attempt in &entry.attempts {
        piece.text.push(b',');
        if self::attempt(&mut piece.text, (entry, trace), attempt) {
            piece.spans += 1;
        } else {
            piece.text.pop();
        }
    }
    Some(piece)
}

/// Appends the span of the request.
fn request(out: &mut Vec<u8>, entry: &RequestEntry, trace: &Trace) {
    let (parent, link) = match &trace.caller {
        Calling::Untold => (None, None),
        Calling::Part(id) => {
            let parent = Parent {
                id: *id,
                is_remote: true,
            };
            (Some(parent), None)
        }
        Calling::Linked(to) => {
            let link = Link {
                trace: to.trace,
                id: to.span,
                state: &to.state,
                flags: to.flags,
            };
            (None, Some(link))
        }
    };
    // By the conventions, what the caller did wrong is no error of the server.
    let error = error(entry);
    let is_callers = (400..500).contains(&entry.status);
    let span = Span {
        trace: trace.id,
        id: trace.span,
        state: &trace.state,
        parent,
        flags: trace.flags,
        name: name(entry, entry.model.as_deref()),
        kind: Kind::Server,
        start: entry.started.unix_nanos,
        end: entry.started.unix_nanos_of(entry.ended),
        error: error.as_deref().filter(|_| !is_callers),
        link,
        event: None,
    };
    otlp::span(out, &span, |attributes| {
        of_request(attributes, entry);
    });
}

fn of_request(out: &mut Attributes<'_>, entry: &RequestEntry) {
    out.text_if("gen_ai.operation.name", operation(entry));
    let last = entry.attempts.last();
    out.text_if("gen_ai.provider.name", last.map(system));
    out.text_if("gen_ai.request.model", entry.model.as_deref());
    let answering = last.filter(|one| one.outcome == Some(Outcome::Answered));
    let model = answering.map(|one| &*one.model);
    out.text_if(
        "gen_ai.response.model",
        model.filter(|model| !model.is_empty()),
    );
    let id = answering.and_then(|one| one.answer_id.as_deref());
    out.text_if("gen_ai.response.id", id);
    if let Some(spend) = &entry.spend {
        used(out, spend);
    }
    out.text_if("http.request.method", entry.method.as_deref());
    out.text_if("http.route", route(entry));
    out.text_if("url.path", entry.path.as_deref());
    out.whole("http.response.status_code", entry.status);
    out.text_if("error.type", error(entry).as_deref());
    out.text("infermux.request_id", &entry.id);
    if let Some(stream) = entry.stream {
        out.flag("infermux.stream", stream);
    }
    let of = &entry.principal;
    for (name, value) in [
        ("infermux.key", &of.key),
        ("infermux.team", &of.team),
        ("infermux.caller", &of.caller),
        ("infermux.project", &of.project),
        ("infermux.env", &of.env),
        ("infermux.group", &entry.group),
        ("infermux.model_override", &entry.model_override),
    ] {
        out.text_if(name, value.as_deref());
    }
    out.text_if("infermux.provider", last.map(|one| &*one.provider));
    out.text_if("infermux.strategy", entry.strategy.map(Strategy::name));
    out.text_if("infermux.affinity", entry.stay.map(Stay::name));
    out.whole("infermux.attempts", entry.attempts_sent);
    if let Some(cost) = entry.failed_cost {
        out.dollars("infermux.failed_cost_usd", cost);
    }
}

/// Appends the span of an attempt; returns whether it has one.
fn attempt(
    out: &mut Vec<u8>,
    (entry, trace): (&RequestEntry, &Trace),
    attempt: &AttemptEntry,
) -> bool {
    let failure = failure(attempt);
    let at = |moment| entry.started.unix_nanos_of(moment);
    let Some(id) = attempt.span else {
        return false;
    };
    let span = Span {
        trace: trace.id,
        id,
        state: &trace.state,
        parent: Some(Parent {
            id: trace.span,
            is_remote: false,
        }),
        flags: trace.flags,
        name: name(entry, Some(&attempt.model)),
        kind: Kind::Client,
        start: at(attempt.started),
        end: at(attempt.ended),
        error: failure.as_deref(),
        link: None,
        event: attempt
            .first_content
            .map(|moment| (at(moment), "infermux.first_content")),
    };
    otlp::span(out, &span, |attributes| {
        of_attempt(attributes, entry, attempt);
    });
    true
}

fn of_attempt(out: &mut Attributes<'_>, entry: &RequestEntry, attempt: &AttemptEntry) {
    out.text_if("gen_ai.operation.name", operation(entry));
    out.text("gen_ai.provider.name", system(attempt));
    if !attempt.model.is_empty() {
        out.text("gen_ai.request.model", &attempt.model);
    }
    out.text_if("gen_ai.response.id", attempt.answer_id.as_deref());
    if let Some(spend) = &attempt.spend {
        used(out, spend);
    }
    out.text_if("http.request.method", entry.method.as_deref());
    out.text("server.address", &attempt.host);
    out.whole("server.port", attempt.port);
    if let Some(status) = attempt.status {
        out.whole("http.response.status_code", status);
    }
    out.text_if("error.type", failure(attempt).as_deref());
    out.text("infermux.provider", &attempt.provider);
    let outcome = attempt.outcome.map_or(ABANDONED, Outcome::label);
    out.text("infermux.outcome", outcome);
    out.text("infermux.dialect", attempt.dialect.name());
    if attempt.is_probe {
        out.flag("infermux.probe", true);
    }
    out.text_if("infermux.after", attempt.after.map(Outcome::label));
    if attempt.sends > 1 {
        out.whole("infermux.sends", attempt.sends);
    }
    if attempt.is_lost {
        out.flag("infermux.cost_lost", true);
    }
    let id = attempt.provider_request_id.as_deref();
    out.text_if("infermux.provider_request_id", id);
    if let Some((sent, content)) = attempt.sent.zip(attempt.first_content) {
        let micros = u64::try_from(content.since(sent).as_micros());
        out.whole("infermux.first_content_us", micros.unwrap_or(u64::MAX));
    }
}

fn used(out: &mut Attributes<'_>, spend: &Spend) {
    out.whole("gen_ai.usage.input_tokens", spend.prompt.get());
    out.whole("gen_ai.usage.output_tokens", spend.completion.get());
    let (read, written) = (spend.counts.cache_read, spend.counts.written());
    for (name, tokens) in [
        ("gen_ai.usage.cache_read.input_tokens", read),
        ("gen_ai.usage.cache_creation.input_tokens", written),
    ] {
        if tokens.get() > 0 {
            out.whole(name, tokens.get());
        }
    }
    if spend.is_estimated {
        out.flag("infermux.usage_estimated", true);
    }
    match spend.priced {
        Priced::Yes => out.dollars("infermux.cost_usd", spend.cost),
        Priced::No => out.flag("infermux.unpriced", true),
    }
}

/// The name of a span: the operation and its model, or method and route.
fn name<'a>(entry: &'a RequestEntry, model: Option<&'a str>) -> [&'a str; 3] {
    let model = model.filter(|model| !model.is_empty());
    let (first, second) = match (operation(entry), model) {
        (Some(operation), model) => (operation, model),
        (None, _) => (entry.method.as_deref().unwrap_or("HTTP"), route(entry)),
    };
    match second {
        Some(second) => [first, " ", second],
        None => [first, "", ""],
    }
}

/// The operation, for endpoints that the conventions have one for.
fn operation(entry: &RequestEntry) -> Option<&'static str> {
    use Endpoint::{ChatCompletions, Completions, Embeddings, Messages, Responses};

    match endpoint(entry)? {
        ChatCompletions | Messages | Responses => Some("chat"),
        Completions => Some("text_completion"),
        Embeddings => Some("embeddings"),
        _ => None,
    }
}

fn endpoint(entry: &RequestEntry) -> Option<Endpoint> {
    let name = entry.endpoint?;
    Endpoint::ALL.into_iter().find(|one| one.name() == name)
}

/// The route, of which there are few, whatever paths are asked for.
fn route(entry: &RequestEntry) -> Option<&'static str> {
    match entry.endpoint? {
        "models" => Some("/v1/models"),
        "stored_response" => Some("/v1/responses/{id}"),
        "root" => Some("/"),
        _ => endpoint(entry).map(Endpoint::path),
    }
}

/// What went wrong with the request: infermux's own code, or else the status.
fn error(entry: &RequestEntry) -> Option<Cow<'static, str>> {
    let code = entry.error.map(Cow::from);
    code.or_else(|| status_error(entry.status))
}

/// What went wrong with the attempt: the status of its answer, or else how it ended; `None`:
/// nothing, or it was not the provider's fault.
fn failure(attempt: &AttemptEntry) -> Option<Cow<'static, str>> {
    let status = attempt.status.and_then(status_error);
    status.or_else(|| match attempt.outcome {
        None | Some(Outcome::Answered | Outcome::CallerGone) => None,
        Some(outcome) => Some(outcome.label().into()),
    })
}

/// The status, where it is an error.
fn status_error(status: u16) -> Option<Cow<'static, str>> {
    (status >= 400).then(|| status.to_string().into())
}

/// What the conventions call the provider: by its host, which tells more than its type.
fn system(attempt: &AttemptEntry) -> &str {
    let host = &*attempt.host;
    let is_below = |domain: &str| {
        let rest = host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut known = BY_HOST.iter().filter(|(domain, _)| is_below(domain));
    match (known.next(), attempt.provider_type) {
        (Some((_, name)), _) => name,
        (None, "azure_openai") => "azure.ai.openai",
        (None, kind) => kind,
    }
}

/// Names of the conventions, by domain.
const BY_HOST: [(&str, &str); 10] = [
    ("openai.azure.com", "azure.ai.openai"),
    ("groq.com", "groq"),
    ("mistral.ai", "mistral_ai"),
    ("deepseek.com", "deepseek"),
    ("x.ai", "x_ai"),
    ("perplexity.ai", "perplexity"),
    ("cohere.ai", "cohere"),
    ("cohere.com", "cohere"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("amazonaws.com", "aws.bedrock"),
];
/// The outcome of attempts that infermux itself has ended.
const ABANDONED: &str = "abandoned";
/// Usual room for the spans of a request with one attempt.
const PIECE_BYTES: usize = 3 << 10;
