//! Requests of callers: what the router reads of them, and what becomes of them.

use infermux::testing::readers::base::endpoint::Dialect;
use infermux::testing::readers::decide::affinity::By;
use infermux::testing::readers::dialect::ask::{
    Arriving, AskOutlines, RequestEdits, edit_request, read_ask, write_named,
};
use infermux::testing::readers::dialect::messages::{estimate as messages_estimate, own_thoughts};
use infermux::testing::readers::dialect::request::{
    Destination, Host, Keys, Nothing, Received, Stream, read_messages, write,
};
use infermux::testing::readers::dialect::responses::{
    each, each_own, estimate as responses_estimate, native_body,
};
use infermux::testing::readers::exchange::affinity::{Sought, of_body};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::splits;
use crate::dialect::check_body;
use crate::target::Target;

const FOLDERS: &[&str] = &[
    "anthropic/request",
    "messages/request",
    "responses/request",
    "matrix",
];

/// What the router must know of any request, however it arrives, and its edits.
pub(super) const ASK: Target = Target {
    name: "ask",
    run: ask,
    times: 128,
    folders: FOLDERS,
    fronts: &["0", "1", "2"],
};

const DIALECTS: [Dialect; 3] = [Dialect::Chat, Dialect::Messages, Dialect::Responses];

fn ask(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    let dialect = DIALECTS[choice % 3];
    let read = read_ask(dialect, body);
    for reads in splits::of(body) {
        let (mut arriving, mut end) = (Arriving::new(dialect), 0);
        for piece in reads {
            end += piece.len();
            arriving.take_in(&body[..end]);
        }
        if let Some(arrived) = arriving.finish(body) {
            assert_eq!(arrived, read.clone().map(|ask| ask.into_owned()));
        }
    }
    let mut outlines = AskOutlines::default();
    let [other, longer] = splits::changed(body);
    for body in [body, body, &other, &longer] {
        let alike = outlines.read_ask(dialect, body);
        assert_eq!(alike, read_ask(dialect, body));
    }
    let Ok(ask) = read else {
        return;
    };
    assert!(serde_json::from_slice::<IgnoredAny>(body).is_ok());
    let _ = ask.expected(infermux::testing::readers::base::tokens::Tokens::new(100));
    for number in 0..8 {
        let edits = RequestEdits {
            model: (number & 1 > 0).then_some(b"\"theirs\""),
            // Only chat completions have it.
            inject_usage: dialect == Dialect::Chat && number & 2 > 0,
            copy_max_tokens: number & 4 > 0,
        };
        let mut out = Vec::new();
        edit_request(body, &ask, &edits).write(&mut out);
        let again = read_ask(dialect, &out).expect("an edited request is one");
        let model = if edits.model.is_some() {
            "theirs"
        } else {
            &*ask.model
        };
        assert_eq!(again.model, model);
        assert_eq!((again.stream, again.n), (ask.stream, ask.n));
        assert!(!edits.inject_usage || !again.lacks_usage());
    }
    for by in [By::Session, By::Prefix, By::Auto] {
        let _ = of_body(
            &Sought {
                by,
                dialect,
                model: 1,
                owner: 2,
            },
            body,
        );
    }
    let mut named = Vec::new();
    write_named(b"{ }", &ask.model, &mut named);
    assert!(read_ask(Dialect::Chat, &named).is_ok());
}

/// A request of each dialect in the words of each other one.
pub(super) const REQUEST: Target = Target {
    name: "request",
    run: request,
    times: 256,
    folders: FOLDERS,
    fronts: &["0", "1", "2", "3", "4", "5"],
};

/// Who asks, and whom.
const SIDES: [(Dialect, Dialect); 4] = [
    (Dialect::Chat, Dialect::Messages),
    (Dialect::Messages, Dialect::Chat),
    (Dialect::Responses, Dialect::Chat),
    (Dialect::Responses, Dialect::Messages),
];

fn request(bytes: &[u8]) {
    let (choice, body) = splits::front(bytes);
    // Only what is JSON gets so far.
    if read_ask(DIALECTS[choice % 3], body).is_err() {
        return;
    }
    let (from, dialect) = SIDES[choice % 4];
    let variant = choice / 4;
    let model = match (dialect, variant % 3) {
        (Dialect::Messages, 0) => "claude-opus-4-8",
        (Dialect::Messages, 1) => "claude-3-5-haiku-latest",
        (Dialect::Messages, _) => "MiniMax-M2",
        (_, 0) => "gpt-5",
        (_, 1) => "gemini-2.5-pro",
        (_, _) => "llama-4",
    };
    let to = Destination {
        dialect,
        model,
        host: if variant % 2 == 0 {
            Host::Other
        } else {
            Host::Ollama
        },
        max_output: (variant % 2 == 0).then_some(4_096),
        left_out: Keys::default(),
        stream: [Stream::No, Stream::Plain, Stream::WithUsage][variant % 3],
    };
    let received = Received {
        dialect: from,
        body,
        remembered: &Nothing,
    };
    let mut out = b"before".to_vec();
    match write(received, &to, &mut out) {
        Err(fault) => {
            assert!(!fault.place.is_empty(), "{fault}");
            assert_eq!(out, b"before", "a refused request leaves nothing behind");
        }
        Ok(_) => {
            let text = std::str::from_utf8(&out[6..]).expect("text");
            assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
            // Numbers without bounds, and halves of surrogate pairs, have no tree.
            let Ok(body) = serde_json::from_str::<Value>(text) else {
                return;
            };
            assert_eq!(body["model"], *model, "{text}");
            if dialect == Dialect::Messages {
                check_body(&body);
                // What is said in Messages can be read again.
                let _ = read_messages(text.as_bytes());
            } else {
                assert!(body["messages"].is_array(), "{text}");
            }
        }
    }
}

/// What goes to a provider of the caller's own dialect: references, own thoughts, estimates.
pub(super) const NATIVE: Target = Target {
    name: "native",
    run: native,
    times: 128,
    folders: FOLDERS,
    fronts: &[],
};

fn native(body: &[u8]) {
    let read = read_ask(Dialect::Responses, body);
    let Ok(ask) = read else {
        return;
    };
    // Numbers without bounds, and halves of surrogate pairs, have no tree.
    let Ok(tree) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let edit = native_body::Edit {
        model: Some(b"\"theirs\""),
        left_out: &[0, 2],
        remembered: &Nothing,
    };
    for left_out in [&[][..], &[0, 2]] {
        let mut out = Vec::new();
        let edit = native_body::Edit { left_out, ..edit };
        let changed = native_body::write(body, ask.model_span.clone(), &edit, &mut out);
        match changed {
            Ok(Some(_)) => {
                let told: Value = serde_json::from_slice(&out).expect("JSON");
                assert_eq!(told["model"], "theirs");
                let count = |tree: &Value| tree["input"].as_array().map_or(0, Vec::len);
                assert!(count(&told) <= count(&tree));
            }
            Ok(None) | Err(_) => assert!(out.is_empty()),
        }
    }
    let mut out = Vec::new();
    if own_thoughts::write_without(body, ask.model_span.clone(), Some(b"\"theirs\""), &mut out) {
        let told: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(told["model"], "theirs");
        let mut twice = Vec::new();
        let ask = read_ask(Dialect::Responses, &out).expect("a request");
        assert!(!own_thoughts::write_without(
            &out,
            ask.model_span,
            None,
            &mut twice
        ));
    } else {
        assert!(out.is_empty());
    }
    each(body, |reference| {
        assert!(reference.name.len() <= body.len())
    });
    each_own(body, |id| assert!(id.len() <= body.len()));
    let chars = [messages_estimate(body), responses_estimate(body)];
    assert!(
        chars
            .iter()
            .all(|tokens| tokens.get() <= ESTIMATE_FREE + body.len() as u64)
    );
}

/// Tokens that an attachment counts for, whatever its length.
const ESTIMATE_FREE: u64 = 1 << 20;
