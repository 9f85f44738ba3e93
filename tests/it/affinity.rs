//! Conversations that stay where their prompt is cached.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::command::{end, infermux};
use crate::support::operate::{metric, turn, wait_for_circuit};
use crate::support::router::Router;
use crate::support::{chat, config_of, mock, provider, streamed_chat};

const SESSION: &str = "routing: {affinity: {by: session}}\n";

fn mocks<const N: usize>(script: &Value) -> [Mock; N] {
    let names = ["alpha", "beta", "gamma", "delta"];
    std::array::from_fn(|place| {
        let mut script = script.clone();
        script["name"] = json!(names[place]);
        mock(script)
    })
}

fn router(mocks: &[Mock], rest: &str) -> Router {
    let fields = ["model_aliases: {alias: m}"];
    let providers: Vec<String> = mocks.iter().map(|mock| provider(mock, &fields)).collect();
    Router::start(&config_of(&providers, rest))
}

fn ask_at(addr: SocketAddr, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.post_with(path, headers, body);
    client.answer()
}

/// A chat request of the session called `name`.
fn ask(router: &Router, name: &str) -> Answer {
    let header = format!("X-Infermux-Session: {name}\r\n");
    ask_at(router.addr(), CHAT, &header, &chat("x"))
}

/// Who served the request, and what became of its conversation.
fn told(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |name| answer.header(name).unwrap_or_default().to_owned();
    (text("x-infermux-provider"), text("x-infermux-affinity"))
}

fn kept(name: &str) -> (String, String) {
    (name.to_owned(), "kept".to_owned())
}

const CHAT: &str = "/v1/chat/completions";

/// The ways in which a request names its session: path, header and body, where `NAME` stands for
/// the session.
fn ways() -> Vec<(&'static str, &'static str, Value)> {
    let hello = json!([{"role": "user", "content": "hello"}]);
    let messages = |metadata: Value| {
        let mut body = json!({"model": "m", "max_tokens": 9, "messages": hello});
        body["metadata"] = metadata;
        body
    };
    let plain = json!({"model": "m", "messages": hello});
    let claude = "X-Claude-Code-Session-Id: NAME\r\nX-Session-Id: another\r\n";
    vec![
        (CHAT, "x-infermux-session: NAME\r\n", plain.clone()),
        (CHAT, "session_id: NAME\r\n", plain.clone()),
        (CHAT, "X-Session-Id: NAME\r\n", plain),
        (
            CHAT,
            "",
            json!({"model": "m", "prompt_cache_key": "NAME", "messages": hello}),
        ),
        (
            CHAT,
            "",
            json!({"model": "alias", "prompt_cache_key": "NAME", "messages": hello}),
        ),
        ("/v1/messages", claude, messages(json!({}))),
        (
            "/v1/messages",
            "",
            messages(json!({"user_id": "user_1_account_2_session_NAME"})),
        ),
        (
            "/v1/messages",
            "",
            messages(json!({"user_id": "{\"session_id\":\"NAME\"}"})),
        ),
        (
            "/v1/responses",
            "session-id: NAME\r\n",
            json!({"model": "m", "input": "hello"}),
        ),
        (
            "/v1/responses",
            "",
            json!({"model": "m", "input": "hello", "prompt_cache_key": "NAME"}),
        ),
    ]
}

#[test]
fn a_session_has_one_provider_however_it_is_named_and_whichever_loop_is_asked() {
    let mocks: [Mock; 4] = mocks(&json!({}));
    let mut before: Option<Vec<String>> = None;
    for shards in [1, 2, 4] {
        let router = router(&mocks, &format!("server: {{shards: {shards}}}\n{SESSION}"));
        let mut served = Vec::new();
        for number in 0..6 {
            let name = format!("session-{number}");
            let (first, stay) = told(&ask(&router, &name));
            assert_eq!(stay, "kept");
            for (path, header, body) in ways() {
                let header = header.replace("NAME", &name);
                let body = body.to_string().replace("NAME", &name);
                let answer = ask_at(router.addr(), path, &header, &body);
                assert_eq!(told(&answer), kept(&first), "{path} {header} {body}");
            }
            served.push(first);
        }
        let distinct: BTreeSet<&String> = served.iter().collect();
        assert!(distinct.len() > 1, "{served:?}");
        // Another process, another number of loops.
        assert_eq!(*before.get_or_insert_with(|| served.clone()), served);
        let count = (6 * (1 + ways().len())) as f64;
        let of = |result| metric(router.addr(), "infermux_affinity_total", &[result]);
        assert_eq!(of("result=\"kept\""), count);
        assert_eq!(of("result=\"moved\"") + of("result=\"none\""), 0.0);
    }
}

#[test]
fn a_conversation_without_a_name_is_told_by_its_beginning() {
    let mocks: [Mock; 4] = mocks(&json!({}));
    for by in ["auto", "prefix"] {
        let rest = format!("server: {{shards: 2}}\nrouting: {{affinity: {{by: {by}}}}}\n");
        let router = router(&mocks, &rest);
        let mut distinct = BTreeSet::new();
        for number in 0..8 {
            let first = json!({"role": "user", "content": format!("question {number}")});
            let more = [
                json!({"role": "assistant", "content": "so?"}),
                json!({"role": "user", "content": "more"}),
            ];
            let conversation = [&[first.clone()][..], &more].concat();
            for (path, key, rest) in [
                (CHAT, "messages", json!({"model": "m"})),
                (
                    "/v1/messages",
                    "messages",
                    json!({"model": "m", "max_tokens": 9, "system": "be kind"}),
                ),
                (
                    "/v1/responses",
                    "input",
                    json!({"model": "m", "instructions": "be kind"}),
                ),
            ] {
                let ask = |turns: &[Value]| {
                    let mut body = rest.clone();
                    body[key] = json!(turns);
                    told(&ask_at(router.addr(), path, "", &body.to_string()))
                };
                let (provider, stay) = ask(std::slice::from_ref(&first));
                assert_eq!(stay, "kept", "{path}");
                assert_eq!(ask(&conversation), kept(&provider), "{path}");
                distinct.insert(provider);
            }
        }
        assert!(distinct.len() > 1, "{distinct:?}");
    }
}

#[test]
fn a_provider_that_leaves_moves_its_sessions_alone_and_gets_them_back() {
    let mocks: [Mock; 3] = mocks(&json!({}));
    let router = router(&mocks, &format!("server: {{shards: 2}}\n{SESSION}"));
    let names: Vec<String> = (0..24).map(|number| format!("s{number}")).collect();
    let all = || -> Vec<(String, String)> {
        let answers = names.iter().map(|name| told(&ask(&router, name)));
        answers.collect()
    };
    let before = all();
    assert!(before.iter().all(|(_, stay)| stay == "kept"));
    let gone = before[0].0.clone();
    let check = |during: Vec<(String, String)>| {
        for (before, during) in before.iter().zip(&during) {
            if before.0 == gone {
                assert_ne!(during.0, gone);
                assert_eq!(during.1, "moved");
            } else {
                assert_eq!(during, before);
            }
        }
        during
    };
    assert_eq!(turn(&router, &gone, "open").status, 200);
    wait_for_circuit(&router, &gone, "open");
    let during = check(all());
    assert_eq!(turn(&router, &gone, "close").status, 200);
    wait_for_circuit(&router, &gone, "closed");
    assert_eq!(all(), before);
    // Where it fails instead, the next in rank is tried: the same one.
    let mock = mocks.iter().find(|mock| mock.name() == gone).expect("it");
    mock.set_script(json!({"name": gone, "status": 500}))
        .expect("a script");
    assert_eq!(check(all()), during);
    let answer = ask(&router, &names[0]);
    assert_eq!(answer.header("x-infermux-attempts"), Some("2"));
    mock.set_script(json!({"name": gone})).expect("a script");
    assert_eq!(all(), before);
}

#[test]
fn who_is_too_busy_takes_no_more_of_its_sessions() {
    let mocks: [Mock; 2] = mocks(&json!({"do": "stall_mid_stream"}));
    let rest = "server: {shards: 2}\nrouting: {affinity: {by: session, spill: 1.25}}\n";
    let router = router(&mocks, rest);
    let mut held = Vec::new();
    let mut begin = || {
        let mut client = Client::connect(router.addr());
        client.post_with(CHAT, "X-Session-Id: s\r\n", &streamed_chat("x"));
        let told = told(&client.head());
        held.push(client);
        told
    };
    let begun: Vec<(String, String)> = (0..7).map(|_| begin()).collect();
    let first = &begun[0].0;
    let stays: Vec<&str> = begun.iter().map(|(_, stay)| &**stay).collect();
    // Of 3 requests at the first and none at the other, the mean is 1.5, and 1.25 times that is 2.
    let expected = ["kept", "kept", "kept", "moved", "kept", "kept", "moved"];
    assert_eq!(stays, expected);
    for (provider, stay) in &begun {
        assert_eq!(provider == first, stay == "kept");
    }
    drop(held);
}

#[test]
fn the_header_stands_in_streams_and_errors_and_only_where_it_is_asked_for() {
    let mocks: [Mock; 2] = mocks(&json!({}));
    let groups = "routing:\n  affinity: {by: off, spill: 3}\n  groups:\n\
        \x20   - {name: kept, models: [alias], affinity: {by: session}}\n";
    let router = router(&mocks, groups);
    let named = "X-Infermux-Session: s\r\n";
    let ask = |model: &str, headers: &str, stream: bool| {
        let body = json!({"model": model, "stream": stream,
            "messages": [{"role": "user", "content": "x"}]});
        let answer = ask_at(router.addr(), CHAT, headers, &body.to_string());
        let stay = answer.header("x-infermux-affinity").map(str::to_owned);
        (answer.status, stay)
    };
    let kept = || Some("kept".to_owned());
    assert_eq!(ask("m", named, false), (200, None));
    assert_eq!(ask("alias", "", false), (200, Some("none".to_owned())));
    assert_eq!(ask("alias", named, false), (200, kept()));
    assert_eq!(ask("alias", named, true), (200, kept()));
    assert_eq!(ask("nobody's", named, false), (404, None));
    let script = |status: u16| {
        for mock in &mocks {
            mock.set_script(json!({"name": mock.name(), "status": status}))
                .expect("a script");
        }
    };
    script(400);
    assert_eq!(ask("alias", named, false), (400, kept()));
    script(500);
    assert_eq!(ask("alias", named, true), (502, Some("moved".to_owned())));
    assert_eq!(ask("m", named, true), (502, None));
}

#[test]
fn callers_who_name_their_sessions_alike_have_two_sessions() {
    let mocks: [Mock; 4] = mocks(&json!({}));
    let router = router(&mocks, SESSION);
    let served = |caller: &str| -> Vec<String> {
        let one = |number| {
            let headers = format!("X-Infermux-Caller: {caller}\r\nSession-Id: {number}\r\n");
            told(&ask_at(router.addr(), CHAT, &headers, &chat("x"))).0
        };
        (0..16).map(one).collect()
    };
    assert_eq!(served("one"), served("one"));
    assert_ne!(served("one"), served("another"));
}

#[test]
fn explain_names_the_provider_of_a_session() {
    let mocks: [Mock; 4] = mocks(&json!({}));
    let router = router(&mocks, "routing: {affinity: {by: auto}}\n");
    let url = format!("http://{}", router.management());
    for number in 0..6 {
        let name = format!("s{number}");
        let arguments = [
            "explain",
            "--server",
            &url,
            "--model",
            "m",
            "--session",
            &name,
        ];
        let ended = end(&mut infermux(&[&arguments[..], &["--json"]].concat()));
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let (served, _) = told(&ask(&router, &name));
        assert_eq!(report["chosen"], served);
        let affinity = json!({"by": "auto", "told_by": "X-Infermux-Session", "first": served});
        assert_eq!(report["affinity"], affinity);
        let text = end(&mut infermux(&arguments)).stdout;
        let line = format!("told by X-Infermux-Session, its first provider is {served}");
        assert!(text.contains(&line), "{text}");
    }
}
