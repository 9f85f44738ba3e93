//! Where the router is reached.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Where callers and operators connect to.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) callers: SocketAddr,
    pub(super) operators: SocketAddr,
}

/// A connection that waits long enough for anything, or none.
pub(super) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Longest wait for a byte: far longer than any deadline of the router.
const PATIENCE: Duration = Duration::from_secs(40);
