//! Connections of those who do not want an answer: junk, other protocols, floods, and heads that
//! never end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::dice::Dice;
use super::doors::{Doors, connect};
use crate::clock::pause;

/// One such act, at the door of callers or at that of operators.
pub(super) fn act(dice: &mut Dice, doors: &Doors) {
    let address = *dice.one(&[doors.callers, doors.operators]);
    let open = || connect(address);
    match dice.below(8) {
        0 => {
            let mut bytes = dice.bytes(2_000);
            bytes.extend_from_slice(b"\r\n\r\n");
            say(open(), &bytes);
        }
        1 => say(
            open(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
        2 => say(open(), &client_hello(dice)),
        3 => say(open(), b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        4 => say(
            open(),
            &[b"GET / HTTP/1.1\r\nX: ", &[b'a'; 100_000][..]].concat(),
        ),
        5 => flood(open, dice.between(10, 80)),
        6 => {
            // A head that never ends, byte by byte, until it is refused.
            let Some(mut stream) = open() else { return };
            for byte in b"GET /v1/models HTTP/1.1\r\nHost: chaos\r\nX: "
                .iter()
                .cycle()
            {
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
                pause(Duration::from_millis(30));
            }
        }
        _ => say(
            open(),
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
              ffffffffffffffff\r\nx",
        ),
    }
}

/// Sends all of it, and reads until the other side closes.
fn say(stream: Option<TcpStream>, bytes: &[u8]) {
    let Some(mut stream) = stream else { return };
    // It may be closed before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Many connections at once, which say nothing.
fn flood(open: impl Fn() -> Option<TcpStream>, count: u64) {
    let all: Vec<_> = (0..count).map_while(|_| open()).collect();
    pause(Duration::from_millis(10 * count));
    drop(all);
}

/// The beginning of a TLS handshake, with content that means nothing.
fn client_hello(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    bytes.extend(dice.bytes(507));
    bytes
}
