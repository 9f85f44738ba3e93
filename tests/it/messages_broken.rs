//! Streams of Messages that break: their callers are told so in Anthropic's words, and never take a
//! part for the whole.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::router::{Router, Start};
use crate::support::{config_of, mock, provider};

const ASK: &str = concat!(
    r#"{"model":"m","max_tokens":64,"stream":true,"#,
    r#""messages":[{"role":"user","content":"hello there, how are you"}]}"#,
);

/// A router before a provider of this type that behaves so, and may be silent for this long.
fn router(kind: &str, behavior: &str, idle: &str) -> (infermux_mock::Mock, Router) {
    let dialect = match kind {
        "anthropic" => "anthropic",
        _ => "openai",
    };
    let script = json!({"name": "p", "dialect": dialect, "do": behavior, "events": 5});
    let mock = mock(script);
    let base = match kind {
        "openai" => "/v1",
        _ => "",
    };
    let base = format!("base_url: \"http://{}{base}\"", mock.address());
    let kind = format!("type: {kind}");
    let idle = format!("stream_idle_timeout: {idle}");
    let fields = [&*kind, &*base, &*idle];
    let config = config_of(&[provider(&mock, &fields)], "");
    let router = Start::with(&config).args(&["--graceful-shutdown", "50ms"]);
    (mock, router.go())
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_of_anthropics() {
    for kind in ["anthropic", "openai", "ollama"] {
        for (behavior, stops, code, error) in [
            ("cut_mid_stream", false, "upstream_error", "api_error"),
            (
                "stall_mid_stream",
                false,
                "upstream_timeout",
                "timeout_error",
            ),
            ("stall_mid_stream", true, "shutting_down", "api_error"),
        ] {
            let row = format!("{kind}: {code}");
            let idle = if stops { "30s" } else { "300ms" };
            let (_mock, router) = router(kind, behavior, idle);
            let mut client = Client::connect(router.addr());
            client.post("/v1/messages", ASK);
            let mut answer = client.head();
            assert_eq!(answer.status, 200, "{row}");
            if stops {
                answer.body = client.chunk(&mut answer).expect("content");
                router.signal("TERM");
            }
            while let Some(chunk) = client.chunk(&mut answer) {
                answer.body.extend_from_slice(&chunk);
            }
            assert!(!answer.complete, "{row}: {}", answer.text());
            assert!(client.is_closed(), "{row}");
            let text = answer.text();
            let (before, frame) = text.rsplit_once("event: ").expect("events");
            let frame = frame.strip_prefix("error\ndata: ").expect(&row);
            let frame: Value = serde_json::from_str(frame).expect("JSON");
            let message = frame["error"]["message"].as_str().expect("a text");
            assert!(!message.is_empty(), "{row}");
            let id = answer.header("request-id").expect("an id");
            let expected = json!({
                "type": "error",
                "error": {"type": error, "message": message, "details": frame["error"]["details"]},
                "request_id": id,
            });
            assert_eq!(frame, expected, "{row}");
            assert_eq!(frame["error"]["details"]["error_code"], code, "{row}");
            assert!(before.contains("event: message_start\n"), "{row}: {text}");
            assert!(before.contains("text_delta"), "{row}: {text}");
            for end in ["message_delta", "message_stop", "event: error"] {
                assert!(!before.contains(end), "{row}: {text}");
            }
        }
    }
}
