//! Addresses to listen on: `:8080`, `127.0.0.1:0`, `[::1]:8080`, `localhost:8080`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::plan::Listen;

/// Reads an address.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn parse(text: &str) -> Result<Listen, String> {
    let addr = address(text)?;
    Ok(Listen {
        addr,
        text: text.into(),
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        if text.parse::<u16>().is_ok() {
            return Err(format!("is a bare port, write `:{text}`"));
        }
        return Err(String::from(
            "has no port, write it as `127.0.0.1:8080` or `:8080`",
        ));
    };
    let digits_only = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = digits_only.then(|| port.parse().ok()).flatten() else {
        return Err(String::from("has no port from 0 to 65535"));
    };
    let ip = match host {
        // All interfaces; the socket takes IPv4 too.
        "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        // Names are not looked up, but `localhost` means the same everywhere.
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host if host.parse::<Ipv6Addr>().is_ok() => {
            return Err(format!("needs brackets, write `[{host}]:{port}`"));
        }
        _ => {
            return Err(String::from(
                "does not start with an IP address, `localhost` or `:`",
            ));
        }
    };
    Ok(SocketAddr::new(ip, port))
}

/// Port 8080 of every interface.
#[must_use]
pub fn everywhere() -> Listen {
    let addr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8_080);
    Listen {
        addr,
        text: ":8080".into(),
    }
}

/// Whether the process cannot listen on both.
#[must_use]
pub fn collide(one: &Listen, other: &Listen) -> bool {
    let takes = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(ip) => ip.is_unspecified(),
        IpAddr::V4(ip) => ip.is_unspecified() && narrow.is_ipv4(),
    };
    let (a, b) = (one.addr, other.addr);
    // Port 0 lets the kernel choose, and the kernel does not choose a taken port.
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_documented_forms() {
        for (text, addr) in [
            (":8080", "[::]:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:443", "0.0.0.0:443"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
        ] {
            let listen = parse(text).unwrap();
            assert_eq!(
                (listen.addr.to_string().as_str(), &*listen.text),
                (addr, text)
            );
        }
    }

    #[test]
    fn says_how_to_write_it() {
        for (text, problem) in [
            ("8080", "is a bare port, write `:8080`"),
            (
                "127.0.0.1",
                "has no port, write it as `127.0.0.1:8080` or `:8080`",
            ),
            (":", "has no port from 0 to 65535"),
            (":65536", "has no port from 0 to 65535"),
            (":+80", "has no port from 0 to 65535"),
            ("::1:8080", "needs brackets, write `[::1]:8080`"),
            (
                "example.com:80",
                "does not start with an IP address, `localhost` or `:`",
            ),
            (
                "http://localhost:80",
                "does not start with an IP address, `localhost` or `:`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem, "{text}");
        }
    }

    #[test]
    fn two_listeners_need_two_places() {
        for (one, other, expected) in [
            (":8080", ":8080", true),
            (":8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            (":8080", ":8081", false),
            (":0", ":0", false),
        ] {
            let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
            assert_eq!(collide(&one, &other), expected);
            assert_eq!(collide(&other, &one), expected);
        }
    }
}
