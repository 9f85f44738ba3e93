//! A loop that does not turn: nobody waits for it, it is named, and it follows when it turns.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::operate::{get, metric, post};
use crate::support::router::{Router, Start};
use crate::support::{PATIENCE, chat, config_of, eventually, mock, provider};

const APART: &str = "server: {shards: 2}\nmanagement_listen: \"127.0.0.1:0\"\n";

/// What `/_infermux/status` says does not turn.
fn stalled(router: &Router) -> Value {
    let answer = get(router.management(), "/_infermux/status");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["stalled_shards"].clone()
}

/// Sends a request that keeps its loop from turning for so many milliseconds.
fn stall(client: &mut Client, millis: u32) {
    let header = format!("X-Infermux-Test-Stall: {millis}\r\n");
    client.post_with("/v1/chat/completions", &header, &chat("x"));
}

// proves: stall.nobody-waits
#[test]
fn reports_circuit_calls_and_reloads_do_not_wait_for_a_loop_that_does_not_turn() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let config = |mock| config_of(&[provider(mock, &[])], APART);
    let router = Router::start(&config(&alpha));
    let mut caller = Client::connect(router.addr());
    assert_eq!(caller.chat(&chat("x")).status, 200);
    // What the loop has just counted is not handed over yet.
    stall(&mut caller, 12_000);
    let mut shard = String::new();
    eventually("the loop is named", || {
        // On a busy machine another may be, too, for a moment.
        let names = stalled(&router);
        shard = names[0].as_str().unwrap_or_default().to_owned();
        !shard.is_empty() && names[1].is_null()
    });
    let is_named = |names: &Value| {
        let names = names.as_array().expect("a list");
        names.iter().any(|name| *name == *shard)
    };
    assert!(["0", "1"].contains(&&*shard), "{shard}");
    for path in [
        "providers",
        "metrics",
        "costs",
        "costs/by-caller",
        "changes",
        "health",
    ] {
        let answer = get(router.management(), &format!("/_infermux/{path}"));
        assert_eq!(answer.status, 200, "{path}");
    }
    let management = router.management();
    assert_eq!(metric(management, "infermux_requests_total", &[]), 1.0);
    let label = format!("shard=\"{shard}\"");
    let stalls = metric(management, "infermux_shard_stalls_total", &[&label]);
    assert!(stalls >= 1.0, "{stalls}");
    for act in ["open", "close"] {
        let path = format!("/_infermux/providers/alpha/circuit/{act}");
        let answer = post(management, &path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(is_named(&answer.json()["stalled_shards"]));
    }
    for number in 0..2 {
        let answer = router.reload(&config([&beta, &alpha][number]));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(is_named(&answer.json()["stalled_shards"]));
    }
    let answer = router.reload(&config(&beta));
    assert!(is_named(&answer.json()["stalled_shards"]));
    // The next request is there before the loop turns.
    caller.post("/v1/chat/completions", &chat("x"));
    assert!(
        is_named(&stalled(&router)),
        "all that took less than the stall"
    );
    for provider in ["alpha", "beta"] {
        let answer = caller.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some(provider));
    }
    eventually("nobody is named", || stalled(&router) == json!([]));
    eventually("nobody is left out", || {
        let answer = router.reload(&config(&alpha));
        answer.json().get("stalled_shards").is_none()
    });
}

#[test]
fn the_watchdog_is_not_fed_while_a_loop_does_not_turn() {
    let alpha = mock(json!({"name": "alpha"}));
    let name = format!("infermux-watchdog-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixDatagram::bind_addr(&address).expect("a socket");
    listener
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    let heard = || {
        let mut bytes = [0; 64];
        let count = listener.recv(&mut bytes).expect("a message in time");
        (
            Instant::now(),
            String::from_utf8_lossy(&bytes[..count]).into_owned(),
        )
    };
    let router = Start::with(&config_of(&[provider(&alpha, &[])], APART))
        .env("NOTIFY_SOCKET", &format!("@{name}"))
        .env("WATCHDOG_USEC", "200000")
        .env("INFERMUX_TEST_STALL_MAX_MS", "300")
        .go();
    assert_eq!(heard().1, "READY=1");
    assert_eq!(heard().1, "WATCHDOG=1");
    let mut caller = Client::connect(router.addr());
    stall(&mut caller, 3_000);
    let longest = || {
        let (mut last, mut longest) = (heard().0, Duration::ZERO);
        // It is told every 100 ms, and for 2.7 s it is not.
        while longest < Duration::from_secs(2) {
            let (now, message) = heard();
            assert_eq!(message, "WATCHDOG=1");
            longest = longest.max(now - last);
            last = now;
        }
        longest
    };
    assert!(longest() < Duration::from_secs(20));
    assert_eq!(caller.answer().status, 200);
    assert_eq!(heard().1, "WATCHDOG=1");
}
