//! What system tests are made of: the router as a child process, mocks, and a client that sees
//! bytes.

pub mod client;
pub mod command;
pub mod router;
pub mod tls;

use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::Value;

/// Longest wait for anything that must happen; far above what it takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A mock provider with this script.
pub fn mock(script: Value) -> Mock {
    Mock::start(script).expect("the mock starts")
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A configuration with one `openai` provider per mock, which claims the model `m`.
pub fn config_for(mocks: &[&Mock], rest: &str) -> String {
    let mut text = String::from("listen: \"127.0.0.1:0\"\n");
    text.push_str("providers:\n");
    for mock in mocks {
        text.push_str(&format!(
            "  - name: {}\n    type: openai\n    api_key: sk-{}\n    \
             base_url: \"http://{}/v1\"\n    models: [m]\n",
            mock.name(),
            mock.name(),
            mock.address(),
        ));
    }
    text.push_str(rest);
    text
}

/// The body of a chat request for the model `m`.
pub fn chat(text: &str) -> String {
    serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string()
}

/// The body of a streamed chat request for the model `m`.
pub fn streamed_chat(text: &str) -> String {
    serde_json::json!({
        "model": "m", "stream": true, "messages": [{"role": "user", "content": text}],
    })
    .to_string()
}
