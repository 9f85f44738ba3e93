//! Accepts callers' connections.

use std::io;
use std::net::TcpListener as StdListener;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use monoio::net::{TcpListener, TcpStream};

use crate::shard::connection;
use crate::shard::guarded;
use crate::shard::ring::Driver;
use crate::shard::run::Current;
use crate::sys::listen;

/// Accepts until the process drains.
pub async fn run(current: Rc<Current>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(&current, stream).await,
            Err(_) if !current.process.is_taking() => return,
            Err(fault) => recover(&fault).await,
        }
    }
}

/// Takes over what still waits in the accept queue, then closes it: a caller whose connection the
/// kernel has already accepted gets its answer.
pub async fn close(current: &Rc<Current>, listener: &StdListener) {
    if listen::stop_handshakes(listener).is_ok() {
        monoio::time::sleep(HANDSHAKE).await;
    }
    let mut ready = listener.set_nonblocking(true).is_ok();
    while ready && let Ok((stream, _)) = listener.accept() {
        ready = stream
            .set_nonblocking(current.driver == Driver::Epoll)
            .is_ok();
        if current.process.admit_connection()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            start(current, stream);
        }
    }
    // Ends the accept in the ring; its future is not dropped, so no descriptor leaks.
    let _ = socket2::SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

/// Starts serving `stream`. At the limit, the connection waits here and no further one is accepted:
/// nothing is dropped, the kernel's queue holds the rest.
async fn admit(current: &Rc<Current>, stream: TcpStream) {
    let mut told = false;
    while !current.process.admit_connection() {
        if !current.process.is_taking() {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(fd = stream.as_raw_fd(), "server.max_connections is reached");
        }
        monoio::time::sleep(FULL_WAIT).await;
    }
    start(current, stream);
}

/// The connection has been counted.
fn start(current: &Rc<Current>, stream: TcpStream) {
    let open = connection::Open::new(Rc::clone(current));
    guarded::spawn(connection::serve(open, stream));
}

/// Waits where accepting failed for want of something, most likely descriptors.
async fn recover(fault: &io::Error) {
    match fault.raw_os_error() {
        Some(libc::ECONNABORTED | libc::EINTR) => {}
        Some(_) | None => {
            tracing::error!(%fault, "a connection cannot be accepted");
            monoio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How long a handshake under way may take when the process drains.
const HANDSHAKE: Duration = Duration::from_millis(20);
/// Pause between two tries at the connection limit.
const FULL_WAIT: Duration = Duration::from_millis(5);
