//! TCP connections: accepted, taken over, opened.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::time::Duration;

use monoio::net::TcpListener;
use monoio::time;

use crate::sys::listen::{KEEPALIVE_APART, KEEPALIVE_IDLE, KEEPALIVE_PROBES};

pub use monoio::net::TcpStream as Stream;

/// Accepts connections on one event loop.
pub struct Listener(TcpListener);

impl Listener {
    /// Accepts on a socket that listens.
    ///
    /// # Errors
    ///
    /// The loop does not take the socket.
    pub fn new(listener: StdListener) -> io::Result<Self> {
        TcpListener::from_std(listener).map(Self)
    }

    /// The next connection, and the address at its other end.
    ///
    /// # Errors
    ///
    /// The socket does not listen any more, the connection is gone already, or the process lacks
    /// something: most likely a descriptor.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        self.0.accept().await
    }
}

/// Takes over a connection that was accepted without the loop.
///
/// # Errors
///
/// The loop does not take the socket.
pub fn adopt(stream: StdStream) -> io::Result<Stream> {
    Stream::from_std(stream)
}

/// Opens a connection to `address` within `span`.
///
/// # Errors
///
/// The system's error; [`io::ErrorKind::TimedOut`] without a system's number: `span` is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a connect that is dropped loses nothing"
)]
pub async fn connect(address: SocketAddr, span: Duration) -> io::Result<Stream> {
    // In a box of its own: a timer's alignment would pad every request's future.
    let connecting = time::timeout(span, Stream::connect_addr(address));
    let connected = Box::pin(connecting).await;
    connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Sets `TCP_NODELAY` and keepalive.
///
/// # Errors
///
/// The connection is gone already.
pub fn prepare(stream: &Stream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (idle, apart) = (KEEPALIVE_IDLE, KEEPALIVE_APART);
    stream.set_tcp_keepalive(Some(idle), Some(apart), Some(KEEPALIVE_PROBES))
}
