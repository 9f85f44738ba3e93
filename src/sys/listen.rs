//! Listening sockets, shared by the shards and refused to everybody else.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// `count` listeners on one address (`SO_REUSEPORT`), and the address: its port is the kernel's
/// choice when `addr` has port 0.
///
/// The first is bound without `SO_REUSEPORT`, so that a port which anybody listens on is refused,
/// another infermux included; the option is set on it afterwards, so that the others can join.
///
/// On a kernel without IPv6, `[::]` is `0.0.0.0`: every interface there is.
///
/// # Errors
///
/// The address is in use, not this host's, or not permitted.
pub fn bind(addr: SocketAddr, count: usize) -> std::io::Result<(Vec<TcpListener>, SocketAddr)> {
    let (first, addr) = match socket(addr) {
        Err(fault) if everywhere(addr) && fault.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            let addr = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port());
            (socket(addr)?, addr)
        }
        first => (first?, addr),
    };
    first.bind(&addr.into())?;
    first.set_reuse_port(true)?;
    let local = first.local_addr()?.as_socket().unwrap_or(addr);
    let mut all = vec![first];
    for _ in 1..count {
        let next = socket(addr)?;
        next.set_reuse_port(true)?;
        next.bind(&local.into())?;
        all.push(next);
    }
    for one in &all {
        one.listen(BACKLOG)?;
    }
    Ok((all.into_iter().map(TcpListener::from).collect(), local))
}

fn everywhere(addr: SocketAddr) -> bool {
    addr.is_ipv6() && addr.ip().is_unspecified()
}

fn socket(addr: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 callers too, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    // Connections in TIME_WAIT do not keep a restart from binding; a listener still does.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Connections that may wait to be accepted, per shard; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_port_that_a_second_instance_cannot_have() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (listeners, addr) = bind(any, 3).unwrap();
        assert_eq!(listeners.len(), 3);
        let second = bind(addr, 1).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(second, Err(std::io::ErrorKind::AddrInUse));
        drop(listeners);
        assert!(bind(addr, 2).is_ok());
    }
}
