//! The parts of system tests: the router as a child process, mocks, and a client that sees bytes.

pub mod calendar;
pub mod canned;
pub mod client;
pub mod collector;
pub mod command;
pub mod load;
pub mod native;
pub mod operate;
pub mod promtool;
pub mod proxy;
pub mod receiver;
pub mod router;
pub mod store;
pub mod tls;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use infermux_mock::{Goals, Mock};
use serde_json::Value;

/// Longest wait for anything that must happen; far above what it takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A mock provider with this script.
pub fn mock(script: Value) -> Mock {
    Mock::start(script).expect("the mock starts")
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

/// An address where nobody listens, and nobody else can begin to while this is held: connections
/// are refused.
pub struct Nobody(socket2::Socket);

impl Nobody {
    /// A port of its own.
    pub fn here() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("a port");
        Self(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        let addr = self.0.local_addr().expect("an address");
        addr.as_socket().expect("an address of IP")
    }
}

fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Lets a time pass that the router itself has named.
pub fn wait_as_told(span: Duration) {
    let until = Instant::now() + span;
    eventually_within(span + PATIENCE, "the time is over", || {
        Instant::now() >= until
    });
}

/// A configuration with one `openai` provider per mock, which claims the model `m`.
pub fn config_for(mocks: &[&Mock], rest: &str) -> String {
    let providers: Vec<String> = mocks.iter().map(|mock| provider(mock, &[])).collect();
    config_of(&providers, rest)
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

/// One provider of a configuration: of type `openai` with a key, for the model `m`, and never
/// checked, unless `fields` say otherwise; a field that starts with `-` is left out.
pub fn provider(mock: &Mock, fields: &[&str]) -> String {
    let name = mock.name();
    let usual = [
        "type: openai".to_owned(),
        format!("api_key: sk-{name}"),
        format!("base_url: \"http://{}/v1\"", mock.address()),
        "models: [m]".to_owned(),
        "health_check: {disabled: true}".to_owned(),
    ];
    let mut text = format!("  - name: {name}\n");
    let key = |field: &str| field.split(':').next().map(str::to_owned);
    for usual in &usual {
        let stays = |field: &&&str| key(field.trim_start_matches('-')) == key(usual);
        if !fields.iter().any(|field| stays(&field)) {
            text.push_str(&format!("    {usual}\n"));
        }
    }
    for field in fields.iter().filter(|field| !field.starts_with('-')) {
        text.push_str(&format!("    {field}\n"));
    }
    text
}

/// A configuration with these providers, whose circuits do not open.
pub fn config_of(providers: &[String], rest: &str) -> String {
    format!(
        "listen: \"127.0.0.1:0\"\n\
         circuit_breaker: {{consecutive_failures: 1000000, min_requests: 1000000}}\n\
         providers:\n{}{rest}",
        providers.concat()
    )
}

/// The configuration with one provider that has these further fields.
pub fn config_with(mock: &Mock, fields: &[&str]) -> String {
    config_of(&[provider(mock, fields)], "")
}

/// The last request that a mock has seen.
pub fn last_seen(mock: &Mock) -> Value {
    mock.requests().pop().expect("a request")
}

/// A header of a request that a mock has seen; its name in lower case.
pub fn seen_header(request: &Value, name: &str) -> Option<String> {
    let headers = request["headers"].as_array().expect("a list");
    headers
        .iter()
        .find(|header| header[0] == name)
        .and_then(|header| header[1].as_str())
        .map(str::to_owned)
}

/// Waits until all of `goals` holds.
pub fn wait_for(mock: &Mock, goals: &Goals) {
    assert!(mock.wait(goals, PATIENCE), "{goals:?}: {:?}", mock.stats());
}

/// Waits until a mock has seen `count` requests.
pub fn wait_for_requests(mock: &Mock, count: u64) {
    wait_for(
        mock,
        &Goals {
            requests: Some(count),
            ..Goals::default()
        },
    );
}
