//! Opens connections to providers: all addresses, one time limit, TLS where the URL says so.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::config::plan::Provider;
use crate::decide::outcome::{ConnectFault, ProxyFault, TlsFault};
use crate::link::pause;
use crate::shard::http::addresses::Tally;
use crate::shard::http::connected::Connected;
use crate::shard::http::pool::lacks_descriptors;
use crate::shard::http::tunnel;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::socket::Socket;
use crate::shard::net::tcp::{self, Stream};
use crate::shard::net::timers::Cut;
use crate::shard::net::tls::{self, Session};
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// Opens a connection to the provider `id` before `deadline`, trying all of its addresses.
///
/// # Errors
///
/// What stood in the way; the addresses are looked up again meanwhile.
pub async fn connect(
    shard: &Shard,
    id: ProviderId,
    deadline: Instant,
) -> Result<Upstream, ConnectFault> {
    let provider = shard.plan.provider(id);
    let opened = open(shard, id, provider, deadline).await;
    if let Err(fault) = opened {
        tracing::debug!(provider = &*provider.name, fault = ?fault, "no connection");
        shard.addresses.refresh(id);
    }
    opened
}

async fn open(
    shard: &Shard,
    id: ProviderId,
    provider: &Provider,
    deadline: Instant,
) -> Result<Upstream, ConnectFault> {
    let deadline = deadline.min(clock::now() + provider.connect_timeout);
    shard.pool.make_room();
    let reached = reach(shard, id, deadline).await;
    let (stream, tally) = reached.map_err(|fault| of_first_stop(provider, fault))?;
    let mut socket = Socket::new(stream, &shard.io);
    if let Some(proxy) = provider.tunnel() {
        socket.deadline.set(deadline, Cut::Both);
        // In a box of its own: few requests need the room.
        let opened = Box::pin(tunnel::open(&mut socket, proxy, &provider.base)).await;
        opened.map_err(ConnectFault::Proxy)?;
        socket.deadline.clear();
    }
    if provider.base.tls {
        let settings = shard.era.tls_connect(id).unwrap_or(&shard.tls_connect);
        let session = Session::connect(settings, provider.server_name())
            .map_err(|_| ConnectFault::Tls(TlsFault::Name))?;
        socket.deadline.set(deadline, Cut::Both);
        let shaken = socket.secure(session).await;
        if socket.deadline.is_overdue() {
            return Err(ConnectFault::Timeout);
        }
        if let Err(fault) = shaken {
            let pauses = &shard.gates.providers[id.index()].told().pauses;
            let provider = &*provider.name;
            match pauses.handshakes.end(clock::now()) {
                Some(kept_back) => {
                    let repeated = pause::told(kept_back);
                    tracing::warn!(provider, %fault, repeated, "TLS handshake failed");
                }
                None => tracing::debug!(provider, %fault, "TLS handshake failed"),
            }
            if let Some(tally) = &tally {
                shard.pool.addresses.failed(id, tally, clock::now());
            }
            return Err(ConnectFault::Tls(tls::what_failed(&fault)));
        }
        socket.deadline.clear();
    }
    let meter = shard.meters.provider(id, &provider.name);
    let connected = Connected::new(meter, Rc::clone(shard.pool.open()), tally);
    let mut upstream = Upstream::new(socket, connected, shard.io.lease.hold());
    upstream.post_read();
    Ok(upstream)
}

/// Why the provider cannot be reached, given why the host that connections to it are opened to
/// cannot: that may be its proxy.
fn of_first_stop(provider: &Provider, fault: ConnectFault) -> ConnectFault {
    match (fault, &provider.proxy) {
        (ConnectFault::Name, Some(_)) => ConnectFault::Proxy(ProxyFault::Name),
        (ConnectFault::Refused, Some(_)) => ConnectFault::Proxy(ProxyFault::Refused),
        (ConnectFault::Timeout, Some(_)) => ConnectFault::Proxy(ProxyFault::Timeout),
        (_, _) => fault,
    }
}

/// A TCP connection to the first of the addresses that accepts one; each gets its share of the
/// time. Also returns what counts the connections to that address, where there are many.
async fn reach(
    shard: &Shard,
    id: ProviderId,
    deadline: Instant,
) -> Result<(Stream, Option<Rc<Tally>>), ConnectFault> {
    let found = shard.addresses.of(id);
    let known = &shard.pool.addresses;
    known.learn(id, Arc::clone(&found), || shard.any_place());
    let Some(order) = known.order(id, clock::now()) else {
        let address = found.first().ok_or(ConnectFault::Name)?;
        let left = deadline.since(clock::now());
        return connect_within(shard, *address, left)
            .await
            .map(|stream| (stream, None));
    };
    let mut fault = ConnectFault::Name;
    for (place, tally) in order.iter().enumerate() {
        let left = deadline.since(clock::now());
        let share = left / u32::try_from(order.len() - place).unwrap_or(1);
        match connect_within(shard, tally.address(), share).await {
            Ok(stream) => {
                known.accepted(id, tally);
                return Ok((stream, Some(Rc::clone(tally))));
            }
            // That is no matter of the address.
            Err(ConnectFault::NoSocket) => fault = ConnectFault::NoSocket,
            Err(found) => {
                let (provider, address) = (&*shard.plan.provider(id).name, tally.address());
                tracing::debug!(provider, %address, "an address accepts no connection");
                known.failed(id, tally, clock::now());
                shard.addresses.refresh(id);
                fault = found;
            }
        }
    }
    Err(fault)
}

/// A TCP connection to `address` within `span`. Where no descriptor is left, idle connections are
/// closed for it: those of one provider must not keep a request from another.
async fn connect_within(
    shard: &Shard,
    address: SocketAddr,
    span: Duration,
) -> Result<Stream, ConnectFault> {
    let began = clock::now();
    loop {
        let left = span.saturating_sub(clock::now().since(began));
        match tcp::connect(address, left).await {
            Ok(stream) => {
                let prepared = tcp::prepare(&stream);
                return prepared.map(|()| stream).map_err(|_| ConnectFault::Refused);
            }
            Err(fault) if lacks_descriptors(&fault) => {
                if !shard.pool.relieve(&shard.process, began).await {
                    return Err(ConnectFault::NoSocket);
                }
            }
            Err(fault) => {
                return Err(match (fault.kind(), fault.raw_os_error()) {
                    (_, Some(libc::EADDRNOTAVAIL | libc::ENOBUFS)) => ConnectFault::NoSocket,
                    (io::ErrorKind::TimedOut, None) => ConnectFault::Timeout,
                    _ => ConnectFault::Refused,
                });
            }
        }
    }
}
