//! Descriptors are scarce: connections that wait for their next request make room for requests.

use std::process::Command;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::load::together;
use crate::support::operate::{metric, turn};
use crate::support::router::{Router, Start};
use crate::support::{config_of, eventually, mock, provider};

/// A request for the model of the provider called `name`.
fn ask(name: &str, stream: bool) -> String {
    let messages = json!([{"role": "user", "content": "x"}]);
    json!({"model": name, "stream": stream, "messages": messages}).to_string()
}

/// One provider per mock, which claims the model of its own name.
fn config(mocks: &[&Mock], rest: &str) -> String {
    let own = |mock: &&Mock| provider(mock, &[&format!("models: [{}]", mock.name())]);
    let providers: Vec<String> = mocks.iter().map(own).collect();
    config_of(&providers, rest)
}

fn idle(router: &Router) -> f64 {
    let labels = ["side=\"provider\"", "state=\"idle\""];
    metric(router.addr(), "infermux_connections", &labels)
}

fn wait_for_idle(router: &Router, count: u32) {
    eventually(&format!("{count} idle connections"), || {
        idle(router) == f64::from(count)
    });
}

/// From now on the router gets no descriptor that it does not have.
fn allow_no_more(router: &Router) {
    let pid = router.pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let numbers = open.map(|one| {
        let name = one.expect("a descriptor").file_name();
        name.to_str().and_then(|name| name.parse::<u32>().ok())
    });
    let mut numbers: Vec<u32> = numbers.map(|number| number.expect("a number")).collect();
    numbers.sort_unstable();
    // The first number that is free is the next one to be given.
    let next = (0..).zip(&numbers).find(|(at, number)| at != *number);
    let next = next.map_or(numbers.len(), |(at, _): (u32, _)| at as usize);
    let limit = format!("--nofile={next}:{next}");
    let done = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    assert!(done.expect("prlimit runs").success());
}

#[test]
fn a_hundred_callers_ask_one_provider_after_the_other_with_256_descriptors() {
    let script = |name: &str| -> Value {
        json!({"name": name, "latency_ms": 50, "rules": [
            {"when": {"stream": true}, "latency_ms": 50, "events": 3},
        ]})
    };
    let mocks = ["alpha", "beta", "gamma", "delta"].map(|name| mock(script(name)));
    let all: Vec<&Mock> = mocks.iter().collect();
    for shards in [1, 2] {
        let start = Start::with(&config(&all, &format!("server: {{shards: {shards}}}\n")));
        let router = start.with_open_files(256).go();
        let addr = router.addr();
        let clients = together(100, move |_| Client::connect(addr));
        let mut clients: Vec<Client> = clients.into_iter().collect();
        for round in 0..2 {
            for name in ["alpha", "beta", "gamma", "delta"] {
                let stream = round == 1;
                for client in &mut clients {
                    client.post("/v1/chat/completions", &ask(name, stream));
                }
                for client in &mut clients {
                    let answer = client.answer();
                    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
                    assert!(answer.complete);
                }
            }
        }
        assert!(!router.log().contains("cannot be accepted"));
    }
}

// proves: idle.gives-way
#[test]
fn a_request_gets_the_descriptor_of_a_connection_that_waits() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 300}));
    let beta = mock(json!({"name": "beta"}));
    let router = Router::start(&config(&[&alpha, &beta], "server: {shards: 1}\n"));
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(router.addr())).collect();
    // Four idle connections: one for each that is under way at the same time.
    for client in &mut clients {
        client.post("/v1/chat/completions", &ask("alpha", false));
    }
    clients
        .iter_mut()
        .for_each(|client| assert_eq!(client.answer().status, 200));
    wait_for_idle(&router, 4);
    allow_no_more(&router);
    // One for the provider, one for a caller: neither notices.
    assert_eq!(clients[0].chat(&ask("beta", false)).status, 200);
    let mut other = Client::connect(router.addr());
    assert_eq!(other.chat(&ask("beta", false)).status, 200);
    assert_eq!((alpha.stats().requests, beta.stats().requests), (4, 2));
    assert!(
        !router.log().contains("cannot be accepted"),
        "it did not wait"
    );
    // No more were closed than had to be; some of them in vain, while others were still closing.
    assert!((1.0..=3.0).contains(&idle(&router)));
}

#[test]
fn a_request_gets_the_descriptor_of_a_connection_that_waits_on_another_shard() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let router = Router::start(&config(&[&alpha, &beta], "server: {shards: 2}\n"));
    let on = |shard: u8| {
        let label = format!("shard=\"{shard}\"");
        metric(router.addr(), "infermux_shard_connections", &[&label])
    };
    // The scrape's own connection is one of them.
    let mut here = Client::connect(router.addr());
    assert_eq!(here.chat(&ask("alpha", false)).status, 200);
    wait_for_idle(&router, 1);
    let at = |shard: u8| (0..20).map(|_| on(shard)).fold(f64::INFINITY, f64::min);
    let shard = if at(0) >= 1.0 { 0 } else { 1 };
    let mut there = loop {
        let client = Client::connect(router.addr());
        let mut elsewhere = false;
        eventually("it is accepted", || {
            elsewhere = at(1 - shard) >= 1.0;
            elsewhere || at(shard) >= 2.0
        });
        if elsewhere {
            break client;
        }
        drop(client);
        eventually("it is gone", || at(shard) < 2.0);
    };
    allow_no_more(&router);
    assert_eq!(there.chat(&ask("beta", false)).status, 200);
    assert_eq!(here.chat(&ask("alpha", false)).status, 200);
    assert_eq!((alpha.stats().requests, beta.stats().requests), (2, 1));
}

#[test]
fn connections_to_a_provider_out_of_service_are_closed_on_every_shard() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    for shards in [1, 2] {
        let server = format!("server: {{shards: {shards}}}\n");
        let router = Router::start(&config(&[&alpha, &beta], &server));
        let mut clients: Vec<Client> = (0..16).map(|_| Client::connect(router.addr())).collect();
        for name in ["alpha", "beta"] {
            for client in &mut clients {
                client.post("/v1/chat/completions", &ask(name, false));
            }
            clients
                .iter_mut()
                .for_each(|client| assert_eq!(client.answer().status, 200));
        }
        let before = idle(&router);
        assert!(before >= 2.0, "{before}");
        assert_eq!(turn(&router, "alpha", "open").status, 200);
        turn(&router, "beta", "open");
        eventually("nothing waits", || idle(&router) == 0.0);
        assert_eq!(turn(&router, "beta", "close").status, 200);
        assert_eq!(clients[0].chat(&ask("beta", false)).status, 200);
        wait_for_idle(&router, 1);
    }
}
