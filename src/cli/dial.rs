//! Looks names up for commands, under a deadline.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::base::time::Instant;
use crate::sys::{clock, names};

/// The addresses of a host, with a port. The resolver has no deadline, so it gets a thread of its
/// own.
///
/// # Errors
///
/// The name is not found, or not in time (`TimedOut`).
pub fn look_up((host, port): (&str, u16), until: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let host = host.to_owned();
    let looking = thread::Builder::new().name("names".into());
    let looking = looking.spawn(move || names::look_up(&host, port))?;
    while !looking.is_finished() {
        if clock::now() >= until {
            return Err(ErrorKind::TimedOut.into());
        }
        thread::park_timeout(TURN);
    }
    let ended = looking.join();
    ended.unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")))
}

/// Pause between two looks whether a name is known.
const TURN: Duration = Duration::from_millis(5);
