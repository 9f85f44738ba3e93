//! Answers of providers that are not streamed, their errors, and their lists of models.

use infermux::testing::readers::base::endpoint::{Dialect, Endpoint};
use infermux::testing::readers::base::money::NanoUsd;
use infermux::testing::readers::decide::outcome::KeyOwner;
use infermux::testing::readers::dialect::answer_as_stream::{self, Telling};
use infermux::testing::readers::dialect::answers::{AnswerPlan, write};
use infermux::testing::readers::dialect::request::{Key, Keys, refused};
use infermux::testing::readers::dialect::responses::{
    Echo, blame::Blame, each_made, each_made_in_event,
};
use infermux::testing::readers::dialect::shell::Wanted;
use infermux::testing::readers::dialect::view::View;
use infermux::testing::readers::dialect::{
    chat, errors, messages, outlines::AnswerOutlines, overflow, passed_on, responses, topic,
};
use infermux::testing::readers::exchange::model_list::ModelList;
use infermux::testing::readers::wire::json::{elements, member};
use infermux::testing::readers::wire::provider_error::ProviderError;
use serde::de::IgnoredAny;

use super::splits;
use crate::target::Target;

const FOLDERS: &[&str] = &[
    "anthropic/response",
    "messages/response",
    "messages/passthrough",
    "responses/response",
    "responses/passthrough",
    "matrix",
];

/// An answer in each dialect for each that can read it, and what the router reads of one that goes
/// on as it is.
pub(super) const ANSWER: Target = Target {
    name: "answer",
    run: answer,
    times: 256,
    folders: FOLDERS,
    fronts: &["0", "1", "2", "3"],
};

/// Who reads, and who writes.
const SIDES: [(Dialect, Dialect); 4] = [
    (Dialect::Chat, Dialect::Messages),
    (Dialect::Messages, Dialect::Chat),
    (Dialect::Responses, Dialect::Chat),
    (Dialect::Responses, Dialect::Messages),
];

fn answer(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    let (caller, provider) = SIDES[choice % SIDES.len()];
    let echo = Echo::read(br#"{"model":"m","tools":[],"metadata":{"a":"b"}}"#);
    let stops = [Box::<str>::from("x")];
    let plan = AnswerPlan {
        caller,
        provider,
        caller_model: b"\"mine\"",
        created: 7,
        wanted: Wanted {
            echo: (caller == Dialect::Responses).then_some(&echo),
            stops: &stops,
            request_id: "req-1",
            seed: [3, 4],
            ..Wanted::NOTHING
        },
    };
    let mut out = b"before".to_vec();
    match write(body, &plan, &mut out) {
        Ok(_) => {
            let told = std::str::from_utf8(&out[6..]).expect("text");
            assert!(serde_json::from_str::<IgnoredAny>(told).is_ok(), "{told}");
        }
        Err(_) => assert_eq!(out, b"before"),
    }
    seen(body);
}

/// What is read of an answer that goes on as it is.
fn seen(body: &[u8]) {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let endpoints = [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::Embeddings,
    ];
    let views = endpoints.map(|endpoint| chat::inspect(body, endpoint).ok());
    let others = [
        messages::inspect(body).ok(),
        responses::inspect(body, KeyOwner::Infermux).ok(),
        passed_on::inspect(body).ok(),
    ];
    for view in views.into_iter().chain(others).flatten() {
        let mut out = Vec::new();
        view.edit(body, b"\"mine\"").write(&mut out);
        assert!(!is_json || serde_json::from_slice::<IgnoredAny>(&out).is_ok());
        let counts = view.usage.map(|usage| usage.counts());
        assert!(counts.is_none_or(|counts| counts.sum() >= counts.output));
    }
    for endpoint in endpoints {
        let _ = chat::seen(body, endpoint);
        alike(endpoint, body, |body| chat::inspect(body, endpoint).ok());
    }
    let response = |body: &[u8]| responses::inspect(body, KeyOwner::Infermux).ok();
    alike(Endpoint::Responses, body, response);
    alike(Endpoint::Messages, body, |body| {
        messages::inspect(body).ok()
    });
    let _ = passed_on::usage_in(body);
    let _ = passed_on::asked(Endpoint::ImageGenerations, body);
    let _ = passed_on::asked(Endpoint::Speech, body);
    each_made(body, |id| assert!(id.len() <= body.len()));
    each_made_in_event(body, |id| assert!(id.len() <= body.len()));
}

/// What is known of answers by the outline of one is what their reader finds.
fn alike(endpoint: Endpoint, body: &[u8], read: impl Fn(&[u8]) -> Option<View>) {
    let Some(found) = read(body) else {
        return;
    };
    let mut outlines = AnswerOutlines::default();
    outlines.learn(endpoint, body, &found);
    let [other, longer] = splits::changed(body);
    for body in [body, &other, &longer] {
        if let Some(view) = outlines.view(endpoint, body) {
            assert_eq!(Some(view), read(body));
        }
    }
}

/// A whole answer that is told as a stream.
pub(super) const RETELL: Target = Target {
    name: "retell",
    run: retell,
    times: 256,
    folders: FOLDERS,
    fronts: &["0", "1", "2", "3"],
};

fn retell(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    let endpoints = [
        Endpoint::ChatCompletions,
        Endpoint::Messages,
        Endpoint::Responses,
        Endpoint::Completions,
    ];
    let telling = Telling {
        endpoint: endpoints[choice % 4],
        caller_model: b"\"mine\"",
        include_usage: choice & 4 == 0,
        cost: (choice & 8 == 0).then_some(NanoUsd::new(1_234)),
    };
    let mut out = Vec::new();
    let is_written = answer_as_stream::write(body, &telling, &mut out);
    if !is_written {
        assert!(out.is_empty());
        return;
    }
    let out = std::str::from_utf8(&out).expect("text");
    for event in out.split_terminator("\n\n") {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        let data = data.unwrap_or_else(|| panic!("{event}"));
        let is_json = serde_json::from_str::<IgnoredAny>(data).is_ok();
        assert!(is_json || data == "[DONE]", "{data}");
    }
}

/// Errors of providers, whatever their shape, in the words of each caller.
pub(super) const ERROR: Target = Target {
    name: "error",
    run: error,
    times: 256,
    folders: &["anthropic/error", "messages/error", "responses/error"],
    fronts: &["0", "1", "2", "3", "4", "5", "6"],
};

fn error(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    let status = [400, 401, 403, 413, 429, 500, 529][choice % 7];
    let told = ProviderError::read(body);
    let _ = (
        overflow::is_named(&told),
        overflow::is_told(&told),
        told.names().count(),
    );
    let _ = (topic::of(status, body), Blame::of(body));
    let _ = chat::names_stream_options(body);
    let _ = refused(
        status,
        body,
        Key::ALL.into_iter().fold(Keys::default(), Keys::with),
    );
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    for provider in [Dialect::Chat, Dialect::Messages, Dialect::Responses] {
        for stated in [Some(status), None] {
            let complaint = errors::read(provider, stated, body);
            for caller in [Dialect::Chat, Dialect::Messages, Dialect::Responses] {
                let mut out = Vec::new();
                errors::write(&complaint, caller, "req-1", &mut out);
                check(&out);
            }
        }
    }
    let mut out = Vec::new();
    chat::write_in_shape(body, &mut out);
    if is_json {
        check(&out);
    }
    let _ = chat::without_overload(body);
}

fn check(out: &[u8]) {
    let text = std::str::from_utf8(out).expect("text");
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
}

/// Lists of models.
pub(super) const MODELS: Target = Target {
    name: "models",
    run: models,
    times: 256,
    folders: &[],
    fronts: &[],
};

fn models(bytes: &[u8]) {
    for dialect in [Dialect::Chat, Dialect::Messages] {
        let pages = [bytes.to_vec(), bytes.to_vec()];
        let Some(list) = ModelList::read(dialect, "own\"er", &pages) else {
            continue;
        };
        assert_eq!(list.models().count(), list.len());
        for (name, entry) in list.models() {
            assert!(serde_json::from_slice::<IgnoredAny>(entry).is_ok());
            let id = member(entry, b"id").and_then(|id| id.value.string());
            assert_eq!(id.as_deref(), Some(name));
        }
    }
    let _ = messages::next_page(bytes);
    let _ = elements(bytes).count();
}
