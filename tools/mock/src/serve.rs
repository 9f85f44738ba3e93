//! From a request to the program of its answer.

use std::sync::Arc;

use memchr::memmem;
use serde_json::Value;

use crate::answer::{Answer, CANS};
use crate::ask::{self, Ask, Objection, Route};
use crate::control;
use crate::endpoint::{Endpoint, Wish};
use crate::errors;
use crate::http::{self, Persistence, Request};
use crate::instance::{Instance, Ticket};
use crate::other_ask;
use crate::program::Program;
use crate::reply::{self, Stream, Voice};
use crate::responses::Stored;
use crate::script::{Facts, Script};
use crate::strict;

/// What a request and its connection bring along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) instance: &'a Arc<Instance>,
    pub(crate) script: &'a Script,
    /// The number of the connection.
    pub(crate) connection: u64,
    pub(crate) entrance: Entrance,
}

/// The listener through which a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The instance's own port.
    Main,
    /// The control port, which serves nothing else.
    Control,
}

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Served {
    /// The whole answer has been written to the output.
    Written(Option<Ticket>, Persistence),
    /// The answer takes steps.
    Program(Option<Ticket>, Box<Program>),
}

/// Answers a request, at once where that is possible.
pub(crate) fn serve(scene: &Scene<'_>, request: &Request<'_>, out: &mut Vec<u8>) -> Served {
    if request.path().starts_with("/_mock/") {
        return Served::Program(None, Box::new(control::answer(scene.instance, request)));
    }
    if scene.entrance == Entrance::Control {
        let body = b"{\"error\":\"only /_mock/* is served here\"}";
        out.append(&mut http::json_answer(404, body, request.persistence));
        return Served::Written(None, request.persistence);
    }
    let ticket = scene
        .instance
        .arrive(scene.script, scene.connection, request);
    match respond(scene, request, ticket, out) {
        Ok(served) => served,
        Err(objection) => {
            let body = errors::objection_body(ask::manners(scene.script.dialect), &objection);
            let status = objection.status;
            out.append(&mut http::json_answer(
                status,
                body.as_bytes(),
                request.persistence,
            ));
            Served::Written(Some(ticket), request.persistence)
        }
    }
}

/// A request that was authorized.
#[derive(Clone, Copy)]
struct Call<'a> {
    script: &'a Script,
    request: &'a Request<'a>,
    route: &'a Route,
    ticket: Ticket,
}

fn respond(
    scene: &Scene<'_>,
    request: &Request<'_>,
    ticket: Ticket,
    out: &mut Vec<u8>,
) -> Result<Served, Objection> {
    let script = scene.script;
    let route = &ask::route(script, request)?;
    ask::authorize(script, request)?;
    let call = Call {
        script,
        request,
        route,
        ticket,
    };
    if matches!(route.endpoint, Endpoint::Models | Endpoint::Model(_)) {
        return list_models(call);
    }
    if let Endpoint::Stored { id, wish } = &route.endpoint {
        return stored(scene, call, id, *wish);
    }
    let ask = if script.reads_bodies {
        Some(read(scene, route, request)?)
    } else {
        None
    };
    let facts = Facts {
        method: request.method,
        path: request.path(),
        headers: request.headers,
        model: ask.as_ref().map_or("", |ask| &ask.model),
        stream: ask.as_ref().is_some_and(|ask| ask.stream),
        is_free: matches!(
            route.endpoint,
            Endpoint::CountTokens | Endpoint::InputTokens
        ),
    };
    let usual = Answer::default();
    let answer = script.choose(&facts).unwrap_or(&usual);
    if answer.canned {
        return Ok(canned(call, answer, out));
    }
    let ask = match ask {
        Some(ask) => ask,
        None => read(scene, route, request)?,
    };
    let voice = Voice {
        route,
        ask: &ask,
        answer,
        name: &script.name,
        number: ticket.number,
    };
    keep(scene, &voice);
    let program = Program::of_voice(&voice, || voice.body(), request.persistence);
    Ok(Served::Program(Some(ticket), Box::new(program)))
}

/// Stores a response that is to be stored, and that the script does not replace by another answer.
fn keep(scene: &Scene<'_>, voice: &Voice<'_>) {
    let answer = voice.answer;
    let replaced = answer.status.is_some() || answer.body.is_some();
    if voice.route.endpoint != Endpoint::Responses || !voice.ask.keep || replaced {
        return;
    }
    let body = serde_json::from_str(&voice.finished_response()).unwrap_or_default();
    scene.instance.stored().put(Stored {
        id: voice.response_id(),
        items: voice.ask.items.clone(),
        body,
        events: voice.stream().map(Stream::into_events).unwrap_or_default(),
        pending: voice.ask.background,
    });
}

/// Answers what is asked of a stored response.
fn stored(scene: &Scene<'_>, call: Call<'_>, id: &str, wish: Wish) -> Result<Served, Objection> {
    let (request, ticket) = (call.request, call.ticket);
    let mut shelf = scene.instance.stored();
    let streams = wish == Wish::Show && request.parameter("stream") == Some("true");
    if streams && let Some(events) = shelf.events(id) {
        let program = Program::of_events(events, request.persistence);
        return Ok(Served::Program(Some(ticket), Box::new(program)));
    }
    plain(call, shelf.grant(id, wish).map(|body| body.to_string()))
}

fn read(scene: &Scene<'_>, route: &Route, request: &Request<'_>) -> Result<Ask, Objection> {
    let script = scene.script;
    if route.endpoint == Endpoint::Other {
        return other_ask::read(request);
    }
    let mut body: Value = serde_json::from_slice(request.body)
        .map_err(|error| Objection::bad(format!("the body is not JSON: {error}")))?;
    strict::check(script, route, request, &body)?;
    let takes_items = matches!(
        route.endpoint,
        Endpoint::Responses | Endpoint::InputTokens | Endpoint::Compact
    );
    if takes_items && let Some(body) = body.as_object_mut() {
        scene.instance.stored().gather(script, body)?;
    }
    let ask = Ask::read(route, &body)?;
    if script.models.is_empty() || script.models.contains(&ask.model) {
        return Ok(ask);
    }
    let code = if route.deployment.is_some() {
        "DeploymentNotFound"
    } else {
        "model_not_found"
    };
    let message = format!("model: {}", ask.model);
    Err(Objection::new(404, Some(code), message))
}

fn list_models(call: Call<'_>) -> Result<Served, Objection> {
    let body = reply::models_body(call.route, &call.script.models).ok_or_else(|| {
        let message = format!("no such model: {}", call.request.path());
        Objection::new(404, Some("model_not_found"), message)
    });
    plain(call, body)
}

/// Answers a request that costs nothing with `body`, unless a rule is meant for it.
fn plain(call: Call<'_>, body: Result<String, Objection>) -> Result<Served, Objection> {
    let Call {
        script,
        request,
        route,
        ticket,
    } = call;
    let facts = Facts {
        method: request.method,
        path: request.path(),
        headers: request.headers,
        model: "",
        stream: false,
        is_free: true,
    };
    let usual = Answer::default();
    let answer = script.choose(&facts);
    // What a rule spells out is answered whether or not there is such a thing.
    let body = match answer {
        Some(answer) if answer.status.is_some() || answer.body.is_some() => {
            body.unwrap_or_default()
        }
        Some(_) | None => body?,
    };
    let voice = Voice {
        route,
        ask: &Ask::default(),
        answer: answer.unwrap_or(&usual),
        name: &script.name,
        number: ticket.number,
    };
    let program = Program::of_voice(&voice, || body, request.persistence);
    Ok(Served::Program(Some(ticket), Box::new(program)))
}

/// Answers without looking at the request's text, from memory where the answer has no pauses.
fn canned(call: Call<'_>, answer: &Answer, out: &mut Vec<u8>) -> Served {
    let Call {
        script,
        request,
        route,
        ticket,
    } = call;
    let stream = wants_stream(request.body);
    let make = || {
        let model = script
            .models
            .first()
            .map_or("mock-model", String::as_str)
            .to_owned();
        let ask = Ask {
            model,
            stream,
            include_usage: stream,
            inputs: 1,
            ..Ask::default()
        };
        let number = if answer.is_one_piece() {
            0
        } else {
            ticket.number
        };
        let voice = Voice {
            route,
            ask: &ask,
            answer,
            name: &script.name,
            number,
        };
        Program::of_voice(&voice, || voice.body(), request.persistence)
    };
    let kind = can_of(&route.endpoint);
    // An answer with `connection: close` must not be kept for other requests.
    let can = answer
        .cans
        .get(kind * 2 + usize::from(stream))
        .filter(|_| answer.is_one_piece() && request.persistence == Persistence::KeepAlive);
    match can {
        Some(can) => {
            out.extend_from_slice(can.get_or_init(|| make().into_bytes()));
            Served::Written(Some(ticket), Persistence::KeepAlive)
        }
        None => Served::Program(Some(ticket), Box::new(make())),
    }
}

/// The place of an endpoint's answers among those that are kept.
fn can_of(endpoint: &Endpoint) -> usize {
    match endpoint {
        Endpoint::Chat => 0,
        Endpoint::Completions => 1,
        Endpoint::Embeddings => 2,
        Endpoint::Messages => 3,
        Endpoint::Responses => 4,
        // What is not one of the above is not answered from memory.
        Endpoint::CountTokens
        | Endpoint::InputTokens
        | Endpoint::Compact
        | Endpoint::Stored { .. }
        | Endpoint::Models
        | Endpoint::Model(_)
        | Endpoint::Other => CANS,
    }
}

/// Whether a body has `"stream": true`, judged by its bytes: inside a string, a backslash would
/// precede the quotes, so text does not look like the key.
fn wants_stream(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"stream\"";
    memmem::find_iter(body, KEY).any(|at| {
        let rest = body
            .get(at + KEY.len()..)
            .unwrap_or_default()
            .trim_ascii_start();
        rest.strip_prefix(b":")
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_the_wish_for_a_stream_in_the_bytes() {
        assert!(wants_stream(br#"{"stream":true}"#));
        assert!(wants_stream(br#"{"a":"stream", "stream" : true}"#));
        assert!(!wants_stream(br#"{"stream":false}"#));
        assert!(!wants_stream(br#"{"a":"\"stream\":true"}"#));
        assert!(!wants_stream(br#"{"stream_options":{}}"#));
    }
}
