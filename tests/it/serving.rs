//! The main job: requests are routed, forwarded and answered.

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_for, mock, streamed_chat};

#[test]
fn a_chat_request_gets_its_answer_and_headers() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let answer = Client::connect(router.addr()).chat(&chat("hello there"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
    assert_eq!(answer.header("x-infermux-strategy"), Some("round_robin"));
    assert_eq!(answer.json()["model"], "m");
}

#[test]
fn a_stream_ends_with_done_and_its_token_counts() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello there"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    assert!(answer.trailer("x-infermux-completion-tokens").is_some());
}
