//! Where the router listens.

use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_for, mock};

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
