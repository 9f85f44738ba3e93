//! Name look-up, which blocks; only chores calls it.

use std::net::{SocketAddr, ToSocketAddrs};

/// Every address of `host`, with `port`, in the order the resolver gives them.
///
/// # Errors
///
/// The resolver failed, or knows no address.
pub fn look_up(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    if found.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_need_no_resolver() {
        let found = super::look_up("127.0.0.1", 80).unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
        let six = super::look_up("::1", 80).unwrap();
        assert_eq!(six, ["[::1]:80".parse().unwrap()]);
    }
}
