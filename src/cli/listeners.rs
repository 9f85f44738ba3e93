//! The listeners of callers and operators, and their addresses.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::cli::not_started::NotStarted;
use crate::config::plan::{Listen, Plan};
use crate::sys::{clock, listen};

/// Listeners on one address, and the address with the port that the kernel chose.
type Bound = (Vec<TcpListener>, SocketAddr);

/// The listeners of a configuration.
pub struct Listeners {
    /// One for each shard.
    pub callers: Vec<TcpListener>,
    /// The operators' listener, where they have one of their own.
    pub operators: Option<TcpListener>,
    /// Their addresses.
    pub places: Places,
}

impl Listeners {
    /// Listens on the addresses of `plan`, with `count` listeners for callers.
    ///
    /// # Errors
    ///
    /// The process cannot listen on an address.
    pub fn bind(plan: &Plan, count: usize) -> Result<Self, NotStarted> {
        let (callers, local) = bind(&plan.listen, count)?;
        let tls = plan.tls.as_ref();
        let mut places = Places {
            callers: place(&plan.listen, local),
            operators: None,
            page: page(local, tls.is_some()),
        };
        let mut operators = None;
        if let Some(listen) = &plan.management_listen {
            let (mut listeners, local) = bind(listen, 1)?;
            places.operators = Some(place(listen, local));
            places.page = page(local, tls.is_some_and(|files| files.management));
            operators = listeners.pop();
        }
        Ok(Self {
            callers,
            operators,
            places,
        })
    }
}

/// Where callers and operators connect.
pub struct Places {
    callers: String,
    operators: Option<String>,
    /// The page's URL for a browser on this machine.
    pub page: String,
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.callers)?;
        match &self.operators {
            Some(operators) => write!(f, " (management: {operators})"),
            None => Ok(()),
        }
    }
}

fn bind(listen: &Listen, count: usize) -> Result<Bound, NotStarted> {
    let until = clock::now() + TAKEN_MAX;
    let mut bound = listen::bind(listen.addr, count);
    while bound.as_ref().is_err_and(is_taken) && clock::now() < until {
        std::thread::park_timeout(TAKEN_PAUSE);
        bound = listen::bind(listen.addr, count);
    }
    bound.map_err(|fault| {
        let cause = match fault.kind() {
            ErrorKind::AddrInUse => "address already in use (is another infermux running?)",
            ErrorKind::AddrNotAvailable => "this host does not have that address",
            ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a capability)",
            _ => &fault.to_string(),
        };
        NotStarted::Failed(format!("cannot listen on {}: {cause}", listen.text))
    })
}

fn is_taken(fault: &io::Error) -> bool {
    fault.kind() == ErrorKind::AddrInUse
}

/// An address for callers: the text of the configuration, with the port that the kernel chose.
fn place(listen: &Listen, local: SocketAddr) -> String {
    match listen.text.rsplit_once(':') {
        Some((host, _)) => format!("{host}:{}", local.port()),
        None => local.to_string(),
    }
}

fn page(mut addr: SocketAddr, has_tls: bool) -> String {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if has_tls { "https" } else { "http" };
    format!("{scheme}://{addr}/_infermux/")
}

/// How long binding to a taken port is repeated: when a process is killed, the kernel needs some
/// milliseconds to remove its ring, and its listeners with it.
const TAKEN_MAX: Duration = Duration::from_secs(1);
/// Pause between two tries.
const TAKEN_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::listen as address;

    #[test]
    fn the_place_shows_the_port_that_the_kernel_chose() {
        let local = "[::]:43121".parse().unwrap();
        for (text, shown) in [
            (":0", ":43121"),
            ("localhost:0", "localhost:43121"),
            ("[::1]:0", "[::1]:43121"),
        ] {
            assert_eq!(place(&address::parse(text).unwrap(), local), shown);
        }
    }
}
