//! Listening sockets, shared by the shards and refused to other processes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, Socket, TcpKeepalive, Type};

/// `count` listeners on one address (`SO_REUSEPORT`), and the address: its port is the kernel's
/// choice when `addr` has port 0.
///
/// The first is bound without `SO_REUSEPORT`, so that a port on which any process listens is
/// refused, another infermux included; the option is set on it afterwards, so that the others can
/// join.
///
/// Connections accepted on them have `TCP_NODELAY` and keepalive: on Linux they inherit both, at no
/// system call each.
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

/// From now on no new connection begins on `listener`; a handshake under way completes.
///
/// Closing a listener resets the connections in its accept queue, so the queue must be empty first,
/// and stay so. The kernel drops the packets that would begin a connection (a socket filter): their
/// senders try again, and find the listener closed.
///
/// # Errors
///
/// The kernel takes no filter.
pub fn stop_handshakes(listener: &TcpListener) -> std::io::Result<()> {
    let step = |code: u32, jump_true, jump_false, value| {
        let code = u16::try_from(code).unwrap_or_default();
        SockFilter::new(code, jump_true, jump_false, value)
    };
    // The filter of a TCP socket sees the segment from its header on: SYN without ACK is dropped.
    socket2::SockRef::from(listener).attach_filter(&[
        step(
            libc::BPF_LD | libc::BPF_B | libc::BPF_ABS,
            0,
            0,
            TCP_FLAGS_AT,
        ),
        step(
            libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
            0,
            0,
            TCP_SYN | TCP_ACK,
        ),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, TCP_SYN),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ])
}

fn socket(addr: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 callers too, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    // Connections in TIME_WAIT do not keep a restart from binding; a listener still does.
    socket.set_reuse_address(true)?;
    // Without this option, Nagle's algorithm adds 40 ms to the first token.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_APART)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    Ok(socket)
}

/// Silence on a connection, on either side, after which the kernel asks whether its peer is still
/// there: well below the 2 to 6 minutes after which address translators and balancers forget it.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Pause between two such questions.
pub const KEEPALIVE_APART: Duration = Duration::from_secs(10);
/// Questions without an answer after which the connection is over.
pub const KEEPALIVE_PROBES: u32 = 3;
/// Place of the flags in a TCP header (RFC 9293, section 3.1).
const TCP_FLAGS_AT: u32 = 13;
const TCP_SYN: u32 = 0x02;
const TCP_ACK: u32 = 0x10;
/// Connections that may wait to be accepted, per shard; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_stops_keeps_what_has_connected_and_takes_nobody_else() {
        let (listeners, addr) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let before = std::net::TcpStream::connect(addr).unwrap();
        stop_handshakes(&listeners[0]).unwrap();
        let accepted = listeners[0].accept().unwrap().0;
        assert_eq!(accepted.peer_addr().unwrap(), before.local_addr().unwrap());
        let span = Duration::from_millis(50);
        let late = std::net::TcpStream::connect_timeout(&addr, span).map(|_| ());
        assert_eq!(
            late.map_err(|fault| fault.kind()),
            Err(std::io::ErrorKind::TimedOut)
        );
    }

    #[test]
    fn accepted_connections_inherit_nodelay_and_keepalive() {
        let (listeners, addr) = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        for _ in 0..8 {
            let caller = std::net::TcpStream::connect(addr).unwrap();
            let accepted = listeners.iter().find_map(|listener| {
                listener.set_nonblocking(true).unwrap();
                listener.accept().ok()
            });
            let (accepted, peer) = accepted.expect("one of them has it");
            assert_eq!(peer, caller.local_addr().unwrap());
            let socket = socket2::SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_APART);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        }
    }

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
