//! What a service manager hears (`sd_notify`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use serde_json::json;

use crate::support::command::text;
use crate::support::router::{Folder, Start};
use crate::support::{PATIENCE, config_of, config_with, mock, provider};

fn heard(listener: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    listener
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    let count = listener.recv(&mut bytes).expect("a message in time");
    String::from_utf8(bytes[..count].to_vec()).expect("text")
}

#[test]
fn the_service_manager_hears_of_the_start_of_a_reload_and_of_the_stop() {
    let alpha = mock(json!({"name": "alpha"}));
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let name = format!("infermux-it-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    for (place, listener) in [
        (text(&path).to_owned(), UnixDatagram::bind(&path)),
        (format!("@{name}"), UnixDatagram::bind_addr(&address)),
    ] {
        let listener = listener.expect("a socket");
        let rest = "server: {drain_delay: 60s}\n";
        let mut router = Start::with(&config_of(&[provider(&alpha, &[])], rest))
            .env("NOTIFY_SOCKET", &place)
            .go();
        assert_eq!(heard(&listener), "READY=1");
        router.signal("HUP");
        assert!(heard(&listener).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(heard(&listener), "READY=1");
        router.signal("TERM");
        assert_eq!(heard(&listener), "STOPPING=1");
        router.signal("TERM");
        assert_eq!(router.wait().code(), Some(0));
    }
}

#[test]
fn a_service_manager_that_is_not_there_does_not_matter() {
    let alpha = mock(json!({"name": "alpha"}));
    for (place, warns) in [("/nowhere/notify", false), ("vsock:2:1", true)] {
        let mut router = Start::with(&config_with(&alpha, &[]))
            .env("NOTIFY_SOCKET", place)
            .go();
        router.signal("TERM");
        assert_eq!(router.wait().code(), Some(0));
        assert_eq!(router.log().contains("NOTIFY_SOCKET"), warns, "{place}");
    }
}
