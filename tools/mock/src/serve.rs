//! From a request to the program of its answer.

use std::sync::Arc;

use memchr::memmem;
use serde_json::Value;

use crate::answer::{Answer, CANS};
use crate::ask::{self, Ask, Endpoint, Objection, Route};
use crate::control;
use crate::errors;
use crate::http::{self, Persistence, Request};
use crate::instance::{Instance, Ticket};
use crate::program::Program;
use crate::reply::{self, Voice};
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
    let ask = if script.reads_bodies {
        Some(read(script, route, request)?)
    } else {
        None
    };
    let facts = Facts {
        method: request.method,
        path: request.path(),
        headers: request.headers,
        model: ask.as_ref().map_or("", |ask| &ask.model),
        stream: ask.as_ref().is_some_and(|ask| ask.stream),
        is_free: route.endpoint == Endpoint::CountTokens,
    };
    let usual = Answer::default();
    let answer = script.choose(&facts).unwrap_or(&usual);
    if answer.canned {
        return Ok(canned(call, answer, out));
    }
    let ask = match ask {
        Some(ask) => ask,
        None => read(script, route, request)?,
    };
    let voice = Voice {
        route,
        ask: &ask,
        answer,
        name: &script.name,
        number: ticket.number,
    };
    let program = Program::of_voice(&voice, || voice.body(), request.persistence);
    Ok(Served::Program(Some(ticket), Box::new(program)))
}

fn read(script: &Script, route: &Route, request: &Request<'_>) -> Result<Ask, Objection> {
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| Objection::bad(format!("the body is not JSON: {error}")))?;
    strict::check(script, route, request, &body)?;
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
    let Call {
        script,
        request,
        route,
        ticket,
    } = call;
    let body = reply::models_body(route, &script.models).ok_or_else(|| {
        let message = format!("no such model: {}", request.path());
        Objection::new(404, Some("model_not_found"), message)
    })?;
    let facts = Facts {
        method: request.method,
        path: request.path(),
        headers: request.headers,
        model: "",
        stream: false,
        is_free: true,
    };
    let usual = Answer::default();
    let answer = script.choose(&facts).unwrap_or(&usual);
    let voice = Voice {
        route,
        ask: &Ask::default(),
        answer,
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
    let kind = match route.endpoint {
        Endpoint::Chat => 0,
        Endpoint::Completions => 1,
        Endpoint::Embeddings => 2,
        Endpoint::Messages => 3,
        // What is not one of the above is not answered from memory.
        Endpoint::CountTokens | Endpoint::Models | Endpoint::Model(_) => CANS,
    };
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
