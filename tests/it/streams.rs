//! Streams: passed on as they come, held back until the first content, never silently short.

use std::time::Duration;

use infermux_mock::Goals;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, events_of};
use crate::support::router::Router;
use crate::support::{
    config_of, config_with, last_seen, mock, provider, streamed_chat, wait_for, wait_for_requests,
};

/// The text that the events of a stream amount to.
fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter(|event| *event != "[DONE]");
    let chunks = chunks.map(|event| serde_json::from_str::<Value>(event).expect("JSON"));
    let texts = chunks.filter_map(|chunk| {
        let text = chunk["choices"][0]["delta"]["content"].as_str();
        text.map(str::to_owned)
    });
    texts.collect()
}

/// A streamed request that asks for its usage.
fn with_usage(text: &str) -> String {
    streamed_chat(text).replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1)
}

/// Asserts that a stream was complete.
fn assert_complete(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete, "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
}

/// Asserts that a stream broke after content, and that the caller was told.
fn assert_broken(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 200);
    assert!(!answer.complete, "no final chunk");
    let events = answer.events();
    assert!(!events.contains(&"[DONE]".to_owned()), "{events:?}");
    let last: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
    assert_eq!(last["error"]["code"], code, "{events:?}");
    let frames = events.iter().filter(|event| event.contains("\"error\""));
    assert_eq!(frames.count(), 1, "{events:?}");
}

#[test]
fn the_usage_chunk_is_asked_for_and_taken_out_again() {
    let alpha = mock(json!({"name": "alpha"}));
    let twin = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let body = streamed_chat("hello there");
    let answer = Client::connect(router.addr()).chat(&body);
    let expected = Client::connect(twin.address()).chat(&body);
    assert_eq!(answer.text(), expected.text());
    let seen = last_seen(&alpha);
    assert_eq!(seen["body"]["stream_options"]["include_usage"], true);
    let announced = answer
        .header("trailer")
        .expect("an announcement")
        .to_lowercase();
    assert!(!answer.trailers.is_empty());
    for (name, _) in &answer.trailers {
        assert!(announced.contains(name.as_str()), "{name} in {announced}");
    }
    // "mock alpha: hello there", and three tokens for the eleven letters of the question.
    assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("4"));
    assert_eq!(answer.trailer("x-infermux-prompt-tokens"), Some("3"));
}

#[test]
fn no_spelling_turns_metering_off() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &["model_aliases: {nick: m}"]));
    let mut client = Client::connect(router.addr());
    for body in [
        r#"{"stream_options":{"include\u005fusage":false},"model":"m","stream":true"#,
        concat!(
            r#"{"stream\u005foptions":{"include_usag\u0065":false},"#,
            r#""mod\u0065l":"nick","str\u0065am":true"#,
        ),
    ] {
        let body =
            format!("{body},\"messages\":[{{\"role\":\"user\",\"content\":\"hello there\"}}]}}");
        let answer = client.chat(&body);
        assert_complete(&answer);
        assert_eq!(text_of(&answer.events()), "mock alpha: hello there");
        assert!(!answer.text().contains("usage"), "{}", answer.text());
        let seen = &last_seen(&alpha)["body"];
        assert_eq!(seen["stream_options"]["include_usage"], true);
        assert_eq!(seen["model"], "m");
        assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("4"));
        assert_eq!(answer.trailer("x-infermux-prompt-tokens"), Some("3"));
    }
    // What two readers would read differently goes to neither.
    let before = alpha.stats().requests;
    for odd in [
        r#""stream_options":{"include_usage":true,"include\u005fusage":false}"#,
        r#""Stream_Options":{"include_usage":false}"#,
        r#""Model":"other""#,
    ] {
        let answer = client.chat(&streamed_chat("hi").replacen('{', &format!("{{{odd},"), 1));
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_request".to_owned()),
            "{odd}"
        );
    }
    assert_eq!(alpha.stats().requests, before);
}

#[test]
fn a_usage_chunk_that_was_asked_for_stays() {
    let alpha = mock(json!({"name": "alpha"}));
    let twin = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let body = with_usage("hello there");
    let answer = Client::connect(router.addr()).chat(&body);
    let expected = Client::connect(twin.address()).chat(&body);
    assert_eq!(answer.text(), expected.text());
    assert!(answer.text().contains("\"total_tokens\":7"));
    assert_eq!(last_seen(&alpha)["body_text"], body.as_str());
    assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("4"));
}

#[test]
fn whatever_form_a_stream_has_the_caller_gets_the_same() {
    let twin = mock(json!({"name": "alpha"}));
    let body = streamed_chat("gr\u{fc}\u{df}e \u{1f600} und so weiter");
    let expected = Client::connect(twin.address()).chat(&body).text();
    for script in [
        json!({}),
        json!({"quirks": ["id_lines"]}),
        json!({"quirks": ["crlf"]}),
        json!({"quirks": ["lone_cr"]}),
        json!({"quirks": ["bom"]}),
        json!({"quirks": ["close_delimited"]}),
        json!({"quirks": ["close_delimited", "crlf", "id_lines"]}),
        json!({"chunk_bytes": 1}),
        json!({"chunk_bytes": 7, "quirks": ["crlf"]}),
        json!({"chunk_bytes": 3, "quirks": ["lone_cr", "id_lines"]}),
        json!({"quirks": ["early_1xx"]}),
        json!({"usage": "on_finish_chunk"}),
        json!({"usage": "never"}),
    ] {
        let mut named = script.clone();
        named["name"] = "alpha".into();
        let alpha = mock(named);
        let router = Router::start(&config_with(&alpha, &[]));
        let answer = Client::connect(router.addr()).chat(&body);
        assert_complete(&answer);
        if script["usage"] == "on_finish_chunk" {
            assert_eq!(text_of(&answer.events()), text_of(&events_of(&expected)));
        } else {
            assert_eq!(answer.text(), expected, "{script}");
        }
    }
}

#[test]
fn comments_keep_a_stream_alive_and_change_nothing() {
    let alpha = mock(json!({"name": "alpha", "quirks": ["comments"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
    assert!(answer.complete);
    assert!(answer.text().trim_end().ends_with("data: [DONE]"));
    let lines = answer.text();
    let data = lines.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<String> = data.map(str::to_owned).collect();
    assert_eq!(text_of(&events), "mock alpha: hello");
    let others = lines.lines().filter(|line| !line.starts_with("data: "));
    for line in others {
        assert!(line.is_empty() || line.starts_with(':'), "{line:?}");
    }
}

#[test]
fn a_stream_without_done_is_complete_once_it_has_its_finish_reason() {
    let alpha = mock(json!({"name": "alpha", "quirks": ["no_done"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
    assert_eq!(answer.status, 200);
    assert!(answer.complete);
    assert_eq!(text_of(&answer.events()), "mock alpha: hello");
    assert!(answer.text().contains("\"finish_reason\":\"stop\""));
    assert!(!answer.text().contains("\"error\""));
}

#[test]
fn a_paced_stream_arrives_event_by_event() {
    let script = json!({"name": "alpha", "events": 5, "event_interval_ms": 200});
    let alpha = mock(script);
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("a b c d e f"));
    let mut answer = client.head();
    let mut content = 0;
    while let Some(chunk) = client.chunk(&mut answer) {
        let text = String::from_utf8(chunk).expect("text");
        let events = events_of(&text);
        let with_text = events
            .iter()
            .filter(|event| !text_of(std::slice::from_ref(event)).is_empty());
        let fresh = with_text.count();
        assert!(
            fresh <= 1,
            "events that were sent apart arrive apart: {text}"
        );
        content += fresh;
        if (1..=4).contains(&content) {
            assert_eq!(alpha.stats().answered, 0, "the provider is still at it");
        }
    }
    assert_eq!(content, 5);
    assert!(answer.complete);
}

#[test]
fn nothing_that_has_arrived_waits_for_what_follows() {
    let script = json!({"name": "alpha", "events": 9, "do": "stall_mid_stream", "after_events": 3});
    let alpha = mock(script);
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("a b c d e f g"));
    let mut answer = client.head();
    let mut text = String::new();
    while text_of(&events_of(&text))
        .split(' ')
        .filter(|word| !word.is_empty())
        .count()
        < 3
    {
        let chunk = client.chunk(&mut answer).expect("a chunk");
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    assert_eq!(alpha.stats().in_flight, 1);
}

// proves: stream.replaceable
#[test]
fn a_provider_that_fails_before_content_is_replaced() {
    let beta = mock(json!({"name": "beta"}));
    let alpha = mock(json!({"name": "alpha"}));
    let fields = ["timeout: 300ms", "first_token_timeout: 200ms"];
    let providers = [provider(&alpha, &fields), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    for script in [
        json!({"do": "error_event_before_content"}),
        json!({"do": "stall_before_head"}),
        json!({"do": "stall_before_content"}),
        json!({"do": "stall_before_content", "quirks": ["id_lines"]}),
        json!({"do": "cut_before_head"}),
        json!({"do": "cut_mid_stream", "after_events": 0}),
        json!({"do": "cut_mid_stream", "after_events": 0, "reset": true}),
        json!({"do": "garbage"}),
        json!({"do": "garbage_json", "after_events": 0}),
        json!({"do": "no_choices"}),
        json!({"do": "error_200"}),
        json!({"status": 503}),
    ] {
        alpha.reset();
        alpha.set_script(script.clone()).expect("a script");
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
        assert_eq!(answer.status, 200, "{script}: {}", answer.text());
        assert_complete(&answer);
        assert_eq!(
            answer.header("x-infermux-provider"),
            Some("beta"),
            "{script}"
        );
        assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{script}");
        assert_eq!(text_of(&answer.events()), "mock beta: hello", "{script}");
        assert_eq!(alpha.stats().requests, 1, "{script}");
    }
}

#[test]
fn a_failure_before_content_that_nobody_makes_good_has_a_real_status() {
    let alpha = mock(json!({"name": "alpha"}));
    let fields = ["timeout: 300ms", "first_token_timeout: 200ms"];
    let router = Router::start(&config_with(&alpha, &fields));
    for (script, status, code) in [
        (
            json!({"do": "error_event_before_content"}),
            502,
            "upstream_error",
        ),
        (
            json!({"do": "stall_before_content"}),
            504,
            "upstream_timeout",
        ),
        (json!({"do": "stall_before_head"}), 504, "upstream_timeout"),
        (
            json!({"do": "cut_mid_stream", "after_events": 0}),
            502,
            "upstream_error",
        ),
    ] {
        alpha.set_script(script.clone()).expect("a script");
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{script}"
        );
        assert!(answer.complete);
    }
}

// proves: stream.never-short
#[test]
fn a_stream_that_breaks_after_content_ends_with_an_error_frame() {
    let alpha = mock(json!({"name": "alpha"}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [
        provider(&alpha, &["stream_idle_timeout: 200ms"]),
        provider(&beta, &[]),
    ];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    for (script, code, words) in [
        (
            json!({"do": "cut_mid_stream", "after_events": 2}),
            "upstream_error",
            "cut its stream",
        ),
        (
            json!({"do": "cut_mid_stream", "after_events": 2, "reset": true}),
            "upstream_error",
            "cut its stream",
        ),
        (
            json!({"do": "garbage_json", "after_events": 2}),
            "upstream_error",
            "sent a malformed answer",
        ),
        (
            json!({"do": "stall_mid_stream", "after_events": 2}),
            "upstream_timeout",
            "stalled in its stream",
        ),
        (
            json!({"do": "cut_mid_stream", "after_events": 2, "quirks": ["close_delimited"]}),
            "upstream_error",
            "cut its stream",
        ),
    ] {
        alpha.set_script(script.clone()).expect("a script");
        let mut client = Client::connect(router.addr());
        let answer = client.chat(&streamed_chat("hello there"));
        assert_eq!(
            answer.header("x-infermux-provider"),
            Some("alpha"),
            "{script}"
        );
        assert_broken(&answer, code);
        let told = answer.events().pop().unwrap_or_default();
        let message = format!("\"message\":\"the provider alpha {words}\"");
        assert!(told.contains(&message), "{script}: {told}");
        assert!(client.is_closed(), "{script}");
        assert!(
            answer.text().contains("alpha:"),
            "{script}: {}",
            answer.text()
        );
    }
    assert_eq!(beta.stats().requests, 0, "nobody takes over what was begun");
}

#[test]
fn an_error_event_after_content_reaches_the_caller_once_and_without_done() {
    let alpha = mock(json!({
        "name": "alpha", "do": "error_event_mid_stream", "after_events": 2,
    }));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let answer = client.chat(&streamed_chat("hello there"));
    assert!(!answer.complete);
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
    let error = last["error"].as_object().expect("an error");
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key}: {last}");
    }
    assert_eq!(
        events
            .iter()
            .filter(|event| event.contains("\"error\""))
            .count(),
        1
    );
    assert!(client.is_closed());
    router.wait_for_log("error=upstream_error");
}

#[test]
fn a_slow_stream_is_not_cut_while_it_produces() {
    let alpha = mock(json!({"name": "alpha", "events": 8, "event_interval_ms": 100}));
    let fields = ["timeout: 300ms", "stream_idle_timeout: 400ms"];
    let router = Router::start(&config_with(&alpha, &fields));
    assert_complete(&Client::connect(router.addr()).chat(&streamed_chat("a b c d e f g")));
}

#[test]
fn a_caller_of_http_1_0_gets_a_stream_without_chunks() {
    let alpha = mock(json!({"name": "alpha"}));
    let twin = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let body = streamed_chat("hello");
    let mut client = Client::connect(router.addr());
    client.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("trailer"), None);
    assert_eq!(answer.header("connection"), Some("close"));
    let expected = Client::connect(twin.address()).chat(&body);
    assert_eq!(answer.text(), expected.text());
}

#[test]
fn a_provider_that_refuses_stream_options_is_asked_again_without() {
    let refusal = json!({"error": {
        "message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error", "param": null, "code": null,
    }});
    let alpha = mock(json!({
        "name": "alpha", "answers": [{"status": 400, "body": refusal}, "ok"],
    }));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let body = streamed_chat("hello there");
    let answer = client.chat(&body);
    assert_complete(&answer);
    assert_eq!(answer.header("x-infermux-attempts"), None);
    assert_eq!(alpha.stats().requests, 2);
    assert_eq!(last_seen(&alpha)["body_text"], body.as_str());
    // It is not asked in vain a second time; the tokens are estimated.
    let answer = client.chat(&body);
    assert_complete(&answer);
    assert_eq!(alpha.stats().requests, 3);
    assert!(answer.trailer("x-infermux-completion-tokens").is_some());
    router.wait_for_log("estimated");
    // A caller's own wish is not dropped silently.
    alpha
        .set_script(json!({"status": 400, "body": refusal}))
        .expect("a script");
    assert_eq!(client.chat(&with_usage("hello")).status, 400);
}

#[test]
fn a_callers_own_mistake_does_not_stop_the_counting_of_others() {
    let refusal = json!({"error": {
        "message": "Unknown parameter: 'stream_options.x'.",
        "type": "invalid_request_error", "param": "stream_options.x", "code": null,
    }});
    let refuse = json!({"status": 400, "body": refusal});
    let alpha = mock(json!({"name": "alpha", "answers": [refuse, refuse, "ok"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let wrong = streamed_chat("hello").replacen('{', "{\"stream_options\":{\"x\":1},", 1);
    assert_eq!(client.chat(&wrong).status, 400);
    assert_eq!(alpha.stats().requests, 2);
    assert_complete(&client.chat(&streamed_chat("hello")));
    let seen = last_seen(&alpha);
    assert_eq!(seen["body"]["stream_options"]["include_usage"], true);
}

#[test]
fn a_connection_upstream_outlives_its_streams() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    for count in 1..=20 {
        assert_complete(&client.chat(&streamed_chat("hello there")));
        wait_for_requests(&alpha, count);
    }
    assert_eq!(alpha.stats().connections_opened, 1);
}

#[test]
fn a_stream_of_legacy_completions_works_alike() {
    let alpha = mock(json!({"name": "alpha", "answer_model": "other"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post(
        "/v1/completions",
        "{\"model\":\"m\",\"prompt\":\"hello\",\"stream\":true}",
    );
    let answer = client.answer();
    assert_complete(&answer);
    assert!(!answer.text().contains("\"other\""));
    assert!(!answer.text().contains("\"usage\""));
    assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("3"));
}

#[test]
fn the_answer_of_a_provider_that_does_not_stream_comes_as_events() {
    let whole = json!({
        "id": "x", "object": "chat.completion", "model": "other",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "stop"}],
    });
    let alpha = mock(json!({"name": "alpha", "body": whole}));
    let router = Router::start(&config_with(&alpha, &[]));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
    assert_complete(&answer);
    assert_eq!(text_of(&answer.events()), "hi");
    assert!(!answer.text().contains("\"other\""), "{}", answer.text());
}

#[test]
fn a_caller_that_reads_slowly_gets_all_of_it() {
    let alpha = mock(json!({"name": "alpha", "events": 2_000, "event_bytes": 8_000}));
    let router = Router::start(&config_with(&alpha, &["stream_idle_timeout: 300ms"]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("hello"));
    let mut answer = client.head();
    // Nothing is read until everything between provider and caller is full, for longer than the
    // provider may be silent: the pause is the caller's.
    let answered = Goals {
        answered: Some(1),
        ..Goals::default()
    };
    assert!(!alpha.wait(&answered, Duration::from_millis(700)));
    while let Some(chunk) = client.chunk(&mut answer) {
        answer.body.extend_from_slice(&chunk);
    }
    assert_complete(&answer);
    assert_eq!(answer.events().len(), 2_000 + 3);
    wait_for(&alpha, &answered);
}

#[test]
fn a_stream_in_full_flow_arrives_as_it_was_sent() {
    let alpha = mock(json!({"name": "alpha", "events": 3_000, "event_bytes": 233}));
    let sent = Client::connect(alpha.address()).chat(&streamed_chat("x"));
    let sent = sent.events();
    assert!(sent.len() > 3_000, "{} events", sent.len());
    let router = Router::start(&config_of(
        &[provider(&alpha, &["model_aliases: {renamed: m}"])],
        "",
    ));
    for model in ["m", "renamed"] {
        let body = streamed_chat("x").replace("\"m\"", &format!("{model:?}"));
        let answer = Client::connect(router.addr()).chat(&body);
        assert_complete(&answer);
        let events = answer.events();
        assert_eq!(events.len(), sent.len());
        assert_eq!(text_of(&events), text_of(&sent));
        let name = format!("\"model\":{model:?}");
        let chunks = events.iter().filter(|event| *event != "[DONE]");
        assert!(chunks.clone().all(|event| event.contains(&name)), "{model}");
    }
    let body = streamed_chat("x");
    let mut old = Client::connect(router.addr());
    old.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let events = old.answer().events();
    assert_eq!(
        (events.len(), text_of(&events)),
        (sent.len(), text_of(&sent))
    );
}
