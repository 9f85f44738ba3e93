//! Starting: the address, and what stands in its way.

use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::{Router, Start};
use crate::support::{chat, config_for, mock};

/// A configuration that listens on `listen`.
fn listening_on(listen: &str) -> String {
    let alpha = mock(json!({"name": "alpha"}));
    config_for(&[&alpha], "").replace("127.0.0.1:0", listen)
}

fn assert_refused(addr: SocketAddr) {
    let (code, out, err) = Start::with(&listening_on(&addr.to_string())).ends();
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains(&addr.to_string()), "{err}");
    assert!(err.contains("in use"), "{err}");
    assert!(!out.contains("listening"), "{out}");
}

#[test]
fn a_port_that_somebody_listens_on_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    assert_refused(taken.local_addr().expect("an address"));
}

#[test]
fn a_port_that_another_infermux_listens_on_is_refused() {
    let alpha = mock(json!({"name": "alpha"}));
    let first = Router::start(&config_for(&[&alpha], ""));
    for _ in 0..3 {
        assert_refused(first.addr());
    }
    let mut client = Client::connect(first.addr());
    assert_eq!(client.chat(&chat("x")).status, 200, "the first goes on");
}

#[test]
fn an_address_that_is_not_this_hosts_is_refused() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    let (code, _, err) = Start::with(&listening_on("192.0.2.1:0")).ends();
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("192.0.2.1"), "{err}");
}

#[test]
fn a_wrong_file_is_refused_before_anything_starts() {
    for (config, named) in [
        ("providers: []\n", "providers"),
        ("listen: nowhere\n", "listen"),
        ("a: [\n", ""),
    ] {
        let (code, out, err) = Start::with(config).ends();
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(named), "{err}");
        assert!(!out.contains("listening"), "{out}");
    }
}

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
    router.wait_for_log("anyone who reaches this address");
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
    let mut first = Router::start(&config_for(&[&alpha], ""));
    let addr = first.addr();
    // The router closes this connection: its side waits in TIME_WAIT.
    let mut client = Client::connect(addr);
    client.send("G(T / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    first.signal("KILL");
    first.wait();
    let config = config_for(&[&alpha], "").replace("127.0.0.1:0", &addr.to_string());
    let second = Router::start(&config);
    assert_eq!(Client::connect(second.addr()).chat(&chat("x")).status, 200);
}

#[test]
fn the_start_says_what_is_started() {
    let alpha = mock(json!({"name": "alpha"}));
    let beta = mock(json!({"name": "beta"}));
    let router = Router::start(&config_for(&[&alpha, &beta], ""));
    let said = router.said();
    let lines: Vec<&str> = said.iter().map(String::as_str).collect();
    let version = format!("infermux {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines[0], version);
    assert!(lines[1].ends_with("infermux.yml"), "{lines:?}");
    assert_eq!(lines[2], "providers: alpha, beta");
    assert_eq!(lines[3], format!("listening on {}", router.addr()));
}
