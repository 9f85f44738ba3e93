//! Where the router listens.

use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_for, eventually, mock, wait_for_requests};

#[test]
fn every_interface_means_ipv4_and_ipv6() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_for(&[&alpha], "").replace("127.0.0.1:0", ":0");
    let router = Router::start(&config);
    let port = router.addr().port();
    assert_ne!(port, 0, "the port that the kernel chose");
    for host in ["127.0.0.1", "[::1]"] {
        let addr: SocketAddr = format!("{host}:{port}").parse().expect("an address");
        if host == "[::1]" && TcpListener::bind("[::1]:0").is_err() {
            // A host without IPv6.
            continue;
        }
        assert_eq!(Client::connect(addr).chat(&chat("x")).status, 200, "{host}");
    }
}

#[test]
fn one_interface_means_no_other() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let other = SocketAddr::from(([127, 0, 0, 2], router.addr().port()));
    assert!(TcpStream::connect(other).is_err());
}

#[test]
fn a_port_is_free_again_after_the_end() {
    let alpha = mock(json!({"name": "alpha"}));
    // An address of its own: no other test takes the port meanwhile.
    let config = config_for(&[&alpha], "").replace("127.0.0.1:0", "127.0.0.7:0");
    let mut first = Router::start(&config);
    let addr = first.addr();
    // The router closes this connection: its side waits in TIME_WAIT.
    let mut client = Client::connect(addr);
    client.send("G(T / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    first.signal("KILL");
    first.wait();
    let config = config.replace("127.0.0.7:0", &addr.to_string());
    let second = Router::start(&config);
    assert_eq!(Client::connect(second.addr()).chat(&chat("x")).status, 200);
}

/// What `/proc/net/tcp` says of the timers of the router's connections to this port, or from it.
fn timers(side: &str, port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let port = format!(":{port:04X}");
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let at = if side == "local" { 1 } else { 2 };
    let open = lines.filter(|fields| fields[at].ends_with(&port) && fields[3] == "01");
    open.map(|fields| fields[5].to_owned()).collect()
}

#[test]
fn connections_are_kept_alive_on_both_sides() {
    // 02 is the keepalive timer, with what is left of 30 s in hundredths.
    let is_kept = |timer: &String| {
        let left = timer
            .strip_prefix("02:")
            .map(|left| i64::from_str_radix(left, 16));
        left.is_some_and(|left| left.is_ok_and(|left| left <= 3_000))
    };
    for shards in ["1", "2"] {
        let alpha = mock(json!({"name": "alpha", "latency_ms": 600_000}));
        let config = config_for(&[&alpha], &format!("server: {{shards: {shards}}}\n"));
        let router = Router::start(&config);
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &chat("x"));
        wait_for_requests(&alpha, 1);
        for (side, port) in [
            ("remote", alpha.address().port()),
            ("local", router.addr().port()),
        ] {
            // While something is on its way, another timer runs.
            eventually("a keepalive timer", || {
                let timers = timers(side, port);
                timers.len() == 1 && timers.iter().all(is_kept)
            });
        }
    }
}

#[test]
fn a_killed_router_can_be_started_again_at_once() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 600_000}));
    let config = config_for(&[&alpha], "").replace("127.0.0.1:0", "127.0.0.8:0");
    let mut router = Router::start(&config);
    let addr = router.addr();
    let config = config.replace("127.0.0.8:0", &addr.to_string());
    for round in 1..=20 {
        // Requests under way keep the ring busy beyond the end of its process.
        let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(addr)).collect();
        for client in &mut clients {
            client.post("/v1/chat/completions", &chat("x"));
        }
        wait_for_requests(&alpha, round * 20);
        router.signal("KILL");
        router.wait();
        router = Router::start(&config);
    }
}
