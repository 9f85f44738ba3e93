//! Accepts connections.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use crate::exchange::door::Door;
use crate::link::gate::{Audience, Phase};
use crate::link::pause;
use crate::shard::http::pool::lacks_descriptors;
use crate::shard::net::guarded;
use crate::shard::net::ring::Driver;
use crate::shard::net::sleep::sleep;
use crate::shard::net::tcp::{self, Listener, Stream};
use crate::shard::request::connection;
use crate::shard::request::place::Place;
use crate::shard::state::current::Current;
use crate::shard::state::lobby::LOOK_EVERY;
use crate::sys::clock;
use crate::sys::listen;

/// Accepts until the process drains.
pub async fn run(current: Rc<Current>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => serve_when_free(&current, (stream, from.ip())).await,
            Err(_) if !current.process.is_taking() => return,
            Err(fault) => recover(&current, &fault).await,
        }
    }
}

/// Takes over the connections that still wait in the accept queue, then closes it: a caller whose
/// connection the kernel has already accepted gets its answer, even if it must wait for a place.
pub async fn close(current: &Rc<Current>, listener: &TcpListener) {
    if listen::stop_handshakes(listener).is_ok() {
        sleep(HANDSHAKE).await;
    }
    let mut ready = listener.set_nonblocking(true).is_ok();
    while ready {
        match listener.accept() {
            Ok((stream, from)) => {
                let blocks = current.io.driver == Driver::Epoll;
                ready = stream.set_nonblocking(blocks).is_ok();
                if let Ok(stream) = tcp::adopt(stream) {
                    start(current, (stream, from.ip()), Place::find(current));
                }
            }
            Err(fault) if lacks_descriptors(&fault) => {
                recover(current, &fault).await;
                ready = current.process.phase() < Phase::Stopping;
            }
            Err(_) => ready = false,
        }
    }
    // Ends the accept in the ring; its future is not dropped, so no descriptor leaks.
    let _ = socket2::SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

/// Starts serving a connection. Where all places are taken, it waits here, and no further
/// connection is accepted: none is dropped, since the kernel's queue holds the others.
async fn serve_when_free(current: &Rc<Current>, connection: (Stream, IpAddr)) {
    let mut told = false;
    loop {
        let place = Place::find(current);
        // Once the process drains, the connection's request waits for a place instead.
        if place.is_some() || !current.process.is_taking() {
            return start(current, connection, place);
        }
        let pauses = &current.process.pauses;
        if !std::mem::replace(&mut told, true)
            && let Some(kept_back) = pauses.accepting.end(clock::now())
        {
            let repeated = pause::told(kept_back);
            tracing::warn!(
                repeated,
                "server.max_connections is reached: accepting pauses"
            );
        }
        current.make_places(match current.door {
            Door::Both | Door::Operators => Audience::Operators,
            Door::Callers => Audience::Callers,
        });
        sleep(LOOK_EVERY).await;
    }
}

/// Starts serving a connection that has been counted.
fn start(current: &Rc<Current>, connection: (Stream, IpAddr), place: Option<Audience>) {
    let place = Place::new(Rc::clone(current), place);
    guarded::spawn_for_one(connection::serve(place, connection));
}

/// Waits where accepting failed, most likely for lack of descriptors: then connections that wait
/// for their next request are closed.
async fn recover(current: &Current, fault: &io::Error) {
    match fault.raw_os_error() {
        Some(libc::ECONNABORTED | libc::EINTR) => {}
        Some(libc::EMFILE | libc::ENFILE) if current.pool.evict() => {
            sleep(Duration::from_millis(1)).await;
        }
        Some(_) | None => {
            if lacks_descriptors(fault) {
                current.process.lack_descriptors();
                current.make_places(Audience::Callers);
            }
            if let Some(kept_back) = current.process.pauses.faults.end(clock::now()) {
                let repeated = pause::told(kept_back);
                tracing::error!(%fault, repeated, "a connection cannot be accepted");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How long a handshake under way may take when the process drains.
const HANDSHAKE: Duration = Duration::from_millis(20);
